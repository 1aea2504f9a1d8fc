"""Counting provisional deadlines again when a calendar arrives: the one way to a later deadline without an approval.

Only cases whose clock runs and whose deadline is marked provisional are touched. Each that moves, or becomes final,
leaves an event (``case.deadline_recomputed.v1``), a row in ``deadline_change`` and the names of table and revision.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Deadline, Limit, LimitUnit, Pause, StartRule, add, clock_start
from dispatch.handling_clock import Course, leg_moved, warn_at
from dispatch.joint import ENDED
from dispatch.making import Actor
from dispatch.moves import record_event, update_case
from dispatch.queries import load_reference
from dispatch.reference import Reference
from dispatch.states import CaseState
from dispatch.storage.legs import add_deadline_change, update_leg
from geo.storage.uow import WriteUnit

__all__ = ["EVENT", "Recomputed", "recompute_provisional"]

EVENT: Final = "case.deadline_recomputed.v1"
_CHUNK: Final = 500
_RUNNING: Final = ", ".join(
    f"'{state}'"
    for state in (CaseState.DISPATCHED, CaseState.RETURNED, CaseState.HANDLING, CaseState.SUSPENDED, CaseState.REOPENED)
)
_ENDED: Final = ", ".join(f"'{state}'" for state in sorted(ENDED))
_FIND: Final = f"""
SELECT * FROM dispatch.dispatch_case
 WHERE due_provisional AND jurisdiction = %(jurisdiction)s AND due_at IS NOT NULL AND state IN ({_RUNNING})
   AND id <> ALL (%(seen)s) AND (%(before)s::timestamptz IS NULL OR due_at < %(before)s)
 ORDER BY ref LIMIT {_CHUNK} FOR UPDATE
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """How many cases were looked at, and how many deadlines moved."""

    looked_at: int
    moved: int


@dataclass(frozen=True, slots=True)
class _Ledgers:
    extensions: dict[UUID, int]
    pauses: dict[UUID, list[Pause]]


async def recompute_provisional(
    unit: WriteUnit,
    jurisdiction: str,
    *,
    at: datetime,
    by: str,
    why: dict[str, Any],
    before: datetime | None = None,
    most: int | None = None,
) -> Recomputed:
    """Count the provisional deadlines of running clocks by the calendar as it is in this transaction.

    Parameters
    ----------
    before
        Only deadlines before this instant: the worker's look for those that are settled by now.
    most
        Stop after this many cases; the rest is left for the next pass.

    Notes
    -----
    Cost: about 2 ms per case.
    """
    reference = await load_reference(unit)
    driver = await unit.driver()
    kind, _, name = by.partition(":")
    actor = Actor(kind=kind, id=name)
    seen: list[UUID] = []
    moved = 0
    while most is None or len(seen) < most:
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_FIND, {"jurisdiction": jurisdiction, "seen": seen, "before": before})
            cases = await cursor.fetchall()
        if not cases:
            break
        ledgers = await _ledgers(unit, [case["id"] for case in cases])
        for case in cases:
            moved += await _recompute(unit, case, ledgers, reference, at, actor, by, why)
        seen += [case["id"] for case in cases]
    return Recomputed(looked_at=len(seen), moved=moved)


async def _ledgers(unit: WriteUnit, ids: list[UUID]) -> _Ledgers:
    driver = await unit.driver()
    extensions: dict[UUID, int] = defaultdict(int)
    pauses: dict[UUID, list[Pause]] = defaultdict(list)
    rows = await (
        await driver.execute(
            "SELECT e.case_id, count(*) FROM dispatch.case_extension AS e JOIN dispatch.dispatch_case AS c"
            " ON c.id = e.case_id AND c.clock_epoch = e.clock_epoch WHERE e.case_id = ANY (%s) GROUP BY 1",
            (ids,),
        )
    ).fetchall()
    extensions |= {row[0]: int(row[1]) for row in rows}
    # A pause taken when the case was late already changed nothing, and changes nothing now.
    rows = await (
        await driver.execute(
            "SELECT p.case_id, p.starts_at, p.ends_at FROM dispatch.case_pause AS p JOIN dispatch.dispatch_case AS c"
            " ON c.id = p.case_id AND c.clock_epoch = p.clock_epoch"
            " WHERE p.case_id = ANY (%s) AND p.due_after <> p.due_before ORDER BY p.starts_at",
            (ids,),
        )
    ).fetchall()
    for case_id, starts_at, ends_at in rows:
        pauses[case_id].append(Pause(start_at=starts_at, end_at=ends_at))
    return _Ledgers(extensions, pauses)


async def _recompute(
    unit: WriteUnit,
    case: dict[str, Any],
    ledgers: _Ledgers,
    reference: Reference,
    at: datetime,
    actor: Actor,
    by: str,
    why: dict[str, Any],
) -> bool:
    calendar = reference.jurisdictions[case["jurisdiction"]].calendar
    limit = _limit(case, reference)
    if limit is None:
        return False
    rule = StartRule(reference.channels[case["channel_code"]].start_rule)
    start = case["clock_started_at"] or clock_start(calendar, case["dispatched_at"], rule)
    pauses = tuple(ledgers.pauses.get(case["id"], ()))
    course = Course(start_at=start, limit=limit, extensions=ledgers.extensions.get(case["id"], 0), pauses=pauses)
    due = add(calendar, start, course.total, pauses)
    was: datetime = case["due_at"]
    if due.due_at == was and due.is_provisional:
        return False
    await _parts(unit, case, calendar, start, pauses, due, at, by)
    await update_case(
        unit,
        case["id"],
        {
            "due_at": due.due_at,
            "due_provisional": due.is_provisional,
            "warn_at": warn_at(calendar, course, due.due_at),
            "version": case["version"] + 1,
        },
    )
    await add_deadline_change(
        unit, case_id=case["id"], clock_epoch=case["clock_epoch"], part="case", kind="calendar", changed_at=at,
        changed_by=by, due_before=was, due_after=due.due_at, detail=Jsonb(why),
    )  # fmt: skip
    await record_event(
        unit,
        case_id=case["id"],
        kind=EVENT,
        moves=["recompute"],
        from_state=case["state"],
        to_state=case["state"],
        at=at,
        actor=actor,
        payload={
            "due_before": was.isoformat(),
            "due_at": due.due_at.isoformat(),
            "due_provisional": due.is_provisional,
            "calendar": why,
        },
    )
    return due.due_at != was


def _limit(case: dict[str, Any], reference: Reference) -> Limit | None:
    if case["limit_value"] is not None:
        return Limit(value=case["limit_value"], unit=LimitUnit(case["limit_unit"]))
    category = reference.categories.get(case["category_code"])
    condition = category.certain_condition(case["condition_number"]) if category else None
    return condition.limit if condition else None


async def _parts(
    unit: WriteUnit,
    case: dict[str, Any],
    calendar: WorkingCalendar,
    start: datetime,
    pauses: tuple[Pause, ...],
    case_now: Deadline,
    at: datetime,
    by: str,
) -> None:
    """Phases and open legs that are provisional follow, each with its record."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT number, due_at, limit_value, limit_unit FROM dispatch.case_phase"
            " WHERE case_id = %s AND clock_epoch = %s AND done_at IS NULL AND due_provisional",
            (case["id"], case["clock_epoch"]),
        )
        phases = await cursor.fetchall()
        await cursor.execute(
            "SELECT l.number, l.due_at, l.limit_value, l.limit_unit, l.started_at,"  # noqa: S608 - constants only
            " (SELECT count(*) FROM dispatch.deadline_change AS d WHERE d.case_id = l.case_id AND d.part = 'leg'"
            " AND d.number = l.number AND d.kind = 'extension') AS extensions"
            " FROM dispatch.case_leg AS l WHERE l.case_id = %s AND l.due_provisional"
            f" AND l.state NOT IN ({_ENDED}) FOR UPDATE OF l",
            (case["id"],),
        )
        legs = await cursor.fetchall()
    for row in phases:
        limit = Limit(value=row["limit_value"], unit=LimitUnit(row["limit_unit"]))
        due = add(calendar, start, limit, pauses)
        await driver.execute(
            "UPDATE dispatch.case_phase SET due_at = %s, due_provisional = %s"
            " WHERE case_id = %s AND clock_epoch = %s AND number = %s",
            (due.due_at, due.is_provisional, case["id"], case["clock_epoch"], row["number"]),
        )
        await _moved(unit, case, "phase", row, due.due_at, at, by)
    for row in legs:
        limit = Limit(value=row["limit_value"], unit=LimitUnit(row["limit_unit"])).times(1 + row["extensions"])
        alone = add(calendar, row["started_at"], limit, pauses)
        due = leg_moved(alone, row["due_at"], case_was=case["due_at"], case_now=case_now.due_at)
        await update_leg(unit, case["id"], row["number"], {"due_at": due.due_at, "due_provisional": due.is_provisional})
        await _moved(unit, case, "leg", row, due.due_at, at, by)


async def _moved(
    unit: WriteUnit, case: dict[str, Any], part: str, row: dict[str, Any], now: datetime, at: datetime, by: str
) -> None:
    if now != row["due_at"]:
        await add_deadline_change(
            unit, case_id=case["id"], clock_epoch=case["clock_epoch"], part=part, number=row["number"],
            kind="calendar", changed_at=at, changed_by=by, due_before=row["due_at"], due_after=now,
        )  # fmt: skip
