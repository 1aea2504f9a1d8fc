"""Writers beside readers: is a new report counted soon, and are counts right meanwhile?"""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import LiteralString

import psycopg

from bench._case_rows import CATEGORIES, CHANNELS
from bench.profile import Profile
from bench.report import Result
from maps.facts.asking import Asked
from maps.facts.keeping import FactKeeper

__all__ = ["under_fire"]

_WRITERS = 50

_REPORT: LiteralString = """
WITH made AS (
  INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, origin, channel_code, ticket, category_code, location,
    grid_version_id, cell_id, cell_path, located_how, state, reported_at)
  SELECT gen_random_uuid(), c.jurisdiction, 'W' || gen_random_uuid(), 'live', %(channel)s, gen_random_uuid()::text,
         %(category)s, c.location, c.grid_version_id, c.cell_id, c.cell_path, 'covers', 'reported', now()
    FROM (SELECT * FROM dispatch.dispatch_case LIMIT 1) AS c RETURNING id)
INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)
SELECT id, 1, 'case.reported.v1', '{report}', 'reported', now(), 'channel' FROM made
"""


async def _write(url: str, number: int, ends: float, written: list[int]) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while time.perf_counter() < ends:
            category = f"B{1 + (number + len(written)) % (CATEGORIES - 1):02}"
            await connection.execute(_REPORT, {"channel": f"b{1 + number % CHANNELS}", "category": category})
            written.append(number)


async def under_fire(profile: Profile, url: str, keeper: FactKeeper) -> list[Result]:
    """Fifty writers report; one more asks after each of its own commits; the proof is made meanwhile and afterwards."""
    ends = time.perf_counter() + (30 if profile.full else 8)
    written: list[int] = []
    probe = Asked(
        from_on=(datetime.now(UTC) - timedelta(days=2)).date(),
        to_on=(datetime.now(UTC) + timedelta(days=2)).date(),
        categories=frozenset({f"B{CATEGORIES}"}),
    )
    delays: list[float] = []
    apart_meanwhile: list[int] = []

    async def ask() -> None:
        known = (await keeper.current()).count(probe)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while time.perf_counter() < ends:
                await connection.execute(_REPORT, {"channel": "b1", "category": f"B{CATEGORIES}"})
                known += 1
                committed = time.perf_counter()
                while (await keeper.current()).count(probe) < known:
                    await asyncio.sleep(0.02)
                delays.append(time.perf_counter() - committed)

    async def prove() -> None:
        await asyncio.sleep(1)
        apart_meanwhile.append(len((await keeper.verify())[1]))

    async with asyncio.TaskGroup() as busy:
        for number in range(_WRITERS):
            busy.create_task(_write(url, number, ends, written))
        asking = busy.create_task(ask())
        await asking
    # The proof takes the keeper for itself, so it is made beside a second round of writers.
    ends = time.perf_counter() + 3
    async with asyncio.TaskGroup() as busy:
        for number in range(_WRITERS):
            busy.create_task(_write(url, number, ends, written))
        busy.create_task(prove())
    cases, apart = await keeper.verify()
    slowest = max(delays, default=float("inf"))
    note = f"{len(written):,} reports by {_WRITERS} writers, {len(delays)} asked after"
    if delays:
        note += f", median {statistics.median(delays):.2f} s"
    return [
        Result(
            id="maps-new-report-counted",
            value=slowest if delays else -1.0,
            unit="s",
            target="≤ 2 s",
            holds=slowest <= 2,
            note=note,
        ),
        Result.none_of(
            "maps-unequal-meanwhile", sum(apart_meanwhile), cases, note="counted twice while writers report"
        ),
        Result.none_of("maps-unequal-after-writers", len(apart), cases),
    ]
