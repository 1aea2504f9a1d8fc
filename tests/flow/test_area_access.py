"""Who sees what: areas of people and keys behind every exit, on open streams, in webhooks; enforced by the database."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import NewKey, Scope, issue_key
from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.accounts.sight import Area, Sight
from api.app import create_app
from api.serving import Server
from api.settings import Settings
from bench._access_world import build_world
from bench.access import ask_everything
from dispatch.belonging import Belonging, find_belongings
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import AREA_ROLE, NOBODY, read_unit, write_unit
from tests.builders import EAST, INSIDE, WEST, District, report
from tests.flow.conftest import ALL_SCOPES, Client
from tests.signing import make_person, refs_of, signed_in

IN_EAST = (113.63, 34.75)


async def test_nothing_leaks_over_any_exit(demo_database: str) -> None:
    """The quick profile of `gridward bench access`; and the proof that it would notice."""
    figures = await ask_everything(
        demo_database, count=450, seed=random.Random().randrange(10**6), people=20, keys=8, acts=16, has_files=False
    )
    assert figures.leaks == []
    assert figures.refused_wrongly == []
    assert figures.faults == []
    assert len(figures.exits) > 30
    assert figures.followed.told > 0
    assert (figures.followed.leaks, figures.followed.missed) == ([], [])
    with psycopg.connect(dsn(demo_database)) as connection:
        connection.execute("ALTER POLICY area ON dispatch.dispatch_case USING (true)")
    broken = await ask_everything(demo_database, count=60, seed=1, people=8, keys=4, acts=0, has_files=False)
    assert broken.leaks, "an oracle that cannot see a leak proves nothing"


async def test_memory_and_database_agree_about_who_sees_what(demo_database: str) -> None:
    """Streams decide in memory; the same areas through the policies must give the same cases, in every table."""
    engine = create_engine(demo_database, pool_size=2, name="test")
    try:
        world = await build_world(engine, people=30, keys=10, seed=7)
        async with read_unit(engine) as unit:
            everything = await find_belongings(unit, [case.ref for case in world.cases])
            driver = await unit.driver()
            found = await driver.execute(
                "SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint AS c JOIN pg_attribute AS a"
                " ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] JOIN pg_class AS r ON r.oid = c.conrelid"
                " WHERE c.contype = 'f' AND c.confrelid = 'dispatch.dispatch_case'::regclass AND r.relrowsecurity"
                " AND a.attname = 'case_id'"
            )
            tables = [row[0] for row in await found.fetchall()]
        assert "dispatch.case_event" in tables
        ids = {case.ref: case.id for case in world.cases}
        for asker in world.askers:
            sight = Sight(areas=tuple(Area(cell=c, department=d, channel=n) for c, d, n in asker.areas))
            in_memory = {ref for ref, case in everything.items() if sight.covers(case)}
            assert in_memory == {case.ref for case in world.cases if asker.sees(case)}
            async with read_unit(engine, viewer=sight.viewer()) as unit:
                assert set(await find_belongings(unit, list(everything))) == in_memory
                driver = await unit.driver()
                seen = {ids[ref] for ref in in_memory}
                for table in tables:
                    rows = await (
                        await driver.execute(f"SELECT DISTINCT case_id::text FROM {table}".encode())
                    ).fetchall()
                    assert {row[0] for row in rows} <= seen, table
    finally:
        await engine.dispose()


async def test_a_connection_without_a_viewer_sees_nothing(client: Client, database: str) -> None:
    await client.post("/v1/reports", json=report())
    engine = create_engine(database, role=AREA_ROLE, name="test")
    try:
        for viewer in (None, NOBODY):
            async with read_unit(engine, viewer=viewer) as unit:
                driver = await unit.driver()
                for table in ("dispatch_case", "case_event", "outbox"):
                    row = await (await driver.execute(f"SELECT count(*) FROM dispatch.{table}".encode())).fetchone()
                    assert row == (0,)
        async with engine.connect() as connection:
            for secret in ("account", "session", "api_key", "recovery_code"):
                with pytest.raises(Exception, match="permission denied"):
                    await connection.execute(text(f"SELECT * FROM api.{secret}"))
                await connection.rollback()
    finally:
        await engine.dispose()


async def test_every_table_that_tells_of_cases_is_behind_forced_policies(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT DISTINCT r.oid::regclass::text FROM pg_class AS r LEFT JOIN pg_constraint AS c"
                " ON c.conrelid = r.oid AND c.contype = 'f' WHERE (r.oid = 'dispatch.dispatch_case'::regclass OR"
                " c.confrelid IN ('dispatch.dispatch_case'::regclass, 'dispatch.case_event'::regclass))"
                " AND NOT (r.relrowsecurity AND r.relforcerowsecurity)"
            )
        )
        # The log of webhooks holds no more than the number of an event; its routes ask whose webhook it is.
        assert {row[0] for row in rows} == {"api.webhook_delivery"}
        owners = await connection.execute(
            text(
                "SELECT rolname FROM pg_roles WHERE rolname LIKE 'gridward\\_%'"
                " AND (rolsuper OR rolbypassrls OR rolcanlogin)"
            )
        )
        assert owners.all() == []


async def test_an_area_is_found_by_its_indexes(demo_database: str) -> None:
    """With many cases: not one policy may force a walk over all of them."""
    engine = create_engine(demo_database, name="test")
    sight = Sight(
        areas=(
            Area(cell="410102001001001"),
            Area(department="sanitation"),
            Area(channel="nobody"),
            Area(cell="410102001001", department="water"),
            Area(cell="410102001001", channel="nobody"),
        )
    )
    try:
        async with write_unit(engine) as unit:
            driver = await unit.driver()
            await driver.execute("ANALYZE dispatch.dispatch_case")
        async with read_unit(engine, viewer=sight.viewer()) as unit:
            driver = await unit.driver()
            await driver.execute("SET LOCAL enable_seqscan = off")
            rows = await (await driver.execute("EXPLAIN SELECT count(*) FROM dispatch.dispatch_case")).fetchall()
        plan = "\n".join(row[0] for row in rows)
        for index in ("path", "owner_path", "department", "leg_departments"):
            assert f"ix_dispatch_case_{index}" in plan, plan
        assert "uq_dispatch_case_channel_ticket" in plan, plan
        assert "Seq Scan" not in plan
        async with read_unit(engine, viewer=Sight(areas=(Area(),)).viewer()) as unit:
            driver = await unit.driver()
            rows = await (await driver.execute("EXPLAIN SELECT count(*) FROM dispatch.dispatch_case")).fetchall()
        assert not any("Filter" in row[0] for row in rows), "who sees all pays for no policy"
    finally:
        await engine.dispose()


@pytest.fixture
async def both(client: Client) -> dict[str, str]:
    """Give a case in each half of the district."""
    west = (await client.post("/v1/reports", json=report(ticket="W", lon=INSIDE[0], lat=INSIDE[1]))).json()
    east = (await client.post("/v1/reports", json=report(ticket="E", lon=IN_EAST[0], lat=IN_EAST[1]))).json()
    assert (west["status"], east["status"]) == ("dispatched", "dispatched")
    return {"west": west["case"], "east": east["case"]}


async def test_whose_move_it_is(client: Client, both: dict[str, str], database: str, engine: AsyncEngine) -> None:
    await make_person(engine, "head", NewGrant(role=Role.GRID_HEAD, cell=WEST))
    await make_person(
        engine, "two", NewGrant(role=Role.GRID_HEAD, cell=WEST), NewGrant(role=Role.DISPATCHER, cell=EAST)
    )
    app = create_app(Settings(database_url=database))
    async with app.router.lifespan_context(app), signed_in(app, "head") as head, signed_in(app, "two") as two:
        seen = {"If-Match": '"1"'}
        assert {case["case"] for case in (await head.get("/v1/cases")).json()["cases"]} == {both["west"]}
        assert (await head.get(f"/v1/cases/{both['east']}")).status_code == 404
        foreign = await head.post(f"/v1/cases/{both['east']}/moves", json={"move": "acknowledge"}, headers=seen)
        unknown = await head.post("/v1/cases/20200101-0000001/moves", json={"move": "acknowledge"}, headers=seen)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json()["code"] == unknown.json()["code"]
        refused = await head.post(f"/v1/cases/{both['west']}/moves", json={"move": "urge"}, headers=seen)
        assert (refused.status_code, refused.json()["code"]) == (403, "access.move_not_yours")
        assert "shift_leader" in refused.json()["detail"]
        assert "urge" not in (await head.get(f"/v1/cases/{both['west']}")).json()["moves"]
        done = await head.post(f"/v1/cases/{both['west']}/moves", json={"move": "acknowledge"}, headers=seen)
        assert done.status_code == 200, done.text
        assert done.json()["events"][-1]["actor"] == "Head"
        # Head in one half, dispatcher in the other: each role holds in its own half only.
        wrong_half = await two.post(f"/v1/cases/{both['east']}/moves", json={"move": "acknowledge"}, headers=seen)
        assert wrong_half.status_code == 403
        bulk = {"move": "urge", "cases": [{"case": both["west"], "version": 2}, {"case": both["east"], "version": 1}]}
        results = (await two.post("/v1/cases/moves:bulk", json=bulk)).json()["results"]
        assert [result["status"] for result in results] == [403, 200]


async def test_a_planners_area_is_counted_and_not_looked_at(client: Client, database: str, engine: AsyncEngine) -> None:
    """Roles do not lend each other their areas: who reads cases in the east does not read those planned in the west."""
    at = {"W": INSIDE, "E": IN_EAST}
    refs: dict[str, set[str]] = {"W": set(), "E": set()}
    for half, (lon, lat) in at.items():
        for number in range(7):
            made = await client.post("/v1/reports", json=report(ticket=f"{half}{number}", lon=lon, lat=lat))
            refs[half].add(made.json()["case"])
    planner, dispatcher = NewGrant(role=Role.PLANNER, cell=WEST), NewGrant(role=Role.DISPATCHER, cell=EAST)
    await make_person(engine, "plan", planner)
    await make_person(engine, "mixed", planner, dispatcher)
    await make_person(engine, "inside", NewGrant(role=Role.PLANNER, cell=EAST), dispatcher)
    app = create_app(Settings(database_url=database))
    days = "from=2020-01-01&to=2029-01-01"

    async def counted(who: Client) -> int:
        found = (await who.get(f"/v1/rates?by=level_3&rate=solved&{days}")).json()
        return int(found["total"]["rates"]["solved"]["denominator"])

    async with (
        app.router.lifespan_context(app),
        signed_in(app, "plan") as plan,
        signed_in(app, "mixed") as mixed,
        signed_in(app, "inside") as inside,
    ):
        for who in (mixed, inside):
            assert refs_of((await who.get("/v1/cases?limit=100")).json()) == refs["E"]
        assert (await plan.get("/v1/cases")).status_code == 403
        hidden, shown = min(refs["W"]), min(refs["E"])
        for path in (f"/v1/cases/{hidden}", f"/v1/cases/{hidden}/deadline", f"/collections/cases/items/{hidden}"):
            assert (await mixed.get(path)).status_code == 404, path
        for path in ("/v1/cases.csv", f"/maps/cases?{days}", f"/maps/rates/cases?rate=solved&{days}"):
            answer = await mixed.get(path)
            assert answer.status_code == 200, answer.text
            assert shown in answer.text, path
            assert not any(ref in answer.text for ref in refs["W"]), path
        assert [await counted(who) for who in (plan, mixed, inside)] == [5, 15, 7]
        page = await mixed.get(f"/maps/cells?{days}")
        assert page.status_code == 200
        assert "/maps/cases" not in page.text


@asynccontextmanager
async def _serving(database: str) -> AsyncIterator[str]:
    server = Server(create_app(Settings(database_url=database)), host="127.0.0.1", port=0)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def _follow(client: Client, heard: list[Any], began: asyncio.Event) -> float:
    """Collect what a stream says until it ends; return when that was."""
    async with client.stream("GET", "/v1/stream") as stream:
        assert stream.status_code == 200, await stream.aread()
        began.set()
        async for line in stream.aiter_lines():
            if line.startswith("data: "):
                heard.append(json.loads(line[6:])["ticket"])  # noqa: PERF401 - the caller looks on while it grows
    return asyncio.get_running_loop().time()


_TAKEN = {
    "session": "UPDATE api.session SET ended_at = now()",
    "role": "UPDATE api.role_grant SET ended_at = now()",
    "account": "UPDATE api.account SET disabled_at = now()",
    "expiry": "UPDATE api.session SET expires_at = now()",
}


@pytest.mark.parametrize("taken", [*_TAKEN, "key"])
async def test_a_stream_shows_its_area_and_ends_within_a_second_when_the_right_does(
    district: District, database: str, engine: AsyncEngine, make_key: Any, taken: str
) -> None:
    await make_person(engine, "wang", NewGrant(role=Role.DISPATCHER, cell=WEST))
    reporter = {"Authorization": f"Bearer {await make_key(scopes=ALL_SCOPES)}"}
    async with write_unit(engine) as unit:
        key = await issue_key(
            unit, NewKey(channel="watcher", scopes=(Scope.CASES_READ, Scope.CASES_READ_ALL), cells=(WEST,)), by="test"
        )
    async with _serving(database) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        if taken == "key":
            client.headers["Authorization"] = f"Bearer {key}"
        else:
            signed = await client.post("/sign-in", data={"login": "wang", "password": "tram bell orchard nine"})
            assert signed.status_code == 303
        heard: list[Any] = []
        began = asyncio.Event()
        following = asyncio.create_task(_follow(client, heard, began))
        await asyncio.wait_for(began.wait(), 10)
        for number in range(3):
            for name, (lon, lat) in (("W", INSIDE), ("E", IN_EAST)):
                body = report(ticket=f"{name}{number}", lon=lon, lat=lat)
                assert (await client.post("/v1/reports", json=body, headers=reporter)).status_code == 201
        for _ in range(100):
            if len(heard) >= 3:
                break
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        assert heard == ["W0", "W1", "W2"]
        async with engine.begin() as connection:
            await connection.execute(
                text(_TAKEN.get(taken, "UPDATE api.api_key SET revoked_at = now() WHERE channel_code = 'watcher'"))
            )
        cut = asyncio.get_running_loop().time()
        ended = await asyncio.wait_for(following, 10)
        # The promise is one second; the rest is for a machine that runs other tests beside this one.
        assert ended - cut < 5
        await client.post("/v1/reports", json=report(ticket="W9", lon=INSIDE[0], lat=INSIDE[1]), headers=reporter)
        assert "W9" not in heard


async def test_a_webhook_tells_only_of_its_makers_area(
    client: Client, engine: AsyncEngine, both: dict[str, str]
) -> None:
    async with write_unit(engine) as unit:
        scopes = (Scope.CASES_READ, Scope.CASES_READ_ALL, Scope.WEBHOOKS_MANAGE)
        key = await issue_key(unit, NewKey(channel="west-office", scopes=scopes, cells=(WEST,)), by="test")
        other = await issue_key(unit, NewKey(channel="east-office", scopes=scopes, cells=(EAST,)), by="test")
    mine, theirs = ({"Authorization": f"Bearer {text_}"} for text_ in (key, other))
    made = await client.post("/v1/webhooks", json={"url": "https://office.example/hook", "after": "0-0"}, headers=mine)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert (await client.get(f"/v1/webhooks/{number}", headers=theirs)).status_code == 404
    assert (await client.get("/v1/webhooks", headers=theirs)).json()["webhooks"] == []
    assert (await client.get(f"/v1/webhooks/{number}", headers=mine)).status_code == 200
    told = await _what_it_would_send(engine, number)
    assert told == {both["west"]}


async def _what_it_would_send(engine: AsyncEngine, number: int) -> set[str]:
    from api.webhooks.duty import webhook_lanes

    lane = webhook_lanes(engine, Settings())[0]
    turn = await lane._begin()
    assert turn is not None
    assert turn.id == number
    page = await lane._read(turn)
    await lane._end(turn, None)
    return {event.case.ref for event in page.events}


async def test_the_feed_moves_on_past_what_is_not_in_sight(client: Client, engine: AsyncEngine) -> None:
    for number in range(30):
        lon, lat = INSIDE if number % 10 == 9 else IN_EAST
        await client.post("/v1/reports", json=report(ticket=f"T{number}", lon=lon, lat=lat))
    async with write_unit(engine) as unit:
        scopes = (Scope.CASES_READ, Scope.CASES_READ_ALL)
        key = await issue_key(unit, NewKey(channel="west-office", scopes=scopes, cells=(WEST,)), by="test")
    headers, after, seen = {"Authorization": f"Bearer {key}"}, "0-0", []
    for _ in range(20):
        page = (await client.get("/v1/events", params={"after": after, "limit": 1}, headers=headers)).json()
        if page["next"] == after:
            break
        after = page["next"]
        seen += [event["data"]["ticket"] for event in page["events"]]
    assert seen == ["T9", "T19", "T29"]
    end = (await client.get("/v1/events", params={"after": "now"})).json()["next"]
    assert after <= end


async def test_a_key_is_rotated_without_a_gap(client: Client, engine: AsyncEngine) -> None:
    made = await client.post("/v1/keys", json={"channel": "city-app", "label": "main", "rate": "5/minute"})
    assert made.status_code == 201, made.text
    first = made.json()
    assert (await client.get("/v1/keys")).text.count(first["key"]) == 0
    second = await client.post(f"/v1/keys/{first['prefix']}:rotate", json={"old_valid_s": 3600})
    assert second.status_code == 201, second.text
    third = await client.post(f"/v1/keys/{first['prefix']}:rotate", json={})
    assert (third.status_code, third.json()["code"]) == (409, "access.too_many_keys")
    for key in (first["key"], second.json()["key"]):
        answer = await client.get("/v1/cases", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 200
        assert answer.headers["ratelimit-limit"] == "5"
    answers = [
        await client.get("/v1/cases", headers={"Authorization": f"Bearer {second.json()['key']}"}) for _ in range(5)
    ]
    late = answers[-1]
    assert (late.status_code, late.json()["code"]) == (429, "access.too_many")
    assert int(late.headers["retry-after"]) >= 1
    assert late.headers["ratelimit-remaining"] == "0"
    assert (await client.get("/v1/cases")).status_code == 200, "another channel has its own count"
    assert (await client.delete(f"/v1/keys/{first['prefix']}")).status_code == 204
    gone = await client.get("/v1/cases", headers={"Authorization": f"Bearer {first['key']}"})
    assert gone.status_code == 401
    states = {key["prefix"]: key["status"] for key in (await client.get("/v1/keys?channel=city-app")).json()["keys"]}
    assert states == {first["prefix"]: "revoked", second.json()["prefix"]: "live"}


def test_a_case_in_no_cell_belongs_to_nobodys_area() -> None:
    nowhere = Belonging(cells=(), departments=(), channel="hotline")
    assert not Sight(areas=(Area(cell=WEST), Area(department="water"))).covers(nowhere)
    assert Sight(areas=(Area(),)).covers(nowhere)
