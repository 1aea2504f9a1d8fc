"""Read and write the ladder: its versions, what has fired, who sits where, and what a sweep found."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from psycopg.rows import dict_row

from dispatch.deadlines import Limit, LimitUnit, Pause
from dispatch.escalation import DEFAULT_LADDERS, Basis, EndsWith, Ladder, LadderRung, Scope, Target
from dispatch.ladder_targets import Seat
from dispatch.storage.statements import statement
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "find_for_look",
    "find_legs_for_look",
    "fired_rungs",
    "list_seats",
    "load_ladders",
    "pauses_of",
    "take_due",
    "take_due_legs",
    "write_looks",
]

_ALWAYS: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
_LADDERS: Final = """
SELECT l.id, l.jurisdiction, l.cell_code, l.category, l.effective_from, l.made_at, l.made_by, l.note,
       coalesce((SELECT jsonb_agg(to_jsonb(r) ORDER BY r.position) FROM dispatch.ladder_rung AS r
                  WHERE r.ladder_id = l.id), '[]') AS rungs
  FROM dispatch.ladder AS l
"""
_SEATS: Final = """
SELECT p.id AS post_id, p.jurisdiction, p.kind, p.cell_code, p.department_code, p.title_zh, p.title_en,
       (SELECT a.person_id FROM dispatch.appointment AS a JOIN dispatch.person AS n ON n.id = a.person_id
         WHERE a.post_id = p.id AND a.valid_from <= %(at)s AND (a.valid_until IS NULL OR a.valid_until > %(at)s)
           AND n.is_active
           AND NOT EXISTS (SELECT FROM dispatch.leave AS v WHERE v.person_id = a.person_id
                              AND v.starts_at <= %(at)s AND v.ends_at > %(at)s)
         -- Who is on shift first; a leader is told at night as well.
         ORDER BY dispatch.is_on_shift(p.id, a.person_id, %(at)s, j.time_zone) DESC, a.valid_from, a.person_id
         LIMIT 1) AS person_id
  FROM dispatch.post AS p JOIN geo.jurisdiction AS j ON j.code = p.jurisdiction
 WHERE p.jurisdiction = ANY (%(jurisdictions)s) AND p.kind IN ('leader', 'shift_leader', 'department_handler')
   AND p.valid_from <= %(at)s AND (p.valid_until IS NULL OR p.valid_until > %(at)s)
 ORDER BY p.rank, p.id
"""


async def take_due(unit: WriteUnit, *, batch: int) -> list[dict[str, Any]]:
    """Lock cases whose ladder is to be looked at now."""
    return await _rows(unit, statement("sweep"), {"batch": batch})


async def take_due_legs(unit: WriteUnit, *, batch: int) -> list[dict[str, Any]]:
    """Lock legs of joint work whose ladder is to be looked at now, with their cases."""
    return await _rows(unit, statement("sweep_legs"), {"batch": batch})


async def find_for_look(unit: Unit, case_id: UUID) -> list[dict[str, Any]]:
    """One case and its legs as a look needs them, unlocked."""
    columns = statement("sweep").partition("FROM")[0]
    query = columns + "FROM dispatch.dispatch_case AS c WHERE c.id = %(id)s"
    return [*await _rows(unit, query, {"id": case_id}), *await find_legs_for_look(unit, [case_id])]


async def find_legs_for_look(unit: Unit, case_ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """The legs of cases as a look needs them, unlocked."""
    query = statement("sweep_legs").partition("WHERE")[0]
    return await _rows(unit, query + "WHERE l.case_id = ANY (%(ids)s) ORDER BY c.id, l.number", {"ids": list(case_ids)})


async def _rows(unit: Unit, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def ladder_rows(unit: Unit, ladder_id: int | None = None) -> list[dict[str, Any]]:
    """Versions of ladders with their rungs, as stored; newest last within a scope."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        where = " WHERE %(id)s::int IS NULL OR l.id = %(id)s::int"
        await cursor.execute(
            _LADDERS + where + " ORDER BY l.jurisdiction, l.cell_code, l.category, l.effective_from, l.id",
            {"id": ladder_id},
        )
        return await cursor.fetchall()


async def load_ladders(unit: Unit) -> tuple[Ladder, ...]:
    """All versions of all ladders. An empty table means what is shipped."""
    rows = await ladder_rows(unit)
    if not rows:
        return tuple(
            Ladder(id=0, scope=Scope(category=category), effective_from=_ALWAYS, rungs=rungs)
            for category, rungs in DEFAULT_LADDERS.items()
        )
    return tuple(read_ladder(row) for row in rows)


def read_ladder(row: Mapping[str, Any]) -> Ladder:
    """A ladder from its row."""
    return Ladder(
        id=row["id"],
        scope=Scope(jurisdiction=row["jurisdiction"], cell_code=row["cell_code"], category=row["category"]),
        effective_from=row["effective_from"],
        rungs=tuple(_rung(rung) for rung in row["rungs"]),
    )


def _rung(row: Mapping[str, Any]) -> LadderRung:
    return LadderRung(
        code=row["code"],
        basis=Basis(row["basis"]),
        target=Target(row["target"]),
        share=Decimal(str(row["share"])),
        after=Limit(value=Decimal(str(row["after_value"])), unit=LimitUnit(row["after_unit"])),
        ends_with=EndsWith(row["ends_with"]),
        in_bulletin=row["in_bulletin"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
    )


async def pauses_of(unit: Unit, cases: Sequence[Mapping[str, Any]]) -> dict[UUID, tuple[Pause, ...]]:
    """Approved pauses of the present clock epoch of each case."""
    driver = await unit.driver()
    found: dict[UUID, list[Pause]] = defaultdict(list)
    epochs = {case["id"]: case["clock_epoch"] for case in cases}
    rows = await driver.execute(
        "SELECT case_id, clock_epoch, starts_at, ends_at FROM dispatch.case_pause WHERE case_id = ANY (%s)",
        (list(epochs),),
    )
    async for case_id, epoch, starts_at, ends_at in rows:
        if epochs[case_id] == epoch:
            found[case_id].append(Pause(start_at=starts_at, end_at=ends_at))
    return {case_id: tuple(pauses) for case_id, pauses in found.items()}


async def fired_rungs(unit: Unit, case_ids: Iterable[UUID]) -> dict[tuple[UUID, int], list[tuple[str, int]]]:
    """Rungs that have fired, with their epochs, by case and leg; leg 0 is the case's own clock."""
    driver = await unit.driver()
    found: dict[tuple[UUID, int], list[tuple[str, int]]] = defaultdict(list)
    rows = await driver.execute(
        "SELECT case_id, leg, rung, clock_epoch FROM dispatch.escalation WHERE case_id = ANY (%s)", (list(case_ids),)
    )
    async for case_id, leg, rung, epoch in rows:
        found[case_id, leg].append((rung, epoch))
    return found


async def list_seats(unit: Unit, jurisdictions: Sequence[str], at: datetime) -> dict[str, list[Seat]]:
    """Leaders, shift leaders and department handlers of jurisdictions, with who is there at an instant."""
    driver = await unit.driver()
    seats: dict[str, list[Seat]] = defaultdict(list)
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SEATS, {"jurisdictions": list(jurisdictions), "at": at})
        async for row in cursor:
            seats[row.pop("jurisdiction")].append(Seat(**row))
    return seats


async def write_looks(unit: WriteUnit, rungs: Sequence[Mapping[str, Any]], clocks: Sequence[Mapping[str, Any]]) -> int:
    """Write what a sweep found (``sql/fire.sql``); return how many rungs fired."""
    driver = await unit.driver()
    values = {"rungs": msgspec.json.encode(rungs).decode(), "clocks": msgspec.json.encode(clocks).decode()}
    row = await (await driver.execute(statement("fire"), values)).fetchone()
    return int(row[0]) if row else 0


async def departments_of(unit: Unit, case_ids: Sequence[UUID], at: datetime) -> dict[UUID, str]:
    """The department of each case: the one it was dispatched with, its owner's, else what the matrix says now."""
    if not case_ids:
        return {}
    driver = await unit.driver()
    rows = await driver.execute(
        "SELECT c.id, coalesce(c.department_code, p.department_code, (SELECT r.department_code FROM dispatch.route("
        "c.jurisdiction, coalesce(c.owner_path, c.cell_path), c.category_code, %(at)s) AS r LIMIT 1))"
        "  FROM dispatch.dispatch_case AS c LEFT JOIN dispatch.post AS p ON p.id = c.owner_post_id"
        " WHERE c.id = ANY (%(ids)s)",
        {"ids": list(case_ids), "at": at},
    )
    return {case_id: department async for case_id, department in rows if department is not None}
