"""`GET /v1/events`: pages that skip nothing and repeat nothing, of one's own channel, waiting when there is nothing."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.events import follow_while_writing
from dispatch import feed
from tests.builders import report
from tests.flow.conftest import Client


async def send(client: Client, *tickets: str, **headers: str) -> None:
    for ticket in tickets:
        answer = await client.post("/v1/reports", json=report(ticket=ticket), headers=headers)
        assert answer.status_code == 201


def tickets(page: dict[str, Any]) -> list[str]:
    return [event["data"]["ticket"] for event in page["events"]]


async def test_pages_follow_each_other_to_the_end(client: Client) -> None:
    await send(client, *(f"T-{number}" for number in range(5)))
    first = (await client.get("/v1/events", params={"limit": 2})).json()
    second = (await client.get("/v1/events", params={"limit": 2, "after": first["next"]})).json()
    third = (await client.get("/v1/events", params={"limit": 2, "after": second["next"]})).json()
    end = (await client.get("/v1/events", params={"after": third["next"]})).json()
    assert tickets(first) + tickets(second) + tickets(third) == [f"T-{number}" for number in range(5)]
    assert end == {"events": [], "next": third["next"]}
    event = first["events"][0]
    assert event["type"] == "case.dispatched.v1"
    assert (event["seq"], event["data"]["to"], event["data"]["from"]) == (1, "dispatched", None)
    assert event["data"]["cells"] == ["410102001", "410102001001", "410102001001001"]
    # Facts only: the reporter's words may name people.
    assert "text" not in event["data"]


async def test_a_key_sees_its_own_channel_only(client: Client, make_key: Any) -> None:
    other = {"Authorization": f"Bearer {await make_key('wechat')}"}
    await send(client, "ours-1", "ours-2")
    await send(client, "theirs", Authorization=other["Authorization"])
    assert tickets((await client.get("/v1/events")).json()) == ["ours-1", "ours-2", "theirs"]
    page = (await client.get("/v1/events", headers=other)).json()
    assert tickets(page) == ["theirs"]
    await send(client, "ours-3")
    after = (await client.get("/v1/events", headers=other, params={"after": page["next"]})).json()
    # Nothing for this reader, and still it moves on.
    assert (after["events"], after["next"] != page["next"]) == ([], True)


async def test_a_span_of_time_or_a_case_is_found_at_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await send(client, *(f"old-{number}" for number in range(4)))
    between = datetime.now(UTC)
    await send(client, "new-1", "new-2")
    cases = {case["ticket"]: case["case"] for case in (await client.get("/v1/cases")).json()["cases"]}
    monkeypatch.setattr(feed, "_MOST_SCANNED", 1)

    async def read(**params: Any) -> dict[str, Any]:
        answer = await client.get("/v1/events", params={"limit": 1} | params)
        assert answer.status_code == 200
        page: dict[str, Any] = answer.json()
        return page

    page = await read(**{"from": between.isoformat()})
    assert tickets(page) == ["new-1"]
    page = await read(**{"from": between.isoformat(), "after": page["next"]})
    assert tickets(page) == ["new-2"]
    end = (await read(**{"from": between.isoformat(), "after": page["next"]}))["next"]
    # What ended before is passed over to the end of the feed, in one page.
    assert await read(to="2001-01-01") == {"events": [], "next": end}
    assert tickets(await read(case=cases["new-2"])) == ["new-2"]
    assert await read(case="20200101-0000001") == {"events": [], "next": end}
    await send(client, "new-3")
    assert tickets(await read(**{"from": between.isoformat(), "after": end})) == ["new-3"]
    rows = (await client.get("/v1/events.csv", params={"from": between.isoformat()})).text.splitlines()
    assert [row.split(",")[11] for row in rows[1:]] == ["new-1", "new-2", "new-3"]


async def test_types_are_chosen(client: Client) -> None:
    await send(client, "T-1", "T-2")
    case = (await client.get("/v1/cases")).json()["cases"][0]
    await client.post(f"{case['status_url']}/moves", json={"move": "acknowledge"}, headers={"If-Match": '"1"'})
    page = (await client.get("/v1/events", params={"type": "case.acknowledged.v1"})).json()
    assert [event["data"]["moves"] for event in page["events"]] == [["acknowledge"]]
    both = {"type": ["case.acknowledged.v1", "case.dispatched.v1"]}
    assert len((await client.get("/v1/events", params=both)).json()["events"]) == 3


async def test_a_request_waits_for_the_next_event(client: Client) -> None:
    await send(client, "before")
    position = (await client.get("/v1/events", params={"after": "now"})).json()["next"]
    begun = time.monotonic()
    waiting = asyncio.create_task(client.get("/v1/events", params={"after": position, "wait": 20}))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await send(client, "while waiting")
    assert tickets((await waiting).json()) == ["while waiting"]
    assert time.monotonic() - begun < 10
    nothing = await client.get("/v1/events", params={"after": "now", "wait": 1, "type": "case.closed.v1"})
    assert nothing.json()["events"] == []


async def test_a_transaction_that_commits_late_comes_before_what_followed_it(
    client: Client, engine: AsyncEngine
) -> None:
    await send(client, "early")
    insert = text(
        "INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)"
        " SELECT id, 99, 'case.late.v1', '{late}', state, now(), 'system' FROM dispatch.dispatch_case LIMIT 1"
    )
    async with engine.connect() as slow:
        await slow.execute(insert)
        await send(client, "after")
        held = (await client.get("/v1/events")).json()
        await slow.commit()
    rest = (await client.get("/v1/events", params={"after": held["next"]})).json()
    assert [event["type"] for event in held["events"]] == ["case.dispatched.v1"]
    assert [event["type"] for event in rest["events"]] == ["case.late.v1", "case.dispatched.v1"]


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"after": "x"}, 400, "dispatch.bad_cursor"),
        ({"after": "9000000000-1"}, 400, "dispatch.cursor_ahead"),
        ({"limit": 0}, 422, "request.invalid"),
        ({"wait": 31}, 422, "request.invalid"),
        ({"type": "case"}, 422, "request.invalid"),
    ],
)
async def test_what_is_wrong_is_named(client: Client, params: dict[str, Any], status: int, code: str) -> None:
    answer = await client.get("/v1/events", params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_the_document_has_an_example(client: Client) -> None:
    from api.event_json import EventsOut

    document = (await client.get("/openapi.json")).json()
    answer = document["paths"]["/v1/events"]["get"]["responses"]["200"]["content"]["application/json"]
    EventsOut.model_validate(answer["example"])


async def test_readers_under_sixteen_writers_see_every_event_once(client: Client, database: str) -> None:
    await send(client, *(f"T-{number}" for number in range(16)))
    figures = await follow_while_writing(database, writers=16, count=20_000, seed=7)
    assert figures.written == 20_000
    assert figures.late > 50
    for name in ("every", "some"):
        assert (figures.skipped[name], figures.repeated[name], figures.out_of_order[name]) == (0, 0, 0)
