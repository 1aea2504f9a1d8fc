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


async def test_an_ambiguous_report_waits_for_a_person(client: Client) -> None:
    sure = (await client.post("/v1/reports", json=report(ticket="sure", accuracy_m=30))).json()
    assert (sure["status"], sure["accuracy"]["confirm_on_site"]) == ("dispatched", False)
    torn = report(ticket="torn", lon=CORNER[0], lat=CORNER[1], accuracy_m=30)
    answer = await client.post("/v1/reports", json=torn)
    assert answer.json()["status"] == "reported"
    assert answer.json()["accuracy"]["confirm_on_site"]
    assert len(answer.json()["accuracy"]["candidates"]) == 4
    assert (await client.post("/v1/reports", json=torn)).content == answer.content


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
