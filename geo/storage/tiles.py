"""Shapes for vector tiles: made once per version, level and band of zooms, and read by one statement per tile."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import shapely
from psycopg.rows import namedtuple_row
from sqlalchemy import text

from geo.errors import NotFoundError
from geo.storage.uow import Unit, WriteUnit
from geo.tiles import (
    BANDS,
    Band,
    LevelExtent,
    TileAddress,
    band_of,
    has_details,
    is_dense,
    layer_of,
    simplify_together,
    spatial_order,
    tiles_of,
    to_mercator,
)

__all__ = ["are_shapes_built", "build_band", "build_tile_shapes", "find_dense_tile", "read_extents", "read_tile"]

_EXTENTS = """
SELECT level, cells, mean_area_m2,
       ST_XMin(box) AS west, ST_YMin(box) AS south, ST_XMax(box) AS east, ST_YMax(box) AS north
  FROM (SELECT level, count(*) AS cells, avg(area_m2) AS mean_area_m2, ST_Extent(boundary) AS box
          FROM geo.cell WHERE version_id = :version_id GROUP BY level) AS levels
 ORDER BY level
"""
_CELLS = """
SELECT id, code, kind, name_zh, name_en, CASE WHEN level > 1 THEN path[level - 1] END AS parent,
       ST_AsBinary(boundary) AS boundary
  FROM geo.cell WHERE version_id = %s AND level = %s ORDER BY id
"""
_REVISION = "SELECT revision, number FROM geo.grid_version WHERE id = :id"
_COPY = (
    "COPY geo.cell_tile_shape"
    " (version_id, level, band, cell_id, code, kind, name_zh, name_en, parent, shape) FROM STDIN"
)
#: Stored once, sent often.
_PACK_HARD = 6


@cache
def tile_statement() -> str:
    """Return the text of ``tiles.sql``; read once per process."""
    return Path(__file__).with_name("tiles.sql").read_text(encoding="utf-8")


async def read_extents(unit: Unit, version_id: int) -> dict[int, LevelExtent]:
    """Return the levels that a version has, with the size of their cells. SRID: 4326."""
    rows = await unit.connection.execute(text(_EXTENTS), {"version_id": version_id})
    return {row.level: LevelExtent(**row._mapping) for row in rows}


async def are_shapes_built(unit: Unit, version_id: int, levels: Sequence[int], band: Band) -> bool:
    """Tell whether the shapes of these levels are there for a band."""
    found = await unit.connection.scalar(
        text(
            "SELECT count(*) FROM geo.tile_band"
            " WHERE version_id = :version_id AND band = :band AND level = ANY (:levels)"
        ),
        {"version_id": version_id, "band": band.number, "levels": list(levels)},
    )
    return bool(found == len(set(levels)))


async def build_tile_shapes(unit: WriteUnit, version_id: int) -> int:
    """Make the shapes of all levels and bands of a version, as far as they are not there yet.

    Tiles do this by themselves, band by band, when they are first asked for; calling it beforehand spares the first
    viewer the wait.

    Returns
    -------
    int
        How many shapes were written.
    """
    written = 0
    for extent in (await read_extents(unit, version_id)).values():
        for band in BANDS:
            written += await build_band(unit, version_id, extent, band)
    return written


async def build_band(unit: WriteUnit, version_id: int, extent: LevelExtent, band: Band) -> int:
    """Make the shapes of one level for one band of zooms, and its dense tiles; 0 when somebody else has done it.

    Notes
    -----
    The row in ``geo.tile_band`` is the lock: a second builder waits at its primary key for the first one's commit,
    and then finds nothing left to do. A version withdrawn meanwhile is a draft that may be drawn anew; its shapes must
    not outlive that, so the version's row is looked at again, and locked, before the commit.
    Cost: 20,000 cells in about 2 s, half of it COPY.
    """
    level = extent.level
    before = await unit.connection.execute(text(_REVISION), {"id": version_id})
    revision, number = before.one()
    claimed = await unit.connection.execute(
        text(
            "INSERT INTO geo.tile_band (version_id, level, band) VALUES (:version_id, :level, :band)"
            " ON CONFLICT DO NOTHING"
        ),
        {"version_id": version_id, "level": level, "band": band.number},
    )
    if claimed.rowcount == 0:
        return 0
    driver = await unit.driver()
    async with driver.cursor(row_factory=namedtuple_row, binary=True) as cursor:
        await cursor.execute(_CELLS, (version_id, level))
        cells = await cursor.fetchall()
        # Seconds of geometry for a city: the event loop has other things to do meanwhile.
        rows = await asyncio.to_thread(lambda: list(_rows(cells, version_id, level, band)))
        async with cursor.copy(_COPY) as stream:
            for row in rows:
                await stream.write_row(row)
    for zoom in range(band.least_zoom, band.most_zoom + 1):
        if is_dense(extent, zoom):
            await _draw_zoom(unit, version_id, extent, band, zoom)
    # SHARE: a withdrawal waits for our commit and then deletes what we made, or was first and is seen here.
    after = await unit.connection.execute(text(f"{_REVISION} FOR SHARE"), {"id": version_id})
    if after.one()[0] != revision:
        raise NotFoundError("tiles.version_is_draft", number=number)
    return len(cells)


async def _draw_zoom(unit: WriteUnit, version_id: int, extent: LevelExtent, band: Band, zoom: int) -> None:
    driver = await unit.driver()
    for address in tiles_of(extent, zoom):
        body = await read_tile(
            unit,
            version_id,
            layer_of(extent.level),
            (extent.level,),
            address,
            with_details=has_details(extent, zoom),
        )
        if body:
            packed = await asyncio.to_thread(gzip.compress, body, _PACK_HARD, mtime=0)
            await driver.execute(
                "INSERT INTO geo.dense_tile (version_id, level, band, zoom, x, y, body)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (version_id, extent.level, band.number, zoom, address.x, address.y, packed),
            )


async def find_dense_tile(unit: Unit, version_id: int, level: int, address: TileAddress) -> bytes | None:
    """Return a tile that was drawn beforehand, gzipped, or None when none was."""
    driver = await unit.driver()
    found = await driver.execute(
        "SELECT body FROM geo.dense_tile WHERE version_id = %s AND level = %s AND zoom = %s AND x = %s AND y = %s",
        (version_id, level, address.zoom, address.x, address.y),
        binary=True,
    )
    row = await found.fetchone()
    return bytes(row[0]) if row else None


def _rows(cells: Sequence[Any], version_id: int, level: int, band: Band) -> Iterator[tuple[object, ...]]:
    shapes = simplify_together(to_mercator(shapely.from_wkb([cell.boundary for cell in cells])), band)
    written = shapely.to_wkb(shapes, hex=True, include_srid=True)
    for place in spatial_order(shapes):
        cell = cells[place]
        yield (
            version_id,
            level,
            band.number,
            cell.id,
            cell.code,
            cell.kind,
            cell.name_zh,
            cell.name_en,
            cell.parent,
            written[place],
        )


async def read_tile(
    unit: Unit, version_id: int, layer: str, levels: Sequence[int], address: TileAddress, *, with_details: bool = True
) -> bytes:
    """Return a tile of cells (MVT, one layer); empty bytes when no cell is in it.

    Notes
    -----
    The shapes must have been built. Cost: about 2 µs per cell in the tile.
    """
    driver = await unit.driver()
    found = await driver.execute(
        tile_statement(),
        {
            "version": version_id,
            "layer": layer,
            "levels": list(levels),
            "band": band_of(address.zoom).number,
            "with_details": with_details,
            "zoom": address.zoom,
            "x": address.x,
            "y": address.y,
        },
        binary=True,
    )
    row = await found.fetchone()
    return bytes(row[0]) if row and row[0] else b""
