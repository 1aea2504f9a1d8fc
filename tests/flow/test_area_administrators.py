"""An administrator of an area: sees and changes what lies there, gives nothing beyond it, reads the whole's rules."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.people import NewGrant, add_grant, add_person
from api.accounts.roles import Role
from api.accounts.sight import Area, Sight
from api.app import create_app
from api.settings import Settings
from dispatch.departments import add_department
from geo.storage.engine import create_engine
from geo.storage.uow import AREA_ROLE, Viewer, write_unit
from tests.admin_forms import open_page, send
from tests.builders import EAST, JURISDICTION, WEST, District, person_id, report
from tests.flow.webhook_receiver import LOOPBACK
from tests.signing import PASSWORD, browser, make_person, signed_in

IN_WEST, IN_EAST = f"{WEST}001", f"{EAST}001"


@pytest.fixture
async def app(district: District, database: str, engine: AsyncEngine) -> AsyncIterator[FastAPI]:
    async with write_unit(engine) as unit:
        await add_department(unit, code="sanitation", name_zh="环卫", name_en="Sanitation")
    await make_person(engine, "chen", NewGrant(role=Role.ADMINISTRATOR))
    await make_person(engine, "west", NewGrant(role=Role.ADMINISTRATOR, cell=WEST))
    for login, grants in (
        ("leader-east", [NewGrant(role=Role.LEADER, cell=EAST)]),
        ("worker-west", [NewGrant(role=Role.GRID_WORKER, cell=IN_WEST)]),
        ("both", [NewGrant(role=Role.DISPATCHER, cell=WEST), NewGrant(role=Role.DISPATCHER, cell=EAST)]),
    ):
        async with write_unit(engine) as unit:
            account = await add_person(unit, jurisdiction=JURISDICTION, login=login, name=login.title(), password=None)
            for grant in grants:
                await add_grant(unit, account, grant, jurisdiction=JURISDICTION, by="test")
    app = create_app(Settings(database_url=database, webhook_networks=LOOPBACK))
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def desks(app: FastAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Give clients of the administrators of everything and of the west."""
    async with AsyncExitStack() as stack:
        yield {login: await stack.enter_async_context(signed_in(app, login)) for login in ("chen", "west")}


async def _names(client: httpx.AsyncClient) -> set[str]:
    return {one["name"] for one in (await client.get("/v1/people?limit=1000")).json()["people"]}


def _code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "") if answer.content else ""


async def _people_posts_and_leave(desks: dict[str, httpx.AsyncClient]) -> None:
    chen, west = desks["chen"], desks["west"]
    everybody, ours = await _names(chen), await _names(west)
    assert ours < everybody
    assert {"A-" + IN_WEST, "Worker-West", "Both", "West"} <= ours
    assert not {name for name in ours if EAST in name or name in {"Chen", "Leader-East"}}
    assert f"A-{WEST[:9]}" not in ours, "the head of the cell above is not of this area"
    posts = (await west.get("/v1/posts?limit=1000")).json()["posts"]
    assert posts
    assert all(post["cell"].startswith(WEST) for post in posts)

    foreign = next(one for one in (await chen.get(f"/v1/posts?cell={IN_EAST}")).json()["posts"] if one["rank"] == "A")
    number, theirs = foreign["id"], str(person_id("A-" + IN_EAST))
    for answer in (
        await west.get(f"/v1/posts/{number}"),
        await west.patch(f"/v1/posts/{number}", json={}),
        await west.get(f"/v1/posts/{number}/shifts"),
        await west.get(f"/v1/posts/{number}/appointments"),
        await west.post(f"/v1/posts/{number}/appointments", json={"person": str(person_id("A-" + IN_WEST))}),
        await west.post(f"/v1/posts/{number}/hand-overs", json={"to_person": str(person_id("A-" + IN_WEST))}),
        await west.get(f"/v1/people/{theirs}"),
        await west.patch(f"/v1/people/{theirs}", json={"name": "?"}),
        await west.get(f"/v1/people/{theirs}/phone"),
        await west.get(f"/v1/people/{theirs}/contact"),
        await west.put(f"/v1/people/{theirs}/contact", json={"email": "x@example.org"}),
        await west.post(
            f"/v1/people/{theirs}/leave",
            json={"starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-03-02T00:00:00Z"},
        ),
    ):
        assert answer.status_code == 404, (answer.request.url, answer.text)
    made = await west.post("/v1/posts", json={"kind": "assistant", "title_zh": "协管", "cell": IN_EAST})
    assert _code(made) == (403, "access.beyond_area")
    assert made.json()["errors"][0]["pointer"] == "/cell"
    assert _code(await west.post("/v1/posts", json={"kind": "leader", "title_zh": "领导"})) == (
        403,
        "access.beyond_area",
    )

    new = await west.post("/v1/people", json={"name": "新来的", "staff_number": "W-77"})
    assert new.status_code == 201, new.text
    person = new.json()["id"]
    assert "新来的" in await _names(west)
    post = await west.post(
        "/v1/posts", json={"kind": "assistant", "title_zh": "协管", "cell": IN_WEST, "holder": person}
    )
    assert post.status_code == 201, post.text
    leave = {"starts_at": "2026-03-01T00:00:00Z", "ends_at": "2026-03-02T00:00:00Z"}
    assert (await west.post(f"/v1/people/{person}/leave", json=leave)).status_code == 201
    assert (await west.put(f"/v1/people/{person}/contact", json={"email": "n@example.org"})).status_code == 200
    shift = {"starts": "08:00", "ends": "18:00", "on_days": [0, 1], "first_day": "2026-03-01"}
    assert (await west.post(f"/v1/posts/{post.json()['id']}/shifts", json=shift)).status_code == 201
    # Whoever gives up the only post stays in sight, to be given another.
    assert (await west.patch(f"/v1/posts/{post.json()['id']}", json={})).status_code == 200
    assert "新来的" in await _names(west)
    # Somebody who also works in the east is seen, and left to whoever keeps both.
    both = next(one for one in (await chen.get("/v1/accounts")).json()["accounts"] if one["login"] == "both")["person"]
    assert (await west.get(f"/v1/people/{both}")).status_code == 200
    assert _code(await west.patch(f"/v1/people/{both}", json={"phone": "13800001111"})) == (
        403,
        "access.held_elsewhere",
    )
    assert _code(await west.post(f"/v1/people/{both}/leave", json=leave)) == (403, "access.held_elsewhere")


async def _accounts_are_given_inside_only(desks: dict[str, httpx.AsyncClient]) -> None:
    chen, west = desks["chen"], desks["west"]
    accounts = {one["login"]: one for one in (await west.get("/v1/accounts")).json()["accounts"]}
    assert set(accounts) == {"west", "worker-west", "both"}
    assert accounts["both"]["is_held_elsewhere"]
    assert [grant["cell"] for grant in accounts["both"]["grants"]] == [WEST]
    for login in ("chen", "leader-east"):
        assert (await west.get(f"/v1/accounts/{login}")).status_code == 404
        assert (await west.patch(f"/v1/accounts/{login}", json={"new_password": True})).status_code == 404
        given = await west.post(f"/v1/accounts/{login}/grants", json={"role": "leader", "cell": WEST})
        assert given.status_code == 404
    taken = await west.patch("/v1/accounts/both", json={"new_password": True})
    assert _code(taken) == (403, "access.held_elsewhere")
    hers = (await chen.get("/v1/accounts/both")).json()["grants"]
    foreign = next(grant["id"] for grant in hers if grant["cell"] == EAST)
    assert (await west.delete(f"/v1/accounts/both/grants/{foreign}")).status_code == 404
    for grant in (
        {"role": "administrator"},
        {"role": "administrator", "cell": EAST},
        {"role": "administrator", "cell": WEST[:9]},
        {"role": "dispatcher", "department": "sanitation"},
    ):
        refused = await west.post("/v1/accounts/worker-west/grants", json=grant)
        assert _code(refused) == (403, "access.beyond_area"), refused.text
        made = await west.post("/v1/accounts", json={"login": "new-one", "name": "New", "grants": [grant]})
        assert (_code(made), made.json()["errors"][0]["pointer"]) == ((403, "access.beyond_area"), "/grants/0/cell")
    made = await west.post(
        "/v1/accounts", json={"login": "deputy", "grants": [{"role": "administrator", "cell": IN_WEST}]}
    )
    assert made.status_code == 201, made.text
    made = await west.post("/v1/accounts", json={"login": "bare", "password": PASSWORD})
    assert made.status_code == 201
    assert "bare" in {one["login"] for one in (await west.get("/v1/accounts")).json()["accounts"]}
    assert (await west.patch("/v1/accounts/bare", json={"disabled": True})).status_code == 200
    # The last administrator of everything is not replaced by one of an area.
    grant = (await chen.get("/v1/accounts/chen")).json()["grants"][0]["id"]
    assert _code(await chen.delete(f"/v1/accounts/chen/grants/{grant}")) == (409, "accounts.last_administrator")
    me = (await west.get("/v1/me")).json()
    assert "grid:write" not in me["scopes"]
    assert me["areas"] == [{"cell": WEST, "department": None, "channel": None}]


async def _keys_and_webhooks_stay_inside(desks: dict[str, httpx.AsyncClient], app: FastAPI) -> None:
    chen, west = desks["chen"], desks["west"]

    async def make(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
        return await client.post("/v1/keys", json={"channel": "west-app", "scopes": ["cases:read"], **body})

    whole = (await make(chen, channel="hotline")).json()
    east = (await make(chen, channel="east-app", cells=[EAST], scopes=["cases:read", "posts:write"])).json()
    assert _code(await make(west)) == (400, "access.key_without_area")
    beyond = await make(west, cells=[IN_WEST, IN_EAST])
    assert (_code(beyond), beyond.json()["errors"][0]["pointer"]) == ((403, "access.beyond_area"), "/cells/1")
    for scope in ("grid:write", "people:manage", "keys:manage", "posts:write", "audit:read", "field:tokens"):
        assert _code(await make(west, cells=[WEST], scopes=[scope])) == (403, "access.scopes_beyond_area")
    assert _code(await make(west, cells=[WEST], channel="hotline")) == (403, "access.channel_of_others")
    assert _code(await make(west, cells=[WEST], sandbox=True)) == (403, "access.whole_office_only")
    ours = await make(west, cells=[WEST], scopes=["cases:read", "webhooks:manage"])
    assert ours.status_code == 201, ours.text
    assert [key["prefix"] for key in (await west.get("/v1/keys")).json()["keys"]] == [ours.json()["prefix"]]
    for key in (whole, east):
        assert (await west.post(f"/v1/keys/{key['prefix']}:rotate", json={})).status_code == 404
        assert (await west.delete(f"/v1/keys/{key['prefix']}")).status_code == 404
    assert (await west.post(f"/v1/keys/{ours.json()['prefix']}:rotate", json={})).status_code == 201

    hook = {"url": "http://127.0.0.1:9/hook"}
    foreign = (await chen.post("/v1/webhooks", json=hook)).json()["id"]
    mine = (await west.post("/v1/webhooks", json=hook)).json()["id"]
    assert [one["id"] for one in (await west.get("/v1/webhooks")).json()["webhooks"]] == [mine]
    assert {one["id"] for one in (await chen.get("/v1/webhooks")).json()["webhooks"]} == {foreign, mine}
    assert (await west.post(f"/v1/webhooks/{foreign}:test", json={})).status_code == 404
    assert (await west.post(f"/v1/webhooks/{mine}:test", json={})).status_code == 202
    # A key that keeps posts keeps those of its own cells, too.
    async with browser(app) as outside:
        outside.headers["Authorization"] = f"Bearer {east['key']}"
        made = {"kind": "assistant", "title_zh": "协管"}
        assert _code(await outside.post("/v1/posts", json={**made, "cell": IN_WEST})) == (403, "access.beyond_area")
        assert (await outside.post("/v1/posts", json={**made, "cell": IN_EAST})).status_code == 201


async def _what_has_no_area_is_read_and_not_written(desks: dict[str, httpx.AsyncClient]) -> None:
    west = desks["west"]
    for method, path, body in (
        ("POST", "/v1/departments", {"code": "parks", "name_zh": "园林"}),
        ("PATCH", "/v1/departments/sanitation", {"name_zh": "?"}),
        ("POST", "/v1/departments/matrix", {"department": "sanitation"}),
        ("POST", "/v1/departments/matrix", {"department": "sanitation", "cell": EAST}),
        ("PUT", f"/v1/profiles/{WEST[:9]}", {}),
        ("PUT", "/v1/ledgers/x", {"name_zh": "x"}),
        ("POST", "/v1/grid/versions", {}),
    ):
        refused = await west.request(method, path, json=body)
        assert refused.status_code in (403, 422), (path, refused.text)
        assert refused.status_code == 403 or path.startswith(("/v1/grid", "/v1/profiles")), (path, refused.text)
    line = await west.post("/v1/departments/matrix", json={"department": "sanitation", "cell": IN_WEST})
    assert line.status_code == 201, line.text
    assert [one["id"] for one in (await west.get("/v1/departments/matrix")).json()["rules"]] == [line.json()["id"]]
    assert {one["code"] for one in (await west.get("/v1/departments")).json()["departments"]}

    for path in ("/admin/categories", "/admin/calendars", "/admin/ladders", "/admin/profiles", "/admin/ledgers"):
        drawn = await open_page(west, path)
        assert "This holds for the whole office" in drawn.text, path
        assert not [form for form in drawn.forms if form.method == "post"], path
        refused = await west.post(path, data={"_act": "add"}, headers={"Accept": "text/html"})
        assert refused.status_code == 403
    for path in ("people", "posts", "departments", "matrix", "accounts", "keys", "webhooks", "audit"):
        drawn = await open_page(west, f"/admin/{path}")
        assert f"Administers {WEST}" in drawn.text
        assert IN_EAST not in drawn.text, path
        assert "Leader-East" not in drawn.text, path
    answer, drawn = await send(west, "/admin/posts", "add", {"kind": "assistant", "title_zh": "协管", "cell": IN_EAST})
    assert answer.status_code == 403
    assert "outside the area" in drawn.text
    assert drawn.form("add").values["cell"] == [IN_EAST]


async def _the_trail_of_an_area(desks: dict[str, httpx.AsyncClient]) -> None:
    chen, west = desks["chen"], desks["west"]
    await west.post("/v1/people", json={"name": "某人"})
    await chen.patch("/v1/accounts/worker-west", json={"sign_out": True, "disabled": True})
    await chen.patch("/v1/accounts/leader-east", json={"disabled": True})
    found = (await west.get("/v1/audit?limit=500")).json()["records"]
    assert {record["subject"] for record in found} >= {"worker-west", "west", "people"}
    assert not {record["subject"] for record in found} & {"leader-east", "chen"}
    assert (await west.get("/v1/audit?subject=leader-east")).json()["records"] == []
    assert len((await chen.get("/v1/audit?subject=leader-east")).json()["records"]) >= 1


async def test_people_accounts_and_trail(desks: dict[str, httpx.AsyncClient]) -> None:
    await _people_posts_and_leave(desks)
    await _accounts_are_given_inside_only(desks)
    await _the_trail_of_an_area(desks)


async def test_keys_webhooks_and_what_has_no_area(desks: dict[str, httpx.AsyncClient], app: FastAPI) -> None:
    await _keys_and_webhooks_stay_inside(desks, app)
    await _what_has_no_area_is_read_and_not_written(desks)


async def test_a_department_is_an_area_and_the_database_holds_it(
    app: FastAPI, database: str, engine: AsyncEngine
) -> None:
    await make_person(engine, "bins", NewGrant(role=Role.ADMINISTRATOR, department="sanitation"))
    async with signed_in(app, "bins") as bins:
        assert [one["code"] for one in (await bins.get("/v1/departments")).json()["departments"]] == ["sanitation"]
        renamed = await bins.patch("/v1/departments/sanitation", json={"name_zh": "环卫所"})
        assert renamed.status_code == 200, renamed.text
        post = {"kind": "department_handler", "title_zh": "处置", "department": "sanitation"}
        assert (await bins.post("/v1/posts", json=post)).status_code == 201
        in_cell = await bins.post(
            "/v1/posts", json={"kind": "grid_head", "title_zh": "长", "cell": IN_WEST, "rank": "B"}
        )
        assert _code(in_cell) == (403, "access.beyond_area")
        assert await _names(bins) == {"Bins"}
    # Behind every check of ours stand the policies: whoever writes past them is refused by the database.
    west = Sight(areas=(Area(cell=WEST),))
    area = create_engine(database, role=AREA_ROLE, name="test")
    writes = (
        f"INSERT INTO dispatch.person (id, jurisdiction, name) VALUES (gen_random_uuid(), '{JURISDICTION}', 'x')",
        "INSERT INTO dispatch.post (jurisdiction, kind, cell_code, title_zh, title_en, valid_from)"
        f" VALUES ('{JURISDICTION}', 'assistant', '{EAST}', 'x', 'x', now())",
        "INSERT INTO dispatch.routing (jurisdiction, department_code, mode, valid_from)"
        f" VALUES ('{JURISDICTION}', 'sanitation', 'fallback', now())",
        "INSERT INTO dispatch.leave (person_id, starts_at, ends_at)"
        f" VALUES ('{person_id('A-' + IN_EAST)}', now(), 'infinity')",
    )
    silent = (
        "UPDATE dispatch.post SET title_zh = 'x' WHERE cell_code = %s",
        "DELETE FROM dispatch.appointment AS a USING dispatch.post AS p WHERE p.id = a.post_id AND p.cell_code = %s",
    )
    eyes = west.keeping(west.viewer(), sees_all=True)
    try:
        for viewer in (eyes, west.viewer(), Viewer(role=AREA_ROLE)):
            for statement in writes:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    async with write_unit(area, viewer=viewer) as unit:
                        await (await unit.driver()).execute(statement.encode())
            for statement in silent:
                async with write_unit(area, viewer=viewer) as unit:
                    done = await (await unit.driver()).execute(statement.encode(), (IN_EAST,))
                    assert done.rowcount == 0
        async with write_unit(area, viewer=eyes) as unit:
            done = await (await unit.driver()).execute(silent[0].encode(), (IN_WEST,))
            assert done.rowcount == 2
    finally:
        await area.dispose()
    await _an_administrator_who_also_works_elsewhere(app, engine)


async def _an_administrator_who_also_works_elsewhere(app: FastAPI, engine: AsyncEngine) -> None:
    """Roles add up, each in its own area: a dispatcher of everything looks at all posts and keeps those of the west."""
    await make_person(engine, "mixed", NewGrant(role=Role.ADMINISTRATOR, cell=WEST), NewGrant(role=Role.DISPATCHER))
    async with signed_in(app, "mixed") as mixed:
        assert "A-" + IN_EAST in await _names(mixed)
        foreign = UUID(str(person_id("A-" + IN_EAST)))
        assert (await mixed.patch(f"/v1/people/{foreign}", json={"name": "x"})).status_code == 404
        refused = await mixed.post("/v1/posts", json={"kind": "assistant", "title_zh": "协管", "cell": EAST})
        assert _code(refused) == (403, "access.beyond_area")
        assert _code(await mixed.put("/v1/ladders/1", json={})) != (200, "")
        assert _code(await mixed.post("/v1/departments", json={"code": "x", "name_zh": "x"})) == (
            403,
            "access.whole_office_only",
        )
        assert (await mixed.post("/v1/reports", json=report())).status_code == 403
