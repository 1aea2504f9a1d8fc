"""The deadline sweep: look at every clock whose instant has come, fire the rungs that are due, plan the next look.

A clock is a case's own or that of a leg of joint work, which climbs the same ladder to its own department. A look is a
pure function of the row, its ledgers, the ladder and the calendar, so a crash costs nothing: the row is found again.
The case is locked first, so a rung can never fire after the commit that handled or closed it.
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
from dispatch.escalation import (
    Basis,
    Ladder,
    LadderRung,
    Planned,
    RungClock,
    Target,
    find_ladder,
    is_still_due,
    owed,
    plan_rungs,
)
from dispatch.joint import RUNNING, LegState
from dispatch.ladder_targets import Told, Whereabouts, find_told
from dispatch.posts import Rung
from dispatch.queries import database_now, load_reference, responsible_many
from dispatch.reference import Reference
from dispatch.states import CaseState
from dispatch.storage import escalation as storage
from dispatch.storage import worker as faults
from geo.storage.uow import Unit, WriteUnit

__all__ = ["FAULT", "Key", "Look", "Row", "key_of", "look_at", "plan_case", "sweep"]

log = structlog.get_logger("gridward.worker")

#: Kind of the rows in ``dispatch.worker_fault``.
FAULT: Final = "rung"
#: A row of ``sweep.sql``, or of ``sweep_legs.sql``, which has a ``leg`` besides.
Row = Mapping[str, Any]
#: Which clock: the case, and the number of the leg, 0 for the case's own.
Key = tuple[UUID, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What looking at a clock found: the rungs to fire now and the instant of the next look, None for "no more"."""

    row: Row
    ladder: Ladder | None
    fire: tuple[Planned, ...]
    next_at: datetime | None
    left: tuple[Planned, ...] = ()
    """Everything that will still fire if nothing happens before, `fire` included."""

    @property
    def key(self) -> Key:
        """Which clock."""
        return key_of(self.row)


def key_of(row: Row) -> Key:
    """Which clock a row is."""
    return row["id"], row.get("leg", 0)


async def sweep(unit: WriteUnit, *, batch: int, reference: Reference | None = None, most_attempts: int = 8) -> int:
    """Fire the rungs that are due; return how many clocks were looked at.

    Parameters
    ----------
    reference
        A copy of the reference data some seconds old; None reads a fresh one.
    most_attempts
        A clock that cannot be looked at is put off, and after so many times parked; it never holds up the others.
    """
    rows = [*await storage.take_due(unit, batch=batch), *await storage.take_due_legs(unit, batch=batch)]
    if not rows:
        return 0
    at = await database_now(unit)
    looks: list[Look] = []
    for key, found in (await look_at(unit, rows, reference or await load_reference(unit), at)).items():
        if isinstance(found, Look):
            looks.append(found)
        else:
            await faults.put_off_clock(unit, FAULT, *key, found, most_attempts=most_attempts)
    await _write(unit, looks, at, most_attempts)
    return len(rows)


async def look_at(unit: Unit, rows: Sequence[Row], reference: Reference, at: datetime) -> dict[Key, Look | Exception]:
    """Look at clocks as of an instant; one that cannot be looked at answers its error."""
    ladders = await storage.load_ladders(unit)
    pauses = await storage.pauses_of(unit, rows)
    fired = await storage.fired_rungs(unit, {row["id"] for row in rows})
    found: dict[Key, Look | Exception] = {}
    for row in rows:
        key = key_of(row)
        try:
            found[key] = _look(row, ladders, pauses.get(row["id"], ()), fired.get(key, []), reference, at)
        except Exception as error:
            # One poison row must not keep all others from being looked at.
            found[key] = error
    return found


def _look(
    row: Row,
    ladders: Sequence[Ladder],
    pauses: tuple[Pause, ...],
    fired: Sequence[tuple[str, int]],
    reference: Reference,
    at: datetime,
) -> Look:
    if not _runs(row):
        return Look(row=row, ladder=None, fire=(), next_at=None)
    calendar = reference.jurisdictions[row["jurisdiction"]].calendar
    category = reference.categories.get(row["category_code"])
    clock = _leg_clock(row, pauses) if row.get("leg") else _case_clock(row, pauses, reference)
    ladder = find_ladder(
        ladders,
        jurisdiction=row["jurisdiction"],
        path=row["cell_path"],
        category=row["category_code"],
        parent=category.parent if category else None,
        at=clock.since or clock.began_at,
    )
    if ladder is None:
        return Look(row=row, ladder=None, fire=(), next_at=None)
    epoch = row["ladder_epoch"]
    left = owed(
        plan_rungs(_rungs_for(row, ladder), clock, calendar),
        clock,
        frozenset(rung for rung, of in fired if of == epoch),
        frozenset(rung for rung, of in fired if of < epoch),
    )
    return Look(
        row=row,
        ladder=ladder,
        fire=tuple(one for one in left if one.at <= at),
        next_at=next((one.at for one in left if one.at > at), None),
        left=left,
    )


def _runs(row: Row) -> bool:
    state = CaseState(row["state"])
    if row.get("leg"):
        # While its case rests, a leg rests: nobody may move it either.
        return state is CaseState.HANDLING and LegState(row["leg_state"]) in RUNNING
    return is_still_due(state) and row["due_at"] is not None


def _rungs_for(row: Row, ladder: Ladder) -> tuple[LadderRung, ...]:
    if not row.get("leg"):
        return ladder.rungs
    # What is told with the dispatch of a grave case has been told: of the case, not once more of each of its parts.
    return tuple(rung for rung in ladder.rungs if rung.basis is not Basis.AT_ONCE)


async def plan_case(unit: Unit, case_id: UUID, reference: Reference, at: datetime) -> tuple[tuple[int, Planned], ...]:
    """The rungs that will fire if nothing happens to a case or its legs, with the leg's number; 0 is the case's own.

    None for clocks that do not run.
    """
    rows = await storage.find_for_look(unit, case_id)
    looks = await look_at(unit, rows, reference, at)
    return tuple((key[1], one) for key, look in looks.items() if isinstance(look, Look) for one in look.left)


def _case_clock(case: Row, pauses: tuple[Pause, ...], reference: Reference) -> RungClock:
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


def _leg_clock(leg: Row, pauses: tuple[Pause, ...]) -> RungClock:
    return RungClock(
        began_at=leg["started_at"],
        start_at=leg["started_at"],
        due_at=leg["due_at"],
        unit=LimitUnit(leg["limit_unit"]),
        # The case's pauses: a leg rests with its case.
        pauses=pauses,
        since=leg["ladder_from"],
        is_live=leg["origin"] == "live",
        is_acknowledged=leg["acknowledged_at"] is not None,
    )


async def _write(unit: WriteUnit, looks: Sequence[Look], at: datetime, most_attempts: int) -> None:
    """Write all looks in one statement; if the database refuses them, one by one, so that only the bad one waits."""
    driver = await unit.driver()
    try:
        async with driver.transaction():
            await _write_together(unit, looks, at)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if len(looks) == 1:
            await faults.put_off_clock(unit, FAULT, *looks[0].key, error, most_attempts=most_attempts)
            return
        for look in looks:
            await _write(unit, (look,), at, most_attempts)


async def _write_together(unit: WriteUnit, looks: Sequence[Look], at: datetime) -> None:
    if not looks:
        return
    firing = [look for look in looks if look.fire]
    places = await _whereabouts(unit, firing, at)
    seats = await storage.list_seats(unit, sorted({look.row["jurisdiction"] for look in firing}), at) if firing else {}
    rungs: list[dict[str, Any]] = []
    for look, where in zip(firing, places, strict=True):
        for one in look.fire:
            told = find_told(one.rung.target, where, seats.get(look.row["jurisdiction"], ()))
            rungs.append(_fired(look, one, told, len(rungs)))
            if told.empty:
                log.warning("rung_empty", case=look.row["ref"], rung=one.rung.code, empty=list(told.empty))
    planned = [{"id": look.key[0], "leg": look.key[1], "next_rung_at": look.next_at} for look in looks]
    fired = await storage.write_looks(unit, rungs, planned)
    await faults.clear(unit, FAULT, [look.key for look in looks])
    if fired:
        log.info("rungs_fired", rungs=fired, clocks=len(firing))


async def _whereabouts(unit: Unit, looks: Sequence[Look], at: datetime) -> list[Whereabouts]:
    by_place: dict[tuple[str, tuple[str, ...]], tuple[Rung, ...]] = {}
    for jurisdiction in sorted({look.row["jurisdiction"] for look in looks}):
        paths = sorted({tuple(look.row["cell_path"]) for look in looks if look.row["jurisdiction"] == jurisdiction})
        ladders = await responsible_many(unit, jurisdiction, paths, at)
        by_place |= {(jurisdiction, path): ladder for path, ladder in zip(paths, ladders, strict=True)}
    asked = [
        look.row["id"]
        for look in looks
        if not look.row.get("leg") and any(one.rung.target is Target.DEPARTMENT_HEAD for one in look.fire)
    ]
    departments = await storage.departments_of(unit, asked, at)
    return [
        Whereabouts(
            path=tuple(look.row["cell_path"]),
            heads=by_place[look.row["jurisdiction"], tuple(look.row["cell_path"])],
            owner_post_id=look.row["owner_post_id"],
            owner_person_id=look.row["owner_person_id"],
            department=look.row["department_code"] if look.row.get("leg") else departments.get(look.row["id"]),
            is_leg=bool(look.row.get("leg")),
            lead_post_id=look.row.get("lead_post_id"),
            lead_person_id=look.row.get("lead_person_id"),
        )
        for look in looks
    ]


def _fired(look: Look, one: Planned, told: Told, place: int) -> dict[str, Any]:
    row, rung = look.row, one.rung
    told_zh, told_en = told.title_zh or told.title_en, told.title_en or told.title_zh
    payload = {
        "rung": rung.code,
        "rung_zh": rung.name("zh-CN"),
        "rung_en": rung.name("en"),
        "basis": rung.basis.value,
        "epoch": row["ladder_epoch"],
        "planned_at": one.at.isoformat(),
        "due_at": row["due_at"].isoformat(),
        "told_post_id": told.post_id,
        "told_zh": told_zh or None,
        "told_en": told_en or None,
        "told_person_id": str(told.person_id) if told.person_id else None,
        "empty": list(told.empty),
        "in_bulletin": rung.in_bulletin,
    }
    if row.get("leg"):
        payload |= {
            "leg": row["leg"],
            "department": row["department_code"],
            "department_zh": row["department_zh"] or row["department_en"],
            "department_en": row["department_en"] or row["department_zh"],
        }
    return {
        "place": place,
        "case_id": row["id"],
        "leg": row.get("leg", 0),
        "rung": rung.code,
        "epoch": row["ladder_epoch"],
        "planned_at": one.at,
        "person_id": told.person_id,
        "post_id": told.post_id,
        "target": rung.target.value,
        "told": told.target.value if told.target else None,
        "empty": list(told.empty),
        "in_bulletin": rung.in_bulletin,
        "ladder_id": look.ladder.id if look.ladder else None,
        "type": "case.reminded.v1" if rung.basis is Basis.SHARE else "case.escalated.v1",
        "state": row["state"],
        "payload": payload,
    }
