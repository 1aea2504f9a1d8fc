"""What a process keeps in memory of the grid and the roster, and the watcher that keeps it true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings
from dispatch.placing import LivePlacer
from dispatch.roster import Roster
from dispatch.storage.roster import DUTY_CHANNEL, duty_look, posts_reader, routes_reader
from geo.lookup.holder import LiveIndex
from geo.near_squares import NearSquares, squares_reader
from geo.storage.grid_versions import GRID_CHANNEL
from geo.storage.live_cells import cell_loader, version_look
from geo.storage.watching import Watcher

__all__ = ["LivePlacer", "open_live"]

#: A question is answered from memory at most this long after a change that no notification told of. Units: seconds.
LOOK_EVERY_S = 0.4
_FIRST_LOOK_S = 2.0
_FILL_EVERY_S = 1.0

log = structlog.get_logger("gridward.live")


@asynccontextmanager
async def open_live(settings: Settings, engine: AsyncEngine) -> AsyncIterator[LivePlacer]:
    """Begin to hold index and roster; SQL answers until they are there.

    Parameters
    ----------
    engine
        Reads posts while a request may hold a connection of the main pool, so it must have a pool of its own.
    """
    index = LiveIndex(cell_loader(settings.database_url))
    roster = Roster(posts_reader(engine, settings.jurisdiction), routes_reader(engine, settings.jurisdiction))
    looks = (version_look(settings.jurisdiction, index), duty_look(roster))
    watcher = Watcher(settings.database_url, (GRID_CHANNEL, DUTY_CHANNEL), looks, every_s=LOOK_EVERY_S)
    await watcher.start(wait_s=_FIRST_LOOK_S)
    filling = asyncio.create_task(_fill(index, roster), name="roster-fill")
    near = NearSquares(squares_reader(engine))
    try:
        yield LivePlacer(index, roster, settings.jurisdiction, near)
    finally:
        filling.cancel()
        await asyncio.gather(filling, return_exceptions=True)
        await near.stop()
        await watcher.stop()
        await index.stop()


async def _fill(index: LiveIndex, roster: Roster) -> None:
    """Have the roster hold every cell of the grid, so that the first question about a cell is as fast as the next."""
    filled: tuple[tuple[int, int], int] | None = None
    while True:
        grid = index.at(index.now())
        if grid is not None and roster.snapshot and filled != (grid.version.key, roster.forgotten):
            wanted = (grid.version.key, roster.forgotten)
            try:
                await roster.fill(grid.index.codes)
                filled = wanted
            except Exception as error:
                # Questions load what they need; the next round tries again.
                log.warning("roster_not_filled", error=type(error).__name__)
        await asyncio.sleep(_FILL_EVERY_S)
