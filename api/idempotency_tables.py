"""Table of requests that carry an ``Idempotency-Key``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, SmallInteger, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from api.accounts.tables import SCHEMA
from geo.storage.base import Base
from geo.storage.tables import INSTANT


class IdempotencyKeyRow(Base):
    """A key of a channel with what was asked and, once it is known, the answer. Kept for ever, like the tickets.

    Without an answer the request is still running, or its process died. ``body`` is compressed.
    """

    __tablename__ = "idempotency_key"
    __table_args__ = (
        CheckConstraint("(status IS NULL) = (body IS NULL)", name="answer"),
        {"schema": SCHEMA},
    )

    channel_code: Mapped[str] = mapped_column(ForeignKey("dispatch.channel.code"), primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    begun_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[Any | None] = mapped_column(JSONB)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
