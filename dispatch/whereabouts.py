"""Which cell, and who: from memory for the present, from the database for every other instant.

From memory a change of posts, appointments or leave is at most `dispatch.roster.Roster.patience_s` old (normally some
milliseconds, by notification), and a change of version likewise; without news for longer, SQL answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.placing import LivePlacer
from dispatch.posts import Rung
from dispatch.queries import database_now, responsible_at, responsible_many
from geo.cells import CellRef, GridVersionId, LocatedHow
from geo.locating import Located, VersionRef, locate, locate_many
from geo.lookup import Kernel
from geo.lookup.holder import LiveGrid
from geo.storage.uow import read_unit
from geo.uncertainty import Uncertainty, assess

__all__ = ["ManyFound", "Whereabouts", "find_many", "find_now", "find_one"]

Ladder = tuple[Rung, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """A point's cells and the ladder of posts that answers there."""

    located: Located
    ladder: Ladder
    uncertainty: Uncertainty | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyFound:
    """Chains and ladders of many points, in order; both empty outside."""

    version: VersionRef | None
    chains: Sequence[tuple[CellRef, ...]]
    ladders: Sequence[Ladder]


async def find_one(
    engine: AsyncEngine,
    live: LivePlacer,
    lon: float,
    lat: float,
    *,
    at: datetime | None = None,
    accuracy_m: float | None = None,
) -> Whereabouts:
    """Find the cell of a point and who answers there.

    Parameters
    ----------
    lon, lat
        Units: degrees. SRID: 4326, on the 1e-7° grid.
    at
        The version, posts, appointments and leave of that instant answer; None means now.
    accuracy_m
        Radius of the position's error; adds the `Uncertainty`.
    """
    if at is None and accuracy_m is None:
        found = await find_now(live, lon, lat)
        if found is not None:
            return found
    async with read_unit(engine, snapshot=True) as unit:
        instant = at or await database_now(unit)
        located = await locate(unit, live.jurisdiction, lon, lat, at=instant)
        ladder: Ladder = ()
        if located.chain:
            ladder = await responsible_at(unit, live.jurisdiction, located.path, instant)
        uncertainty = None
        if accuracy_m is not None and located.version is not None:
            uncertainty = await assess(unit, live.jurisdiction, located.version.id, lon, lat, accuracy_m)
    return Whereabouts(located=located, ladder=ladder, uncertainty=uncertainty)


async def find_many(
    engine: AsyncEngine,
    live: LivePlacer,
    lons: Sequence[float],
    lats: Sequence[float],
    *,
    at: datetime | None = None,
) -> ManyFound:
    """Find cells and ladders of many points. Cost: about 10 µs a point from memory, 0.2 ms from SQL."""
    if at is None:
        grid = live.index.at(live.index.now())
        if grid is not None:
            # Compiling the faster kernel would hold up every other request for seconds.
            chains = [
                grid.chain_of(number) for number in grid.index.find_many(lons, lats, kernel=Kernel.NUMPY).tolist()
            ]
            ladders = await _ladders(live, chains)
            if ladders is not None:
                return ManyFound(version=_version(grid), chains=chains, ladders=ladders)
    async with read_unit(engine, snapshot=True) as unit:
        instant = at or await database_now(unit)
        version, found = await locate_many(unit, live.jurisdiction, lons, lats, at=instant)
        paths = list(dict.fromkeys(tuple(cell.code for cell in chain) for chain in found if chain))
        by_path = dict(zip(paths, await responsible_many(unit, live.jurisdiction, paths, instant), strict=True))
    return ManyFound(
        version=version,
        chains=found,
        ladders=[by_path.get(tuple(cell.code for cell in chain), ()) for chain in found],
    )


async def find_now(live: LivePlacer, lon: float, lat: float) -> Whereabouts | None:
    """Answer a question about now from memory; None outside the grid and when SQL has to be asked."""
    now = live.index.now()
    grid = live.index.at(now)
    chain = grid.chain(lon, lat) if grid is not None else ()
    if grid is None or not chain:
        return None  # outside, the nearest cells are asked for in SQL anyway
    path = tuple(cell.code for cell in chain)
    await live.roster.ensure(path)
    ladder = live.roster.ladder(path, now)
    if ladder is None:
        return None
    located = Located(how=LocatedHow.COVERS, version=_version(grid), chain=chain, nearest=())
    return Whereabouts(located=located, ladder=ladder)


async def _ladders(live: LivePlacer, chains: Sequence[tuple[CellRef, ...]]) -> list[Ladder] | None:
    paths = {chain[-1].id: tuple(cell.code for cell in chain) for chain in chains if chain}
    await live.roster.ensure({code for path in paths.values() for code in path})
    now = live.index.now()
    known: dict[int, Ladder] = {}
    for cell_id, path in paths.items():
        ladder = live.roster.ladder(path, now)
        if ladder is None:
            return None
        known[cell_id] = ladder
    return [known[chain[-1].id] if chain else () for chain in chains]


def _version(grid: LiveGrid) -> VersionRef:
    version = grid.version
    return VersionRef(id=GridVersionId(version.id), number=version.number, name=version.name)
