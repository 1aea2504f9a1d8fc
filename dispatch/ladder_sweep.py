"""The deadline sweep: look at every case whose instant has come, fire the rungs that are due, plan the next look.

A look is a pure function of the case's row, its ledgers, the ladder and the calendar, so a crash costs nothing: the row
is found again. The case is locked first, so a rung can never fire after the commit that handled or closed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog

from dispatch.deadlines import LimitUnit, Pause, StartRule, clock_start
from dispatch.escalation import Basis, Ladder, Planned, RungClock, Target, find_ladder, is_still_due, owed, plan_rungs
from dispatch.ladder_targets import Standing, Told, find_told
from dispatch.posts import Rung
from dispatch.queries import database_now, load_reference, responsible_many
from dispatch.reference import Reference
from dispatch.states import CaseState
from dispatch.storage import escalation as storage
from dispatch.storage import worker as faults
from geo.storage.uow import Unit, WriteUnit

__all__ = ["FAULT", "Look", "look_at", "plan_case", "sweep"]

log = structlog.get_logger("gridward.worker")

#: Kind of the rows in ``dispatch.worker_fault``.
FAULT: Final = "rung"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What looking at a case found: the rungs to fire now and the instant of the next look, None for "no more"."""

    case: Mapping[str, Any]
    ladder: Ladder | None
    fire: tuple[Planned, ...]
    next_at: datetime | None
    left: tuple[Planned, ...] = ()
    """Everything that will still fire if nothing happens before, `fire` included."""


async def sweep(unit: WriteUnit, *, batch: int, reference: Reference | None = None, most_attempts: int = 8) -> int:
    """Fire the rungs that are due; return how many cases were looked at.

    Parameters
    ----------
    reference
        A copy of the reference data some seconds old; None reads a fresh one.
    most_attempts
        A case that cannot be looked at is put off, and after so many times parked; it never holds up the others.
    """
    cases = await storage.take_due(unit, batch=batch)
    if not cases:
        return 0
    at = await database_now(unit)
    looks: list[Look] = []
    for case, found in (await look_at(unit, cases, reference or await load_reference(unit), at)).items():
        if isinstance(found, Look):
            looks.append(found)
        else:
            await faults.put_off_case(unit, FAULT, case, found, most_attempts=most_attempts)
    await _write(unit, looks, at, most_attempts)
    return len(cases)


async def look_at(
    unit: Unit, cases: Sequence[Mapping[str, Any]], reference: Reference, at: datetime
) -> dict[UUID, Look | Exception]:
    """Look at cases (rows of ``sweep.sql``) as of an instant; a case that cannot be looked at answers its error."""
    ladders = await storage.load_ladders(unit)
    pauses = await storage.pauses_of(unit, cases)
    fired = await storage.fired_rungs(unit, [case["id"] for case in cases])
    found: dict[UUID, Look | Exception] = {}
    for case in cases:
        try:
            found[case["id"]] = _look(
                case, ladders, pauses.get(case["id"], ()), fired.get(case["id"], []), reference, at
            )
        except Exception as error:
            # One poison row must not keep all others from being looked at.
            found[case["id"]] = error
    return found


def _look(
    case: Mapping[str, Any],
    ladders: Sequence[Ladder],
    pauses: tuple[Pause, ...],
    fired: Sequence[tuple[str, int]],
    reference: Reference,
    at: datetime,
) -> Look:
    if not is_still_due(CaseState(case["state"])) or case["due_at"] is None:
        return Look(case=case, ladder=None, fire=(), next_at=None)
    calendar = reference.jurisdictions[case["jurisdiction"]].calendar
    category = reference.categories.get(case["category_code"])
    clock = _clock(case, pauses, reference)
    ladder = find_ladder(
        ladders,
        jurisdiction=case["jurisdiction"],
        path=case["cell_path"],
        category=case["category_code"],
        parent=category.parent if category else None,
        at=clock.since or clock.began_at,
    )
    if ladder is None:
        return Look(case=case, ladder=None, fire=(), next_at=None)
    epoch = case["ladder_epoch"]
    left = owed(
        plan_rungs(ladder.rungs, clock, calendar),
        clock,
        frozenset(rung for rung, of in fired if of == epoch),
        frozenset(rung for rung, of in fired if of < epoch),
    )
    return Look(
        case=case,
        ladder=ladder,
        fire=tuple(one for one in left if one.at <= at),
        next_at=next((one.at for one in left if one.at > at), None),
        left=left,
    )


async def plan_case(unit: Unit, case_id: UUID, reference: Reference, at: datetime) -> tuple[Planned, ...]:
    """The rungs that will fire if nothing happens to a case; none when its clock does not run."""
    cases = await storage.find_for_look(unit, case_id)
    looks = await look_at(unit, cases, reference, at)
    return tuple(one for look in looks.values() if isinstance(look, Look) for one in look.left)


def _clock(case: Mapping[str, Any], pauses: tuple[Pause, ...], reference: Reference) -> RungClock:
    calendar = reference.jurisdictions[case["jurisdiction"]].calendar
    category = reference.categories.get(case["category_code"])
    condition = category.certain_condition(case["condition_number"]) if category else None
    channel = reference.channels.get(case["channel_code"])
    dispatched_at = case["dispatched_at"] or case["due_at"]
    rule = StartRule(channel.start_rule) if channel else StartRule.DISPATCH
    return RungClock(
        # A reopened case keeps its first dispatch; its present clock began with the reopening.
        began_at=dispatched_at if case["clock_epoch"] == 1 else case["clock_started_at"] or dispatched_at,
        start_at=case["clock_started_at"] or clock_start(calendar, dispatched_at, rule),
        due_at=case["due_at"],
        # A condition that a city has struck from its table since: its cases run on in natural time.
        unit=condition.limit.unit if condition else LimitUnit.NATURAL_DAY,
        pauses=pauses,
        since=case["ladder_from"],
        is_live=case["origin"] == "live",
        is_acknowledged=case["acknowledged_at"] is not None,
    )


async def _write(unit: WriteUnit, looks: Sequence[Look], at: datetime, most_attempts: int) -> None:
    """Write all looks in one statement; if the database refuses them, one by one, so that only the bad one waits."""
    driver = await unit.driver()
    try:
        async with driver.transaction():
            await _write_together(unit, looks, at)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(looks) == 1:
            await faults.put_off_case(unit, FAULT, looks[0].case["id"], error, most_attempts=most_attempts)
            return
        for look in looks:
            await _write(unit, (look,), at, most_attempts)


async def _write_together(unit: WriteUnit, looks: Sequence[Look], at: datetime) -> None:
    if not looks:
        return
    firing = [look for look in looks if look.fire]
    standings = await _standings(unit, firing, at)
    seats = await storage.list_seats(unit, sorted({look.case["jurisdiction"] for look in firing}), at) if firing else {}
    rungs: list[dict[str, Any]] = []
    for look, standing in zip(firing, standings, strict=True):
        for one in look.fire:
            told = find_told(one.rung.target, standing, seats.get(look.case["jurisdiction"], ()))
            rungs.append(_row(look, one, told, len(rungs)))
            if told.empty:
                log.warning("rung_empty", case=look.case["ref"], rung=one.rung.code, empty=list(told.empty))
    planned = [{"id": look.case["id"], "next_rung_at": look.next_at} for look in looks]
    fired = await storage.write_looks(unit, rungs, planned)
    await faults.clear(unit, FAULT, [look.case["id"] for look in looks])
    if fired:
        log.info("rungs_fired", rungs=fired, cases=len(firing))


async def _standings(unit: Unit, looks: Sequence[Look], at: datetime) -> list[Standing]:
    by_place: dict[tuple[str, tuple[str, ...]], tuple[Rung, ...]] = {}
    for jurisdiction in sorted({look.case["jurisdiction"] for look in looks}):
        paths = sorted({tuple(look.case["cell_path"]) for look in looks if look.case["jurisdiction"] == jurisdiction})
        ladders = await responsible_many(unit, jurisdiction, paths, at)
        by_place |= {(jurisdiction, path): ladder for path, ladder in zip(paths, ladders, strict=True)}
    asked = [look.case["id"] for look in looks if any(one.rung.target is Target.DEPARTMENT_HEAD for one in look.fire)]
    departments = await storage.departments_of(unit, asked, at)
    return [
        Standing(
            path=tuple(look.case["cell_path"]),
            heads=by_place[look.case["jurisdiction"], tuple(look.case["cell_path"])],
            owner_post_id=look.case["owner_post_id"],
            owner_person_id=look.case["owner_person_id"],
            department=departments.get(look.case["id"]),
        )
        for look in looks
    ]


def _row(look: Look, one: Planned, told: Told, place: int) -> dict[str, Any]:
    case, rung = look.case, one.rung
    told_zh, told_en = told.title_zh or told.title_en, told.title_en or told.title_zh
    return {
        "place": place,
        "case_id": case["id"],
        "rung": rung.code,
        "epoch": case["ladder_epoch"],
        "planned_at": one.at,
        "person_id": told.person_id,
        "post_id": told.post_id,
        "target": rung.target.value,
        "told": told.target.value if told.target else None,
        "empty": list(told.empty),
        "in_bulletin": rung.in_bulletin,
        "ladder_id": look.ladder.id if look.ladder else None,
        "type": "case.reminded.v1" if rung.basis is Basis.SHARE else "case.escalated.v1",
        "state": case["state"],
        "payload": {
            "rung": rung.code,
            "rung_zh": rung.name("zh-CN"),
            "rung_en": rung.name("en"),
            "basis": rung.basis.value,
            "epoch": case["ladder_epoch"],
            "planned_at": one.at.isoformat(),
            "due_at": case["due_at"].isoformat(),
            "told_post_id": told.post_id,
            "told_zh": told_zh or None,
            "told_en": told_en or None,
            "told_person_id": str(told.person_id) if told.person_id else None,
            "empty": list(told.empty),
            "in_bulletin": rung.in_bulletin,
        },
    }
