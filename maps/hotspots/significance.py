"""From p-values of many cells to what may be coloured: Benjamini–Hochberg, three tones each for hot and cold. Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["ALPHA", "FEWEST_CELLS", "Tone", "adjust_fdr", "grade"]

Floats = npt.NDArray[np.float64]

#: Fewer cells than this say nothing about how values are spread over cells.
FEWEST_CELLS: Final = 30
#: A map is coloured at all only when something on it holds at this level.
ALPHA: Final = 0.05


class Tone(IntEnum):
    """How sure, in which direction; negative is cold. The words "90 %" mean a false discovery rate of 10 %."""

    COLD_99 = -3
    COLD_95 = -2
    COLD_90 = -1
    NONE = 0
    HOT_90 = 1
    HOT_95 = 2
    HOT_99 = 3


def adjust_fdr(p: Floats) -> Floats:
    """Return the Benjamini–Hochberg adjusted p-values: the false discovery rate at which each would be called.

    Parameters
    ----------
    p
        p-values; NaN where there is none, which stays NaN and counts as no test.

    Notes
    -----
    Source: Benjamini and Hochberg (1995).

    Examples
    --------
    >>> adjust_fdr(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.04, 0.04]
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    m = len(order)
    scaled = p[order] * m / np.arange(1, m + 1)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


def grade(q: Floats, high: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    """Return the `Tone` of each cell.

    Parameters
    ----------
    q
        Adjusted p-values, NaN where there are none.
    high
        Whether the cell is on the high side.

    Notes
    -----
    The palest tone alone (a false discovery rate of 10 %) would colour one map of pure chance in ten. So nothing is
    coloured unless at least one cell of the map holds at `ALPHA`: with nothing going on at most 5 % of maps show
    anything.
    """
    known = np.where(np.isnan(q), 1.0, q)
    strength = (known <= 0.10).astype(np.int8) + (known <= ALPHA) + (known <= 0.01)
    if not (known <= ALPHA).any():
        strength[:] = 0
    return np.where(high, strength, -strength).astype(np.int8)
