"""Cells of active versions as maps need them, kept in the process: a version never changes once it is active."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

import shapely
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.concurrency import run_in_threadpool

from geo.storage.cell_shapes import CellShape, read_cell_shapes, read_metric_srid
from geo.storage.uow import Unit
from maps.outline import EncodedOutlines, encode_outlines

__all__ = ["CellShapes", "read_shapes"]

#: A redraw brings a new version; the one before may still be asked for by requests on their way.
_VERSIONS: Final = 2


class CellShapes:
    """The cells of one version.

    Attributes
    ----------
    levels, cells
        The levels there are, and the cells of each in the order of their codes.
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
        self.metric_srid = metric_srid
        top = shapely.from_wkb([cell.boundary for cell in by_level[self.levels[0]]])
        _, south, _, north = shapely.total_bounds(top)
        self.middle_lat = float(south + north) / 2
        self._outlines: dict[int, EncodedOutlines] = {}
        self._lock = asyncio.Lock()

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
