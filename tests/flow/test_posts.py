"""People, posts, leave, shifts, hand-overs, the matrix and the trace, over HTTP as an office uses them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.engine import dsn
from geo.storage.uow import write_unit
from tests.builders import EAST, INSIDE, L1, OUTSIDE, WEST, person_id, report, send_on_leave
from tests.flow.conftest import Client

CELL = f"{WEST}001"
LEAST = "2026-01-01T00:00:00+08:00"


async def ask(client: Client, method: str, path: str, status: int = 200, **body: Any) -> Any:
    answer = await client.request(method, path, json=body if body or method == "PATCH" else None)
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json() if answer.content else None


async def responsible(client: Client, **query: str) -> Any:
    answer = await client.get("/v1/responsible", params={"cell": CELL, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def department(client: Client, code: str, *, handlers: int = 1, cell: str | None = None) -> list[dict[str, Any]]:
    await ask(client, "POST", "/v1/departments", 201, code=code, name_zh=f"部门{code}", name_en=f"Dept {code}")
    made = []
    for rank in "AB"[:handlers]:
        person = await ask(client, "POST", "/v1/people", 201, name=f"{code}-{rank}", phone="13800001234")
        post = await ask(
            client,
            "POST",
            "/v1/posts",
            201,
            kind="department_handler",
            department=code,
            rank=rank,
            cell=cell,
            title_zh=f"{code}处置员{rank}",
            title_en=f"Handler {code} {rank}",
            holder=person["id"],
        )
        made.append({"person": person["id"], "post": post["id"]})
    return made


async def test_two_holders_at_a_time_only_where_the_post_is_shared(client: Client) -> None:
    one = await ask(client, "POST", "/v1/people", 201, name="甲", staff_number="ZY-1")
    two = await ask(client, "POST", "/v1/people", 201, name="乙")
    refused = await ask(client, "POST", "/v1/people", 409, name="丙", staff_number="ZY-1")
    assert refused["errors"][0]["pointer"] == "/staff_number"
    head = await ask(
        client, "POST", "/v1/posts", 409, kind="grid_head", rank="A", cell=CELL, title_zh="另一个", holder=one["id"]
    )
    assert head["code"] == "posts.second_head"
    assert CELL in head["detail"]
    desk = await ask(
        client,
        "POST",
        "/v1/posts",
        201,
        kind="dispatcher",
        cell=L1,
        title_zh="派遣席",
        valid_from=LEAST,
        holder=one["id"],
    )
    path = f"/v1/posts/{desk['id']}/appointments"
    clash = await ask(client, "POST", path, 409, person=two["id"], valid_from="2026-05-01T00:00:00Z")
    assert clash["code"] == "posts.already_held"
    assert "甲" in clash["detail"]
    (held,) = (await ask(client, "GET", path))["appointments"]
    await ask(client, "PATCH", f"{path}/{held['id']}", valid_until="2026-05-01T00:00:00Z")
    await ask(client, "POST", path, 201, person=two["id"], valid_from="2026-05-01T00:00:00Z")
    shared = await ask(client, "POST", "/v1/posts", 201, kind="dispatcher", cell=L1, title_zh="夜班席", is_shared=True)
    path = f"/v1/posts/{shared['id']}/appointments"
    await ask(client, "POST", path, 201, person=one["id"])
    await ask(client, "POST", path, 201, person=two["id"])
    twice = await ask(client, "POST", path, 409, person=two["id"])
    assert twice["code"] == "posts.held_twice"
    ended = await ask(client, "PATCH", f"/v1/posts/{shared['id']}")
    assert ended["valid_until"] is not None
    assert (await ask(client, "PATCH", f"/v1/posts/{shared['id']}", 409))["code"] == "posts.already_ended"


async def test_leave_and_shift_decide_who_answers_and_say_so(client: Client) -> None:
    assert (await responsible(client))["responsible"]["name"] == f"A-{CELL}"
    a = person_id(f"A-{CELL}")
    leave = await ask(
        client,
        "POST",
        f"/v1/people/{a}/leave",
        201,
        starts_at="2026-12-01T08:00:00+08:00",
        ends_at="2026-12-05T08:00:00+08:00",
        reason="年休假",
    )
    overlapping = await ask(
        client,
        "POST",
        f"/v1/people/{a}/leave",
        409,
        starts_at="2026-12-04T08:00:00+08:00",
        ends_at="2026-12-06T08:00:00+08:00",
    )
    assert overlapping["code"] == "posts.leave_overlaps"
    away = await responsible(client, at="2026-12-02T00:00:00Z")
    assert away["responsible"]["name"] == f"B-{CELL}"
    assert away["responsible"]["why_code"] == "primary_on_leave"
    assert [one["standing"] for one in away["candidates"]] == ["on_leave", "responsible", "stands_by", "stands_by"]
    assert "2026-12-05 08:00" in away["candidates"][0]["text"]
    back = await ask(client, "PATCH", f"/v1/people/{a}/leave/{leave['id']}", ends_at="2026-12-01T20:00:00+08:00")
    assert back["ends_at"] == "2026-12-01T12:00:00Z"
    assert (await responsible(client, at="2026-12-02T00:00:00Z"))["responsible"]["name"] == f"A-{CELL}"

    (post,) = (await ask(client, "GET", f"/v1/posts?cell={CELL}&person={a}"))["posts"]
    path = f"/v1/posts/{post['id']}"
    # Weekdays 8 to 18, and a night watch on Fridays that runs into Saturday.
    day = {"starts": "08:00", "ends": "18:00", "on_days": [0, 1, 2, 3, 4], "first_day": "2026-12-07"}
    await ask(client, "POST", f"{path}/shifts", 201, **day)
    await ask(client, "POST", f"{path}/shifts", 201, starts="22:00", ends="06:00", on_days=[4], first_day="2026-12-07")

    async def who(at: str) -> str:
        return str((await responsible(client, at=at))["responsible"]["name"])[0]

    assert await who("2026-12-06T23:00:00+08:00") == "A", "before the plan begins"
    assert await who("2026-12-07T07:59:59+08:00") == "B"
    assert await who("2026-12-07T08:00:00+08:00") == "A"
    assert await who("2026-12-07T18:00:00+08:00") == "B"
    assert await who("2026-12-11T23:00:00+08:00") == "A"
    assert await who("2026-12-12T05:59:00+08:00") == "A", "Friday's night"
    assert await who("2026-12-12T06:00:00+08:00") == "B"
    off = await responsible(client, at="2026-12-12T12:00:00+08:00")
    assert off["responsible"]["why_code"] == "primary_off_duty"
    assert off["candidates"][0]["standing"] == "off_shift"
    free = await ask(client, "POST", f"{path}/shift-exceptions", 201, day="2026-12-08")
    assert await who("2026-12-08T10:00:00+08:00") == "B"
    await ask(client, "DELETE", f"{path}/shift-exceptions/{free['id']}", 204)
    await ask(
        client, "POST", f"{path}/shift-exceptions", 201, day="2026-12-08", starts="12:00", ends="20:00", person=str(a)
    )
    assert [await who(f"2026-12-08T{hour}:00:00+08:00") for hour in (10, 12, 19)] == ["B", "A", "A"]
    rota = await ask(client, "GET", f"{path}/shifts?from=2026-12-07&until=2026-12-12")
    assert [duty["starts_at"] for duty in rota["duties"]] == [
        "2026-12-07T00:00:00Z",
        "2026-12-08T04:00:00Z",
        "2026-12-09T00:00:00Z",
        "2026-12-10T00:00:00Z",
        "2026-12-11T00:00:00Z",
        "2026-12-11T14:00:00Z",
    ]


async def test_the_deepest_cell_wins_then_the_deepest_class_then_the_fallback(client: Client) -> None:
    for code in ("everything", "utilities", "manholes", "mall", "office"):
        await department(client, code)

    async def rule(**line: str) -> Any:
        return await ask(client, "POST", "/v1/departments/matrix", 201, valid_from=LEAST, **line)

    async def who(category: str, cell: str = CELL) -> tuple[str, str] | None:
        found = (await responsible(client, category=category, cell=cell))["department"]
        return (found["code"], found["mode"]) if found else None

    assert await who("P0102") is None
    await rule(department="office", mode="fallback")
    assert await who("P0102") == ("office", "fallback")
    assert (await responsible(client, category="P0102"))["responsible"]["name"] == f"A-{CELL}"
    await rule(department="utilities", category="P01", mode="assist")
    assert await who("P0102") == ("utilities", "assist")
    assert await who("E0110") == ("office", "fallback")
    await rule(department="manholes", category="P0102", mode="lead")
    assert await who("P0102") == ("manholes", "lead")
    led = await responsible(client, category="P0102")
    assert led["responsible"]["name"] == "manholes-A"
    assert led["grid_head"]["name"] == f"A-{CELL}"
    there = await client.get(
        "/v1/locate", params={"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84", "category": "P0102"}
    )
    assert there.json()["head"]["name"] == f"A-{CELL}"
    assert there.json()["for_category"] == {k: v for k, v in led.items() if k not in {"at", "cell", "category"}}
    unknown = await client.get("/v1/responsible", params={"cell": CELL, "category": "P9999"})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (400, "/category")
    unknown = await client.get("/v1/responsible", params={"cell": "nowhere"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "posts.cell_unknown")
    mall = await rule(department="mall", cell=WEST, mode="lead")
    assert await who("P0102") == ("mall", "lead"), "the cell goes before the class"
    assert await who("P0102", f"{EAST}001") == ("manholes", "lead")
    again = await ask(client, "POST", "/v1/departments/matrix", 409, department="everything", cell=WEST)
    assert again["code"] == "posts.rule_exists"
    await ask(client, "POST", "/v1/departments/matrix", 201, department="everything", cell=WEST, replaces=True)
    assert await who("P0102") == ("everything", "lead")
    lines = (await ask(client, "GET", f"/v1/departments/matrix?cell={WEST}&ended=true"))["rules"]
    assert [line["department"] for line in lines] == ["mall", "everything"]
    assert lines[0]["id"] == mall["id"]
    assert lines[0]["valid_until"] == lines[1]["valid_from"]
    in_use = await ask(client, "PATCH", "/v1/departments/mall", 409, is_active=False)
    assert in_use["code"] == "posts.department_in_use"
    text = (await client.get("/v1/departments/matrix.csv")).text
    assert text.splitlines()[0] == "\ufeffcell,category,department,mode,valid_from,valid_until,note"
    assert len(text.splitlines()) == 5
    gaps = await ask(client, "GET", "/v1/departments/matrix/gaps")
    assert [(gap["category"], gap["cell"], gap["leaves"], gap["fallback"]) for gap in gaps["gaps"]] == [
        ("E0110", EAST, 2, "office")
    ]


async def test_a_report_goes_to_the_department_that_leads_and_climbs_from_there(
    client: Client, engine: AsyncEngine, database: str
) -> None:
    (first, second) = await department(client, "cleaning", handlers=2)
    await ask(client, "POST", "/v1/departments/matrix", 201, department="cleaning", category="E01")
    receipt = await ask(client, "POST", "/v1/reports", 201, **report())
    assert receipt["head"]["name"] == "cleaning-A"
    assert receipt["head"]["why_code"] == "department"
    assert receipt["backup"]["name"] == "cleaning-B"
    assert receipt["department"] == {"code": "cleaning", "name": "Dept cleaning", "mode": "lead"}
    assert await ask(client, "POST", "/v1/reports", 200, **report()) == receipt
    ref = receipt["case"]
    (listed,) = (await ask(client, "GET", "/v1/cases?department=cleaning"))["cases"]
    assert (listed["case"], listed["departments"]) == (ref, ["cleaning"])
    assert (await ask(client, "GET", "/v1/cases?department=other"))["cases"] == []
    # Nobody of the department acknowledges: its backup, then the grid head, then the parent's.
    names = []
    for _ in range(4):
        async with await psycopg.AsyncConnection.connect(dsn(database), autocommit=True) as connection:
            await connection.execute("UPDATE dispatch.dispatch_case SET stage_due_at = now() WHERE ref = %s", (ref,))
        async with write_unit(engine) as unit:
            from dispatch.stages import run_stages

            assert await run_stages(unit, batch=10) == 1
        names.append((await ask(client, "GET", f"/v1/cases/{ref}"))["head"]["name"])
    assert names == ["cleaning-B", f"A-{CELL}", f"B-{CELL}", f"A-{WEST}"]
    trace = await ask(client, "GET", f"/v1/cases/{ref}/trace")
    assert [one["type"] for one in trace["decisions"]] == ["case.dispatched.v1", *["case.not_acknowledged.v1"] * 4]
    assert trace["position"]["raw"] == {"x": INSIDE[0], "y": INSIDE[1]}
    told = trace["decisions"][0]
    assert told["department"]["rule"]["name"] == "route-1"
    assert told["grid_version"]["number"] == 1
    assert [step["step"] for step in told["steps"]] == ["coordinates", "cell", "version", "rule", "duty", "person"]
    # Whoever takes over has it by the line that the dispatch found; nobody asked the matrix again.
    rules = [step["text"] for one in trace["decisions"] for step in one["steps"] if step["step"] == "rule"]
    assert rules == [rules[0], *[f"As at the dispatch: {rules[0]}"] * 4]
    assert rules[0].startswith("Line ")
    last = trace["decisions"][-1]
    assert last["department"] == told["department"]
    assert last["responsible"]["why_code"] == "passed_on"
    assert [one["standing"] for one in last["candidates"]] == [*["no_ack"] * 4, "responsible", "stands_by"]
    assert last["grid_version"]["number"] == 1
    zh = await client.get(f"/v1/cases/{ref}/trace", headers={"Accept-Language": "zh-CN"})
    assert "未按时签收" in zh.text
    # What was decided stays decided, whatever the posts say now.
    await ask(client, "PATCH", f"/v1/posts/{first['post']}")
    await ask(client, "PATCH", f"/v1/people/{second['person']}", name="改名")
    assert await ask(client, "GET", f"/v1/cases/{ref}/trace") == trace


async def move(client: Client, ref: str, version: int, name: str, status: int = 200, **body: Any) -> Any:
    answer = await client.post(
        f"/v1/cases/{ref}/moves", json={"move": name, **body}, headers={"If-Match": f'"{version}"'}
    )
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_the_third_return_goes_to_the_fallback_owner(client: Client) -> None:
    await department(client, "office")
    await ask(client, "POST", "/v1/departments/matrix", 201, department="office", mode="fallback")
    case = await ask(client, "POST", "/v1/reports", 201, **report())
    assert case["head"]["name"] == f"A-{CELL}"
    assert case["department"] == {"code": "office", "name": "Dept office", "mode": "fallback"}
    ref, version = case["case"], 1
    for turn in range(3):
        version = (await move(client, ref, version, "return", reason="不是我的"))["version"]
        if turn < 2:
            version = (await move(client, ref, version, "re_dispatch"))["version"]
    settled = await move(client, ref, version, "settle", reason="属地兜底")
    assert settled["head"]["name"] == "office-A"
    assert settled["head"]["why_code"] == "fallback_owner"
    decision = (await ask(client, "GET", f"/v1/cases/{ref}/trace"))["decisions"][-1]
    assert "By ruling" in next(step["text"] for step in decision["steps"] if step["step"] == "rule")
    handled = await move(client, ref, settled["version"], "acknowledge")
    assert handled["status"] == "handling"


async def test_the_desk_may_dispatch_to_a_department_by_hand(client: Client, engine: AsyncEngine) -> None:
    (handler,) = await department(client, "water")
    case = await ask(client, "POST", "/v1/reports", 201, **report(lon=OUTSIDE[0], lat=OUTSIDE[1]))
    assert case["status"] == "reported"
    refused = await move(client, case["case"], 1, "dispatch", 400, department="nobody")
    assert refused["errors"][0]["pointer"] == "/department"
    sent = await move(client, case["case"], 1, "dispatch", department="water")
    assert sent["head"]["name"] == "water-A"
    trace = await ask(client, "GET", f"/v1/cases/{case['case']}/trace")
    assert "The desk chose" in trace["decisions"][0]["steps"][3]["text"]
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        row = await (
            await driver.execute("SELECT department_code, owner_post_id FROM dispatch.dispatch_case")
        ).fetchone()
    assert row == ("water", handler["post"])


async def test_a_hand_over_takes_the_open_cases_along_and_is_acknowledged(client: Client) -> None:
    await department(client, "cleaning")
    await ask(client, "POST", "/v1/departments/matrix", 201, department="cleaning", category="E01", mode="assist")
    comes = await ask(client, "POST", "/v1/people", 201, name="新网格长")
    mine = [(await ask(client, "POST", "/v1/reports", 201, **report(ticket=f"H-{n}")))["case"] for n in range(2)]
    a = str(person_id(f"A-{CELL}"))
    (post,) = (await ask(client, "GET", f"/v1/posts?cell={CELL}&person={a}"))["posts"]
    path = f"/v1/posts/{post['id']}/hand-overs"
    record = await ask(client, "POST", path, 201, to_person=comes["id"], notes="井盖一处待换")
    assert record["from_person"] == a
    assert sorted(record["cases"]) == sorted(mine)
    assert (await responsible(client))["responsible"]["name"] == "新网格长"
    detail = await ask(client, "GET", f"/v1/cases/{mine[0]}")
    assert detail["head"]["name"] == "新网格长"
    assert detail["events"][-1]["type"] == "case.handed_over.v1"
    decisions = (await ask(client, "GET", f"/v1/cases/{mine[0]}/trace"))["decisions"]
    assert [one["department"]["code"] for one in decisions] == ["cleaning", "cleaning"]
    assert any(step["text"].startswith("As at the dispatch: Line ") for step in decisions[-1]["steps"])
    assert (await ask(client, "POST", path, 400, to_person=comes["id"]))["code"] == "posts.hand_over_to_self"
    done = await ask(client, "POST", f"{path}/{record['id']}:acknowledge")
    assert done["acknowledged_at"] is not None
    again = await ask(client, "POST", f"{path}/{record['id']}:acknowledge", 409)
    assert again["code"] == "posts.already_acknowledged"
    assert [one["id"] for one in (await ask(client, "GET", path))["hand_overs"]] == [record["id"]]


async def test_phones_come_one_at_a_time_and_only_with_the_scope(client: Client, make_key: Any) -> None:
    person = await ask(client, "POST", "/v1/people", 201, name="有电话", phone="138 0000 1234")
    assert person["has_phone"] is True
    assert "1234" not in (await client.get("/v1/people")).text
    phone = await client.get(f"/v1/people/{person['id']}/phone")
    assert phone.json()["phone"] == "138 0000 1234"
    assert phone.headers["cache-control"] == "no-store"
    stranger = {"Authorization": f"Bearer {await make_key('app')}"}
    for path in ("/v1/people", "/v1/posts", "/v1/departments/matrix", f"/v1/people/{person['id']}/phone"):
        assert (await client.get(path, headers=stranger)).status_code == 403
    assert (await client.post("/v1/people", json={"name": "x"}, headers=stranger)).status_code == 403


async def test_a_department_on_leave_leaves_the_case_to_the_head(client: Client, engine: AsyncEngine) -> None:
    (handler,) = await department(client, "greening")
    await ask(client, "POST", "/v1/departments/matrix", 201, department="greening", category="E0110")
    now = datetime.now(UTC)
    await ask(
        client,
        "POST",
        f"/v1/people/{handler['person']}/leave",
        201,
        starts_at=(now - timedelta(days=1)).isoformat(),
        ends_at=(now + timedelta(days=1)).isoformat(),
    )
    async with write_unit(engine) as unit:
        await send_on_leave(unit, f"A-{CELL}")
    receipt = await ask(client, "POST", "/v1/reports", 201, **report())
    assert receipt["head"]["name"] == f"B-{CELL}"
    assert receipt["head"]["why_code"] == "department_empty"
