"""Tables of the search by words; functions and reasons in ``alembic/sql/0012_words.sql``."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ForeignKey, Index, Text
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.storage.tables import SCHEMA, Xid8
from geo.storage.base import Base


class CaseWordsRow(Base):
    """Characters and pairs of characters of what a case says. Written by the worker, soon after the case."""

    __tablename__ = "case_words"
    __table_args__ = (
        Index("ix_case_words_terms", "terms", postgresql_using="gin"),
        {"schema": SCHEMA},
    )

    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id", ondelete="CASCADE"), primary_key=True)
    terms: Mapped[list[str]] = mapped_column(ARRAY(Text))


class WordsReadRow(Base):
    """How far in the feed the words have been read: one row."""

    __tablename__ = "words_read"
    __table_args__ = (CheckConstraint("is_only", name="only"), {"schema": SCHEMA})

    is_only: Mapped[bool] = mapped_column(primary_key=True, server_default=sql("true"))
    txid: Mapped[int] = mapped_column(Xid8)
    event_id: Mapped[int] = mapped_column(BigInteger)
