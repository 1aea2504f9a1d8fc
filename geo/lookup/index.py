"""The exact in-memory index of one grid version."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from geo.coordinates import GRID_PER_DEGREE
from geo.lookup.edges import NOBODY, CellBoundary, Edges, Int32s, is_tiled_by_leaves, merge_sides, read_edges
from geo.lookup.exact import WholeCells, cover_many, whole_cells
from geo.lookup.pixels import Pixels, build_pixels
from geo.lookup.single import UNSURE, walk_one
from geo.lookup.walk import walk_many

_FEWEST_PIXELS, _MOST_PIXELS, _PIXELS_PER_CELL = 1 << 14, 1 << 22, 128

_CELLS_AT_ONCE = 5_000


class _Row(NamedTuple):
    cell_id: int
    level: int
    code: str
    parent_id: int | None


class Kernel(StrEnum):
    """Who walks a batch: NumPy, or numba's compiled code (extra ``[fast]``). Both give the same answers."""

    NUMPY = "numpy"
    COMPILED = "compiled"


class CellIndex:
    """Which cell a point lies in, exactly as ``ST_Covers`` with the tie rule ``edge-1`` says.

    Cells are numbered by the tie rule (deepest level first, then smallest code in code-point order), so "the" cell of a
    point is the smallest number that covers it. Every answer is such a number, `NOBODY` (-1) for none. The index never
    changes after `build` and may be shared between threads.

    Attributes
    ----------
    version_id
        The grid version it was built from; an insert compares it, so a stale index cannot decide.
    cell_ids, codes, levels, parents
        By cell number; ``parents`` holds cell numbers, -1 at the top.
    off_grid_vertices
        Vertices that had to be moved to the 1e-7° grid. Not 0 means that the stored boundaries break the house rule and
        that PostGIS may answer differently within a centimetre of them.
    gappy
        Numbers of the inner cells that are not exactly what the childless cells below them are together.

    Notes
    -----
    Boundary: included, shared edges and corners by the tie rule. SRID: 4326. Points are rounded to the 1e-7° grid;
    whoever also asks PostGIS passes the same snapped point (`geo.coordinates.snap_to_grid`).
    Cost: build 0.3 s for 20,000 cells; one point 1–5 µs; a batch 0.1 µs a point (NumPy) or 0.05 µs (compiled).

    Examples
    --------
    >>> from shapely import box
    >>> index = CellIndex.build(1, [
    ...     CellBoundary(cell_id=7, level=1, code="B", parent_id=None, boundary=box(1, 0, 2, 1)),
    ...     CellBoundary(cell_id=8, level=1, code="A", parent_id=None, boundary=box(0, 0, 1, 1)),
    ... ])
    >>> [index.find(lon, 0.5) for lon in (0.5, 1.0, 1.5, 2.0, 2.1)]
    [0, 0, 1, 1, -1]
    >>> index.cell_ids[index.find(1.0, 0.5)]
    8
    """

    def __init__(
        self,
        *,
        version_id: int,
        rows: Sequence[_Row],
        parents: Int32s,
        frame: tuple[int, int, int, int],
        edges: Int32s,
        pixels: Pixels,
        off_grid_vertices: int,
        gappy: frozenset[int],
    ) -> None:
        self.version_id = version_id
        self.cell_ids: list[int] = [row.cell_id for row in rows]
        self.codes: list[str] = [row.code for row in rows]
        self.levels: list[int] = [row.level for row in rows]
        self.parents: list[int] = parents.tolist()
        self.off_grid_vertices = off_grid_vertices
        self.gappy = gappy
        self._numbers = {cell_id: number for number, cell_id in enumerate(self.cell_ids)}
        self._west, self._south, self._width, self._height = frame
        self._east, self._north = self._west + self._width, self._south + self._height  # exclusive
        self._edges = edges
        self._pixels = pixels
        # Memory views hand out Python integers several times faster than arrays do.
        self._raster_view = pixels.raster.data
        self._walk_views: tuple[Any, ...] = tuple(
            array.data for array in (pixels.heads.reshape(-1), pixels.local.reshape(-1))
        )

    @classmethod
    def build(cls, version_id: int, cells: Iterable[CellBoundary]) -> CellIndex:
        """Build the index from the cells of one version, in any order.

        The cells are taken in batches and their boundaries let go of, so a generator over a database cursor keeps the
        memory low.

        Raises
        ------
        BadInputError
            ``geo.extent_too_wide`` when the cells span more than 107°.
        """
        found: list[_Row] = []
        extent, edges, off_grid = read_edges(_boundaries(cells, found))
        order = sorted(range(len(found)), key=lambda place: (-found[place].level, found[place].code))
        ordered = [found[place] for place in order]
        number = np.empty(len(order), dtype=np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        edges = edges.renumbered(number)
        parents = _parents(ordered)
        is_leaf = np.ones(len(ordered), dtype=bool)
        is_leaf[parents[parents >= 0]] = False
        # Inner cells that their leaves tile exactly can never be the answer: drop them here, their chain is enough.
        is_gappy = ~is_tiled_by_leaves(edges, parents)
        levels = np.array([row.level for row in ordered], dtype=np.int64)
        owner = edges.owner()
        leaves = merge_sides(edges.take(is_leaf[owner]))
        inner = [edges.take(is_gappy[owner] & (levels[owner] == level)) for level in np.unique(levels[is_gappy])]
        del edges, owner
        wanted = min(max(_PIXELS_PER_CELL * int(is_leaf.sum()), _FEWEST_PIXELS), _MOST_PIXELS)
        built = cls(
            version_id=version_id,
            rows=ordered,
            parents=parents,
            frame=(extent.west, extent.south, extent.columns, extent.rows),
            edges=np.concatenate([part.as_rows() for part in (leaves, *inner)]),
            pixels=build_pixels(extent, leaves, inner, pixels_wanted=wanted),
            off_grid_vertices=off_grid,
            gappy=frozenset(np.flatnonzero(is_gappy).tolist()),
        )
        _give_memory_back()
        return built

    def __len__(self) -> int:
        return len(self.cell_ids)

    @property
    def nbytes(self) -> int:
        """Bytes of the index's own arrays, without codes and ids."""
        pixels = self._pixels
        arrays = (pixels.raster, pixels.heads, pixels.local, self._edges)
        return sum(array.nbytes for array in arrays)

    def find(self, lon: float, lat: float) -> int:
        """Number of the one cell of a point, -1 when no cell covers it (or it is not a position)."""
        units_x, units_y = lon * GRID_PER_DEGREE, lat * GRID_PER_DEGREE
        # NaN fails every comparison and so counts as outside, before `round` can stumble over it.
        if not (self._west - 1 < units_x < self._east and self._south - 1 < units_y < self._north):
            return NOBODY
        x, y = round(units_x) - self._west, round(units_y) - self._south
        if not (0 <= x < self._width and 0 <= y < self._height):
            return NOBODY
        pixels = self._pixels
        found: int = self._raster_view[(y >> pixels.shift_y) * pixels.columns + (x >> pixels.shift_x)]
        if found < NOBODY:
            heads, local = self._walk_views
            found = walk_one(pixels.shift_x, pixels.shift_y, heads, local, -2 - found, x, y)
            if found == UNSURE:
                return int(self._settle(np.array([lon]), np.array([lat]))[0])
        return found

    def chain(self, number: int) -> list[int]:
        """Cell numbers from level 1 down to ``number``; empty for -1."""
        chain: list[int] = []
        while number != NOBODY:
            chain.append(number)
            number = self.parents[number]
        chain.reverse()
        return chain

    def number_of(self, cell_id: int) -> int:
        """Number of a cell by its database id. Raises KeyError for a cell of another version."""
        return self._numbers[cell_id]

    def find_many(self, lon: npt.ArrayLike, lat: npt.ArrayLike, *, kernel: Kernel | None = None) -> Int32s:
        """Numbers of the cells of many points.

        Parameters
        ----------
        lon, lat
            One-dimensional, of one length. Units: degrees.
        kernel
            Which kernel to use; by default the compiled one when numba is installed.
        """
        lons = np.ascontiguousarray(lon, dtype=np.float64)
        lats = np.ascontiguousarray(lat, dtype=np.float64)
        if (kernel or default_kernel()) is Kernel.COMPILED:
            answer, unsure = self._find_compiled(lons, lats)
        else:
            answer, unsure = self._find_numpy(lons, lats)
        if unsure:
            rest = np.flatnonzero(answer == UNSURE)
            answer[rest] = self._settle(lons[rest], lats[rest])
        return answer

    def warm_up(self) -> None:
        """Compile (or load from the cache) before the first request instead of during it. Cost: up to 5 s, once."""
        self.find_many(np.zeros(1), np.zeros(1))

    def _find_compiled(self, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> tuple[Int32s, int]:
        # Imported here: numba is an extra, and loading it costs a second that a process without batches never pays.
        from geo.lookup.compiled import find_many

        frame = (self._west, self._south, self._width, self._height)
        answer = np.empty(len(lon), dtype=np.int32)
        return answer, find_many(self._pixels, frame, lon, lat, answer)

    def _find_numpy(self, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> tuple[Int32s, int]:
        x, y, inside = self._grid_points(lon, lat)
        if inside.all():
            answer = walk_many(self._pixels, x, y)
        else:
            answer = np.full(len(lon), NOBODY, dtype=np.int32)
            answer[inside] = walk_many(self._pixels, x[inside], y[inside])
        return answer, int(np.count_nonzero(answer == UNSURE))

    def _grid_points(
        self, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        x = np.rint(lon * GRID_PER_DEGREE) - self._west
        y = np.rint(lat * GRID_PER_DEGREE) - self._south
        # NaN fails every comparison and so counts as outside.
        inside = (x >= 0) & (x < self._width) & (y >= 0) & (y < self._height)
        if not inside.all():
            x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
        return x.astype(np.int64), y.astype(np.int64), inside

    def _settle(self, lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64]) -> Int32s:
        x, y, _ = self._grid_points(lon, lat)
        return cover_many(self._whole, x, y)

    @cached_property
    def _whole(self) -> WholeCells:
        """Made on the first unsure point: a clean tiling never asks, and so never pays."""
        return whole_cells(Edges.of_rows(self._edges), len(self))


def default_kernel() -> Kernel:
    """The compiled kernel when numba is installed, else NumPy."""
    return Kernel.COMPILED if _HAS_NUMBA else Kernel.NUMPY


_HAS_NUMBA = importlib.util.find_spec("numba") is not None


def _boundaries(cells: Iterable[CellBoundary], found: list[_Row]) -> Iterator[list[Any]]:
    """Hand out the boundaries batch by batch and keep the rest of each cell in ``found``."""
    rest = iter(cells)
    while batch := list(islice(rest, _CELLS_AT_ONCE)):
        found += [_Row(cell.cell_id, cell.level, cell.code, cell.parent_id) for cell in batch]
        yield [cell.boundary for cell in batch]


def _parents(rows: Sequence[_Row]) -> Int32s:
    number = {row.cell_id: place for place, row in enumerate(rows)}
    return np.array([-1 if row.parent_id is None else number.get(row.parent_id, -1) for row in rows], dtype=np.int32)


def _give_memory_back() -> None:
    """Hand freed memory back to the system: glibc keeps up to 200 MB of the build's scratch for later otherwise."""
    # Only glibc has the call; elsewhere there is nothing to do.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
