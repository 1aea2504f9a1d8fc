"""Small counts are not shown: planners see where many problems are, never whose single report it was."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

__all__ = ["SMALL_COUNT", "Disclosure", "decide_disclosure"]

#: Counts from 1 to one below this are withheld.
SMALL_COUNT: Final = 5


class Disclosure(StrEnum):
    """What may be said about the count of a cell."""

    NONE = "none"
    """No case: nobody to protect, and worth knowing."""
    SHOWN = "shown"
    SMALL = "small"
    """Fewer than five: shown as "<5"."""
    WITHHELD = "withheld"
    """Large enough, but with it the small ones could be computed from the total."""


def decide_disclosure(counts: Mapping[str, int], *, small: int = SMALL_COUNT) -> dict[str, Disclosure]:
    """Decide for each cell whether its count may be shown beside the total of all.

    Parameters
    ----------
    counts
        Cases by cell code.
    small
        The smallest count that may be shown.

    Returns
    -------
    dict[str, Disclosure]
        One for each key of ``counts``.

    Notes
    -----
    The total is on the page. If one cell alone is withheld, total minus the rest is its count; if two cells with one
    case each are, the remainder 2 gives both away. So the next smallest cells are withheld too, until the withheld ones
    are at least two and have at least ``small`` cases together. (Comparing two different filters is not covered here.)

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
    if not hidden:
        return decided
    shown = sorted((count, code) for code, count in counts.items() if decided[code] is Disclosure.SHOWN)
    for count, code in shown:
        if len(hidden) > 1 and sum(hidden) >= small:
            break
        decided[code] = Disclosure.WITHHELD
        hidden.append(count)
    return decided
