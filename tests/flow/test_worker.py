"""The worker: rungs fire once, nobody is told twice, nothing is lost when delivery fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.settings import DispatchSettings
from dispatch.worker import LogNotifier, Message, Worker, relay, sweep
from geo.storage.uow import write_unit
from tests.builders import WEST, person_id, report
from tests.flow.conftest import Client

MAKE_OVERDUE = (
    "UPDATE dispatch.dispatch_case SET due_at = now() - interval '1 s', next_rung_at = now() - interval '1 s'"
)


async def one(engine: AsyncEngine, query: str) -> Any:
    async with engine.connect() as connection:
        return (await connection.execute(text(query))).scalar()


async def run_sweep(engine: AsyncEngine) -> int:
    async with write_unit(engine) as unit:
        return await sweep(unit, batch=50)


async def run_relay(engine: AsyncEngine, *notifiers: Any, most_attempts: int = 8) -> int:
    async with write_unit(engine) as unit:
        return await relay(unit, notifiers, batch=50, most_attempts=most_attempts)


async def test_an_overdue_case_is_escalated_once_to_the_parents_head(client: Client, engine: AsyncEngine) -> None:
    created = (await client.post("/v1/reports", json=report())).json()
    async with engine.begin() as connection:
        await connection.execute(text(MAKE_OVERDUE))
    assert [await run_sweep(engine), await run_sweep(engine)] == [1, 0]
    case = (await client.get(created["status_url"])).json()
    assert [event["type"] for event in case["events"]] == ["case.dispatched.v1", "case.escalated.v1"]
    assert "Head 001 A" in case["events"][1]["text"]
    assert case["version"] == 2
    assert await one(engine, "SELECT person_id FROM dispatch.escalation") == person_id(f"A-{WEST}")


async def test_eight_sweeps_at_once_fire_each_rung_once(client: Client, engine: AsyncEngine) -> None:
    for number in range(40):
        await client.post("/v1/reports", json=report(ticket=f"T-{number}"))
    async with engine.begin() as connection:
        await connection.execute(text(MAKE_OVERDUE))
    taken = await asyncio.gather(*(run_sweep(engine) for _ in range(8)))
    taken.append(await run_sweep(engine))
    assert sum(taken) == 40
    assert await one(engine, "SELECT count(*) FROM dispatch.escalation") == 40
    assert await one(engine, "SELECT count(*) FROM dispatch.case_event WHERE type = 'case.escalated.v1'") == 40


async def test_nothing_fires_after_the_case_was_handled(client: Client, engine: AsyncEngine) -> None:
    created = (await client.post("/v1/reports", json=report())).json()
    for version, name in ((1, "acknowledge"), (2, "report_back")):
        headers = {"If-Match": f'"{version}"'}
        await client.post(f"{created['status_url']}/moves", json={"move": name}, headers=headers)
    async with engine.begin() as connection:
        await connection.execute(text(MAKE_OVERDUE))
    await run_sweep(engine)
    assert await one(engine, "SELECT count(*) FROM dispatch.escalation") == 0


async def test_an_empty_rung_is_recorded_not_passed_over(client: Client, engine: AsyncEngine) -> None:
    created = (await client.post("/v1/reports", json=report())).json()
    async with engine.begin() as connection:
        await connection.execute(text(MAKE_OVERDUE))
        await connection.execute(
            text(
                "UPDATE dispatch.appointment SET valid_until = now() WHERE post_id IN"
                " (SELECT id FROM dispatch.post WHERE length(cell_code) < 15)"
            )
        )
    await run_sweep(engine)
    case = (await client.get(created["status_url"])).json()
    assert "nobody above is on duty" in case["events"][-1]["text"]


async def test_the_head_is_told_once_and_the_outbox_empties(client: Client, engine: AsyncEngine) -> None:
    await client.post("/v1/reports", json=report())
    assert [await run_relay(engine, LogNotifier()), await run_relay(engine, LogNotifier())] == [1, 0]
    assert await one(engine, "SELECT count(*) FROM dispatch.outbox") == 0
    assert await one(engine, "SELECT person_id FROM dispatch.notification") == person_id(f"A-{WEST}001")


class Broken:
    """A notifier whose service is down."""

    medium = "broken"

    def __init__(self) -> None:
        self.tried = 0

    async def send(self, message: Message) -> None:
        self.tried += 1
        raise ConnectionError("service down")


async def test_a_failing_delivery_is_retried_then_parked_and_leaves_no_receipt(
    client: Client, engine: AsyncEngine
) -> None:
    await client.post("/v1/reports", json=report())
    broken = Broken()
    for _ in range(3):
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE dispatch.outbox SET next_attempt_at = now()"))
        await run_relay(engine, broken, most_attempts=3)
    assert broken.tried == 3
    assert await one(engine, "SELECT count(*) FROM dispatch.notification") == 0
    assert await one(engine, "SELECT parked_at IS NOT NULL FROM dispatch.outbox") is True
    assert "service down" in await one(engine, "SELECT last_error FROM dispatch.outbox")
    assert await run_relay(engine, broken, most_attempts=3) == 0


@pytest.mark.parametrize("statement", ["sweep", "relay"])
async def test_the_worker_does_its_duties_and_stops_when_told(
    client: Client, engine: AsyncEngine, statement: str
) -> None:
    await client.post("/v1/reports", json=report())
    async with engine.begin() as connection:
        await connection.execute(text(MAKE_OVERDUE))
    worker = Worker(engine=engine, settings=DispatchSettings(sweep_every_s=0.05))
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while await one(engine, "SELECT count(*) FROM dispatch.notification") < 2:
            await asyncio.sleep(0.05)
        worker.stop()
        await running
    ready = (await client.get("/readyz")).json()
    assert ready["worker"] == "ok"
    assert statement in ready["worker_seen_s"]


async def test_the_sweep_reads_its_index(engine: AsyncEngine) -> None:
    from dispatch.storage.statements import statement

    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        raw = await connection.get_raw_connection()
        rows = await raw.driver_connection.execute("EXPLAIN " + statement("sweep"), {"batch": 10})
        plan = "\n".join(row[0] for row in await rows.fetchall())
    assert "ix_dispatch_case_rung" in plan
