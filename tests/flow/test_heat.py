"""The planner's heat-map over a real database: counts, filters, suppression, refusals."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.uow import read_unit, write_unit
from maps.bins import Lattice
from maps.own_files import check_no_foreign
from tests.builders import EAST, JURISDICTION, L1, WEST, report
from tests.counting import HotspotFilter, bin_points, count_by_cell, count_cases
from tests.flow.conftest import Client

WEST_CELL, EAST_CELL = f"{WEST}001", f"{EAST}002"


async def fill(client: Client) -> None:
    """Nine rubbish cases in the west, six manhole covers in the east, one out of the grid."""
    for number in range(9):
        body = report(ticket=f"w{number}", lon=113.61 + number * 1e-4, lat=34.75)
        assert (await client.post("/v1/reports", json=body)).status_code == 201
    for number in range(6):
        body = report(ticket=f"e{number}", category="P0102", condition=1, lon=113.63, lat=34.745 + number * 1e-4)
        assert (await client.post("/v1/reports", json=body)).status_code == 201
    outside = report(ticket="o", lon=113.589, lat=34.75)
    assert (await client.post("/v1/reports", json=outside)).status_code == 201


async def asked(engine: AsyncEngine, *, category: str | None = None, level: int = 3) -> dict[str, int]:
    async with read_unit(engine) as unit:
        now = (await unit.connection.execute(text("SELECT now()"))).scalar_one()
        version = (await unit.connection.execute(text("SELECT id FROM geo.grid_version"))).scalar_one()
        chosen = HotspotFilter(
            jurisdiction=JURISDICTION,
            reported_from=now - timedelta(days=1),
            reported_until=now + timedelta(days=1),
            category=category,
        )
        counts = await count_by_cell(unit.connection, chosen, version_id=version, level=level)
        lattice = Lattice.at(34.76, side_m=50)
        squares = await bin_points(
            unit.connection, chosen, version_id=version, side_lon=lattice.side_lon, side_lat=lattice.side_lat
        )
        located = sum(counts.by_code.values())
        assert sum(square.cases for square in squares) == located
        parts = located + counts.out_of_grid + counts.no_position + counts.above_level + counts.other_version
        assert parts == await count_cases(unit.connection, chosen)
        return dict(counts.by_code)


async def test_counts_by_cell_category_and_level(client: Client, engine: AsyncEngine) -> None:
    await fill(client)
    assert await asked(engine) == {WEST_CELL: 9, EAST_CELL: 6}
    assert await asked(engine, level=2) == {WEST: 9, EAST: 6}
    assert await asked(engine, level=1) == {L1: 15}
    assert await asked(engine, category="P01") == {EAST_CELL: 6}  # the major class holds the minor one
    assert await asked(engine, category="E0110", level=1) == {L1: 9}
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("UPDATE dispatch.dispatch_case SET state = 'voided' WHERE ticket IN ('w0', 'e0')")
        )
    assert await asked(engine) == {WEST_CELL: 8, EAST_CELL: 5}


async def test_page_and_frame(client: Client) -> None:
    await fill(client)
    assert (await client.get("/maps?level=2")).headers["location"] == "/maps/heat?level=2"
    page = await client.get("/maps/heat")
    assert page.status_code == 200, page.text
    assert "Last 30 days, all categories" in page.text
    assert "Not on the map: &lt;5 outside the grid" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    address = re.search(r'src="(/maps/heat/frame\?[^"]*)" sandbox="allow-scripts"', page.text)
    assert address is not None
    frame = await client.get(address.group(1).replace("&amp;", "&"))
    assert frame.status_code == 200
    check_no_foreign(frame.text)
    assert frame.headers["content-security-policy"].endswith("sandbox allow-scripts")
    assert '"counts":[9,0,0,6]' in frame.text
    for path in re.findall(r'(?:src|href)="(/static/[^"]*)"', frame.text):
        assert (await client.get(path)).status_code == 200, path
    single = await client.get("/maps/heat/frame?inline=1&level=1&lang=zh-CN")
    check_no_foreign(single.text)
    assert "/static/" not in single.text
    assert '"counts":[15]' in single.text


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("from=2026-02-30", ["maps.bad_date"]),
        ("from=yesterday&to=1066-10-14", ["maps.bad_date", "maps.bad_date"]),
        ("from=2026-03-02&to=2026-03-01", ["maps.date_order"]),
        ("from=2001-01-01&to=2026-03-01", ["maps.period_too_long"]),
        ("category=X9&level=7", ["maps.unknown_category", "maps.unknown_level"]),
        ("level=³", ["maps.unknown_level"]),
    ],
)
@pytest.mark.parametrize("path", ["/maps/heat", "/maps/heat/frame"])
async def test_every_wrong_part_is_named_at_once(client: Client, path: str, query: str, codes: list[str]) -> None:
    answer = await client.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["code"] for error in answer.json()["errors"]] == codes
    page = await client.get(f"{path}?{query}", headers={"Accept": "text/html", "Accept-Language": "zh-CN"})
    assert page.status_code == 422
    assert page.text.count('<li class="typed">') == len(codes)


async def test_a_hostile_category_in_the_address_is_only_text(client: Client) -> None:
    page = await client.get("/maps/heat?category=<script>hurt()</script>", headers={"Accept": "text/html"})
    assert "<script>hurt" not in page.text


async def test_without_a_grid_the_page_says_what_to_do(client: Client, engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        await unit.connection.execute(text("UPDATE geo.grid_version SET valid_until = now()"))
    page = await client.get("/maps/heat", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "gridward import cells" in page.text
