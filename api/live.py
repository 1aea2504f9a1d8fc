"""What a process keeps in memory of the grid and the roster, and the watcher that keeps it true."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings
from dispatch.placing import LivePlacer
from dispatch.roster import Roster
from dispatch.storage.roster import DUTY_CHANNEL, duty_look, posts_reader, routes_reader
from geo.lookup.holder import LiveIndex
from geo.storage.grid_versions import GRID_CHANNEL
from geo.storage.live_cells import cell_loader, version_look
from geo.storage.watching import Watcher

__all__ = ["LivePlacer", "open_live"]

#: A question is answered from memory at most this long after a change that no notification told of. Units: seconds.
LOOK_EVERY_S = 0.4
_FIRST_LOOK_S = 2.0


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
    try:
        yield LivePlacer(index, roster, settings.jurisdiction)
    finally:
        await watcher.stop()
        await index.stop()
