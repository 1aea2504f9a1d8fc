"""Joint work over HTTP: a case splits into legs of departments, and goes on when all are signed off."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.guards import retrace
from dispatch.joint import LegMove, LegState, retrace_leg
from dispatch.notices import LogNotifier, relay
from geo.storage.uow import write_unit
from tests.builders import EAST, INSIDE, L1, OUTSIDE, WEST, report
from tests.flow.conftest import Client
from tests.flow.test_workflow_moves import due, move, moved, new_case

WHY = {"reason": "不归我们管"}
LEGS = [
    {"department": "urban", "task": "清运"},
    {"department": "fire", "limit": {"value": 2, "unit": "urgent_hour"}},
]


@pytest.fixture(autouse=True)
async def departments(engine: AsyncEngine, client: Client) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO dispatch.department (code, name_zh, name_en)"
                " VALUES ('urban', '城管', 'Urban'), ('fire', '消防', 'Fire'), ('health', '卫健', 'Health')"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO dispatch.post (jurisdiction, kind, department_code, title_zh, title_en, valid_from)"
                " SELECT '410100', 'department_handler', 'urban', '城管处置岗', 'Urban handler', '2020-01-01Z'"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO dispatch.appointment (post_id, person_id, valid_from)"
                " SELECT (SELECT max(id) FROM dispatch.post), (SELECT min(id::text)::uuid FROM dispatch.person),"
                " '2020-01-01Z'"
            )
        )


@pytest.fixture
async def joint(client: Client) -> dict[str, Any]:
    case = await moved(client, await new_case(client), "acknowledge")
    return await moved(client, case, ("split_joint", {"legs": LEGS}))


async def leg_move(client: Client, case: dict[str, Any], number: int, name: str, **body: Any) -> httpx.Response:
    found = await client.get(f"/v1/cases/{case['case']}/legs/{number}")
    headers = {"If-Match": found.headers["etag"]}
    return await client.post(
        f"/v1/cases/{case['case']}/legs/{number}/moves", json={"move": name, **body}, headers=headers
    )


async def walk(client: Client, case: dict[str, Any], number: int, *steps: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    leg: dict[str, Any] = {}
    for name, body in steps:
        answer = await leg_move(client, case, number, name, **body)
        assert answer.status_code == 200, answer.text
        leg = answer.json()
    return leg


DONE = (("leg_acknowledge", {}), ("leg_report_back", {"result": "清完", "evidence": ["photo-1"]}), ("leg_sign", {}))


async def again(client: Client, case: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(case["status_url"])).json()
    return found


async def test_a_case_goes_on_when_every_leg_is_signed(client: Client, joint: dict[str, Any]) -> None:
    first, second = joint["legs"]
    assert (joint["status"], [leg["department"] for leg in joint["legs"]]) == ("handling", ["urban", "fire"])
    assert due(first) == due(joint)
    assert due(second) - datetime.fromisoformat(second["started_at"]) == timedelta(hours=2)
    assert (first["head"]["post"], second["head"]) == ("Urban handler", None)
    assert "report_back" not in joint["moves"]
    early = await move(client, joint, "report_back", result="x")
    assert (early.status_code, early.json()["code"]) == (409, "dispatch.guard.not_joint")
    done = await walk(client, joint, 1, *DONE)
    assert (done["status"], done["is_on_time"], done["evidence"], done["moves"]) == ("signed", True, ["photo-1"], [])
    assert "report_back" not in (await again(client, joint))["moves"]
    await walk(client, joint, 2, *DONE)
    case = await again(client, joint)
    assert case["events"][-1]["moves"] == ["leg_sign", "join"]
    assert (case["events"][-1]["type"], case["events"][-1]["leg"]) == ("case.leg_signed.v1", 2)
    assert due(case) == due(joint)
    case = await moved(client, case, ("report_back", {"result": "完成"}))
    assert case["status"] == "handled"
    assert retrace(event["moves"] for event in case["events"]).state == "handled"


async def test_a_leg_can_be_returned_dispatched_elsewhere_rejected_and_withdrawn(
    client: Client, joint: dict[str, Any]
) -> None:
    bare = await leg_move(client, joint, 2, "leg_return")
    assert (bare.status_code, bare.json()["code"]) == (400, "dispatch.reason_required")
    steps: list[tuple[str, dict[str, Any]]] = [
        ("leg_return", WHY),
        ("leg_re_dispatch", {"department": "health"}),
        ("leg_acknowledge", {}),
        ("leg_report_back", {"result": "r"}),
        ("leg_reject", WHY),
        ("leg_report_back", {"result": "r2"}),
    ]
    leg = await walk(client, joint, 2, *steps)
    assert (leg["department"], leg["returns"], leg["reworks"], leg["status"]) == ("health", 1, 1, "handled")
    assert due(leg) == due(joint["legs"][1])
    assert retrace_leg(LegMove(name) for name, _ in steps).state is LegState.HANDLED
    unknown = await leg_move(client, joint, 1, "leg_withdraw")
    assert unknown.json()["code"] == "dispatch.reason_required"
    await walk(client, joint, 1, ("leg_withdraw", WHY))
    assert (await again(client, joint))["moves"].count("report_back") == 0
    await walk(client, joint, 2, ("leg_sign", {}))
    assert "report_back" in (await again(client, joint))["moves"]


async def test_the_third_return_of_a_leg_is_settled(client: Client, joint: dict[str, Any]) -> None:
    back, forth = ("leg_return", WHY), ("leg_re_dispatch", {})
    leg = await walk(client, joint, 1, back, forth, back, forth, back)
    assert leg["moves"] == ["leg_settle", "leg_withdraw"]
    leg = await walk(client, joint, 1, ("leg_settle", {**WHY, "department": "health"}))
    assert (leg["department"], leg["status"], "leg_return" in leg["moves"]) == ("health", "dispatched", False)
    final = await leg_move(client, joint, 1, "leg_return", **WHY)
    assert (final.status_code, final.json()["code"]) == (409, "dispatch.leg_guard.returns_left")


async def test_legs_rest_with_their_case_and_their_clocks_follow(client: Client, joint: dict[str, Any]) -> None:
    until = (datetime.fromisoformat(joint["legs"][0]["started_at"]) + timedelta(days=3)).isoformat()
    case = await moved(client, joint, ("request_extension", WHY), "approve_extension")
    assert [due(leg) - due(was) for leg, was in zip(case["legs"], joint["legs"], strict=True)] == [
        timedelta(hours=4),
        timedelta(hours=2),
    ]
    case = await moved(client, case, ("request_suspend", {**WHY, "until": until}), "approve_suspend")
    assert [leg["moves"] for leg in case["legs"]] == [[], []]
    resting = await leg_move(client, case, 1, "leg_acknowledge")
    assert (resting.status_code, resting.json()["code"]) == (409, "dispatch.legs_rest")
    assert all(due(leg) <= due(case) for leg in case["legs"])
    assert due(case["legs"][1]) - due(joint["legs"][1]) > timedelta(days=2)
    case = await moved(client, case, "resume")
    assert due(case["legs"][1]) - due(joint["legs"][1]) < timedelta(hours=2, minutes=1)
    ledger = (await client.get(f"{case['status_url']}/deadline")).json()
    kinds = {(change["part"], change["kind"]) for change in ledger["changes"]}
    assert kinds == {("leg", "extension"), ("leg", "pause"), ("leg", "resume")}


@pytest.mark.parametrize(
    ("legs", "status", "code", "pointer"),
    [
        ([], 400, "dispatch.legs_required", "/legs"),
        ([{"department": "nobody"}], 400, "dispatch.unknown_department", "/legs/0/department"),
        ([{"department": "urban"}, {"department": "fire", "limit": {"value": 9, "unit": "natural_day"}}], 400,
         "dispatch.leg_beyond_case", "/legs/1/limit"),
        ([{"department": "urban", "limit": {"value": 0, "unit": "working_hour"}}], 422, None, None),
        ([{"department": "urban"}] * 21, 422, None, None),
        ([{"department": "urban"}, {"department": "fire"}, {"department": "urban", "task": "复查"}], 409,
         "dispatch.leg_under_way", "/legs/2/department"),
        ("urban", 422, None, None),
    ],
)  # fmt: skip
async def test_bad_splits_are_named(
    client: Client, legs: Any, status: int, code: str | None, pointer: str | None
) -> None:
    case = await moved(client, await new_case(client), "acknowledge")
    answer = await move(client, case, "split_joint", legs=legs)
    assert answer.status_code == status, answer.text
    if code:
        assert (answer.json()["code"], answer.json()["errors"][0]["pointer"]) == (code, pointer)
    assert (await again(client, case))["legs"] == []


async def test_two_legs_do_not_stand_in_each_others_way_and_one_leg_has_one_winner(
    client: Client, joint: dict[str, Any]
) -> None:
    url = f"/v1/cases/{joint['case']}/legs"
    tries = [(1, '"1"'), (1, '"1"'), (2, '"1"'), (2, '"1"')]
    answers = await asyncio.gather(
        *(
            client.post(f"{url}/{leg}/moves", json={"move": "leg_acknowledge"}, headers={"If-Match": seen})
            for leg, seen in tries
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 200, 412, 412]
    assert (await client.post(f"{url}/1/moves", json={"move": "leg_sign"})).status_code == 428
    assert (await client.get(f"{url}/9")).status_code == 404
    assert len((await client.get(url)).json()["legs"]) == 2


async def test_a_return_keeps_the_point_against_the_polygon(client: Client) -> None:
    case = await new_case(client)
    case = await moved(client, case, ("return", WHY))
    (kept,) = case["returned"]
    assert (kept["point_from"], kept["relation"], kept["cell"], kept["covering"]) == (
        "stored", "inside", f"{WEST}001", f"{WEST}001",
    )  # fmt: skip
    assert kept["distance_m"] == pytest.approx(915, abs=3)
    assert (kept["tie_rule"], kept["grid_version"]["number"]) == ("edge-1", 1)
    case = await moved(client, case, "re_dispatch")
    elsewhere = {"lon": 113.63, "lat": 34.75, "coord_sys": "wgs84"}
    case = await moved(client, case, ("return", {**WHY, "position": elsewhere}))
    other = case["returned"][1]
    assert (other["point_from"], other["relation"], other["covering"]) == ("given", "outside", f"{EAST}002")
    assert other["distance_m"] == pytest.approx(915, abs=3)
    drawn = await client.get(other["map_url"])
    assert drawn.headers["content-type"].startswith("application/geo+json")
    features = {feature["id"]: feature for feature in drawn.json()["features"]}
    assert set(features) == {"cell", "covering_cell", "point", "to_outline"}
    assert features["cell"]["geometry"]["type"] == "MultiPolygon"
    case = await moved(client, case, ("re_dispatch", {"cell": f"{EAST}002"}))
    assert case["head"]["cell"] == f"{EAST}002"
    case = await moved(
        client, case, ("return", {**WHY, "position": {"lon": 113.62, "lat": 34.75, "coord_sys": "wgs84"}})
    )
    edge = case["returned"][2]
    assert (edge["cell"], edge["relation"], edge["distance_m"], edge["covering"]) == (
        f"{EAST}002", "edge", 0, f"{WEST}001",
    )  # fmt: skip
    assert (await client.get(f"{case['status_url']}/returns/4")).status_code == 404


@pytest.mark.parametrize(
    ("position", "status"),
    [
        ({"lon": 200, "lat": 34.7, "coord_sys": "wgs84"}, 400),
        ({"lon": 113.6, "lat": 34.7}, 422),
        ({"lon": "113.6", "lat": 34.7, "coord_sys": "wgs84"}, 422),
        ({"lon": 113.6, "lat": 34.7, "coord_sys": "mars"}, 422),
    ],
)
async def test_bad_positions_of_a_return_are_named(client: Client, position: dict[str, Any], status: int) -> None:
    case = await new_case(client)
    answer = await move(client, case, "return", **WHY, position=position)
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["pointer"].startswith("/position/")


async def test_the_desk_sends_a_point_outside_to_a_cell(client: Client) -> None:
    case = await new_case(client, lon=OUTSIDE[0], lat=OUTSIDE[1])
    assert case["out_of_grid"]
    refused = await move(client, case, "dispatch", cell="410102999")
    assert (refused.status_code, refused.json()["code"]) == (400, "dispatch.unknown_cell")
    case = await moved(client, case, ("dispatch", {"cell": L1}))
    assert (case["status"], case["head"]["cell"]) == ("dispatched", L1)
    case = await moved(client, case, ("return", WHY))
    assert (case["returned"][0]["relation"], case["returned"][0]["covering"]) == ("outside", None)


async def test_legs_in_chinese_and_a_report_inside(client: Client) -> None:
    case = await moved(client, await new_case(client, **report(lon=INSIDE[0])), "acknowledge")
    case = await moved(client, case, ("split_joint", {"legs": LEGS}))
    found = await client.get(f"{case['status_url']}/legs", headers={"Accept-Language": "zh-CN"})
    assert [leg["department_name"] for leg in found.json()["legs"]] == ["城管", "消防"]
    assert found.json()["legs"][1]["limit"]["text"].startswith("2 ")


async def line(engine: AsyncEngine, category: str, department: str, mode: str, cell: str = "") -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO dispatch.routing (jurisdiction, cell_code, category_code, department_code, mode,"
                " valid_from) VALUES ('410100', :cell, :category, :department, :mode, '2020-01-01Z')"
            ),
            {"cell": cell, "category": category, "department": department, "mode": mode},
        )


async def test_without_legs_the_matrix_names_the_departments(client: Client, engine: AsyncEngine) -> None:
    case = await new_case(client)
    kind = case["category"]["code"]
    await line(engine, kind[:3], "urban", "assist")
    await line(engine, kind, "fire", "assist")
    await line(engine, "", "health", "fallback")
    case = await moved(client, await new_case(client, ticket="by the matrix"), "acknowledge", "split_joint")
    # The line for the class itself is nearer than the one for its major class; the fallback owner is nobody's helper.
    assert [leg["department"] for leg in case["legs"]] == ["fire", "urban"]
    assert all(due(leg) == due(case) for leg in case["legs"])
    # Both have a leg: there is nobody left whom the matrix could name, and the answer says what to write.
    answer = await move(client, case, "split_joint")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/legs")
    case = await moved(client, case, ("split_joint", {"legs": [{"department": "health"}]}))
    assert len(case["legs"]) == 3
    # A department has one leg of a case at a time, whoever asks for the second and how.
    twice = await move(client, case, "split_joint", legs=[{"department": "health"}])
    assert (twice.status_code, twice.json()["code"]) == (409, "dispatch.leg_under_way")
    returned = await leg_move(client, case, 1, "leg_return", reason="不归我们管")
    assert returned.status_code == 200, returned.text
    again_to = await leg_move(client, case, 1, "leg_re_dispatch", department="health")
    assert (again_to.status_code, again_to.json()["code"]) == (409, "dispatch.leg_under_way")


async def test_a_department_that_assists_hears_of_the_case(client: Client, engine: AsyncEngine) -> None:
    first = await new_case(client)
    await line(engine, first["category"]["code"], "urban", "assist")
    case = await new_case(client, ticket="assisted")
    assert case["head"]["rank"] in {"A", "B"}
    async with write_unit(engine) as unit:
        await relay(unit, (LogNotifier(),), batch=50, most_attempts=8)
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT n.body_key, n.person_id = c.owner_person_id, n.person_id = (SELECT person_id"
                " FROM dispatch.appointment ORDER BY id DESC LIMIT 1) FROM dispatch.notification AS n"
                " JOIN dispatch.case_event AS e ON e.id = n.event_id JOIN dispatch.dispatch_case AS c"
                " ON c.id = e.case_id WHERE c.ref = :ref ORDER BY n.body_key"
            ),
            {"ref": case["case"]},
        )
        assert [tuple(row) for row in rows] == [("notice.assisting", False, True), ("notice.dispatched", True, False)]
