"""The quick profile of `bench escalation`, and random lives of cases: exactly once, and never after the end."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

import bench.escalation as bench
from dispatch.ladder_sweep import sweep
from dispatch.making import Actor, MoveRequest
from dispatch.moves import make_move
from dispatch.queries import load_reference
from dispatch.states import CaseState
from dispatch.storage.cases import lock_case
from dispatch.workflow import Move, allowed_moves
from geo.errors import GridwardError
from geo.storage.engine import dsn
from geo.storage.uow import read_unit, write_unit
from tests.builders import report
from tests.flow.conftest import Client

SIZE = bench._Size(workers=3, deadlines=300, window_s=3.0, kills=4, outage=60, races=60, open_cases=0)
MOVES = (
    Move.ACKNOWLEDGE, Move.REQUEST_EXTENSION, Move.APPROVE_EXTENSION, Move.REQUEST_SUSPEND, Move.APPROVE_SUSPEND,
    Move.RESUME, Move.REPORT_BACK, Move.CHECK_FAIL, Move.CLOSE, Move.DISSATISFIED, Move.RE_DISPATCH, Move.RETURN,
)  # fmt: skip
ACTOR = Actor(kind="system", id="test")


def test_killed_skewed_away_and_raced(demo_database: str) -> None:
    """Real workers, killed with -9, with wrong clocks; the full profile is `gridward bench escalation --full`."""
    with psycopg.connect(dsn(demo_database), autocommit=True) as connection:
        category, number = bench._urgent(connection)
        made: dict[str, Any] = {"category": category, "number": number}
        found = {}
        for part in (
            bench._outage(connection, demo_database, SIZE, made),
            bench._under_fire(connection, demo_database, SIZE, made, 7),
            bench._races(connection, demo_database, SIZE, made, 7),
        ):
            found |= {result.id: result for result in part}
    exact = ("after-6h-outage", "missed", "double", "fired-after-close")
    assert {name: found[f"escalation-{name}"].value for name in exact} == dict.fromkeys(exact, 0)
    # Every race has an end, or the zero would prove nothing.
    assert found["escalation-fired-after-close"].unit == "of 60"


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_lives_keep_the_promises(client: Client, engine: AsyncEngine, seed: int) -> None:
    chance = random.Random(seed)
    refs = [(await client.post("/v1/reports", json=report(ticket=f"T-{n}"))).json()["case"] for n in range(8)]
    async with read_unit(engine) as unit:
        reference = await load_reference(unit)
    made = 0
    for _ in range(80):
        ref = chance.choice(refs)
        async with write_unit(engine) as unit:
            driver = await unit.driver()
            if chance.random() < 0.35:
                # Time passes for one case: everything its clock knows lies further back.
                by = timedelta(minutes=chance.choice((30, 90, 150, 400)))
                await driver.execute(
                    "UPDATE dispatch.dispatch_case SET dispatched_at = dispatched_at - %(by)s,"
                    " due_at = due_at - %(by)s, ladder_from = ladder_from - %(by)s,"
                    " clock_started_at = clock_started_at - %(by)s WHERE ref = %(ref)s",
                    {"by": by, "ref": ref},
                )
                continue
            case = await lock_case(unit, ref)
            assert case is not None
            possible = [move for move in allowed_moves(CaseState(case["state"])) if move in MOVES]
            request = MoveRequest(
                ref=ref, move=chance.choice(possible), actor=ACTOR, seen_version=case["version"], reason="r",
                until=case["reported_at"] + timedelta(days=30),
            )  # fmt: skip
            try:
                async with driver.transaction():
                    await make_move(unit, request, reference)
                    made += 1
            except GridwardError:
                pass
        await asyncio.gather(*(_sweep(engine) for _ in range(2)))
        await _check(engine)
    assert made > 15


async def _sweep(engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        await sweep(unit, batch=20)


async def _check(engine: AsyncEngine) -> None:
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        # One event for each rung that has fired, and no other.
        rows = await driver.execute(
            "SELECT (SELECT count(*) FROM dispatch.escalation),"
            " (SELECT count(*) FROM dispatch.case_event WHERE moves = '{escalate}'),"
            " (SELECT count(DISTINCT (case_id, payload ->> 'rung', payload ->> 'epoch')) FROM dispatch.case_event"
            "   WHERE moves = '{escalate}')"
        )
        assert len(set(await rows.fetchone() or ())) == 1
        # No rung fires from a state in which the clock does not run.
        rows = await driver.execute(
            "SELECT count(*) FROM dispatch.case_event WHERE moves = '{escalate}'"
            " AND from_state NOT IN ('dispatched', 'handling', 'returned', 'reopened')"
        )
        assert await rows.fetchone() == (0,)
        # Whoever is on the ladder is looked at again, whoever is not is left alone; nothing due is left.
        rows = await driver.execute(
            "SELECT count(*) FILTER (WHERE climbs AND next_rung_at IS NULL AND NOT ladder_done),"
            " count(*) FILTER (WHERE NOT climbs AND next_rung_at IS NOT NULL),"
            " count(*) FILTER (WHERE next_rung_at <= now()) FROM (SELECT *, due_at IS NOT NULL AND state IN"
            " ('dispatched', 'handling', 'returned', 'reopened') AS climbs FROM dispatch.dispatch_case) AS c"
        )
        assert await rows.fetchone() == (0, 0, 0)
