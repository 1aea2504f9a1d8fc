"""Keeping a store current: from the files or the database at the start, from the feed afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.facts import (
    Cases,
    Dictionaries,
    case_days,
    changed_cases,
    feed_end,
    knows_position,
    middle_latitude,
    read_dictionaries,
    read_facts,
    read_positions,
    recent_cases,
    tally_cases,
)
from geo.errors import BadInputError
from geo.lookup import CellIndex
from geo.storage.cell_shapes import read_boundaries
from geo.storage.uow import ReadUnit, read_unit
from maps.bins import Lattice
from maps.facts.asking import day_number, day_of
from maps.facts.columns import Base, load_base, make_base, save_base
from maps.facts.proof import differences
from maps.facts.store import FactStore

__all__ = ["SQUARE_M", "FactKeeper"]

#: Side of the squares that bins and densities start from. Units: metres.
SQUARE_M: Final = 50.0
_PAGE: Final = 5_000
#: A tail longer than this share of the columns makes them be made anew in the background.
_LONG_TAIL: Final = 0.05
_SHORTEST_TAIL: Final = 100_000
_MOST_INDEXES: Final = 3
#: Cases that the proof counts at once.
_AT_ONCE: Final = 300_000


class FactKeeper:
    """One jurisdiction's store in this process.

    Parameters
    ----------
    engine
        Reads every case: with the service's own rights, not a caller's.
    directory
        Where the columns are kept; None keeps them in memory only.
    """

    def __init__(self, engine: AsyncEngine, jurisdiction: str, directory: Path | None) -> None:
        self._engine = engine
        self._jurisdiction = jurisdiction
        self._directory = directory
        self._lock = asyncio.Lock()
        self._store: FactStore | None = None
        self._making: asyncio.Task[None] | None = None
        self._indexes: dict[int, CellIndex] = {}

    async def current(self, *, drawing: int | None = None, recut_to: int | None = None) -> FactStore:
        """Return the store with everything in it that the feed shows now.

        Parameters
        ----------
        drawing
            A drawing whose cells are asked for; it may have begun with no case in it yet.
        recut_to
            A drawing that all cases must have a place in, by their position.

        Notes
        -----
        Cost: one look at the feed (under a millisecond when nothing happened). The first call in a process maps the
        files; without files it reads all cases (about 4 µs each).
        """
        async with self._lock:
            if self._store is None:
                base = None
                if self._directory is not None:
                    base = await asyncio.to_thread(load_base, self._directory)
                if base is not None and not await self._is_ours(base):
                    base = None
                self._store = await asyncio.to_thread(FactStore, base or await self._make())
            try:
                await self._catch_up(self._store)
            except (LookupError, BadInputError):
                # The files are of another database, or of this one before it was restored.
                self._store = await asyncio.to_thread(FactStore, await self._make())
            store = self._store
            wanted = [version for version in (drawing, recut_to) if version is not None]
            if not all(store.knows_drawing(version) for version in wanted):
                await self._learn(store)
            if recut_to is not None and recut_to not in store.recut_versions:
                await self._recut(store, recut_to)
            tail = store.tail_length
            if tail > max(_SHORTEST_TAIL, _LONG_TAIL * len(store.base)) and self._making is None:
                self._making = asyncio.create_task(self._remake(store))
            return store

    async def close(self) -> None:
        """Let go of what runs in the background."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)

    async def rebuild(self) -> Base:
        """Read all cases anew and keep the columns in the files; processes take them up when they next start."""
        base = await self._make()
        if self._directory is not None:
            await asyncio.to_thread(save_base, base, self._directory)
        async with self._lock:
            self._store = await asyncio.to_thread(FactStore, base)
        return base

    async def verify(self) -> tuple[int, list[tuple[object, ...]]]:
        """Count everything twice, here and in plain SQL, at one instant; return the cases and the differences."""
        await self.current()
        async with self._lock, read_unit(self._engine, snapshot=True) as unit:
            store = self._store
            assert store is not None
            # Everything that this snapshot sees: also what the feed still holds back behind an older transaction.
            await self._catch_up(store, unit)
            late = await read_facts(unit, store.words, await recent_cases(unit))
            store.apply(store.words, late, store.watermark)
            # Some days at a time: every combination of ten million cases at once would not fit into memory.
            driver = await unit.driver()
            await driver.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            await driver.execute("SET LOCAL statement_timeout = 0")
            first, last = store.days()
            found, cases = await case_days(unit, self._jurisdiction), 0
            if found is not None:
                first, last = min(first, day_number(found[0])), max(last, day_number(found[1]))
            step = max(1, (last - first + 1) * _AT_ONCE // max(1, found[2] if found else 1))
            apart: list[tuple[object, ...]] = []
            for day in range(first, last + 1, step):
                days = (day, min(day + step - 1, last))
                theirs = await tally_cases(unit, self._jurisdiction, day_of(days[0]), day_of(days[1]))
                ours = await asyncio.to_thread(store.tally, days)
                cases += sum(theirs.values())
                apart += differences(ours, theirs)
        return cases, apart

    async def _is_ours(self, base: Base) -> bool:
        """Whether files were made from this database: a data directory may have been copied, or a backup restored."""
        if base.words.jurisdiction != self._jurisdiction:
            return False
        async with read_unit(self._engine) as unit:
            return await knows_position(unit, base.watermark)

    async def _make(self) -> Base:
        async with read_unit(self._engine, snapshot=True) as unit:
            driver = await unit.driver()
            await driver.execute("SET LOCAL statement_timeout = 0")
            words = await self._words(unit)
            watermark = await feed_end(unit)
            facts = await read_facts(unit, words)
        return await asyncio.to_thread(make_base, words, watermark, facts)

    async def _words(self, unit: ReadUnit, known: Dictionaries | None = None) -> Dictionaries:
        if known is not None:
            sides = (known.side_lon, known.side_lat)
        else:
            lattice = Lattice.at(await middle_latitude(unit, self._jurisdiction), side_m=SQUARE_M)
            sides = (lattice.side_lon, lattice.side_lat)
        return await read_dictionaries(unit, self._jurisdiction, side_lon=sides[0], side_lat=sides[1], known=known)

    async def _catch_up(self, store: FactStore, unit: ReadUnit | None = None) -> None:
        if unit is None:
            async with read_unit(self._engine) as opened:
                await self._catch_up(store, opened)
            return
        # As far as the feed reaches now and no further: while fifty writers report, its end would never be met.
        end = await feed_end(unit)
        if store.watermark > end:
            raise BadInputError("dispatch.cursor_ahead", pointer="/after", cursor=str(store.watermark))
        while store.watermark < end:
            cases, reached = await changed_cases(unit, store.watermark, limit=_PAGE)
            if cases is None:
                return
            facts = await read_facts(unit, store.words, cases)
            try:
                store.apply(store.words, facts, reached)
            except LookupError:
                # A category, a channel or a drawing of the grid came in meanwhile.
                words = await self._words(unit, store.words)
                store.apply(words, await read_facts(unit, words, cases), reached)
            for version in store.recut_versions:
                found = await self._place(unit, version, cases)
                if len(found[0]):
                    store.recut(version, *found)

    async def _learn(self, store: FactStore) -> None:
        """Take up the words of today: a drawing was published, and no case has named one of its cells."""
        async with read_unit(self._engine) as unit:
            words = await self._words(unit, store.words)
            store.apply(words, await read_facts(unit, words, Cases("{}")), store.watermark)

    async def _recut(self, store: FactStore, version_id: int) -> None:
        """Give every case a place in a drawing. Cost: about 2 µs for each case that lies in another one, once."""
        async with read_unit(self._engine) as unit:
            driver = await unit.driver()
            await driver.execute("SET LOCAL statement_timeout = 0")
            ids, cells = await self._place(unit, version_id, None)
        await asyncio.to_thread(store.begin_recut, version_id, ids, cells)

    async def _place(
        self, unit: ReadUnit, version_id: int, wanted: Cases | None
    ) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int64]]:
        """Return cases that lie in another drawing or none, and the cell of this one that each position gives."""
        ids, lon, lat = await read_positions(unit, self._jurisdiction, version_id, wanted)
        if not len(ids):
            return ids, np.zeros(0, dtype=np.int64)
        if version_id not in self._indexes:
            if len(self._indexes) >= _MOST_INDEXES:
                self._indexes.clear()
            cells = await read_boundaries(unit, version_id)
            self._indexes[version_id] = await asyncio.to_thread(CellIndex.build, version_id, cells)
        index = self._indexes[version_id]
        # In numbers the last one is "none": a lookup's -1 finds it.
        rows = np.array([*index.cell_ids, -1], dtype=np.int64)
        numbers = await asyncio.to_thread(index.find_many, lon, lat)
        return ids, rows[numbers]

    async def _remake(self, old: FactStore) -> None:
        try:
            base = await self._make()
            if self._directory is not None:
                await asyncio.to_thread(save_base, base, self._directory)
            async with self._lock:
                if self._store is old:
                    store = await asyncio.to_thread(FactStore, base)
                    for version in old.recut_versions:
                        await self._recut(store, version)
                    self._store = store
        finally:
            self._making = None
