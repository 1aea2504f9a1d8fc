"""The walk compiled with numba (extra ``[fast]``). Importing this module needs numba.

The compiled code lets go of the interpreter lock, so a batch is simply cut in pieces for a few threads; numba's own
threading layers abort the process when two threads enter them at once.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from geo.coordinates import GRID_PER_DEGREE
from geo.lookup.edges import NOBODY, Int32s
from geo.lookup.pixels import Pixels
from geo.lookup.single import UNSURE, walk_one

_SMALLEST_PIECE = 20_000
_BLOCK = 512
_walk_one: Any = numba.njit(nogil=True, cache=True)(walk_one)


@numba.njit(nogil=True, cache=True)
def _find(lon, lat, answer, low, high, frame, raster, heads, local):  # type: ignore[no-untyped-def]
    west, south, width, height, shift_x, shift_y, columns = frame
    xs = np.empty(_BLOCK, np.int64)
    ys = np.empty(_BLOCK, np.int64)
    asked = np.empty(_BLOCK, np.int64)
    unsure, touched = 0, 0
    for begin in range(low, high, _BLOCK):
        # Three short passes instead of one long: the loads of a pass do not wait for each other, so far memory
        # answers many at a time.
        count = 0
        for i in range(begin, min(begin + _BLOCK, high)):
            found = NOBODY
            units_x, units_y = np.rint(lon[i] * GRID_PER_DEGREE) - west, np.rint(lat[i] * GRID_PER_DEGREE) - south
            # NaN fails every comparison and stays outside.
            if 0 <= units_x < width and 0 <= units_y < height:
                x, y = np.int64(units_x), np.int64(units_y)
                found = raster[(y >> shift_y) * columns + (x >> shift_x)]
                xs[count], ys[count], asked[count] = x, y, i
                count += found < NOBODY
            answer[i] = found
        for k in range(count):
            at = 6 * heads[4 * (-2 - answer[asked[k]])]
            if at < local.size:
                touched += local[at]
        for k in range(count):
            i = asked[k]
            found = _walk_one(shift_x, shift_y, heads, local, -2 - answer[i], xs[k], ys[k])
            unsure += found == UNSURE
            answer[i] = found
    # The sum is good for nothing; unless it leaves the function, the compiler drops the second pass.
    return unsure, touched


def find_many(
    pixels: Pixels,
    frame: tuple[int, int, int, int],
    lon: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
    answer: Int32s,
) -> int:
    """Fill ``answer`` with cell, `NOBODY` or `UNSURE`; give back how many are unsure."""
    shape = (*frame, pixels.shift_x, pixels.shift_y, pixels.columns)
    tables: tuple[Any, ...] = (shape, pixels.raster, pixels.heads.reshape(-1), pixels.local.reshape(-1))
    threads = _threads()
    # More pieces than threads: when the machine is busy, a piece that has to wait does not hold up the rest.
    pieces = max(1, min(4 * threads, len(lon) // _SMALLEST_PIECE))
    if pieces == 1:
        return int(_find(lon, lat, answer, 0, len(lon), *tables)[0])
    marks = np.linspace(0, len(lon), pieces + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(min(threads, pieces)) as pool:
        parts = [pool.submit(_find, lon, lat, answer, low, high, *tables) for low, high in pairwise(marks)]
        return sum(int(part.result()[0]) for part in parts)


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
