"""Administration pages of limits, calendars, ladders, office rules and accounts, filled in over HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.app import create_app
from api.settings import Settings
from tests.admin_forms import open_page, send
from tests.builders import L1, WEST, District
from tests.signing import browser, make_person, sign_in, signed_in

HOSTILE = "</script><script>alert(1)</script>`${1}`\\\u2028\u202e\"'<img src=x onerror=alert(1)>"
PAGES = ("accounts", "categories", "calendars", "ladders", "profiles", "start-rules", "repeat-rules", "ledgers")


@pytest.fixture
async def app(district: District, database: str, engine: AsyncEngine) -> AsyncIterator[FastAPI]:
    await make_person(engine, "chen", NewGrant(role=Role.ADMINISTRATOR))
    await make_person(engine, "wang", NewGrant(role=Role.SHIFT_LEADER))
    app = create_app(Settings(database_url=database))
    async with app.router.lifespan_context(app):
        yield app


async def test_pages_open_for_administrators_alone(app: FastAPI) -> None:
    async with signed_in(app, "wang") as client:
        for page in PAGES:
            await open_page(client, f"/admin/{page}", status=403)
            assert (await client.post(f"/admin/{page}", data={"_act": "add"})).status_code == 403
    async with signed_in(app, "chen") as client:
        for page in PAGES:
            drawn = await open_page(client, f"/admin/{page}?lang=zh-CN")
            assert f"/admin/{page}" in drawn.links
        for page in (
            "accounts/none",
            "categories/X9",
            "categories/X9/1",
            "calendars/99999",
            "calendars/x",
            "ladders/9999",
        ):
            await open_page(client, f"/admin/{page}", status=404)
        for page in ("profiles/410102999", "repeat-rules/E0110", "ledgers/none", "accounts/%2e%2e"):
            await open_page(client, f"/admin/{page}", status=404)


async def test_limits_by_season_and_phase(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        classes = (await client.get("/v1/categories")).json()["categories"]
        code = next(one["code"] for one in classes if one["conditions"])
        number = next(one for one in classes if one["code"] == code)["conditions"][0]["number"]
        page = f"/admin/categories/{code}/{number}"
        assert page in (await open_page(client, f"/admin/categories/{code}?words={code}")).links
        one, other = await open_page(client, page), await open_page(client, page)
        season = {"seasons/1/name": HOSTILE[:80], "seasons/1/first": "03-01", "seasons/1/last": "13-40"}
        typed = {"limit/value": "2", "limit/unit": "natural_day", **season, "seasons/1/limit/value": "many"}
        answer, drawn = await send(client, page, "limits", typed, on=one)
        assert answer.status_code == 422
        # The only row typed is the second on the page and the first of the body: its fault comes back to the second.
        assert re.search(r'id="limits-seasons-1-limit-value"[^>]*aria-invalid', answer.text)
        assert drawn.form("limits").values["seasons/1/name"] == [HOSTILE[:80]]
        phase = {"phases/0/name_zh": HOSTILE[:70], "phases/0/limit/value": "4", "phases/0/limit/unit": "urgent_hour"}
        typed |= {"seasons/1/last": "05-31", "seasons/1/limit/value": "15", **phase}
        answer, _ = await send(client, page, "limits", typed, on=drawn)
        assert answer.status_code == 303, answer.text[-3000:]
        kept = (await client.get(f"/v1/categories/{code}/conditions/{number}/limits")).json()
        assert (kept["limit"]["value"], kept["limit"]["unit"]) == ("2", "natural_day")
        assert [(each["name"], each["last"]) for each in kept["seasons"]] == [(HOSTILE[:80], "05-31")]
        assert kept["phases"][0]["name_zh"] == HOSTILE[:70]

        answer, drawn = await send(client, page, "limits", {"limit/value": "9"}, on=other)
        assert answer.status_code == 409
        assert "Now: 2 Limit" in drawn.text or "Now: 2" in drawn.text
        assert drawn.form("limits").values["limit/value"] == ["9"]
        gone = {"seasons/0/gone": "true", "phases/0/gone": "true"}
        answer, _ = await send(client, page, "limits", gone)
        assert answer.status_code == 303
        kept = (await client.get(f"/v1/categories/{code}/conditions/{number}/limits")).json()
        assert (kept["seasons"], kept["phases"]) == ([], [])


async def test_a_year_is_entered_and_changed_by_one_at_a_time(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        page = "/admin/calendars/2027"
        one, other = await open_page(client, page), await open_page(client, page)
        days = {"days/0/date": "2027-01-01", "days/0/name": "new_years_day", "days/1/date": "2027-01-02"}
        answer, drawn = await send(client, page, "days", days | {"days/2/date": "2031-01-01", "published": "true"})
        assert answer.status_code in {400, 422}
        assert drawn.form("days").values["days/1/date"] == ["2027-01-02"]
        make_up = {"days/2/date": "2027-01-03", "days/2/kind": "workday", "days/2/name": HOSTILE[:80]}
        answer, _ = await send(client, page, "days", days | make_up | {"published": "true", "note": HOSTILE}, on=one)
        assert answer.status_code == 303
        drawn = await open_page(client, answer.headers["location"])
        assert "0 provisional deadlines were counted again" in drawn.text
        assert "Version 1" in drawn.text
        answer, drawn = await send(client, page, "days", {"days/0/date": "2027-05-01"}, on=other)
        assert (answer.status_code, "Somebody else has changed this" in drawn.text) == (409, True)
        assert "Now: 2027-01-01" in drawn.text
        file = {"file": ("2027.csv", b"date,kind,name\r\n2027-01-01,holiday,\r\nrubbish,holiday,\r\n")}
        answer, drawn = await send(client, page, "upload", files=file)
        assert 400 <= answer.status_code < 500
        assert "rubbish" in drawn.text
        assert (await send(client, page, "upload"))[0].status_code == 422
        file = {"file": ("2027.csv", b"date,kind,name\r\n2027-01-01,holiday,\r\n2027-10-01,holiday,national_day\r\n")}
        assert (await send(client, page, "upload", files=file))[0].status_code == 303
        assert "2027-01-03" in (await open_page(client, f"{page}?revision=1")).text

        answer, drawn = await send(client, "/admin/calendars", "hours", {"hours/1/starts": "11:00"})
        assert answer.status_code == 400
        answer, _ = await send(
            client, "/admin/calendars", "hours", {"hours/1/starts": "14:30", "hours/1/ends": "18:30"}
        )
        assert answer.status_code == 303
        assert "14:30–18:30" in (await open_page(client, "/admin/calendars")).text


async def test_a_ladder_changes_by_a_new_version(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        ladders = (await client.get("/v1/ladders")).json()["ladders"]
        page = f"/admin/ladders/{ladders[0]['id']}"
        category = (await client.get("/v1/categories")).json()["categories"][0]["code"]
        typed = {
            "category": category,
            "effective_from": "2030-01-01T00:00",
            "note": HOSTILE,
            "rungs/0/name_zh": HOSTILE[:90],
        }
        answer, drawn = await send(client, page, "version", typed | {"rungs/0/code": "Not A Code"})
        assert answer.status_code == 422
        assert re.search(r'id="version-rungs-0-code"[^>]*aria-invalid', answer.text)
        answer, _ = await send(client, page, "version", typed | {"rungs/1/gone": "true"})
        assert answer.status_code == 303, drawn.text[-2000:]
        made = answer.headers["location"].partition("?")[0]
        kept = (await client.get(f"/v1/ladders/{made.rpartition('/')[2]}")).json()
        assert (kept["category"], kept["status"]) == (category, "planned")
        assert [rung["code"] for rung in kept["rungs"]] == [
            rung["code"] for place, rung in enumerate(ladders[0]["rungs"]) if place != 1
        ]
        assert (await send(client, made, "withdraw"))[0].status_code == 303
        await open_page(client, made, status=404)


async def test_office_rules_round_trip(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        answer, drawn = await send(client, "/admin/profiles", "add", {"subdistrict": WEST, "accept_minutes": "soon"})
        assert (answer.status_code, drawn.form("add").values["accept_minutes"]) == (422, ["soon"])
        answer, _ = await send(
            client, "/admin/profiles", "add", {"subdistrict": L1, "line": "full", "accept_minutes": "20"}
        )
        assert answer.status_code == 303
        answer, drawn = await send(client, "/admin/profiles", "add", {"subdistrict": L1})
        assert (answer.status_code, "is there already" in drawn.text) == (409, True)
        assert (await send(client, f"/admin/profiles/{L1}", "change", {"accept_minutes": "25"}))[0].status_code == 303
        assert (await client.get("/v1/profiles")).json()["profiles"][0]["accept_minutes"] == 25
        assert (await send(client, f"/admin/profiles/{L1}", "drop"))[0].status_code == 303
        await open_page(client, f"/admin/profiles/{L1}", status=404)

        rule = {"category": "E01", "radius_m": "0"}
        assert (await send(client, "/admin/repeat-rules", "add", rule))[0].status_code == 422
        assert (await send(client, "/admin/repeat-rules", "add", rule | {"radius_m": "80"}))[0].status_code == 303
        assert (await send(client, "/admin/repeat-rules/E01", "drop"))[0].status_code == 303

        (channel, *_) = (await client.get("/v1/channels")).json()["channels"]
        act = f"channel-{channel['code']}"
        one, other = await open_page(client, "/admin/start-rules"), await open_page(client, "/admin/start-rules")
        typed = {"start_rule": "next_day", "name_zh": HOSTILE[:80]}
        assert (await send(client, "/admin/start-rules", act, typed, on=one))[0].status_code == 303
        assert (await send(client, "/admin/start-rules", act, {"name_zh": "x"}, on=other))[0].status_code == 409

        ledger = {"code": "Big", "name_zh": HOSTILE[:80]}
        assert (await send(client, "/admin/ledgers", "add", ledger))[0].status_code == 422
        assert (await send(client, "/admin/ledgers", "add", ledger | {"code": "campaign"}))[0].status_code == 303
        assert HOSTILE[:20] in (await open_page(client, "/admin/ledgers/campaign")).text
        assert (await send(client, "/admin/ledgers/campaign", "change", {"is_active": None}))[0].status_code == 303
        assert "Out of use" in (await open_page(client, "/admin/ledgers/campaign")).text


async def test_an_account_with_a_role_in_one_area(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        typed = {"login": "zhao", "name": HOSTILE[:60], "grants/1/role": "grid_head", "grants/1/cell": "410102999"}
        answer, drawn = await send(client, "/admin/accounts", "add", typed | {"login": "z"})
        assert 400 <= answer.status_code < 500
        answer, drawn = await send(client, "/admin/accounts", "add", typed)
        assert 400 <= answer.status_code < 500
        assert drawn.form("add").values["grants/1/cell"] == ["410102999"]
        answer, drawn = await send(client, "/admin/accounts", "add", typed | {"grants/1/cell": WEST})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        found = re.search(r'<code id="once">([^<]+)</code>', answer.text)
        assert found is not None
        page = "/admin/accounts/zhao"
        drawn = await open_page(client, page)
        assert found[1] not in drawn.text
        assert WEST in drawn.text
        assert (await send(client, page, "give", {"role": "administrator", "cell": "410102999"}))[0].status_code == 400
        assert (await send(client, page, "give", {"role": "dispatcher"}))[0].status_code == 303
        (grant, _) = [form.act for form in (await open_page(client, page)).forms if form.act.startswith("grant-")]
        assert (await send(client, page, grant))[0].status_code == 303
        async with browser(app) as other:
            assert (await sign_in(other, "zhao", found[1])).headers["location"] == "/account"
        stale = await open_page(client, page)
        assert (await send(client, page, "close"))[0].status_code == 303
        assert (await send(client, page, "close", on=stale))[0].status_code == 409
        assert "Closed" in (await open_page(client, page)).text
        assert (await send(client, page, "reopen"))[0].status_code == 303
        kinds = [entry["kind"] for entry in (await client.get("/v1/audit?limit=100")).json()["records"]]
        assert len(kinds) >= 5


async def test_a_table_of_categories_is_looked_at_and_then_written(app: FastAPI) -> None:
    page = "/admin/categories-import"
    head = "code,name_zh,kind,parent,condition,limit,unit\r\n"
    async with signed_in(app, "chen") as client:
        assert (await send(client, page, "check"))[0].status_code == 422
        for name, data in (
            ("x.exe", b"MZ"),
            ("x.xlsx", b"PK\x03\x04rubbish"),
            ("x.csv", b"\xff\xfe\x00"),
            ("y.csv", b""),
        ):
            answer, _ = await send(client, page, "check", files={"table": (name, data)})
            assert 400 <= answer.status_code < 500, name
        bad = (head + "Z9,怪,thing,,,,\r\n").encode()
        answer, drawn = await send(client, page, "check", files={"table": ("bad.csv", bad)})
        assert answer.status_code == 400
        assert "Table of classes row 2" in drawn.text
        before = (await client.get("/v1/categories?active=false")).json()["categories"]
        good = (head + f"E97,{HOSTILE[:40].replace(',', '')},event,,,,\r\nE9701,测试小类,event,E97,,,\r\n").encode()
        answer, drawn = await send(client, page, "check", files={"table": ("good.csv", good)})
        assert answer.status_code == 200, drawn.text[-1500:]
        assert "Classes added" in drawn.text
        assert (await client.get("/v1/categories?active=false")).json()["categories"] == before
        answer, _ = await send(client, page, "apply", on=drawn)
        assert answer.status_code == 303, answer.text[-1500:]
        assert "2 changes were made" in (await open_page(client, answer.headers["location"])).text
        assert "测试小类" in (await open_page(client, "/admin/categories/E9701")).text
        forged = await client.post(page, data={"_act": "apply", "body": "rubbish"}, headers={"Accept": "text/html"})
        assert 400 <= forged.status_code < 500
        last = (await client.get("/v1/audit?limit=1")).json()["records"][0]
        assert (last["kind"], "categories:import" in str(last)) == ("settings.changed", True)
