"""Do similar values lie together: Moran's I of the whole map and of each cell. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.stats import norm

from maps.hotspots.draws import conditional_tails
from maps.hotspots.neighbours import Neighbours
from maps.hotspots.significance import ALPHA, FEWEST_CELLS, adjust_fdr

__all__ = ["LocalMoran", "Moran", "Quadrant", "local_moran", "moran"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moran:
    """Moran's I of a map, with row-standardised weights.

    Attributes
    ----------
    too_few
        Fewer than 30 cells: z and p say little.
    i, expected
        The statistic, and what chance gives on average: -1 / (n - 1).
    z, p
        Under randomisation; two-sided. Units: standard deviations.
    z_normal, p_normal
        Under normality of the values.
    permutations, p_permuted
        Seeded permutations of the values over the cells; two-sided.
    """

    too_few: bool
    i: float
    expected: float
    z: float
    p: float
    z_normal: float
    p_normal: float
    permutations: int
    p_permuted: float


class Quadrant(StrEnum):
    """What a cell is among its neighbours."""

    NONE = "none"
    HIGH_HIGH = "high_high"
    LOW_HIGH = "low_high"
    LOW_LOW = "low_low"
    HIGH_LOW = "high_low"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMoran:
    """Moran's I of each cell, with row-standardised weights. Shape: (cells,) each.

    Attributes
    ----------
    i
        The statistic; NaN when all values are the same. A cell without neighbours has 0.
    p, q
        Two-sided p-value by conditional permutation, and adjusted (Benjamini–Hochberg).
    quadrants
        `Quadrant` of the cells that hold at a false discovery rate of 5 %; none elsewhere.
    """

    too_few: bool
    i: Floats
    p: Floats
    q: Floats
    quadrants: tuple[Quadrant, ...]
    permutations: int


def _standardised_lag(values: Floats, neighbours: Neighbours) -> Floats:
    k = neighbours.cardinalities
    return np.where(k > 0, neighbours.lag(values) / np.maximum(k, 1), 0.0)


def moran(values: Floats, neighbours: Neighbours, *, permutations: int = 9_999, seed: int = 0) -> Moran:
    """Return Moran's I of a map.

    Notes
    -----
    Source: Cliff and Ord (1981), pages 17, 42 and 46. Cost: one pass over the pairs, and one per permutation.

    Raises
    ------
    ValueError
        If values are not one per cell, or there are fewer than four cells (the variance does not exist).
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    if n != len(neighbours) or n < 4:
        raise ValueError("one value per cell, and at least four cells")
    z = x - x.mean()
    squares = float((z * z).sum())
    k = neighbours.cardinalities.astype(np.float64)
    inverse = np.where(k > 0, 1.0 / np.maximum(k, 1), 0.0)
    s0 = float((k > 0).sum())
    nothing = Moran(
        too_few=True,
        i=np.nan,
        expected=-1 / (n - 1),
        z=np.nan,
        p=np.nan,
        z_normal=np.nan,
        p_normal=np.nan,
        permutations=0,
        p_permuted=np.nan,
    )
    if squares <= 1e-24 * max(1.0, float((x * x).sum())) or s0 == 0.0:
        return nothing
    i = n / s0 * float((z * _standardised_lag(z, neighbours)).sum()) / squares
    weights = neighbours.matrix() * inverse[:, None]
    both = (weights + weights.T).tocsr()
    s1 = 0.5 * float(both.multiply(both).sum())
    s2 = float(((np.asarray(weights.sum(axis=1)).ravel() + np.asarray(weights.sum(axis=0)).ravel()) ** 2).sum())
    expected = -1 / (n - 1)
    normal = (n * n * s1 - n * s2 + 3 * s0 * s0) / ((n - 1) * (n + 1) * s0 * s0) - expected * expected
    kurtosis = float((z**4).sum()) / n / (squares / n) ** 2
    spread = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0 * s0)
    spread -= kurtosis * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0 * s0)
    random = spread / ((n - 1) * (n - 2) * (n - 3) * s0 * s0) - expected * expected
    if min(random, normal) <= 1e-12 * abs(i):
        # One cell has everything: wherever it lay, the index would be about the same, and nothing can be said of it.
        return replace(nothing, i=i)
    z_random, z_normal = (i - expected) / np.sqrt(random), (i - expected) / np.sqrt(normal)
    return Moran(
        too_few=n < FEWEST_CELLS,
        i=i,
        expected=expected,
        z=float(z_random),
        p=float(2 * norm.sf(abs(z_random))),
        z_normal=float(z_normal),
        p_normal=float(2 * norm.sf(abs(z_normal))),
        permutations=permutations,
        p_permuted=_permute(z, weights, i * s0 / n * squares, permutations, seed) if permutations else np.nan,
    )


def _permute(z: Floats, weights: csr_array, observed: float, permutations: int, seed: int) -> float:
    """Return the two-sided p of the cross product under permutations of the whole map."""
    rng = np.random.default_rng(seed)
    high = low = 0
    tie = 1e-11 * float(np.abs(z).sum()) ** 2 / len(z)
    step = max(1, 4_000_000 // len(z))
    for start in range(0, permutations, step):
        shuffled = rng.permuted(np.broadcast_to(z, (min(step, permutations - start), len(z))), axis=1)
        found = np.einsum("pc,cp->p", shuffled, weights @ shuffled.T)
        high += int((found >= observed - tie).sum())
        low += int((found <= observed + tie).sum())
    return min(1.0, 2 * (min(high, low) + 1) / (permutations + 1))


def local_moran(values: Floats, neighbours: Neighbours, *, permutations: int = 9_999, seed: int = 0) -> LocalMoran:
    """Return Moran's I of each cell: which are high among high, low among low, or unlike their neighbours.

    Notes
    -----
    Source: Anselin (1995), formula 12, with the sum of squares over n - 1 as in esda. Unlike Gi* it tells a high cell
    among low ones apart. Cost: as `maps.hotspots.gi_star.find_hot_spots`.
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    if n != len(neighbours):
        raise ValueError("one value per cell")
    z = x - x.mean() if n else x
    if n < 2 or float(np.ptp(x)) == 0.0:
        blank = np.full(n, np.nan)
        return LocalMoran(
            too_few=True, i=blank, p=blank, q=blank, quadrants=(Quadrant.NONE,) * n, permutations=permutations
        )
    lag = _standardised_lag(z, neighbours)
    i = (n - 1) * z * lag / float((z * z).sum())
    tails = conditional_tails(z, neighbours.lag(z), neighbours.cardinalities, draws=permutations, seed=seed)
    too_few = n < FEWEST_CELLS
    p = np.where(neighbours.cardinalities > 0, tails.p, np.nan)
    q = adjust_fdr(p)
    names = {(True, True): Quadrant.HIGH_HIGH, (False, True): Quadrant.LOW_HIGH}
    names |= {(False, False): Quadrant.LOW_LOW, (True, False): Quadrant.HIGH_LOW}
    quadrants = tuple(
        names[own, around] if not too_few and found <= ALPHA else Quadrant.NONE
        for own, around, found in zip((z > 0).tolist(), (lag > 0).tolist(), q.tolist(), strict=True)
    )
    return LocalMoran(too_few=too_few, i=i, p=p, q=q, quadrants=quadrants, permutations=permutations)
