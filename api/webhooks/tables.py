"""Tables of the webhooks (PostgreSQL schema ``api``)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.orm import Mapped, mapped_column

from api.accounts.tables import SCHEMA
from geo.storage.base import Base
from geo.storage.tables import INSTANT


class WebhookRow(Base):
    """An address that events are sent to, and how far it has got.

    The cursor is the place in the feed up to which everything was delivered or was not wanted; ``lease`` says which
    worker is sending. A cursor and not a queue: nothing is copied, nothing is skipped, and the order is the feed's.
    """

    __tablename__ = "webhook"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'paused', 'parked', 'gone')", name="state"),
        CheckConstraint("(lease IS NULL) = (leased_until IS NULL)", name="lease_has_end"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    channel_code: Mapped[str | None] = mapped_column(ForeignKey("dispatch.channel.code"))
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text, server_default="")
    types: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    state: Mapped[str] = mapped_column(Text, server_default="active")
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    cursor_txid: Mapped[int] = mapped_column(BigInteger)
    cursor_event: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    last_success_at: Mapped[datetime | None] = mapped_column(INSTANT)
    stopped_at: Mapped[datetime | None] = mapped_column(INSTANT)
    turn_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    lease: Mapped[UUID | None]
    leased_until: Mapped[datetime | None] = mapped_column(INSTANT)
    # What its maker saw; both empty: no limit beside the channel's.
    cells: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    departments: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")


class WebhookSecretRow(Base):
    """A signing key. Kept readable, as signing needs it; who reads this table can sign (docs/webhooks.md)."""

    __tablename__ = "webhook_secret"
    __table_args__ = (Index("ix_webhook_secret_webhook", "webhook_id"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("api.webhook.id", ondelete="CASCADE"))
    secret: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column(INSTANT)


class WebhookDeliveryRow(Base):
    """One attempt. ``waiting`` ones were asked for by hand (a replay, a test) and are sent once."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        CheckConstraint("kind IN ('event', 'replay', 'test')", name="kind"),
        CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
        CheckConstraint("(kind = 'test') = (event_id IS NULL)", name="event_unless_test"),
        CheckConstraint("(state = 'waiting') = (finished_at IS NULL)", name="finished_unless_waiting"),
        Index("ix_webhook_delivery_log", "webhook_id", sql("id DESC")),
        Index("ix_webhook_delivery_waiting", "webhook_id", "id", postgresql_where=sql("state = 'waiting'")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("api.webhook.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(Text)
    event_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch.case_event.id"))
    message_id: Mapped[str] = mapped_column(Text, server_default="")
    type: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    status: Mapped[int | None] = mapped_column(SmallInteger)
    error: Mapped[str | None] = mapped_column(Text)
    duration_ms: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    finished_at: Mapped[datetime | None] = mapped_column(INSTANT)
