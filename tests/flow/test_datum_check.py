"""Does a channel send what it declares? Over HTTP, from the worker, and at the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import DEFAULT_SCOPES
from dispatch.datum import DatumDuty
from geo.coordinates import CoordSys, from_wgs84
from tests.builders import JURISDICTION, report
from tests.flow.conftest import Client

URL = "/v1/channels/hotline/datum-check"


async def send(client: Client, true: CoordSys, declared: str, count: int = 120, prefix: str = "T") -> None:
    """Send reports from all over the district."""
    rng = np.random.default_rng(11)
    lon, lat = rng.uniform(113.60, 113.64, count), rng.uniform(34.74, 34.78, count)
    x, y = from_wgs84(lon, lat, true)
    bodies = [
        report(ticket=f"{prefix}-{n}", lon=float(x[n]), lat=float(y[n]), coord_sys=declared) for n in range(count)
    ]
    for answer in await asyncio.gather(*(client.post("/v1/reports", json=body) for body in bodies)):
        assert answer.status_code == 201


async def test_a_wrong_declaration_is_found(client: Client) -> None:
    await send(client, CoordSys.GCJ02, "wgs84")
    answer = await client.get(URL)
    assert answer.status_code == 200
    body = answer.json()
    assert body["suspect"] is True
    (found,) = body["declared"]
    assert (found["coord_sys"], found["verdict"], found["suspected"]) == ("wgs84", "suspect", ["gcj02"])
    assert found["points"] == 120
    gcj02 = next(each for each in found["readings"] if each["reading"] == "gcj02")
    assert gcj02["fitting"] == found["places"] > found["fitting"]
    assert "GCJ-02" in found["advice"]
    chinese = (await client.get(URL, headers={"Accept-Language": "zh-CN"})).json()
    assert "高德" in chinese["declared"][0]["advice"]
    everyone = (await client.get("/v1/channels/datum-check")).json()
    assert [each["channel"] for each in everyone["channels"]] == ["hotline"]


async def test_a_right_declaration_is_left_alone(client: Client) -> None:
    await send(client, CoordSys.GCJ02, "gcj02")
    (found,) = (await client.get(URL)).json()["declared"]
    assert (found["coord_sys"], found["verdict"]) == ("gcj02", "fits")
    assert found["fitting"] == found["places"]


async def test_each_declared_system_is_judged_for_itself(client: Client) -> None:
    await send(client, CoordSys.WGS84, "wgs84", 60)
    await send(client, CoordSys.WGS84, "bd09", 100, prefix="B")
    reports = (await client.get(URL)).json()["declared"]
    assert {each["coord_sys"]: each["verdict"] for each in reports} == {"bd09": "suspect", "wgs84": "fits"}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("since=2026-05-01T00:00:00Z&until=2026-04-01T00:00:00Z", 400, "datum.period_empty"),
        ("since=yesterday", 422, "request.invalid"),
        ("since=2026-05-01T00:00:00", 422, "request.invalid"),
        ("limit=0", 422, "request.invalid"),
    ],
)
async def test_bad_questions(client: Client, query: str, status: int, code: str) -> None:
    answer = await client.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_who_may_ask(client: Client, make_key: Callable[..., Awaitable[str]]) -> None:
    key = {"Authorization": f"Bearer {await make_key('patrol', DEFAULT_SCOPES)}"}
    assert (await client.get("/v1/channels/patrol/datum-check", headers=key)).json()["declared"] == []
    assert (await client.get(URL, headers=key)).json()["code"] == "datum.channel_unknown"
    assert (await client.get("/v1/channels/nobody/datum-check")).status_code == 404


async def test_the_worker_keeps_the_verdict(client: Client, engine: AsyncEngine) -> None:
    await send(client, CoordSys.BD09, "wgs84")
    duty = DatumDuty(engine=engine, jurisdiction=JURISDICTION)
    assert [await duty.run_once(asyncio.Event()) for _ in range(2)] == [1, 0]
    query = "SELECT channel_code, declared, verdict, suspected, points FROM dispatch.channel_datum"
    async with engine.connect() as connection:
        rows: list[Any] = [tuple(row) for row in await connection.execute(text(query))]
    assert rows == [("hotline", "wgs84", "suspect", ["bd09"], 120)]


async def test_the_sender_is_warned(client: Client, engine: AsyncEngine) -> None:
    """A point that only another reading puts into the grid, and then the channel's whole habit."""
    inside = await client.post("/v1/reports", json=report(ticket="I", lon=113.61, lat=34.75, coord_sys="wgs84"))
    assert inside.json().get("warnings") in (None, [])
    edge = report(ticket="E", lon=113.6405, lat=34.76, coord_sys="wgs84")
    answer = (await client.post("/v1/reports", json=edge)).json()
    assert answer["out_of_grid"] is True
    assert [warning["code"] for warning in answer["warnings"]] == ["datum.point_fits_other"]
    assert "GCJ-02" in answer["warnings"][0]["detail"]
    far = (await client.post("/v1/reports", json=report(ticket="F", lon=116.4, lat=39.9, coord_sys="wgs84"))).json()
    assert far.get("warnings") in (None, [])
    await send(client, CoordSys.BD09, "wgs84")
    await DatumDuty(engine=engine, jurisdiction=JURISDICTION).run_once(asyncio.Event())
    app: Any = client._transport
    await app.app.state.container.reference.get(fresh=True)
    habit = await client.post(
        "/v1/reports",
        json=report(ticket="H", lon=113.61, lat=34.75, coord_sys="cgcs2000"),
        headers={"Accept-Language": "zh-CN"},
    )
    assert [warning["code"] for warning in habit.json()["warnings"]] == ["datum.channel_suspect"]
    assert "百度" in habit.json()["warnings"][0]["detail"]
