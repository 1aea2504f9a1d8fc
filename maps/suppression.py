"""Small counts are not shown: planners see where many problems are, never whose single report it was.

Two measures. Counts below five are withheld from everybody's maps. And those who may not see the cases themselves get
every count in steps of five: then two filters that differ by one report give the same numbers, or numbers that differ
by five, and their difference says nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["SMALL_COUNT", "Disclosure", "coarsen", "coarsen_all", "decide_disclosure"]

#: Counts from 1 to one below this are withheld; what is not exact comes in steps of it.
SMALL_COUNT: Final = 5
#: Stands for every count from 1 to 4 where counts are not exact.
_SMALL_MIDDLE: Final = 2


class Disclosure(StrEnum):
    """What may be said about the count of a cell."""

    NONE = "none"
    """No case: nobody to protect, and worth knowing."""
    SHOWN = "shown"
    SMALL = "small"
    """Fewer than five: shown as "<5"."""
    WITHHELD = "withheld"
    """Large enough, but with it the small ones could be computed from the total."""


def coarsen_all(counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return counts as those learn them who may not see the cases: 0, "fewer than five" (2), 5, 10, 15 and so on.

    Parameters
    ----------
    counts
        Exact counts. Any shape.

    Returns
    -------
    NDArray
        Each rounded to the nearest step of five by itself. The same cases always give the same number: nothing is drawn
        by lot, so asking again gives nothing new.

    Notes
    -----
    Take two filters of which one holds all cases of the other, and a cell with n and n + d cases under them. What is
    shown says of d: nothing but 0 … 4 (equal numbers), or a range that reaches to 5 or more. No pair of answers says
    that d is between 1 and 4, except where a cell with no case turns to "fewer than five" — and that is what asking for
    the difference itself would be told. Everything on a page (shares, classes, hot spots, densities, sums) is computed
    from these numbers and therefore tells no more than they do.

    Source: rounding to a base is the usual protection of freely combined tables; Hundepool et al. (2012), Statistical
    Disclosure Control, chapter 5.

    Examples
    --------
    >>> coarsen_all(np.array([0, 1, 4, 5, 7, 8, 12, 13])).tolist()
    [0, 2, 2, 5, 5, 10, 10, 15]
    """
    counts = np.asarray(counts, dtype=np.int64)
    rounded = (counts + SMALL_COUNT // 2) // SMALL_COUNT * SMALL_COUNT
    return np.where(counts == 0, 0, np.where(counts < SMALL_COUNT, _SMALL_MIDDLE, rounded))


def coarsen(count: int) -> int:
    """Return one count as `coarsen_all` does.

    Examples
    --------
    >>> coarsen(3), coarsen(1203)
    (2, 1205)
    """
    return int(coarsen_all(np.array(count)))


def decide_disclosure(
    counts: Mapping[str, int], *, small: int = SMALL_COUNT, is_coarse: bool = False
) -> dict[str, Disclosure]:
    """Decide for each cell whether its count may be shown beside the total of all.

    Parameters
    ----------
    counts
        Cases by cell code.
    small
        The smallest count that may be shown.
    is_coarse
        The counts come from `coarsen_all`: their total is no exact sum, so nothing can be computed from it.

    Returns
    -------
    dict[str, Disclosure]
        One for each key of ``counts``.

    Notes
    -----
    The total is on the page. If one cell alone is withheld, total minus the rest is its count; if two cells with one
    case each are, the remainder 2 gives both away. So the next smallest cells are withheld too, until the withheld ones
    are at least two and have at least ``small`` cases together. Comparing two different filters is not covered here:
    for that there is `coarsen_all`.

    Examples
    --------
    >>> [str(each) for each in decide_disclosure({"a": 90, "b": 12, "c": 1, "d": 0}).values()]
    ['shown', 'withheld', 'small', 'none']
    """
    decided = {
        code: Disclosure.NONE if count == 0 else Disclosure.SMALL if count < small else Disclosure.SHOWN
        for code, count in counts.items()
    }
    hidden = [counts[code] for code, disclosure in decided.items() if disclosure is Disclosure.SMALL]
    if not hidden or is_coarse:
        return decided
    shown = sorted((count, code) for code, count in counts.items() if decided[code] is Disclosure.SHOWN)
    for count, code in shown:
        if len(hidden) > 1 and sum(hidden) >= small:
            break
        decided[code] = Disclosure.WITHHELD
        hidden.append(count)
    return decided
