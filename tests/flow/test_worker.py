"""The worker: rungs fire once, nobody is told twice, nothing is lost when delivery fails."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.notices import NoticeLane
from dispatch.settings import DispatchSettings
from dispatch.watch import Watch
from dispatch.worker import LogNotifier, Message, Notifier, Worker, relay, sweep
from geo.storage.uow import write_unit
from tests.builders import WEST, person_id, report
from tests.flow.conftest import Client

MAKE_OVERDUE = "UPDATE dispatch.dispatch_case SET due_at = now() - interval '1 s'"


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
    # The reminders were overtaken: they are owed all the same, and come before what follows them.
    reminded, escalated = "case.reminded.v1", "case.escalated.v1"
    assert [event["type"] for event in case["events"]] == ["case.dispatched.v1", reminded, reminded, escalated]
    assert "Head 001 A" in case["events"][-1]["text"]
    assert case["version"] == 4
    told = "SELECT person_id FROM dispatch.escalation WHERE rung = 'due'"
    assert await one(engine, told) == person_id(f"A-{WEST}")
    due = "SELECT next_rung_at > now() AND NOT ladder_done FROM dispatch.dispatch_case"
    assert await one(engine, due) is True


async def test_eight_sweeps_at_once_fire_each_rung_once(client: Client, engine: AsyncEngine) -> None:
    for number in range(40):
        await client.post("/v1/reports", json=report(ticket=f"T-{number}"))
    async with engine.begin() as connection:
        await connection.execute(text(MAKE_OVERDUE))
    taken = await asyncio.gather(*(run_sweep(engine) for _ in range(8)))
    taken.append(await run_sweep(engine))
    assert sum(taken) == 40
    assert await one(engine, "SELECT count(*) FROM dispatch.escalation") == 120
    assert await one(engine, "SELECT count(*) FROM dispatch.escalation WHERE rung = 'due'") == 40
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


async def send(engine: AsyncEngine, *notifiers: Notifier, most_attempts: int = 8) -> int:
    lane = NoticeLane(engine=engine, notifiers=notifiers, most_attempts=most_attempts)
    return await lane.run_once(asyncio.Event())


async def test_the_head_is_told_once_and_the_outbox_empties(client: Client, engine: AsyncEngine) -> None:
    await client.post("/v1/reports", json=report())
    assert [await run_relay(engine, LogNotifier()), await run_relay(engine, LogNotifier())] == [1, 0]
    assert await one(engine, "SELECT count(*) FROM dispatch.outbox") == 0
    assert await one(engine, "SELECT person_id FROM dispatch.notification") == person_id(f"A-{WEST}001")
    assert [await send(engine, LogNotifier()), await send(engine, LogNotifier())] == [1, 0]
    assert await one(engine, "SELECT state FROM dispatch.notification") == "sent"


class Broken:
    """A notifier whose service is down."""

    medium = "broken"

    def __init__(self) -> None:
        self.tried = 0

    async def send(self, message: Message) -> None:
        self.tried += 1
        raise ConnectionError("service down")


async def test_a_failing_delivery_is_retried_later_then_parked_and_freed_by_hand(
    client: Client, engine: AsyncEngine
) -> None:
    await client.post("/v1/reports", json=report())
    broken = Broken()
    await run_relay(engine, broken)
    assert await send(engine, broken, most_attempts=3) == 1
    assert await one(engine, "SELECT state FROM dispatch.notification") == "waiting"
    assert await send(engine, broken, most_attempts=3) == 0, "it rests before it is tried again"
    for _ in range(2):
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE dispatch.notification SET next_attempt_at = now()"))
        await send(engine, broken, most_attempts=3)
    assert broken.tried == 3
    assert await one(engine, "SELECT state FROM dispatch.notification") == "parked"
    assert "service down" in await one(engine, "SELECT last_error FROM dispatch.notification")
    assert await send(engine, broken, most_attempts=3) == 0


async def test_the_worker_does_its_duties_and_stops_when_told(client: Client, engine: AsyncEngine) -> None:
    await client.post("/v1/reports", json=report())
    async with engine.begin() as connection:
        await connection.execute(text(MAKE_OVERDUE))
    worker = Worker(engine=engine, settings=DispatchSettings(sweep_every_s=0.05))
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while await one(engine, "SELECT count(*) FROM dispatch.notification WHERE state = 'sent'") < 4:
            await asyncio.sleep(0.05)
        worker.stop()
        await running
    ready = (await client.get("/readyz")).json()
    assert ready["worker"] == "ok"
    assert {"sweep", "relay", "stages", "hand_over", "notices", "auditor"} <= set(ready["worker_seen_s"])


async def test_the_sweep_reads_its_index(engine: AsyncEngine) -> None:
    from dispatch.storage.statements import statement

    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        raw = await connection.get_raw_connection()
        rows = await raw.driver_connection.execute("EXPLAIN " + statement("sweep"), {"batch": 10})
        plan = "\n".join(row[0] for row in await rows.fetchall())
    assert "ix_dispatch_case_rung" in plan


async def test_the_watch_wakes_those_who_have_work_and_signs_for_those_who_have_none(
    client: Client, engine: AsyncEngine
) -> None:
    async def due() -> set[str]:
        watch = Watch(engine=engine, media=["log"])
        await watch.look()
        return {duty for duty, wake in watch.wakes.items() if wake.is_set()}

    async def work_off() -> None:
        worker = Worker(engine=engine, settings=DispatchSettings(sweep_every_s=0.05))
        running = asyncio.create_task(worker.run())
        async with asyncio.timeout(30):
            # What one duty leaves is another's work, and all of it is there before the first has ended.
            while await due():
                await asyncio.sleep(0.05)
        worker.stop()
        await running

    await work_off()
    assert await due() == set()
    await client.post("/v1/reports", json=report())
    assert await due() == {"sweep", "relay", "words"}
    assert await run_sweep(engine) == 1
    assert await run_relay(engine, LogNotifier()) == 1
    assert await due() == {"notices", "words"}
    assert await send(engine, LogNotifier()) == 1
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dispatch.dispatch_case SET stage_due_at = now()"))
        await connection.execute(text("UPDATE geo.grid_version SET took_effect_at = NULL"))
    assert await due() == {"stages", "words", "hand_over"}
    await work_off()
    assert await due() == set()

    watch = Watch(engine=engine, media=["log"])
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM dispatch.worker_signal"))
    resting = asyncio.create_task(watch.rest("stages", 10))
    await asyncio.sleep(0)
    await watch.look()
    # The one that rests; whoever works, or fails, or hangs, signs for itself or is silent.
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT duty FROM dispatch.worker_signal"))
        assert rows.scalars().all() == ["stages"]
    watch.wake_all()
    await resting
