"""After a redraw: who is asked from then on, the plan of the worker's query, and the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from api.cli import application
from dispatch.handover import _with_states, hand_over
from dispatch.states import HAND_OVER_STATES
from dispatch.worker import sweep
from geo.storage.drafts import copy_version
from geo.storage.engine import create_engine, dsn
from geo.storage.grid_versions import create_draft
from geo.storage.uow import read_unit, write_unit
from tests.builders import INSIDE, L1, WEST, build_district, person_id, report
from tests.flow.test_grid_versions import SPLIT, W1, Client, _send, appoint, draft, one, operate, work


async def _redraw(client: Client, engine: AsyncEngine) -> None:
    number = await draft(client)
    await operate(client, number, SPLIT)
    await appoint(engine, f"{WEST}012", "new-head")
    assert (await client.post(f"/v1/grid/versions/{number}/activate", json={})).status_code == 200
    await work(engine)


async def test_a_case_dispatched_after_a_redraw_goes_to_the_head_of_today(client: Client, engine: AsyncEngine) -> None:
    """Filed before, without a certain condition: the old cell has no say in who gets it now."""
    lon, lat = INSIDE
    made = await client.post("/v1/reports", json=report(category="P0102", lon=lon, lat=lat))
    assert made.json()["status"] == "reported", made.text
    await _redraw(client, engine)
    case = made.json()["case"]
    shown = (await client.get(f"/v1/cases/{case}")).json()
    assert shown["chain"][-1]["code"] == W1
    assert [event["type"] for event in shown["events"]] == ["case.reported.v1"], "nobody owned it, nobody hands it over"
    moved = await client.post(
        f"/v1/cases/{case}/moves",
        json={"move": "dispatch", "condition": 1},
        headers={"If-Match": f'"{shown["version"]}"'},
    )
    assert moved.status_code == 200, moved.text
    assert moved.json()["head"]["name"] == "new-head"


async def test_reworked_after_a_redraw_it_is_handed_over_then(client: Client, engine: AsyncEngine) -> None:
    case = await _send(client, "T-1")
    for move in ("acknowledge", "report_back"):
        version = (await client.get(f"/v1/cases/{case}")).json()["version"]
        await client.post(f"/v1/cases/{case}/moves", json={"move": move}, headers={"If-Match": f'"{version}"'})
    await _redraw(client, engine)
    shown = (await client.get(f"/v1/cases/{case}")).json()
    assert shown["head"]["name"] != "new-head", "the work is done; who did it stays"
    body = {"move": "check_fail", "reason": "还在漏"}
    back = await client.post(f"/v1/cases/{case}/moves", json=body, headers={"If-Match": f'"{shown["version"]}"'})
    assert back.status_code == 200, back.text
    await work(engine)
    after = (await client.get(f"/v1/cases/{case}")).json()
    assert (after["status"], after["head"]["name"]) == ("handling", "new-head")


async def test_an_overdue_case_tells_the_parent_of_the_cell_it_lies_in_now(client: Client, engine: AsyncEngine) -> None:
    await _send(client, "T-1")
    await _redraw(client, engine)
    async with write_unit(engine) as unit:
        await (await unit.driver()).execute(
            "UPDATE dispatch.dispatch_case SET next_rung_at = now() - interval '1 s', due_at = now()"
        )
        await sweep(unit, batch=5)
    assert await one(engine, "SELECT person_id FROM dispatch.escalation WHERE rung = 'due'") == person_id(f"A-{WEST}")


async def test_a_place_that_leaves_the_grid_keeps_its_head(client: Client, engine: AsyncEngine) -> None:
    case = await _send(client, "T-1")
    before = (await client.get(f"/v1/cases/{case}")).json()["head"]
    number = await draft(client, based_on=None, code_system="free")
    ring = [[115.0, 35.0], [115.01, 35.0], [115.01, 35.01], [115.0, 35.01], [115.0, 35.0]]
    await operate(client, number, {"operation": "add", "into": {"code": "far"}, "boundary": [ring]})
    effect = (await client.get(f"/v1/grid/versions/{number}/effect")).json()
    assert (effect["count"], effect["handed_over"]) == (1, 0)
    assert effect["cases"][0]["cell"] == {"before": W1, "after": None}
    assert (await client.post(f"/v1/grid/versions/{number}/activate", json={})).status_code == 200
    await work(engine)
    assert (await client.get(f"/v1/cases/{case}")).json()["head"] == before


async def test_the_worker_looks_by_index_only(client: Client, engine: AsyncEngine) -> None:
    """Most cases are up to date, and the query that finds none of them runs every second."""
    await _send(client, "T-1")
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute("SET LOCAL enable_seqscan = off")
        query = _with_states("hand_over", HAND_OVER_STATES).replace("FOR UPDATE OF c SKIP LOCKED", "")
        rows = await (await driver.execute(f"EXPLAIN {query}", {"batch": 50})).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert plan.count("ix_dispatch_case_owner_version") >= 2, plan
    async with write_unit(engine) as unit:
        assert await hand_over(unit, batch=50) == 0


def test_the_command_line(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def throw_away() -> AsyncIterator[AsyncEngine]:
        # The tests' server is fast and forgets; a command refuses such a one.
        engine = create_engine(database, name="command")
        try:
            yield engine
        finally:
            await engine.dispose()

    monkeypatch.setattr("api.cli.grid.engine_for_command", throw_away)
    monkeypatch.setattr("api.cli.grid_codes.engine_for_command", throw_away)

    async def build() -> None:
        engine = create_engine(database, name="test")
        await build_district(engine)
        async with write_unit(engine) as unit:
            for _ in range(2):
                made = await create_draft(unit, "410100", name="x", code_system="cn15", source="", based_on=1)
                await copy_version(unit, 1, made.id)
        await engine.dispose()

    asyncio.run(build())

    def run(*words: str) -> str:
        done = CliRunner().invoke(application, ["grid", *words])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    assert len(run("list").splitlines()) == 3
    assert "1/2/4" in run("show", "2")
    assert run("check", "2").strip()
    assert run("effect", "2").strip()
    assert WEST in run("code", "--system", "cn15", "--level", "2", "--parent", L1, WEST)
    assert CliRunner().invoke(application, ["grid", "code", WEST, "123"]).exit_code == 1
    assert run("next-code", "2", WEST, "--count", "2").split() == [f"{WEST}004", f"{WEST}005"]
    assert run("discard", "3").strip()
    at = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    assert run("activate", "2", "--from", at).strip()
    assert CliRunner().invoke(application, ["grid", "activate", "2"]).exception is not None
    with psycopg.connect(dsn(database)) as connection:
        told = connection.execute("SELECT actor_kind, kind, subject FROM audit.record ORDER BY number").fetchall()
    discarded, activated = ("grid.changed", "grid discard 3"), ("grid.activated", "grid activate 2")
    assert told == [("cli", *discarded), ("cli", *activated)], "what was done, and nothing for what was refused"
