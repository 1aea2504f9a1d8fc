"""Legs of joint work climb the ladder, each on its own clock and in its own department."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.auditor import Auditor
from dispatch.notices import LogNotifier, relay
from dispatch.queries import load_reference
from dispatch.reference import Reference
from dispatch.settings import DispatchSettings
from geo.storage.uow import read_unit, write_unit
from tests.builders import L1, WEST, person_id
from tests.flow.conftest import Client
from tests.flow.test_joint import WHY, departments, joint, leg_move, walk  # noqa: F401 - fixtures by their names
from tests.flow.test_ladder import execute, fetch, run_sweep
from tests.flow.test_workflow_moves import moved

FIRED = (
    "SELECT leg, rung, person_id, empty FROM dispatch.escalation WHERE leg > 0 ORDER BY leg, fired_at, planned_at, rung"
)


async def pass_time(engine: AsyncEngine, leg: int, hours: float) -> None:
    """Let time pass for one leg only: the clock of its case stays where it is."""
    await execute(
        engine,
        "UPDATE dispatch.case_leg SET started_at = started_at - :by, due_at = due_at - :by,"
        " ladder_from = ladder_from - :by, next_rung_at = now() WHERE number = :leg",
        by=timedelta(hours=hours),
        leg=leg,
    )


async def test_a_leg_climbs_in_its_own_department_and_then_to_whoever_leads(
    client: Client,
    engine: AsyncEngine,
    joint: dict[str, Any],  # noqa: F811 - the fixture
) -> None:
    handler = (await fetch(engine, "SELECT owner_person_id FROM dispatch.case_leg WHERE number = 1"))[0][0]
    await run_sweep(engine)
    assert await fetch(engine, FIRED) == []
    await pass_time(engine, 1, 2.1)
    # Many workers at once, each rung once; the case's own clock has not moved.
    await asyncio.gather(*(run_sweep(engine) for _ in range(4)))
    assert await fetch(engine, FIRED) == [(1, "half", handler, [])]
    await pass_time(engine, 2, 2.5)
    await run_sweep(engine)
    vacant = ["owner", "department:fire"]
    assert await fetch(engine, FIRED) == [
        (1, "half", handler, []),
        (2, "half", person_id(f"A-{L1}"), vacant),
        (2, "four_fifths", person_id(f"A-{L1}"), vacant),
        (2, "due", person_id(f"A-{WEST}001"), []),
    ]
    case = (await client.get(joint["status_url"], headers={"Accept-Language": "en"})).json()
    assert [event["leg"] for event in case["events"][-4:]] == [1, 2, 2, 2]
    assert case["events"][-1]["text"].startswith("part 2 (Fire): Overdue: the parent cell's head; told to ")
    assert case["version"] == joint["version"] + 4
    brief = (await client.get(f"/v1/cases/{case['case']}/brief")).json()
    assert [(row["leg"], row["rung"]) for row in brief["ladder"]] == [
        (1, "half"), (2, "half"), (2, "four_fifths"), (2, "due"),
    ]  # fmt: skip
    assert {(row["leg"], row["rung"]) for row in brief["planned"]} >= {(1, "due"), (2, "due_1d"), (None, "due")}
    async with write_unit(engine) as unit:
        await relay(unit, (LogNotifier(),), batch=50, most_attempts=3)
    due = joint["legs"][1]["due_at"]
    told = await fetch(engine, "SELECT params FROM dispatch.notification WHERE body_key = 'notice.escalated'")
    assert [row[0]["leg"] for row in told] == [2]
    assert datetime.fromisoformat(told[0][0]["due_at"]) == datetime.fromisoformat(due) - timedelta(hours=2.5)


async def test_a_leg_that_is_reported_back_or_rests_is_off_the_ladder(
    client: Client,
    engine: AsyncEngine,
    joint: dict[str, Any],  # noqa: F811 - the fixture
) -> None:
    armed = "SELECT next_rung_at IS NOT NULL, ladder_epoch FROM dispatch.case_leg ORDER BY number"
    await run_sweep(engine)
    await walk(client, joint, 1, ("leg_acknowledge", {}), ("leg_report_back", {"result": "done"}))
    assert await fetch(engine, armed) == [(False, 1), (True, 1)]
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    case = (await client.get(joint["status_url"])).json()
    case = await moved(client, case, ("request_suspend", {**WHY, "until": until}), "approve_suspend")
    # A later deadline begins an epoch of a leg that is handled as well: should it be rejected, its rungs come anew.
    assert await fetch(engine, armed) == [(False, 2), (False, 2)]
    await execute(engine, "UPDATE dispatch.case_leg SET next_rung_at = now()")
    # Looked at all the same, neither fires: the one is handled, the other's case is suspended.
    assert await run_sweep(engine) == 2
    assert await fetch(engine, FIRED) == []
    case = await moved(client, case, "resume")
    await run_sweep(engine)
    assert await fetch(engine, armed) == [(False, 2), (True, 2)]
    assert (await leg_move(client, case, 1, "leg_reject", **WHY)).status_code == 200
    assert await fetch(engine, armed) == [(True, 2), (True, 2)]


async def test_the_auditor_and_the_parked_rows_know_legs(
    client: Client,
    engine: AsyncEngine,
    joint: dict[str, Any],  # noqa: F811 - the fixture
) -> None:
    await run_sweep(engine)

    async def reference() -> Reference:
        async with read_unit(engine) as unit:
            return await load_reference(unit)

    auditor = Auditor(engine=engine, settings=DispatchSettings(), reference=reference)
    for wrong in ("NULL", "'2030-01-01'", "now() - interval '1 hour'"):
        await execute(engine, f"UPDATE dispatch.case_leg SET next_rung_at = {wrong} WHERE number = 2")
        await auditor.run_once(asyncio.Event())
        assert (await client.get("/v1/worker")).json()["is_well"] is False
        await run_sweep(engine)
    await auditor.run_once(asyncio.Event())
    worker = (await client.get("/v1/worker")).json()
    assert (worker["is_well"], worker["auditor"]["compared"]) == (True, 3)
    await execute(engine, "UPDATE dispatch.case_leg SET due_at = '2999-01-01' WHERE number = 2")
    for _ in range(2):
        await execute(engine, "UPDATE dispatch.case_leg SET next_rung_at = now() WHERE next_rung_at IS NOT NULL")
        await run_sweep(engine, most=2)
    [row] = (await client.get("/v1/worker/parked")).json()["parked"]
    assert (row["case"], row["id"].rpartition(":")[2]) == (joint["case"], "2")
    await execute(engine, "UPDATE dispatch.case_leg SET due_at = now() + interval '1 hour' WHERE number = 2")
    assert (await client.post(row["retry_url"])).json() == {"retried": 1}
    await run_sweep(engine, most=2)
    assert (await client.get("/v1/worker/parked")).json()["parked"] == []
