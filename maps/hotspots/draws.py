"""Random draws of cells without replacement, and how often a drawn sum reaches an observed one. Pure; always seeded.

A permutation test of 20,000 cells need not draw 20,000 times 9,999 maps. Under the null hypothesis the values of any m
cells are as likely as those of any other m, so one table of 9,999 ordered draws serves every cell: the sum of the first
m columns is the reference of all cells whose sum has m terms. Where a cell's own value must stay in its place (the
conditional null), a draw that happens to contain the cell gives that place to the next in line; the few draws where
this happens are corrected one by one. Both are exact, not approximations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["Tails", "conditional_tails", "draw_cells", "total_tails"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Sums of the same numbers in another order differ in their last bits; what is closer than this counts as equal.
_TIE: Final = 1e-11
_CHUNK: Final = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tails:
    """How many of ``draws`` random sums were at least, and at most, the observed one. Shape: (cells,)."""

    at_least: Ints
    at_most: Ints
    draws: int

    @property
    def p_high(self) -> Floats:
        """One-sided p that a sum is so high by chance; the observed map counts as one draw."""
        return (self.at_least + 1) / (self.draws + 1)

    @property
    def p_low(self) -> Floats:
        """One-sided p that a sum is so low by chance."""
        return (self.at_most + 1) / (self.draws + 1)

    @property
    def p(self) -> Floats:
        """Two-sided p: twice the smaller tail."""
        return np.asarray(np.minimum(1.0, 2 * np.minimum(self.p_high, self.p_low)))


def draw_cells(n: int, size: int, *, draws: int, seed: int) -> Ints:
    """Ordered draws of different cells, all orders equally likely.

    Returns
    -------
    ndarray
        Shape: (draws, size).
    """
    if not 0 <= size <= n:
        raise ValueError(f"cannot draw {size} of {n} cells")
    rng = np.random.default_rng(seed)
    drawn = np.empty((draws, size), dtype=np.int64)
    if size > n // 4:
        step = max(1, _CHUNK // max(n, 1))
        for start in range(0, draws, step):
            stop = min(start + step, draws)
            drawn[start:stop] = np.argsort(rng.random((stop - start, n)), axis=1)[:, :size]
        return drawn
    # Draw more than wanted with replacement and keep first occurrences, in their order: drawing until enough differ.
    waiting = np.arange(draws)
    while len(waiting):
        wide = rng.integers(0, n, size=(len(waiting), size + 4 + size * size // n))
        order = np.argsort(wide, axis=1, kind="stable")
        ranked = np.take_along_axis(wide, order, axis=1)
        repeated = np.zeros(wide.shape, dtype=bool)
        np.put_along_axis(repeated[:, :], order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
        front = np.argsort(repeated, axis=1, kind="stable")[:, :size]
        done = (~repeated).sum(axis=1) >= size
        drawn[waiting[done]] = np.take_along_axis(wide, front, axis=1)[done]
        waiting = waiting[~done]
    return drawn


def total_tails(values: Floats, sums: Floats, terms: Ints, *, draws: int, seed: int) -> Tails:
    """Compare sums with those of as many cells drawn at random from the whole map.

    Parameters
    ----------
    values
        Of every cell.
    sums, terms
        Each cell's observed sum, and of how many cells it is.
    draws, seed
        How many random maps, from which seed.

    Notes
    -----
    The null hypothesis: every arrangement of the values over the map is equally likely; the same under which the mean
    and variance of Gi* are derived. Cost: O(draws × largest m + cells × log draws).
    """
    drawn = draw_cells(len(values), int(terms.max(initial=0)), draws=draws, seed=seed)
    running = np.cumsum(values[drawn], axis=1)
    tie = _TIE * max(1.0, float(np.abs(values).sum()))
    at_least, at_most = np.full(len(sums), draws), np.full(len(sums), draws)
    for m in np.unique(terms).tolist():
        if m:
            here = terms == m
            at_least[here], at_most[here] = _count(np.sort(running[:, m - 1]), sums[here], tie)
    return Tails(at_least=at_least, at_most=at_most, draws=draws)


def conditional_tails(values: Floats, sums: Floats, terms: Ints, *, draws: int, seed: int) -> Tails:
    """Compare sums over neighbours with those of as many *other* cells, the cell's own value staying in its place.

    Notes
    -----
    The null hypothesis of Anselin (1995), and of esda. Cost: as `total_tails`, and one correction for each draw that
    holds the cell.
    """
    most = int(terms.max(initial=0))
    drawn = draw_cells(len(values), min(most + 1, len(values)), draws=draws, seed=seed)
    running = np.cumsum(values[drawn], axis=1)
    tie = _TIE * max(1.0, float(np.abs(values).sum()))
    at_least, at_most = np.full(len(sums), draws), np.full(len(sums), draws)
    for m in np.unique(terms).tolist():
        if not m:
            continue
        here = np.flatnonzero(terms == m)
        base = running[:, m - 1]
        at_least[here], at_most[here] = _count(np.sort(base), sums[here], tie)
        # Draws whose first m hold the cell itself: leave it out and take the next in line.
        cell = drawn[:, :m].ravel()
        row = np.repeat(np.arange(draws), m)
        mine = terms[cell] == m
        cell, row = cell[mine], row[mine]
        wrong = base[row]
        right = wrong - values[cell] + values[drawn[row, m]]
        observed = sums[cell]
        at_least += np.bincount(cell, _reaches(right, observed, tie), len(sums)).astype(np.int64)
        at_least -= np.bincount(cell, _reaches(wrong, observed, tie), len(sums)).astype(np.int64)
        at_most += np.bincount(cell, _reaches(-right, -observed, tie), len(sums)).astype(np.int64)
        at_most -= np.bincount(cell, _reaches(-wrong, -observed, tie), len(sums)).astype(np.int64)
    return Tails(at_least=at_least, at_most=at_most, draws=draws)


def _reaches(sums: Floats, observed: Floats, tie: float) -> Floats:
    return (sums >= observed - tie).astype(np.float64)


def _count(reference: Floats, observed: Floats, tie: float) -> tuple[Ints, Ints]:
    """Count sorted reference sums at least and at most the observed ones, ties included."""
    at_least = len(reference) - np.searchsorted(reference, observed - tie, side="left")
    at_most = np.searchsorted(reference, observed + tie, side="right")
    return at_least, at_most
