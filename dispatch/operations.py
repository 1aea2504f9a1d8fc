"""Opening the cases of recurring joint operations: exactly once per occurrence, however many workers look.

The plan's row is locked, the occurrence is a row whose primary key is the promise, and the case is written in the same
transaction: a worker that dies leaves nothing, and the next one finds the occurrence still due.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg import Error as DatabaseError
from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from dispatch.clocks import set_clocks
from dispatch.deadlines import Limit, LimitUnit, StartRule, clock_start
from dispatch.joint import LegPlan
from dispatch.joint_effects import split
from dispatch.making import Act, Actor, MoveRequest
from dispatch.moves import record_event, update_case
from dispatch.phasing import open_phases
from dispatch.posts import find_head, ladder_json
from dispatch.queries import database_now, load_reference, responsible_at
from dispatch.recurring import DayOff, Frequency, Recurrence, next_occurrence
from dispatch.reference import Condition, Reference
from dispatch.segments import to_micros
from dispatch.states import CaseState
from dispatch.storage import operations as store
from dispatch.storage.cases import lock_case
from dispatch.storage.legs import list_departments
from dispatch.storage.operations import Plan
from dispatch.storage.returns import find_valid_cell
from dispatch.workflow import Move, event_type
from geo.errors import BadInputError, ConflictError, GridwardError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = ["CHANNEL", "PlanDraft", "end_plan", "leg_plans", "open_due", "recurrence_of", "save_plan"]

log = structlog.get_logger("gridward.worker")

CHANNEL: Final = "operation"
SYSTEM: Final = Actor(kind="system", id="worker")
#: After an outage what should have taken place this long ago is written down as missed, not opened.
TOO_LATE: Final = timedelta(days=7)
_MOST_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanDraft:
    """A plan as somebody writes it."""

    name: str
    text: str
    category: str
    condition: int | None
    cell: str
    ledgers: tuple[str, ...]
    legs: tuple[LegPlan, ...]
    recurrence: Recurrence


def recurrence_of(kept: dict[str, Any]) -> Recurrence:
    """The rule of a stored plan."""
    last = kept.get("last_day")
    return Recurrence(
        frequency=Frequency(kept["frequency"]),
        at=time.fromisoformat(kept["at"]),
        first_day=date.fromisoformat(kept["first_day"]),
        last_day=date.fromisoformat(last) if last else None,
        interval=kept["interval"],
        weekdays=tuple(kept["weekdays"]),
        month_days=tuple(kept["month_days"]),
        day_off=DayOff(kept["day_off"]),
    )


def recurrence_json(rule: Recurrence) -> dict[str, Any]:
    """The rule as it is stored and shown."""
    return {
        "frequency": rule.frequency.value,
        "at": rule.at.isoformat("minutes"),
        "first_day": rule.first_day.isoformat(),
        "last_day": rule.last_day.isoformat() if rule.last_day else None,
        "interval": rule.interval,
        "weekdays": list(rule.weekdays),
        "month_days": list(rule.month_days),
        "day_off": rule.day_off.value,
    }


def leg_plans(kept: list[dict[str, Any]]) -> tuple[LegPlan, ...]:
    """The legs of a stored plan."""
    return tuple(
        LegPlan(
            department=leg["department"],
            task=leg["task"],
            limit=Limit(value=leg["limit"]["value"], unit=LimitUnit(leg["limit"]["unit"])) if leg["limit"] else None,
        )
        for leg in kept
    )


def legs_json(legs: tuple[LegPlan, ...]) -> list[dict[str, Any]]:
    """Legs as they are stored and shown."""
    return [
        {
            "department": leg.department,
            "task": leg.task,
            "limit": {"value": str(leg.limit.value), "unit": leg.limit.unit.value} if leg.limit else None,
        }
        for leg in legs
    ]


async def save_plan(
    unit: WriteUnit,
    jurisdiction: str,
    draft: PlanDraft,
    reference: Reference,
    *,
    by: str,
    plan_id: int | None = None,
    seen_version: int | None = None,
) -> int:
    """Write a new plan, or replace one; what has been opened stays as it is.

    Raises
    ------
    BadInputError
        ``dispatch.unknown_category``, ``dispatch.condition_required``, ``dispatch.unknown_cell``,
        ``dispatch.unknown_department``, ``dispatch.unknown_ledger``, ``joint.bad_recurrence``,
        ``joint.plan_never`` when no occurrence lies ahead.
    NotFoundError
        ``joint.plan_unknown``.
    ConflictError
        ``dispatch.version_conflict``.
    """
    if plan_id is not None:
        await _lock(unit, jurisdiction, plan_id, seen_version)
    _condition(reference, draft.category, draft.condition)
    at = await database_now(unit)
    place = await _place(unit, jurisdiction, draft.cell, at)
    known = await list_departments(unit)
    named = [leg.department for leg in draft.legs]
    for number, department in enumerate(named):
        if department in named[:number]:
            raise BadInputError("dispatch.leg_twice", pointer=f"/legs/{number}/department", department=department)
    for number, leg in enumerate(draft.legs):
        if leg.department not in known:
            raise BadInputError(
                "dispatch.unknown_department",
                pointer=f"/legs/{number}/department",
                department=leg.department,
                known=", ".join(known) or "–",
            )
    active = [code for code, ledger in reference.ledgers.items() if ledger.is_active]
    for number, code in enumerate(draft.ledgers):
        if code not in active:
            raise BadInputError(
                "dispatch.unknown_ledger", pointer=f"/ledgers/{number}", ledger=code, known=", ".join(active) or "–"
            )
    next_at = next_occurrence(draft.recurrence, reference.jurisdictions[jurisdiction].calendar, at)
    if next_at is None:
        raise BadInputError("joint.plan_never", pointer="/recurrence")
    columns: dict[str, Any] = {
        "name": draft.name,
        "text": draft.text,
        "category_code": draft.category,
        "condition_number": draft.condition,
        "cell_code": draft.cell,
        "ledgers": list(draft.ledgers),
        "legs": legs_json(draft.legs),
        "recurrence": recurrence_json(draft.recurrence),
        "next_at": next_at,
        "is_active": True,
        "lon": place[0],
        "lat": place[1],
    }
    if plan_id is None:
        columns |= {"jurisdiction": jurisdiction, "created_by": by}
    return await store.write_plan(unit, plan_id, **columns)


async def end_plan(unit: WriteUnit, jurisdiction: str, plan_id: int, seen_version: int | None) -> None:
    """End a plan; its past stays readable."""
    await _lock(unit, jurisdiction, plan_id, seen_version)
    await store.write_plan(unit, plan_id, is_active=False, next_at=None)


async def _lock(unit: WriteUnit, jurisdiction: str, plan_id: int, seen: int | None) -> Plan:
    plan = await store.lock_plan(unit, jurisdiction, plan_id)
    if plan is None:
        raise NotFoundError("joint.plan_unknown", plan=plan_id)
    if seen is not None and plan.version != seen:
        raise ConflictError("dispatch.version_conflict", case=plan.name, seen=seen, now=plan.version)
    return plan


def _condition(reference: Reference, code: str, number: int | None) -> Condition:
    category = reference.categories.get(code)
    if category is None or not category.is_active:
        raise BadInputError("dispatch.unknown_category", pointer="/category", category=code)
    found = category.certain_condition(number)
    if found is None:
        known = ", ".join(str(each) for each in sorted(category.conditions)) or "–"
        raise BadInputError("dispatch.condition_required", pointer="/condition", category=code, known=known)
    return found


async def _place(unit: Unit, jurisdiction: str, cell: str, at: datetime) -> tuple[float, float]:
    found = await find_valid_cell(unit, jurisdiction, cell, at)
    if found is None:
        raise BadInputError("dispatch.unknown_cell", pointer="/cell", cell=cell)
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT ST_X(label_point), ST_Y(label_point) FROM geo.cell WHERE version_id = %s AND code = %s",
            (found[0], cell),
        )
    ).fetchone()
    assert row is not None
    return float(row[0]), float(row[1])


async def open_due(unit: WriteUnit, *, batch: int = 20) -> int:
    """Open the occurrences that are due; return how many were decided."""
    plans = await store.lock_due_plans(unit, batch=batch)
    if not plans:
        return 0
    reference = await load_reference(unit)
    at = await database_now(unit)
    decided = 0
    for plan in plans:
        calendar = reference.jurisdictions[plan.jurisdiction].calendar
        rule = recurrence_of(plan.recurrence)
        problem = None
        next_at = plan.next_at
        for _ in range(_MOST_AT_ONCE):
            if next_at is None or next_at > at:
                break
            problem = await _decide(unit, plan, next_at, reference, at)
            decided += 1
            next_at = next_occurrence(rule, calendar, next_at)
        await store.set_next(unit, plan.id, next_at, problem)
    return decided


async def _decide(unit: WriteUnit, plan: Plan, occurs_at: datetime, reference: Reference, at: datetime) -> str | None:
    if occurs_at < at - TOO_LATE:
        await store.add_occurrence(unit, plan.id, occurs_at, state="missed", case_id=None, problem=None)
        return None
    driver = await unit.driver()
    try:
        # A savepoint: a plan whose cell or class is gone must not hold up the others, nor this very transaction.
        async with driver.transaction():
            case_id = await _open(unit, plan, occurs_at, reference, at)
            await store.add_occurrence(unit, plan.id, occurs_at, state="opened", case_id=case_id, problem=None)
    except DatabaseError:
        raise
    except GridwardError as error:
        log.warning("operation_failed", plan=plan.id, code=error.code)
        await store.add_occurrence(unit, plan.id, occurs_at, state="failed", case_id=None, problem=error.code)
        return error.code
    return None


async def _open(unit: WriteUnit, plan: Plan, occurs_at: datetime, reference: Reference, at: datetime) -> UUID:
    jurisdiction = reference.jurisdictions[plan.jurisdiction]
    condition = _condition(reference, plan.category_code, plan.condition_number)
    found = await find_valid_cell(unit, plan.jurisdiction, plan.cell_code, at)
    if found is None:
        raise NotFoundError("dispatch.unknown_cell", cell=plan.cell_code)
    version_id, path = found
    ladder = await responsible_at(unit, plan.jurisdiction, tuple(path), at)
    head = find_head(ladder)
    limit = condition.limit_on(jurisdiction.calendar.local_date(to_micros(at)))
    clocks = set_clocks(jurisdiction, reference.channels[CHANNEL].start_rule, limit, at)
    case_id = UUID(str(uuid7()))
    ref = await store.next_ref(unit, at, jurisdiction.time_zone)
    cell_id, chain, version = await _chain(unit, version_id, path)
    await store.insert_operation(
        unit,
        {
            "id": case_id,
            "jurisdiction": plan.jurisdiction,
            "ref": ref,
            "channel_code": CHANNEL,
            "ticket": f"{plan.id}-{occurs_at:%Y%m%dT%H%M%SZ}",
            "category_code": plan.category_code,
            "condition_number": condition.number,
            "text": f"{plan.name}\n{plan.text}".strip(),
            "ledgers": plan.ledgers,
            "coord_sys": "wgs84",
            "grid_version_id": version_id,
            "cell_path": path,
            "located_how": "covers",
            "state": CaseState.HANDLING.value,
            "reported_at": at,
            "accepted_at": at,
            "filed_at": at,
            "dispatched_at": at,
            "acknowledged_at": at,
            "due_at": clocks.due_at,
            "due_provisional": clocks.is_provisional,
            "warn_at": clocks.warn_at,
            "limit_value": limit.value,
            "limit_unit": limit.unit.value,
            "owner_post_id": head.rung.post_id if head else None,
            "owner_person_id": head.rung.person_id if head else None,
            "owner_ladder": Jsonb(ladder_json(ladder)) if ladder else None,
        },
        cell_id,
    )
    case = await lock_case(unit, ref)
    assert case is not None
    act = Act(
        unit=unit,
        before=case,
        case=dict(case),
        request=MoveRequest(ref=ref, move=Move.SPLIT_JOINT, actor=SYSTEM, seen_version=1, legs=leg_plans(plan.legs)),
        reference=reference,
        profile=reference.profile(plan.jurisdiction, path),
        at=at,
    )
    changes = await split(act, limit, jurisdiction.calendar, is_planned=True)
    start = clock_start(jurisdiction.calendar, at, StartRule(reference.channels[CHANNEL].start_rule))
    changes["open_phases"] = await open_phases(unit, case_id, 1, condition.phases, jurisdiction.calendar, start)
    await update_case(unit, case_id, changes)
    await record_event(
        unit,
        case_id=case_id,
        kind=event_type(Move.OPEN_OPERATION),
        moves=[Move.OPEN_OPERATION.value, Move.SPLIT_JOINT.value],
        from_state=None,
        to_state=CaseState.HANDLING.value,
        at=at,
        actor=SYSTEM,
        payload={
            "plan": plan.id,
            "name": plan.name,
            "occurs_at": occurs_at.isoformat(),
            **act.payload,
            # What every first event says, so that the receipt of a case reads the same wherever it came from.
            "chain": chain,
            "ladder": ladder_json(ladder),
            "nearest": [],
            "how": "covers",
            "grid_version": version,
            "due_at": clocks.due_at.isoformat(),
            "due_provisional": clocks.is_provisional,
        },
    )
    return case_id


async def _chain(unit: Unit, version_id: int, path: list[str]) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
    """Id of the cell, its chain from level 1 down, and the name of the version."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT c.id, c.level, c.code, c.name_zh, c.name_en, c.kind, v.number, v.name FROM geo.cell AS c"
            " JOIN geo.grid_version AS v ON v.id = c.version_id"
            " WHERE c.version_id = %s AND c.code = ANY (%s) ORDER BY c.level",
            (version_id, path),
        )
    ).fetchall()
    chain = [dict(zip(("level", "code", "name_zh", "name_en", "kind"), row[1:6], strict=True)) for row in rows]
    return rows[-1][0], chain, {"number": rows[-1][6], "name": rows[-1][7]}
