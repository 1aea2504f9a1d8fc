"""Races of the closing commit against the sweep: cases closed at the very instant at which their rung is due."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.ladder_sweep import sweep
from dispatch.making import Actor, MoveRequest
from dispatch.moves import make_move
from dispatch.queries import load_reference
from dispatch.reference import Reference
from dispatch.storage.cases import lock_case
from dispatch.workflow import Move
from geo.storage.engine import create_engine
from geo.storage.uow import read_unit, write_unit

__all__ = ["Found", "Races", "race"]

_SWEEPERS, _CLOSERS = 3, 4
#: The close is begun at most so much before or after the rung. Units: seconds.
_BEFORE_S, _AFTER_S = 0.3, 0.02
_ACTOR = Actor(kind="system", id="bench")
#: The order of a case's acts is the order of their commits: each locks the row first.
_ORDER = """
SELECT count(*) FILTER (WHERE closed IS NOT NULL), count(*) FILTER (WHERE fired > closed),
       count(*) FILTER (WHERE fired < closed), count(*) FILTER (WHERE fired IS NULL)
  FROM (SELECT c.id, max(e.seq) FILTER (WHERE e.type = 'case.closed.v1') AS closed,
               max(e.seq) FILTER (WHERE e.moves = '{escalate}') AS fired
          FROM dispatch.dispatch_case AS c JOIN dispatch.case_event AS e ON e.case_id = c.id
         WHERE c.ref LIKE %(like)s GROUP BY c.id) AS h
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Races:
    """Cases ``prefix1`` … ``prefix<count>``, due ``lead_s + n * step_s`` after they were made. Units: seconds."""

    url: str
    prefix: str
    count: int
    lead_s: float
    step_s: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Cases closed; of these fired after the closing commit, fired before it, never fired."""

    closed: int
    after_close: int
    fired_first: int
    never: int


async def race(races: Races) -> Found:
    """Run all races and count."""
    engine = create_engine(races.url, pool_size=_SWEEPERS + _CLOSERS + 1, statement_timeout_s=60.0, name="race")
    try:
        async with read_unit(engine) as unit:
            reference = await load_reference(unit)
            driver = await unit.driver()
            left = "SELECT extract(epoch FROM due_at - clock_timestamp())::float8 FROM dispatch.dispatch_case"
            row = await (await driver.execute(left + " WHERE ref = %s", (f"{races.prefix}1",))).fetchone()
            assert row is not None
            # On our own clock from here on; which of the two comes first is for the database to say.
            first_at = time.monotonic() + row[0]
        over = asyncio.Event()
        sweepers = [asyncio.create_task(_sweep(engine, reference, over)) for _ in range(_SWEEPERS)]
        chance = random.Random(races.seed)
        turns: asyncio.Queue[tuple[str, float]] = asyncio.Queue()
        for number in range(1, races.count + 1):
            at = first_at + (number - 1) * races.step_s + chance.uniform(-_BEFORE_S, _AFTER_S)
            turns.put_nowait((f"{races.prefix}{number}", at))
        await asyncio.gather(*(_close(engine, reference, turns) for _ in range(_CLOSERS)))
        # What fires after the close would fire now.
        await asyncio.sleep(1.0)
        over.set()
        await asyncio.gather(*sweepers)
        async with read_unit(engine) as unit:
            driver = await unit.driver()
            row = await (await driver.execute(_ORDER, {"like": f"{races.prefix}%"})).fetchone()
        assert row is not None
        return Found(closed=row[0], after_close=row[1], fired_first=row[2], never=row[3])
    finally:
        await engine.dispose()


async def _sweep(engine: AsyncEngine, reference: Reference, over: asyncio.Event) -> None:
    while not over.is_set():
        async with write_unit(engine) as unit:
            await sweep(unit, batch=4, reference=reference)


async def _close(engine: AsyncEngine, reference: Reference, turns: asyncio.Queue[tuple[str, float]]) -> None:
    while not turns.empty():
        ref, at = turns.get_nowait()
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        async with write_unit(engine) as unit:
            for move in (Move.REPORT_BACK, Move.CLOSE):
                case = await lock_case(unit, ref)
                assert case is not None
                request = MoveRequest(ref=ref, move=move, actor=_ACTOR, seen_version=case["version"])
                await make_move(unit, request, reference)
