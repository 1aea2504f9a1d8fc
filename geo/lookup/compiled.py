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
_walk_one: Any = numba.njit(nogil=True, cache=True)(walk_one)


@numba.njit(nogil=True, cache=True)
def _find(lon, lat, answer, low, high, frame, raster, start, local, base, bounds, edges):  # type: ignore[no-untyped-def]
    west, south, width, height, shift_x, shift_y, columns = frame
    unsure = 0
    for i in range(low, high):
        found = NOBODY
        units_x, units_y = np.rint(lon[i] * GRID_PER_DEGREE) - west, np.rint(lat[i] * GRID_PER_DEGREE) - south
        # NaN fails every comparison and stays outside.
        if 0 <= units_x < width and 0 <= units_y < height:
            x, y = np.int64(units_x), np.int64(units_y)
            found = raster[(y >> shift_y) * columns + (x >> shift_x)]
            if found < NOBODY:
                found = _walk_one(shift_x, shift_y, start, local, base, bounds, edges, -2 - found, x, y)
                if found == UNSURE:
                    unsure += 1
        answer[i] = found
    return unsure


def find_many(
    pixels: Pixels,
    edges: Int32s,
    frame: tuple[int, int, int, int],
    lon: npt.NDArray[np.float64],
    lat: npt.NDArray[np.float64],
    answer: Int32s,
) -> int:
    """Fill ``answer`` with cell, `NOBODY` or `UNSURE`; give back how many are unsure."""
    tables: tuple[Any, ...] = (
        (*frame, pixels.shift_x, pixels.shift_y, pixels.columns),
        pixels.raster,
        pixels.start,
        pixels.local,
        pixels.base,
        pixels.bound,
        edges,
    )
    pieces = max(1, min(_threads(), len(lon) // _SMALLEST_PIECE))
    if pieces == 1:
        return int(_find(lon, lat, answer, 0, len(lon), *tables))
    marks = np.linspace(0, len(lon), pieces + 1).astype(np.int64).tolist()
    with ThreadPoolExecutor(pieces) as pool:
        parts = [pool.submit(_find, lon, lat, answer, low, high, *tables) for low, high in pairwise(marks)]
        return sum(int(part.result()) for part in parts)


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
