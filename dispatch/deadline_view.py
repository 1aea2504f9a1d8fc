"""Why a case is due when it is: the ledger of its handling clock, with the approvals that moved it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from dispatch.case_views import CaseView
from dispatch.deadlines import Limit, LimitUnit, Pause, StartRule, clock_start
from dispatch.explaining import DeadlineLedger, explain
from dispatch.limits import Phase
from dispatch.phasing import CasePhase, list_phases
from dispatch.reference import Condition, Reference
from dispatch.segments import to_micros
from geo.errors import BadInputError, ConflictError
from geo.storage.uow import Unit

__all__ = ["Approval", "DeadlineChange", "ExplainedDeadline", "ExplainedPhase", "explain_case", "preview"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A row of a ledger: ``kind`` is extension or pause; a pause has an end. ``by`` is the actor as recorded."""

    kind: str
    at: datetime
    until: datetime | None
    by: str
    reason: str
    due_before: datetime
    due_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineChange:
    """A deadline moved beside the case's own approvals: a leg or phase that follows them, or a published calendar."""

    part: str
    number: int
    kind: str
    at: datetime
    by: str
    due_before: datetime
    due_after: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedPhase:
    """A phase with its reasons; before dispatch there is no case yet and ``kept`` is empty."""

    phase: Phase
    ledger: DeadlineLedger
    kept: CasePhase | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedDeadline:
    """The deadline in force and how it comes about.

    ``agrees`` is False when the ledger, computed from today's calendar, ends elsewhere than the deadline in force: the
    calendar has changed since, and the case keeps what it was given.
    """

    condition: Condition
    due_at: datetime
    ledger: DeadlineLedger
    approvals: tuple[Approval, ...]
    changes: tuple[DeadlineChange, ...]
    phases: tuple[ExplainedPhase, ...]
    agrees: bool


_APPROVALS = """
SELECT 'extension' AS kind, approved_at AS at, NULL::timestamptz AS until, approved_by AS by, reason, due_before,
       due_after
  FROM dispatch.case_extension WHERE case_id = %(id)s AND clock_epoch = %(epoch)s
UNION ALL
SELECT 'pause', starts_at, ends_at, approved_by, reason, due_before, due_after
  FROM dispatch.case_pause WHERE case_id = %(id)s AND clock_epoch = %(epoch)s
 ORDER BY at
"""


_CHANGES = """
SELECT part, number, kind, changed_at AS at, changed_by AS by, due_before, due_after
  FROM dispatch.deadline_change WHERE case_id = %(id)s AND clock_epoch = %(epoch)s ORDER BY id
"""


async def explain_case(unit: Unit, case: CaseView, reference: Reference) -> ExplainedDeadline:
    """Explain the deadline of a case's current clock epoch.

    Raises
    ------
    ConflictError
        ``dispatch.no_deadline`` when its clock has not started.
    """
    category = reference.categories.get(case.category)
    condition = category.certain_condition(case.condition) if category else None
    if case.due_at is None or case.dispatched_at is None or condition is None:
        raise ConflictError("dispatch.no_deadline", case=case.ref)
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_APPROVALS, {"id": case.id, "epoch": case.clock_epoch})
        approvals = tuple(Approval(**row) for row in await cursor.fetchall())
        await cursor.execute(_CHANGES, {"id": case.id, "epoch": case.clock_epoch})
        changes = tuple(DeadlineChange(**row) for row in await cursor.fetchall())
        await cursor.execute(
            "SELECT jurisdiction, clock_started_at, limit_value, limit_unit FROM dispatch.dispatch_case WHERE id = %s",
            (case.id,),
        )
        row: dict[str, Any] = await cursor.fetchone() or {}
    calendar = reference.jurisdictions[row["jurisdiction"]].calendar
    rule = StartRule(reference.channels[case.channel].start_rule)
    start = row["clock_started_at"] or clock_start(calendar, case.dispatched_at, rule)
    times = 1 + sum(approval.kind == "extension" for approval in approvals)
    pauses = [Pause(start_at=one.at, end_at=one.until) for one in approvals if one.until is not None]
    limit = condition.limit
    if row["limit_value"] is not None:
        limit = Limit(value=row["limit_value"], unit=LimitUnit(row["limit_unit"]))
    ledger = explain(calendar, start, limit.times(times), pauses)
    kept = await list_phases(unit, case.id, case.clock_epoch)
    return ExplainedDeadline(
        condition=replace(condition, limit=limit),
        due_at=case.due_at,
        ledger=ledger,
        approvals=approvals,
        changes=changes,
        phases=tuple(
            ExplainedPhase(
                phase=Phase(number=one.number, name_zh=one.name_zh, name_en=one.name_en, limit=one.limit),
                ledger=explain(calendar, start, one.limit, pauses),
                kept=one,
            )
            for one in kept
        ),
        agrees=ledger.deadline.due_at == case.due_at,
    )


def preview(
    reference: Reference,
    *,
    jurisdiction: str,
    category: str,
    condition: int | None,
    channel: str | None,
    dispatched_at: datetime,
) -> tuple[Condition, DeadlineLedger, tuple[ExplainedPhase, ...]]:
    """The deadline that a case would get if it were dispatched at an instant, with those of its phases.

    Raises
    ------
    BadInputError
        ``dispatch.unknown_category``, ``dispatch.condition_required`` or ``dispatch.unknown_channel``.
    """
    found = reference.categories.get(category)
    if found is None or not found.is_active:
        raise BadInputError("dispatch.unknown_category", pointer="/category", category=category)
    chosen = found.certain_condition(condition)
    if chosen is None:
        known = ", ".join(str(number) for number in sorted(found.conditions)) or "–"
        raise BadInputError("dispatch.condition_required", pointer="/condition", category=category, known=known)
    if channel is not None and channel not in reference.channels:
        raise BadInputError("dispatch.unknown_channel", pointer="/channel", channel=channel)
    rule = StartRule(reference.channels[channel].start_rule) if channel else StartRule.DISPATCH
    calendar = reference.jurisdictions[jurisdiction].calendar
    limit = chosen.limit_on(calendar.local_date(to_micros(dispatched_at)))
    start = clock_start(calendar, dispatched_at, rule)
    phases = tuple(ExplainedPhase(phase=phase, ledger=explain(calendar, start, phase.limit)) for phase in chosen.phases)
    return replace(chosen, limit=limit), explain(calendar, start, limit), phases
