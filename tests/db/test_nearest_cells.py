"""The cells nearest to a point outside: the true ones by metres, whatever a degree is worth there, and by indexes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
import shapely
from pyproj import Geod
from sqlalchemy import text

from geo.coordinates import SRID_WGS84
from geo.locating import nearest_many
from geo.storage.grid_versions import CellRecord, copy_cells, create_draft, ensure_jurisdiction
from geo.storage.uow import WriteUnit
from tests.db.test_duty_plans import nodes

_BRUTE = """
SELECT code FROM geo.cell AS c
 WHERE version_id = :version AND NOT EXISTS (SELECT FROM geo.cell AS child WHERE child.parent_id = c.id)
 ORDER BY ST_Distance(boundary::geography, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography), code COLLATE "C"
 LIMIT 3
"""
Box = tuple[float, float, float, float]


async def fill(uow: WriteUnit, boxes: Sequence[Box], jurisdiction: str) -> int:
    """Store rectangles as the deepest cells of a draft; one parent holds them all and must never be named."""
    await ensure_jurisdiction(uow, jurisdiction, time_zone="Asia/Shanghai", metric_srid=4547)
    draft = await create_draft(uow, jurisdiction, name="", code_system="free", source="")
    records = [_record("top", None, shapely.box(*shapely.union_all([shapely.box(*box) for box in boxes]).bounds))]
    records += [_record(f"c{number:05d}", "top", shapely.box(*box)) for number, box in enumerate(boxes)]
    await copy_cells(uow, draft.id, records, count=len(records))
    return draft.id


def _record(code: str, parent: str | None, polygon: shapely.Polygon) -> CellRecord:
    shape = shapely.set_srid(shapely.MultiPolygon([polygon]), SRID_WGS84)
    return CellRecord(
        level=1 if parent is None else 2,
        code=code,
        name_zh="",
        name_en="",
        kind="ordinary",
        parent=parent,
        path=[code] if parent is None else [parent, code],
        population=None,
        households=None,
        area_m2=1.0,
        boundary=shapely.to_wkb(shape, hex=True, include_srid=True),
        label_point=shapely.to_wkb(shapely.set_srid(polygon.centroid, SRID_WGS84), hex=True, include_srid=True),
    )


@pytest.mark.parametrize("latitude", [3.0, 35.0, 53.0, -35.0, 78.0])
async def test_elongated_cells_at_any_latitude_are_ranked_as_by_brute_force(uow: WriteUnit, latitude: float) -> None:
    """Rows of flat cells in the north hide the nearest one in the east: there a degree is a fifth or more shorter."""
    rng = random.Random(int(latitude))
    # Twenty cells lie nearer in degrees to the north than any to the east; by metres the east wins from 35° on.
    boxes: list[Box] = [(0.01 * n, 0.100, 0.01 * n + 0.009, 0.102) for n in range(-10, 10)]
    boxes += [(0.102, 0.02 * n, 0.104, 0.02 * n + 0.019) for n in range(-5, 5)]
    boxes += [
        (x, y, x + rng.uniform(0.0005, 0.4), y + rng.uniform(0.0005, 0.05))
        for x, y in ((rng.uniform(-1.5, 1.5), rng.uniform(-0.8, 0.8)) for _ in range(60))
        if abs(x) > 0.6 or abs(y) > 0.2
    ]
    boxes = [(113.0 + west, latitude + south, 113.0 + east, latitude + north) for west, south, east, north in boxes]
    version = await fill(uow, boxes, "990001")
    ground = shapely.STRtree([shapely.box(*box) for box in boxes])
    points = [(113.0, latitude + 0.0005)]
    while len(points) < 60:
        x, y = 113.0 + rng.uniform(-2, 2), latitude + rng.uniform(-0.9, 0.9)
        if not len(ground.query(shapely.Point(x, y), predicate="intersects")):
            points.append((x, y))
    found = await nearest_many(uow, version, [x for x, _ in points], [y for _, y in points])  # type: ignore[arg-type]
    for (lon, lat), cells in zip(points, found, strict=True):
        brute = await uow.connection.execute(text(_BRUTE), {"version": version, "lon": lon, "lat": lat})
        assert [cell.code for cell in cells] == list(brute.scalars()), (lon, lat)
    if abs(latitude) >= 35:
        assert found[0][0].code >= "c00020", "the nearest by degrees lies in the north, by metres in the east"


async def test_the_distance_is_the_geodesic_one_to_an_edge_straight_in_degrees(uow: WriteUnit) -> None:
    """A side 1° long bends by 140 m when taken for a geodesic: a point 100 m north of it must not be told 0 m."""
    version = await fill(uow, [(113.0, 34.0, 114.0, 35.0)], "990001")
    (near,) = await nearest_many(uow, version, [113.5], [35.0009])  # type: ignore[arg-type]
    truth = Geod(ellps="WGS84").inv(113.5, 35.0009, 113.5, 35.0)[2]
    assert near[0].distance_m == pytest.approx(truth, abs=0.02)
    (far,) = await nearest_many(uow, version, [0.0], [0.0])  # type: ignore[arg-type]
    assert far[0].distance_m == pytest.approx(Geod(ellps="WGS84").inv(0, 0, 113.0, 34.0)[2], rel=0.01)


async def test_indexes_answer_near_and_far(uow: WriteUnit) -> None:
    """With a district's cells no step reads them all, neither 200 m outside nor 60 km."""
    step = 0.002
    boxes = [
        (113 + step * (n % 60), 34 + step * (n // 60), 113 + step * (n % 60 + 1), 34 + step * (n // 60 + 1))
        for n in range(3600)
    ]
    version = await fill(uow, boxes, "990001")
    await uow.connection.execute(text("ANALYZE geo.cell"))
    for lon, lat in ((112.998, 34.05), (112.5, 33.6), (0.0, 0.0)):
        explained = await uow.connection.scalar(
            text(
                "EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM"
                f" geo.nearest_cells({version}, ST_SetSRID(ST_MakePoint({lon}, {lat}), 4326), 3)"
            )
        )
        plan = json.loads(explained) if isinstance(explained, str) else explained
        read: list[dict[str, Any]] = [each for each in nodes(plan[0]["Plan"]) if each.get("Relation Name") == "cell"]
        assert {each["Node Type"] for each in read} <= {"Index Scan", "Index Only Scan"}, read
        rows = sum(
            (each["Actual Rows"] + each.get("Rows Removed by Filter", 0)) * each["Actual Loops"] for each in read
        )
        assert rows < 1_000, (lon, lat, rows)
