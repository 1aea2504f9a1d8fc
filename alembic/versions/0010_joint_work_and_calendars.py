"""Joint legs, recurring operations, evidence of returns, versions of calendars, seasonal and phased limits.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SQL = Path(__file__).parents[1] / "sql" / "0010_joint_and_calendars.sql"


def upgrade() -> None:
    """Add the tables and columns."""
    op.execute(_SQL.read_text(encoding="utf-8"))


def downgrade() -> None:
    """Remove them. Cases that a plan opened stay; the older schema knows them as imported history."""
    op.drop_table("limit_phase", schema="dispatch")
    op.drop_table("limit_season", schema="dispatch")
    op.drop_table("calendar_revision", schema="dispatch")
    op.execute("ALTER TABLE dispatch.calendar_year DROP COLUMN revision, DROP COLUMN is_published")
    for table in ("operation_occurrence", "operation_plan", "case_return", "deadline_change", "case_phase", "case_leg"):
        op.drop_table(table, schema="dispatch")
    op.execute("DROP INDEX dispatch.ix_dispatch_case_provisional")
    op.execute(
        "ALTER TABLE dispatch.dispatch_case DROP COLUMN limit_unit, DROP COLUMN limit_value,"
        " DROP COLUMN open_phases, DROP COLUMN open_legs"
    )
    op.execute(
        "DELETE FROM dispatch.channel AS c WHERE c.code = 'operation'"
        " AND NOT EXISTS (SELECT FROM dispatch.dispatch_case AS k WHERE k.channel_code = c.code)"
    )
