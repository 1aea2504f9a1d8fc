"""Many moves in one request: each with its result, one undo, and a history that keeps both."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.guards import retrace
from dispatch.notices import LogNotifier, relay
from dispatch.workflow import replay
from geo.storage.uow import write_unit
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


async def test_what_somebody_out_there_does_cannot_be_taken_back(client: Client) -> None:
    cases = await new_cases(client, 1)
    made = await bulk(client, "acknowledge", cases)
    assert (made["results"][0]["status"], made["undo"], made["undo_until"]) == (200, None, None)


async def relayed(engine: AsyncEngine) -> list[str]:
    """Let the relay run once and name who has been told of what so far."""
    async with write_unit(engine) as unit:
        await relay(unit, [LogNotifier()], batch=500, most_attempts=3)
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT body_key FROM dispatch.notification ORDER BY id"))
        return [key for (key,) in found]


async def end_undo(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE dispatch.outbox SET next_attempt_at = now()"))


async def test_nobody_is_told_of_a_dispatch_before_it_stands(client: Client, engine: AsyncEngine) -> None:
    cases = await new_cases(client, 2, category="P0102")
    refs = [one["case"] for one in cases]
    await relayed(engine)
    before = [await row(engine, ref) for ref in refs]
    made = await bulk(client, "dispatch", cases, condition=1)
    assert (await row(engine, refs[0]))["due_at"] is not None
    assert await relayed(engine) == []
    undone = (await client.post("/v1/cases/moves:undo", json={"undo": made["undo"]})).json()
    assert [one["status"] for one in undone["results"]] == [200, 200]
    assert [await row(engine, ref) for ref in refs] == [was | {"version": 3} for was in before]
    await end_undo(engine)
    assert await relayed(engine) == [], "what was taken back is told to nobody"
    detail = (await client.get(f"/v1/cases/{refs[0]}")).json()
    assert [event["moves"] for event in detail["events"]] == [["report"], ["accept", "file", "dispatch"], ["undo"]]
    assert detail["events"][-1]["text"] == "Dispatch"
    assert (await client.get(f"/v1/cases/{refs[0]}/trace")).json()["decisions"] == []
    # The same once more, and this time it stands.
    again = await bulk(client, "dispatch", [{"case": ref, "version": 3} for ref in refs], condition=1)
    await end_undo(engine)
    assert await relayed(engine) == ["notice.dispatched"] * 2
    late = (await client.post("/v1/cases/moves:undo", json={"undo": again["undo"]})).json()
    assert {one["code"] for one in late["results"]} == {"dispatch.undo_overtaken"}, "somebody has been told"


async def test_urging_and_merging_are_taken_back_with_a_record(client: Client, engine: AsyncEngine) -> None:
    under_way = await new_cases(client, 1)
    made = await bulk(client, "urge", under_way)
    assert (await client.post("/v1/cases/moves:undo", json={"undo": made["undo"]})).status_code == 200
    created = [
        (await client.post("/v1/reports", json=report(ticket=f"M-{n}", category="P0102"))).json() for n in range(3)
    ]
    parent, *others = [one["case"] for one in created]
    before = await row(engine, others[0])
    made = await bulk(client, "merge", [{"case": ref, "version": 1} for ref in others], into=parent)
    assert (await row(engine, others[0]))["state"] == "merged"
    undone = (await client.post("/v1/cases/moves:undo", json={"undo": made["undo"]})).json()
    assert [one["status"] for one in undone["results"]] == [200, 200]
    assert await row(engine, others[0]) == before | {"version": 3}
    parents = (await client.get(f"/v1/cases/{parent}")).json()["events"]
    assert [event["type"].split(".")[1] for event in parents] == ["reported", *["followed"] * 2, *["unfollowed"] * 2]


async def test_a_dry_run_says_what_would_come_of_it_and_makes_nothing(client: Client, engine: AsyncEngine) -> None:
    cases = await new_cases(client, 2, category="P0102")
    cases[1]["version"] = 9
    before = await row(engine, cases[0]["case"])
    seen = await bulk(client, "dispatch", cases, condition=1, dry_run=True)
    assert (seen["undo"], seen["undo_until"]) == (None, None)
    first, second = seen["results"]
    assert first["version"] == 1
    assert (first["foreseen"]["state"], bool(first["foreseen"]["owner"]["post"])) == ("dispatched", True)
    assert first["foreseen"]["due_at"]
    assert (second["status"], "foreseen" in second) == (412, False)
    assert await row(engine, cases[0]["case"]) == before
    assert len((await client.get(f"/v1/cases/{cases[0]['case']}")).json()["events"]) == 1


@pytest.mark.parametrize("count", [0, 501])
async def test_at_most_500_and_at_least_one(client: Client, count: int) -> None:
    cases = [{"case": "20260101-0000000", "version": 1}] * count
    answer = await client.post("/v1/cases/moves:bulk", json={"move": "close", "cases": cases})
    assert answer.status_code == 422
