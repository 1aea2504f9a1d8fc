"""Recurring joint operations: planned over HTTP, opened by the worker exactly once per occurrence."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.clock_duty import ClockDuty, tell_overdue_phases
from dispatch.guards import retrace
from dispatch.operations import open_due
from geo.storage.uow import write_unit
from tests.builders import WEST
from tests.flow.conftest import Client
from tests.flow.test_joint import departments, due  # noqa: F401 - a fixture by its name

PLAN: dict[str, Any] = {
    "name": "周五集中清理",
    "text": "清理背街小巷",
    "category": "E0110",
    "cell": WEST,
    "legs": [
        {"department": "urban", "task": "清运"},
        {"department": "fire", "limit": {"value": 90, "unit": "natural_day"}},
    ],
    "recurrence": {"frequency": "day", "at": "09:00", "first_day": "2020-01-01", "day_off": "as_it_is"},
}


async def set_plan(engine: AsyncEngine, assignment: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE dispatch.operation_plan SET {assignment}"))


async def run(engine: AsyncEngine) -> int:
    async with write_unit(engine) as unit:
        return await open_due(unit)


@pytest.fixture
async def plan(client: Client) -> dict[str, Any]:
    made = await client.post("/v1/operations", json=PLAN)
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    assert made.headers["location"] == f"/v1/operations/{body['id']}"
    return body


async def test_each_occurrence_opens_one_case_however_many_workers_look(
    client: Client, engine: AsyncEngine, plan: dict[str, Any]
) -> None:
    assert (len(plan["ahead"]), plan["next_at"], plan["occurrences"]) == (5, plan["ahead"][0], [])
    assert await run(engine) == 0
    now = datetime.now(UTC)
    # Out of service for more than three days.
    late = now - timedelta(days=3, hours=2)
    nines = [(late + timedelta(days=day)).replace(hour=1, minute=0, second=0, microsecond=0) for day in range(5)]
    expected = 1 + sum(late < nine <= now for nine in nines)
    await set_plan(engine, f"next_at = '{late.isoformat()}'")
    assert sum(await asyncio.gather(*(run(engine) for _ in range(6)))) == expected
    assert await run(engine) == 0
    after = (await client.get(f"/v1/operations/{plan['id']}")).json()
    assert [one["status"] for one in after["occurrences"]] == ["opened"] * expected
    assert len({one["case"] for one in after["occurrences"]}) == expected
    assert datetime.fromisoformat(after["next_at"]) > now
    case = (await client.get(after["occurrences"][0]["status_url"])).json()
    assert (case["status"], case["channel"], case["chain"][-1]["code"]) == ("handling", "operation", WEST)
    assert [leg["department"] for leg in case["legs"]] == ["urban", "fire"]
    assert due(case["legs"][1]) == due(case)
    assert case["text"] == "周五集中清理\n清理背街小巷"
    assert (case["events"][0]["moves"], case["head"]["cell"]) == (["open_operation", "split_joint"], WEST)
    assert retrace(event["moves"] for event in case["events"]).is_joint


async def test_what_is_too_old_is_missed_and_what_cannot_be_opened_is_told(
    client: Client, engine: AsyncEngine, plan: dict[str, Any]
) -> None:
    await set_plan(engine, "next_at = now() - interval '9 days 1 hour'")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dispatch.category SET is_active = false WHERE code = 'E0110'"))
    await run(engine)
    after = (await client.get(f"/v1/operations/{plan['id']}")).json()
    assert [one["status"] for one in after["occurrences"]][-3:] == ["missed"] * 3
    assert after["occurrences"][0]["status"] == "failed"
    assert after["last_problem"] == after["occurrences"][0]["problem"] == "dispatch.unknown_category"


async def test_a_plan_is_replaced_and_ended_with_the_version_seen(client: Client, plan: dict[str, Any]) -> None:
    url = f"/v1/operations/{plan['id']}"
    assert (await client.put(url, json=PLAN)).status_code == 428
    changed = {**PLAN, "recurrence": {**PLAN["recurrence"], "frequency": "week", "weekdays": [1]}}
    put = await client.put(url, json=changed, headers={"If-Match": '"1"'})
    assert (put.status_code, put.json()["version"]) == (200, 2), put.text
    assert {datetime.fromisoformat(one).isoweekday() for one in put.json()["ahead"]} == {1}
    assert (await client.put(url, json=PLAN, headers={"If-Match": '"1"'})).status_code == 412
    ended = await client.delete(url, headers={"If-Match": '"2"'})
    assert (ended.json()["active"], ended.json()["next_at"], ended.json()["ahead"]) == (False, None, [])
    listed = (await client.get("/v1/operations")).json()["operations"]
    assert [one["active"] for one in listed] == [False]
    assert (await client.get("/v1/operations/999")).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"category": "X"}, 400, "/category"),
        ({"category": "P0102"}, 400, "/condition"),
        ({"cell": "999"}, 400, "/cell"),
        ({"legs": []}, 422, "/legs"),
        ({"legs": [{"department": "x"}]}, 400, "/legs/0/department"),
        ({"ledgers": ["x"]}, 400, "/ledgers/0"),
        ({"recurrence": {**PLAN["recurrence"], "frequency": "week"}}, 400, "/recurrence/weekdays"),
        (
            {"recurrence": {**PLAN["recurrence"], "last_day": "2026-11-20", "first_day": "2026-11-19"}},
            400,
            "/recurrence",
        ),
        ({"recurrence": {**PLAN["recurrence"], "first_day": "9999-01-01"}}, 422, "/recurrence/first_day"),
        ({"recurrence": {**PLAN["recurrence"], "at": "25:00"}}, 422, "/recurrence/at"),
        ({"name": ""}, 422, "/name"),
    ],
)
async def test_bad_plans_are_named(client: Client, change: dict[str, Any], status: int, pointer: str) -> None:
    answer = await client.post("/v1/operations", json={**PLAN, **change})
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_an_overdue_phase_is_told_once(client: Client, engine: AsyncEngine, plan: dict[str, Any]) -> None:
    await set_plan(engine, "next_at = now() - interval '1 minute'")
    assert await ClockDuty(engine=engine).run_once(asyncio.Event()) == 1
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO dispatch.case_phase (case_id, clock_epoch, number, name_zh, name_en, limit_value,"
                " limit_unit, due_at) SELECT id, 1, 1, '停工', 'Stop work', 4, 'urgent_hour', now() - interval '1 s'"
                " FROM dispatch.dispatch_case"
            )
        )

    async def tell() -> int:
        async with write_unit(engine) as unit:
            return await tell_overdue_phases(unit)

    assert sum(await asyncio.gather(*(tell() for _ in range(4)))) == 1
    assert await tell() == 0
    found = (await client.get(f"/v1/operations/{plan['id']}")).json()["occurrences"][0]
    case = (await client.get(found["status_url"])).json()
    assert (case["events"][-1]["type"], case["events"][-1]["moves"]) == ("case.phase_overdue.v1", ["overdue_part"])
