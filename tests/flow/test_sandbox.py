"""A key of the sandbox: its cases live apart, its clock can be advanced, and the ladder follows that clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from api.accounts.roles import Scope
from api.app import create_app
from api.sandbox.database import refresh, url_of
from api.sandbox.duty import SandboxDuty
from api.settings import Settings
from geo.storage.cluster import Cluster
from geo.storage.engine import dsn
from tests.flow.conftest import Client

CASE = {"ticket": "S-1", "text": "井盖缺失", "category": "E0110", "coord_sys": "wgs84"}
SCOPES = [scope.value for scope in (Scope.REPORTS_CREATE, Scope.CASES_READ, Scope.CASES_MOVE, Scope.WEBHOOKS_MANAGE)]


@pytest.fixture
async def sandbox(client: Client, database: str, cluster: Cluster) -> AsyncIterator[Client]:
    """Give a client with a key of the sandbox, made over HTTP by the office's administrator."""
    made = await client.post("/v1/keys", json={"channel": "hotline", "sandbox": True, "scopes": SCOPES})
    assert made.status_code == 201, made.text
    key = made.json()["key"]
    assert key.startswith("gwt_")
    headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}
    app = create_app(Settings(database_url=database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://gridward.test", headers=headers, timeout=60
        ) as inside,
    ):
        yield inside
    # The application has let go of it; the test's own database goes away by itself.
    cluster.drop_database(f"{database.rpartition('/')[2].partition('?')[0]}_sandbox")


def _report(ticket: str = "S-1") -> dict[str, Any]:
    return CASE | {"ticket": ticket, "lon": 113.605, "lat": 34.745}


async def _cases_live_apart(client: Client, sandbox: Client, database: str) -> None:
    there = await sandbox.post("/v1/reports", json=_report())
    assert there.status_code == 201, there.text
    assert there.headers["gridward-mode"] == "sandbox"
    assert there.json()["head"] is not None
    ref = there.json()["case"]
    # The office never hears of it, by any exit; and the same ticket is free there.
    assert (await client.get(f"/v1/cases/{ref}")).status_code == 404
    assert (await client.get("/v1/cases")).json()["cases"] == []
    assert (await client.get("/v1/events")).json()["events"] == []
    here = await client.post("/v1/reports", json=_report())
    assert here.status_code == 201
    assert "gridward-mode" not in here.headers
    assert [case["case"] for case in (await sandbox.get("/v1/cases")).json()["cases"]] == [ref]
    with psycopg.connect(dsn(database)) as connection:
        assert connection.execute("SELECT count(*) FROM dispatch.dispatch_case").fetchone() == (1,)


async def _open311_finds_it_by_the_parameter(client: Client, key: str) -> None:
    """In the address, in a form and in a form with parts; a key of no sandbox is the specification's 403."""
    form = {"service_code": "E0110", "lat": "34.745", "long": "113.605", "description": "井盖缺失"}
    path = "/open311/v2/requests.json"
    anyone = {"headers": {"Authorization": ""}}
    by_form = await client.post(path, data=form | {"api_key": key}, **anyone)
    by_parts = await client.post(path, files={name: (None, text) for name, text in (form | {"api_key": key}).items()})
    in_address = await client.post(f"{path}?api_key={key}", data=form, **anyone)
    for made in (by_form, by_parts, in_address):
        assert (made.status_code, made.headers["gridward-mode"]) == (200, "sandbox"), made.text
        ref = made.json()[0]["service_request_id"]
        found = await client.get(f"/open311/v2/requests/{ref}.json?api_key={key}", **anyone)
        assert found.json()[0]["service_request_id"] == ref
        assert (await client.get(f"/v1/cases/{ref}")).status_code == 404
    refused = [
        await client.post(path, data=form | {"api_key": "gwt_00000000_nobody"}, **anyone),
        await client.get(f"{path}?api_key=gwt_00000000_nobody", **anyone),
    ]
    assert [(one.status_code, one.json()[0]["code"]) for one in refused] == [(403, 403)] * 2


async def _the_ladder_follows_the_advanced_clock(sandbox: Client) -> None:
    case = (await sandbox.post("/v1/reports", json=_report("L-1"))).json()
    begun = datetime.fromisoformat((await sandbox.get("/v1/sandbox/clock")).json()["now"])
    due = datetime.fromisoformat(case["due_at"])
    far = (due + timedelta(days=20)).isoformat()
    answer = await sandbox.post("/v1/sandbox/clock", json={"to": far})
    assert answer.status_code == 200, answer.text
    events = [event for event in answer.json()["events"] if event["case"] == case["case"]]
    rungs = {event["rung"]: datetime.fromisoformat(event["occurred_at"]) for event in events if event["rung"]}
    assert {"half", "four_fifths", "due", "due_1d", "due_5d"} <= set(rungs)
    # Each at its own instant, not all of them in a heap at the end.
    assert begun < rungs["half"] < rungs["four_fifths"] < rungs["due"] < rungs["due_1d"] < rungs["due_5d"]
    assert abs(rungs["due"] - due) < timedelta(seconds=5)
    seen = (await sandbox.get(f"/v1/cases/{case['case']}")).json()
    assert seen["light"] == "red"
    # What is reported now is reported on that clock.
    later = (await sandbox.post("/v1/reports", json=_report("L-2"))).json()
    assert datetime.fromisoformat(later["due_at"]) > due + timedelta(days=20)
    assert [event["type"] for event in events].count("case.escalated.v1") == 3
    feed = (await sandbox.get("/v1/events", params={"limit": 100})).json()["events"]
    assert "case.escalated.v1" in {event["type"] for event in feed}


async def _the_clock_never_goes_back(sandbox: Client, client: Client) -> None:
    now = datetime.fromisoformat((await sandbox.post("/v1/sandbox/clock", json={"by_s": 7200})).json()["now"])
    back = await sandbox.post("/v1/sandbox/clock", json={"to": (now - timedelta(hours=1)).isoformat()})
    assert (back.status_code, back.json()["code"]) == (400, "sandbox.clock_back")
    far = await sandbox.post("/v1/sandbox/clock", json={"by_s": 366 * 86_400})
    assert (far.status_code, far.json()["code"]) == (400, "sandbox.clock_too_far")
    both = await sandbox.post("/v1/sandbox/clock", json={"by_s": 1, "to": now.isoformat()})
    assert both.status_code == 422
    for answer in (await client.get("/v1/sandbox/clock"), await client.post("/v1/sandbox/clock", json={"by_s": 60})):
        assert (answer.status_code, answer.json()["code"]) == (403, "sandbox.key_needed")


async def _keys_of_the_sandbox(client: Client, sandbox: Client) -> None:
    listed = (await client.get("/v1/keys", params={"sandbox": True})).json()["keys"]
    assert [key["channel"] for key in listed] == ["hotline"]
    assert listed[0]["prefix"] not in {key["prefix"] for key in (await client.get("/v1/keys")).json()["keys"]}
    body = {"channel": "hotline", "sandbox": True, "scopes": ["keys:manage"]}
    refused = await client.post("/v1/keys", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "sandbox.scope")
    assert (await sandbox.post("/v1/reports", json=_report("K-1"))).status_code == 201
    assert (await client.delete(f"/v1/keys/{listed[0]['prefix']}", params={"sandbox": True})).status_code == 204
    await asyncio.sleep(1.1)  # a key is remembered for a second
    assert (await sandbox.get("/v1/cases")).status_code == 401
    unknown = await client.get("/v1/cases", headers={"Authorization": "Bearer gwt_00000000_nothing"})
    assert (unknown.status_code, unknown.json()["code"]) == (401, "access.key_unknown")


async def _the_worker_keeps_the_sandboxs_clocks(sandbox: Client, database: str) -> None:
    case = (await sandbox.post("/v1/reports", json=_report("W-1"))).json()
    # The clock stands beyond the deadline, and nobody has looked since: as after a night with the worker away.
    with psycopg.connect(dsn(url_of(database))) as connection:
        connection.execute("UPDATE sandbox.clock SET ahead = %s::timestamptz - pg_catalog.now()", (case["due_at"],))
    duty = SandboxDuty(Settings(database_url=database), database)
    try:
        assert await duty.run_once(asyncio.Event()) > 0
    finally:
        await duty.aclose()
    types = [event["type"] for event in (await sandbox.get("/v1/events")).json()["events"]]
    assert "case.reminded.v1" in types
    with psycopg.connect(dsn(url_of(database))) as connection:
        assert connection.execute("SELECT count(*) FROM dispatch.outbox").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM dispatch.notification").fetchone() == (0,)


async def _made_anew_keeps_its_keys(sandbox: Client, database: str) -> None:
    """And a copy of the office has no telephone and no case of it."""
    assert (await sandbox.get("/v1/cases")).status_code == 200
    await asyncio.to_thread(refresh, database, url_of(database))
    with psycopg.connect(dsn(url_of(database))) as connection:
        for table in ("dispatch.dispatch_case", "dispatch.person_contact", "api.account"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert connection.execute("SELECT count(*) > 0 FROM geo.cell").fetchone() == (True,)
        assert connection.execute("SELECT array_agg(channel) FROM sandbox.clock").fetchone() == (["hotline"],)
    assert (await sandbox.post("/v1/reports", json=_report("N-1"))).status_code == 201


async def test_a_channel_tries_things_out(client: Client, sandbox: Client, database: str) -> None:
    """One sandbox for all steps: to make one takes seconds."""
    await _cases_live_apart(client, sandbox, database)
    await _open311_finds_it_by_the_parameter(client, sandbox.headers["Authorization"].partition(" ")[2])
    await _the_ladder_follows_the_advanced_clock(sandbox)
    await _the_clock_never_goes_back(sandbox, client)
    await _the_worker_keeps_the_sandboxs_clocks(sandbox, database)
    await _made_anew_keeps_its_keys(sandbox, database)
    await _keys_of_the_sandbox(client, sandbox)
