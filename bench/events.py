"""The event feed: readers that follow the cursor under many concurrent writers see every event exactly once.

Writers insert in transactions of random size; some commit late, some roll back. The baseline is the usual cursor
("every id above my last one"), which runs beside ours in the same run and shows what it skips.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench.profile import Profile
from bench.report import Result
from dispatch.feed import Cursor, feed_end, read_page
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import read_unit

__all__ = ["FeedFigures", "events", "follow_while_writing"]

_INSERT: LiteralString = (
    "INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)"
    " SELECT %(case)s, %(first)s + g, %(type)s, '{note}', 'reported', now(), 'system'"
    " FROM generate_series(0, %(count)s - 1) AS g"
)
TYPES = ("case.noted.v1", "case.marked.v1")
_FIRST_SEQ = 100_000
_PAGE = 500


@dataclass(kw_only=True)
class FeedFigures:
    """What one run found; readers by name."""

    written: int = 0
    late: int = 0
    rolled_back: int = 0
    seconds: float = 0.0
    skipped: dict[str, int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    out_of_order: dict[str, int] = field(default_factory=dict)


async def follow_while_writing(url: str, *, writers: int, count: int, seed: int) -> FeedFigures:
    """Write and follow.

    Parameters
    ----------
    url
        A database with at least as many cases as writers.
    count
        Events to commit, over all writers.
    """
    figures = FeedFigures()
    engine = create_engine(url, pool_size=4, name="bench")
    try:
        async with read_unit(engine) as unit:
            start = await feed_end(unit)
            driver = await unit.driver()
            rows = await (
                await driver.execute("SELECT id FROM dispatch.dispatch_case ORDER BY id LIMIT %s", (writers,))
            ).fetchall()
        cases: list[UUID] = [row[0] for row in rows]
        begun = time.perf_counter()
        done = asyncio.Event()
        seen: dict[str, list[int]] = {"every": [], "some": [], "naive": []}
        async with asyncio.TaskGroup() as readers:
            readers.create_task(_follow(engine, start, seen["every"], done, ()))
            readers.create_task(_follow(engine, start, seen["some"], done, TYPES[:1]))
            readers.create_task(_follow_by_id(url, seen["naive"], done))
            async with asyncio.TaskGroup() as busy:
                for number, case in enumerate(cases):
                    busy.create_task(_write(url, case, count // writers, random.Random(seed + number), figures))
            done.set()
        figures.seconds = time.perf_counter() - begun
        async with await psycopg.AsyncConnection.connect(dsn(url)) as connection:
            cursor = await connection.execute(
                "SELECT id, type FROM dispatch.case_event WHERE (txid, id) > (%s::text::xid8, %s) ORDER BY txid, id",
                (str(start.txid), start.event_id),
            )
            true = await cursor.fetchall()
    finally:
        await engine.dispose()
    _compare(figures, seen, true)
    return figures


def _compare(figures: FeedFigures, seen: dict[str, list[int]], true: list[Any]) -> None:
    for name, got in seen.items():
        wanted = [id_ for id_, kind in true if name != "some" or kind == TYPES[0]]
        figures.skipped[name] = len(set(wanted) - set(got))
        figures.repeated[name] = len(got) - len(set(got))
        figures.out_of_order[name] = int(got != wanted)
    figures.written = len(true)


async def _write(url: str, case: UUID, count: int, chance: random.Random, figures: FeedFigures) -> None:
    async with await psycopg.AsyncConnection.connect(dsn(url)) as connection:
        written = 0
        while written < count:
            size = min(chance.choice((1, 1, 2, 5, 20, 50)), count - written)
            fate = chance.random()
            await connection.execute(
                _INSERT,
                {"case": case, "first": _FIRST_SEQ + written, "count": size, "type": chance.choice(TYPES)},
            )
            if fate < 0.08:
                await asyncio.sleep(chance.uniform(0.002, 0.06))
                figures.late += 1
            if fate > 0.95:
                await connection.rollback()
                figures.rolled_back += 1
                continue
            await connection.commit()
            written += size


async def _follow(
    engine: AsyncEngine, start: Cursor, seen: list[int], done: asyncio.Event, types: tuple[str, ...]
) -> None:
    position = start
    while True:
        ending = done.is_set()  # asked before reading: what is read after the last commit is complete
        async with read_unit(engine) as unit:
            page = await read_page(unit, position, limit=_PAGE, as_of=datetime.now(UTC), types=types)
        seen.extend(event.cursor.event_id for event in page.events)
        if page.next == position:
            if ending:
                return
            await asyncio.sleep(0.005)
        position = page.next


async def _follow_by_id(url: str, seen: list[int], done: asyncio.Event) -> None:
    async with await psycopg.AsyncConnection.connect(dsn(url), autocommit=True) as connection:
        cursor = await connection.execute("SELECT coalesce(max(id), 0) FROM dispatch.case_event")
        (last,) = (await cursor.fetchone()) or (0,)
        while True:
            ending = done.is_set()
            cursor = await connection.execute(
                "SELECT id FROM dispatch.case_event WHERE id > %s ORDER BY id LIMIT %s", (last, _PAGE)
            )
            rows = await cursor.fetchall()
            if not rows:
                if ending:
                    return
                await asyncio.sleep(0.005)
                continue
            seen.extend(row[0] for row in rows)
            last = rows[-1][0]


@benchmark
def events(profile: Profile) -> Iterator[Result]:
    """Follow the feed under 50 writers and a million events; the quick profile 16 writers and 20,000."""
    writers, count = (50, 1_000_000) if profile.full else (16, 20_000)
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        upgrade(url)
        figures = asyncio.run(_load_and_run(url, writers, count, profile.seed))
    note = (
        f"{figures.late:,} late commits, {figures.rolled_back:,} roll-backs, {figures.written / figures.seconds:,.0f}"
        f" events/s; the usual id cursor skipped {figures.skipped['naive']:,} in the same run"
    )
    for name in ("every", "some"):
        yield Result.none_of(f"events-skipped-{name}", figures.skipped[name], figures.written, note=note)
        yield Result.none_of(f"events-repeated-{name}", figures.repeated[name], figures.written)
    yield Result.none_of("events-out-of-order", sum(figures.out_of_order[n] for n in ("every", "some")), 2)


async def _load_and_run(url: str, writers: int, count: int, seed: int) -> FeedFigures:
    engine = create_engine(url, pool_size=2, statement_timeout_s=0, name="bench")
    try:
        await load_demo(engine, scale=0.02)
    finally:
        await engine.dispose()
    return await follow_while_writing(url, writers=writers, count=count, seed=seed)
