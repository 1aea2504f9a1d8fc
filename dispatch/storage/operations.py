"""Plans of recurring joint operations and what became of their occurrences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "Occurrence",
    "Plan",
    "add_occurrence",
    "find_plan",
    "insert_operation",
    "list_occurrences",
    "list_plans",
    "lock_due_plans",
    "lock_plan",
    "next_ref",
    "write_plan",
]

_COLUMNS = """
p.id, p.jurisdiction, p.version, p.name, p.text, p.category_code, p.condition_number, p.cell_code, p.ledgers, p.legs,
p.recurrence, p.is_active, p.next_at, p.last_problem, p.created_at, p.created_by, ST_X(p.point) AS lon,
ST_Y(p.point) AS lat
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A recurring joint operation. SRID: 4326 for lon, lat."""

    id: int
    jurisdiction: str
    version: int
    name: str
    text: str
    category_code: str
    condition_number: int | None
    cell_code: str
    ledgers: list[str]
    legs: list[dict[str, Any]]
    recurrence: dict[str, Any]
    is_active: bool
    next_at: datetime | None
    last_problem: str | None
    created_at: datetime
    created_by: str
    lon: float
    lat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What became of one occurrence: opened, missed (too long ago when the service came back) or failed."""

    occurs_at: datetime
    state: str
    case: str | None
    decided_at: datetime
    problem: str | None


async def list_plans(unit: Unit, jurisdiction: str) -> list[Plan]:
    """The plans of a jurisdiction, the active ones first."""
    return await _plans(unit, "p.jurisdiction = %s ORDER BY p.is_active DESC, p.next_at NULLS LAST, p.id", jurisdiction)


async def find_plan(unit: Unit, jurisdiction: str, plan_id: int) -> Plan | None:
    """One plan."""
    found = await _plans(unit, "p.jurisdiction = %s AND p.id = %s", jurisdiction, plan_id)
    return found[0] if found else None


async def lock_plan(unit: WriteUnit, jurisdiction: str, plan_id: int) -> Plan | None:
    """One plan, locked: its editor and the worker wait for each other."""
    found = await _plans(unit, "p.jurisdiction = %s AND p.id = %s FOR UPDATE", jurisdiction, plan_id)
    return found[0] if found else None


async def lock_due_plans(unit: WriteUnit, *, batch: int) -> list[Plan]:
    """Plans with an occurrence that is due; any number of workers may ask."""
    return await _plans(
        unit, "p.is_active AND p.next_at <= now() ORDER BY p.next_at LIMIT %s FOR UPDATE SKIP LOCKED", batch
    )


async def _plans(unit: Unit, condition: str, *values: Any) -> list[Plan]:
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        query = f"SELECT {_COLUMNS} FROM dispatch.operation_plan AS p WHERE {condition}"  # noqa: S608 - constants only
        await cursor.execute(query, values)
        return [Plan(**row) for row in await cursor.fetchall()]


async def write_plan(unit: WriteUnit, plan_id: int | None, **columns: Any) -> int:
    """Write a new plan, or columns of a locked one (its version goes up).

    ``lon`` and ``lat`` are written as the point; ``legs`` and ``recurrence`` as JSON.
    """
    driver = await unit.driver()
    lonlat = (columns.pop("lon", None), columns.pop("lat", None))
    values = {name: Jsonb(value) if name in {"legs", "recurrence"} else value for name, value in columns.items()}
    names, places = [sql.Identifier(name) for name in values], [sql.Placeholder(name) for name in values]
    if lonlat[0] is not None:
        names.append(sql.Identifier("point"))
        places.append(sql.SQL("ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326)"))  # type: ignore[arg-type]
        values |= {"lon": lonlat[0], "lat": lonlat[1]}
    if plan_id is None:
        query = sql.SQL("INSERT INTO dispatch.operation_plan ({}) VALUES ({}) RETURNING id").format(
            sql.SQL(", ").join(names), sql.SQL(", ").join(places)
        )
    else:
        pairs = [sql.SQL("{} = {}").format(name, place) for name, place in zip(names, places, strict=True)]
        query = sql.SQL(
            "UPDATE dispatch.operation_plan SET {}, version = version + 1 WHERE id = %(the_plan)s RETURNING id"
        ).format(sql.SQL(", ").join(pairs))
    row = await (await driver.execute(query, {**values, "the_plan": plan_id})).fetchone()
    assert row is not None
    return int(row[0])


async def set_next(unit: WriteUnit, plan_id: int, next_at: datetime | None, problem: str | None) -> None:
    """Write when the worker looks again; the plan itself is not changed, so neither is its version."""
    driver = await unit.driver()
    await driver.execute(
        "UPDATE dispatch.operation_plan SET next_at = %s, last_problem = %s WHERE id = %s", (next_at, problem, plan_id)
    )


async def add_occurrence(
    unit: WriteUnit, plan_id: int, occurs_at: datetime, *, state: str, case_id: UUID | None, problem: str | None
) -> bool:
    """Decide an occurrence; False when it has been decided before."""
    driver = await unit.driver()
    written = await driver.execute(
        "INSERT INTO dispatch.operation_occurrence (plan_id, occurs_at, state, case_id, problem)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (plan_id, occurs_at, state, case_id, problem),
    )
    return written.rowcount > 0


async def list_occurrences(unit: Unit, plan_id: int, *, most: int = 50) -> list[Occurrence]:
    """What became of a plan's latest occurrences, newest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT o.occurs_at, o.state, c.ref AS case, o.decided_at, o.problem"
            " FROM dispatch.operation_occurrence AS o LEFT JOIN dispatch.dispatch_case AS c ON c.id = o.case_id"
            " WHERE o.plan_id = %s ORDER BY o.occurs_at DESC LIMIT %s",
            (plan_id, most),
        )
        return [Occurrence(**row) for row in await cursor.fetchall()]


async def next_ref(unit: WriteUnit, at: datetime, zone: str) -> str:
    """A new case's number; the same sequence as that of reports."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT to_char(%s AT TIME ZONE %s, 'YYYYMMDD') || '-'"
            " || lpad(nextval('dispatch.case_number')::text, 7, '0')",
            (at, zone),
        )
    ).fetchone()
    assert row is not None
    return str(row[0])


async def insert_operation(unit: WriteUnit, columns: dict[str, Any], cell_id: int) -> None:
    """Write the case of an operation; its place is the label point of its cell."""
    driver = await unit.driver()
    names: Sequence[str] = list(columns)
    query = sql.SQL(
        "INSERT INTO dispatch.dispatch_case ({}, cell_id, location)"
        " SELECT {}, g.id, g.label_point FROM geo.cell AS g WHERE g.id = %(the_cell)s"
    ).format(sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(map(sql.Placeholder, names)))
    await driver.execute(query, {**columns, "the_cell": cell_id})
