"""Reading posts for the roster in memory, and the log of their changes."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.roster import CellPosts, Changes, Holding, Post, Roster
from geo.storage.uow import read_unit
from geo.storage.watching import Look

__all__ = ["DUTY_CHANNEL", "duty_look", "posts_reader"]

DUTY_CHANNEL = "gridward_duty"

_POSTS = """
SELECT p.cell_code, p.id, p.rank, p.title_zh, p.title_en, p.valid_from, p.valid_until,
       a.id, a.valid_from, a.valid_until, a.person_id, h.id, h.name, l.starts_at, l.ends_at
  FROM dispatch.post AS p
  LEFT JOIN dispatch.appointment AS a
         ON a.post_id = p.id AND (a.valid_until IS NULL OR a.valid_until > now() - interval '1 hour')
  LEFT JOIN dispatch.person AS h ON h.id = a.person_id AND h.is_active
  LEFT JOIN dispatch.leave AS l ON l.person_id = h.id AND l.ends_at > now() - interval '1 hour'
 WHERE p.kind = 'grid_head' AND p.jurisdiction = %s AND p.cell_code = ANY (%s)
   AND (p.valid_until IS NULL OR p.valid_until > now() - interval '1 hour')
 ORDER BY p.cell_code, p.rank, p.id, a.id
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
_FAR_FUTURE = datetime.max.replace(tzinfo=UTC)


def posts_reader(
    engine: AsyncEngine, jurisdiction: str
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, CellPosts]]]:
    """Make the function that loads entries of the roster."""

    async def load(codes: Sequence[str]) -> Mapping[str, CellPosts]:
        async with read_unit(engine) as unit:
            driver = await unit.driver()
            rows = await (await driver.execute(_POSTS, (jurisdiction, list(codes)))).fetchall()
        return {code: CellPosts((), frozenset()) for code in codes} | _entries(rows)

    return load


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


def _entries(rows: Sequence[tuple[Any, ...]]) -> dict[str, CellPosts]:
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
                    until=row[6] or _FAR_FUTURE,
                    holdings=tuple(
                        Holding(h[8], h[9] or _FAR_FUTURE, h[11], h[12], tuple(leave.get((post_id, id_), ())))
                        for id_, h in held.items()
                    ),
                )
            )
        found[code] = CellPosts(tuple(entry), frozenset(persons))
    return found
