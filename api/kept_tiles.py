"""Vector tiles of a process: shapes made when they are first needed, and the tiles asked for most kept in memory."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.grid_versions import GridVersion
from geo.storage.tiles import are_shapes_built, build_band, find_dense_tile, read_extents, read_tile
from geo.storage.uow import read_unit, statement_unit, write_unit
from geo.tiles import ALL_LEVELS, LevelExtent, TileAddress, band_of, has_details, is_dense, layer_of, levels_at

__all__ = ["KeptTiles", "kept_tiles"]

#: Gzipped; a city at all zooms that people look at fits. Units: bytes.
_ROOM: Final = 64 * 2**20
#: A redraw brings a new version; the one before may still be asked for.
_VERSIONS: Final = 4
#: One answer: quick matters more than small. What is drawn beforehand was packed harder.
_PACK_QUICKLY: Final = 1
#: Packed in less time than another thread needs to begin. Units: bytes.
_SMALL: Final = 50_000


#: Version and revision: what is only scheduled may be withdrawn, drawn anew and published under the same number.
Drawing = tuple[int, int]


def _drawing(version: GridVersion) -> Drawing:
    return version.id, version.revision


class KeptTiles:
    """Tiles by drawing, layer and address. A version never changes once it is active, so nothing here goes stale.

    Attributes
    ----------
    numbered
        Versions that have begun, by their number: from then on a number keeps its version for ever. One that is only
        scheduled may still be withdrawn and drawn anew.
    """

    def __init__(self, engine: AsyncEngine, *, room: int = _ROOM) -> None:
        self.numbered: dict[int, GridVersion] = {}
        self._engine = engine
        self._room = room
        self._used = 0
        self._tiles: OrderedDict[tuple[Drawing, str, TileAddress], bytes] = OrderedDict()
        self._extents: dict[Drawing, Mapping[int, LevelExtent]] = {}
        self._built: set[tuple[Drawing, int, int]] = set()
        # One build at a time: it is seconds of arithmetic, and those who wait for it hold no connection.
        self._building = asyncio.Lock()

    async def extents(self, version: GridVersion) -> Mapping[int, LevelExtent]:
        """Return the levels that a version has."""
        drawing = _drawing(version)
        if drawing not in self._extents:
            async with read_unit(self._engine) as unit:
                found = await read_extents(unit, version.id)
            while len(self._extents) >= _VERSIONS:
                del self._extents[next(iter(self._extents))]
            self._extents[drawing] = found
            return found
        return self._extents[drawing]

    async def tile(self, version: GridVersion, layer: str, address: TileAddress) -> bytes:
        """Return a tile, gzipped; empty when no cell is in it.

        Parameters
        ----------
        layer
            ``cells``, or ``cells-N`` of a level that the version has.

        Notes
        -----
        Cost: a dictionary look-up when it is kept; else one statement. The first tile of a band of zooms waits for the
        shapes: some seconds for a city, once per version.
        """
        key = (_drawing(version), layer, address)
        kept = self._tiles.get(key)
        if kept is not None:
            self._tiles.move_to_end(key)
            return kept
        extents = await self.extents(version)
        levels = tuple(level for level in extents if layer == layer_of(level))
        if layer == ALL_LEVELS:
            levels = levels_at(address.zoom, extents)
        await self._ensure_shapes(version, levels, extents, address.zoom)
        made = await self._make(version.id, layer, levels, extents, address)
        self._keep(key, made)
        return made

    def forget(self) -> None:
        """Let go of all tiles; the shapes in the database stay."""
        self._tiles.clear()
        self._used = 0

    async def _make(
        self,
        version_id: int,
        layer: str,
        levels: Sequence[int],
        extents: Mapping[int, LevelExtent],
        address: TileAddress,
    ) -> bytes:
        # The layer of all levels is never dense: it shows a level only where its cells are wide.
        if layer != ALL_LEVELS and levels and is_dense(extents[levels[0]], address.zoom):
            async with statement_unit(self._engine) as unit:
                drawn = await find_dense_tile(unit, version_id, levels[0], address)
            if drawn is not None:
                return drawn
        details = bool(levels) and has_details(extents[levels[-1]], address.zoom)
        async with statement_unit(self._engine) as unit:
            body = await read_tile(unit, version_id, layer, levels, address, with_details=details)
        if len(body) <= _SMALL:
            return gzip.compress(body, _PACK_QUICKLY, mtime=0) if body else b""
        # zlib lets go of the interpreter's lock: other requests are served meanwhile.
        return await asyncio.to_thread(gzip.compress, body, _PACK_QUICKLY, mtime=0)

    async def _ensure_shapes(
        self, version: GridVersion, levels: Sequence[int], extents: Mapping[int, LevelExtent], zoom: int
    ) -> None:
        band = band_of(zoom)
        wanted = {(_drawing(version), level, band.number) for level in levels}
        if wanted <= self._built:
            return
        async with self._building:
            if wanted <= self._built:
                return
            async with read_unit(self._engine) as unit:
                there = await are_shapes_built(unit, version.id, levels, band)
            if not there:
                for level in levels:
                    async with write_unit(self._engine) as writing:
                        await build_band(writing, version.id, extents[level], band)
            self._built |= wanted

    def _keep(self, key: tuple[Drawing, str, TileAddress], tile: bytes) -> None:
        if len(tile) > self._room // 4:
            return
        before = self._tiles.pop(key, b"")
        self._tiles[key] = tile
        self._used += _weight(tile) - (_weight(before) if before else 0)
        while self._used > self._room:
            _, oldest = self._tiles.popitem(last=False)
            self._used -= _weight(oldest)


def _weight(tile: bytes) -> int:
    # An empty tile costs its key all the same; without that, empty ones could fill the memory for nothing.
    return len(tile) + 300


# By engine, because numbers of versions mean something in one database only.
_KEPT: WeakKeyDictionary[AsyncEngine, KeptTiles] = WeakKeyDictionary()


def kept_tiles(engine: AsyncEngine) -> KeptTiles:
    """Return the tiles that this process keeps for a database."""
    kept = _KEPT.get(engine)
    if kept is None:
        kept = _KEPT[engine] = KeptTiles(engine)
    return kept
