"""Cells of active versions as maps need them, kept in the process: a version never changes once it is active."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

import shapely
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.concurrency import run_in_threadpool

from geo.storage.cell_shapes import CellShape, read_cell_shapes, read_metric_srid
from geo.storage.uow import Unit
from maps.density import project_points
from maps.hotspots.neighbours import Kind, Neighbours, contiguous, nearest, within
from maps.outline import EncodedOutlines, encode_outlines

__all__ = ["DISTANCE_M", "NEAREST", "CellShapes", "read_shapes"]

#: Neighbours of a cell: so many nearest, or all within so far.
NEAREST: Final = 6
DISTANCE_M: Final = 1000.0
#: A redraw brings a new version; the one before may still be asked for by requests on their way.
_VERSIONS: Final = 2
_AREAS: Final = 32


class CellShapes:
    """The cells of one version.

    Attributes
    ----------
    levels, cells
        The levels there are, and the cells of each in the order of their codes.
    by_code
        Every cell.
    metric_srid
        Projected system of the jurisdiction.
    middle_lat
        Latitude of the middle of the extent. SRID: 4326.
    """

    def __init__(self, shapes: Sequence[CellShape], metric_srid: int) -> None:
        by_level: dict[int, list[CellShape]] = {}
        for shape in shapes:
            by_level.setdefault(shape.level, []).append(shape)
        self.levels: tuple[int, ...] = tuple(sorted(by_level))
        self.cells: Mapping[int, Sequence[CellShape]] = by_level
        self.by_code: Mapping[str, CellShape] = {shape.code: shape for shape in shapes}
        self.metric_srid = metric_srid
        top = shapely.from_wkb([cell.boundary for cell in by_level[self.levels[0]]])
        _, south, _, north = shapely.total_bounds(top)
        self.middle_lat = float(south + north) / 2
        self._outlines: dict[int, EncodedOutlines] = {}
        self._neighbours: dict[tuple[int, Kind], Neighbours] = {}
        self._lock = asyncio.Lock()
        self._parts: OrderedDict[str, CellShapes] = OrderedDict()

    def part(self, area: str) -> CellShapes:
        """Return the cells in an area as if they were all there are; the last few areas are kept."""
        if area not in self._parts:
            inside = [cell for cells in self.cells.values() for cell in cells if area in cell.path]
            self._parts[area] = CellShapes(inside, self.metric_srid)
        self._parts.move_to_end(area)
        while len(self._parts) > _AREAS:
            self._parts.popitem(last=False)
        return self._parts[area]

    async def neighbours(self, level: int, kind: Kind) -> Neighbours:
        """Return who is whose neighbour on a level, worked out once: by edge, the six nearest, or within 1 km."""
        async with self._lock:
            if (level, kind) not in self._neighbours:
                self._neighbours[level, kind] = await run_in_threadpool(self._find_neighbours, level, kind)
            return self._neighbours[level, kind]

    def _find_neighbours(self, level: int, kind: Kind) -> Neighbours:
        boundaries = shapely.from_wkb([cell.boundary for cell in self.cells[level]])
        if kind is Kind.CONTIGUITY:
            return contiguous(list(boundaries))
        middle = shapely.get_coordinates(shapely.centroid(boundaries))
        x_m, y_m = project_points(middle[:, 0], middle[:, 1], srid=self.metric_srid)
        if kind is Kind.NEAREST and len(x_m) > NEAREST:
            return nearest(x_m, y_m, k=NEAREST)
        return within(x_m, y_m, distance_m=DISTANCE_M)

    async def outlines(self, level: int) -> EncodedOutlines:
        """Return the encoded outlines of a level, worked out once (a second for 20,000 cells, off the event loop)."""
        async with self._lock:
            if level not in self._outlines:
                boundaries = shapely.from_wkb([cell.boundary for cell in self.cells[level]])
                self._outlines[level] = await run_in_threadpool(encode_outlines, list(boundaries))
            return self._outlines[level]


# By engine, because numbers of versions mean something in one database only.
_KEPT: WeakKeyDictionary[AsyncEngine, dict[int, CellShapes]] = WeakKeyDictionary()


async def read_shapes(unit: Unit, engine: AsyncEngine, version_id: int) -> CellShapes | None:
    """Return the cells of an active version; None when it has none."""
    kept = _KEPT.setdefault(engine, {})
    if version_id not in kept:
        shapes = await read_cell_shapes(unit, version_id)
        if not shapes:
            return None
        made = CellShapes(shapes, await read_metric_srid(unit, version_id))
        while len(kept) >= _VERSIONS:
            del kept[min(kept)]
        kept[version_id] = made
    return kept[version_id]
