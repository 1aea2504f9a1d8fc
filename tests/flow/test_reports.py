"""A report becomes a located, dispatched case in one call."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.coordinates import CoordSys, from_wgs84
from geo.storage.uow import write_unit
from tests.builders import CORNER, EAST, INSIDE, L1, OUTSIDE, WEST, report, send_on_leave
from tests.flow.conftest import Client


async def test_a_certain_report_is_located_dispatched_and_answered(client: Client, engine: AsyncEngine) -> None:
    answer = await client.post("/v1/reports", json=report())
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert [cell["code"] for cell in body["chain"]] == [L1, WEST, f"{WEST}001"]
    assert body["status"] == "dispatched"
    assert body["head"]["name"] == f"A-{WEST}001"
    assert body["head"]["why_code"] == "primary_on_duty"
    assert body["backup"]["name"] == f"B-{WEST}001"
    assert answer.headers["location"] == body["status_url"]
    case = (await client.get(body["status_url"])).json()
    assert case["due_at"] == body["due_at"]
    reported, due = (datetime.fromisoformat(case[name]) for name in ("reported_at", "due_at"))
    assert (due - reported).total_seconds() == 4 * 3600  # four urgent hours, whatever day it is
    assert case["events"][0]["moves"] == ["report", "accept", "file", "dispatch"]
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM dispatch.outbox"))).scalar() == 1


async def test_the_same_ticket_answers_the_same_case_byte_for_byte(client: Client) -> None:
    first = await client.post("/v1/reports", json=report())
    again = await client.post("/v1/reports", json=report())
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.content == first.content


async def test_the_same_ticket_with_another_body_is_a_mistake(client: Client) -> None:
    await client.post("/v1/reports", json=report())
    other = await client.post("/v1/reports", json=report(text="something else"))
    assert other.status_code == 422
    assert other.json()["code"] == "dispatch.ticket_reused"


async def test_fifty_copies_at_once_make_one_case(client: Client, engine: AsyncEngine) -> None:
    answers = await asyncio.gather(*(client.post("/v1/reports", json=report()) for _ in range(50)))
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM dispatch.dispatch_case"))).scalar() == 1


async def test_out_of_grid_is_taken_with_the_nearest_cells(client: Client) -> None:
    lon, lat = OUTSIDE
    body = (await client.post("/v1/reports", json=report(lon=lon, lat=lat))).json()
    assert body["out_of_grid"]
    assert body["status"] == "reported"
    assert body["chain"] == []
    assert body["head"] is None
    assert body["nearest"][0]["code"] == f"{WEST}001"
    assert body["nearest"][0]["distance_m"] == pytest.approx(1006, abs=3)
    assert (await client.get("/v1/cases?inbox=out_of_grid")).json()["cases"][0]["case"] == body["case"]


async def test_a_corner_belongs_to_one_cell_by_the_tie_rule(client: Client) -> None:
    lon, lat = CORNER
    body = (await client.post("/v1/reports", json=report(lon=lon, lat=lat))).json()
    assert body["chain"][-1]["code"] == min(f"{WEST}001", f"{WEST}003", f"{EAST}001", f"{EAST}002")
    located = (await client.get(f"/v1/locate?lon={lon}&lat={lat}&coord_sys=wgs84")).json()
    assert located["chain"] == body["chain"]


@pytest.mark.parametrize("coord_sys", list(CoordSys))
async def test_every_coordinate_system_finds_the_same_cell(client: Client, coord_sys: CoordSys) -> None:
    lon, lat = from_wgs84(*INSIDE, coord_sys)
    answer = await client.post("/v1/reports", json=report(lon=lon, lat=lat, coord_sys=coord_sys.value))
    body = answer.json()
    assert body["chain"][-1]["code"] == f"{WEST}001"
    assert (body["location"]["lon"], body["location"]["lat"]) == pytest.approx(INSIDE, abs=1e-7)


async def test_a_condition_in_doubt_waits_for_the_dispatcher(client: Client) -> None:
    body = (await client.post("/v1/reports", json=report(category="P0102"))).json()
    assert (body["status"], body["due_at"]) == ("reported", None)
    assert body["head"]["name"] == f"A-{WEST}001"
    move = {"move": "dispatch", "condition": 1}
    case = (await client.post(f"{body['status_url']}/moves", json=move, headers={"If-Match": '"1"'})).json()
    assert case["status"] == "dispatched"
    assert case["events"][-1]["moves"] == ["accept", "file", "dispatch"]
    assert case["due_at"] is not None


async def test_leave_hands_over_to_b_and_says_so(client: Client, engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        await send_on_leave(unit, f"A-{WEST}001")
    answer = await client.post("/v1/reports", json=report(), headers={"Accept-Language": "zh-CN"})
    body = answer.json()
    assert body["head"]["name"] == f"B-{WEST}001"
    assert body["head"]["why_code"] == "primary_on_leave"
    assert f"A-{WEST}001请假至" in body["head"]["why"]
    assert body["backup"]["cell"] == WEST


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"coord_sys": None}, "dispatch.coord_sys_required", "/coord_sys"),
        ({"coord_sys": "utm"}, "request.not_one_of", "/coord_sys"),
        ({"lon": None, "lat": None, "coord_sys": None}, "dispatch.no_position", "/lon"),
        ({"lat": None}, "dispatch.half_position", "/lat"),
        ({"lon": 34.75, "lat": 113.61}, "geo.axes_swapped", "/lon"),
        ({"lon": 181, "lat": 10}, "geo.longitude_out_of_range", "/lon"),
        ({"lon": "113.6"}, "request.not_a_number", "/lon"),
        ({"category": "Z9999"}, "dispatch.unknown_category", "/category"),
        ({"condition": 9}, "dispatch.unknown_condition", "/condition"),
        ({"ticket": ""}, "request.too_short", "/ticket"),
        ({"text": "x" * 4001}, "request.too_long", "/text"),
        ({"text": "a\x00b"}, "request.bad_character", "/text"),
        ({"phone": "138"}, "request.unknown_field", "/phone"),
    ],
)
async def test_bad_reports_name_the_field(client: Client, change: dict[str, object], code: str, pointer: str) -> None:
    answer = await client.post("/v1/reports", json=report(**change))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"code": code, "pointer": pointer}.items() <= answer.json()["errors"][0].items()


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"NaN", b'{"lon": 1e400}', b"[" * 100_000, b"\xff\xfe"])
async def test_raw_nonsense_is_never_a_5xx(client: Client, raw: bytes) -> None:
    answer = await client.post("/v1/reports", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_not_a_finite_number_is_told(client: Client) -> None:
    raw = b'{"ticket":"n","text":"t","category":"E0110","lon":NaN,"lat":1e400,"coord_sys":"wgs84","ledgers":["q"]}'
    answer = await client.post("/v1/reports", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    told = {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]}
    assert told == {
        "/lon": "request.not_finite",
        "/lat": "request.not_finite",
        "/ledgers/0": "dispatch.unknown_ledger",
    }


async def test_all_faults_at_once_in_the_callers_language(client: Client) -> None:
    answer = await client.post("/v1/reports", json={"lon": 1}, headers={"Accept-Language": "zh-CN"})
    assert {fault["pointer"] for fault in answer.json()["errors"]} >= {"/ticket", "/text", "/category"}
    assert answer.json()["errors"][0]["detail"].startswith("缺少")


async def test_swapped_axes_and_what_is_missing_are_told_together(client: Client) -> None:
    swapped = {"lon": 34.75, "lat": 113.64, "coord_sys": "wgs84"}
    faults = {"/ticket": "request.missing", "/lon": "geo.axes_swapped", "/accuracy_m": "request.out_of_range"}
    wanted = report(**swapped, accuracy_m=-1)
    del wanted["ticket"]
    answer = await client.post("/v1/reports", json=wanted)
    assert answer.status_code == 422
    assert {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]} == faults
    batch = await client.post("/v1/reports:batch", json={"reports": [wanted]})
    (one,) = batch.json()["results"]
    assert {fault["pointer"]: fault["code"] for fault in one["problem"]["errors"]} == faults
    asked = await client.get("/v1/locate", params={"lon": 34.75, "lat": 113.64, "accuracy_m": -1})
    told = {fault["pointer"]: fault["detail"] for fault in asked.json()["errors"]}
    assert told.keys() == {"/coord_sys", "/lon", "/accuracy_m"}
    assert told["/accuracy_m"].endswith("> 0.0")
    too_far = (await client.post("/v1/reports", json=report(lat=91))).json()["errors"]
    assert [(fault["pointer"], fault["code"]) for fault in too_far] == [("/lat", "geo.latitude_out_of_range")]
    many = await client.post("/v1/locate:batch", json={"coord_sys": "wgs84", "points": [0] * 10_001})
    assert many.json()["errors"][0]["code"] == "request.too_many_items"


async def test_faults_of_shape_and_of_meaning_are_told_together(client: Client) -> None:
    body = report(ticket="", category="NOPE", lon=999.0, ledgers=["nowhere"], more=1)
    pointers = [fault["pointer"] for fault in (await client.post("/v1/reports", json=body)).json()["errors"]]
    assert sorted(pointers) == ["/category", "/ledgers/0", "/lon", "/more", "/ticket"]
    # What cannot be read is not spoken of twice, and the rest of a place is asked for beside a missing ticket.
    pointers = [fault["pointer"] for fault in (await client.post("/v1/reports", json={"lon": "x"})).json()["errors"]]
    assert sorted(pointers) == ["/category", "/coord_sys", "/lat", "/lon", "/text", "/ticket"]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (
            {"lon": "x", "coord_sys": None},
            {"/lon": "request.not_a_number", "/coord_sys": "dispatch.coord_sys_required"},
        ),
        ({"lon": "x", "lat": 91}, {"/lon": "request.not_a_number", "/lat": "geo.latitude_out_of_range"}),
        ({"lat": None, "coord_sys": "utm"}, {"/lat": "dispatch.half_position", "/coord_sys": "request.not_one_of"}),
        (
            {"lat": None, "coord_sys": None},
            {"/lat": "dispatch.half_position", "/coord_sys": "dispatch.coord_sys_required"},
        ),
        ({"lon": 181, "lat": 91}, {"/lon": "geo.longitude_out_of_range", "/lat": "geo.latitude_out_of_range"}),
        (
            {"lon": 34.75, "lat": 113.61, "coord_sys": None},
            {"/lon": "geo.axes_swapped", "/coord_sys": "dispatch.coord_sys_required"},
        ),
        (
            {"lon": 34.75, "lat": 113.61, "coord_sys": "utm"},
            {"/lon": "geo.axes_swapped", "/coord_sys": "request.not_one_of"},
        ),
        (
            {"lon": "x", "reporter": {"phone": "abc"}},
            {"/lon": "request.not_a_number", "/reporter/phone": "reporter.bad_phone"},
        ),
        (
            {"reporter": {"name": 1, "phone": "abc"}},
            {"/reporter/name": "request.not_text", "/reporter/phone": "reporter.bad_phone"},
        ),
        ({"ledgers": [1, "nope"]}, {"/ledgers/0": "request.not_text", "/ledgers/1": "dispatch.unknown_ledger"}),
        ({"a/b": 1, "category": "Z9999"}, {"/a~1b": "request.unknown_field", "/category": "dispatch.unknown_category"}),
    ],
)
async def test_what_is_wrong_beside_what_cannot_be_read_is_told_at_once(
    client: Client, change: dict[str, object], faults: dict[str, str]
) -> None:
    answer = await client.post("/v1/reports", json=report(**change))
    assert answer.status_code == 422
    assert {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]} == faults
    batch = await client.post("/v1/reports:batch", json={"reports": [report(**change)]})
    assert {fault["pointer"]: fault["code"] for fault in batch.json()["results"][0]["problem"]["errors"]} == faults


async def test_a_body_too_large_is_refused_unread(client: Client) -> None:
    answer = await client.post("/v1/reports", content=b"x" * 2_000_000)
    assert answer.status_code == 413
    assert answer.json()["code"] == "request.too_large"
