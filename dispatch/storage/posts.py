"""Persons, posts, appointments and leave in the database: reading with filters, and the plain writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row

from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "change_row",
    "fetch",
    "find_post",
    "insert_row",
    "list_people",
    "list_posts",
    "lock_row",
    "open_cases_of",
    "read_rows",
]

_POSTS: Final[LiteralString] = """
SELECT p.id, p.kind, p.rank, p.cell_code, p.department_code, p.title_zh, p.title_en, p.valid_from, p.valid_until,
       p.is_shared, d.name_zh AS department_zh, d.name_en AS department_en,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'appointment', a.id, 'person', h.id, 'name', h.name, 'staff_number', h.staff_number,
                 'is_active', h.is_active, 'valid_from', a.valid_from, 'valid_until', a.valid_until,
                 'leave_until', (SELECT max(l.ends_at) FROM dispatch.leave AS l
                                  WHERE l.person_id = h.id AND l.starts_at <= %(at)s AND l.ends_at > %(at)s),
                 'is_on_shift', dispatch.is_on_shift(p.id, h.id, %(at)s, j.time_zone)) ORDER BY a.id), '[]')
          FROM dispatch.appointment AS a JOIN dispatch.person AS h ON h.id = a.person_id
         WHERE a.post_id = p.id AND a.valid_from <= %(at)s AND (a.valid_until IS NULL OR a.valid_until > %(at)s)
       ) AS holders
  FROM dispatch.post AS p
  JOIN geo.jurisdiction AS j ON j.code = p.jurisdiction
  LEFT JOIN dispatch.department AS d ON d.code = p.department_code
 WHERE p.jurisdiction = %(jurisdiction)s
   AND (%(id)s::bigint IS NULL OR p.id = %(id)s)
   AND (%(kind)s::text IS NULL OR p.kind = %(kind)s)
   AND (%(cell)s::text IS NULL OR p.cell_code = %(cell)s)
   AND (%(department)s::text IS NULL OR p.department_code = %(department)s)
   AND (%(person)s::uuid IS NULL OR EXISTS (
         SELECT FROM dispatch.appointment AS a WHERE a.post_id = p.id AND a.person_id = %(person)s
            AND a.valid_from <= %(at)s AND (a.valid_until IS NULL OR a.valid_until > %(at)s)))
   AND (%(id)s::bigint IS NOT NULL OR %(ended)s
        OR (p.valid_from <= %(at)s AND (p.valid_until IS NULL OR p.valid_until > %(at)s)))
   AND p.id > %(after)s
 ORDER BY p.id
 LIMIT %(limit)s
"""
# The phone itself is read by `/v1/people/{id}/phone` alone; lists say whether there is one.
_PEOPLE: Final[LiteralString] = """
SELECT h.id, h.name, h.staff_number, h.is_active, h.phone IS NOT NULL AS has_phone,
       (SELECT max(l.ends_at) FROM dispatch.leave AS l
         WHERE l.person_id = h.id AND l.starts_at <= %(at)s AND l.ends_at > %(at)s) AS leave_until,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                 'post', p.id, 'title_zh', p.title_zh, 'title_en', p.title_en, 'kind', p.kind, 'rank', p.rank,
                 'cell', p.cell_code, 'department', p.department_code, 'appointment', a.id,
                 'valid_from', a.valid_from, 'valid_until', a.valid_until) ORDER BY p.id), '[]')
          FROM dispatch.appointment AS a JOIN dispatch.post AS p ON p.id = a.post_id
         WHERE a.person_id = h.id AND a.valid_from <= %(at)s AND (a.valid_until IS NULL OR a.valid_until > %(at)s)
       ) AS posts
  FROM dispatch.person AS h
 WHERE h.jurisdiction = %(jurisdiction)s
   AND (%(id)s::uuid IS NULL OR h.id = %(id)s)
   AND (%(name)s::text IS NULL OR strpos(h.name, %(name)s) > 0 OR h.staff_number = %(name)s)
   AND (%(id)s::uuid IS NOT NULL OR %(ended)s OR h.is_active)
   AND h.id > %(after)s
 ORDER BY h.id
 LIMIT %(limit)s
"""
_FIRST = UUID(int=0)


async def list_posts(
    unit: Unit,
    jurisdiction: str,
    at: datetime,
    *,
    kind: str | None = None,
    cell: str | None = None,
    department: str | None = None,
    person: UUID | None = None,
    ended: bool = False,
    after: int = 0,
    limit: int = 100,
    post_id: int | None = None,
) -> list[dict[str, Any]]:
    """Posts with their holders at an instant, in the order of their ids; ``ended`` adds those not valid then."""
    values = {
        "jurisdiction": jurisdiction,
        "at": at,
        "kind": kind,
        "cell": cell,
        "department": department,
        "person": person,
        "ended": ended,
        "after": after,
        "limit": limit,
        "id": post_id,
    }
    return await fetch(unit, _POSTS, values)


async def find_post(unit: Unit, jurisdiction: str, post_id: int, at: datetime) -> dict[str, Any] | None:
    """One post with its holders at an instant, valid then or not."""
    found = await list_posts(unit, jurisdiction, at, post_id=post_id)
    return found[0] if found else None


async def list_people(
    unit: Unit,
    jurisdiction: str,
    at: datetime,
    *,
    name: str | None = None,
    ended: bool = False,
    after: UUID = _FIRST,
    limit: int = 100,
    person_id: UUID | None = None,
) -> list[dict[str, Any]]:
    """Persons with the posts they hold at an instant. ``name`` is a part of the name, or a staff number."""
    values = {
        "jurisdiction": jurisdiction,
        "at": at,
        "name": name,
        "ended": ended,
        "after": after,
        "limit": limit,
        "id": person_id,
    }
    return await fetch(unit, _PEOPLE, values)


async def open_cases_of(
    unit: Unit, post_id: int, person_id: UUID | None, states: Sequence[str]
) -> list[dict[str, Any]]:
    """Cases that a post owns, of one of its holders or of all. Cost: an index of the open cases by post."""
    listed = sql.SQL(", ").join(map(sql.Literal, states))
    query = sql.SQL(
        "SELECT c.id, c.ref, c.state, c.owner_person_id, c.due_at FROM dispatch.dispatch_case AS c"
        " WHERE c.owner_post_id = %(post)s AND c.state IN ({})"
        " AND (%(person)s::uuid IS NULL OR c.owner_person_id = %(person)s)"
        " ORDER BY c.due_at NULLS LAST, c.ref"
    ).format(listed)
    return await fetch(unit, query, {"post": post_id, "person": person_id})


async def read_rows(
    unit: Unit, table: LiteralString, where: LiteralString, values: Mapping[str, Any], *, order: LiteralString = "id"
) -> list[dict[str, Any]]:
    """Rows of one of this floor's tables."""
    query = sql.SQL("SELECT * FROM dispatch.{} WHERE {} ORDER BY {}").format(
        sql.Identifier(table), sql.SQL(where), sql.SQL(order)
    )
    return await fetch(unit, query, values)


async def lock_row(unit: WriteUnit, table: LiteralString, row_id: int | UUID | str) -> dict[str, Any] | None:
    """Lock one row before looking at it."""
    column = "code" if table == "department" else "id"
    query = sql.SQL("SELECT * FROM dispatch.{} WHERE {} = %(id)s FOR UPDATE").format(
        sql.Identifier(table), sql.Identifier(column)
    )
    found = await fetch(unit, query, {"id": row_id})
    return found[0] if found else None


async def insert_row(unit: WriteUnit, table: LiteralString, values: Mapping[str, Any]) -> dict[str, Any]:
    """Insert a row and return it as it is now."""
    query = sql.SQL("INSERT INTO dispatch.{} ({}) VALUES ({}) RETURNING *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(map(sql.Placeholder, values)),
    )
    return (await fetch(unit, query, values))[0]


async def change_row(
    unit: WriteUnit, table: LiteralString, row_id: int | UUID | str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Change some columns of a row and return it as it is now."""
    column = "code" if table == "department" else "id"
    query = sql.SQL("UPDATE dispatch.{} SET {} WHERE {} = %(row_id)s RETURNING *").format(
        sql.Identifier(table),
        sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values),
        sql.Identifier(column),
    )
    return (await fetch(unit, query, {**values, "row_id": row_id}))[0]


async def fetch(unit: Unit, query: sql.Composed | LiteralString, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run a query and return its rows by name."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()
