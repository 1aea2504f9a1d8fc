"""Tables of shifts, hand-overs of posts and the matrix from cell and category to department."""

from __future__ import annotations

from datetime import date, datetime, time
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Text,
    func,
    literal_column,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.routing import Mode
from dispatch.storage.reference_tables import SCHEMA, one_of
from geo.storage.base import Base
from geo.storage.tables import INSTANT

__all__ = ["HandOverRow", "RoutingRow", "ShiftExceptionRow", "ShiftRow"]


class ShiftRow(Base):
    """A span of duty that comes round: on some days of a cycle, from a wall-clock time to another.

    An end that is not after its start lies on the next day. Without a person it is meant for every holder of the post.
    Day 0 of the cycle is ``anchor``. Zone: the jurisdiction's. Boundary: days ``[first_day, last_day]``.
    """

    __tablename__ = "shift"
    __table_args__ = (
        CheckConstraint("cycle_days BETWEEN 1 AND 366", name="cycle"),
        CheckConstraint(
            "cardinality(on_days) > 0 AND 0 <= ALL (on_days) AND cycle_days > ALL (on_days)", name="on_days"
        ),
        CheckConstraint("starts < '24:00' AND ends < '24:00'", name="times"),
        CheckConstraint("last_day >= first_day", name="order"),
        Index("ix_shift_post", "post_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("dispatch.post.id"))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))
    name: Mapped[str] = mapped_column(Text, server_default="")
    cycle_days: Mapped[int] = mapped_column(SmallInteger)
    anchor: Mapped[date]
    on_days: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    starts: Mapped[time]
    ends: Mapped[time]
    first_day: Mapped[date]
    last_day: Mapped[date | None]


class ShiftExceptionRow(Base):
    """A day on which a post's duty is not as its pattern says: other times, or none at all."""

    __tablename__ = "shift_exception"
    __table_args__ = (
        CheckConstraint("(starts IS NULL) = (ends IS NULL)", name="both"),
        CheckConstraint("starts < '24:00' AND ends < '24:00'", name="times"),
        Index("ix_shift_exception_post", "post_id", "day"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("dispatch.post.id"))
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))
    day: Mapped[date]
    starts: Mapped[time | None]
    ends: Mapped[time | None]
    reason: Mapped[str] = mapped_column(Text, server_default="")


class HandOverRow(Base):
    """Who handed a post to whom, with which open cases and words, and when that was acknowledged."""

    __tablename__ = "post_hand_over"
    __table_args__ = (
        CheckConstraint("from_person_id IS DISTINCT FROM to_person_id", name="two"),
        CheckConstraint("(acknowledged_at IS NULL) = (acknowledged_by IS NULL)", name="acknowledged"),
        Index("ix_post_hand_over_post", "post_id", sql("handed_at DESC")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("dispatch.post.id"))
    from_person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))
    to_person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id"))
    handed_at: Mapped[datetime] = mapped_column(INSTANT)
    recorded_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    notes: Mapped[str] = mapped_column(Text, server_default="")
    cases: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    made_by: Mapped[str] = mapped_column(Text)
    acknowledged_at: Mapped[datetime | None] = mapped_column(INSTANT)
    acknowledged_by: Mapped[str | None] = mapped_column(Text)


class RoutingRow(Base):
    """A line of the matrix: a class (empty: any) in a cell's subtree (empty: everywhere) belongs to a department."""

    __tablename__ = "routing"
    __table_args__ = (
        CheckConstraint(one_of("mode", Mode), name="mode"),
        CheckConstraint("mode <> 'fallback' OR category_code = ''", name="fallback_has_no_category"),
        CheckConstraint("valid_until > valid_from", name="validity_order"),
        ExcludeConstraint(
            (literal_column("jurisdiction"), "="),
            (literal_column("cell_code"), "="),
            (literal_column("category_code"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=sql("mode <> 'fallback'"),
            using="gist",
            name="ex_routing_one_rule",
        ),
        ExcludeConstraint(
            (literal_column("jurisdiction"), "="),
            (literal_column("cell_code"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=sql("mode = 'fallback'"),
            using="gist",
            name="ex_routing_one_fallback",
        ),
        Index("ix_routing_place", "jurisdiction", "cell_code", "category_code"),
        Index("ix_routing_department", "department_code"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    cell_code: Mapped[str] = mapped_column(Text, server_default="")
    category_code: Mapped[str] = mapped_column(Text, server_default="")
    department_code: Mapped[str] = mapped_column(ForeignKey("dispatch.department.code"))
    mode: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, server_default="")
    valid_from: Mapped[datetime] = mapped_column(INSTANT)
    valid_until: Mapped[datetime | None] = mapped_column(INSTANT)
