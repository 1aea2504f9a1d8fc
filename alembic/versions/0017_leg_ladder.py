"""Legs of joint work climb the ladder, each on its own clock.

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_RUNNING = "state IN ('dispatched', 'handling', 'returned')"
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Legs that are under way are put on the ladder where they stand; that they are overdue is a rung like others."""
    op.drop_index("ix_case_leg_due", "case_leg", schema="dispatch")
    for column in (
        sa.Column("next_rung_at", _INSTANT, nullable=True),
        sa.Column("ladder_epoch", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("ladder_from", _INSTANT, nullable=True),
        sa.Column("ladder_done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    ):
        op.add_column("case_leg", column, schema="dispatch")
    op.execute(
        "UPDATE dispatch.case_leg AS l SET next_rung_at = now(),"
        " ladder_from = CASE WHEN c.origin <> 'live' THEN now() END FROM dispatch.dispatch_case AS c"
        f" WHERE c.id = l.case_id AND c.state = 'handling' AND l.{_RUNNING}"
    )
    op.create_index(
        "ix_case_leg_rung",
        "case_leg",
        ["next_rung_at"],
        schema="dispatch",
        postgresql_where=sa.text("next_rung_at IS NOT NULL"),
    )
    op.create_index(
        "ix_case_leg_unarmed",
        "case_leg",
        ["case_id"],
        schema="dispatch",
        postgresql_where=sa.text(f"next_rung_at IS NULL AND NOT ladder_done AND {_RUNNING}"),
    )
    op.add_column(
        "escalation", sa.Column("leg", sa.SmallInteger(), server_default="0", nullable=False), schema="dispatch"
    )
    _promise("case_id", "leg", "rung", "clock_epoch")
    # What was told before is not told again.
    op.execute(
        "INSERT INTO dispatch.escalation (case_id, leg, rung, clock_epoch, fired_at, person_id)"
        " SELECT l.case_id, l.number, r.rung, 1, l.overdue_told_at, l.owner_person_id FROM dispatch.case_leg AS l"
        " CROSS JOIN unnest(ARRAY['half', 'four_fifths', 'due']) AS r (rung) WHERE l.overdue_told_at IS NOT NULL"
    )
    op.drop_column("case_leg", "overdue_told_at", schema="dispatch")
    op.execute((Path(__file__).parents[1] / "sql" / "0017_leg_ladder.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Legs climb no ladder any more; what they fired is gone with the column that tells it apart."""
    op.execute("DROP TRIGGER legs_armed ON dispatch.dispatch_case")
    for name in ("leg_armed_insert", "leg_armed_update"):
        op.execute(f"DROP TRIGGER {name} ON dispatch.case_leg")
    for name in ("arm_leg", "arm_legs_of_case"):
        op.execute(f"DROP FUNCTION dispatch.{name}()")
    op.execute("DROP TRIGGER ladder_armed_insert ON dispatch.dispatch_case")
    op.execute(
        "CREATE TRIGGER ladder_armed_insert BEFORE INSERT ON dispatch.dispatch_case FOR EACH ROW"
        " WHEN (NEW.due_at IS NOT NULL AND NEW.state IN ('dispatched', 'handling', 'reopened', 'returned'))"
        " EXECUTE FUNCTION dispatch.arm_ladder()"
    )
    # An older program reads these keys as those of cases.
    op.execute("DELETE FROM dispatch.worker_fault WHERE kind = 'rung' AND key LIKE '%:%'")
    op.execute("DELETE FROM dispatch.escalation WHERE leg > 0")
    _promise("case_id", "rung", "clock_epoch")
    op.drop_column("escalation", "leg", schema="dispatch")
    for name in ("unarmed", "rung"):
        op.drop_index(f"ix_case_leg_{name}", "case_leg", schema="dispatch")
    for name in ("ladder_done", "ladder_from", "ladder_epoch", "next_rung_at"):
        op.drop_column("case_leg", name, schema="dispatch")
    op.add_column("case_leg", sa.Column("overdue_told_at", _INSTANT, nullable=True), schema="dispatch")
    op.create_index(
        "ix_case_leg_due",
        "case_leg",
        ["due_at"],
        schema="dispatch",
        postgresql_where=sa.text(f"{_RUNNING} AND overdue_told_at IS NULL"),
    )


def _promise(*columns: str) -> None:
    op.drop_constraint("pk_escalation", "escalation", schema="dispatch", type_="primary")
    op.create_primary_key("pk_escalation", "escalation", columns, schema="dispatch")
