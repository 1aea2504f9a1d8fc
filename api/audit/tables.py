"""Table of the audit trail (PostgreSQL schema ``audit``)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from geo.storage.base import Base
from geo.storage.tables import INSTANT


class RecordRow(Base):
    """A record of the trail.

    ``content`` is what was digested, word for word; the columns before it say the same, for searching. A trigger fills
    in number, instant, content, ``previous`` and ``digest``, and refuses every change afterwards.
    """

    __tablename__ = "record"
    __table_args__ = (
        UniqueConstraint("previous", name="uq_record_previous"),
        CheckConstraint("number >= 1", name="number"),
        Index("ix_record_recorded", sql("recorded_at DESC")),
        Index("ix_record_kind", "kind", sql("number DESC")),
        Index("ix_record_actor", "actor_id", sql("number DESC")),
        Index("ix_record_subject", "subject", sql("number DESC")),
        {"schema": "audit"},
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    recorded_at: Mapped[datetime] = mapped_column(INSTANT)
    kind: Mapped[str] = mapped_column(Text)
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    detail: Mapped[Any] = mapped_column(JSONB)
    content: Mapped[str] = mapped_column(Text)
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
