"""Who finds the cases of a channel; rates of frozen months; frozen maps behind links.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the tables; what is frozen can be neither changed nor taken away."""
    op.create_table(
        "channel_finder",
        sa.Column("channel_code", sa.Text(), nullable=False),
        sa.Column("found_by", sa.Text(), nullable=False),
        sa.CheckConstraint("found_by IN ('patrol', 'device', 'citizen')", name=op.f("ck_channel_finder_found_by")),
        sa.ForeignKeyConstraint(
            ["channel_code"], ["dispatch.channel.code"], name=op.f("fk_channel_finder_channel_code")
        ),
        sa.PrimaryKeyConstraint("channel_code", name=op.f("pk_channel_finder")),
        schema="dispatch",
    )
    op.create_table(
        "frozen_month",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("frozen_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("extract(day from month) = 1", name=op.f("ck_frozen_month_first_day")),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_frozen_month_jurisdiction")),
        sa.PrimaryKeyConstraint("jurisdiction", "month", name=op.f("pk_frozen_month")),
        schema="dispatch",
    )
    op.create_table(
        "frozen_rate",
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("rate", sa.Text(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("numerator", sa.Integer(), nullable=False),
        sa.Column("denominator", sa.Integer(), nullable=False),
        sa.CheckConstraint("numerator BETWEEN 0 AND denominator", name=op.f("ck_frozen_rate_share")),
        sa.ForeignKeyConstraint(
            ["jurisdiction", "month"],
            ["dispatch.frozen_month.jurisdiction", "dispatch.frozen_month.month"],
            name="fk_frozen_rate_month",
        ),
        sa.PrimaryKeyConstraint("jurisdiction", "month", "dimension", "key", "rate", name=op.f("pk_frozen_rate")),
        schema="dispatch",
    )
    op.execute("""
        CREATE FUNCTION dispatch.refuse_thawing() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'what is frozen stays' USING ERRCODE = 'check_violation';
        END $$
    """)
    for table in ("frozen_month", "frozen_rate"):
        op.execute(
            f"CREATE TRIGGER stays_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON dispatch.{table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION dispatch.refuse_thawing()"
        )
    op.create_table(
        "map_share",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("sight", postgresql.JSONB(), nullable=False),
        sa.Column("as_of", INSTANT, nullable=False),
        sa.Column("page", sa.LargeBinary(), nullable=False),
        sa.Column("frame", sa.LargeBinary(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.CheckConstraint("scope IN ('office', 'link')", name=op.f("ck_map_share_scope")),
        sa.CheckConstraint("expires_at > created_at", name=op.f("ck_map_share_expiry")),
        sa.ForeignKeyConstraint(["jurisdiction"], ["geo.jurisdiction.code"], name=op.f("fk_map_share_jurisdiction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_map_share")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_map_share_token_hash")),
        schema="api",
    )


def downgrade() -> None:
    """Remove the tables."""
    op.drop_table("map_share", schema="api")
    op.drop_table("frozen_rate", schema="dispatch")
    op.drop_table("frozen_month", schema="dispatch")
    op.drop_table("channel_finder", schema="dispatch")
    op.execute("DROP FUNCTION dispatch.refuse_thawing()")
