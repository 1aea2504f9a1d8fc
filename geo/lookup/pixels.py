"""A raster over the extent: the cell of every pixel that one cell fills, the few edges that matter in every other.

Pixel borders run half a grid unit beside the grid points, so no vertex and no asked point ever lies on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from geo.lookup.edges import COUNT_ONE, NOBODY, Edges, Extent, Int32s, Int64s

NO_BOUND = np.iinfo(np.int32).max
_UNSURE = 2 * COUNT_ONE
"""A sum that claims two covering cells: sends every point of the pixel to the exact test of whole cells."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """The raster and the lists of its mixed pixels.

    Attributes
    ----------
    raster
        By ``row * columns + column``: the cell that fills the pixel, -1 for none, ``-2 - m`` for mixed pixel ``m``.
    start, local
        Mixed pixel ``m`` is touched by the edges ``local[start[m]:start[m + 1]]``.
    base
        Sum of the covering cells at the pixel's south-west corner (``COUNT_ONE`` and number of each).
    bound
        Smallest number among the inner cells of the tree that touch the pixel: an answer below it needs no second look.
    """

    shift_x: int
    shift_y: int
    columns: int
    rows: int
    raster: Int32s
    start: Int32s
    local: Int32s
    base: Int64s
    bound: Int32s


def build_pixels(extent: Extent, leaves: Edges, inner: list[Edges], *, pixels_wanted: int) -> Pixels:
    """Rasterise the cells.

    Parameters
    ----------
    leaves
        Edges of the cells without children, which tile the ground where the grid is complete.
    inner
        Edges of the cells with children, one entry per level; they answer only where their children leave a gap.
    """
    shift_x, shift_y = _shifts(extent, pixels_wanted)
    columns = ((extent.columns - 1) >> shift_x) + 1
    rows = ((extent.rows - 1) >> shift_y) + 1
    grid = _Grid(shift_x=shift_x, shift_y=shift_y, columns=columns, rows=rows)
    corner = grid.corner_sums(leaves)
    pixel, edge = grid.touched(leaves)
    per_pixel = np.bincount(pixel, minlength=columns * rows)
    bound, is_crossed = _bounds(grid, inner)

    count, number = corner >> 24, corner & (COUNT_ONE - 1)
    is_pure = per_pixel == 0
    # With no edge of any kind in it, whatever covers the corner of a pixel covers all of it.
    filled = is_pure & (count == 1) & (number < bound)
    gap = is_pure & (count == 0) & ~is_crossed & (bound >= 0)
    raster = np.full(columns * rows, NOBODY, dtype=np.int32)
    raster[filled] = number[filled]
    inner_fills = gap & (bound != NO_BOUND)
    raster[inner_fills] = bound[inner_fills]
    mixed = np.flatnonzero(~(filled | gap))
    raster[mixed] = -2 - np.arange(len(mixed), dtype=np.int32)
    start = np.zeros(len(mixed) + 1, dtype=np.int32)
    np.cumsum(per_pixel[mixed], out=start[1:])
    base = np.where(is_pure[mixed], _UNSURE, corner[mixed])
    return Pixels(
        shift_x=shift_x,
        shift_y=shift_y,
        columns=columns,
        rows=rows,
        raster=raster,
        start=start,
        local=edge[np.argsort(pixel, kind="stable")],
        base=base,
        bound=bound[mixed],
    )


def _shifts(extent: Extent, pixels_wanted: int) -> tuple[int, int]:
    """Pixel sides as powers of two, so that shifting finds a pixel; halve the longer side until there are enough."""
    shift_x = max(int(extent.columns - 1).bit_length(), 1)
    shift_y = max(int(extent.rows - 1).bit_length(), 1)
    shift_x = shift_y = max(shift_x, shift_y)
    while True:
        pixels = (((extent.columns - 1) >> shift_x) + 1) * (((extent.rows - 1) >> shift_y) + 1)
        if pixels * 2 > pixels_wanted or max(shift_x, shift_y) <= 1:
            return shift_x, shift_y
        if shift_x >= shift_y:
            shift_x -= 1
        else:
            shift_y -= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    shift_x: int
    shift_y: int
    columns: int
    rows: int

    def corner_sums(self, edges: Edges) -> Int64s:
        """Sum of the covering cells at every pixel's south-west corner, by one sweep along each row of corners.

        A corner exactly on an edge counts as just above it, as in the lookup's walk.
        """
        sums = np.zeros(self.columns * self.rows, dtype=np.float64)
        step = edges.step().astype(np.float64)
        first, last = (edges.ay >> self.shift_y) + 1, edges.by >> self.shift_y
        for rows in _chunks(np.maximum(last - first + 1, 0)):
            edge, row = _expand(rows, first, last)
            ax, ay = edges.ax[edge].astype(np.int64), edges.ay[edge].astype(np.int64)
            dx, dy = edges.bx[edge] - ax, edges.by[edge] - ay
            height2 = ((row.astype(np.int64) << self.shift_y) * 2 - 1) - 2 * ay
            whole, rest = np.divmod(dx * height2, dy)
            at2 = 2 * ax + whole + ((rest > 0) | (dx >= 0))
            # First column whose corner (2 * column * width - 1 in half units) is not left of the crossing.
            column = (at2 + (2 << self.shift_x)) >> (self.shift_x + 1)
            fits = column < self.columns
            place = row[fits].astype(np.int64) * self.columns + column[fits]
            # Doubles hold these sums exactly: a few hundred terms below 2**26.
            sums += np.bincount(place, weights=step[edge[fits]], minlength=len(sums))
        table = sums.reshape(self.rows, self.columns)
        np.cumsum(table, axis=1, out=table)
        return sums.astype(np.int64)

    def touched(self, edges: Edges) -> tuple[Int32s, Int32s]:
        """Pairs (pixel, edge) of every edge and every pixel it touches, and perhaps a few that it just misses."""
        first, last = edges.ay >> self.shift_y, edges.by >> self.shift_y
        pixels: list[Int32s] = []
        numbers: list[Int32s] = []
        for rows in _chunks(last - first + 1):
            edge, row = _expand(rows, first, last)
            ax, ay = edges.ax[edge].astype(np.float64), edges.ay[edge].astype(np.float64)
            dx, dy = edges.bx[edge] - ax, edges.by[edge] - ay
            low = (row.astype(np.int64) << self.shift_y) - 0.5
            slope = dx / np.maximum(dy, 1.0)
            enter = ax + slope * np.clip(low - ay, 0.0, dy)
            leave = np.where(dy > 0, ax + slope * np.clip(low + (1 << self.shift_y) - ay, 0.0, dy), ax + dx)
            # One unit to spare on both sides swallows the rounding of the doubles.
            west = np.maximum(np.floor(np.minimum(enter, leave)) - 1.0, 0.0).astype(np.int64) >> self.shift_x
            east = (np.ceil(np.maximum(enter, leave)) + 1.0).astype(np.int64) >> self.shift_x
            east = np.minimum(east, self.columns - 1)
            pair, column = _expand(slice(0, len(edge)), west, east)
            pixels.append((row[pair].astype(np.int64) * self.columns + column).astype(np.int32))
            numbers.append(edge[pair].astype(np.int32))
        if not pixels:
            return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32)
        return np.concatenate(pixels), np.concatenate(numbers)


def _bounds(grid: _Grid, inner: list[Edges]) -> tuple[Int32s, npt.NDArray[np.bool_]]:
    """Smallest inner cell that touches each pixel (-1 where two of one level overlap), and where inner edges run."""
    bound = np.full(grid.columns * grid.rows, NO_BOUND, dtype=np.int32)
    is_crossed = np.zeros(len(bound), dtype=bool)
    for level in inner:
        corner = grid.corner_sums(level)
        count = corner >> 24
        number = np.where(count == 1, corner & (COUNT_ONE - 1), np.where(count == 0, NO_BOUND, -1))
        bound = np.minimum(bound, number.astype(np.int32))
        pixel, edge = grid.touched(level)
        is_crossed[pixel] = True
        np.minimum.at(bound, pixel, level.owner()[edge])
    return bound, is_crossed


def _chunks(sizes: npt.NDArray[np.integer]) -> list[slice]:
    """Cut a list of edges so that no chunk expands to much more than `_CHUNK` pairs: bounds the memory of the build."""
    ends = np.cumsum(sizes, dtype=np.int64)
    if not len(ends):
        return []
    cuts = np.searchsorted(ends, np.arange(_CHUNK, ends[-1], _CHUNK), side="left") + 1
    marks = np.unique(np.r_[0, cuts, len(ends)])
    return [slice(low, high) for low, high in pairwise(marks.tolist())]


def _expand(rows: slice, first: npt.NDArray[np.integer], last: npt.NDArray[np.integer]) -> tuple[Int64s, Int64s]:
    """List every number from ``first`` to ``last`` (included) of the chosen rows, with the row it belongs to."""
    low = first[rows].astype(np.int64)
    size = np.maximum(last[rows].astype(np.int64) - low + 1, 0)
    owner = np.repeat(np.arange(len(size), dtype=np.int64), size)
    within = np.arange(len(owner), dtype=np.int64) - np.repeat(np.cumsum(size) - size, size)
    return owner + rows.start, low[owner] + within
