"""Tables of the dispatch floor (PostgreSQL schema ``dispatch``).

Codes, not row ids, tie posts and cases to cells: a cell's row belongs to one grid version, while the post
"grid head of 410102001001003" outlives a redraw that keeps the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import (
    ARRAY,
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
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from dispatch.states import HAND_OVER_STATES, OPEN_STATES, CaseState, Origin
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


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id; unlike ``xid`` it never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the DDL name."""
        return "XID8"


# Reflection (``alembic check``) must know the type as well, or it warns about a column it cannot name.
ischema_names["xid8"] = Xid8


def _one_of(column: str, values: Iterable[str]) -> str:
    quoted = ", ".join(f"'{value}'" for value in values)
    return f"{column} IN ({quoted})"


class DepartmentRow(Base):
    """A line department (条) that handles cases: urban management, sanitation, greening …"""

    __tablename__ = "department"
    __table_args__ = ({"schema": SCHEMA},)

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)


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


class WorkingHoursRow(Base):
    """The spans of a working day, wall-clock in the jurisdiction's zone."""

    __tablename__ = "working_hours"
    __table_args__ = (CheckConstraint("starts < ends OR ends = '00:00'", name="order"), {"schema": SCHEMA})

    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"), primary_key=True)
    starts: Mapped[time] = mapped_column(primary_key=True)
    ends: Mapped[time]


class PersonRow(Base):
    """Somebody who can hold a post."""

    __tablename__ = "person"
    __table_args__ = ({"schema": SCHEMA},)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    name: Mapped[str] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(server_default=sql("true"))


class PostRow(Base):
    """A typed post of a cell or a department; rank A is the primary, rank B the backup."""

    __tablename__ = "post"
    __table_args__ = (
        CheckConstraint(_one_of("kind", POST_KINDS), name="kind"),
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
        Index("ix_post_cell", "jurisdiction", "cell_code", postgresql_where=sql("kind = 'grid_head'")),
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


class AppointmentRow(Base):
    """Who holds a post, from when until when."""

    __tablename__ = "appointment"
    __table_args__ = (
        CheckConstraint("valid_until > valid_from", name="validity_order"),
        ExcludeConstraint(
            (literal_column("post_id"), "="),
            (literal_column("tstzrange(valid_from, valid_until)"), "&&"),
            using="gist",
            name="ex_appointment_one_holder",
        ),
        # The exclusion constraint's GiST index could answer, at several times the price; this is asked per report.
        Index("ix_appointment_post", "post_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("dispatch.post.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id"))
    valid_from: Mapped[datetime] = mapped_column(INSTANT)
    valid_until: Mapped[datetime | None] = mapped_column(INSTANT)


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


_OPEN = _one_of("state", sorted(OPEN_STATES))
_HAND_OVER = _one_of("state", sorted(HAND_OVER_STATES))


class CaseRow(Base):
    """The current state of a case; its history is `case_event`. ``dispatch_case`` because CASE is reserved.

    SRID: ``location`` 4326. The raw pair, the declared system and the decision (version, cell, how, rule) stay as
    they were on arrival: a redraw never rewrites an old case.
    """

    __tablename__ = "dispatch_case"
    __table_args__ = (
        UniqueConstraint("channel_code", "ticket", name="uq_dispatch_case_channel_ticket"),
        UniqueConstraint("ref", name="uq_dispatch_case_ref"),
        CheckConstraint(_one_of("state", CaseState), name="state"),
        CheckConstraint(_one_of("origin", Origin), name="origin"),
        CheckConstraint("located_how IN ('covers', 'out_of_grid', 'no_position')", name="located_how"),
        CheckConstraint("(located_how = 'covers') = (cell_id IS NOT NULL)", name="cell_when_covered"),
        CheckConstraint("(located_how = 'no_position') = (location IS NULL)", name="location_when_known"),
        # Facts that each state needs. Imported history may not know when it was closed, and says so by its origin.
        CheckConstraint(
            "state NOT IN ('dispatched', 'returned', 'handling', 'handled', 'checked') OR dispatched_at IS NOT NULL",
            name="dispatched_has_instant",
        ),
        CheckConstraint("state <> 'handling' OR acknowledged_at IS NOT NULL", name="handling_has_instant"),
        CheckConstraint("state NOT IN ('handled', 'checked') OR handled_at IS NOT NULL", name="handled_has_instant"),
        CheckConstraint("state <> 'closed' OR closed_at IS NOT NULL OR origin = 'imported'", name="closed_has_instant"),
        CheckConstraint("state <> 'suspended' OR suspended_until IS NOT NULL", name="suspended_has_end"),
        CheckConstraint(
            "state NOT IN ('dispatched', 'returned', 'handling') OR due_at IS NOT NULL", name="handling_has_deadline"
        ),
        Index("ix_dispatch_case_location", "location", postgresql_using="gist"),
        Index("ix_dispatch_case_reported", sql("reported_at DESC"), sql("id DESC")),
        Index("ix_dispatch_case_open", sql("reported_at DESC"), sql("id DESC"), postgresql_where=sql(_OPEN)),
        Index("ix_dispatch_case_rung", "next_rung_at", postgresql_where=sql("next_rung_at IS NOT NULL")),
        Index("ix_dispatch_case_path", "cell_path", postgresql_using="gin"),
        Index("ix_dispatch_case_category", "category_code", sql("reported_at DESC")),
        Index("ix_dispatch_case_cell", "grid_version_id", "cell_id"),
        # The worker finds what a redraw left behind by two range scans: everything below and above the valid version.
        Index(
            "ix_dispatch_case_owner_version",
            "jurisdiction",
            sql("COALESCE(owner_version_id, grid_version_id, 0)"),
            postgresql_where=sql(_HAND_OVER),
        ),
        ForeignKeyConstraint(
            ["grid_version_id", "cell_id"], ["geo.cell.version_id", "geo.cell.id"], name="fk_dispatch_case_cell"
        ),
        {"schema": SCHEMA},
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    ref: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    origin: Mapped[str] = mapped_column(Text, server_default="live")
    channel_code: Mapped[str] = mapped_column(ForeignKey("dispatch.channel.code"))
    ticket: Mapped[str] = mapped_column(Text)
    request_digest: Mapped[bytes | None]
    category_code: Mapped[str] = mapped_column(ForeignKey("dispatch.category.code"))
    condition_number: Mapped[int | None] = mapped_column(SmallInteger)
    text: Mapped[str] = mapped_column(Text, server_default="")
    address: Mapped[str] = mapped_column(Text, server_default="")
    ledgers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")

    location: Mapped[WKBElement | None] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
    raw_x: Mapped[float | None]
    raw_y: Mapped[float | None]
    coord_sys: Mapped[str | None] = mapped_column(Text)
    grid_version_id: Mapped[int | None] = mapped_column(ForeignKey("geo.grid_version.id"))
    cell_id: Mapped[int | None] = mapped_column(BigInteger)
    cell_path: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    located_how: Mapped[str] = mapped_column(Text)
    tie_rule: Mapped[str] = mapped_column(Text, server_default="edge-1")
    nearest: Mapped[Any | None] = mapped_column(JSONB)

    state: Mapped[str] = mapped_column(Text)
    reported_at: Mapped[datetime] = mapped_column(INSTANT)
    accepted_at: Mapped[datetime | None] = mapped_column(INSTANT)
    filed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    dispatched_at: Mapped[datetime | None] = mapped_column(INSTANT)
    acknowledged_at: Mapped[datetime | None] = mapped_column(INSTANT)
    handled_at: Mapped[datetime | None] = mapped_column(INSTANT)
    checked_at: Mapped[datetime | None] = mapped_column(INSTANT)
    closed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    suspended_until: Mapped[datetime | None] = mapped_column(INSTANT)
    due_at: Mapped[datetime | None] = mapped_column(INSTANT)
    due_provisional: Mapped[bool] = mapped_column(server_default=sql("false"))
    warn_at: Mapped[datetime | None] = mapped_column(INSTANT)
    clock_epoch: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    next_rung_at: Mapped[datetime | None] = mapped_column(INSTANT)
    is_on_time: Mapped[bool | None]
    closed_level: Mapped[int | None] = mapped_column(SmallInteger)
    rework_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    return_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")

    owner_post_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch.post.id"))
    owner_person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))
    owner_ladder: Mapped[Any | None] = mapped_column(JSONB)
    # Who answers now may follow a later drawing than the one that placed the case; both stay empty until a redraw.
    owner_version_id: Mapped[int | None] = mapped_column(Integer)
    owner_path: Mapped[list[str] | None] = mapped_column(ARRAY(Text))


class CaseEventRow(Base):
    """Append-only history: one row per act, an act being one or more moves made at once by one actor.

    ``txid`` lets a reader stop before transactions that are still running, so that a row which commits late is
    never skipped (decision 0004).
    """

    __tablename__ = "case_event"
    __table_args__ = (
        UniqueConstraint("case_id", "seq", name="uq_case_event_case_seq"),
        CheckConstraint("cardinality(moves) > 0", name="moves"),
        CheckConstraint("type ~ '^case[.][a-z_]+[.]v[0-9]+$'", name="type"),
        Index("ix_case_event_feed", "txid", "id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"))
    seq: Mapped[int] = mapped_column(Integer)
    type: Mapped[str] = mapped_column(Text)
    moves: Mapped[list[str]] = mapped_column(ARRAY(Text))
    from_state: Mapped[str | None] = mapped_column(Text)
    to_state: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(INSTANT)
    recorded_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    actor_kind: Mapped[str] = mapped_column(Text)
    actor_id: Mapped[str] = mapped_column(Text, server_default="")
    payload: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    txid: Mapped[int] = mapped_column(Xid8, server_default=sql("pg_current_xact_id()"))


class OutboxRow(Base):
    """Work that a committed event still has to cause; the row goes away when the work is done."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "next_attempt_at", "id", postgresql_where=sql("parked_at IS NULL")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("dispatch.case_event.id"))
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    last_error: Mapped[str | None] = mapped_column(Text)
    parked_at: Mapped[datetime | None] = mapped_column(INSTANT)


class NotificationRow(Base):
    """Who was told what, and when; UNIQUE makes a repeated relay harmless."""

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("event_id", "person_id", "medium", name="uq_notification_once"),
        Index("ix_notification_person", "person_id", sql("sent_at DESC")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("dispatch.case_event.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id"))
    medium: Mapped[str] = mapped_column(Text)
    body_key: Mapped[str] = mapped_column(Text)
    params: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    sent_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())


class EscalationRow(Base):
    """A rung that has fired. The primary key is the promise: once per case, rung and clock epoch."""

    __tablename__ = "escalation"
    __table_args__ = ({"schema": SCHEMA},)

    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"), primary_key=True)
    rung: Mapped[str] = mapped_column(Text, primary_key=True)
    clock_epoch: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    fired_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))


class WorkerSignalRow(Base):
    """A sign of life per worker duty; readiness looks at its age, so a silent worker is seen."""

    __tablename__ = "worker_signal"
    __table_args__ = ({"schema": SCHEMA},)

    duty: Mapped[str] = mapped_column(Text, primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    detail: Mapped[Any] = mapped_column(JSONB, server_default="{}")
