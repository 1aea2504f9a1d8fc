"""Reading posts for the roster in memory, and the log of their changes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.intervals import FAR_FUTURE
from dispatch.roster import CellPosts, Changes, Holding, Post, Roster
from dispatch.routing import Department, Mode, RouteTable, RoutingRule
from dispatch.shifts import ALWAYS, Rota, Shift, ShiftException
from geo.storage.uow import Unit, read_unit
from geo.storage.watching import Look

__all__ = ["DUTY_CHANNEL", "duty_look", "posts_reader", "read_rotas", "read_routes", "routes_reader"]

DUTY_CHANNEL = "gridward_duty"

_POSTS = """
SELECT CASE p.kind WHEN 'grid_head' THEN p.cell_code ELSE '@' || p.department_code END,
       p.id, p.rank, p.title_zh, p.title_en, p.valid_from, p.valid_until,
       a.id, a.valid_from, a.valid_until, a.person_id, h.id, h.name, l.starts_at, l.ends_at,
       CASE p.kind WHEN 'grid_head' THEN NULL ELSE p.cell_code END
  FROM dispatch.post AS p
  LEFT JOIN dispatch.appointment AS a
         ON a.post_id = p.id AND (a.valid_until IS NULL OR a.valid_until > now() - interval '1 hour')
  LEFT JOIN dispatch.person AS h ON h.id = a.person_id AND h.is_active
  LEFT JOIN dispatch.leave AS l ON l.person_id = h.id AND l.ends_at > now() - interval '1 hour'
 WHERE p.jurisdiction = %(jurisdiction)s
   AND ((p.kind = 'grid_head' AND p.cell_code = ANY (%(cells)s))
        OR (p.kind = 'department_handler' AND p.department_code = ANY (%(departments)s)))
   AND (p.valid_until IS NULL OR p.valid_until > now() - interval '1 hour')
 ORDER BY 1, p.rank, p.id, a.id
"""
# A plan that has ended keeps speaking of its last days; by the hour is too fine for days.
_SHIFTS = """
SELECT s.post_id, s.person_id, s.cycle_days, s.anchor, s.on_days, s.starts, s.ends, s.first_day, s.last_day
  FROM dispatch.shift AS s
 WHERE s.post_id = ANY (%(posts)s) AND (s.last_day IS NULL OR s.last_day > current_date - 4)
"""
_EXCEPTIONS = """
SELECT x.post_id, x.person_id, x.day, x.starts, x.ends
  FROM dispatch.shift_exception AS x
 WHERE x.post_id = ANY (%(posts)s) AND x.day > current_date - 4
"""
_ZONE = "SELECT j.time_zone FROM geo.jurisdiction AS j WHERE j.code = %s"
_RULES = """
SELECT r.id, r.cell_code, r.category_code, r.department_code, r.mode, r.valid_from, r.valid_until
  FROM dispatch.routing AS r
 WHERE r.jurisdiction = %s AND (r.valid_until IS NULL OR r.valid_until > now() - interval '1 hour')
"""
_NOW = "SELECT pg_current_snapshot()::text"
# A row that the old snapshot could not see: begun after it, or running then and committed since.
_CHANGED = """
SELECT pg_current_snapshot()::text, array_agg(DISTINCT d.cell_code) FILTER (WHERE d.cell_code IS NOT NULL),
       array_agg(DISTINCT d.person_id) FILTER (WHERE d.person_id IS NOT NULL),
       coalesce(bool_or(d.cell_code IS NULL AND d.person_id IS NULL), false)
  FROM dispatch.duty_change AS d
 WHERE d.txid >= pg_snapshot_xmin(%(since)s::pg_snapshot)
   AND NOT pg_visible_in_snapshot(d.txid, %(since)s::pg_snapshot)
"""
_FORGET_AFTER_S = 3600.0
"""The log is kept for a day; whoever has not looked for so long starts afresh."""


def posts_reader(
    engine: AsyncEngine, jurisdiction: str
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, CellPosts]]]:
    """Make the function that loads entries of the roster."""

    async def load(codes: Sequence[str]) -> Mapping[str, CellPosts]:
        async with read_unit(engine) as unit:
            driver = await unit.driver()
            asked = {
                "jurisdiction": jurisdiction,
                "cells": [code for code in codes if not code.startswith("@")],
                "departments": [code[1:] for code in codes if code.startswith("@")],
            }
            rows = await (await driver.execute(_POSTS, asked)).fetchall()
            rotas = await read_rotas(unit, jurisdiction, {row[1] for row in rows})
        return {code: CellPosts((), frozenset()) for code in codes} | _entries(rows, rotas)

    return load


async def read_rotas(unit: Unit, jurisdiction: str, posts: Collection[int]) -> dict[int, Rota]:
    """The shifts of posts, from some days ago on; posts without any are absent."""
    driver = await unit.driver()
    shifts: dict[int, list[Shift]] = {}
    exceptions: dict[int, list[ShiftException]] = {}
    for row in await (await driver.execute(_SHIFTS, {"posts": list(posts)})).fetchall():
        plan = Shift(
            person_id=row[1],
            cycle_days=row[2],
            anchor=row[3],
            on_days=frozenset(row[4]),
            starts=row[5],
            ends=row[6],
            first_day=row[7],
            last_day=row[8],
        )
        shifts.setdefault(row[0], []).append(plan)
    for row in await (await driver.execute(_EXCEPTIONS, {"posts": list(posts)})).fetchall():
        one = ShiftException(person_id=row[1], day=row[2], starts=row[3], ends=row[4])
        exceptions.setdefault(row[0], []).append(one)
    if not shifts and not exceptions:
        return {}
    zone = await (await driver.execute(_ZONE, (jurisdiction,))).fetchone()
    assert zone is not None
    return {
        post: Rota(zone=zone[0], shifts=tuple(shifts.get(post, ())), exceptions=tuple(exceptions.get(post, ())))
        for post in shifts.keys() | exceptions.keys()
    }


def routes_reader(engine: AsyncEngine, jurisdiction: str) -> Callable[[], Awaitable[RouteTable]]:
    """Make the function that loads the matrix of departments."""

    async def load() -> RouteTable:
        async with read_unit(engine, snapshot=True) as unit:
            return await read_routes(unit, jurisdiction)

    return load


async def read_routes(unit: Unit, jurisdiction: str) -> RouteTable:
    """The matrix as it is now and will be; rules that ended more than an hour ago are left out."""
    driver = await unit.driver()
    departments = await (
        await driver.execute("SELECT code, name_zh, name_en, is_active FROM dispatch.department")
    ).fetchall()
    parents = await (await driver.execute("SELECT code, parent FROM dispatch.category")).fetchall()
    rules = await (await driver.execute(_RULES, (jurisdiction,))).fetchall()
    return RouteTable(
        rules=[
            RoutingRule(
                id=row[0],
                cell_code=row[1],
                category_code=row[2],
                department_code=row[3],
                mode=Mode(row[4]),
                since=row[5],
                until=row[6] or FAR_FUTURE,
            )
            for row in rules
        ],
        parents=dict(parents),
        departments={
            row[0]: Department(code=row[0], name_zh=row[1], name_en=row[2], is_active=row[3]) for row in departments
        },
    )


def duty_look(roster: Roster) -> Look:
    """Make the look that keeps a roster true. Cost: one query on an index of today's changes."""
    looked_at = float("-inf")

    async def look(connection: psycopg.AsyncConnection[Any]) -> None:
        async def read(since: str) -> Changes:
            nonlocal looked_at
            slept = time.monotonic() - looked_at > _FORGET_AFTER_S
            looked_at = time.monotonic()
            if not since or slept:
                row = await (await connection.execute(_NOW)).fetchone()
                assert row is not None
                return Changes(snapshot=row[0], is_everything=True)
            row = await (await connection.execute(_CHANGED, {"since": since})).fetchone()
            assert row is not None
            return Changes(
                snapshot=row[0], cells=frozenset(row[1] or ()), persons=frozenset(row[2] or ()), is_everything=row[3]
            )

        await roster.look(read)

    return look


def _entries(rows: Sequence[tuple[Any, ...]], rotas: Mapping[int, Rota]) -> dict[str, CellPosts]:
    """Fold the joined rows: a row per post, holder and leave."""
    posts: dict[str, dict[int, tuple[Any, ...]]] = {}
    holdings: dict[int, dict[int, tuple[Any, ...]]] = {}
    leave: dict[tuple[int, int], list[tuple[datetime, datetime]]] = {}
    for row in rows:
        posts.setdefault(row[0], {})[row[1]] = row
        if row[7] is not None:
            holdings.setdefault(row[1], {})[row[7]] = row
            if row[13] is not None:
                leave.setdefault((row[1], row[7]), []).append((row[13], row[14]))
    found: dict[str, CellPosts] = {}
    for code, by_id in posts.items():
        persons: set[UUID] = set()
        entry: list[Post] = []
        for post_id, row in by_id.items():
            held = holdings.get(post_id, {})
            persons.update(holder[10] for holder in held.values())
            entry.append(
                Post(
                    rank=row[2],
                    post_id=post_id,
                    title_zh=row[3],
                    title_en=row[4],
                    since=row[5],
                    until=row[6] or FAR_FUTURE,
                    holdings=tuple(
                        Holding(h[8], h[9] or FAR_FUTURE, h[11], h[12], tuple(leave.get((post_id, id_), ())))
                        for id_, h in held.items()
                    ),
                    rota=rotas.get(post_id, ALWAYS),
                    cell_code=row[15],
                )
            )
        found[code] = CellPosts(tuple(entry), frozenset(persons))
    return found
