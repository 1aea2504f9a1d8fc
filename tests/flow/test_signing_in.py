"""Signing in and out over HTTP: passwords, delays, the second factor, sessions, where one is led."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pyotp
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.app import create_app
from api.settings import Settings
from tests.builders import District
from tests.signing import PASSWORD, browser, make_person, sign_in, signed_in

DESK = NewGrant(role=Role.DISPATCHER)
ADMINISTRATOR = NewGrant(role=Role.ADMINISTRATOR)


@pytest.fixture
async def app(district: District, database: str) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(database_url=database))
    async with app.router.lifespan_context(app):
        yield app


async def _ran(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(statement))


async def test_a_session_is_a_row_and_its_cookie_is_kept_as_a_digest(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    async with browser(app) as client:
        answer = await sign_in(client, "Wang", next="/maps/heat?level=2")
        assert (answer.status_code, answer.headers["location"]) == (303, "/maps/heat?level=2")
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        token = client.cookies["gridward_session"]
        async with engine.connect() as connection:
            kept = (
                await connection.execute(text("SELECT s::text || a::text FROM api.session s, api.account a"))
            ).scalar_one()
        assert token not in kept
        assert PASSWORD not in kept
        assert "$argon2id$" in kept
        assert (await client.get("/v1/inboxes")).status_code == 200
        assert (await client.post("/sign-out")).status_code == 303
        client.cookies.set("gridward_session", token)
        await _ran(engine, "INSERT INTO api.role_grant (account_id, role) SELECT id, 'administrator' FROM api.account")
        await asyncio.sleep(1.1)
        assert (await client.get("/v1/inboxes")).status_code == 401


@pytest.mark.parametrize(
    ("asked", "led"),
    [
        ("/grid", "/grid"),
        ("//evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/sign-in?next=/", "/"),
        ("", "/"),
    ],
)
async def test_after_signing_in_nobody_is_led_to_another_host(
    app: FastAPI, engine: AsyncEngine, asked: str, led: str
) -> None:
    await make_person(engine, "wang", DESK)
    async with browser(app) as client:
        assert (await sign_in(client, "wang", next=asked)).headers["location"] == led


async def test_https_gets_the_host_cookie_and_plain_http_from_afar_gets_none(
    district: District, database: str, engine: AsyncEngine
) -> None:
    await make_person(engine, "wang", DESK)
    app = create_app(Settings(database_url=database))
    async with app.router.lifespan_context(app):
        async with browser(app, peer="192.0.2.7", base_url="https://grid.example") as client:
            cookie = (await sign_in(client, "wang")).headers["set-cookie"]
            assert cookie.startswith("__Host-gridward=")
            assert {"Secure", "Path=/"} <= set(cookie.split("; "))
            assert "Domain" not in cookie
            assert (await client.get("/v1/inboxes")).status_code == 200
        async with browser(app, peer="192.0.2.7", base_url="http://grid.example") as client:
            answer = await sign_in(client, "wang")
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


async def test_the_wrong_password_and_the_unknown_name_look_the_same(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    async with browser(app) as client:
        wrong = await sign_in(client, "wang", "not the password")
        unknown = await sign_in(client, "nobody", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("wang", "nobody") == unknown.text


async def test_guessing_gets_slower_and_ends_by_itself(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    async with browser(app) as client, browser(app, peer="127.0.0.2") as elsewhere:
        # At once: attempts are counted before they are looked at, so a hundred at once are a hundred.
        answers = await asyncio.gather(*(sign_in(client, "wang", f"guess {n}") for n in range(12)))
        assert {answer.status_code for answer in answers} == {401, 429}
        for number in range(8):
            await _ran(engine, "UPDATE api.sign_in_failure SET next_at = now()")
            await sign_in(client, "wang", f"guess {number}")
        late = await sign_in(client, "wang", "one more guess")
        assert late.status_code == 429
        assert 60 <= int(late.headers["retry-after"]) <= 300
        assert (await sign_in(client, "wang")).status_code == 429, "also the right password has to wait"
        # Whoever guesses from one address does not shut out the owner at another one.
        assert (await sign_in(elsewhere, "wang")).status_code == 303
        await _ran(engine, "UPDATE api.sign_in_failure SET next_at = now() - interval '1 second'")
        assert (await sign_in(client, "wang")).status_code == 303


async def test_the_second_factor(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    async with signed_in(app, "wang") as client:
        page = (await client.post("/account/totp/start")).text
        assert "data:image/svg+xml;base64," in page
        secret = page.split('<code id="totp-secret">')[1].split("<")[0]
        assert (await client.post("/account/totp/confirm", data={"code": "000000"})).status_code == 401
        now = int(time.time())
        page = (await client.post("/account/totp/confirm", data={"code": pyotp.TOTP(secret).at(now - 30)})).text
        codes = [part.split("<")[0] for part in page.split('id="codes">')[1].split("</ul>")[0].split("<li>")[1:]]
    assert len(set(codes)) == 10
    await _ran(engine, "INSERT INTO api.role_grant (account_id, role) SELECT id, 'administrator' FROM api.account")
    await asyncio.sleep(1.1)
    async with browser(app) as client:
        asked = await sign_in(client, "wang", next="/grid")
        assert asked.headers["location"] == "/sign-in/code?next=%2Fgrid"
        assert (await client.get("/v1/inboxes")).status_code == 401, "half a session opens nothing"
        used = pyotp.TOTP(secret).at(now - 30)
        assert (await client.post("/sign-in/code", data={"code": used})).status_code == 401, "a code counts once"
        code = pyotp.TOTP(secret).at(now)
        both = await asyncio.gather(*(client.post("/sign-in/code", data={"code": code, "next": "/grid"}) for _ in "ab"))
        assert sorted(answer.status_code for answer in both) == [303, 401]
        assert (await client.get("/v1/inboxes")).status_code in {200, 401}
    async with browser(app) as client:
        await sign_in(client, "wang")
        assert (await client.post("/sign-in/code", data={"code": codes[3].upper()})).status_code == 303
        assert (await client.get("/v1/inboxes")).status_code == 200
    async with browser(app) as client:
        await sign_in(client, "wang")
        assert (await client.post("/sign-in/code", data={"code": codes[3]})).status_code == 401


async def test_a_new_password_ends_all_other_sessions(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    await make_person(engine, "root", ADMINISTRATOR)
    async with signed_in(app, "wang") as one, signed_in(app, "wang") as other:
        form = {"old": "no", "new": "quiet lamp river", "again": "quiet lamp river"}
        assert (await one.post("/account/password", data=form)).status_code == 403
        form["old"] = PASSWORD
        assert (await one.post("/account/password", data=form | {"new": "short", "again": "short"})).status_code == 400
        assert (await one.post("/account/password", data=form | {"again": "other"})).status_code == 400
        assert (await one.post("/account/password", data=form)).status_code == 200
        assert (await one.get("/v1/inboxes")).status_code == 200
        await asyncio.sleep(0.6)
        assert (await other.get("/v1/inboxes")).status_code == 401
    async with signed_in(app, "wang", "quiet lamp river") as one, signed_in(app, "wang", "quiet lamp river") as other:
        assert (await one.post("/account/sessions/end", data={"session": "all"})).status_code == 303
        await asyncio.sleep(0.6)
        assert {(await client.get("/v1/inboxes")).status_code for client in (one, other)} == {401}


async def test_devices_are_named_as_people_know_them(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    phone = "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile MicroMessenger/8.0.54"
    async with signed_in(app, "wang") as one, browser(app) as other:
        other.headers["User-Agent"] = phone
        assert (await sign_in(other, "wang")).status_code == 303
        page = (await one.get("/account?lang=zh-CN")).text
        assert "微信 · Android" in page
        assert "Mozilla" not in page
        assert f"python-httpx/{httpx.__version__}<small" in page, "a program's name is its first word"
        assert "WeChat · Android" in (await one.get("/account?lang=en")).text


async def test_other_sites_forms_change_nothing(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    async with signed_in(app, "wang") as client:
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            answer = await client.post("/v1/cases/x/moves", json={"move": "close"}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "access.foreign_origin")
            assert (await client.post("/sign-out", headers=headers)).status_code == 403
        assert (await client.get("/v1/inboxes")).status_code == 200


async def test_pages_lead_to_the_door_and_programs_get_a_problem(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "root", ADMINISTRATOR)
    await make_person(engine, "plan", NewGrant(role=Role.PLANNER))
    async with browser(app, accept="text/html") as client:
        page = await client.get("/maps/heat?level=2")
        assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2Fmaps%2Fheat%3Flevel%3D2")
        answer = await client.get("/v1/cases")
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert "Bearer" in answer.headers["www-authenticate"]
    async with signed_in(app, "plan") as client:
        client.headers["Accept"] = "text/html"
        page = await client.get("/")
        assert (page.status_code, page.headers["location"]) == (303, "/maps/heat")
        page = await client.get("/admin/people")
        assert page.status_code == 403
        assert "not for your role" in page.text
        assert (await client.get("/sign-in")).headers["location"] == "/maps/heat"


async def test_this_machine_is_open_until_the_first_administrator(app: FastAPI, engine: AsyncEngine) -> None:
    async with browser(app) as client:
        assert (await client.get("/v1/cases")).status_code == 200
        await make_person(engine, "root", ADMINISTRATOR)
        await asyncio.sleep(1.1)
        assert (await client.get("/v1/cases")).status_code == 401


async def test_a_made_password_must_be_changed_first(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    await _ran(engine, "UPDATE api.account SET must_change = true")
    async with browser(app) as client:
        assert (await sign_in(client, "wang")).headers["location"] == "/account"
        answer = await client.get("/v1/inboxes")
        assert (answer.status_code, answer.json()["code"]) == (403, "access.password_change_needed")
        form = {"old": PASSWORD, "new": "quiet lamp river", "again": "quiet lamp river"}
        assert (await client.post("/account/password", data=form)).headers["location"] == "/"
        assert (await client.get("/v1/inboxes")).status_code == 200


async def test_the_demo_offers_roles_on_this_machine_only(demo_database: str) -> None:
    app = create_app(Settings(database_url=demo_database))
    async with app.router.lifespan_context(app):
        async with browser(app) as client:
            page = (await client.get("/sign-in")).text
            ids = [part.split('"')[0] for part in page.split('name="account" value="')[1:]]
            assert len(ids) == 12
            assert (await client.post("/sign-in/demo", data={"account": ids[0]})).status_code == 303
            assert (await client.get("/account")).status_code == 200
        async with browser(app, peer="192.0.2.7", base_url="https://grid.example") as client:
            assert 'name="account"' not in (await client.get("/sign-in")).text
            refused = await client.post("/sign-in/demo", data={"account": ids[0]})
            assert refused.status_code == 403
            assert "set-cookie" not in refused.headers


async def test_hostile_forms_are_refused_in_words(app: FastAPI, engine: AsyncEngine) -> None:
    await make_person(engine, "wang", DESK)
    async with browser(app) as client:
        for form in (
            {"login": "\x00", "password": "\x00"},
            {"login": "' OR 1=1 --", "password": "x" * 290},
            {"login": "王" * 80, "password": "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace")},
            {"login": "wang"},
            {},
        ):
            answer: httpx.Response = await client.post("/sign-in", data=form)
            assert answer.status_code in {400, 401, 422, 429}, form
        many: dict[str, Any] = {"login": "x" * 5000}
        assert (await client.post("/sign-in", data=many)).status_code == 422
        client.cookies.set("gridward_session", "x" * 4000)
        assert (await client.get("/v1/cases")).status_code == 200, "a cookie of nobody is no cookie"
