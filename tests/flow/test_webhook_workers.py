"""Webhooks and their workers: many at once, stopped in the middle, slow receivers, killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings
from api.webhooks.duty import webhook_lanes
from dispatch.settings import DispatchSettings
from dispatch.worker import Worker
from tests.builders import District
from tests.flow.conftest import ALL_SCOPES, Client
from tests.flow.webhook_receiver import (
    LOOPBACK,
    Receiver,
    hook,
    open_client,
    receiving,
    send,
    work,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
async def client(district: District, database: str, make_key: Any) -> AsyncIterator[Client]:
    async with open_client(database, await make_key(scopes=ALL_SCOPES)) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


async def test_many_lanes_at_once_keep_order_and_send_once(
    client: Client, engine: AsyncEngine, receiver: Receiver
) -> None:
    await hook(client, receiver)
    async with receiving() as second:
        await hook(client, second)
        expected = [f"T-{number}" for number in range(30)]
        await send(client, *expected)
        await asyncio.gather(*(work(engine) for _ in range(6)))
        assert receiver.tickets == expected
        assert second.tickets == expected


async def test_a_slow_receiver_gives_its_lane_up_in_between(
    client: Client, engine: AsyncEngine, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.webhooks.duty._TURN_S", 0.1)
    receiver.delay_s = 0.15
    await hook(client, receiver)
    await send(client, "T-1", "T-2", "T-3")
    await work(engine, turns=1)
    assert receiver.tickets == ["T-1"]
    await work(engine)
    assert receiver.tickets == ["T-1", "T-2", "T-3"]


async def test_a_stop_finishes_the_attempt_in_flight(
    client: Client, engine: AsyncEngine, database: str, receiver: Receiver
) -> None:
    made = await hook(client, receiver)
    await send(client, "T-1", "T-2", "T-3")
    receiver.delay_s = 0.4
    settings = Settings(database_url=database, webhook_networks=LOOPBACK, webhook_lanes=2)
    lanes = webhook_lanes(engine, settings)
    worker = Worker(engine=engine, settings=DispatchSettings(sweep_every_s=0.05), further=lanes)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while not receiver.got:
            await asyncio.sleep(0.02)
        worker.stop()
        await running
    log = (await client.get(f"/v1/webhooks/{made['id']}/deliveries")).json()["deliveries"]
    assert [row["status"] for row in log] == ["delivered"]
    receiver.delay_s = 0
    await work(engine)
    assert receiver.tickets == ["T-1", "T-2", "T-3"]
    ready = (await client.get("/readyz")).json()
    assert "webhooks" in ready["worker_seen_s"]


WORKER = """
import asyncio
from api.settings import Settings
from api.webhooks.duty import webhook_lanes
from dispatch.worker import Worker
from geo.storage.engine import create_engine
settings = Settings()
engine = create_engine(settings.database_url, name="worker")
asyncio.run(Worker(engine, settings, further=webhook_lanes(engine, settings)).run())
"""


async def test_killed_workers_lose_nothing_and_log_each_success_once(
    client: Client, engine: AsyncEngine, database: str, receiver: Receiver
) -> None:
    await hook(client, receiver)
    expected = [f"T-{number}" for number in range(40)]
    await send(client, *expected)
    receiver.delay_s = 0.03
    environment = os.environ | {
        "GRIDWARD_DATABASE_URL": database,
        "GRIDWARD_WEBHOOK_NETWORKS": LOOPBACK,
        "GRIDWARD_WEBHOOK_TIMEOUT_S": "1",
    }
    kills = 2
    for round_ in range(kills + 1):
        command = [sys.executable, "-c", WORKER]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        try:
            wanted = len(expected) if round_ == kills else 12 * (round_ + 1)
            async with asyncio.timeout(40):
                while len(set(receiver.tickets)) < wanted:
                    assert process.returncode is None
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.5 if round_ == kills else 0)
        finally:
            process.kill()
            await process.wait()
    assert list(dict.fromkeys(receiver.tickets)) == expected
    assert len(receiver.got) <= len(expected) + kills
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT event_id FROM api.webhook_delivery WHERE state = 'delivered' ORDER BY id")
        )
        delivered = [row[0] for row in rows]
    assert len(delivered) == len(set(delivered)) == len(expected)
