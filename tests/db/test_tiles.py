"""Tiles on real PostGIS: shapes once per version, edges shared unit by unit, and the plan."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import mapbox_vector_tile
import pytest
import shapely

from bench._grid_rows import grid_rows
from bench.tiling import make_tiling
from geo.storage.grid_versions import GridVersion, activate, copy_cells, create_draft, ensure_jurisdiction
from geo.storage.tiles import (
    are_shapes_built,
    build_band,
    build_tile_shapes,
    find_dense_tile,
    read_extents,
    read_tile,
    tile_statement,
)
from geo.storage.uow import WriteUnit
from geo.tiles import BANDS, TileAddress, band_of, tiles_of
from tests.builders import JURISDICTION

TILING = make_tiling(60, 45)


@pytest.fixture
async def version(uow: WriteUnit) -> GridVersion:
    await ensure_jurisdiction(uow, JURISDICTION, time_zone="Asia/Shanghai", metric_srid=4547)
    draft = await create_draft(uow, JURISDICTION, name="tiles", code_system="free", source="test")
    rows = list(grid_rows(TILING))
    await copy_cells(uow, draft.id, rows, count=len(rows))
    return await activate(uow, draft.id)


def decode(body: bytes, layer: str) -> dict[str, Any]:
    """Decode in the tile's own units, y down."""
    found = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})
    assert list(found) == [layer]
    assert found[layer]["extent"] == 4096
    return {feature["properties"]["code"]: feature for feature in found[layer]["features"]}


def segments(features: dict[str, Any]) -> Counter[tuple[tuple[int, int], tuple[int, int]]]:
    """Count every directed edge; what two neighbours share runs once each way."""
    found: Counter[tuple[tuple[int, int], tuple[int, int]]] = Counter()
    for feature in features.values():
        shape = shapely.geometry.shape(feature["geometry"])
        for polygon in shapely.get_parts(shape):
            for ring in (polygon.exterior, *polygon.interiors):
                places = [(int(x), int(y)) for x, y in ring.coords]
                found.update((a, b) for a, b in itertools.pairwise(places) if a != b)
    return found


def inside(place: tuple[int, int]) -> bool:
    return 0 < place[0] < 4096 and 0 < place[1] < 4096


@pytest.mark.parametrize("zoom", [9, 10, 11, 12, 13, 14, 16])
async def test_edges_stay_shared_unit_by_unit(uow: WriteUnit, version: GridVersion, zoom: int) -> None:
    extent = (await read_extents(uow, version.id))[3]
    await build_band(uow, version.id, extent, band_of(zoom))
    # A tile in the middle: every edge inside it lies between two cells.
    middle = list(tiles_of(extent, zoom))
    address = middle[len(middle) // 2]
    features = decode(await read_tile(uow, version.id, "cells-3", (3,), address), "cells-3")
    assert features
    found = segments(features)
    assert max(found.values()) == 1, "no edge twice in the same direction: nothing overlaps"
    bounds = shapely.box(*_units(extent, address))
    hidden = [
        edge
        for edge in found
        if edge[::-1] not in found and inside(edge[0]) and inside(edge[1]) and _well_inside(bounds, edge)
    ]
    assert hidden == [], "an edge without its twin is a slit"
    if zoom >= 11:
        assert all(shapely.geometry.shape(feature["geometry"]).is_valid for feature in features.values())


def _units(extent: Any, address: TileAddress) -> tuple[float, float, float, float]:
    def x(lon: float) -> float:
        return ((lon + 180) / 360 * 2**address.zoom - address.x) * 4096

    def y(lat: float) -> float:
        angle = math.asinh(math.tan(math.radians(lat)))
        return ((1 - angle / math.pi) / 2 * 2**address.zoom - address.y) * 4096

    return x(extent.west), y(extent.north), x(extent.east), y(extent.south)


def _well_inside(bounds: Any, edge: tuple[tuple[int, int], tuple[int, int]]) -> bool:
    # The outermost cells bulge by some hundredths of a degree; only what is clearly inland must have a twin.
    margin = max(bounds.bounds[2] - bounds.bounds[0], bounds.bounds[3] - bounds.bounds[1]) / 60
    inland = bounds.buffer(-margin)
    return bool(inland.covers(shapely.LineString(edge)))


async def test_a_tile_says_what_it_shows(uow: WriteUnit, version: GridVersion) -> None:
    extents = await read_extents(uow, version.id)
    assert [extents[level].cells for level in (1, 2, 3)] == [6, 108, 2700]
    assert await build_tile_shapes(uow, version.id) == (6 + 108 + 2700) * len(BANDS)
    assert await build_tile_shapes(uow, version.id) == 0, "there already"
    assert await are_shapes_built(uow, version.id, (1, 2, 3), BANDS[0])
    address = next(tiles_of(extents[3], 14))
    near = decode(await read_tile(uow, version.id, "cells", (1, 2, 3), address), "cells")
    assert {feature["properties"]["level"] for feature in near.values()} == {1, 2, 3}
    code, cell = next((code, cell) for code, cell in near.items() if cell["properties"]["level"] == 3)
    assert cell["properties"] == {
        "code": code,
        "level": 3,
        "kind": "ordinary",
        "parent": code[:-4],
        "name_zh": f"网格{code}",
        "name_en": f"Cell {code}",
    }
    assert isinstance(cell["id"], int)
    far = decode(await read_tile(uow, version.id, "cells-3", (3,), address, with_details=False), "cells-3")
    assert set(far[code]["properties"]) == {"code", "level"}
    assert await read_tile(uow, version.id, "cells-3", (3,), TileAddress(zoom=14, x=0, y=0)) == b""
    assert await read_tile(uow, version.id, "cells-3", (), address) == b""


async def test_dense_tiles_are_drawn_beforehand(uow: WriteUnit, version: GridVersion) -> None:
    """They equal what would be drawn now."""
    extent = (await read_extents(uow, version.id))[3]
    await build_band(uow, version.id, extent, band_of(10))
    whole = 0
    for address in tiles_of(extent, 10):
        drawn = await find_dense_tile(uow, version.id, 3, address)
        assert drawn is not None
        now = await read_tile(uow, version.id, "cells-3", (3,), address, with_details=False)
        assert gzip.decompress(drawn) == now
        whole += len(decode(now, "cells-3"))
    assert whole >= 2700
    assert await find_dense_tile(uow, version.id, 3, TileAddress(zoom=10, x=0, y=0)) is None


async def test_the_plan_goes_through_the_index(uow: WriteUnit, version: GridVersion) -> None:
    """Version, band, level and place are all conditions of one index; nothing is compared after the fact."""
    extents = await read_extents(uow, version.id)
    await build_tile_shapes(uow, version.id)
    driver = await uow.driver()
    address = next(tiles_of(extents[3], 14))
    values = {
        "version": version.id,
        "layer": "cells-3",
        "levels": [3],
        "band": 4,
        "with_details": True,
        "zoom": 14,
        "x": address.x,
        "y": address.y,
    }
    for analysed in (False, True):
        if analysed:
            await driver.execute("ANALYZE geo.cell_tile_shape")
        rows = await (await driver.execute("EXPLAIN (FORMAT json) " + tile_statement(), values)).fetchall()
        nodes = list(_nodes(rows[0][0][0]["Plan"]))
        scans = [node for node in nodes if node.get("Relation Name") == "cell_tile_shape"]
        assert [scan["Node Type"] for scan in scans] in (["Index Scan"], ["Bitmap Heap Scan"]), json.dumps(scans)
        used = [node for node in nodes if node.get("Index Name") == "ix_cell_tile_shape_place"]
        assert len(used) == 1
        for part in ("version_id", "band", "level", "&&"):
            assert part in used[0]["Index Cond"]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from _nodes(below)
