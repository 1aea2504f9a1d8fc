"""The live stream and its feed: nothing skipped, nothing repeated, gaps filled."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.serving import Server
from api.settings import Settings
from dispatch.feed import Cursor, feed_end, parse_cursor, read_feed
from dispatch.queries import database_now
from geo.errors import BadInputError
from geo.storage.engine import dsn
from geo.storage.uow import read_unit
from tests.builders import District, report
from tests.flow.conftest import ALL_SCOPES, Client, httpx

Event = dict[str, Any]


@asynccontextmanager
async def serving(database: str) -> AsyncIterator[str]:
    """Serve on a free loopback port: a stream needs real sockets, an in-process transport buffers it whole."""
    server = Server(create_app(Settings(database_url=database)), host="127.0.0.1", port=0)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    event: Event = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if not line and "data" in event:
            yield event
            event = {}
        elif name in {"event", "id", "data"}:
            event[name] = json.loads(value) if name == "data" else value


@pytest.fixture
async def service(district: District, database: str, make_key: Any) -> AsyncIterator[Client]:
    key = await make_key(scopes=ALL_SCOPES)
    async with (
        serving(database) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10) as client,
    ):
        yield client


async def test_a_new_case_arrives_by_itself(service: Client) -> None:
    async with asyncio.timeout(10), service.stream("GET", "/v1/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        arriving = events(stream)
        await asyncio.sleep(0.2)
        created = (await service.post("/v1/reports", json=report())).json()
        event = await anext(arriving)
    assert event["event"] == "case.dispatched.v1"
    assert event["data"]["case"] == created["case"]
    assert event["data"]["location"] == created["location"]


async def test_a_reader_that_slept_gets_what_it_missed_and_no_more(service: Client) -> None:
    tickets = [f"T-{number}" for number in range(6)]
    async with asyncio.timeout(20):
        async with service.stream("GET", "/v1/stream") as stream:
            arriving = events(stream)
            await asyncio.sleep(0.2)
            for ticket in tickets[:3]:
                await service.post("/v1/reports", json=report(ticket=ticket))
            seen = [await anext(arriving) for _ in range(3)]
        for ticket in tickets[3:]:
            await service.post("/v1/reports", json=report(ticket=ticket))
        async with service.stream("GET", "/v1/stream", headers={"Last-Event-ID": seen[1]["id"]}) as stream:
            arriving = events(stream)
            again = [await anext(arriving) for _ in range(4)]
    assert [event["data"]["ticket"] for event in seen[:2] + again] == tickets


async def test_a_reader_from_long_ago_reads_the_gap_from_the_database(service: Client) -> None:
    for number in range(5):
        await service.post("/v1/reports", json=report(ticket=f"T-{number}"))
    async with asyncio.timeout(10), service.stream("GET", "/v1/stream", headers={"Last-Event-ID": "0-0"}) as stream:
        arriving = events(stream)
        seen = [(await anext(arriving))["data"]["ticket"] for _ in range(5)]
    assert seen == [f"T-{number}" for number in range(5)]


async def test_a_stop_ends_open_streams_at_once(district: District, database: str, make_key: Any) -> None:
    key = await make_key()
    headers = {"Authorization": f"Bearer {key}"}
    async with asyncio.timeout(8), httpx.AsyncClient(headers=headers) as client:
        async with serving(database) as url:
            stream = await client.send(client.build_request("GET", f"{url}/v1/stream"), stream=True)
            lines = stream.aiter_lines()
            await anext(lines)
        rest = [line async for line in lines]
    assert not any(line.startswith("data") for line in rest)


async def test_whoever_listens_is_woken_after_the_commit_and_seldom(
    client: Client, engine: AsyncEngine, database: str
) -> None:
    """The writing statement wakes nobody: such a commit would wait for every other. A burst is told in few words."""
    async with await psycopg.AsyncConnection.connect(dsn(database), autocommit=True) as listening:
        await listening.execute("LISTEN gridward_events")
        posts = [client.post("/v1/reports", json=report(ticket=f"T-{number}")) for number in range(40)]
        assert {answer.status_code for answer in await asyncio.gather(*posts)} == {201}
        heard = [note async for note in listening.notifies(timeout=1.0)]
    async with engine.connect() as connection:
        cases = await connection.scalar(text("SELECT count(*) FROM dispatch.dispatch_case"))
    assert cases == 40
    assert 1 <= len(heard) < 40


async def test_streams_hold_no_pool_connection(service: Client, database: str) -> None:
    async with asyncio.timeout(30):
        streams = [service.build_request("GET", "/v1/stream") for _ in range(40)]
        open_streams = [await service.send(request, stream=True) for request in streams]
        # Eight pool connections serve everybody else while forty streams are open.
        answers = await asyncio.gather(*(service.get("/v1/cases") for _ in range(20)))
        for stream in open_streams:
            await stream.aclose()
    assert {answer.status_code for answer in answers} == {200}


async def test_a_transaction_that_commits_late_is_not_skipped(client: Client, engine: AsyncEngine) -> None:
    await client.post("/v1/reports", json=report(ticket="early"))
    insert = text(
        "INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)"
        " SELECT id, 99, 'case.late.v1', '{late}', state, now(), 'system' FROM dispatch.dispatch_case LIMIT 1"
    )
    async with engine.connect() as slow:
        await slow.execute(insert)  # drew its ids first, commits last
        await client.post("/v1/reports", json=report(ticket="after"))
        async with read_unit(engine) as unit:
            held = await read_feed(unit, Cursor(0, 0), limit=10, as_of=await database_now(unit))
            end = await feed_end(unit)
        await slow.commit()
    async with read_unit(engine) as unit:
        rest = await read_feed(unit, end, limit=10, as_of=await database_now(unit))
    assert [event.type for event in held] == ["case.dispatched.v1"]
    assert [event.type for event in rest] == ["case.late.v1", "case.dispatched.v1"]


@pytest.mark.parametrize("bad", ["", "x", "1", "1-", "-1", "1-x", "٣-٤", "9" * 30 + "-1", "1-" + "9" * 30])
def test_bad_cursors(bad: str) -> None:
    with pytest.raises(BadInputError):
        parse_cursor(bad)
