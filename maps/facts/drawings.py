"""In which cell of which drawing every row lies: the one of its own day, or one of another drawing by position."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy.typing as npt

from maps.facts.pyramid import Pyramid
from maps.facts.sums import DaySums, SquareSums

__all__ = ["OWN_DAY", "Drawn"]

Array = npt.NDArray[Any]

#: Stands for the cells that the cases were put in on their day; every other number is a drawing.
OWN_DAY: Final = 0


@dataclass(slots=True, kw_only=True)
class Drawn:
    """Places of all rows by one drawing, with their sums.

    Attributes
    ----------
    cell
        Place of each row of the columns.
    late
        Name of the tail's column with the same.
    days, squares, pyramids
        Sums, kept current by `correct`; by drawing whose cells are meant, 0 for all.
    """

    cell: Array
    late: str
    days: DaySums | None
    squares: dict[int, SquareSums | None] = field(default_factory=dict)
    pyramids: dict[int, Pyramid] = field(default_factory=dict)

    def correct(self, day: int, place: int, category: int, square: int, change: int) -> None:
        """Count one row more or less."""
        if self.days is not None:
            self.days.correct(day, place, category, change)
        for sums in self.squares.values():
            if sums is not None:
                sums.correct(day, place, square, change)
        for pyramid in self.pyramids.values():
            pyramid.correct(place, square, change)

    def move(self, row: int, place: int, *, day: int, category: int, square: int, counts: bool) -> None:
        """Put a row into another place."""
        old = int(self.cell[row])
        if old == place:
            return
        if counts:
            self.correct(day, old, category, square, -1)
        self.cell[row] = place
        if counts:
            self.correct(day, place, category, square, 1)
