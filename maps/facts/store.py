"""Every count that pages, files and the API ask of the facts.

One store per process. Columns come from the files (or are made when there are none); what happened since is read from
the feed before every answer, so a report is counted as soon as the feed shows it. A case that only moved on is changed
in its row; one that is new, or changed its class, day or place, goes to the tail and its old row is struck out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dispatch.facts import NO_SQUARE, STATES
from maps.facts.asking import Asked, ByCell, Grid, day_number
from maps.facts.columns import NO_MINUTES, NOWHERE
from maps.facts.proof import tally_rows
from maps.facts.rows import FactRows

__all__ = ["FactStore"]

Array = npt.NDArray[Any]

_RUNNING: Final = 3
_DAY_HOURS: Final = 24
_WEEK: Final = 7
#: 2000-01-01 was a Saturday; Monday is 0.
_FIRST_WEEKDAY: Final = 5
_MOST_SQUARES: Final = 30_000_000


class FactStore(FactRows):
    """Counts over columns. All methods may be called from several threads."""

    def count(self, asked: Asked) -> int:
        """Return the number of cases."""
        with self._lock:
            return int(self._count_places(asked).sum())

    def by_cell(self, asked: Asked, grid: Grid, *, as_of: datetime, with_handling: bool = False) -> ByCell:
        """Count by cell of one level of one drawing.

        Parameters
        ----------
        as_of
            Running deadlines before this instant count as passed.
        with_handling
            Also lateness and handling time; without it they are zero and NaN.
        """
        with self._lock:
            codes, level_of = self._level(grid)
            n = len(codes)
            counted = self._count_places(asked)
            sums = np.bincount(level_of, weights=counted, minlength=n + 4).astype(np.int64)
            decided = late = np.zeros(n, dtype=np.int64)
            minutes = np.full(n, np.nan)
            if with_handling:
                found = self._gather(asked, ("cell", "outcome", "minutes"), running=True)
                where = level_of[found["cell"]]
                passed = (found["outcome"] == _RUNNING) & (found["due"] < int(as_of.timestamp() * 1_000_000))
                is_late = (found["outcome"] == 2) | passed
                is_decided = is_late | (found["outcome"] == 1)
                decided = np.bincount(where[is_decided], minlength=n + 4)[:n]
                late = np.bincount(where[is_late], minlength=n + 4)[:n]
                minutes = _medians(where, found["minutes"], n)
            return ByCell(
                codes=codes,
                cases=sums[:n],
                decided=decided,
                late=late,
                median_minutes=minutes,
                out_of_grid=int(sums[n]),
                no_position=int(sums[n + 1]),
                above_level=int(sums[n + 2]),
                other_version=int(sums[n + 3]),
                as_of=as_of,
            )

    def by_square(self, asked: Asked, version_id: int) -> tuple[Array, Array, Array]:
        """Count located cases of one drawing by square; return columns, rows and cases of squares that have any."""
        with self._lock:
            base = self.base
            on = self._on_version(version_id)
            found = self._gather(asked, ("cell", "square"), tail=False)
            square = found["square"][on[found["cell"]]]
            square = square[square != NOWHERE]
            if base.width * base.height <= _MOST_SQUARES:
                cases = np.bincount(square, minlength=1)
                held = np.flatnonzero(cases)
                cases = cases[held]
            else:
                held, cases = np.unique(square, return_counts=True)
            held = held.astype(np.int64)
            columns, rows = held % base.width + base.west, held // base.width + base.south
            late = self._tail_mask(asked) & on[self._tail["cell"]] & (self._tail["column"] != NO_SQUARE)
            if late.any():
                every = np.column_stack(
                    (np.r_[columns, self._tail["column"][late]], np.r_[rows, self._tail["row"][late]])
                )
                weights = np.r_[cases, np.ones(int(late.sum()), dtype=np.int64)]
                pairs, place = np.unique(every, axis=0, return_inverse=True)
                cases = np.bincount(place.ravel(), weights=weights).astype(np.int64)
                columns, rows = pairs[:, 0], pairs[:, 1]
            return columns, rows, cases

    def by_day(self, asked: Asked) -> Array:
        """Count by day, from the first day asked for to the last."""
        first, days = day_number(asked.from_on), (asked.to_on - asked.from_on).days + 1
        with self._lock:
            day = self._gather(asked, ("day",))["day"].astype(np.int64)
        return np.bincount(day - first, minlength=days)[:days]

    def by_day_and_place(self, asked: Asked, grid: Grid, *, step_days: int) -> Array:
        """Count by step of some days and cell, oldest first. Shape: (steps, cells). The last step may be short."""
        first, days = day_number(asked.from_on), (asked.to_on - asked.from_on).days + 1
        steps = -(-days // step_days)
        with self._lock:
            codes, level_of = self._level(grid)
            found = self._gather(asked, ("day", "cell"))
            n = len(codes) + 4
            place = (found["day"].astype(np.int64) - first) // step_days * n + level_of[found["cell"]]
        return np.bincount(place, minlength=steps * n).reshape(steps, n)[:, : len(codes)]

    def by_hour_of_week(self, asked: Asked) -> Array:
        """Count by weekday and hour. Shape: (7, 24), Monday first. Zone: the jurisdiction's."""
        with self._lock:
            found = self._gather(asked, ("day", "hour"))
        weekday = (found["day"].astype(np.int64) + _FIRST_WEEKDAY) % _WEEK
        place = weekday * _DAY_HOURS + found["hour"]
        return np.bincount(place, minlength=_WEEK * _DAY_HOURS).reshape(_WEEK, _DAY_HOURS)

    def by_word(self, asked: Asked, column: str) -> dict[str, int]:
        """Count by code of ``category``, ``channel``, ``state`` or ``ledger``; a case counts once for each ledger."""
        with self._lock:
            found = self._gather(asked, ("ledgers" if column == "ledger" else column,))
        if column == "ledger":
            bits = found["ledgers"]
            counts = {code: int(((bits >> k) & 1).sum()) for k, code in enumerate(self.words.ledgers)}
        else:
            names: Iterable[str] = {
                "category": self.words.categories,
                "channel": self.words.channels,
                "state": ("", *(state.value for state in STATES)),
            }[column]
            tally = np.bincount(found[column], minlength=256).tolist()
            counts = dict(zip(names, tally, strict=False))
        return {code: cases for code, cases in counts.items() if cases}

    def places_and_days(self, asked: Asked, version_id: int) -> dict[str, Array]:
        """Return column, row, day, hour and category of each located case, for statistics that pair cases."""
        with self._lock:
            on = self._on_version(version_id)
            found = self._gather(asked, ("cell", "square", "day", "hour", "category"), tail=False)
            keep = on[found["cell"]] & (found["square"] != NOWHERE)
            square = found["square"][keep].astype(np.int64)
            late = self._tail_mask(asked) & on[self._tail["cell"]] & (self._tail["column"] != NO_SQUARE)
            merged = {
                "column": np.r_[square % self.base.width + self.base.west, self._tail["column"][late]],
                "row": np.r_[square // self.base.width + self.base.south, self._tail["row"][late]],
            }
            for name in ("day", "hour", "category"):
                merged[name] = np.r_[found[name][keep].astype(np.int64), self._tail[name][late]]
            return merged

    def tally(self) -> dict[tuple[Any, ...], int]:
        """Count every case by everything, as `dispatch.facts.tally_cases` does in SQL."""
        with self._lock:
            return tally_rows(self.base, self._tail, self.words)


def _medians(where: Array, minutes: Array, n: int) -> Array:
    """Lower median by group. Cost: one sort of what was handled."""
    handled = (minutes != NO_MINUTES) & (where < n)
    where, minutes = where[handled], minutes[handled].astype(np.int64)
    order = np.argsort(where * 65_536 + minutes, kind="stable")
    counts = np.bincount(where, minlength=n)[:n]
    starts = np.cumsum(counts) - counts
    medians = np.full(n, np.nan)
    some = counts > 0
    medians[some] = minutes[order][starts[some] + (counts[some] - 1) // 2]
    return medians
