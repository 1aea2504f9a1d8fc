"""Moves over HTTP: versions, guards, history, late and on time."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.states import CaseState
from dispatch.workflow import replay
from tests.builders import WEST, report
from tests.flow.conftest import Client


async def move(client: Client, case: dict[str, Any], name: str, **body: Any) -> httpx.Response:
    headers = {"If-Match": f'"{case["version"]}"'}
    return await client.post(f"/v1/cases/{case['case']}/moves", json={"move": name, **body}, headers=headers)


@pytest.fixture
async def case(client: Client) -> dict[str, Any]:
    created = (await client.post("/v1/reports", json=report())).json()
    found: dict[str, Any] = (await client.get(created["status_url"])).json()
    return found


async def test_from_dispatched_to_closed(client: Client, case: dict[str, Any], engine: AsyncEngine) -> None:
    for name, body in (("acknowledge", {}), ("report_back", {"result": "清走了"}), ("close", {})):
        answer = await move(client, case, name, **body)
        assert answer.status_code == 200, answer.text
        case = answer.json()
    assert case["status"] == "closed"
    assert case["is_on_time"] is True
    assert case["moves"] == ["follow_up_satisfied", "follow_up_unreachable", "follow_up_dissatisfied"]
    assert [event["to"] for event in case["events"]] == ["dispatched", "handling", "handled", "closed"]
    assert case["events"][2]["text"] == "清走了"
    assert replay(event["moves"] for event in case["events"]) is CaseState.CLOSED
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT closed_level, next_rung_at FROM dispatch.dispatch_case"))).one()
    assert row == (3, None)


async def test_a_return_never_buys_time(client: Client, case: dict[str, Any]) -> None:
    due = case["due_at"]
    returned = (await move(client, case, "return", reason="不属于我格")).json()
    assert (returned["status"], returned["due_at"]) == ("returned", due)
    again = (await move(client, returned, "re_dispatch")).json()
    assert (again["status"], again["due_at"]) == ("dispatched", due)


async def test_rework_goes_on_from_the_original_deadline(client: Client, case: dict[str, Any]) -> None:
    due = case["due_at"]
    for name, body in (("acknowledge", {}), ("report_back", {}), ("check_fail", {"reason": "没清干净"})):
        case = (await move(client, case, name, **body)).json()
    assert (case["status"], case["due_at"], case["handled_at"]) == ("handling", due, None)


async def test_a_stale_version_is_refused(client: Client, case: dict[str, Any]) -> None:
    await move(client, case, "acknowledge")
    late = await move(client, case, "return", reason="r")
    assert late.status_code == 412
    assert late.json()["code"] == "dispatch.version_conflict"


async def test_of_two_at_once_one_wins(client: Client, case: dict[str, Any]) -> None:
    answers = await asyncio.gather(*(move(client, case, "acknowledge") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, {"move": "acknowledge"}, 428, "dispatch.version_required"),
        ({"If-Match": "*"}, {"move": "acknowledge"}, 400, "dispatch.bad_version"),
        ({"If-Match": '"1"'}, {"move": "fly"}, 400, "dispatch.unknown_move"),
        ({"If-Match": '"1"'}, {"move": "close"}, 409, "dispatch.illegal_transition"),
        ({"If-Match": '"1"'}, {"move": "return"}, 400, "dispatch.reason_required"),
        ({"If-Match": '"1"'}, {"move": "return", "reason": "  "}, 400, "dispatch.reason_required"),
    ],
)
async def test_guards(
    client: Client, case: dict[str, Any], headers: dict[str, str], body: dict[str, str], status: int, code: str
) -> None:
    answer = await client.post(f"/v1/cases/{case['case']}/moves", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get(case["status_url"])).json()["version"] == 1


async def test_handled_after_the_deadline_is_late(client: Client, case: dict[str, Any], engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dispatch.dispatch_case SET due_at = now() - interval '1 second'"))
    case = (await move(client, case, "acknowledge")).json()
    assert case["light"] == "red"
    case = (await move(client, case, "report_back")).json()
    assert case["is_on_time"] is False


async def test_history_cannot_be_edited(client: Client, case: dict[str, Any], engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(Exception, match="append-only"):
            await connection.execute(text("UPDATE dispatch.case_event SET actor_id = 'x'"))


async def test_lists_page_without_gap_or_repeat(client: Client) -> None:
    for number in range(7):
        await client.post("/v1/reports", json=report(ticket=f"T-{number}"))
    seen: list[str] = []
    url: str | None = "/v1/cases?limit=3"
    while url:
        answer = await client.get(url)
        seen += [case["ticket"] for case in answer.json()["cases"]]
        url = answer.links["next"]["url"] if "next" in answer.links else None
    assert seen == [f"T-{number}" for number in reversed(range(7))]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("status=open", 1),
        ("status=closed", 0),
        ("inbox=all", 1),
        ("inbox=to_dispatch", 0),
        (f"cell={WEST}", 1),
        (f"cell={WEST}003", 0),
        ("category=E01", 1),
        ("category=P01", 0),
        ("channel=hotline", 1),
        ("bbox=113.6,34.7,113.7,34.8", 1),
        ("bbox=0,0,1,1", 0),
        ("from=2020-01-01", 1),
        ("to=2020-01-01", 0),
    ],
)
async def test_filters(client: Client, case: dict[str, Any], query: str, count: int) -> None:
    assert len((await client.get(f"/v1/cases?{query}")).json()["cases"]) == count


@pytest.mark.parametrize(
    "query", ["status=flying", "bbox=1,2,3", "bbox=nan,0,1,1", "from=yesterday", "limit=0", "inbox=x", "from=%00"]
)
async def test_bad_filters_are_named(client: Client, query: str) -> None:
    answer = await client.get(f"/v1/cases?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"]


@pytest.mark.parametrize("cursor", ["x", "%00", "MjAyNg==", "%F0%9F%98%80", "AAAA"])
async def test_bad_cursors_are_named(client: Client, cursor: str) -> None:
    assert (await client.get(f"/v1/cases?cursor={cursor}")).status_code in {400, 422}


async def test_geojson_by_accept(client: Client, case: dict[str, Any]) -> None:
    answer = await client.get("/v1/cases", headers={"Accept": "application/geo+json"})
    assert answer.headers["content-type"] == "application/geo+json"
    feature = answer.json()["features"][0]
    assert feature["geometry"] == {"type": "Point", "coordinates": [113.61, 34.75]}
    assert feature["id"] == case["case"]


async def test_a_channel_sees_its_own_cases_only(client: Client, case: dict[str, Any], make_key: Any) -> None:
    key = await make_key(channel="other")
    headers = {"Authorization": f"Bearer {key}"}
    assert (await client.get(case["status_url"], headers=headers)).status_code == 404
    assert (await client.get("/v1/cases", headers=headers)).json()["cases"] == []
    assert (await move(client, case, "acknowledge")).status_code == 200
    assert (await client.get("/v1/inboxes", headers=headers)).status_code == 403
    instants = [datetime.fromisoformat(case[name]) for name in ("reported_at", "dispatched_at")]
    assert instants[0] == instants[1]
