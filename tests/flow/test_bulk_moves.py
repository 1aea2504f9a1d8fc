"""Many moves in one request: each with its result, one undo, and a history that keeps both."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.guards import retrace
from dispatch.workflow import replay
from tests.builders import report
from tests.flow.conftest import Client


async def new_cases(client: Client, count: int, **overrides: Any) -> list[dict[str, Any]]:
    created = [
        (await client.post("/v1/reports", json=report(ticket=f"T-{n}", **overrides))).json() for n in range(count)
    ]
    return [{"case": one["case"], "version": 1} for one in created]


async def bulk(client: Client, move: str, cases: list[dict[str, Any]], **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/cases/moves:bulk", json={"move": move, "cases": cases, **body})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def row(engine: AsyncEngine, ref: str) -> dict[str, Any]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT * FROM dispatch.dispatch_case WHERE ref = :ref"), {"ref": ref})
        return dict(found.mappings().one())


async def test_each_case_has_its_own_result(client: Client) -> None:
    cases = await new_cases(client, 4, category="P0102")
    cases[1]["version"] = 9
    cases[2]["case"] = "20260101-0000000"
    made = await bulk(client, "accept", cases)
    assert [(one["status"], one["code"]) for one in made["results"]] == [
        (200, None),
        (412, "dispatch.version_conflict"),
        (404, "dispatch.case_not_found"),
        (200, None),
    ]
    assert made["results"][0]["version"] == 2
    assert made["undo"]
    assert made["undo_until"]


async def test_an_undo_restores_the_row_and_the_history_keeps_both(client: Client, engine: AsyncEngine) -> None:
    cases = await new_cases(client, 2, category="P0102")
    before = await row(engine, cases[0]["case"])
    made = await bulk(client, "decline", cases, reason="不属于本街道")
    assert (await row(engine, cases[0]["case"]))["state"] == "declined"
    undone = (await client.post("/v1/cases/moves:undo", json={"undo": made["undo"]})).json()
    assert [one["version"] for one in undone["results"]] == [3, 3]
    assert await row(engine, cases[0]["case"]) == before | {"version": 3}
    events = (await client.get(f"/v1/cases/{cases[0]['case']}")).json()["events"]
    assert [event["moves"] for event in events] == [["report"], ["decline"], ["undo"]]
    assert replay(event["moves"] for event in events) == "reported"
    assert retrace(event["moves"] for event in events).state == "reported"
    again = await client.post("/v1/cases/moves:undo", json={"undo": made["undo"]})
    assert (again.status_code, again.json()["code"]) == (404, "dispatch.undo_unknown")


async def test_too_late_and_overtaken(client: Client, engine: AsyncEngine) -> None:
    first, second = await new_cases(client, 2, category="P0102")
    made = await bulk(client, "accept", [first])
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dispatch.case_undo SET made_at = now() - interval '11 s'"))
    assert (await client.post("/v1/cases/moves:undo", json={"undo": made["undo"]})).status_code == 404
    made = await bulk(client, "accept", [second])
    await bulk(client, "file", [second | {"version": 2}])
    undone = (await client.post("/v1/cases/moves:undo", json={"undo": made["undo"]})).json()
    assert undone["results"][0]["code"] == "dispatch.undo_overtaken"


async def test_a_move_that_starts_a_clock_cannot_be_taken_back(client: Client) -> None:
    cases = await new_cases(client, 1)
    made = await bulk(client, "acknowledge", cases)
    assert (made["results"][0]["status"], made["undo"], made["undo_until"]) == (200, None, None)


@pytest.mark.parametrize("count", [0, 501])
async def test_at_most_500_and_at_least_one(client: Client, count: int) -> None:
    cases = [{"case": "20260101-0000000", "version": 1}] * count
    answer = await client.post("/v1/cases/moves:bulk", json={"move": "close", "cases": cases})
    assert answer.status_code == 422
