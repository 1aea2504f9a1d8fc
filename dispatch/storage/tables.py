"""Tables of the dispatch floor (PostgreSQL schema ``dispatch``).

Codes, not row ids, tie posts and cases to cells: a cell's row belongs to one grid version, while the post
"grid head of 410102001001003" outlives a redraw that keeps the code.
"""

from __future__ import annotations

from datetime import datetime
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
)
from sqlalchemy import (
    text as sql,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from dispatch.guards import Request
from dispatch.states import HAND_OVER_STATES, OPEN_STATES, CaseState, Origin
from dispatch.storage.escalation_tables import (
    CLIMBING,
    UNARMED,
    EscalationRow,
    LadderRow,
    LadderRungRow,
    NotificationRow,
    PersonContactRow,
    WorkerFaultRow,
)
from dispatch.storage.ledger_tables import CaseEpochRow, CaseExtensionRow, CasePauseRow, CaseUndoRow
from dispatch.storage.reference_tables import (
    POST_KINDS,
    SCHEMA,
    AppointmentRow,
    CalendarDayRow,
    CalendarYearRow,
    CategoryConditionRow,
    CategoryRow,
    ChannelRow,
    DepartmentRow,
    LeaveRow,
    LedgerRow,
    PersonRow,
    PostRow,
    ProfileRow,
    RepeatRuleRow,
    WorkingHoursRow,
    one_of,
)
from geo.storage.base import Base
from geo.storage.tables import INSTANT

__all__ = [
    "POST_KINDS",
    "SCHEMA",
    "AppointmentRow",
    "CalendarDayRow",
    "CalendarYearRow",
    "CaseEpochRow",
    "CaseEventRow",
    "CaseExtensionRow",
    "CasePauseRow",
    "CaseRow",
    "CaseUndoRow",
    "CategoryConditionRow",
    "CategoryRow",
    "ChannelRow",
    "DepartmentRow",
    "EscalationRow",
    "LadderRow",
    "LadderRungRow",
    "LeaveRow",
    "LedgerRow",
    "NotificationRow",
    "OutboxRow",
    "PersonContactRow",
    "PersonRow",
    "PostRow",
    "ProfileRow",
    "RepeatRuleRow",
    "WorkerFaultRow",
    "WorkerSignalRow",
    "WorkingHoursRow",
]


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id; unlike ``xid`` it never wraps around."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return the DDL name."""
        return "XID8"


# Reflection (``alembic check``) must know the type as well, or it warns about a column it cannot name.
ischema_names["xid8"] = Xid8


#: The condition of the worker's query and of its index must be the same text.
WATCHED_STAGES = "stage_clock IN ('verify', 'acknowledge', 'suspension')"
_OPEN = one_of("state", sorted(OPEN_STATES))


def square_of(location: str) -> str:
    """Expression of the square (a thousandth of a degree) that a location lies in; two indexes hold it."""
    return f"(floor(st_x({location}) * 1000)::bigint * 1000000 + floor(st_y({location}) * 1000)::bigint)"


_HAND_OVER = one_of("state", sorted(HAND_OVER_STATES))


class CaseRow(Base):
    """The current state of a case; its history is `case_event`. ``dispatch_case`` because CASE is reserved.

    SRID: ``location`` 4326. The raw pair, the declared system and the decision (version, cell, how, rule) stay as
    they were on arrival: a redraw never rewrites an old case.
    """

    __tablename__ = "dispatch_case"
    __table_args__ = (
        UniqueConstraint("channel_code", "ticket", name="uq_dispatch_case_channel_ticket"),
        UniqueConstraint("ref", name="uq_dispatch_case_ref"),
        CheckConstraint(one_of("state", CaseState), name="state"),
        CheckConstraint(one_of("origin", Origin), name="origin"),
        CheckConstraint("located_how IN ('covers', 'out_of_grid', 'no_position')", name="located_how"),
        CheckConstraint("(located_how = 'covers') = (cell_id IS NOT NULL)", name="cell_when_covered"),
        CheckConstraint("(located_how = 'no_position') = (location IS NULL)", name="location_when_known"),
        CheckConstraint("accuracy_m > 0", name="accuracy_is_radius"),
        CheckConstraint("NOT confirm_on_site OR accuracy_m IS NOT NULL", name="confirmed_is_inaccurate"),
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
            "state NOT IN ('dispatched', 'returned', 'handling', 'reopened') OR due_at IS NOT NULL",
            name="handling_has_deadline",
        ),
        CheckConstraint(
            "(state = 'merged' AND (parent_case_id IS NOT NULL OR origin = 'imported')) OR"
            " (state <> 'merged' AND parent_case_id IS NULL)",
            name="merged_has_parent",
        ),
        CheckConstraint("(stage_clock IS NULL) = (stage_due_at IS NULL)", name="stage_has_instant"),
        CheckConstraint(one_of("asked", Request), name="asked"),
        # What the worker acts on: nobody verified, nobody acknowledged, a suspension ends.
        Index("ix_dispatch_case_stage", "stage_due_at", postgresql_where=sql(WATCHED_STAGES)),
        CheckConstraint("(limit_value IS NULL) = (limit_unit IS NULL)", name="limit"),
        Index("ix_dispatch_case_provisional", "jurisdiction", "due_at", postgresql_where=sql("due_provisional")),
        Index("ix_dispatch_case_parent", "parent_case_id", postgresql_where=sql("parent_case_id IS NOT NULL")),
        Index("ix_dispatch_case_location", "location", postgresql_using="gist"),
        Index("ix_dispatch_case_reported", sql("reported_at DESC"), sql("id DESC")),
        Index("ix_dispatch_case_open", sql("reported_at DESC"), sql("id DESC"), postgresql_where=sql(_OPEN)),
        Index("ix_dispatch_case_rung", "next_rung_at", postgresql_where=sql("next_rung_at IS NOT NULL")),
        # What the auditor walks: the cases on the ladder; and those that fell off it, of which there should be none.
        Index("ix_dispatch_case_climbing", "id", postgresql_where=sql(CLIMBING)),
        Index("ix_dispatch_case_unarmed", "id", postgresql_where=sql(UNARMED)),
        Index("ix_dispatch_case_path", "cell_path", postgresql_using="gin"),
        # What somebody's area lets them see: where it lies, where it lies today, and whose it is (decision 0029).
        Index(
            "ix_dispatch_case_owner_path",
            "owner_path",
            postgresql_using="gin",
            postgresql_where=sql("owner_path IS NOT NULL"),
        ),
        Index(
            "ix_dispatch_case_leg_departments",
            "leg_departments",
            postgresql_using="gin",
            postgresql_where=sql("leg_departments IS NOT NULL"),
        ),
        Index("ix_dispatch_case_category", "category_code", sql("reported_at DESC")),
        # Reports of one place and matter, by when they came and by when they were closed.
        Index("ix_dispatch_case_square", sql(square_of("location")), "category_code", "reported_at"),
        Index(
            "ix_dispatch_case_square_closed",
            sql(square_of("location")),
            "category_code",
            "closed_at",
            postgresql_where=sql("state = 'closed'"),
        ),
        Index("ix_dispatch_case_cell", "grid_version_id", "cell_id"),
        Index(
            "ix_dispatch_case_department",
            "department_code",
            sql("reported_at DESC"),
            postgresql_where=sql("department_code IS NOT NULL"),
        ),
        # What somebody hands over with a post.
        Index("ix_dispatch_case_owner_post", "owner_post_id", postgresql_where=sql(_OPEN)),
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
    # Tells one voice from many, and nothing else (dispatch/reporters.py); shown by no exit.
    reporter_key: Mapped[bytes | None]
    category_code: Mapped[str] = mapped_column(ForeignKey("dispatch.category.code"))
    condition_number: Mapped[int | None] = mapped_column(SmallInteger)
    text: Mapped[str] = mapped_column(Text, server_default="")
    address: Mapped[str] = mapped_column(Text, server_default="")
    ledgers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")

    location: Mapped[WKBElement | None] = mapped_column(Geometry("POINT", srid=4326, spatial_index=False))
    raw_x: Mapped[float | None]
    raw_y: Mapped[float | None]
    coord_sys: Mapped[str | None] = mapped_column(Text)
    accuracy_m: Mapped[float | None]
    confirm_on_site: Mapped[bool] = mapped_column(server_default=sql("false"))
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
    # Set by a trigger and by the sweep only (decision 0027): when to look at the ladder next.
    next_rung_at: Mapped[datetime | None] = mapped_column(INSTANT)
    ladder_epoch: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    ladder_from: Mapped[datetime | None] = mapped_column(INSTANT)
    ladder_done: Mapped[bool] = mapped_column(server_default=sql("false"))
    is_on_time: Mapped[bool | None]
    closed_level: Mapped[int | None] = mapped_column(SmallInteger)
    rework_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    return_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")

    # The one stage clock that runs in the state (acceptance, acknowledgement …), or the end of a suspension.
    stage_clock: Mapped[str | None] = mapped_column(Text)
    stage_due_at: Mapped[datetime | None] = mapped_column(INSTANT)
    # Empty means: from dispatch, by the channel's start rule. A reopened case starts its own epoch.
    clock_started_at: Mapped[datetime | None] = mapped_column(INSTANT)
    asked: Mapped[str | None] = mapped_column(Text)
    asked_until: Mapped[datetime | None] = mapped_column(INSTANT)
    # The limit as it was given; empty on cases from before it was kept. A city's new limits move no deadline.
    limit_value: Mapped[Decimal | None] = mapped_column(Numeric(8, 2))
    limit_unit: Mapped[str | None] = mapped_column(Text)
    open_legs: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    open_phases: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    extension_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    suspend_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    supervised_until: Mapped[datetime | None] = mapped_column(INSTANT)
    received_by: Mapped[str | None] = mapped_column(Text)
    follow_up: Mapped[str | None] = mapped_column(Text)
    is_exempt: Mapped[bool] = mapped_column(server_default=sql("false"))
    parent_case_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.dispatch_case.id"))

    owner_post_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch.post.id"))
    owner_person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))
    # The standing by which the report was taken in, for ever; the ladder only where somebody has decided anew since.
    standing_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.standing.id"))
    owner_ladder: Mapped[Any | None] = mapped_column(JSONB)
    # Who answers now may follow a later drawing than the one that placed the case; both stay empty until a redraw.
    owner_version_id: Mapped[int | None] = mapped_column(Integer)
    owner_path: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    # Kept by a trigger on the parts of joint work; empty (NULL) where there are none.
    leg_departments: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    department_code: Mapped[str | None] = mapped_column(ForeignKey("dispatch.department.code"))


class StandingRow(Base):
    """A chain of cells with its ladder of posts, kept once (decision 0044). Append-only, by a trigger."""

    __tablename__ = "standing"
    __table_args__ = ({"schema": SCHEMA},)

    #: Made of the content (``dispatch/standings.py``).
    id: Mapped[UUID] = mapped_column(primary_key=True)
    said: Mapped[Any] = mapped_column(JSONB)


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
        Index("ix_case_event_feed", "txid", "id", postgresql_include=["occurred_at"]),
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
    #: Of a first event: chain and ladder, which its payload then leaves out.
    standing_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.standing.id"))
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


class WorkerSignalRow(Base):
    """A sign of life per worker duty; readiness looks at its age, so a silent worker is seen."""

    __tablename__ = "worker_signal"
    __table_args__ = ({"schema": SCHEMA},)

    duty: Mapped[str] = mapped_column(Text, primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    detail: Mapped[Any] = mapped_column(JSONB, server_default="{}")
