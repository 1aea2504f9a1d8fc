"""Sums that are kept beside the columns, so that plain questions need no scan: by day and cell, day and class, square.

They hold what the columns hold, no more: when a row's state changes in its place, the sums are corrected in theirs.
Each is left out when it would be too large; then the rows are scanned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dispatch.facts import FIRST_DAY
from maps.facts.columns import NOWHERE, Base

__all__ = ["DaySums", "SquareSums", "sum_days", "sum_squares"]

Array = npt.NDArray[Any]

#: So many numbers of four bytes may be kept for each kind of sum (400 MB).
_MOST: Final = 100_000_000
_STEP: Final = 2_000_000


@dataclass(slots=True, kw_only=True)
class DaySums:
    """Counted cases before each day: the difference of two lines is a period.

    Attributes
    ----------
    first
        Number of the day of line 0; line d counts what was before day ``first + d``.
    cells
        Shape: (days + 1, places).
    categories
        Shape: (categories, days + 1).
    """

    first: int
    cells: Array
    categories: Array

    def lines(self, from_on: int, to_on: int) -> tuple[int, int]:
        """Return the two lines of a period. Boundary: both days included."""
        last = self.categories.shape[1] - 1
        low = min(max(from_on - self.first, 0), last)
        return low, min(max(to_on + 1 - self.first, low), last)

    def correct(self, day: int, place: int, category: int, change: int) -> None:
        """Count one case more or less. Cost: one number per later day."""
        line = day - self.first + 1
        self.cells[line:, place] += change
        self.categories[category, line:] += change


def sum_days(base: Base, cell: Array, counted: Array, places: int) -> DaySums | None:
    """Sum by day and cell, and by day and class; None when there is nothing, or too much of it.

    Parameters
    ----------
    cell
        Place of every row: the column, or the places after a redraw.
    counted
        By state, whether it is counted.
    places
        How many there are; more than the columns knew when they were made, if a drawing came in since.
    """
    if not len(base):
        return None
    day = base.columns["day"]
    first, last = int(day.min()), int(day.max())
    days, cells, kinds = last - first + 1, places, len(base.starts) - 1
    if (days + 1) * max(cells, kinds) > _MOST:
        return None
    sums = np.zeros((days + 1, cells), dtype=np.int32)
    flat = sums[1:].reshape(-1)
    for start in range(0, len(base), _STEP):
        part = slice(start, start + _STEP)
        keep = counted[base.columns["state"][part]]
        place = (day[part][keep].astype(np.int64) - first) * cells + cell[part][keep]
        flat += np.bincount(place, minlength=len(flat)).astype(np.int32)
    np.cumsum(sums, axis=0, out=sums)
    categories = np.zeros((kinds, days + 1), dtype=np.int32)
    for kind in range(kinds):
        rows = slice(int(base.starts[kind]), int(base.starts[kind + 1]))
        known = day[rows][counted[base.columns["state"][rows]]].astype(np.int64) - first
        categories[kind, 1:] = np.cumsum(np.bincount(known, minlength=days))
    return DaySums(first=first, cells=sums, categories=categories)


@dataclass(slots=True, kw_only=True)
class SquareSums:
    """Counted cases of some places by square, before each month.

    Attributes
    ----------
    starts
        Number of the first day of each month, and of the month after the last.
    squares
        Shape: (months + 1, squares). Line m counts what was before month m.
    places
        Which places are meant; those of one drawing, or all that have a cell.
    """

    starts: Array
    squares: Array
    places: Array

    def whole_months(self, from_on: int, to_on: int) -> tuple[int, int] | None:
        """Return the first line and the line after the last whole month of a period; None when there is none."""
        low = int(np.searchsorted(self.starts, from_on, side="left"))
        high = int(np.searchsorted(self.starts, to_on + 1, side="right")) - 1
        return (low, high) if low < high else None

    def correct(self, day: int, place: int, square: int, change: int) -> None:
        """Count one case more or less. Cost: one number per later month."""
        if square != NOWHERE and self.places[place]:
            month = int(np.searchsorted(self.starts, day, side="right")) - 1
            self.squares[month + 1 :, square] += change


def sum_squares(base: Base, cell: Array, counted: Array, places: Array) -> SquareSums | None:
    """Sum by month and square; None when there is nothing, or too much of it."""
    if not len(base):
        return None
    day = base.columns["day"]
    months = (FIRST_DAY + np.arange(int(day.min()), int(day.max()) + 1)).astype("datetime64[M]")
    number = (months - months[0]).astype(np.int64)
    size, first = base.width * base.height, int(day.min())
    count = int(number[-1]) + 1
    if (count + 1) * size > _MOST:
        return None
    edges = (months[0] + np.arange(count + 1)).astype("datetime64[D]")
    sums = np.zeros((count + 1, size), dtype=np.int32)
    flat = sums[1:].reshape(-1)
    for start in range(0, len(base), _STEP):
        part = slice(start, start + _STEP)
        square = base.columns["square"][part]
        keep = counted[base.columns["state"][part]] & places[cell[part]] & (square != NOWHERE)
        at = number[day[part][keep].astype(np.int64) - first] * size + square[keep]
        flat += np.bincount(at, minlength=len(flat)).astype(np.int32)
    np.cumsum(sums, axis=0, out=sums)
    return SquareSums(starts=(edges - FIRST_DAY).astype(np.int64), squares=sums, places=places)
