"""Tables beside a case: legs of joint work, phases, evidence of returns, moved deadlines; plans of operations."""

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
    Identity,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Text,
    func,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from dispatch.joint import RUNNING, LegState
from dispatch.storage.reference_tables import SCHEMA, one_of
from geo.storage.base import Base
from geo.storage.tables import INSTANT

_CASE = "dispatch.dispatch_case.id"
_LIMIT = Numeric(8, 2)
_POINT = Geometry("POINT", srid=4326, spatial_index=False)


#: A leg that should be on the ladder and has no instant; while its case rests, that is as it should be.
UNARMED_LEG = f"next_rung_at IS NULL AND NOT ladder_done AND {one_of('state', sorted(RUNNING))}"


class CaseLegRow(Base):
    """One department's part of a case (`dispatch/joint.py`); ``version`` is what whoever moves it must have seen.

    A trigger puts it on the ladder and takes it off, as with cases.
    """

    __tablename__ = "case_leg"
    __table_args__ = (
        CheckConstraint(one_of("state", LegState), name="state"),
        CheckConstraint("(state = 'signed') = (signed_at IS NOT NULL)", name="signed"),
        CheckConstraint("state NOT IN ('handled', 'signed') OR handled_at IS NOT NULL", name="handled"),
        Index("ix_case_leg_department", "department_code"),
        Index("ix_case_leg_rung", "next_rung_at", postgresql_where=sql("next_rung_at IS NOT NULL")),
        Index("ix_case_leg_unarmed", "case_id", postgresql_where=sql(UNARMED_LEG)),
        {"schema": SCHEMA},
    )

    case_id: Mapped[UUID] = mapped_column(ForeignKey(_CASE), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    clock_epoch: Mapped[int] = mapped_column(SmallInteger)
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    department_code: Mapped[str] = mapped_column(ForeignKey("dispatch.department.code"))
    task: Mapped[str] = mapped_column(Text, server_default="")
    state: Mapped[str] = mapped_column(Text)
    limit_value: Mapped[Decimal] = mapped_column(_LIMIT)
    limit_unit: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(INSTANT)
    due_at: Mapped[datetime] = mapped_column(INSTANT)
    due_provisional: Mapped[bool] = mapped_column(server_default=sql("false"))
    owner_post_id: Mapped[int | None] = mapped_column(ForeignKey("dispatch.post.id"))
    owner_person_id: Mapped[UUID | None] = mapped_column(ForeignKey("dispatch.person.id"))
    owner_ladder: Mapped[Any | None] = mapped_column(JSONB)
    acknowledged_at: Mapped[datetime | None] = mapped_column(INSTANT)
    handled_at: Mapped[datetime | None] = mapped_column(INSTANT)
    handled_by: Mapped[str | None] = mapped_column(Text)
    is_on_time: Mapped[bool | None]
    result: Mapped[str] = mapped_column(Text, server_default="")
    evidence: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    signed_at: Mapped[datetime | None] = mapped_column(INSTANT)
    signed_by: Mapped[str | None] = mapped_column(Text)
    return_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    rework_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    next_rung_at: Mapped[datetime | None] = mapped_column(INSTANT)
    ladder_epoch: Mapped[int] = mapped_column(SmallInteger, server_default="1")
    ladder_from: Mapped[datetime | None] = mapped_column(INSTANT)
    ladder_done: Mapped[bool] = mapped_column(server_default=sql("false"))


class CasePhaseRow(Base):
    """A phase of a phased limit, such as "work stopped"; each has a deadline of its own."""

    __tablename__ = "case_phase"
    __table_args__ = (
        CheckConstraint("(done_at IS NULL) = (is_on_time IS NULL)", name="done"),
        Index("ix_case_phase_due", "due_at", postgresql_where=sql("done_at IS NULL AND overdue_told_at IS NULL")),
        {"schema": SCHEMA},
    )

    case_id: Mapped[UUID] = mapped_column(ForeignKey(_CASE), primary_key=True)
    clock_epoch: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    limit_value: Mapped[Decimal] = mapped_column(_LIMIT)
    limit_unit: Mapped[str] = mapped_column(Text)
    due_at: Mapped[datetime] = mapped_column(INSTANT)
    due_provisional: Mapped[bool] = mapped_column(server_default=sql("false"))
    done_at: Mapped[datetime | None] = mapped_column(INSTANT)
    is_on_time: Mapped[bool | None]
    result: Mapped[str] = mapped_column(Text, server_default="")
    overdue_told_at: Mapped[datetime | None] = mapped_column(INSTANT)


class DeadlineChangeRow(Base):
    """A deadline moved by something other than the case's own extension or pause; ``part`` and number say whose."""

    __tablename__ = "deadline_change"
    __table_args__ = (
        CheckConstraint("part IN ('case', 'leg', 'phase')", name="part"),
        CheckConstraint("kind IN ('extension', 'pause', 'resume', 'calendar')", name="kind"),
        Index("ix_deadline_change_case", "case_id"),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    case_id: Mapped[UUID] = mapped_column(ForeignKey(_CASE))
    clock_epoch: Mapped[int] = mapped_column(SmallInteger)
    part: Mapped[str] = mapped_column(Text)
    number: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    kind: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(INSTANT)
    changed_by: Mapped[str] = mapped_column(Text)
    due_before: Mapped[datetime] = mapped_column(INSTANT)
    due_after: Mapped[datetime] = mapped_column(INSTANT)
    detail: Mapped[Any] = mapped_column(JSONB, server_default="{}")


class CaseReturnRow(Base):
    """A return with its evidence: a point against the polygon that answered, in the version it was drawn in.

    Units: distance_m metres to the polygon's outline. SRID: 4326.
    """

    __tablename__ = "case_return"
    __table_args__ = (
        CheckConstraint("point_from IN ('given', 'stored', 'none')", name="from"),
        CheckConstraint("relation IN ('inside', 'edge', 'outside', 'unknown')", name="relation"),
        CheckConstraint("(point_from = 'none') = (point IS NULL)", name="point"),
        {"schema": SCHEMA},
    )

    case_id: Mapped[UUID] = mapped_column(ForeignKey(_CASE), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    returned_at: Mapped[datetime] = mapped_column(INSTANT)
    returned_by: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    post_id: Mapped[int | None] = mapped_column(BigInteger)
    point: Mapped[WKBElement | None] = mapped_column(_POINT)
    point_from: Mapped[str] = mapped_column(Text)
    raw_x: Mapped[float | None]
    raw_y: Mapped[float | None]
    coord_sys: Mapped[str | None] = mapped_column(Text)
    version_id: Mapped[int | None] = mapped_column(BigInteger)
    cell_id: Mapped[int | None] = mapped_column(BigInteger)
    cell_code: Mapped[str | None] = mapped_column(Text)
    relation: Mapped[str] = mapped_column(Text)
    distance_m: Mapped[float | None]
    covering_code: Mapped[str | None] = mapped_column(Text)
    covering_path: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    tie_rule: Mapped[str] = mapped_column(Text, server_default="edge-1")


class OperationPlanRow(Base):
    """A recurring joint operation; ``next_at`` is when the worker opens the next one."""

    __tablename__ = "operation_plan"
    __table_args__ = (
        Index("ix_operation_plan_next", "next_at", postgresql_where=sql("is_active AND next_at IS NOT NULL")),
        {"schema": SCHEMA},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(ForeignKey("geo.jurisdiction.code"))
    version: Mapped[int] = mapped_column(Integer, server_default="1")
    name: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text, server_default="")
    category_code: Mapped[str] = mapped_column(ForeignKey("dispatch.category.code"))
    condition_number: Mapped[int | None] = mapped_column(SmallInteger)
    cell_code: Mapped[str] = mapped_column(Text)
    point: Mapped[WKBElement] = mapped_column(_POINT)
    ledgers: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    legs: Mapped[Any] = mapped_column(JSONB)
    recurrence: Mapped[Any] = mapped_column(JSONB)
    is_active: Mapped[bool] = mapped_column(server_default=sql("true"))
    next_at: Mapped[datetime | None] = mapped_column(INSTANT)
    last_problem: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    created_by: Mapped[str] = mapped_column(Text)


class OperationOccurrenceRow(Base):
    """What became of one occurrence. The primary key is the promise: decided once."""

    __tablename__ = "operation_occurrence"
    __table_args__ = (
        CheckConstraint("state IN ('opened', 'missed', 'failed')", name="state"),
        CheckConstraint("(state = 'opened') = (case_id IS NOT NULL)", name="case"),
        {"schema": SCHEMA},
    )

    plan_id: Mapped[int] = mapped_column(ForeignKey("dispatch.operation_plan.id"), primary_key=True)
    occurs_at: Mapped[datetime] = mapped_column(INSTANT, primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey(_CASE))
    decided_at: Mapped[datetime] = mapped_column(INSTANT, server_default=func.now())
    problem: Mapped[str | None] = mapped_column(Text)
