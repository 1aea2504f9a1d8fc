"""Cases by cell as planners' pages take them, and the same for readers who may not see cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from dispatch.hotspots import CellMeasure
from maps.suppression import SMALL_COUNT, coarsen

__all__ = ["NOTHING", "REST", "Counted", "coarse"]

#: Handling times of those who may not see the cases come in steps of half an hour. Units: minutes.
_COARSE_MINUTES: Final = 30.0
NOTHING: Final = CellMeasure(cases=0, decided=0, late=0, handled=0, median_minutes=None)
REST: Final = ("out_of_grid", "no_position", "above_level", "other_version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Cases by cell of a level, and those that are in no drawn cell."""

    cells: Mapping[str, CellMeasure]
    total: int
    out_of_grid: int
    no_position: int
    above_level: int
    other_version: int

    @property
    def elsewhere(self) -> int:
        """Cases of the filter in no drawn cell."""
        return self.out_of_grid + self.no_position + self.above_level + self.other_version


def coarse(counted: Counted) -> Counted:
    """Return every number in steps, each by itself (see `maps.suppression.coarsen_all`)."""
    cells = {
        code: CellMeasure(
            cases=coarsen(cell.cases),
            decided=coarsen(cell.decided),
            late=coarsen(cell.late),
            handled=coarsen(cell.handled),
            median_minutes=None
            if cell.median_minutes is None or cell.handled < SMALL_COUNT
            else max(_COARSE_MINUTES, round(cell.median_minutes / _COARSE_MINUTES) * _COARSE_MINUTES),
        )
        for code, cell in counted.cells.items()
    }
    rest = {name: coarsen(getattr(counted, name)) for name in ("total", *REST)}
    return replace(counted, cells=cells, **rest)
