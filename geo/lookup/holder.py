"""The index of the version that is valid now, kept by a process and swapped when another version becomes valid.

The holder is told which versions there are (`LiveIndex.learn`) and loads those valid now or soon, in a thread. It
answers only when it is sure: for an instant whose version it holds, and while it has been told recently. Otherwise it
answers None and the caller asks SQL, so a late notification costs time, never truth.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Event

import structlog

from geo.cells import CellRef
from geo.lookup.index import CellIndex

__all__ = ["LiveGrid", "LiveIndex", "LiveVersion"]

log = structlog.get_logger("gridward.index")

AHEAD = timedelta(minutes=10)
"""A scheduled version is loaded this long before its instant, so that the swap itself takes no time."""


PATIENCE_S = 0.8
"""Without news for this long a process no longer answers: half of `geo.storage.taking_effect.HEADWAY`."""
_CLOCK_JITTER_S = 0.05
_NOTHING = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVersion:
    """A published version. Zone: instants are UTC; ``valid_until`` is exclusive."""

    id: int
    revision: int
    number: int
    name: str
    valid_from: datetime
    valid_until: datetime | None

    @property
    def key(self) -> tuple[int, int]:
        """What names its cells: a version that is withdrawn, redrawn and activated again keeps its id."""
        return self.id, self.revision

    def is_valid(self, at: datetime) -> bool:
        """Whether it answers for an instant."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveGrid:
    """A loaded version: its index, and its cells as callers see them, by cell number."""

    version: LiveVersion
    index: CellIndex
    cells: Sequence[CellRef]

    def chain(self, lon: float, lat: float) -> tuple[CellRef, ...]:
        """Cells from level 1 to the deepest one that covers a point; empty outside. SRID: 4326. Cost: 2 to 5 µs."""
        return self.chain_of(self.index.find(lon, lat))

    def chain_of(self, number: int) -> tuple[CellRef, ...]:
        """Cells from level 1 to the one of a number of the index; empty for -1."""
        return tuple(self.cells[place] for place in self.index.chain(number))


class LiveIndex:
    """Holds the grids valid now and soon.

    Parameters
    ----------
    load
        Reads and builds one version; runs in a thread, may take seconds. Its second argument tells it to give up.
    patience_s
        Without news for this long it no longer answers: somebody may have activated a version meanwhile.
    """

    def __init__(self, load: Callable[[LiveVersion, Event], LiveGrid], *, patience_s: float = PATIENCE_S) -> None:
        self._load = load
        self._patience_s = patience_s
        self._stopping = Event()
        self._versions: tuple[LiveVersion, ...] = ()
        self._grids: dict[tuple[int, int], LiveGrid] = {}
        self._told_at = float("-inf")
        self._loading: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._ahead = timedelta(0)

    def at(self, instant: datetime) -> LiveGrid | None:
        """The grid valid at an instant, or None when SQL has to be asked."""
        if time.monotonic() - self._told_at > self._patience_s:
            return None
        for version in self._versions:
            if version.is_valid(instant):
                return self._grids.get(version.key)
        return None

    def now(self) -> datetime:
        """The present instant by the database's clock, which decides what is valid, as far as this process knows it."""
        return datetime.now(UTC) + self._ahead

    def learn(self, versions: Sequence[LiveVersion], now: datetime, *, asked_at: float | None = None) -> None:
        """Take note of the versions that are valid now or later, and begin to load what will be needed.

        Parameters
        ----------
        now
            The database's clock, which decides what is valid.
        asked_at
            When the question was put, by ``time.monotonic``; the present if left out.
        """
        arrived = time.monotonic()
        self._told_at = arrived if asked_at is None else asked_at
        # A difference that the way of the question explains is none: then both clocks are taken as one.
        ahead = now - datetime.now(UTC)
        self._ahead = ahead if abs(ahead.total_seconds()) > max(arrived - self._told_at, _CLOCK_JITTER_S) else _NOTHING
        if tuple(versions) != self._versions:
            self._versions = tuple(versions)
            by_key = {version.key: version for version in versions}
            # The same cells, and perhaps a new end: activating a successor sets it.
            self._grids = {
                key: replace(grid, version=by_key.get(key, grid.version)) for key, grid in self._grids.items()
            }
        wanted = {
            version.key for version in versions if version.is_valid(now) or now < version.valid_from <= now + AHEAD
        }
        for version in versions:
            if version.key in wanted and version.key not in self._grids and version.key not in self._loading:
                self._loading[version.key] = asyncio.create_task(self._fetch(version), name=f"index-{version.id}")
        # What has passed is let go only once its successor is there: until then it may still be asked about the past.
        current = next((version.key for version in versions if version.is_valid(now)), None)
        if current is None or current in self._grids:
            self._grids = {key: grid for key, grid in self._grids.items() if key in wanted}

    async def ready(self) -> None:
        """Wait until nothing is being loaded."""
        while self._loading:
            await asyncio.gather(*self._loading.values(), return_exceptions=True)

    async def stop(self) -> None:
        """Have loads given up, and wait for them: they hold connections."""
        self._stopping.set()
        await asyncio.gather(*self._loading.values(), return_exceptions=True)

    async def _fetch(self, version: LiveVersion) -> None:
        begun = time.monotonic()
        try:
            grid = await asyncio.to_thread(self._load, version, self._stopping)
            # One assignment: a reader sees the old holding or the new one.
            self._grids = {**self._grids, version.key: grid}
            log.info("index_loaded", version=version.number, cells=len(grid.index), took_s=time.monotonic() - begun)
        except Exception as error:
            # SQL answers meanwhile; the next look tries again.
            log.warning("index_not_loaded", version=version.number, error=type(error).__name__)
        finally:
            self._loading.pop(version.key, None)
