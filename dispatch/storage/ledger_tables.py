"""Ledgers beside a case: approved pauses and extensions, what an earlier clock epoch ended with, what may be undone.

Nothing makes a deadline later without a row here.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, SmallInteger, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.storage.reference_tables import SCHEMA
from geo.storage.base import Base
from geo.storage.tables import INSTANT


class CasePauseRow(Base):
    """A time in which the handling clock stood still by approval. Boundary: ``[starts_at, ends_at)``."""

    __tablename__ = "case_pause"
    __table_args__ = (
        CheckConstraint("ends_at >= starts_at", name="order"),
        CheckConstraint("ends_at <= starts_at + interval '366 days'", name="at_most_a_year"),
        Index("ix_case_pause_case", "case_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"))
    clock_epoch: Mapped[int] = mapped_column(SmallInteger)
    starts_at: Mapped[datetime] = mapped_column(INSTANT)
    ends_at: Mapped[datetime] = mapped_column(INSTANT)
    approved_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    due_before: Mapped[datetime] = mapped_column(INSTANT)
    due_after: Mapped[datetime] = mapped_column(INSTANT)


class CaseExtensionRow(Base):
    """An approved extension: the deadline before it and after it."""

    __tablename__ = "case_extension"
    __table_args__ = (CheckConstraint("number BETWEEN 1 AND 2", name="number"), {"schema": SCHEMA})

    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    clock_epoch: Mapped[int] = mapped_column(SmallInteger)
    approved_at: Mapped[datetime] = mapped_column(INSTANT)
    approved_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text, server_default="")
    due_before: Mapped[datetime] = mapped_column(INSTANT)
    due_after: Mapped[datetime] = mapped_column(INSTANT)


class CaseEpochRow(Base):
    """How an earlier clock epoch ended: reopening starts a new one and leaves these times as they were."""

    __tablename__ = "case_epoch"
    __table_args__ = ({"schema": SCHEMA},)

    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"), primary_key=True)
    clock_epoch: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    dispatched_at: Mapped[datetime | None] = mapped_column(INSTANT)
    acknowledged_at: Mapped[datetime | None] = mapped_column(INSTANT)
    handled_at: Mapped[datetime | None] = mapped_column(INSTANT)
    checked_at: Mapped[datetime | None] = mapped_column(INSTANT)
    closed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    due_at: Mapped[datetime | None] = mapped_column(INSTANT)
    is_on_time: Mapped[bool | None]
    closed_level: Mapped[int | None] = mapped_column(SmallInteger)


class CaseUndoRow(Base):
    """What a case was before a bulk move that may be taken back for some seconds."""

    __tablename__ = "case_undo"
    __table_args__ = ({"schema": SCHEMA},)

    token: Mapped[UUID] = mapped_column(primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"), primary_key=True)
    version: Mapped[int]
    before: Mapped[Any] = mapped_column(JSONB)
    made_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
