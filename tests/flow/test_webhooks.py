"""Webhooks from report to receiver: in order, once per success, retried, stopped, replayed, rotated, survived."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.settings import Settings
from api.webhooks.addresses import parse_networks
from api.webhooks.duty import WebhookLane, webhook_lanes
from api.webhooks.schedule import MOST_ATTEMPTS
from api.webhooks.sender import Sender
from api.webhooks.signing import make_secret
from dispatch.settings import DispatchSettings
from dispatch.worker import Worker
from tests.builders import District, report
from tests.flow.conftest import ALL_SCOPES, Client
from tests.flow.webhook_receiver import OK, Receiver, receiving, status

ROOT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.0/8"


@pytest.fixture
async def client(district: District, database: str, make_key: Any) -> AsyncIterator[Client]:
    key = await make_key(scopes=ALL_SCOPES)
    app = create_app(Settings(database_url=database, webhook_networks=LOOPBACK))
    headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gridward.test", headers=headers, timeout=30) as client,
    ):
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


def lane(engine: AsyncEngine, timeout_s: float = 2.0) -> WebhookLane:
    return WebhookLane(engine=engine, sender=Sender(networks=parse_networks(LOOPBACK), timeout_s=timeout_s))


async def work(engine: AsyncEngine, turns: int = 50, timeout_s: float = 2.0) -> None:
    """Take turns until there is nothing to do."""
    for _ in range(turns):
        if not await lane(engine, timeout_s).run_once(asyncio.Event()):
            return


async def hook(client: Client, receiver: Receiver, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", json={"url": receiver.url, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    receiver.secrets = [made["secret"]]
    return made


async def send(client: Client, *tickets: str) -> None:
    for ticket in tickets:
        assert (await client.post("/v1/reports", json=report(ticket=ticket))).status_code == 201


async def due_again(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE api.webhook SET next_attempt_at = now()"))


async def test_events_arrive_signed_in_order_and_once(client: Client, engine: AsyncEngine, receiver: Receiver) -> None:
    await send(client, "before")
    made = await hook(client, receiver)
    await send(client, "T-1", "T-2", "T-3")
    await work(engine)
    await work(engine)
    assert receiver.tickets == ["T-1", "T-2", "T-3"]
    first = receiver.got[0]
    assert first["request"] == "POST /hook HTTP/1.1"
    assert first["headers"]["content-type"] == "application/json"
    assert all(receiver.verifies(message, made["secret"]) for message in receiver.got)
    assert set(first["body"]) == {"type", "timestamp", "data"}
    assert (first["body"]["type"], first["body"]["data"]["to"]) == ("case.dispatched.v1", "dispatched")
    assert "text" not in first["body"]["data"]
    seen = (await client.get(f"/v1/webhooks/{made['id']}")).json()
    events = (await client.get("/v1/events")).json()
    assert seen["cursor"] == events["next"]
    assert first["body"]["data"]["event"] == events["events"][1]["id"]
    assert "secret" not in seen


async def test_a_failure_is_retried_by_the_schedule_and_order_is_kept(
    client: Client, engine: AsyncEngine, receiver: Receiver
) -> None:
    made = await hook(client, receiver)
    await send(client, "T-1", "T-2")
    receiver.answer = lambda _message: status(503, Retry_After="900")
    await work(engine)
    seen = (await client.get(f"/v1/webhooks/{made['id']}")).json()
    assert (receiver.tickets, seen["failures"], seen["status"]) == (["T-1"], 1, "active")
    async with engine.connect() as connection:
        wait_s = await connection.scalar(text("SELECT extract(epoch FROM next_attempt_at - now()) FROM api.webhook"))
    assert 890 < wait_s <= 900
    receiver.answer = lambda _message: OK
    await due_again(engine)
    await work(engine)
    assert receiver.tickets == ["T-1", "T-1", "T-2"]
    ids = [message["headers"]["webhook-id"] for message in receiver.got]
    assert ids[0] == ids[1] != ids[2]
    log = (await client.get(f"/v1/webhooks/{made['id']}/deliveries")).json()["deliveries"]
    assert [(row["status"], row["attempt"], row["http_status"]) for row in log] == [
        ("delivered", 1, 204),
        ("delivered", 2, 204),
        ("failed", 1, 503),
    ]


async def test_a_poisoned_endpoint_is_parked_visibly_and_goes_on_where_it_stopped(
    client: Client, engine: AsyncEngine, receiver: Receiver
) -> None:
    made = await hook(client, receiver)
    await send(client, "T-1", "T-2")
    receiver.answer = lambda _message: status(500)
    for _ in range(MOST_ATTEMPTS + 3):
        await due_again(engine)
        await work(engine)
    seen = (await client.get(f"/v1/webhooks/{made['id']}")).json()
    assert (len(receiver.got), seen["status"], seen["failures"]) == (MOST_ATTEMPTS, "parked", MOST_ATTEMPTS)
    assert seen["stopped_at"] is not None
    receiver.answer = lambda _message: OK
    assert (await client.patch(f"/v1/webhooks/{made['id']}", json={"status": "active"})).status_code == 200
    await work(engine)
    assert receiver.tickets[MOST_ATTEMPTS:] == ["T-1", "T-2"]


async def test_an_event_that_is_never_taken_can_be_skipped_and_replayed(
    client: Client, engine: AsyncEngine, receiver: Receiver
) -> None:
    made = await hook(client, receiver)
    base = f"/v1/webhooks/{made['id']}"
    assert (await client.post(f"{base}:skip")).json()["code"] == "webhook.nothing_blocked"
    await send(client, "bad", "good")
    receiver.answer = lambda message: status(400) if message["body"]["data"]["ticket"] == "bad" else OK
    await work(engine)
    assert (await client.post(f"{base}:skip")).json()["skipped"] == receiver.got[0]["headers"]["webhook-id"]
    await work(engine)
    assert receiver.tickets == ["bad", "good"]
    failed = (await client.get(f"{base}/deliveries", params={"status": "failed"})).json()["deliveries"]
    receiver.answer = lambda _message: OK
    asked = await client.post(f"{base}/deliveries/{failed[0]['id']}:replay")
    assert (asked.status_code, asked.json()["status"]) == (202, "waiting")
    await work(engine)
    assert receiver.tickets == ["bad", "good", "bad"]
    assert receiver.got[2]["headers"]["webhook-id"] == receiver.got[0]["headers"]["webhook-id"]
    log = (await client.get(f"{base}/deliveries", params={"limit": 1})).json()
    assert (log["deliveries"][0]["kind"], log["deliveries"][0]["status"]) == ("replay", "delivered")
    assert log["next"] == log["deliveries"][0]["id"]


async def test_410_disables_and_a_redirect_is_a_failure(
    client: Client, engine: AsyncEngine, receiver: Receiver
) -> None:
    made = await hook(client, receiver)
    await send(client, "T-1")
    receiver.answer = lambda _message: status(302, Location=receiver.url)
    await work(engine)
    assert len(receiver.got) == 1
    receiver.answer = lambda _message: status(410)
    await due_again(engine)
    await work(engine)
    await send(client, "T-2")
    await due_again(engine)
    await work(engine)
    assert (await client.get(f"/v1/webhooks/{made['id']}")).json()["status"] == "gone"
    assert len(receiver.got) == 2


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", "connection_lost"),
        (b"SSH-2.0-x\r\n\r\n", "not_http"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000, "answer_too_large"),
        (b"HTTP/1.1 200", "connection_lost"),
    ],
)
async def test_what_is_no_answer_is_named(
    client: Client, engine: AsyncEngine, receiver: Receiver, said: bytes, error: str
) -> None:
    made = await hook(client, receiver)
    await send(client, "T-1")
    receiver.answer = lambda _message: said
    await work(engine)
    log = (await client.get(f"/v1/webhooks/{made['id']}/deliveries")).json()["deliveries"]
    assert [row["error"] for row in log] == [error]


async def test_slow_and_endless_answers_are_bounded(client: Client, engine: AsyncEngine, receiver: Receiver) -> None:
    made = await hook(client, receiver)
    await send(client, "T-1")
    receiver.delay_s = 5
    await work(engine, timeout_s=0.5)
    receiver.delay_s = 0
    receiver.answer = lambda _message: b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 5_000_000
    await due_again(engine)
    async with asyncio.timeout(5):
        await work(engine)
    log = (await client.get(f"/v1/webhooks/{made['id']}/deliveries")).json()["deliveries"]
    assert [(row["status"], row["error"]) for row in log] == [("delivered", None), ("failed", "timeout")]


async def test_secrets_rotate_without_a_gap(client: Client, engine: AsyncEngine, receiver: Receiver) -> None:
    made = await hook(client, receiver, secret=make_secret())
    path = f"/v1/webhooks/{made['id']}/secrets"
    newer = (await client.post(path, json={})).json()["secret"]
    await send(client, "T-1")
    await work(engine)
    assert all(receiver.verifies(receiver.got[0], secret) for secret in (made["secret"], newer))
    newest = (await client.post(path, json={"old_valid_s": 0})).json()["secret"]
    await send(client, "T-2")
    await work(engine)
    assert [receiver.verifies(receiver.got[1], secret) for secret in (made["secret"], newer, newest)] == [
        False,
        False,
        True,
    ]
    answers = [await client.post(path, json={}) for _ in range(6)]
    assert {answer.status_code for answer in answers} == {201, 409}
    assert answers[-1].json()["code"] == "webhook.too_many_secrets"


async def test_a_test_is_sent_also_to_a_paused_one(client: Client, engine: AsyncEngine, receiver: Receiver) -> None:
    made = await hook(client, receiver)
    base = f"/v1/webhooks/{made['id']}"
    await client.patch(base, json={"status": "paused", "description": "for a while", "types": []})
    await send(client, "T-1")
    asked = (await client.post(f"{base}:test")).json()
    await work(engine)
    assert [message["body"]["type"] for message in receiver.got] == ["webhook.test.v1"]
    assert receiver.verifies(receiver.got[0], made["secret"])
    row = (await client.get(f"{base}/deliveries")).json()["deliveries"][0]
    assert (row["id"], row["status"], row["webhook_id"]) == (asked["id"], "delivered", f"test_{asked['id']}")
    assert (await client.post(f"{base}/deliveries/{row['id']}:replay")).json()["code"] == "webhook.no_event"
    await client.patch(base, json={"status": "active"})
    await work(engine)
    assert receiver.tickets == [None, "T-1"]


async def test_a_channel_manages_and_hears_its_own_only(
    client: Client, engine: AsyncEngine, receiver: Receiver, make_key: Any
) -> None:
    from api.accounts.keys import DEFAULT_SCOPES, Scope

    key = await make_key("wechat", (*DEFAULT_SCOPES, Scope.WEBHOOKS_MANAGE))
    other = {"Authorization": f"Bearer {key}"}
    ours = await hook(client, receiver, types=["case.closed.v1"])
    theirs = (await client.post("/v1/webhooks", json={"url": receiver.url}, headers=other)).json()
    assert theirs["channel"] == "wechat"
    base = f"/v1/webhooks/{ours['id']}"
    foreign = [
        await client.get(base, headers=other),
        await client.patch(base, json={"status": "paused"}, headers=other),
        await client.delete(base, headers=other),
        await client.get(f"{base}/deliveries", headers=other),
        await client.post(f"{base}/secrets", json={}, headers=other),
        await client.post(f"{base}:test", headers=other),
        await client.post(f"{base}:skip", headers=other),
    ]
    assert {answer.status_code for answer in foreign} == {404}
    listed = (await client.get("/v1/webhooks", headers=other)).json()["webhooks"]
    assert [row["id"] for row in listed] == [theirs["id"]]
    taken = {"url": receiver.url, "channel": "hotline"}
    assert (await client.post("/v1/webhooks", json=taken, headers=other)).status_code == 400
    await send(client, "ours")
    await client.post("/v1/reports", json=report(ticket="theirs"), headers=other)
    await work(engine)
    assert receiver.tickets == ["theirs"]
    assert (await client.delete(f"/v1/webhooks/{theirs['id']}", headers=other)).status_code == 204
    no_scope = {"Authorization": f"Bearer {await make_key()}"}
    assert (await client.get("/v1/webhooks", headers=no_scope)).status_code == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "https://10.0.0.1/"}, "webhook.address_not_allowed"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "webhook.address_not_allowed"),
        ({"url": "http://1.1.1.1/"}, "webhook.https_needed"),
        ({"url": "ftp://1.1.1.1/"}, "webhook.bad_url"),
        ({"url": "https://a:b@example.org/"}, "webhook.bad_url"),
        ({"url": "https://example.org/", "secret": "whsec_x"}, "webhook.bad_secret"),
        ({"url": "https://example.org/", "channel": "nobody"}, "webhook.unknown_channel"),
        ({"url": "https://example.org/", "after": "999999999-1"}, "dispatch.cursor_ahead"),
    ],
)
async def test_what_is_wrong_is_named_at_once(client: Client, body: dict[str, Any], code: str) -> None:
    answer = await client.post("/v1/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await client.get("/v1/webhooks")).json() == {"webhooks": []}


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
