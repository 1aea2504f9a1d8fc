"""The exact in-memory index of one grid version."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from geo.coordinates import GRID_PER_DEGREE
from geo.lookup.edges import NOBODY, CellBoundary, Edges, Int32s, is_tiled_by_leaves, merge_sides, read_edges
from geo.lookup.exact import WholeCells, cover_many, whole_cells
from geo.lookup.pixels import Pixels, build_pixels
from geo.lookup.single import UNSURE, walk_one
from geo.lookup.walk import walk_many

_FEWEST_PIXELS, _MOST_PIXELS, _PIXELS_PER_CELL = 1 << 14, 1 << 23, 128


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
        cells: list[CellBoundary],
        parents: Int32s,
        frame: tuple[int, int, int, int],
        edges: Int32s,
        pixels: Pixels,
        off_grid_vertices: int,
    ) -> None:
        self.version_id = version_id
        self.cell_ids: list[int] = [cell.cell_id for cell in cells]
        self.codes: list[str] = [cell.code for cell in cells]
        self.levels: list[int] = [cell.level for cell in cells]
        self.parents: list[int] = parents.tolist()
        self.off_grid_vertices = off_grid_vertices
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

        Raises
        ------
        BadInputError
            ``geo.extent_too_wide`` when the cells span more than 107°.
        """
        ordered = sorted(cells, key=lambda cell: (-cell.level, cell.code))
        number = {cell.cell_id: index for index, cell in enumerate(ordered)}
        parents = np.array(
            [number.get(cell.parent_id, NOBODY) if cell.parent_id is not None else NOBODY for cell in ordered],
            dtype=np.int32,
        )
        extent, single_sided, off_grid = read_edges([cell.boundary for cell in ordered])
        is_leaf = np.ones(len(ordered), dtype=bool)
        is_leaf[parents[parents >= 0]] = False
        levels = np.array([cell.level for cell in ordered], dtype=np.int64)
        owner = single_sided.owner()
        leaves = merge_sides(single_sided.take(is_leaf[owner]))
        # Inner cells that their leaves tile exactly can never be the answer: drop them here, their chain is enough.
        is_gappy = ~is_tiled_by_leaves(single_sided, parents)
        inner = [single_sided.take(is_gappy[owner] & (levels[owner] == level)) for level in np.unique(levels[is_gappy])]
        del single_sided, owner
        wanted = min(max(_PIXELS_PER_CELL * int(is_leaf.sum()), _FEWEST_PIXELS), _MOST_PIXELS)
        pixels = build_pixels(extent, leaves, inner, pixels_wanted=wanted)
        return cls(
            version_id=version_id,
            cells=ordered,
            parents=parents,
            frame=(extent.west, extent.south, extent.columns, extent.rows),
            edges=np.concatenate([part.as_rows() for part in (leaves, *inner)]),
            pixels=pixels,
            off_grid_vertices=off_grid,
        )

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
