"""`GET /v1/locate` and `POST /v1/locate:batch`: now from memory, at any instant from SQL, with uncertainty."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.container import Container
from geo.coordinates import CoordSys, from_wgs84
from geo.storage.uow import write_unit
from tests.builders import CORNER, EAST, INSIDE, L1, OUTSIDE, WEST, person_id, report, send_on_leave
from tests.flow.conftest import Client

HERE = {"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84"}


def container_of(client: Client) -> Container:
    container: Container = client._transport.app.state.container  # type: ignore[attr-defined]
    return container


async def test_memory_and_sql_give_the_same_answer(client: Client) -> None:
    live = container_of(client).live
    await live.index.ready()
    for point in (INSIDE, CORNER, OUTSIDE, (113.62, 34.75)):
        asked = {"lon": point[0], "lat": point[1], "coord_sys": "wgs84"}
        assert live.index.at(datetime.now(UTC)) is not None
        from_memory = (await client.get("/v1/locate", params=asked)).json()
        from_sql = (await client.get("/v1/locate", params=asked | {"at": datetime.now(UTC).isoformat()})).json()
        assert from_sql.pop("at")
        assert from_memory == from_sql


async def test_memory_is_what_answers(client: Client, engine: AsyncEngine) -> None:
    """With the database's functions gone, a question about now is answered all the same."""
    await container_of(client).live.index.ready()
    assert (await client.get("/v1/locate", params=HERE)).status_code == 200
    async with write_unit(engine) as unit:
        await unit.connection.execute(text("ALTER FUNCTION geo.covering_cell RENAME TO gone"))
    answer = await client.get("/v1/locate", params=HERE)
    assert [cell["code"] for cell in answer.json()["chain"]] == [L1, WEST, f"{WEST}001"]


async def test_the_short_way_answers_as_the_route_does(client: Client) -> None:
    """A number with an escaped point goes the long way: same bytes, same headers; errors come from one place."""
    await container_of(client).live.index.ready()
    gcj = from_wgs84(*INSIDE, CoordSys.GCJ02)
    for (lon, lat), system in (
        (INSIDE, "wgs84"),
        (CORNER, "cgcs2000"),
        (INSIDE, "bd09"),
        (gcj, "gcj02"),
        (OUTSIDE, "wgs84"),
    ):
        short_way = f"/v1/locate?lat={lat!r}&coord_sys={system}&lon={lon!r}"
        long_way = f"/v1/locate?lon={lon!r}&lat={lat!r}&coord_sys={system}".replace(".", "%2E")
        for language in ("en", "zh-CN", "en"):
            said = {"Accept-Language": language}
            long = await client.get(long_way, headers=said)
            # The second time from what was kept of the first.
            for _ in range(2):
                short = await client.get(short_way, headers=said)
                assert (short.status_code, short.content) == (200, long.content)
                assert short.headers == long.headers
    for query in (
        "lon=1_13&lat=34.75&coord_sys=wgs84",
        "lon=nan&lat=34.75&coord_sys=wgs84",
        "lon=34.75&lat=113.61&coord_sys=wgs84",
        "lon=181&lat=34.75&coord_sys=wgs84",
        "lon=&lat=34.75&coord_sys=wgs84",
        "lon=113.61&lat=34.75&coord_sys=mars",
        "lon=113.61&lat=34.75",
        "lon=1&lat=2&lat=3&coord_sys=wgs84",
        "lon=113.61&lon=113.62&coord_sys=wgs84",
    ):
        refused = await client.get(f"/v1/locate?{query}")
        escaped = await client.get(f"/v1/locate?{query.replace('3', '%33')}")
        assert refused.status_code in (200, 422), query
        assert (refused.status_code, refused.content) == (escaped.status_code, escaped.content)
    stranger = await client.get("/v1/locate", params=HERE, headers={"Authorization": "Bearer gw_0000_nobody"})
    assert stranger.status_code == 401


async def test_what_is_kept_of_an_answer_follows_the_roster(client: Client, engine: AsyncEngine) -> None:
    """An answer kept in bytes is given again only while the same people answer."""
    await container_of(client).live.index.ready()
    for _ in range(3):
        assert (await client.get("/v1/locate", params=HERE)).json()["head"]["name"] == f"A-{WEST}001"
    async with write_unit(engine) as unit:
        await send_on_leave(unit, f"A-{WEST}001")
    await asyncio.sleep(1.0)
    for _ in range(3):
        assert (await client.get("/v1/locate", params=HERE)).json()["head"]["name"] == f"B-{WEST}001"


async def test_leave_and_appointments_act_within_a_second(client: Client, engine: AsyncEngine) -> None:
    await container_of(client).live.index.ready()
    assert (await client.get("/v1/locate", params=HERE)).json()["head"]["name"] == f"A-{WEST}001"
    async with write_unit(engine) as unit:
        await send_on_leave(unit, f"A-{WEST}001")
    await asyncio.sleep(1.0)
    assert (await client.get("/v1/locate", params=HERE)).json()["head"]["name"] == f"B-{WEST}001"
    async with write_unit(engine) as unit:
        await unit.connection.execute(text("DELETE FROM dispatch.leave"))
    await asyncio.sleep(1.0)
    assert (await client.get("/v1/locate", params=HERE)).json()["head"]["name"] == f"A-{WEST}001"


async def test_a_report_never_goes_to_somebody_whose_leave_is_committed(client: Client, engine: AsyncEngine) -> None:
    """Without waiting for any notification: the writing statement checks what the process knows."""
    await container_of(client).live.index.ready()
    for number in range(5):
        async with write_unit(engine) as unit:
            await send_on_leave(unit, f"A-{WEST}001")
        away = await client.post("/v1/reports", json=report(ticket=f"a{number}"))
        async with write_unit(engine) as unit:
            await unit.connection.execute(text("DELETE FROM dispatch.leave"))
        back = await client.post("/v1/reports", json=report(ticket=f"b{number}"))
        assert away.json()["head"]["name"] == f"B-{WEST}001"
        assert back.json()["head"]["name"] == f"A-{WEST}001"


async def test_as_of_answers_cell_and_person_of_that_instant(client: Client, engine: AsyncEngine) -> None:
    noon = datetime(2026, 3, 1, 4, tzinfo=UTC)
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute(
            "INSERT INTO dispatch.leave (person_id, starts_at, ends_at) VALUES (%s, %s, %s)",
            (person_id(f"A-{WEST}001"), noon, noon + timedelta(days=1)),
        )
    names = {}
    for at in (noon - timedelta(seconds=1), noon, noon + timedelta(days=1)):
        answer = (await client.get("/v1/locate", params=HERE | {"at": at.isoformat()})).json()
        names[at] = answer["head"]["name"]
    assert list(names.values()) == [f"A-{WEST}001", f"B-{WEST}001", f"A-{WEST}001"]
    before = (await client.get("/v1/locate", params=HERE | {"at": "2019-01-01T00:00:00Z"})).json()
    assert (before["chain"], before["grid_version"], before["head"]) == ([], None, None)


async def test_where_nobody_is_responsible_the_answer_says_why(client: Client, engine: AsyncEngine) -> None:
    """A gap in persons is told, one by one and in a batch, in the caller's language; it is no gap in the answer."""
    noon = datetime(2026, 3, 1, 4, tzinfo=UTC)
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute(
            "INSERT INTO dispatch.leave (person_id, starts_at, ends_at) SELECT id, %s, %s FROM dispatch.person",
            (noon, noon + timedelta(days=1)),
        )
        await driver.execute(
            "UPDATE dispatch.appointment SET valid_until = %s WHERE valid_from < %s",
            (noon + timedelta(days=2), noon),
        )
    point = {"lon": HERE["lon"], "lat": HERE["lat"]}
    for days, code, words in ((0.5, "none_on_duty", "on leave or off duty"), (2.5, "all_vacant", "vacant")):
        at = (noon + timedelta(days=days)).isoformat()
        one = (await client.get("/v1/locate", params=HERE | {"at": at}, headers={"Accept-Language": "en"})).json()
        assert (one["head"], one["nobody"]["why_code"]) == (None, code)
        assert one["chain"]
        assert words in one["nobody"]["why"]
        asked = {"coord_sys": "wgs84", "at": at, "points": [point]}
        (many,) = (await client.post("/v1/locate:batch", json=asked)).json()["results"]
        assert many["nobody"]["why_code"] == code
    between = (await client.get("/v1/locate", params=HERE | {"at": (noon + timedelta(days=1.5)).isoformat()})).json()
    assert between["head"]["name"] == f"A-{WEST}001"
    assert "nobody" not in between


@pytest.mark.parametrize(
    ("at", "status", "code"),
    [
        ("2026-03-01T12:00:00", 422, "request.time_without_zone"),
        ("2026-03-01T12:00:00+08:00", 200, None),
        ("yesterday", 422, "request.not_a_time"),
    ],
)
async def test_an_instant_needs_its_zone(client: Client, at: str, status: int, code: str | None) -> None:
    # Unencoded on purpose: a plus sign arrives as a space.
    answer = await client.get(f"/v1/locate?lon={INSIDE[0]}&lat={INSIDE[1]}&coord_sys=wgs84&at={at}")
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["errors"][0]["code"] == code


async def test_uncertainty_ranks_the_cells_of_the_circle(client: Client) -> None:
    sure = (await client.get("/v1/locate", params=HERE | {"accuracy_m": 50})).json()["accuracy"]
    assert not sure["confirm_on_site"]
    assert [(cell["code"], cell["share"]) for cell in sure["candidates"]] == [(f"{WEST}001", 1.0)]
    # The cell reaches 0.01 degrees to each side; a degree of longitude is the shorter one.
    assert sure["boundary_m"] == pytest.approx(915, abs=10)
    corner = {"lon": CORNER[0], "lat": CORNER[1], "coord_sys": "wgs84", "accuracy_m": 80}
    torn = (await client.get("/v1/locate", params=corner)).json()["accuracy"]
    assert torn["confirm_on_site"]
    assert torn["boundary_m"] == 0
    assert {cell["code"] for cell in torn["candidates"]} == {
        f"{WEST}001", f"{WEST}003", f"{EAST}001", f"{EAST}002"
    }  # fmt: skip
    assert all(cell["share"] == pytest.approx(0.25, abs=0.01) for cell in torn["candidates"])
    edge = {"lon": 113.60, "lat": 34.75, "coord_sys": "wgs84", "accuracy_m": 100}
    half = (await client.get("/v1/locate", params=edge)).json()["accuracy"]
    assert half["outside_share"] == pytest.approx(0.5, abs=0.01)
    assert (await client.get("/v1/locate", params=HERE | {"accuracy_m": 0})).status_code == 422


async def test_an_ambiguous_report_waits_for_a_person(client: Client, engine: AsyncEngine) -> None:
    sure = (await client.post("/v1/reports", json=report(ticket="sure", accuracy_m=30))).json()
    assert (sure["status"], sure["accuracy"]["confirm_on_site"]) == ("dispatched", False)
    torn = report(ticket="torn", lon=CORNER[0], lat=CORNER[1], accuracy_m=30)
    answer = await client.post("/v1/reports", json=torn)
    assert answer.json()["status"] == "reported"
    assert answer.json()["accuracy"]["confirm_on_site"]
    assert len(answer.json()["accuracy"]["candidates"]) == 4
    assert (await client.post("/v1/reports", json=torn)).content == answer.content
    waiting = (await client.get("/v1/cases?inbox=to_dispatch")).json()["cases"]
    assert [(case["ticket"], case["accuracy_m"], case["confirm_on_site"]) for case in waiting] == [("torn", 30.0, True)]
    detail = (await client.get(f"/v1/cases/{answer.json()['case']}")).json()
    assert detail["accuracy"] == answer.json()["accuracy"]
    # The point's own cell by the tie rule; that the others are as likely is what the desk reads.
    assert detail["chain"][-1]["code"] == f"{WEST}001"
    assert "30 m off" in detail["events"][0]["text"]
    assert "any of 4 cells" in detail["events"][0]["text"]
    chinese = await client.get(f"/v1/cases/{answer.json()['case']}", headers={"Accept-Language": "zh-CN"})
    assert "请现场确认" in chinese.json()["accuracy"]["reason"]
    moved = await client.post(
        f"/v1/cases/{answer.json()['case']}/moves",
        json={"move": "accept"},
        headers={"If-Match": f'"{detail["version"]}"'},
    )
    assert moved.status_code == 200, moved.text
    async with engine.connect() as connection:
        kept = await connection.execute(
            text(
                "SELECT ticket, accuracy_m, confirm_on_site, owner_post_id FROM dispatch.dispatch_case ORDER BY ticket"
            )
        )
        sure_row, torn_row = kept.all()
    assert tuple(sure_row)[:3] == ("sure", 30.0, False)
    assert sure_row.owner_post_id is not None
    assert tuple(torn_row) == ("torn", 30.0, True, None)


async def test_many_circles_at_once_have_the_shares_they_have_alone(client: Client) -> None:
    places = [INSIDE, CORNER, (113.6001, 34.75), (113.59999, 34.75), (113.62, 34.75), (113.61, 34.7599), OUTSIDE]
    bodies = [
        report(ticket=f"c{number}", lon=lon, lat=lat, accuracy_m=60.0 + number)
        for number, (lon, lat) in enumerate(places)
    ]
    together = await asyncio.gather(*(client.post("/v1/reports", json=body) for body in bodies))
    for body, answer in zip(bodies, together, strict=True):
        alone = {name: body[name] for name in ("lon", "lat", "coord_sys", "accuracy_m")}
        expected = (await client.get("/v1/locate", params=alone)).json()["accuracy"]
        assert answer.json()["accuracy"] == expected
        assert sum(cell["share"] for cell in expected["candidates"]) + expected["outside_share"] == pytest.approx(
            1, abs=5e-4
        )
    by_ticket = {answer.json()["ticket"]: answer.json() for answer in together}
    assert [by_ticket[f"c{number}"]["status"] == "dispatched" for number in range(7)] == [
        True, False, False, False, False, False, False
    ]  # fmt: skip
    # Out of grid and yet not lost: the cell that reaches into the circle is named with its share.
    beyond = by_ticket["c3"]
    assert beyond["out_of_grid"]
    assert [cell["code"] for cell in beyond["accuracy"]["candidates"]] == [f"{WEST}001"]
    assert by_ticket["c6"]["accuracy"]["candidates"] == []
    assert "no cell" in by_ticket["c6"]["accuracy"]["reason"]


@pytest.mark.parametrize("accuracy", [0, -5, 1e300, "30", True, 5000.1, [30], "near"])
async def test_a_bad_accuracy_is_named(client: Client, accuracy: object) -> None:
    answer = await client.post("/v1/reports", json=report(ticket="bad", accuracy_m=accuracy))
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/accuracy_m"]


async def test_a_tiny_circle_on_an_edge_is_a_circle(client: Client) -> None:
    corner = {"lon": CORNER[0], "lat": CORNER[1], "coord_sys": "wgs84", "accuracy_m": 1e-300}
    torn = (await client.get("/v1/locate", params=corner)).json()["accuracy"]
    assert [cell["share"] for cell in torn["candidates"]] == pytest.approx([0.25] * 4, abs=0.01)


async def test_the_location_is_snapped_and_the_raw_pair_kept(client: Client, engine: AsyncEngine) -> None:
    lon, lat = from_wgs84(113.6112345678, 34.7512345678, CoordSys.GCJ02)
    await client.post("/v1/reports", json=report(lon=lon, lat=lat, coord_sys="gcj02"))
    async with engine.connect() as connection:
        row = (
            await connection.execute(
                text("SELECT ST_X(location), ST_Y(location), raw_x, raw_y FROM dispatch.dispatch_case")
            )
        ).one()
    assert tuple(row) == (113.6112346, 34.7512346, lon, lat)


async def test_a_batch_gives_each_point_its_answer_or_its_error(client: Client) -> None:
    points = [
        {"id": "a", "lon": INSIDE[0], "lat": INSIDE[1]},
        {"id": 2, "lon": OUTSIDE[0], "lat": OUTSIDE[1]},
        {"lon": INSIDE[1], "lat": INSIDE[0]},
        {"id": "x", "lon": "113.6", "lat": 34.7},
        {"lat": 34.7},
        "nonsense",
        {"lon": 10**400, "lat": 34.7},
    ]
    for at in (None, datetime.now(UTC).isoformat()):
        answer = await client.post("/v1/locate:batch", json={"coord_sys": "wgs84", "points": points, "at": at})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        results = body["results"]
        assert results[0]["chain"] == [L1, WEST, f"{WEST}001"]
        assert results[0]["id"] == "a"
        assert results[0]["head"]["name"] == f"A-{WEST}001"
        assert (results[1]["how"], results[1]["chain"], results[1]["head"]) == ("out_of_grid", [], None)
        assert [result["error"]["code"] for result in results[2:]] == [
            "geo.axes_swapped",
            "request.not_a_number",
            "request.missing",
            "request.not_an_object",
            "geo.coordinate_not_finite",
        ]
        assert body["errors"] == 5
        assert set(body["cells"]) == {L1, WEST, f"{WEST}001"}
    many = {"coord_sys": "wgs84", "points": [points[0]] * 10_000}
    assert len((await client.post("/v1/locate:batch", json=many)).json()["results"]) == 10_000
    assert (await client.post("/v1/locate:batch", json=many | {"points": [1] * 10_001})).status_code == 422
