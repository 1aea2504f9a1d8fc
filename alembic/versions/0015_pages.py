"""What the dispatcher's page keeps: who looks at which case, views under a name, notes from shift to shift.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "viewing",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("desk", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_drafting", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("since", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id"], ["dispatch.dispatch_case.id"], name=op.f("fk_viewing_case_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("case_id", "desk", name=op.f("pk_viewing")),
        schema="api",
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "saved_view",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("saved_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_view")),
        sa.UniqueConstraint("owner", "name", name=op.f("uq_saved_view_owner_name")),
        schema="api",
    )
    op.create_table(
        "shift_note",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("author_name", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("counts", postgresql.JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_shift_note_jurisdiction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shift_note")),
        schema="api",
    )
    op.create_index("ix_shift_note_at", "shift_note", [sa.text("at DESC")], schema="api")


def downgrade() -> None:
    """Remove them, with what they hold."""
    op.drop_table("shift_note", schema="api")
    op.drop_table("saved_view", schema="api")
    op.drop_table("viewing", schema="api")
