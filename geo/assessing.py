"""Positions with an error, thousands at a time: the answers of `geo.uncertainty.assess_many`, most of it in process.

The database measures how far each position is from the next outline, which is cheap; only circles that cross one are
cut, and that happens here (`geo.lookup.circles`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from geo.lookup.circles import Circles
from geo.lookup.holder import LiveGrid
from geo.storage.cell_shapes import read_boundaries, read_metric_srid
from geo.storage.uow import Unit
from geo.uncertainty import Uncertainty, boundary_distances, check_accuracy, is_clear, judged

__all__ = ["Assessor"]

#: Circles of 256 corners and their pieces: some 20 MB.
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Assessor:
    """Assesses positions in one loaded version."""

    grid: LiveGrid
    circles: Circles

    @classmethod
    async def open(cls, unit: Unit, grid: LiveGrid) -> Assessor:
        """Read the boundaries of the version. Cost: about 30 µs and 2 kB a cell."""
        index = grid.index
        wkb: list[Any] = [None] * len(index)
        for cell in await read_boundaries(unit, grid.version.id):
            wkb[index.number_of(cell.cell_id)] = cell.boundary
        srid = await read_metric_srid(unit, grid.version.id)
        return cls(grid, await asyncio.to_thread(Circles.build, index, wkb, srid))

    async def assess(
        self,
        unit: Unit,
        numbers: Sequence[int],
        lon: npt.NDArray[np.float64],
        lat: npt.NDArray[np.float64],
        radius_m: npt.NDArray[np.float64],
    ) -> list[Uncertainty]:
        """Rank, for each position, the cells it may lie in.

        Parameters
        ----------
        numbers
            The index's answer for each position, -1 outside.
        lon, lat, radius_m
            SRID: 4326. Units: degrees on the 1e-7° grid, metres.

        Raises
        ------
        BadInputError
            ``geo.accuracy_out_of_range``.

        Notes
        -----
        Cost: about 30 µs a position whose circle crosses no outline, 0.2 ms for one that does.
        """
        for radius in radius_m.tolist():
            check_accuracy(radius)
        found: list[Uncertainty] = []
        for start in range(0, len(numbers), _AT_ONCE):
            here = slice(start, start + _AT_ONCE)
            found += await self._some(unit, numbers[here], lon[here], lat[here], radius_m[here])
        return found

    async def _some(
        self,
        unit: Unit,
        numbers: Sequence[int],
        lon: npt.NDArray[np.float64],
        lat: npt.NDArray[np.float64],
        radius_m: npt.NDArray[np.float64],
    ) -> list[Uncertainty]:
        ids = [self.grid.index.cell_ids[number] if number >= 0 else None for number in numbers]
        distances = await boundary_distances(unit, ids, lon.tolist(), lat.tolist())
        radii = radius_m.tolist()
        rows: list[list[dict[str, Any]]] = [[] for _ in numbers]
        crossing = []
        for place, (number, radius, distance) in enumerate(zip(numbers, radii, distances, strict=True)):
            if is_clear(radius, distance):
                rows[place].append(self._row(number, 1.0))
            else:
                crossing.append(place)
        if crossing:
            shares = await asyncio.to_thread(self.circles.shares, lon[crossing], lat[crossing], radius_m[crossing])
            for circle, cell, share in zip(
                shares.circle.tolist(), shares.cell.tolist(), shares.share.tolist(), strict=True
            ):
                rows[crossing[circle]].append(self._row(cell, share))
        return [judged(radii[place], rows[place], distances[place]) for place in range(len(radii))]

    def _row(self, number: int, share: float) -> dict[str, Any]:
        cell = self.grid.cells[number]
        return {
            "id": number,
            "parent_id": self.grid.index.parents[number],
            "level": cell.level,
            "code": cell.code,
            "name_zh": cell.name_zh,
            "name_en": cell.name_en,
            "kind": cell.kind,
            "share": share,
        }
