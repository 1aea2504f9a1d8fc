"""Rates of small cells drawn towards what is known around them: empirical Bayes. Pure.

Three cases among forty residents are not "75 per 1,000"; they are three cases. An empirical-Bayes rate weighs each
cell's own rate by how much it says, and the mean of all (or of its neighbours) by the rest.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from maps.hotspots.neighbours import Neighbours

__all__ = ["bayes_global", "bayes_local"]

Floats = npt.NDArray[np.float64]


def bayes_global(cases: Floats, residents: Floats) -> Floats:
    """Return rates drawn towards the rate of the whole map.

    Returns
    -------
    ndarray
        Units: cases per resident. NaN where nobody lives. When the cells differ no more than chance explains, all have
        the common rate.

    Notes
    -----
    Source: Marshall (1991), global estimator by moments.

    Examples
    --------
    The small cell moves far, the large one hardly:

    >>> [round(rate * 1000, 1) for rate in bayes_global(np.array([3, 40, 9]), np.array([40, 4000, 1000])).tolist()]
    [17.1, 10.0, 9.3]
    """
    e, b = np.asarray(cases, dtype=np.float64), np.asarray(residents, dtype=np.float64)
    lived = b > 0
    smoothed = np.full(len(e), np.nan)
    e, b = e[lived], b[lived]
    if not len(b):
        return smoothed
    mean = e.sum() / b.sum()
    rate = e / b
    variance = max(0.0, (b * (rate - mean) ** 2).sum() / b.sum() - mean / b.mean())
    if mean == 0.0:
        smoothed[lived] = 0.0
        return smoothed
    weight = variance / (variance + mean / b)
    smoothed[lived] = weight * rate + (1 - weight) * mean
    return smoothed


def bayes_local(cases: Floats, residents: Floats, neighbours: Neighbours) -> Floats:
    """Return rates drawn towards the rate of the cell and its neighbours together.

    Returns
    -------
    ndarray
        Units: cases per resident. NaN where nobody lives.

    Notes
    -----
    Source: Marshall (1991), local estimator by moments.
    """
    e, b = np.asarray(cases, dtype=np.float64), np.asarray(residents, dtype=np.float64)
    lived = b > 0
    e, b = np.where(lived, e, 0.0), np.where(lived, b, 0.0)
    rate = np.divide(e, b, out=np.zeros(len(e)), where=lived)
    around = neighbours.lag(b) + b
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (neighbours.lag(e) + e) / around
        # The sum of b (rate - mean)² over cell and neighbours, with the cell's own mean: expanded into three lags.
        first = neighbours.lag(b * rate * rate) + b * rate * rate
        second = neighbours.lag(b * rate) + b * rate
        left = (first - 2 * mean * second + mean * mean * around) / around
        inhabited = neighbours.lag(lived.astype(np.float64)) + 1
        variance = np.maximum(0.0, left - mean * inhabited / around)
        weight = np.where(mean > 0, variance / (variance + mean / b), 0.0)
        smoothed = mean + (rate - mean) * weight
    return np.where(lived, smoothed, np.nan)
