"""Tables of the dispatcher's page: who looks at which case, views under a name, notes from shift to shift."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Text, UniqueConstraint, func
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from geo.storage.base import Base
from geo.storage.tables import INSTANT

SCHEMA = "api"


class ViewingRow(Base):
    """A desk that has a case open. Unlogged: after a crash every page says so again within seconds."""

    __tablename__ = "viewing"
    __table_args__ = ({"schema": SCHEMA, "prefixes": ["UNLOGGED"]},)

    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id", ondelete="CASCADE"), primary_key=True)
    desk: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    is_drafting: Mapped[bool] = mapped_column(server_default=sql("false"))
    since: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    until: Mapped[datetime] = mapped_column(INSTANT)


class SavedViewRow(Base):
    """Filters of the page under a name, of one person."""

    __tablename__ = "saved_view"
    __table_args__ = (UniqueConstraint("owner", "name"), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    saved_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())


class ShiftNoteRow(Base):
    """What one shift tells the next, with the state of the inboxes at that moment."""

    __tablename__ = "shift_note"
    __table_args__ = (Index("ix_shift_note_at", sql("at DESC")), {"schema": SCHEMA})

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    author: Mapped[str] = mapped_column(Text)
    author_name: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    counts: Mapped[Any] = mapped_column(JSONB)
