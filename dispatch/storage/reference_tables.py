"""Tables of the data that rules are fed with (PostgreSQL schema ``dispatch``): categories, channels, calendars, posts.

Codes, not row ids, tie posts to cells: a cell's row belongs to one grid version, while the post "grid head of
410102001001003" outlives a redraw that keeps the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from geo.storage.base import Base
from geo.storage.tables import INSTANT

SCHEMA = "dispatch"

POST_KINDS = (
    "grid_head",
    "assistant",
    "building_head",
    "street_head",
    "acceptor",
    "shift_leader",
    "dispatcher",
    "department_handler",
    "evaluator",
    "leader",
    "volunteer_group",
)


def one_of(column: str, values: Iterable[str]) -> str:
    """SQL condition: a column holds one of these words."""
    quoted = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({quoted})"


class DepartmentRow(Base):
    """A line department (条) that handles cases: urban management, sanitation, greening …"""

    __tablename__ = "department"
    __table_args__ = ({"schema": SCHEMA},)

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=sql("true"))


class CategoryRow(Base):
    """Major and minor classes; parts, events and social-governance classes share one tree."""

    __tablename__ = "category"
    __table_args__ = (
        CheckConstraint("kind IN ('part', 'event', 'social')", name="kind"),
        {"schema": SCHEMA},
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    code_system: Mapped[str] = mapped_column(Text, server_default="gridward")
    kind: Mapped[str] = mapped_column(Text)
    parent: Mapped[str | None] = mapped_column(ForeignKey("dispatch.category.code"))
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=sql("true"))


class CategoryConditionRow(Base):
    """A filing condition of a minor class; the handling limit belongs to (category, condition)."""

    __tablename__ = "category_condition"
    __table_args__ = (
        CheckConstraint("limit_unit IN ('urgent_hour', 'working_hour', 'working_day', 'natural_day')", name="unit"),
        CheckConstraint("limit_value > 0", name="limit_positive"),
        Index("ix_category_condition_one_default", "category_code", unique=True, postgresql_where=sql("is_default")),
        {"schema": SCHEMA},
    )

    category_code: Mapped[str] = mapped_column(ForeignKey("dispatch.category.code"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    limit_value: Mapped[Decimal] = mapped_column(Numeric(8, 2))
    limit_unit: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(server_default=sql("false"))


class LedgerRow(Base):
    """A ledger (台账) or campaign: a tag beside the category, with rates of its own."""

    __tablename__ = "ledger"
    __table_args__ = ({"schema": SCHEMA},)

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=sql("true"))


class RepeatRuleRow(Base):
    """When reports are of one place and one matter: for a class, else its major class, else for all (empty code).

    Units: radius_m metres; the rest by name. ``site_count`` reports in ``site_days`` make a repeat site; a case closed
    less than ``look_back_days`` before the next report of its place is looked at again.
    """

    __tablename__ = "repeat_rule"
    __table_args__ = (
        CheckConstraint("radius_m BETWEEN 1 AND 5000", name="radius"),
        CheckConstraint(
            "window_hours BETWEEN 1 AND 8760 AND site_days BETWEEN 1 AND 3660 AND look_back_days BETWEEN 0 AND 3660",
            name="times",
        ),
        CheckConstraint("site_count >= 2", name="count"),
        {"schema": SCHEMA},
    )

    category_code: Mapped[str] = mapped_column(Text, primary_key=True)
    radius_m: Mapped[int] = mapped_column(Integer, server_default="50")
    window_hours: Mapped[int] = mapped_column(Integer, server_default="72")
    with_siblings: Mapped[bool] = mapped_column(server_default=sql("true"))
    site_count: Mapped[int] = mapped_column(SmallInteger, server_default="3")
    site_days: Mapped[int] = mapped_column(SmallInteger, server_default="90")
    look_back_days: Mapped[int] = mapped_column(SmallInteger, server_default="30")


class ChannelRow(Base):
    """Where reports come in: hotline, city app, patrol, camera; an import has its own."""

    __tablename__ = "channel"
    __table_args__ = (
        CheckConstraint("code ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$'", name="code"),
        CheckConstraint("start_rule IN ('dispatch', 'next_day')", name="start_rule"),
        {"schema": SCHEMA},
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    start_rule: Mapped[str] = mapped_column(Text, server_default="dispatch")


class CalendarDayRow(Base):
    """A day that the official yearly table names: a holiday, or a make-up workday."""

    __tablename__ = "calendar_day"
    __table_args__ = (
        CheckConstraint("kind IN ('workday', 'holiday', 'morning', 'afternoon')", name="kind"),
        {"schema": SCHEMA},
    )

    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, server_default="")


class CalendarYearRow(Base):
    """A year whose official table is loaded; deadlines that reach any other year are provisional (暂定)."""

    __tablename__ = "calendar_year"
    __table_args__ = ({"schema": SCHEMA},)

    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"), primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    loaded_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    is_published: Mapped[bool] = mapped_column(server_default=sql("true"))
    revision: Mapped[int] = mapped_column(Integer, server_default="1")


class WorkingHoursRow(Base):
    """The spans of a working day, wall-clock in the jurisdiction's zone."""

    __tablename__ = "working_hours"
    __table_args__ = (CheckConstraint("starts < ends OR ends = '00:00'", name="order"), {"schema": SCHEMA})

    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"), primary_key=True)
    starts: Mapped[time] = mapped_column(primary_key=True)
    ends: Mapped[time]


class PersonRow(Base):
    """Somebody who can hold a post. The staff number (工号) tells two people of one name apart."""

    __tablename__ = "person"
    __table_args__ = (
        UniqueConstraint("jurisdiction", "staff_number", name="uq_person_staff_number"),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    name: Mapped[str] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=sql("true"))
    staff_number: Mapped[str | None] = mapped_column(Text)
    #: In whose area somebody is who holds neither a post nor a role yet.
    care_cell: Mapped[str | None] = mapped_column(Text)
    care_department: Mapped[str | None] = mapped_column(Text)


class PostRow(Base):
    """A typed post of a cell or a department; rank A is the primary, rank B the backup.

    A shared post may have several holders at a time, who relieve each other by shifts; any other has one at most.
    """

    __tablename__ = "post"
    __table_args__ = (
        CheckConstraint(one_of("kind", POST_KINDS), name="kind"),
        CheckConstraint("rank IN ('A', 'B')", name="rank"),
        CheckConstraint("kind <> 'grid_head' OR cell_code IS NOT NULL", name="grid_head_has_cell"),
        CheckConstraint("valid_until > valid_from", name="validity_order"),
        # One A post and one B post per cell at any instant: two primary heads would mean that nobody is.
        ExcludeConstraint(
            (literal_column("jurisdiction"), "="),
            (literal_column("cell_code"), "="),
            (literal_column("rank"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=sql("kind = 'grid_head'"),
            using="gist",
            name="ex_post_one_head",
        ),
        UniqueConstraint("id", "is_shared", name="uq_post_shared"),
        Index("ix_post_cell", "jurisdiction", "cell_code", postgresql_where=sql("kind = 'grid_head'")),
        Index(
            "ix_post_department",
            "jurisdiction",
            "department_code",
            postgresql_where=sql("department_code IS NOT NULL"),
        ),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    kind: Mapped[str] = mapped_column(Text)
    rank: Mapped[str] = mapped_column(Text, server_default="A")
    cell_code: Mapped[str | None] = mapped_column(Text)
    department_code: Mapped[str | None] = mapped_column(ForeignKey("dispatch.department.code"))
    title_zh: Mapped[str] = mapped_column(Text)
    title_en: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[datetime] = mapped_column(INSTANT)
    valid_until: Mapped[datetime | None] = mapped_column(INSTANT)
    is_shared: Mapped[bool] = mapped_column(server_default=sql("false"))


class AppointmentRow(Base):
    """Who holds a post, from when until when. ``is_shared`` is the post's, held equal by the foreign key."""

    __tablename__ = "appointment"
    __table_args__ = (
        CheckConstraint("valid_until > valid_from", name="validity_order"),
        ExcludeConstraint(
            (literal_column("post_id"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            where=sql("NOT is_shared"),
            using="gist",
            name="ex_appointment_one_holder",
        ),
        ExcludeConstraint(
            (literal_column("post_id"), "="),
            (literal_column("person_id"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            using="gist",
            name="ex_appointment_once",
        ),
        ForeignKeyConstraint(
            ["post_id", "is_shared"],
            ["dispatch.post.id", "dispatch.post.is_shared"],
            onupdate="CASCADE",
            name="fk_appointment_shared",
        ),
        # The exclusion constraint's GiST index could answer, at several times the price; this is asked per report.
        Index("ix_appointment_post", "post_id"),
        Index("ix_appointment_person", "person_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("dispatch.post.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id"))
    valid_from: Mapped[datetime] = mapped_column(INSTANT)
    valid_until: Mapped[datetime | None] = mapped_column(INSTANT)
    is_shared: Mapped[bool] = mapped_column(server_default=sql("false"))


class LeaveRow(Base):
    """A person is away; their backup answers meanwhile."""

    __tablename__ = "leave"
    __table_args__ = (
        CheckConstraint("ends_at > starts_at", name="order"),
        Index("ix_leave_person", "person_id", "ends_at"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id"))
    starts_at: Mapped[datetime] = mapped_column(INSTANT)
    ends_at: Mapped[datetime] = mapped_column(INSTANT)
    reason: Mapped[str] = mapped_column(Text, server_default="")


class ProfileRow(Base):
    """How a subdistrict works: steps it walks separately, whether certain cases dispatch themselves, stage limits.

    ``cell_code`` is a level-1 cell, or empty for the whole jurisdiction; no row means the server defaults below.
    Units: minutes, day and night.
    """

    __tablename__ = "profile"
    __table_args__ = (
        CheckConstraint("line IN ('full', 'short')", name="line"),
        CheckConstraint(
            "least(accept_minutes, verify_minutes, dispatch_minutes, acknowledge_minutes, check_minutes,"
            " supervision_minutes) > 0",
            name="minutes",
        ),
        {"schema": SCHEMA},
    )

    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"), primary_key=True)
    cell_code: Mapped[str] = mapped_column(Text, primary_key=True, server_default="")
    line: Mapped[str] = mapped_column(Text, server_default="short")
    dispatches_itself: Mapped[bool] = mapped_column(server_default=sql("true"))
    accept_minutes: Mapped[int] = mapped_column(Integer, server_default="15")
    verify_minutes: Mapped[int] = mapped_column(Integer, server_default="30")
    dispatch_minutes: Mapped[int] = mapped_column(Integer, server_default="15")
    acknowledge_minutes: Mapped[int] = mapped_column(Integer, server_default="30")
    check_minutes: Mapped[int] = mapped_column(Integer, server_default="30")
    supervision_minutes: Mapped[int] = mapped_column(Integer, server_default="1440")
