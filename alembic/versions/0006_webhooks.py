"""Webhooks: addresses with their place in the feed, signing keys, one row per attempt.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the three tables."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("channel_code", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("types", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("cursor_txid", sa.BigInteger(), nullable=False),
        sa.Column("cursor_event", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("last_success_at", _INSTANT, nullable=True),
        sa.Column("stopped_at", _INSTANT, nullable=True),
        sa.Column("turn_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", _INSTANT, nullable=True),
        sa.CheckConstraint("state IN ('active', 'paused', 'parked', 'gone')", name=op.f("ck_webhook_state")),
        sa.CheckConstraint("(lease IS NULL) = (leased_until IS NULL)", name=op.f("ck_webhook_lease_has_end")),
        sa.ForeignKeyConstraint(["channel_code"], ["dispatch.channel.code"], name=op.f("fk_webhook_channel_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
        schema="api",
    )
    op.create_table(
        "webhook_secret",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["api.webhook.id"], name=op.f("fk_webhook_secret_webhook_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secret")),
        schema="api",
    )
    op.create_index("ix_webhook_secret_webhook", "webhook_secret", ["webhook_id"], schema="api")
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default="1", nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("created_at", _INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", _INSTANT, nullable=True),
        sa.CheckConstraint("kind IN ('event', 'replay', 'test')", name=op.f("ck_webhook_delivery_kind")),
        sa.CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name=op.f("ck_webhook_delivery_state")),
        sa.CheckConstraint("(kind = 'test') = (event_id IS NULL)", name=op.f("ck_webhook_delivery_event_unless_test")),
        sa.CheckConstraint(
            "(state = 'waiting') = (finished_at IS NULL)", name=op.f("ck_webhook_delivery_finished_unless_waiting")
        ),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["api.webhook.id"], name=op.f("fk_webhook_delivery_webhook_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["dispatch.case_event.id"], name=op.f("fk_webhook_delivery_event_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_delivery")),
        schema="api",
    )
    op.create_index("ix_webhook_delivery_log", "webhook_delivery", ["webhook_id", sa.text("id DESC")], schema="api")
    op.create_index(
        "ix_webhook_delivery_waiting",
        "webhook_delivery",
        ["webhook_id", "id"],
        schema="api",
        postgresql_where=sa.text("state = 'waiting'"),
    )


def downgrade() -> None:
    """Take the tables back, with what they hold."""
    for name in ("webhook_delivery", "webhook_secret", "webhook"):
        op.drop_table(name, schema="api")
