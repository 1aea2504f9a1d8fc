"""Offered repairs over HTTP: shown with their effect, taken one by one, recorded, taken back; never in silence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import Scope
from geo.storage.grid_versions import copy_cells, create_draft
from geo.storage.uow import write_unit
from tests.builders import JURISDICTION, cell_records

TOP = "410102001"
#: Four strips of a street office: 18 cm of nobody's land after the first, 27 cm of two masters after the third.
SLIPPED = {
    TOP: (113.60, 34.70, 113.64, 34.72),
    f"{TOP}001": (113.60, 34.70, 113.609998, 34.72),
    f"{TOP}002": (113.61, 34.70, 113.62, 34.72),
    f"{TOP}003": (113.62, 34.70, 113.630003, 34.72),
    f"{TOP}004": (113.63, 34.70, 113.64, 34.72),
}
STRIPS = {f"{TOP}00{n}" for n in range(1, 5)}


@pytest.fixture
async def path(engine: AsyncEngine, client: httpx.AsyncClient) -> str:
    """Add a draft whose cells miss each other by centimetres; return its address."""
    async with write_unit(engine) as unit:
        version = await create_draft(unit, JURISDICTION, name="slipped", code_system="free", source="test")
        records = cell_records(SLIPPED)
        await copy_cells(unit, version.id, records, count=len(records))
    return f"/v1/grid/versions/{version.number}"


async def shapes(engine: AsyncEngine) -> dict[str, str]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT c.code, ST_AsEWKB(c.boundary)::text || c.area_m2 || ST_AsText(c.label_point) AS shape"
                " FROM geo.cell AS c JOIN geo.grid_version AS v ON v.id = c.version_id WHERE v.name = 'slipped'"
            )
        )
        return {row.code: row.shape for row in rows}


def cells_of(repair: dict[str, Any]) -> set[str]:
    return {cell["code"] for cell in repair["cells"]}


async def test_offers_are_shown_taken_apart_recorded_and_undone(
    client: httpx.AsyncClient, engine: AsyncEngine, path: str
) -> None:
    drawn = await shapes(engine)
    listed = (await client.get(f"{path}/repairs")).json()
    assert listed["can_be_applied"] is True
    assert listed["before"]["findings"] == 2
    assert listed["after_all"]["is_proven"] is True
    assert listed["matched"] == len(listed["repairs"]) == 2, "the gap and the overlap are decided apart"
    overlap, gap = listed["repairs"]
    assert (cells_of(gap), cells_of(overlap)) <= (STRIPS, STRIPS)
    # 18 cm and 27 cm by 2.2 km: the land that changes hands is told in m² and drawn.
    assert (gap["moved_m2"], overlap["moved_m2"]) == (pytest.approx(407, rel=0.02), pytest.approx(610, rel=0.02))
    for repair, west in ((gap, 113.609998), (overlap, 113.63)):
        where = shapely.geometry.shape(repair["geometry"])
        assert where.bounds[0] == pytest.approx(west, abs=2e-7)
        moved = [(cell["gained_m2"], cell["lost_m2"]) for cell in repair["cells"]]
        assert sum(map(sum, moved)) == pytest.approx(repair["moved_m2"], rel=0.01)
        assert all(code in repair["sentence"] for code in cells_of(repair))
    assert await shapes(engine) == drawn, "looking changes nothing"
    on_map = await client.get(f"{path}/repairs", headers={"Accept": "application/geo+json", "Accept-Language": "zh-CN"})
    assert on_map.headers["content-type"].startswith("application/geo+json")
    assert {feature["id"] for feature in on_map.json()["features"]} == {gap["id"], overlap["id"]}
    assert "归属" in on_map.json()["features"][0]["properties"]["sentence"]

    done = await client.post(
        f"{path}/repairs",
        json={"repairs": [gap["id"]]},
        headers={"If-Match": f'"{listed["grid_version"]["revision"]}"'},
    )
    assert done.status_code == 200, done.text
    body = done.json()
    assert [one["id"] for one in body["applied"]] == [gap["id"]]
    assert (body["before"]["findings"], body["after"]["findings"], body["undoable"]) == (2, 1, 1)
    changed = {code for code, shape in (await shapes(engine)).items() if shape != drawn[code]}
    assert changed == cells_of(gap)
    left = (await client.get(f"{path}/coverage")).json()
    assert [finding["class"] for finding in left["findings"]] == ["overlap"]
    lineage = (await client.get(f"{path}/lineage")).json()["lineage"]
    assert {(row["operation"], row["from"], row["to"]) for row in lineage} == {
        ("repair", code, code) for code in cells_of(gap)
    }
    assert all(0.99 < row["share"] <= 1 and row["actor"].startswith("key:") for row in lineage)

    assert (await client.post(f"{path}/repairs", json={"repairs": [overlap["id"]]})).status_code == 200
    assert (await client.get(f"{path}/coverage")).json()["coverage"]["is_proven"] is True
    for _ in range(2):
        undone = await client.post(f"{path}/undo")
        assert undone.json()["undone"]["operation"] == "repair"
    assert await shapes(engine) == drawn
    assert (await client.get(f"{path}/lineage")).json()["lineage"] == []


async def test_what_was_not_seen_or_may_not_be_changed_is_refused(
    client: httpx.AsyncClient, path: str, make_key: Callable[..., Awaitable[str]]
) -> None:
    offers = (await client.get(f"{path}/repairs")).json()["repairs"]
    ids = [offer["id"] for offer in offers]
    stale = await client.post(f"{path}/repairs", json={"repairs": ids}, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "geo.draft_changed")
    assert (await client.post(f"{path}/repairs", json={"repairs": ids})).status_code == 200
    again = await client.post(f"{path}/repairs", json={"repairs": ids})
    assert (again.status_code, again.json()["code"]) == (409, "geo.repair_gone")
    assert again.json()["errors"][0]["pointer"] == "/repairs/0"
    none = (await client.get(f"{path}/repairs")).json()
    assert (none["matched"], none["repairs"]) == (0, [])
    for body in ({}, {"repairs": []}, {"repairs": ["x"]}, {"repairs": "all"}, {"repairs": ids, "snap_m": 1e9}):
        assert (await client.post(f"{path}/repairs", json=body)).status_code == 422, body
    for snap in ("nan", "0", "-1", "99", "x"):
        assert (await client.get(f"{path}/repairs?snap_m={snap}")).status_code == 422
    published = await client.post("/v1/grid/versions/1/repairs", json={"repairs": ids})
    assert (published.status_code, published.json()["code"]) == (409, "geo.version_not_draft")
    assert (await client.get("/v1/grid/versions/1/repairs")).json()["can_be_applied"] is False
    assert (await client.get("/v1/grid/versions/99/repairs")).status_code == 404
    reader = await make_key("other", (Scope.GRID_READ,))
    asked = {"Authorization": f"Bearer {reader}"}
    assert (await client.get(f"{path}/repairs", headers=asked)).status_code == 200
    assert (await client.post(f"{path}/repairs", json={"repairs": ids}, headers=asked)).status_code == 403


async def test_larger_land_is_nobodys_to_give_away(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """A gap 100 m wide is a decision, not a rounding error: nothing is offered."""
    wide = {
        TOP: SLIPPED[TOP],
        f"{TOP}001": (113.60, 34.70, 113.619, 34.72),
        f"{TOP}002": (113.62, 34.70, 113.64, 34.72),
    }
    async with write_unit(engine) as unit:
        version = await create_draft(unit, JURISDICTION, name="wide", code_system="free", source="test")
        await copy_cells(unit, version.id, cell_records(wide), count=len(wide))
    found = (await client.get(f"/v1/grid/versions/{version.number}/repairs")).json()
    assert (found["before"]["findings"], found["repairs"]) == (1, [])
