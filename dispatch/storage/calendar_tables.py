"""Tables of kept calendars, and of limits in seasons and phases."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Integer, Numeric, SmallInteger, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.deadlines import LimitUnit
from dispatch.storage.reference_tables import SCHEMA, one_of
from geo.storage.base import Base
from geo.storage.tables import INSTANT


def _of_condition(name: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["category_code", "number"],
        ["dispatch.category_condition.category_code", "dispatch.category_condition.number"],
        name=name,
        ondelete="CASCADE",
    )


class CalendarRevisionRow(Base):
    """A state of a year's table and of the working hours; the newest is what ``calendar_day`` holds."""

    __tablename__ = "calendar_revision"
    __table_args__ = (
        CheckConstraint(one_of("source", ("json", "csv", "ics", "hours", "loaded")), name="source"),
        {"schema": SCHEMA},
    )

    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"), primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    made_at: Mapped[datetime] = mapped_column(INSTANT)
    made_by: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, server_default="")
    is_published: Mapped[bool]
    days: Mapped[Any] = mapped_column(JSONB)
    hours: Mapped[Any] = mapped_column(JSONB)


class LimitSeasonRow(Base):
    """Another limit of a condition in a window of the year, ``MM-DD`` to ``MM-DD``; ``year`` empty means every year."""

    __tablename__ = "limit_season"
    __table_args__ = (
        _of_condition("fk_limit_season_condition"),
        CheckConstraint(r"first_day ~ '^\d\d-\d\d$' AND last_day ~ '^\d\d-\d\d$'", name="days"),
        CheckConstraint(one_of("limit_unit", LimitUnit), name="unit"),
        CheckConstraint("limit_value > 0", name="positive"),
        {"schema": SCHEMA},
    )

    category_code: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, server_default="")
    first_day: Mapped[str] = mapped_column(Text)
    last_day: Mapped[str] = mapped_column(Text)
    year: Mapped[int | None] = mapped_column(SmallInteger)
    limit_value: Mapped[Decimal] = mapped_column(Numeric(8, 2))
    limit_unit: Mapped[str] = mapped_column(Text)


class LimitPhaseRow(Base):
    """A phase of a condition's limit, counted from the same start: stop work 4 h, penalty 7 days."""

    __tablename__ = "limit_phase"
    __table_args__ = (
        _of_condition("fk_limit_phase_condition"),
        CheckConstraint(one_of("limit_unit", LimitUnit), name="unit"),
        CheckConstraint("limit_value > 0", name="positive"),
        {"schema": SCHEMA},
    )

    category_code: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    place: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    limit_value: Mapped[Decimal] = mapped_column(Numeric(8, 2))
    limit_unit: Mapped[str] = mapped_column(Text)
