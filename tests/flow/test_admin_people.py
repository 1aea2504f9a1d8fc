"""Administration pages of people and posts: filled in over HTTP as a browser without scripts does it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.app import create_app
from api.settings import Settings
from dispatch.posts_keeping import NewPost, add_person, add_post
from geo.storage.grid_versions import ensure_jurisdiction
from geo.storage.uow import write_unit
from tests.admin_forms import open_page, send
from tests.builders import WEST, District
from tests.signing import browser, make_person, signed_in

HOSTILE = "</script><script>alert(1)</script>`${1}`\\\u2028\u202e\"'<img src=x onerror=alert(1)>"


@pytest.fixture
async def app(district: District, database: str, engine: AsyncEngine) -> AsyncIterator[FastAPI]:
    await make_person(engine, "chen", NewGrant(role=Role.ADMINISTRATOR))
    await make_person(engine, "wang", NewGrant(role=Role.DISPATCHER))
    app = create_app(Settings(database_url=database))
    async with app.router.lifespan_context(app):
        yield app


async def test_only_those_with_the_role_see_the_pages(app: FastAPI) -> None:
    async with signed_in(app, "wang") as client:
        for path in ("/admin", "/admin/people", "/admin/posts"):
            drawn = await open_page(client, path, status=403)
            assert "/admin/people" not in drawn.links
        answer = await client.post("/admin/people", data={"_act": "add", "name": "X"}, headers={"Accept": "text/html"})
        assert answer.status_code == 403
    async with signed_in(app, "chen") as client:
        start = await client.get("/admin")
        assert (start.status_code, start.headers["location"]) == (303, "/admin/people")
        assert "/admin/posts" in (await open_page(client, "/admin/people")).links
        answer, _ = await send(
            client, "/admin/people", "add", {"name": "X"}, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403
    async with browser(app, accept="text/html") as client:
        answer = await client.post("/admin/people", data={"_act": "add", "name": "X"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fadmin%2Fpeople")


async def test_somebody_is_added_changed_sent_on_leave_and_leaves(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        answer, drawn = await send(client, "/admin/people", "add", {"name": "王强", "staff_number": "?", "phone": "1"})
        assert answer.status_code == 422
        form = drawn.form("add")
        assert (form.values["name"], form.values["staff_number"]) == (["王强"], ["?"])
        assert answer.text.count('aria-invalid="true"') == 2
        # Each fault once in the list above the form, as a link to its field, and once beside the field.
        assert drawn.text.count("Phone should be written like 138 0000 0000") == 2
        assert ">Phone should be written like 138 0000 0000</a>" in answer.text
        chinese, _ = await send(
            client, "/admin/people", "add", {"name": "王强", "phone": "1"}, headers={"Accept-Language": "zh-CN"}
        )
        assert chinese.text.count("电话的写法不对，应形如 138 0000 0000") == 2
        answer, _ = await send(client, "/admin/people", "add", {"name": HOSTILE[:70], "staff_number": "N-1"})
        assert answer.status_code == 303
        page = answer.headers["location"].partition("?")[0]
        assert HOSTILE[:20] in (await open_page(client, answer.headers["location"])).text
        answer, drawn = await send(client, "/admin/people", "add", {"name": "李梅", "staff_number": "N-1"})
        assert (answer.status_code, "The staff number N-1 is taken." in drawn.text) == (409, True)

        one, other = await open_page(client, page), await open_page(client, page)
        answer, _ = await send(client, page, "change", {"name": "王强"}, on=one)
        assert answer.status_code == 303
        answer, drawn = await send(client, page, "change", {"name": "王刚"}, on=other)
        assert answer.status_code == 409
        assert drawn.form("change").values["name"] == ["王刚"]
        assert "Now: 王强" in drawn.text
        answer, _ = await send(client, page, "change", on=drawn)
        assert answer.status_code == 303

        typed = {"starts_at": "2027-03-01T08:00", "ends_at": "2027-02-01T08:00", "reason": HOSTILE}
        answer, drawn = await send(client, page, "leave", typed)
        assert answer.status_code == 400
        assert "must be later" in drawn.text
        answer, _ = await send(client, page, "leave", typed | {"ends_at": "2027-03-05T08:00"})
        assert answer.status_code == 303
        drawn = await open_page(client, page)
        assert "2027-03-01 08:00 to 2027-03-05 08:00" in drawn.text
        (act,) = [form.act for form in drawn.forms if form.act.startswith("leave-")]
        assert (await send(client, page, act, {"ends_at": "soon"}))[0].status_code == 422
        assert (await send(client, page, act, {"ends_at": "2027-02-01T08:00"}))[0].status_code == 303
        answer, drawn = await send(client, page, act, on=drawn)
        assert (answer.status_code, "no longer there" in drawn.text) == (409, True)

        assert (await send(client, page, "leaves"))[0].status_code == 303
        assert "Has left" in (await open_page(client, page)).text
        assert (await send(client, page, "returns"))[0].status_code == 303
        trail = (await client.get("/v1/audit")).json()["records"]
        assert sum(entry["kind"] == "settings.changed" for entry in trail) == 7
        for lost in ("/admin/people/nobody", "/admin/people/0190f0c8-0000-7000-8000-000000000000"):
            await open_page(client, lost, status=404)


async def test_what_belongs_to_another_jurisdiction_is_not_there(app: FastAPI, engine: AsyncEngine) -> None:
    other = "410199"
    async with write_unit(engine) as unit:
        await ensure_jurisdiction(unit, other, time_zone="Asia/Shanghai", metric_srid=32649)
        person = await add_person(unit, other, name="外区人员")
        kind = NewPost(kind="acceptor", title_zh="外区岗位")
        post = await add_post(unit, other, kind, now=datetime(2026, 1, 1, tzinfo=UTC))
    async with signed_in(app, "chen") as client:
        for path in (f"people/{person['id']}", f"posts/{post['id']}", f"posts/{post['id']}/shifts"):
            drawn = await open_page(client, f"/admin/{path}", status=404)
            assert "外区" not in drawn.text
            answer = await client.post(f"/admin/{path}", data={"_act": "end"}, headers={"Accept": "text/html"})
            assert answer.status_code == 404
        assert "外区" not in (await open_page(client, "/admin/people")).text


async def test_a_post_is_added_with_its_cell(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        typed = {"kind": "assistant", "title_zh": HOSTILE[:70], "cell": "410102999"}
        answer, drawn = await send(client, "/admin/posts", "add", typed)
        assert (answer.status_code, "There is no cell 410102999" in drawn.text) == (400, True)
        answer, _ = await send(client, "/admin/posts", "add", typed | {"cell": WEST, "valid_from": "2026-01-01T00:00"})
        assert answer.status_code == 303
        drawn = await open_page(client, f"/admin/posts?kind=assistant&cell={WEST}")
        assert "Vacant" in drawn.text
        page = answer.headers["location"].partition("?")[0]
        people = [one["id"] for one in (await client.get("/v1/people")).json()["people"]]
        answer, _ = await send(client, page, "appoint", {"person": people[0], "valid_from": "2026-01-02T08:00"})
        assert answer.status_code == 303
        stale = await open_page(client, page)
        answer, _ = await send(client, page, "hand-over", {"to_person": people[1], "notes": HOSTILE})
        assert answer.status_code == 303
        late = {"valid_from": "2026-01-05T08:00", "valid_until": "2026-01-04T08:00", "person": people[2]}
        answer, drawn = await send(client, page, "appoint", late)
        # On the clocks of the office, as it was typed.
        assert ("2026-01-04 08:00" in drawn.text, "T00:00" in drawn.text) == (True, False)
        answer, drawn = await send(client, page, "hand-over", {"to_person": people[2]}, on=stale)
        assert answer.status_code == 409
        (read,) = [form.act for form in drawn.forms if form.act.startswith("read-")]
        assert (await send(client, page, read))[0].status_code == 303
        typed = {"first_day": "2026-11-20", "name": HOSTILE, "on_days": ["0", "6"]}
        answer, drawn = await send(client, f"{page}/shifts", "shift", typed | {"starts": "25:00"})
        assert (answer.status_code, drawn.form("shift").values["on_days"]) == (422, ["0", "6"])
        assert (await send(client, f"{page}/shifts", "shift", typed))[0].status_code == 303
        assert (await send(client, f"{page}/shifts", "exception", {"day": "2026-11-23"}))[0].status_code == 303
        drawn = await open_page(client, f"{page}/shifts")
        assert "Mon Sun" in drawn.text
        (act,) = [form.act for form in drawn.forms if form.act.startswith("exception-")]
        assert (await send(client, f"{page}/shifts", act))[0].status_code == 303
        assert (await send(client, page, "end"))[0].status_code == 303
        assert "No post fits." in (await open_page(client, "/admin/posts?kind=leader&cell=1")).text


async def test_a_head_of_a_department_has_its_name_on_their_page(app: FastAPI, engine: AsyncEngine) -> None:
    async with signed_in(app, "chen") as client:
        await send(client, "/admin/departments", "add", {"code": "greening", "name_zh": "园林绿化所"})
        typed = {"kind": "department_handler", "title_zh": "所长", "department": "greening"}
        answer, _ = await send(client, "/admin/posts", "add", typed | {"valid_from": "2026-01-01T00:00"})
        page = answer.headers["location"].partition("?")[0]
        person = (await client.get("/v1/people")).json()["people"][0]["id"]
        await send(client, page, "appoint", {"person": person, "valid_from": "2026-01-02T08:00"})
        assert "园林绿化所 (greening)" in (await open_page(client, f"/admin/people/{person}")).text


async def test_an_office_with_more_people_than_one_page_offers_all_of_them(app: FastAPI, engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text(
                "INSERT INTO dispatch.person (id, jurisdiction, name)"
                " SELECT gen_random_uuid(), (SELECT jurisdiction FROM dispatch.person LIMIT 1), '职员' || n"
                "  FROM generate_series(1, 1100) AS n"
            )
        )
    async with signed_in(app, "chen") as client:
        page = (await client.get("/admin/posts", headers={"Accept": "text/html"})).text
        offered = set(re.findall(r"<option value=\"[^\"]+\">职员(\d+)</option>", page))
        assert offered == {str(number) for number in range(1, 1101)}


async def test_a_department_and_its_line_of_the_matrix(app: FastAPI) -> None:
    async with signed_in(app, "chen") as client:
        assert "No departments yet." in (await open_page(client, "/admin/departments")).text
        answer, drawn = await send(client, "/admin/departments", "add", {"code": "Grün!", "name_zh": "园林"})
        assert (answer.status_code, drawn.form("add").values["name_zh"]) == (422, ["园林"])
        answer, _ = await send(client, "/admin/departments", "add", {"code": "greening", "name_zh": HOSTILE[:70]})
        page = "/admin/departments/greening"
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, page)
        answer, _ = await send(client, "/admin/departments", "add", {"code": "greening", "name_zh": "再来"})
        assert answer.status_code == 409
        stale = await open_page(client, page)
        assert (await send(client, page, "change", {"name_zh": "园林绿化所"}))[0].status_code == 303
        assert (await send(client, page, "change", {"name_zh": "园林"}, on=stale))[0].status_code == 409

        line = {"category": "E0110", "cell": WEST, "department": "greening"}
        answer, drawn = await send(client, "/admin/matrix", "add", line | {"category": "E9999"})
        assert (answer.status_code, drawn.form("add").values["cell"]) == (400, [WEST])
        assert (await send(client, "/admin/matrix", "add", line))[0].status_code == 303
        assert (await send(client, "/admin/matrix", "add", line | {"mode": "assist"}))[0].status_code == 409
        # Its posts and lines end first: nobody is left with a department that nobody answers for.
        answer, _ = await send(client, page, "take_out")
        assert answer.status_code == 409
        drawn = await open_page(client, "/admin/matrix?department=greening")
        (end,) = [form.act for form in drawn.forms if form.act.startswith("end-")]
        assert "Exposed rubbish" in drawn.text
        assert "places without a line" in drawn.text
        assert (await send(client, "/admin/matrix", end))[0].status_code == 303
        assert "No line fits." in (await open_page(client, "/admin/matrix?department=greening")).text
        assert (await send(client, page, "take_out"))[0].status_code == 303
        assert (await send(client, page, "bring_back"))[0].status_code == 303
        await open_page(client, "/admin/departments/none", status=404)
    async with signed_in(app, "wang") as client:
        for path in ("/admin/departments", page, "/admin/matrix"):
            await open_page(client, path, status=403)
