"""The walk compiled with numba (extra ``[fast]``). Importing this module needs numba.

A batch is first dealt into bands of raster rows, in two passes over the points: the tables of one band lie in near
memory while its points are walked, which takes a third off the time of a million points in no order. The compiled code
lets go of the interpreter lock, so each pass is simply cut in pieces for a few threads; numba's own threading layers
abort the process when two threads enter them at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
_BAND_BYTES = 1 << 18
"""Of tables a band: what the second cache of a small processor holds besides the points."""
_MOST_BANDS = 1024
_LEAST_A_BAND = 512
_walk_one: Any = numba.njit(nogil=True, cache=True)(walk_one)


@numba.njit(nogil=True, cache=True)
def _band(x, y, frame):  # type: ignore[no-untyped-def]
    """Band of a place; -1 outside. NaN fails every comparison and stays outside."""
    _, _, width, height, _, shift_y, _, shift_band = frame
    if 0 <= x < width and 0 <= y < height:
        return np.int64(y) >> (shift_y + shift_band)
    return np.int64(-1)


@numba.njit(nogil=True, cache=True)
def _count(lon, lat, low, high, frame, counts):  # type: ignore[no-untyped-def]
    west, south = frame[0], frame[1]
    for i in range(low, high):
        band = _band(np.rint(lon[i] * GRID_PER_DEGREE) - west, np.rint(lat[i] * GRID_PER_DEGREE) - south, frame)
        if band >= 0:
            counts[band] += 1


@numba.njit(nogil=True, cache=True)
def _deal(lon, lat, answer, low, high, frame, places, dealt):  # type: ignore[no-untyped-def]
    """Write the points of a piece where their bands begin; ``places`` moves on with every point."""
    west, south = frame[0], frame[1]
    for i in range(low, high):
        x, y = np.rint(lon[i] * GRID_PER_DEGREE) - west, np.rint(lat[i] * GRID_PER_DEGREE) - south
        band = _band(x, y, frame)
        if band < 0:
            answer[i] = NOBODY
            continue
        at = places[band]
        places[band] = at + 1
        dealt[at, 0], dealt[at, 1], dealt[at, 2] = np.uint32(x), np.uint32(y), np.uint32(i)


@numba.njit(nogil=True, cache=True)
def _walk(dealt, answer, low, high, frame, raster, heads, local):  # type: ignore[no-untyped-def]
    _, _, _, _, shift_x, shift_y, columns, _ = frame
    mixed = np.empty(_BLOCK, np.int64)
    place = np.empty(_BLOCK, np.int64)
    unsure, touched = 0, 0
    for begin in range(low, high, _BLOCK):
        # Three short passes instead of one long: the loads of a pass do not wait for each other, so far memory
        # answers many at a time.
        count = 0
        for at in range(begin, min(begin + _BLOCK, high)):
            found = raster[(np.int64(dealt[at, 1]) >> shift_y) * columns + (np.int64(dealt[at, 0]) >> shift_x)]
            mixed[count], place[count] = -2 - found, at
            count += found < NOBODY
            answer[dealt[at, 2]] = found
        for k in range(count):
            first = 6 * heads[4 * mixed[k]]
            if first < local.size:
                touched += local[first]
        for k in range(count):
            at = place[k]
            found = _walk_one(shift_x, shift_y, heads, local, mixed[k], np.int64(dealt[at, 0]), np.int64(dealt[at, 1]))
            unsure += found == UNSURE
            answer[dealt[at, 2]] = found
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
    tables: tuple[Any, ...] = (pixels.raster, pixels.heads.reshape(-1), pixels.local.reshape(-1))
    shift = _band_shift(pixels.rows, sum(table.nbytes for table in tables), len(lon))
    shape = (*frame, pixels.shift_x, pixels.shift_y, pixels.columns, shift)
    threads = min(_threads(), max(1, len(lon) // _SMALLEST_PIECE))
    # More pieces than threads: when the machine is busy, a piece that has to wait does not hold up the rest.
    pieces = 1 if threads == 1 else 4 * threads
    counts = np.zeros((pieces, ((pixels.rows - 1) >> shift) + 1), dtype=np.int64)
    # Three numbers a point: its place from the corner, which 360° in 1e-7° leave below 2³², and its number.
    dealt = np.empty((len(lon), 3), dtype=np.uint32)

    def work(run: Callable[..., Any]) -> int:
        marks = _cut(len(lon), pieces)
        list(run(lambda k: _count(lon, lat, marks[k], marks[k + 1], shape, counts[k]), range(pieces)))
        # By band, and in a band by piece.
        ends = np.cumsum(counts.T.reshape(-1)).reshape(counts.T.shape).T
        places = ends - counts
        list(run(lambda k: _deal(lon, lat, answer, marks[k], marks[k + 1], shape, places[k], dealt), range(pieces)))
        ends_of = _cut(int(counts.sum()), pieces)
        walked = run(lambda k: _walk(dealt, answer, ends_of[k], ends_of[k + 1], shape, *tables), range(pieces))
        return sum(int(unsure) for unsure, _ in walked)

    if pieces == 1:
        return work(map)
    with ThreadPoolExecutor(threads) as pool:
        return work(pool.map)


def _band_shift(rows: int, table_bytes: int, points: int) -> int:
    """Raster rows of a band, as a power of two: few enough bytes of tables, and no more bands than pay."""
    wanted = max(1, min(_MOST_BANDS, rows, table_bytes // _BAND_BYTES, points // _LEAST_A_BAND))
    shift = 0
    while ((rows - 1) >> shift) + 1 > wanted:
        shift += 1
    return shift


def _cut(count: int, pieces: int) -> list[int]:
    return np.linspace(0, count, pieces + 1).astype(np.int64).tolist()  # type: ignore[no-any-return]


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
