"""Why a case is due when it is: the ledger of its handling clock, with the approvals that moved it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from dispatch.case_views import CaseView
from dispatch.deadlines import Limit, Pause, StartRule, clock_start
from dispatch.explaining import DeadlineLedger, explain
from dispatch.reference import Condition, Reference
from geo.errors import BadInputError, ConflictError
from geo.storage.uow import Unit

__all__ = ["Approval", "ExplainedDeadline", "explain_case", "preview"]


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
class ExplainedDeadline:
    """The deadline in force and how it comes about.

    ``agrees`` is False when the ledger, computed from today's calendar and limits, ends elsewhere than the deadline in
    force: a limit or a calendar has changed since, and the case keeps what it was given.
    """

    condition: Condition
    due_at: datetime
    ledger: DeadlineLedger
    approvals: tuple[Approval, ...]
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
        await cursor.execute(
            "SELECT jurisdiction, clock_started_at FROM dispatch.dispatch_case WHERE id = %s", (case.id,)
        )
        row: dict[str, Any] = await cursor.fetchone() or {}
    calendar = reference.jurisdictions[row["jurisdiction"]].calendar
    rule = StartRule(reference.channels[case.channel].start_rule)
    start = row["clock_started_at"] or clock_start(calendar, case.dispatched_at, rule)
    times = 1 + sum(approval.kind == "extension" for approval in approvals)
    pauses = [Pause(start_at=one.at, end_at=one.until) for one in approvals if one.until is not None]
    ledger = explain(calendar, start, condition.limit.times(times), pauses)
    return ExplainedDeadline(
        condition=condition,
        due_at=case.due_at,
        ledger=ledger,
        approvals=approvals,
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
) -> tuple[Condition, DeadlineLedger]:
    """The deadline that a case would get if it were dispatched at an instant.

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
    limit: Limit = chosen.limit
    return chosen, explain(calendar, clock_start(calendar, dispatched_at, rule), limit)
