"""Reading the cells of a version for the coverage proof and for comparing files with it."""

from __future__ import annotations

import numpy as np
import shapely

from geo.coverage import CoverageCell
from geo.storage.uow import ReadUnit, WriteUnit

_CELLS = """
SELECT level, code, CASE WHEN level > 1 THEN path[level - 1] END, ST_AsBinary(boundary)
  FROM geo.cell WHERE version_id = %s ORDER BY level, code COLLATE "C"
"""
_CENTRES = "SELECT code, ST_X(label_point), ST_Y(label_point) FROM geo.cell WHERE version_id = %s"


async def read_coverage_cells(unit: ReadUnit | WriteUnit, version_id: int) -> list[CoverageCell]:
    """Return all cells of a version, parents first. SRID: 4326. Cost: the boundaries once over the connection."""
    driver = await unit.driver()
    async with driver.cursor(binary=True) as cursor:
        await cursor.execute(_CELLS, (version_id,))
        rows = await cursor.fetchall()
    shapes = shapely.from_wkb(np.array([row[3] for row in rows], dtype=object))
    return [
        CoverageCell(level=row[0], code=row[1], parent=row[2], boundary=shape)
        for row, shape in zip(rows, shapes, strict=True)
    ]


async def read_cell_centres(unit: ReadUnit | WriteUnit, version_id: int) -> dict[str, tuple[float, float]]:
    """Return the label points of a version's cells, ``(lon, lat)`` by code. SRID: 4326."""
    driver = await unit.driver()
    rows = await (await driver.execute(_CENTRES, (version_id,))).fetchall()
    return {code: (lon, lat) for code, lon, lat in rows}
