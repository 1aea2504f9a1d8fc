"""Clusters at every zoom: squares halved again and again, so that no map ever reads more than it draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from maps.facts.columns import NOWHERE

__all__ = ["Clusters", "Pyramid", "cluster_squares", "level_of_zoom"]

Array = npt.NDArray[Any]

#: Distance between clusters on the screen, about. Units: pixels.
_APART_PX: Final = 72
_TILE_PX: Final = 256
#: A window never answers more; it is answered from further up instead.
_MOST: Final = 4096


def level_of_zoom(zoom: float, side_lon: float) -> int:
    """Return how often squares are halved at a zoom of web maps. Units: ``side_lon`` degrees."""
    wanted = _APART_PX * 360 / (_TILE_PX * 2**zoom)
    return max(0, round(math.log2(wanted / side_lon)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Clusters of a window.

    Attributes
    ----------
    level
        Sides are ``2 ** level`` squares long.
    column, row
        Of each cluster, in units of its level, from the pyramid's own corner.
    middle_column, middle_row
        Mean of the squares of its cases. Units: squares, from longitude and latitude 0; square middles at .5.
    cases
        Always at least 1.
    """

    level: int
    column: Array
    row: Array
    middle_column: Array
    middle_row: Array
    cases: Array


class Pyramid:
    """Counts, and sums of columns and rows, of squares and of their parents up to one.

    Parameters
    ----------
    squares
        Cases by square. Shape: (height × width,).
    west, south, width, height
        As in `maps.facts.columns.Base`.
    places
        Which places are meant, for corrections.
    """

    def __init__(self, squares: Array, *, west: int, south: int, width: int, height: int, places: Array) -> None:
        self.west, self.south, self._width, self._height = west, south, width, height
        self._places = places
        counts = squares.reshape(height, width).astype(np.float64)
        columns, rows = counts * np.arange(width)[None, :], counts * np.arange(height)[:, None]
        self._levels: list[tuple[Array, Array, Array]] = [(counts, columns, rows)]
        while max(self._levels[-1][0].shape) > 1:
            above = tuple(_halve(grid) for grid in self._levels[-1])
            self._levels.append((above[0], above[1], above[2]))

    def correct(self, place: int, square: int, change: int) -> None:
        """Count one case more or less. Cost: three numbers for each level."""
        if square == NOWHERE or not self._places[place]:
            return
        row, column = divmod(square, self._width)
        for level, (counts, columns, rows) in enumerate(self._levels):
            at = (row >> level, column >> level)
            counts[at] += change
            columns[at] += change * column
            rows[at] += change * row

    def window(
        self, zoom_level: int, west: int, south: int, east: int, north: int, extra: tuple[Array, Array] | None = None
    ) -> Clusters:
        """Return the clusters whose squares touch a window, coarser when there would be too many.

        Parameters
        ----------
        west, south, east, north
            Columns and rows of squares, from longitude and latitude 0. Boundary: all included.
        extra
            Columns and rows of further cases, which the sums do not hold yet.

        Notes
        -----
        Cost: the squares of the window on one level, at most some thousands.
        """
        level = min(zoom_level, len(self._levels) - 1)
        while True:
            counts, columns, rows = self._levels[level]
            high, wide = counts.shape
            left, right = max(0, (west - self.west) >> level), min(wide - 1, (east - self.west) >> level)
            low, top = max(0, (south - self.south) >> level), min(high - 1, (north - self.south) >> level)
            if left > right or low > top:
                nothing = np.zeros((0, 0))
                sums = (nothing, nothing, nothing)
                break
            if (right - left + 1) * (top - low + 1) <= _MOST or level == len(self._levels) - 1:
                cut = (slice(low, top + 1), slice(left, right + 1))
                sums = (counts[cut], columns[cut], rows[cut])
                break
            level += 1
        at_row, at_column = np.nonzero(sums[0] > 0)
        weights = [grid[at_row, at_column] for grid in sums]
        at_row, at_column = at_row + low, at_column + left
        if extra is not None:
            column, row = extra
            inside = (column >= west) & (column <= east) & (row >= south) & (row <= north)
            column, row = column[inside] - self.west, row[inside] - self.south
            at_row, at_column = np.r_[at_row, row >> level], np.r_[at_column, column >> level]
            weights = [np.r_[weights[0], np.ones(len(row))], np.r_[weights[1], column], np.r_[weights[2], row]]
        return _gather(level, at_column, at_row, weights, self.west, self.south)


def cluster_squares(level: int, columns: Array, rows: Array, cases: Array, *, west: int, south: int) -> Clusters:
    """Put squares together without a pyramid: for questions that no sum answers. Cost: a sort of the squares."""
    across, up = columns - west, rows - south
    return _gather(level, across >> level, up >> level, [cases, cases * across, cases * up], west, south)


def _gather(level: int, column: Array, row: Array, weights: list[Array], west: int, south: int) -> Clusters:
    keys, place = np.unique(row * np.int64(2**31) + column, return_inverse=True)
    cases, across, up = (np.bincount(place, weights=each, minlength=len(keys)) for each in weights)
    share = np.maximum(cases, 1)
    return Clusters(
        level=level,
        column=keys % 2**31,
        row=keys // 2**31,
        middle_column=across / share + west + 0.5,
        middle_row=up / share + south + 0.5,
        cases=cases.astype(np.int64),
    )


def _halve(grid: Array) -> Array:
    """Add up two by two; a line without a partner stays alone."""
    high, wide = grid.shape
    even = np.zeros((high + high % 2, wide + wide % 2))
    even[:high, :wide] = grid
    return even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
