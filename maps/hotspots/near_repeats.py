"""Does one case bring the next: Knox's table of pairs close in space and in time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import KDTree
from scipy.stats import poisson

from maps.suppression import coarsen, coarsen_all

__all__ = ["MOST_PAIRS", "Knox", "TooManyPairsError", "coarse_knox", "expected_pairs", "knox", "poisson_tail"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: What a page can wait for: some seconds of permutations.
MOST_PAIRS: Final = 2_000_000
#: Pairs times permutations; with more pairs fewer random assignments are drawn, but never fewer than these.
_MOST_DRAWN: Final = 400_000_000
_FEWEST_PERMUTATIONS: Final = 199
#: Days; a difference of exactly a band's end must not fall out of it because hours are no whole binary fractions.
_SAME_TIME: Final = 1e-9


class TooManyPairsError(ValueError):
    """More pairs of cases lie close together than a page can wait for; a shorter period or smaller distances do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knox:
    """Pairs of cases by distance and time between them. Shape: (distance bands, time bands).

    Attributes
    ----------
    distances_m, days
        Upper ends of the bands. Boundary: included; the first distance band of 0 means the same place.
    observed, expected
        Pairs found, and the mean over random assignments of the instants to the places.
    p
        One-sided: how often chance gives at least as many; the observed one counts as a draw.
    cases, permutations, seed
        How many cases, how many random assignments, from which seed.
    """

    distances_m: tuple[float, ...]
    days: tuple[float, ...]
    observed: Ints
    expected: Floats
    p: Floats
    cases: int
    permutations: int
    seed: int

    @property
    def ratio(self) -> Floats:
        """Observed over expected; NaN where nothing is expected. Above 1 with small p: near repeats."""
        blank = np.full(self.expected.shape, np.nan)
        return np.asarray(np.divide(self.observed, self.expected, out=blank, where=self.expected > 0))


def expected_pairs(close_in_space: int, close_in_time: int, all_pairs: int) -> float:
    """Return how many pairs are close in both by chance.

    Notes
    -----
    Source: Knox (1964).

    Examples
    --------
    Knox's own: 96 cases, 25 pairs within a kilometre, 152 within 60 days; 5 were both.

    >>> round(expected_pairs(25, 152, 96 * 95 // 2), 2)
    0.83
    """
    return close_in_space * close_in_time / all_pairs


def poisson_tail(observed: int, expected: float) -> float:
    """Return the chance of at least so many pairs by Knox's approximation (Poisson)."""
    return float(poisson.sf(observed - 1, expected))


def knox(
    x_m: Floats,
    y_m: Floats,
    day: Floats,
    *,
    distances_m: Sequence[float] = (0.0, 100.0, 200.0, 300.0, 400.0),
    days: Sequence[float] = (7.0, 14.0, 21.0, 28.0),
    permutations: int = 999,
    seed: int = 0,
    most_pairs: int = MOST_PAIRS,
) -> Knox:
    """Count pairs of cases by distance and by days between them, beside what chance gives.

    Parameters
    ----------
    x_m, y_m, day
        Shape: (cases,). Units: metres in a projected system; days, fractions allowed.
    distances_m, days
        Upper ends of the bands, ascending.

    Raises
    ------
    TooManyPairsError
        When more than ``most_pairs`` pairs are within the largest distance.
    permutations
        The most random assignments. Many pairs take fewer: 400 million pairs are looked at in all, in at least 199.

    Notes
    -----
    Chance means: the same places, the same instants, in random combination; so neither a busy place nor a busy week
    makes a near repeat. Cost: permutations × pairs within the largest distance, 5 ns each.
    """
    points = np.column_stack((x_m, y_m))
    n, reach = len(points), float(distances_m[-1])
    close = _count_close(points, reach) if n else 0
    if close > most_pairs:
        raise TooManyPairsError(f"{close} pairs of cases within {reach:g} m")
    permutations = min(permutations, max(_FEWEST_PERMUTATIONS, _MOST_DRAWN // max(close, 1)))
    pairs = KDTree(points).query_pairs(reach, output_type="ndarray") if n else np.empty((0, 2), dtype=np.int64)
    # In order, so that the instants of one side are read one after the other.
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    one, other = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    apart = np.hypot(*(points[one] - points[other]).T)
    space = np.searchsorted(np.asarray(distances_m, dtype=np.float64), apart, side="left")
    ends = np.asarray(days, dtype=np.float64) + _SAME_TIME
    shape = (len(distances_m), len(days))

    def count(when: Floats) -> Ints:
        between = when[one]
        between -= when[other]
        np.abs(between, out=between)
        # Most pairs lie far apart in time: they are left out before anything else is done with them.
        near = np.flatnonzero(between <= ends[-1])
        cells = space[near] * len(ends) + np.searchsorted(ends, between[near], side="left")
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    day = np.asarray(day, dtype=np.float64)
    observed = count(day)
    rng = np.random.default_rng(seed)
    total, reached = np.zeros(shape), np.zeros(shape)
    for _ in range(permutations):
        drawn = count(rng.permutation(day))
        total += drawn
        reached += drawn >= observed
    return Knox(
        distances_m=tuple(distances_m),
        days=tuple(days),
        observed=observed,
        expected=total / max(permutations, 1),
        p=(reached + 1) / (permutations + 1),
        cases=n,
        permutations=permutations,
        seed=seed,
    )


def _count_close(points: Floats, reach: float) -> int:
    """Return how many pairs of cases lie within a distance; places with many cases are looked at once only."""
    places, cases = np.unique(points, axis=0, return_counts=True)
    tree, weights = KDTree(places), cases.astype(np.float64)
    close = float(tree.count_neighbors(tree, reach, weights=(weights, weights)))
    return (round(close) - len(points)) // 2


def coarse_knox(found: Knox) -> Knox:
    """Return a table as those learn of it who may not see cases: pairs in steps of five, p to two decimals."""
    return replace(
        found,
        observed=coarsen_all(found.observed),
        expected=coarsen_all(np.rint(found.expected)).astype(np.float64),
        p=np.maximum(np.round(found.p, 2), 0.01),
        cases=coarsen(found.cases),
    )
