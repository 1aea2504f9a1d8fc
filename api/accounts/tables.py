"""Tables of the doors (PostgreSQL schema ``api``)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Identity, LargeBinary, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from geo.storage.base import Base
from geo.storage.tables import INSTANT

SCHEMA = "api"


class ApiKeyRow(Base):
    """A channel's key: shown once, kept as a digest; the prefix finds the row and may be written in logs."""

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("prefix"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    channel_code: Mapped[str] = mapped_column(ForeignKey("dispatch.channel.code"))
    prefix: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(INSTANT)
    last_used_at: Mapped[datetime | None] = mapped_column(INSTANT)
