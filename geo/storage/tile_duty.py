"""Vector tiles made before anybody looks: a duty of the worker, for versions that are valid or will be."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.errors import NotFoundError
from geo.storage.tiles import are_shapes_built, build_band, read_extents
from geo.storage.uow import read_unit, write_unit
from geo.tiles import BANDS

__all__ = ["TileDuty"]

log = structlog.get_logger("gridward.tiles")

_VERSIONS = """
SELECT id, revision, number FROM geo.grid_version
 WHERE jurisdiction = :jurisdiction AND status = 'published' AND (valid_until IS NULL OR valid_until > now())
 ORDER BY valid_from
"""
#: A city's worth of shapes for every scheduled redraw; more than this many are made when their turn comes nearer.
_MOST_AHEAD: Final = 3


@dataclass(slots=True, kw_only=True)
class TileDuty:
    """Makes the shapes and dense tiles that are missing, one level and band of zooms at a time.

    Tiles would make them by themselves, but then the first viewer of a city waits for seconds. The row of the band is
    the lock: a viewer who comes meanwhile waits for this band only, and nothing is made twice (decision 0021).
    """

    engine: AsyncEngine
    jurisdiction: str
    name: str = "tiles"
    _done: set[tuple[int, int]] = field(default_factory=set)

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Make one band of the version that needs it first; return how many cells it has, 0 when nothing is missing."""
        async with read_unit(self.engine) as unit:
            rows = (await unit.connection.execute(text(_VERSIONS), {"jurisdiction": self.jurisdiction})).all()
        self._done &= {(row.id, row.revision) for row in rows}
        for row in rows[:_MOST_AHEAD]:
            if (row.id, row.revision) not in self._done and not stopping.is_set():
                made = await self._next_band(row.id, row.number)
                if made:
                    return made
                self._done.add((row.id, row.revision))
        return 0

    async def _next_band(self, version_id: int, number: int) -> int:
        async with read_unit(self.engine) as unit:
            extents = await read_extents(unit, version_id)
            missing = [
                (band, extent)
                for band in BANDS
                for extent in extents.values()
                if not await are_shapes_built(unit, version_id, [extent.level], band)
            ]
        for band, extent in missing:
            begun = time.monotonic()
            try:
                async with write_unit(self.engine) as unit:
                    made = await build_band(unit, version_id, extent, band)
            except NotFoundError:
                return 0  # withdrawn meanwhile
            if made:
                took_s = round(time.monotonic() - begun, 2)
                log.info("tiles_made", version=number, level=extent.level, band=band.number, cells=made, took_s=took_s)
                return made
        return 0
