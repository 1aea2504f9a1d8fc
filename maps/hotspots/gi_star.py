"""Hot and cold spots: Getis-Ord Gi* with analytic z and seeded permutations. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from maps.hotspots.draws import conditional_tails, total_tails
from maps.hotspots.neighbours import Neighbours
from maps.hotspots.significance import FEWEST_CELLS, adjust_fdr, grade

__all__ = ["PERMUTATIONS", "HotSpots", "Null", "find_hot_spots", "gi_star"]

Floats = npt.NDArray[np.float64]

PERMUTATIONS: Final = 9_999
_MOST_PERMUTATIONS: Final = 199_999


class Null(StrEnum):
    """What "by chance" means."""

    ANALYTIC = "analytic"
    """The normal distribution. Fast, and too generous where counts are small and skewed."""
    TOTAL = "total"
    """Every arrangement of the values over the map is equally likely: the null under which z itself is derived."""
    CONDITIONAL = "conditional"
    """The cell keeps its value, the others are arranged at random (Anselin 1995, and esda); only the neighbours
    decide, not the cell itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HotSpots:
    """Gi* of every cell.

    Attributes
    ----------
    too_few
        Fewer than 30 cells, or no variation at all: z, p and q say nothing, and every tone is none.
    z
        Units: standard deviations. NaN where it is undefined.
    p, q
        Two-sided p-value, and the same adjusted for the number of cells (Benjamini–Hochberg).
    tones
        `Tone` of each cell.
    terms, sums
        How many cells each sum is of (the cell and its neighbours), and the sum.
    mean, deviation
        Of the values over all cells.
    null, permutations, seed
        How p was found; no permutations when analytic.
    """

    too_few: bool
    z: Floats
    p: Floats
    q: Floats
    tones: npt.NDArray[np.int8]
    terms: npt.NDArray[np.int64]
    sums: Floats
    mean: float
    deviation: float
    null: Null
    permutations: int
    seed: int


def gi_star(values: Floats, neighbours: Neighbours, *, with_self: bool = True) -> Floats:
    """Return Gi* as a z-score (Gi without the cell itself).

    Parameters
    ----------
    values
        One per cell: counts, or rates.
    with_self
        Gi* counts the cell among its neighbours; Gi does not, and leaves it out of mean and variance.

    Returns
    -------
    ndarray
        Units: standard deviations. NaN where a cell has every cell as neighbour, or all values are the same.

    Notes
    -----
    ``(sum - m * mean) / (s * sqrt(m * (n - m) / (n - 1)))`` with s² the mean square less the squared mean.
    Source: Ord and Getis (1995), formula 14. Cost: one pass over the pairs; 20,000 cells under a millisecond.
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x) - (not with_self)
    # Gi* does not change when a constant is added; around the mean no digits are lost to a large one.
    x = x - (x.mean() if len(x) else 0.0)
    m = neighbours.cardinalities.astype(np.float64) + with_self
    sums = neighbours.lag(x) + (x if with_self else 0.0)
    total, squares = x.sum(), (x * x).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (total - (0.0 if with_self else x)) / n
        variance = (squares - (0.0 if with_self else x * x)) / n - mean * mean
        spread = np.sqrt(np.maximum(variance, 0.0) * m * (n - m) / (n - 1))
        z = np.asarray((sums - m * mean) / spread)
    z[~np.isfinite(z)] = np.nan
    return z


def find_hot_spots(
    values: Floats,
    neighbours: Neighbours,
    *,
    null: Null = Null.TOTAL,
    permutations: int | None = None,
    seed: int = 0,
) -> HotSpots:
    """Find the cells around which high, or low, values stand closer together than chance explains.

    Parameters
    ----------
    values
        Of every cell of one level, also those without cases.
    null, permutations, seed
        What chance means, how many random maps are compared, from which seed. Without a number there are 100 per cell,
        from 9,999 to 199,999: with fewer no single cell of many could ever pass the correction for their number.

    Notes
    -----
    Source: Ord and Getis (1995); Benjamini and Hochberg (1995). Of maps of pure chance at most 5 % show any coloured
    cell. Cost: 20,000 cells and 9,999 permutations in some hundredths of a second.

    Raises
    ------
    ValueError
        If values are not finite or not one per cell.
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    if n != len(neighbours):
        raise ValueError("one value per cell")
    if not np.isfinite(x).all():
        raise ValueError("values must be finite")
    draws = min(_MOST_PERMUTATIONS, max(PERMUTATIONS, 100 * n - 1)) if permutations is None else permutations
    terms = neighbours.cardinalities + 1
    sums = neighbours.lag(x) + x
    mean, deviation = (float(x.mean()), float(x.std())) if n else (0.0, 0.0)
    too_few = n < FEWEST_CELLS or float(np.ptp(x)) == 0.0
    z = gi_star(x, neighbours) if not too_few else np.full(n, np.nan)
    p = np.full(n, np.nan)
    if not too_few:
        match null:
            case Null.ANALYTIC:
                p = 2 * norm.sf(np.abs(z))
            case Null.TOTAL:
                p = total_tails(x, sums, terms, draws=draws, seed=seed).p
            case Null.CONDITIONAL:
                p = conditional_tails(x, sums - x, terms - 1, draws=draws, seed=seed).p
        p = np.where(np.isnan(z), np.nan, p)
    q = adjust_fdr(p)
    return HotSpots(
        too_few=too_few,
        z=z,
        p=p,
        q=q,
        tones=grade(q, np.nan_to_num(z) > 0),
        terms=terms,
        sums=sums,
        mean=mean,
        deviation=deviation,
        null=null,
        permutations=0 if null is Null.ANALYTIC else draws,
        seed=seed,
    )
