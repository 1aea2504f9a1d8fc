"""Binned cases for the heat layer: enough in each bin that no bin stands for one person's report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from maps.suppression import SMALL_COUNT, coarsen

__all__ = ["Bin", "HeatSpot", "Lattice", "coarsen_spots", "merge_small_bins", "spread_spots"]

Floats = npt.NDArray[np.float64]
Weighted = tuple[Floats, Floats, Floats]

#: A bin of 50 m may grow to 800 m; what is still small then is left out.
_DOUBLINGS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Cases of one square of a regular lattice.

    Attributes
    ----------
    column, row
        Number of the square, counted from longitude 0 and latitude 0.
    lon, lat
        Middle of the square, not of its cases: the middle of a single case would be its place. SRID: 4326.
    cases
        How many.
    """

    column: int
    row: int
    lon: float
    lat: float
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattice:
    """Squares of one size in degrees, numbered from longitude 0 and latitude 0. SRID: 4326. Units: degrees."""

    side_lon: float
    side_lat: float

    @classmethod
    def at(cls, latitude: float, *, side_m: float) -> Lattice:
        """Return squares of about ``side_m`` metres (to 0.5 %) around a latitude."""
        return cls(side_lon=side_m / (111_320 * math.cos(math.radians(latitude))), side_lat=side_m / 111_132)

    def bin(self, column: int, row: int, cases: int) -> Bin:
        """Return a square with its middle."""
        middle_lon, middle_lat = (column + 0.5) * self.side_lon, (row + 0.5) * self.side_lat
        return Bin(column=column, row=row, lon=middle_lon, lat=middle_lat, cases=cases)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatSpot:
    """A weighted place: the middle of a square whose side is ``sides`` squares of the lattice. SRID: 4326."""

    lon: float
    lat: float
    cases: int
    sides: int = 1


def merge_small_bins(bins: Iterable[Bin], *, small: int = SMALL_COUNT) -> tuple[list[HeatSpot], int]:
    """Merge bins with few cases into larger squares until each has enough.

    Parameters
    ----------
    bins
        Bins of one lattice, each square at most once.
    small
        The fewest cases that may be drawn.

    Returns
    -------
    tuple[list[HeatSpot], int]
        The spots, most cases first, and the number of cases that stayed too few at 16 times the size and are left out.

    Notes
    -----
    Squares double four times (50 → 800 m). A large square only takes the bins that were too small before; its place is
    its own middle. Cost: O(n).
    """
    ready: list[HeatSpot] = []
    waiting = [(each.column, each.row, each.lon, each.lat, each.cases) for each in bins if each.cases > 0]
    if not waiting:
        return [], 0
    for doubling in range(_DOUBLINGS + 1):
        ready.extend(
            HeatSpot(lon=lon, lat=lat, cases=cases, sides=1 << doubling)
            for _, _, lon, lat, cases in waiting
            if cases >= small
        )
        waiting = [each for each in waiting if each[4] < small]
        if doubling < _DOUBLINGS:
            waiting = _double(waiting)
    ready.sort(key=lambda spot: (-spot.cases, spot.lat, spot.lon))
    return ready, sum(each[4] for each in waiting)


def coarsen_spots(spots: Iterable[HeatSpot]) -> list[HeatSpot]:
    """Return spots with their cases in steps of five, for those who may not see the cases."""
    return [replace(spot, cases=coarsen(spot.cases)) for spot in spots]


def spread_spots(spots: Iterable[HeatSpot], lattice: Lattice) -> Weighted:
    """Spread each spot evenly over its square: where in it the cases lie, nobody is told.

    Returns
    -------
    tuple
        Longitudes, latitudes and weights, one for each lattice square. SRID: 4326.
    """
    lon: list[Floats] = [np.empty(0)]
    lat: list[Floats] = [np.empty(0)]
    weight: list[Floats] = [np.empty(0)]
    for spot in spots:
        steps = np.arange(spot.sides) - (spot.sides - 1) / 2
        across, along = np.meshgrid(spot.lon + steps * lattice.side_lon, spot.lat + steps * lattice.side_lat)
        lon.append(across.ravel())
        lat.append(along.ravel())
        weight.append(np.full(across.size, spot.cases / across.size))
    return np.concatenate(lon), np.concatenate(lat), np.concatenate(weight)


def _double(squares: list[tuple[int, int, float, float, int]]) -> list[tuple[int, int, float, float, int]]:
    """Sum squares into squares of twice the side."""
    merged: dict[tuple[int, int], tuple[float, float, int]] = {}
    for column, row, lon, lat, cases in squares:
        # Middle = (number + 1/2) * side, so the side follows from any middle, and so does the larger middle.
        target = (column // 2, row // 2)
        middle_lon = lon / (column + 0.5) * 2 * (target[0] + 0.5)
        middle_lat = lat / (row + 0.5) * 2 * (target[1] + 0.5)
        present = merged.get(target, (middle_lon, middle_lat, 0))
        merged[target] = (present[0], present[1], present[2] + cases)
    return [
        (column, row, middle_lon, middle_lat, cases)
        for (column, row), (middle_lon, middle_lat, cases) in merged.items()
        if math.isfinite(middle_lon)
    ]
