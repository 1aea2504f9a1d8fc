"""A raster over the extent: the cell of every pixel that one cell fills, the few edges that matter in every other.

Pixel borders run half a grid unit beside the grid points, so no vertex and no asked point ever lies on one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from geo.lookup.edges import NOBODY, Edges, Extent, Int32s, Int64s

NO_BOUND = np.iinfo(np.int32).max
_UNSURE = 2
"""A count that claims two covering cells: sends every point of the pixel to the exact test of whole cells."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """The raster and the lists of its mixed pixels.

    Attributes
    ----------
    raster
        By ``row * columns + column``: the cell that fills the pixel, -1 for none, ``-2 - m`` for mixed pixel ``m``.
    heads
        Four numbers a mixed pixel: where its edges begin in ``local``; how many cells cover its south-west corner and
        the sum of their numbers; its bound, the smallest inner cell of the tree that touches it (an answer below it
        needs no second look). One more row at the end closes the last list. Shape: ``(mixed + 1, 4)``.
    local
        The edges that touch each mixed pixel, as rows of `Edges`. Copied for every pixel: a point then costs three
        visits to far memory (raster, head, edges) whatever its pixel holds. Shape: ``(n, 6)``.
    """

    shift_x: int
    shift_y: int
    columns: int
    rows: int
    raster: Int32s
    heads: Int32s
    local: Int32s


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
    count, number = grid.corner_sums(leaves)
    pixel, edge = grid.touched(leaves)
    per_pixel = np.zeros(columns * rows, dtype=np.int32)
    np.add.at(per_pixel, pixel, np.int32(1))
    bound, is_crossed = _bounds(grid, inner)

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
    heads = np.zeros((len(mixed) + 1, 4), dtype=np.int32)
    np.cumsum(per_pixel[mixed], out=heads[1:, 0])
    heads[:-1, 1] = np.where(is_pure[mixed], _UNSURE, count[mixed])
    heads[:-1, 2] = number[mixed]
    heads[:-1, 3] = bound[mixed]
    del per_pixel, count, number, bound, is_pure, filled, gap, inner_fills
    in_order = edge[np.argsort(pixel)]
    del pixel, edge
    return Pixels(
        shift_x=shift_x,
        shift_y=shift_y,
        columns=columns,
        rows=rows,
        raster=raster,
        heads=heads,
        local=leaves.as_rows()[in_order],
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

    def corner_sums(self, edges: Edges) -> tuple[Int32s, Int32s]:
        """How many cells cover each pixel's south-west corner, and the sum of their numbers, by a sweep along each row.

        A corner exactly on an edge counts as just above it, as in the lookup's walk.
        """
        count = np.zeros(self.columns * self.rows, dtype=np.int32)
        number = np.zeros(self.columns * self.rows, dtype=np.int32)
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
            left, right = edges.left[edge[fits]], edges.right[edge[fits]]
            np.add.at(count, place, (right >= 0).astype(np.int32) - (left >= 0))
            np.add.at(number, place, np.maximum(right, 0) - np.maximum(left, 0))
        for sums in (count, number):
            table = sums.reshape(self.rows, self.columns)
            np.cumsum(table, axis=1, out=table)
        return count, number

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
    if not inner:  # the usual, clean tree: no memory for what is the same everywhere
        shape = (grid.columns * grid.rows,)
        return np.broadcast_to(np.int32(NO_BOUND), shape), np.broadcast_to(np.False_, shape)
    bound = np.full(grid.columns * grid.rows, NO_BOUND, dtype=np.int32)
    is_crossed = np.zeros(len(bound), dtype=bool)
    for level in inner:
        count, number = grid.corner_sums(level)
        np.minimum(bound, np.where(count == 1, number, np.where(count == 0, NO_BOUND, -1)), out=bound)
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
