"""What can be asked of the facts, and the answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch.facts import FIRST_DAY

__all__ = ["Asked", "Boundaries", "ByCell", "Grid", "Within", "day_number", "day_of"]

Array = npt.NDArray[Any]


class Boundaries(StrEnum):
    """On which boundaries history is drawn; chosen, named, never mixed."""

    NOW = "now"
    """Today's cells: every case in the one that its position lies in today."""
    DAY = "day"
    """The cells of the period's last day: only cases that were put into that drawing when they were reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Within:
    """Cells of one drawing, and whether history is cut anew to it (see `Grid`)."""

    version_id: int
    cells: frozenset[str]
    is_recut: bool = False

    @property
    def drawing(self) -> int:
        """How `maps.facts.drawings` calls it."""
        return self.version_id if self.is_recut else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which cases are meant. None anywhere means no condition.

    Attributes
    ----------
    from_on, to_on
        Local days of the report. Boundary: both included.
    categories, channels, ledgers, states
        Codes; a major class stands for everything below it. Without states, voided, declined and merged cases are left
        out; a case is meant when it has one of the ledgers.
    area
        Codes of cells; a case is meant when the path that it was put into on its day holds one of them: for what
        somebody may see.
    within
        Cells of a drawing that somebody chose; a case is meant when it lies in one of them there.
    """

    from_on: date
    to_on: date
    categories: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    ledgers: frozenset[str] | None = None
    states: frozenset[str] | None = None
    area: frozenset[str] | None = None
    within: Within | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Which drawing, how deep, and whether history is cut anew.

    Attributes
    ----------
    is_recut
        Every case in the cell of this drawing that its position lies in; without it only the cases that were put into
        this drawing on their day, and the others are counted apart. Never both in one answer.
    """

    version_id: int
    level: int
    is_recut: bool = False

    @property
    def drawing(self) -> int:
        """How `maps.facts.drawings` calls it."""
        return self.version_id if self.is_recut else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCell:
    """Cases by cell of one level of one drawing; the parts add up to the count of the question.

    Attributes
    ----------
    codes, cases
        Every cell of the level, also without cases.
    decided, late
        Cases with a decided or passed deadline, and those of them that are late: handled after it, or still running
        past it at ``as_of``.
    handled, median_minutes
        How many were handled, and the median from dispatch to handling: NaN where none was, the lower of two middles.
    """

    codes: tuple[str, ...]
    cases: Array
    decided: Array
    late: Array
    handled: Array
    median_minutes: Array
    out_of_grid: int
    no_position: int
    above_level: int
    other_version: int
    as_of: datetime


def day_number(day: date) -> int:
    """Return the number of a day as the facts count."""
    return int((np.datetime64(day, "D") - FIRST_DAY).astype(int))


def day_of(number: int) -> date:
    """Return the day of a number."""
    day: date = (FIRST_DAY + np.timedelta64(number, "D")).astype(object)
    return day
