"""Asking the database who answers for a (cell, category): the line of the matrix and the ladder, at any instant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dispatch.posts import Head, Rung, find_head, parse_ladder
from dispatch.routing import Department, Mode, Route
from geo.storage.uow import Unit

__all__ = [
    "Answer",
    "department_ladder",
    "departments_for",
    "find_fallback",
    "handlers_on_duty",
    "led_ladder",
    "read_department",
    "read_position",
    "read_versions",
    "responsible_for",
]

_ROUTE = """
SELECT r.rule_id, r.mode, r.cell_code, r.category_code, d.code, d.name_zh, d.name_en
  FROM dispatch.route(%(jurisdiction)s, %(path)s::text[], %(category)s, %(at)s) AS r
  JOIN dispatch.department AS d ON d.code = r.department_code
"""
_LADDER = "SELECT * FROM dispatch.duty_ladder(%(jurisdiction)s, %(path)s::text[], %(department)s, %(at)s) ORDER BY step"
# The line for the territory itself, whatever else the matrix says about the category.
_FALLBACK = """
SELECT r.department_code
  FROM dispatch.routing AS r
  JOIN dispatch.department AS d ON d.code = r.department_code AND d.is_active
 WHERE r.jurisdiction = %(jurisdiction)s AND r.mode = 'fallback'
   AND r.cell_code = ANY (array_append(%(path)s::text[], ''))
   AND r.valid_from <= %(at)s AND (r.valid_until IS NULL OR r.valid_until > %(at)s)
 ORDER BY coalesce(array_position(%(path)s::text[], r.cell_code), 0) DESC
 LIMIT 1
"""
# Everybody with a part in it, whichever line wins: the nearest line of each department, in the order of rule route-1.
_PARTS = """
WITH RECURSIVE classes AS (
  SELECT k.code, k.parent, 1 AS up FROM dispatch.category AS k WHERE k.code = %(category)s
  UNION ALL
  SELECT k.code, k.parent, c.up + 1 FROM classes AS c JOIN dispatch.category AS k ON k.code = c.parent WHERE c.up < 8
),
lines AS (
  SELECT DISTINCT ON (r.department_code) r.department_code,
         coalesce(array_position(%(path)s::text[], r.cell_code), 0) AS depth, coalesce(c.up, 9) AS up
    FROM dispatch.routing AS r
    JOIN dispatch.department AS d ON d.code = r.department_code AND d.is_active
    LEFT JOIN classes AS c ON c.code = r.category_code
   WHERE r.jurisdiction = %(jurisdiction)s AND r.mode <> 'fallback'
     AND r.cell_code = ANY (array_append(%(path)s::text[], ''))
     AND r.category_code = ANY (ARRAY(SELECT code FROM classes UNION ALL SELECT ''))
     AND r.valid_from <= %(at)s AND (r.valid_until IS NULL OR r.valid_until > %(at)s)
   ORDER BY r.department_code, 2 DESC, 3)
SELECT department_code FROM lines ORDER BY depth DESC, up, department_code
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Who answers for a (cell, category) at an instant: the line of the matrix, if any, and everybody looked at.

    ``ladder`` begins with the department when it leads; ``helpers`` are the handlers of one that does not.
    """

    route: Route | None
    ladder: tuple[Rung, ...]
    helpers: tuple[Rung, ...] = ()

    @property
    def head(self) -> Head | None:
        """The responsible person and why."""
        return find_head(self.ladder)

    @property
    def territory(self) -> Head | None:
        """The grid head who answers for the territory, whichever department leads."""
        return find_head([rung for rung in self.ladder if not rung.department])


async def responsible_for(unit: Unit, jurisdiction: str, path: Sequence[str], category: str, at: datetime) -> Answer:
    """Who answers for a category in a cell (given by its path of codes) at an instant, and everybody looked at."""
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "path": list(path), "category": category, "at": at}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_ROUTE, values)
        row = await cursor.fetchone()
    route = _route(row) if row else None
    ladder = await led_ladder(unit, jurisdiction, path, route.leading if route else None, at)
    helpers: tuple[Rung, ...] = ()
    if route is not None and route.leading is None:
        helpers = await department_ladder(unit, jurisdiction, path, route.department.code, at)
    return Answer(route=route, ladder=ladder, helpers=helpers)


async def led_ladder(
    unit: Unit, jurisdiction: str, path: Sequence[str], department: str | None, at: datetime
) -> tuple[Rung, ...]:
    """The ladder of a cell with the handlers of a department before it; None leaves the territory alone."""
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "path": list(path), "department": department, "at": at}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_LADDER, values)
        return parse_ladder(await cursor.fetchall())


async def department_ladder(
    unit: Unit, jurisdiction: str, path: Sequence[str], department: str, at: datetime
) -> tuple[Rung, ...]:
    """The handlers of a department for a cell, best first; nobody else."""
    ladder = await led_ladder(unit, jurisdiction, path, department, at)
    return tuple(rung for rung in ladder if rung.department)


_ON_DUTY = """
SELECT a.key, l.person_id
  FROM jsonb_to_recordset(%s::jsonb)
         AS a (key bigint, jurisdiction text, path text[], department text, at timestamptz)
 CROSS JOIN LATERAL (
       SELECT d.person_id
         FROM dispatch.duty_ladder(a.jurisdiction, a.path, a.department, a.at) AS d
        WHERE d.is_available AND d.department <> ''
        ORDER BY d.step LIMIT 1) AS l
"""


async def handlers_on_duty(
    unit: Unit, asked: Sequence[tuple[int, str, Sequence[str], str, datetime]]
) -> dict[int, UUID]:
    """Who is there in departments, for any number of questions (key, jurisdiction, path, department, instant).

    A department with nobody there has no answer. Cost: one statement.
    """
    driver = await unit.driver()
    names = ("key", "jurisdiction", "path", "department", "at")
    questions = [dict(zip(names, (*one[:4], one[4].isoformat()), strict=True)) for one in asked]
    return dict(await (await driver.execute(_ON_DUTY, (Jsonb(questions),))).fetchall())


async def departments_for(
    unit: Unit, jurisdiction: str, path: Sequence[str], category: str, at: datetime
) -> tuple[str, ...]:
    """Codes of all departments that the matrix gives a part in a (cell, category), the nearest line first.

    A line for the class and one for its major class may name different departments: both have a part in joint work.
    """
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "path": list(path), "category": category, "at": at}
    return tuple(row[0] for row in await (await driver.execute(_PARTS, values)).fetchall())


async def find_fallback(unit: Unit, jurisdiction: str, path: Sequence[str], at: datetime) -> tuple[Rung, ...]:
    """The handlers of the territorial fallback owner (属地兜底) of a cell; empty when the matrix names none."""
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "path": list(path), "at": at}
    row = await (await driver.execute(_FALLBACK, values)).fetchone()
    return await department_ladder(unit, jurisdiction, path, row[0], at) if row else ()


async def read_department(unit: Unit, code: str) -> Department | None:
    """A department by its code."""
    driver = await unit.driver()
    row = await (
        await driver.execute("SELECT name_zh, name_en, is_active FROM dispatch.department WHERE code = %s", (code,))
    ).fetchone()
    return Department(code=code, name_zh=row[0], name_en=row[1], is_active=row[2]) if row else None


async def read_position(unit: Unit, case_id: UUID) -> tuple[float, float] | None:
    """The pair of a case as it was sent."""
    driver = await unit.driver()
    row = await (
        await driver.execute("SELECT raw_x, raw_y FROM dispatch.dispatch_case WHERE id = %s", (case_id,))
    ).fetchone()
    return (row[0], row[1]) if row and row[0] is not None and row[1] is not None else None


async def read_versions(unit: Unit, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Number and name of grid versions by their id."""
    driver = await unit.driver()
    rows = await (
        await driver.execute("SELECT id, number, name FROM geo.grid_version WHERE id = ANY (%s)", (list(ids),))
    ).fetchall()
    return {row[0]: {"number": row[1], "name": row[2]} for row in rows}


def _route(row: dict[str, Any]) -> Route:
    return Route(
        rule_id=row["rule_id"],
        mode=Mode(row["mode"]),
        department=Department(code=row["code"], name_zh=row["name_zh"], name_en=row["name_en"]),
        cell_code=row["cell_code"],
        category_code=row["category_code"],
    )
