"""What the intake refers to cannot go away while it writes; cells near a point outside as one value.

Revision ID: 0023
Revises: 0022
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_REFERRED_TO = (
    "dispatch.channel",
    "dispatch.category",
    "dispatch.department",
    "dispatch.post",
    "dispatch.person",
    "geo.jurisdiction",
)


def upgrade() -> None:
    """Make deletions wait for the intake, and add the function that it asks."""
    op.execute((Path(__file__).parents[1] / "sql" / "0023_intake_keys.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Back to foreign keys alone, and to a search written into the statement."""
    op.execute("ALTER TABLE dispatch.dispatch_case ENABLE TRIGGER ladder_armed_insert")
    for table in _REFERRED_TO:
        op.execute(f"DROP TRIGGER waits_for_intake ON {table}")
    op.execute("DROP FUNCTION dispatch.wait_for_intake()")
    op.execute("DROP FUNCTION geo.nearest_said(int, geometry, int, bigint[])")
