"""Webhooks from report to receiver: in order, once per success, retried, stopped, replayed, rotated, survived."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.webhooks.duty import _LEASE
from api.webhooks.schedule import MOST_ATTEMPTS
from api.webhooks.signing import make_secret
from geo.storage.engine import dsn
from tests.builders import District, report
from tests.flow.conftest import ALL_SCOPES, Client
from tests.flow.webhook_receiver import (
    OK,
    Receiver,
    due_again,
    hook,
    open_client,
    receiving,
    send,
    status,
    work,
)


@pytest.fixture
async def client(district: District, database: str, make_key: Any) -> AsyncIterator[Client]:
    async with open_client(database, await make_key(scopes=ALL_SCOPES)) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


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
    # A new address is tried at once.
    await client.patch(f"/v1/webhooks/{made['id']}", json={"url": receiver.url})
    await work(engine)
    assert receiver.tickets == ["T-1", "T-1", "T-2"]
    ids = [message["headers"]["webhook-id"] for message in receiver.got]
    assert ids[0] == ids[1] != ids[2]
    log = (await client.get(f"/v1/webhooks/{made['id']}/deliveries")).json()["deliveries"]
    assert [(row["status"], row["attempt"], row["http_status"]) for row in log] == [
        ("delivered", 1, 204),
        ("delivered", 1, 204),
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
    log = (await client.get(f"/v1/webhooks/{made['id']}/deliveries")).json()["deliveries"]
    assert [(row["attempt"], row["http_status"]) for row in log] == [(2, 410), (1, 302)]


async def test_a_trial_that_is_answered_by_410_disables_too(
    client: Client, engine: AsyncEngine, receiver: Receiver
) -> None:
    made = await hook(client, receiver)
    receiver.answer = lambda _message: status(410)
    await client.post(f"/v1/webhooks/{made['id']}:test")
    await send(client, "T-1")
    await work(engine)
    assert (await client.get(f"/v1/webhooks/{made['id']}")).json()["status"] == "gone"
    assert [message["body"]["type"] for message in receiver.got] == ["webhook.test.v1"]


def test_looking_for_a_webhook_with_something_to_send_reads_no_more_than_the_next_event(demo_database: str) -> None:
    with psycopg.connect(dsn(demo_database)) as connection:
        plan = connection.execute(b"EXPLAIN " + _LEASE.encode(), {"lease": uuid4(), "seconds": 25}).fetchall()
    read = [line for (line,) in plan if "case_event" in line]
    assert read
    assert all("Index" in line for line in read), plan


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
    assert (row["id"], row["status"], row["message_id"]) == (asked["id"], "delivered", f"test_{asked['id']}")
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
