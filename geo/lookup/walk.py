"""The walk of `geo.lookup.single` in whole arrays: fast batches without a compiler."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from geo.lookup.edges import COUNT_ONE, NOBODY, Int32s, Int64s, value_of
from geo.lookup.pixels import NO_BOUND, Pixels
from geo.lookup.single import UNSURE

_CHUNK = 1 << 16
"""Points handled at once: their intermediate arrays stay in the processor's cache."""


def walk_many(pixels: Pixels, x: Int64s, y: Int64s) -> Int32s:
    """Find the cell of each point inside the extent.

    Returns
    -------
    array
        The cell, `NOBODY` or `UNSURE`. Cost: about 0.1 µs a point.
    """
    answer = np.empty(len(x), dtype=np.int32)
    for low in range(0, len(x), _CHUNK):
        part = slice(low, low + _CHUNK)
        px, py = x[part], y[part]
        found = pixels.raster[(py >> pixels.shift_y) * pixels.columns + (px >> pixels.shift_x)]
        asked = np.flatnonzero(found < NOBODY)
        if len(asked):
            found[asked] = _walk(pixels, px[asked], py[asked], -2 - found[asked].astype(np.int64))
        answer[part] = found
    return answer


def _walk(pixels: Pixels, x: Int64s, y: Int64s, mixed: Int64s) -> Int32s:
    head = pixels.heads[mixed].astype(np.int64)
    first, size = head[:, 0], pixels.heads[mixed + 1, 0] - head[:, 0]
    point = np.repeat(np.arange(len(x)), size)
    row = pixels.local[np.arange(len(point)) + np.repeat(first - (np.cumsum(size) - size), size)]
    added, is_tie = _crossings(pixels, row, x[point], y[point])
    # Sums of a few terms below 2**26 are exact in doubles.
    total = head[:, 1] * COUNT_ONE + head[:, 2] + np.bincount(point, weights=added, minlength=len(x)).astype(np.int64)
    count, number = total >> 24, total & (COUNT_ONE - 1)
    bound = head[:, 3]
    answer = np.full(len(x), UNSURE, dtype=np.int32)
    one = (count == 1) & (number < bound)
    answer[one] = number[one]
    answer[(count == 0) & (bound == NO_BOUND)] = NOBODY
    if is_tie.any():
        _settle_ties(answer, point[is_tie], row[is_tie], count, number, bound)
    return answer


def _crossings(pixels: Pixels, row: Int32s, px: Int64s, py: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """What each edge adds on the walk to its point, and whether the point lies on it."""
    ax, ay, bx, by = (row[:, column].astype(np.int64) for column in range(4))
    dx, dy = bx - ax, by - ay
    # Corner in half units relative to the edge's lower end; odd, because corners lie half a unit beside the grid.
    corner_x2 = ((px >> pixels.shift_x) << (pixels.shift_x + 1)) - 1 - 2 * ax
    corner_y2 = ((py >> pixels.shift_y) << (pixels.shift_y + 1)) - 1 - 2 * ay
    rise, run = py - ay, px - ax
    side = dx * rise - run * dy  # positive: the edge passes east of the point
    # Up along the corner's meridian.
    east = dx > 0
    height = dy * corner_x2  # of the crossing, times 2 dx
    above_corner = np.where(east, height > corner_y2 * dx, height < corner_y2 * dx)
    below_point = np.where(east, height <= 2 * rise * dx, height >= 2 * rise * dx)
    up = ((corner_x2 < 0) != (corner_x2 < 2 * dx)) & above_corner & below_point
    # East along the point's parallel.
    spans = (rise >= 0) & (py < by)
    corner_side = 2 * dx * rise - corner_x2 * dy
    right_of_corner = (corner_side > 0) | ((corner_side == 0) & east)
    left_of_point = (side < 0) | ((side == 0) & ~east)
    along = spans & right_of_corner & left_of_point
    added = (np.where(east, -1, 1) * up + along) * (value_of(row[:, 5]) - value_of(row[:, 4]))
    within = (rise >= 0) & (py <= by) & (np.minimum(ax, bx) <= px) & (px <= np.maximum(ax, bx))
    return added, within & (side == 0)


def _settle_ties(answer: Int32s, point: Int64s, row: Int32s, count: Int64s, number: Int64s, bound: Int64s) -> None:
    """Give points on edges to the smallest cell that touches them, if no other cell covers them unseen."""
    left, right = row[:, 4], row[:, 5]
    best = np.full(len(answer), NO_BOUND, dtype=np.int64)
    for side in (left, right):
        np.minimum.at(best, point, np.where(side < 0, NO_BOUND, side))
    # The walk ends beside the point; the cell it ended in must be one of those that touch it.
    known = count == 0
    touched = (left == number[point]) | (right == number[point])
    known[point[touched & (count[point] == 1)]] = True
    tied = np.unique(point)
    sure = known[tied] & (best[tied] < bound[tied])
    answer[tied] = np.where(sure, best[tied], UNSURE)
