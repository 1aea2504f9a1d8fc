"""The walk for one point, in Python that numba can compile as it stands: one text, two speeds.

Interpreted, on memory views, it locates a report in a few microseconds without making an array. Compiled
(`geo.lookup.compiled`), it is the fast batch kernel. `geo.lookup.walk` says the same in whole arrays.
"""

from __future__ import annotations

from typing import Any

from geo.lookup.edges import COUNT_ONE, NOBODY
from geo.lookup.pixels import NO_BOUND

UNSURE = -2
"""Answer of a walk that met something else than one tiling of cells; the exact test of whole cells decides."""

_MASK = COUNT_ONE - 1


def walk_one(  # noqa: C901 - one loop over few edges; a call per edge would cost more than its arithmetic
    shift_x: int, shift_y: int, heads: Any, local: Any, mixed: int, x: int, y: int
) -> int:
    """Walk from the south-west corner of a mixed pixel up to the height of the point, then east to it.

    Both legs lie inside the pixel, so only the pixel's own edges can be crossed. A point that lies exactly on edges is
    nudged a hair up and a smaller hair east to decide what is crossed; the tie rule then chooses among the cells of
    those edges. ``heads`` and ``local`` are those of `Pixels`, flattened. Units: 1e-7° from the index's corner; names
    that end in 2: halves of it.
    """
    # Corners lie half a unit beside the grid: in half units they are odd and never meet a vertex.
    corner_x2 = ((x >> shift_x) << (shift_x + 1)) - 1
    corner_y2 = ((y >> shift_y) << (shift_y + 1)) - 1
    head = 4 * mixed
    first, last = 6 * heads[head], 6 * heads[head + 4]
    total = heads[head + 1] * COUNT_ONE + heads[head + 2]
    ties = 0
    for at in range(first, last, 6):
        ax, ay, bx, by = local[at], local[at + 1], local[at + 2], local[at + 3]
        dx, dy = bx - ax, by - ay
        from_x2 = corner_x2 - 2 * ax
        rise = y - ay
        added = 0
        if (from_x2 < 0) != (from_x2 < 2 * dx):
            # The edge crosses the corner's meridian, at this height times 2 dx.
            height = dy * from_x2
            low, high = (corner_y2 - 2 * ay) * dx, 2 * rise * dx
            if dx > 0:
                if low < height <= high:
                    added = -1
            elif high <= height < low:
                added = 1
        if 0 <= rise <= dy:
            side = dx * rise - (x - ax) * dy  # positive: the edge passes east of the point
            if side == 0 and min(ax, bx) <= x <= max(ax, bx):
                ties += 1
            if rise < dy and (side < 0 or (side == 0 and dx <= 0)):
                corner_side = 2 * dx * rise - from_x2 * dy
                if corner_side > 0 or (corner_side == 0 and dx > 0):
                    added += 1
        if added != 0:
            left, right = local[at + 4], local[at + 5]
            if right >= 0:
                total += added * (right + COUNT_ONE)
            if left >= 0:
                total -= added * (left + COUNT_ONE)
    count, number, bound = total >> 24, total & _MASK, heads[head + 3]
    if ties == 0:
        if count == 1 and number < bound:
            return number  # type: ignore[no-any-return]
        return NOBODY if count == 0 and bound == NO_BOUND else UNSURE
    best = NO_BOUND
    known = count == 0
    for at in range(first, last, 6):
        ax, ay, bx, by = local[at], local[at + 1], local[at + 2], local[at + 3]
        if ay <= y <= by and min(ax, bx) <= x <= max(ax, bx) and (bx - ax) * (y - ay) == (x - ax) * (by - ay):
            left, right = local[at + 4], local[at + 5]
            if left >= 0:
                best = min(best, left)
            if right >= 0:
                best = min(best, right)
            # The walk ends beside the point; the cell it ended in must be one of those that touch it.
            if count == 1 and (left == number or right == number):
                known = True
    return best if known and best < bound else UNSURE
