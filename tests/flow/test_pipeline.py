"""Several executions of one statement on their way on one line: each is answered for itself."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import time
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
import uvloop
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.storage.intake import INTAKE
from geo.storage.engine import create_engine, dsn
from geo.storage.pipeline import StatementPipeline
from geo.storage.uow import read_unit
from tests.builders import report
from tests.flow.conftest import Client

# $1 comes back, $2 divides, $3 is slept, in seconds.
_ECHO = b"SELECT $1::text, 10 / $2::int, pg_backend_pid(), pg_sleep($3::float8)::text IS NULL"

_LoopFactory = Callable[[], asyncio.AbstractEventLoop]
_BOTH_LOOPS = pytest.mark.parametrize(
    "loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@pytest.fixture
async def lending(database: str) -> AsyncIterator[AsyncEngine]:
    """An engine with two connections: a line that ends and one that follows it."""
    engine = create_engine(database, pool_size=2, name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def pipeline(lending: AsyncEngine) -> AsyncIterator[StatementPipeline]:
    pipeline = StatementPipeline(lending, _ECHO)
    yield pipeline
    await pipeline.aclose()


async def _backend(pipeline: StatementPipeline) -> int:
    ((_, _, backend, _),) = await pipeline.run(["", "1", "0"])
    return int(backend)


async def test_each_gets_its_own_rows_as_the_driver_reads_them(pipeline: StatementPipeline) -> None:
    said = ["井盖", "", "b'\\", "1" * 3_000_000]  # the last is more than any buffer between here and there holds
    answers = await asyncio.gather(*(pipeline.run([word, "5", "0"]) for word in said * 3))
    assert [rows[0][0] for rows in answers] == said * 3
    assert {rows[0][1] for rows in answers} == {2}
    assert len({rows[0][2] for rows in answers}) == 1  # all on one line


async def test_they_are_on_their_way_together_and_answered_in_turn(pipeline: StatementPipeline) -> None:
    """The second is at the server before the first is answered, and the first does not wait for the second."""
    await _backend(pipeline)
    order: list[str] = []

    async def ask(word: str, seconds: str) -> None:
        await pipeline.run([word, "1", seconds])
        order.append(word)

    slow = asyncio.create_task(ask("slow", "0.2"))
    await asyncio.sleep(0)
    quick = asyncio.create_task(ask("quick", "0"))
    await asyncio.sleep(0.1)
    assert order == []
    # Nobody is here to hand the second one on: the loop stands still until both have been worked through.
    time.sleep(0.3)  # noqa: ASYNC251 - that is the point
    await asyncio.sleep(0.02)
    assert order == ["slow", "quick"]
    await asyncio.gather(slow, quick)


async def test_a_mistake_is_the_mistake_of_one(pipeline: StatementPipeline) -> None:
    before = await _backend(pipeline)
    answers = await asyncio.gather(
        *(pipeline.run([str(number), str(number % 3), "0"]) for number in range(7)), return_exceptions=True
    )
    for number, answer in enumerate(answers):
        if number % 3:
            assert not isinstance(answer, BaseException)
            assert answer[0][:2] == (str(number), 10 // (number % 3))
        else:
            assert isinstance(answer, psycopg.errors.DivisionByZero)
    # Should the statement itself have been at fault, it is prepared anew.
    assert await _backend(pipeline) != before
    with pytest.raises(psycopg.DataError, match="NUL"):
        await pipeline.run(["a\0b", "1", "0"])


@_BOTH_LOOPS
def test_a_lost_line_is_told_to_all_on_it_and_replaced(database: str, loop_factory: _LoopFactory) -> None:
    """Also when the server goes with some of what was sent unread: then a loop tells of it once and no more."""

    async def lose() -> None:
        engine = create_engine(database, pool_size=4, name="cut")
        pipeline = StatementPipeline(engine, _ECHO)
        for _ in range(5):
            before = await _backend(pipeline)
            waiting = [asyncio.create_task(pipeline.run([str(number), "1", "5"])) for number in range(3)]
            await asyncio.sleep(0.05)
            async with read_unit(engine) as unit:
                await unit.connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
            async with asyncio.timeout(3):
                ends = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(end, psycopg.OperationalError) for end in ends)
            assert await _backend(pipeline) != before
        await pipeline.aclose()
        await engine.dispose()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(lose())


async def test_a_line_that_was_lost_while_nobody_waited_costs_nobody_anything(
    pipeline: StatementPipeline, engine: AsyncEngine
) -> None:
    before = await _backend(pipeline)
    async with read_unit(engine) as unit:
        await unit.connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": before})
    await asyncio.sleep(0.2)
    assert await _backend(pipeline) != before


async def test_a_line_that_was_lost_unseen_is_given_up_by_whoever_sends_on_it(
    pipeline: StatementPipeline, database: str
) -> None:
    """The end is met while sending and not while reading: nobody is left waiting all the same."""
    for _ in range(5):
        before = await _backend(pipeline)
        # In one piece: the loop must not come round to see that the socket has ended.
        with psycopg.connect(dsn(database), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (before,))
        time.sleep(0.1)  # noqa: ASYNC251 - that is the point
        async with asyncio.timeout(3):
            with pytest.raises(psycopg.OperationalError):
                await pipeline.run(["1" * 3_000_000, "1", "0"])
            assert await _backend(pipeline) != before


@_BOTH_LOOPS
def test_however_often_a_line_is_cut_nobody_is_left_waiting(database: str, loop_factory: _LoopFactory) -> None:
    """Each loop tells of a socket's end in its own way, and forgets one that is closed in its own way."""
    rng = random.Random(7)
    cuts = 60

    async def cut_and_ask() -> tuple[int, int]:
        engine = create_engine(database, pool_size=4, name="cut")
        pipeline = StatementPipeline(engine, _ECHO)
        answered = failed = 0
        is_over = False

        async def ask() -> None:
            nonlocal answered, failed
            while not is_over:
                word = "x" * rng.choice([1, 1_000, 300_000])
                try:
                    async with asyncio.timeout(5):
                        assert (await pipeline.run([word, "1", "0"]))[0][0] == word
                    answered += 1
                except (psycopg.OperationalError, OperationalError):
                    failed += 1
                if rng.random() < 0.2:
                    time.sleep(0.01)  # noqa: ASYNC251 - the process has other things to do than to read
                await asyncio.sleep(0)

        def cut() -> None:
            with psycopg.connect(dsn(database), autocommit=True) as other:
                for _ in range(cuts):
                    time.sleep(rng.uniform(0, 0.03))
                    other.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'gridward-cut' AND datname = current_database()"
                    )

        asking = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.to_thread(cut)
        is_over = True
        await asyncio.gather(*asking)
        await pipeline.aclose()
        await engine.dispose()
        return answered, failed

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        answered, failed = runner.run(cut_and_ask())
    assert answered > cuts
    assert failed > cuts / 4


async def test_whoever_goes_away_takes_no_answer_from_the_others(pipeline: StatementPipeline) -> None:
    await _backend(pipeline)
    gone = asyncio.create_task(pipeline.run(["gone", "1", "0.1"]))
    stays = asyncio.create_task(pipeline.run(["stays", "1", "0"]))
    await asyncio.sleep(0.02)
    gone.cancel()
    assert (await stays)[0][0] == "stays"
    assert (await pipeline.run(["next", "1", "0"]))[0][0] == "next"


async def test_a_frozen_server_is_not_waited_for(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo.storage.engine._MARGIN_S", 0.3)
    engine = create_engine(database, pool_size=2, statement_timeout_s=0.3, name="test")
    pipeline = StatementPipeline(engine, _ECHO)
    try:
        frozen = await _backend(pipeline)
        os.kill(frozen, signal.SIGSTOP)
        try:
            async with asyncio.timeout(10):
                with pytest.raises(psycopg.OperationalError, match="does not answer"):
                    await pipeline.run(["", "1", "0"])
                assert await _backend(pipeline) != frozen
        finally:
            os.kill(frozen, signal.SIGCONT)
    finally:
        await pipeline.aclose()
        await engine.dispose()


async def test_patience_is_for_one_execution_not_for_all_before_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geo.storage.engine._MARGIN_S", 0.1)
    engine = create_engine(database, statement_timeout_s=0.3, name="test")
    pipeline = StatementPipeline(engine, _ECHO)
    try:
        answers = await asyncio.gather(*(pipeline.run([str(number), "1", "0.2"]) for number in range(5)))
        assert [rows[0][0] for rows in answers] == ["0", "1", "2", "3", "4"]
        with pytest.raises(psycopg.errors.QueryCanceled):
            await pipeline.run(["", "1", "2"])
    finally:
        await pipeline.aclose()
        await engine.dispose()


async def test_closing_leaves_nobody_waiting_and_no_connection_behind(lending: AsyncEngine) -> None:
    pipeline = StatementPipeline(lending, _ECHO)
    await _backend(pipeline)
    waiting = asyncio.create_task(pipeline.run(["", "1", "5"]))
    await asyncio.sleep(0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await pipeline.aclose()
        with pytest.raises(psycopg.OperationalError, match="closed"):
            await waiting
        gc.collect()
    assert lending.pool.status().endswith("Checked out connections: 0")
    await pipeline.aclose()


async def test_statements_that_cannot_be_prepared_leave_no_connection_behind(lending: AsyncEngine) -> None:
    pipeline = StatementPipeline(lending, b"SELECT nothing FROM nowhere WHERE $1")
    for _ in range(3):
        with pytest.raises(psycopg.errors.UndefinedTable):
            await pipeline.run(["1"])
    assert lending.pool.status().endswith("Checked out connections: 0")


async def _intake_lines(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    async with read_unit(engine) as unit:
        found = await unit.connection.execute(
            text(
                "SELECT pid, query FROM pg_stat_activity WHERE application_name = 'gridward-intake'"
                " AND datname = current_database()"
            )
        )
        return [tuple(row) for row in found]


async def test_reports_are_written_on_the_pipeline_and_outlive_its_line(client: Client, engine: AsyncEngine) -> None:
    """A line that is lost between two reports, or under one, costs none of them."""
    for number in range(4):
        assert (await client.post("/v1/reports", json=report(ticket=f"T-{number}"))).status_code == 201
        lines = await _intake_lines(engine)
        (piped,) = [pid for pid, query in lines if query == INTAKE.decode() or "PREPARE gridward_pipelined" in query]
        async with read_unit(engine) as unit:
            await unit.connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": piped})
        if number % 2:
            await asyncio.sleep(0.1)
    async with read_unit(engine) as unit:
        tickets = (await unit.connection.execute(text("SELECT ticket FROM dispatch.dispatch_case"))).scalars().all()
    assert sorted(tickets) == ["T-0", "T-1", "T-2", "T-3"]
