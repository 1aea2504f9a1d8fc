"""Is it getting worse: Mann–Kendall trend, and classes of emerging hot and cold spots. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from maps.hotspots.gi_star import Null, find_hot_spots
from maps.hotspots.neighbours import Neighbours
from maps.hotspots.significance import FEWEST_CELLS

__all__ = ["FEWEST_STEPS", "Emerging", "Pattern", "Trend", "classify", "find_emerging", "mann_kendall"]

Floats = npt.NDArray[np.float64]
Signs = npt.NDArray[np.int8]

#: Fewer steps than this make no history.
FEWEST_STEPS: Final = 10
_MOST_OF_THE_TIME: Final = 0.9
_TREND_P: Final = 0.05


class Pattern(StrEnum):
    """How a cell was a hot spot over time; the same eight for cold."""

    NONE = "none"
    NEW = "new"
    """Hot in the last step, never before."""
    CONSECUTIVE = "consecutive"
    """Hot in one unbroken run up to the last step, of at least two and less than 90 % of all; never before."""
    INTENSIFYING = "intensifying"
    """Hot in at least 90 % of the steps, the last among them, and the clustering grows."""
    PERSISTENT = "persistent"
    """Hot in at least 90 % of the steps, the last among them, without a trend."""
    DIMINISHING = "diminishing"
    """Hot in at least 90 % of the steps, the last among them, and the clustering weakens."""
    SPORADIC = "sporadic"
    """Hot in the last step, on and off before, in less than 90 % of all; never cold."""
    OSCILLATING = "oscillating"
    """Hot in the last step, in less than 90 % of all, and cold in an earlier one."""
    HISTORICAL = "historical"
    """Not hot in the last step, but in at least 90 % of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Mann–Kendall of one series: the score, its standard deviation with ties, z with continuity, two-sided p."""

    score: int
    deviation: float
    z: float
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Emerging:
    """What a cell has been.

    ``is_hot`` tells hot from cold; ``hot_steps`` and ``cold_steps`` count steps with a significant sign.
    """

    pattern: Pattern
    is_hot: bool
    hot_steps: int
    cold_steps: int
    trend: Trend


def mann_kendall(series: Sequence[float] | Floats) -> Trend:
    """Test a series for a trend in one direction, whatever its shape. Missing values (NaN) are left out.

    Notes
    -----
    Source: Mann (1945), Kendall (1975), with the correction for ties. Cost: O(steps²).

    Examples
    --------
    >>> trend = mann_kendall([1, 2, 3, 4, 5])
    >>> trend.score, round(trend.z, 4), round(trend.p, 4)
    (10, 2.2045, 0.0275)
    """
    x = np.asarray(series, dtype=np.float64)
    x = x[~np.isnan(x)]
    n = len(x)
    score = int(np.sign(x[None, :] - x[:, None])[np.triu_indices(n, 1)].sum())
    _, ties = np.unique(x, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18
    deviation = float(np.sqrt(variance))
    z = 0.0 if deviation == 0.0 else (score - np.sign(score)) / deviation
    return Trend(score=score, deviation=deviation, z=float(z), p=float(2 * norm.sf(abs(z))))


def classify(signs: Sequence[int] | Signs, trend: Trend) -> tuple[Pattern, bool]:
    """Name the history of one cell.

    Parameters
    ----------
    signs
        For each step 1 (significantly hot), -1 (cold) or 0, oldest first.
    trend
        Of Gi* over the steps. For a cold spot, growing means falling.

    Returns
    -------
    tuple[Pattern, bool]
        The pattern, and whether it is one of the hot ones.

    Notes
    -----
    The classes are the ones that emerging hot spot analysis has made usual. A history can be named for hot and for cold
    only if it is both; then the last significant step decides.
    """
    steps = np.asarray(signs, dtype=np.int8)
    marked = np.flatnonzero(steps)
    if not len(marked):
        return Pattern.NONE, True
    last = int(steps[marked[-1]])
    for side in (last, -last):
        found = _classify_side(steps * side, trend.z * side, trend.p)
        if found is not Pattern.NONE:
            return found, side > 0
    return Pattern.NONE, True


def _classify_side(steps: Signs, z: float, p: float) -> Pattern:
    n = len(steps)
    hot = steps > 0
    count = int(hot.sum())
    mostly = count >= _MOST_OF_THE_TIME * n
    if not hot[-1]:
        return Pattern.HISTORICAL if mostly else Pattern.NONE
    if mostly and n > 1:
        if p > _TREND_P or z == 0.0:
            return Pattern.PERSISTENT
        return Pattern.INTENSIFYING if z > 0 else Pattern.DIMINISHING
    if count == 1 and not (steps < 0).any():
        return Pattern.NEW
    if (steps < 0).any():
        return Pattern.OSCILLATING
    run = n - 1 - int(np.flatnonzero(~hot)[-1])
    return Pattern.CONSECUTIVE if run == count else Pattern.SPORADIC


def find_emerging(
    values: Floats, neighbours: Neighbours, *, permutations: int = 999, seed: int = 0, null: Null = Null.TOTAL
) -> list[Emerging] | None:
    """Name every cell's history.

    Parameters
    ----------
    values
        Shape: (steps, cells), oldest step first.
    permutations, seed, null
        As for `maps.hotspots.gi_star.find_hot_spots`; every step is tested by itself, against the cells of that step.

    Returns
    -------
    list[Emerging] or None
        One per cell; None with fewer than 30 cells or ten steps, where every name would be a guess.
    """
    steps, cells = values.shape
    if steps < FEWEST_STEPS or cells < FEWEST_CELLS:
        return None
    signs = np.zeros((steps, cells), dtype=np.int8)
    z = np.zeros((steps, cells))
    for step in range(steps):
        found = find_hot_spots(values[step], neighbours, null=null, permutations=permutations, seed=seed + step)
        # A step in which nothing happened anywhere is no gap in the trend: nothing stands out, Gi* is 0.
        z[step] = np.nan_to_num(found.z)
        signs[step] = np.sign(np.where(np.abs(found.tones) > 1, found.tones, 0))
    named = []
    for cell in range(cells):
        trend = mann_kendall(z[:, cell])
        pattern, is_hot = classify(signs[:, cell], trend)
        named.append(
            Emerging(
                pattern=pattern,
                is_hot=is_hot,
                hot_steps=int((signs[:, cell] > 0).sum()),
                cold_steps=int((signs[:, cell] < 0).sum()),
                trend=trend,
            )
        )
    return named
