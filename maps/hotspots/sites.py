"""Where it comes back, and who finds it: repeat sites, and the split between patrols and citizens. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

__all__ = ["FinderSplit", "RepeatSite", "find_repeat_sites", "split_by_finder", "wilson"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SURE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatSite:
    """A place where cases of one class come back.

    Attributes
    ----------
    site, category
        Numbers as given.
    cases, days
        How many cases, on how many different days.
    first_day, last_day
        Numbers of days.
    median_gap
        Between one day with a case and the next. Units: days.
    """

    site: int
    category: int
    cases: int
    days: int
    first_day: int
    last_day: int
    median_gap: float


def find_repeat_sites(
    site: Ints, category: Ints, day: Ints, *, fewest_cases: int = 5, fewest_days: int = 3
) -> list[RepeatSite]:
    """Find the places with the most returns, most cases first.

    Parameters
    ----------
    site, category, day
        Of each case; a site is a small square or a cell, never a point.
    fewest_cases, fewest_days
        Less is no repeat site. Never below five cases: fewer could be told from one person's reports.

    Notes
    -----
    Cost: one sort of the cases.
    """
    fewest_cases = max(fewest_cases, 5)
    order = np.lexsort((day, category, site))
    site, category, day = site[order], category[order], day[order]
    if not len(site):
        return []
    starts = np.flatnonzero(np.r_[True, (site[1:] != site[:-1]) | (category[1:] != category[:-1])])
    stops = np.r_[starts[1:], len(site)]
    found = []
    for start, stop in zip(starts[stops - starts >= fewest_cases], stops[stops - starts >= fewest_cases], strict=True):
        days = np.unique(day[start:stop])
        if len(days) < fewest_days:
            continue
        found.append(
            RepeatSite(
                site=int(site[start]),
                category=int(category[start]),
                cases=int(stop - start),
                days=len(days),
                first_day=int(days[0]),
                last_day=int(days[-1]),
                median_gap=float(np.median(np.diff(days))),
            )
        )
    found.sort(key=lambda each: (-each.cases, -each.days, each.site, each.category))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FinderSplit:
    """How many cases patrols found, and how many citizens reported, in one cell.

    Attributes
    ----------
    patrol, citizen
        Cases.
    share, low, high
        Share found by patrols with its 95 % interval (Wilson); None without cases.
    z, p
        Against the share of the whole map; two-sided. None without cases, or where all cases have one finder.
    """

    patrol: int
    citizen: int
    share: float | None
    low: float | None
    high: float | None
    z: float | None
    p: float | None


def wilson(successes: int, trials: int, *, sure: float = _SURE) -> tuple[float, float]:
    """Return the interval of a share.

    Notes
    -----
    Source: Wilson, E. B. (1927), Journal of the American Statistical Association 22, 209–212.

    Examples
    --------
    >>> tuple(round(end, 4) for end in wilson(81, 263))
    (0.2553, 0.3662)
    """
    z = float(norm.ppf(0.5 + sure / 2))
    share = successes / trials
    middle = (share + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials) * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def split_by_finder(patrol: Ints, citizen: Ints) -> list[FinderSplit]:
    """Compare who finds the cases of each cell with the whole map.

    A cell where citizens report what patrols do not find is a cell that nobody walks; the numbers say where to look,
    not who is at fault.
    """
    total_patrol, total = int(patrol.sum()), int(patrol.sum() + citizen.sum())
    common = total_patrol / total if total else 0.0
    splits = []
    for found, told in zip(patrol.tolist(), citizen.tolist(), strict=True):
        n = found + told
        if n == 0:
            nothing = FinderSplit(patrol=0, citizen=0, share=None, low=None, high=None, z=None, p=None)
            splits.append(nothing)
            continue
        low, high = wilson(found, n)
        spread = sqrt(common * (1 - common) / n)
        z = (found / n - common) / spread if spread else None
        splits.append(
            FinderSplit(
                patrol=found,
                citizen=told,
                share=found / n,
                low=low,
                high=high,
                z=z,
                p=None if z is None else float(2 * norm.sf(abs(z))),
            )
        )
    return splits
