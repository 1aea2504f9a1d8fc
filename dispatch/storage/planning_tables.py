"""What planners keep: who finds the cases of a channel, and rates as they stood when a month was frozen."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Integer, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.storage.tables import SCHEMA
from geo.storage.base import Base
from geo.storage.tables import INSTANT


class ChannelFinderRow(Base):
    """Whether the cases of a channel are found by patrols, by devices, or told by citizens.

    A channel without a row: patrol and camera are what their codes say, every other one is citizens'.
    """

    __tablename__ = "channel_finder"
    __table_args__ = (
        CheckConstraint("found_by IN ('patrol', 'device', 'citizen')", name="found_by"),
        {"schema": SCHEMA},
    )

    channel_code: Mapped[str] = mapped_column(ForeignKey("dispatch.channel.code"), primary_key=True)
    found_by: Mapped[str] = mapped_column(Text)


class FrozenMonthRow(Base):
    """A month whose rates were written down. Boundary: ``month`` is its first day."""

    __tablename__ = "frozen_month"
    __table_args__ = (CheckConstraint("extract(day from month) = 1", name="first_day"), {"schema": SCHEMA})

    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    frozen_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())


class FrozenRateRow(Base):
    """One number of a frozen month. Append-only, also in the database."""

    __tablename__ = "frozen_rate"
    __table_args__ = (
        ForeignKeyConstraint(
            ["jurisdiction", "month"],
            ["dispatch.frozen_month.jurisdiction", "dispatch.frozen_month.month"],
            name="fk_frozen_rate_month",
        ),
        CheckConstraint("numerator BETWEEN 0 AND denominator", name="share"),
        {"schema": SCHEMA},
    )

    jurisdiction: Mapped[str] = mapped_column(Text, primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    dimension: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    rate: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(SmallInteger)
    numerator: Mapped[int] = mapped_column(Integer)
    denominator: Mapped[int] = mapped_column(Integer)
