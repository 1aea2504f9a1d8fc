"""Table of what was found out about the coordinate systems that channels declare (schema ``dispatch``)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Integer, Text, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.storage.reference_tables import SCHEMA
from geo.storage.base import Base
from geo.storage.tables import INSTANT


class ChannelDatumRow(Base):
    """The last look at the reports of a channel that declared one system; written by the worker, read at the door.

    ``suspected`` names readings, best first, such as ``gcj02`` or ``wgs84/swapped``; empty unless the verdict is
    ``suspect``.
    """

    __tablename__ = "channel_datum"
    __table_args__ = (
        CheckConstraint("verdict IN ('fits', 'suspect', 'cannot_tell', 'too_few')", name="verdict"),
        CheckConstraint("(verdict = 'suspect') = (cardinality(suspected) > 0)", name="suspected"),
        {"schema": SCHEMA},
    )

    channel_code: Mapped[str] = mapped_column(ForeignKey("dispatch.channel.code"), primary_key=True)
    declared: Mapped[str] = mapped_column(Text, primary_key=True)
    verdict: Mapped[str] = mapped_column(Text)
    confidence: Mapped[str] = mapped_column(Text)
    suspected: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    points: Mapped[int] = mapped_column(Integer)
    places: Mapped[int] = mapped_column(Integer)
    checked_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
