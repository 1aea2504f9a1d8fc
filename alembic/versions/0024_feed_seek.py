"""Readers of the feed who want a span of time or one case begin where it begins.

Revision ID: 0024
Revises: 0023
"""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep the instant of an event in the feed's index, and add the function that looks there."""
    op.execute((Path(__file__).parents[1] / "sql" / "0024_feed_seek.sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    """Back to an index of places alone."""
    op.execute("DROP FUNCTION dispatch.feed_seek(xid8, bigint, timestamptz, timestamptz, uuid)")
    op.drop_index("ix_case_event_feed", table_name="case_event", schema="dispatch")
    op.create_index("ix_case_event_feed", "case_event", ["txid", "id"], unique=False, schema="dispatch")
