"""An invented grid as rows of a grid version, for benchmarks and tests that need a database."""

from __future__ import annotations

from collections.abc import Iterator

import shapely
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.tiling import Tiling
from geo.coordinates import SRID_WGS84
from geo.storage.grid_versions import (
    CellRecord,
    GridVersion,
    activate,
    copy_cells,
    create_draft,
    ensure_jurisdiction,
)
from geo.storage.uow import write_unit

__all__ = ["grid_rows", "load_grid"]

#: A cell of the deepest level. Units: m².
_AREA_M2 = 58_000.0


def grid_rows(tiling: Tiling) -> Iterator[CellRecord]:
    """Yield the cells of a tiling, parents first."""
    cells = {cell.cell_id: cell for cell in tiling.cells()}
    for cell in cells.values():
        path, above = [cell.code], cell.parent_id
        while above is not None:
            path.insert(0, cells[above].code)
            above = cells[above].parent_id
        boundary = shapely.set_srid(cell.boundary, SRID_WGS84)
        yield CellRecord(
            level=cell.level,
            code=cell.code,
            name_zh=f"网格{cell.code}",
            name_en=f"Cell {cell.code}",
            kind="ordinary",
            parent=path[-2] if len(path) > 1 else None,
            path=path,
            population=None,
            households=None,
            area_m2=_AREA_M2 * tiling.block ** (2 * (3 - cell.level)),
            boundary=shapely.to_wkb(boundary, hex=True, include_srid=True),
            label_point=shapely.to_wkb(shapely.centroid(boundary), hex=True, include_srid=True),
        )


async def load_grid(engine: AsyncEngine, jurisdiction: str, tiling: Tiling) -> GridVersion:
    """Store a tiling as the active version of a jurisdiction."""
    rows = list(grid_rows(tiling))
    async with write_unit(engine) as unit:
        await ensure_jurisdiction(unit, jurisdiction, time_zone="Asia/Shanghai", metric_srid=4547)
        draft = await create_draft(unit, jurisdiction, name="bench", code_system="free", source="bench")
        await copy_cells(unit, draft.id, rows, count=len(rows))
        return await activate(unit, draft.id)
