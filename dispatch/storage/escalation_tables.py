"""Tables of the ladder of escalation and of what the worker could not do."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.deadlines import LimitUnit
from dispatch.escalation import CLIMBING_STATES, Basis, EndsWith, Target
from dispatch.storage.reference_tables import SCHEMA, one_of
from geo.storage.base import Base
from geo.storage.tables import INSTANT

#: The same text in the trigger, in the partial indexes and in the auditor's queries, or the planner uses none of them.
CLIMBING: Final = one_of("state", sorted(CLIMBING_STATES))
#: On the ladder, and yet nobody will look: what the auditor searches for. The index over it is empty in good times.
UNARMED: Final = f"next_rung_at IS NULL AND NOT ladder_done AND due_at IS NOT NULL AND {CLIMBING}"


class LadderRow(Base):
    """A version of a ladder. Scope: ``jurisdiction`` empty = shipped; ``cell_code`` a subdistrict or empty;
    ``category`` a class or empty. Versions are added, never changed.
    """

    __tablename__ = "ladder"
    __table_args__ = (
        UniqueConstraint("jurisdiction", "cell_code", "category", "effective_from", name="uq_ladder_version"),
        CheckConstraint("jurisdiction <> '' OR cell_code = ''", name="shipped_is_for_all"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(Text, server_default="")
    cell_code: Mapped[str] = mapped_column(Text, server_default="")
    category: Mapped[str] = mapped_column(Text, server_default="")
    effective_from: Mapped[datetime] = mapped_column(INSTANT)
    made_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    made_by: Mapped[str] = mapped_column(Text, server_default="")
    note: Mapped[str] = mapped_column(Text, server_default="")


class LadderRungRow(Base):
    """A rung of a version, in order of ``position``."""

    __tablename__ = "ladder_rung"
    __table_args__ = (
        CheckConstraint("code ~ '^[a-z][a-z0-9_]{0,39}$' AND code <> 'now'", name="code"),
        CheckConstraint(one_of("basis", Basis), name="basis"),
        CheckConstraint(one_of("target", Target), name="target"),
        CheckConstraint(one_of("ends_with", EndsWith), name="ends_with"),
        CheckConstraint(one_of("after_unit", LimitUnit), name="after_unit"),
        CheckConstraint("(basis = 'share') = (share > 0 AND share < 1)", name="share"),
        CheckConstraint("after_value >= 0 AND (basis = 'after_due' OR after_value = 0)", name="after"),
        {"schema": SCHEMA},
    )

    ladder_id: Mapped[int] = mapped_column(ForeignKey("dispatch.ladder.id", ondelete="CASCADE"), primary_key=True)
    code: Mapped[str] = mapped_column(Text, primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)
    basis: Mapped[str] = mapped_column(Text)
    share: Mapped[Decimal] = mapped_column(Numeric(6, 5), server_default="0")
    after_value: Mapped[Decimal] = mapped_column(Numeric(8, 2), server_default="0")
    after_unit: Mapped[str] = mapped_column(Text, server_default="working_day")
    target: Mapped[str] = mapped_column(Text)
    ends_with: Mapped[str] = mapped_column(Text, server_default="handled")
    in_bulletin: Mapped[bool] = mapped_column(server_default=sql("false"))
    name_zh: Mapped[str] = mapped_column(Text, server_default="")
    name_en: Mapped[str] = mapped_column(Text, server_default="")


class EscalationRow(Base):
    """A rung that has fired. The primary key is the promise: once per clock, rung and epoch of the ladder.

    ``leg`` 0 is the case's own clock, a number that of a leg of joint work.
    ``empty`` names the places where nobody was, lowest first; a row with ``empty`` and a person told the next level.
    """

    __tablename__ = "escalation"
    __table_args__ = (
        Index("ix_escalation_fired", sql("fired_at DESC"), "case_id"),
        {"schema": SCHEMA},
    )

    case_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.dispatch_case.id"), primary_key=True)
    leg: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, server_default="0")
    rung: Mapped[str] = mapped_column(Text, primary_key=True)
    clock_epoch: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    fired_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))
    planned_at: Mapped[datetime | None] = mapped_column(INSTANT)
    post_id: Mapped[int | None] = mapped_column(BigInteger)
    target: Mapped[str | None] = mapped_column(Text)
    told: Mapped[str | None] = mapped_column(Text)
    empty: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    in_bulletin: Mapped[bool] = mapped_column(server_default=sql("false"))
    ladder_id: Mapped[int | None] = mapped_column(Integer)


class WorkerFaultRow(Base):
    """Something the worker failed at, until it succeeds; parked after too many attempts, and then only retried by hand.

    ``kind`` names the duty, ``key`` the thing (a case's id).
    """

    __tablename__ = "worker_fault"
    __table_args__ = ({"schema": SCHEMA},)

    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    last_error: Mapped[str] = mapped_column(Text)
    failed_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    parked_at: Mapped[datetime | None] = mapped_column(INSTANT)


class PersonContactRow(Base):
    """How a person is told: addresses besides the phone, the language they read, media they do not want."""

    __tablename__ = "person_contact"
    __table_args__ = (CheckConstraint("locale IN ('zh-CN', 'en')", name="locale"), {"schema": SCHEMA})

    person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id", ondelete="CASCADE"), primary_key=True)
    email: Mapped[str | None] = mapped_column(Text)
    wecom: Mapped[str | None] = mapped_column(Text)
    locale: Mapped[str] = mapped_column(Text, server_default="zh-CN")
    muted: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")


class NotificationRow(Base):
    """A notice: who is told what, by which medium, when, and what came of it; UNIQUE makes a repeated relay harmless.

    ``waiting`` until sent; ``unreachable`` when the person has no address for the medium; ``parked`` when it keeps
    failing. Whoever sends it sets ``next_attempt_at`` ahead first: should they die, it is sent then.
    """

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("event_id", "person_id", "medium", name="uq_notification_once"),
        CheckConstraint("state IN ('waiting', 'sent', 'unreachable', 'parked')", name="state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_has_instant"),
        Index("ix_notification_person", "person_id", sql("created_at DESC")),
        Index("ix_notification_waiting", "next_attempt_at", "id", postgresql_where=sql("state = 'waiting'")),
        Index("ix_notification_parked", "id", postgresql_where=sql("state = 'parked'")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    event_id: Mapped[int] = mapped_column(ForeignKey("dispatch.case_event.id"))
    person_id: Mapped[UUID] = mapped_column(ForeignKey("dispatch.person.id"))
    medium: Mapped[str] = mapped_column(Text)
    body_key: Mapped[str] = mapped_column(Text)
    params: Mapped[Any] = mapped_column(JSONB, server_default="{}")
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    state: Mapped[str] = mapped_column(Text, server_default="waiting")
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_attempt_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    last_error: Mapped[str | None] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(INSTANT)
