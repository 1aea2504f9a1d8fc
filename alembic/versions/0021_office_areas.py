"""An administrator may be limited to an area: people, posts, shifts, leave and the matrix behind policies.

Revision ID: 0021
Revises: 0020
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_SQL = Path(__file__).resolve().parents[1] / "sql" / "0021_office_areas.sql"
_GUARDED = (
    "post",
    "routing",
    "appointment",
    "shift",
    "shift_exception",
    "post_hand_over",
    "leave",
    "person_contact",
    "person",
    "department",
)
_POLICIES = ("service", "desk", "office_reads", "office_adds", "office_changes", "office_removes")


def upgrade() -> None:
    """Let administrators have areas, and put what they keep behind policies."""
    op.drop_constraint(op.f("ck_role_grant_administrator_of_all"), "role_grant", schema="api", type_="check")
    for column in ("care_cell", "care_department"):
        op.add_column("person", sa.Column(column, sa.Text()), schema="dispatch")
    op.execute(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    """Take the policies away; administrators of an area lose that role, for the older schema knows none."""
    for table in _GUARDED:
        for policy in _POLICIES:
            op.execute(f"DROP POLICY {policy} ON dispatch.{table}")
        op.execute(f"ALTER TABLE dispatch.{table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE dispatch.{table} DISABLE ROW LEVEL SECURITY")
    for function in (
        "dispatch.people_of_areas(text[])",
        "dispatch.words_of_place(text, text)",
        "dispatch.area_words(text[])",
        "dispatch.may_keep_person(uuid)",
        "dispatch.may_keep(text, text)",
        "dispatch.area_keeps_person(text[], uuid)",
        "dispatch.area_sees_person(text[], uuid)",
        "dispatch.has_place(uuid)",
        "dispatch.places_of_person(uuid)",
        "dispatch.area_is_below(text[], text)",
        "dispatch.area_holds(text[], text, text)",
        "geo.cell_and_above(text)",
    ):
        op.execute(f"DROP FUNCTION {function}")
    for column in ("care_department", "care_cell"):
        op.drop_column("person", column, schema="dispatch")
    op.execute(
        "DELETE FROM api.role_grant WHERE role = 'administrator'"
        " AND (cell_code IS NOT NULL OR department_code IS NOT NULL)"
    )
    op.create_check_constraint(
        op.f("ck_role_grant_administrator_of_all"),
        "role_grant",
        "role <> 'administrator' OR (cell_code IS NULL AND department_code IS NULL)",
        schema="api",
    )
