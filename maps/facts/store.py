"""Every count that pages, files and the API ask of the facts.

One store per process. Columns come from the files (or are made when there are none); what happened since is read from
the feed before every answer, so a report is counted as soon as the feed shows it. A case that only moved on is changed
in its row; one that is new, or changed its class, day or place, goes to the tail and its old row is struck out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from dispatch.facts import NO_SQUARE, STATES
from maps.facts.asking import Asked, ByCell, Grid, day_number, day_of
from maps.facts.columns import NO_MINUTES, NOWHERE, OUT_OF_GRID
from maps.facts.drawings import OWN_DAY
from maps.facts.proof import tally_rows
from maps.facts.pyramid import Clusters, Pyramid, cluster_squares, level_of_zoom
from maps.facts.selection import FactSelection, has_cells, has_no_more

__all__ = ["FactStore"]

Array = npt.NDArray[Any]

_RUNNING: Final = 3
_DAY_HOURS: Final = 24
_WEEK: Final = 7
#: 2000-01-01 was a Saturday; Monday is 0.
_FIRST_WEEKDAY: Final = 5
#: Of more squares than this no pyramid is kept (400 MB).
_MOST_SQUARES: Final = 12_000_000


class FactStore(FactSelection):
    """Counts over columns. All methods may be called from several threads."""

    def count(self, asked: Asked) -> int:
        """Return the number of cases."""
        with self._lock:
            return self._count_all(asked)

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
            counted = self._count_places(asked, grid.drawing)
            sums = np.bincount(level_of, weights=counted, minlength=n + 4).astype(np.int64)
            decided = late = handled = np.zeros(n, dtype=np.int64)
            minutes = np.full(n, np.nan)
            if with_handling:
                found = self._gather(asked, ("cell", "outcome", "minutes"), running=True, drawing=grid.drawing)
                where = level_of[found["cell"]]
                passed = (found["outcome"] == _RUNNING) & (found["due"] < int(as_of.timestamp() * 1_000_000))
                is_late = (found["outcome"] == 2) | passed
                is_decided = is_late | (found["outcome"] == 1)
                decided = np.bincount(where[is_decided], minlength=n + 4)[:n]
                late = np.bincount(where[is_late], minlength=n + 4)[:n]
                minutes, handled = _medians(where, found["minutes"], n)
            return ByCell(
                codes=codes,
                cases=sums[:n],
                decided=decided,
                late=late,
                handled=handled,
                median_minutes=minutes,
                out_of_grid=int(sums[n]),
                no_position=int(sums[n + 1]),
                above_level=int(sums[n + 2]),
                other_version=int(sums[n + 3]),
                as_of=as_of,
            )

    def by_square(
        self, asked: Asked, version_id: int, *, is_recut: bool = False, outside: bool = False
    ) -> tuple[Array, Array, Array]:
        """Count cases that lie in a cell of one drawing by square; return columns, rows and cases of squares with any.

        Parameters
        ----------
        is_recut
            Also cases that their day's drawing put elsewhere, when their position lies in this one.
        outside
            Cases in no cell, instead of those in one.
        """
        drawing = version_id if is_recut else OWN_DAY
        with self._lock:
            base = self.base
            if outside:
                found = self._gather(asked, ("cell", "square"), tail=False, drawing=drawing)
                square = found["square"][(found["cell"] == OUT_OF_GRID) & (found["square"] != NOWHERE)]
                cases = np.bincount(square, minlength=base.width * base.height)
            else:
                cases = self._square_counts(asked, version_id, drawing)
            held = np.flatnonzero(cases)
            columns, rows = held % base.width + base.west, held // base.width + base.south
            late = self._late_squares(asked, version_id, drawing, outside=outside)
            return _merge(columns, rows, cases[held].astype(np.int64), *late)

    def _square_counts(self, asked: Asked, version_id: int, drawing: int) -> Array:
        """Count rows of the columns by square; whole months by subtraction where the sums know them."""
        base, on = self.base, self._on_version(version_id)
        size = base.width * base.height
        periods, cases = [asked], np.zeros(size, dtype=np.int64)
        if asked.categories is None and not has_cells(asked) and has_no_more(asked):
            sums = self._square_sums(version_id, drawing)
            first, last = day_number(asked.from_on), day_number(asked.to_on)
            if sums is not None and (lines := sums.whole_months(first, last)) is not None:
                cases += sums.squares[lines[1]] - sums.squares[lines[0]]
                begin, end = day_of(int(sums.starts[lines[0]])), day_of(int(sums.starts[lines[1]]) - 1)
                before = replace(asked, to_on=begin - timedelta(days=1))
                after = replace(asked, from_on=end + timedelta(days=1))
                periods = [part for part in (before, after) if part.from_on <= part.to_on]
        for part in periods:
            found = self._gather(part, ("cell", "square"), tail=False, drawing=drawing)
            square = found["square"][on[found["cell"]]]
            cases += np.bincount(square[square != NOWHERE], minlength=size)
        return cases

    def _late_squares(
        self, asked: Asked, version_id: int, drawing: int, *, outside: bool = False
    ) -> tuple[Array, Array]:
        tail, on = self._tail, self._on_version(version_id)
        if outside:
            on = np.arange(len(on)) == OUT_OF_GRID
        if not len(tail):
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing
        late = self._tail_mask(asked) & on[tail[self._drawn[drawing].late]] & (tail["column"] != NO_SQUARE)
        return tail["column"][late], tail["row"][late]

    def clusters(
        self, asked: Asked, version_id: int, zoom: float, window: tuple[float, float, float, float]
    ) -> Clusters:
        """Return clusters of a window at a zoom of web maps. SRID: 4326 for ``window`` (west, south, east, north).

        Parameters
        ----------
        version_id
            Cases in cells of this drawing; 0 for any cell of any drawing.

        Notes
        -----
        Cost: without filters some thousands of numbers, however many cases; with them a count by square.
        """
        words = self.words
        level = level_of_zoom(zoom, words.side_lon)
        sides = (words.side_lon, words.side_lat)
        west, south, east, north = (math.floor(at / sides[k % 2]) for k, at in enumerate(window))
        with self._lock:
            base = self.base
            is_whole = (
                asked.categories is None
                and not has_cells(asked)
                and has_no_more(asked)
                and self._holds_all_days(asked)
                and base.width * base.height <= _MOST_SQUARES
            )
            if is_whole:
                pyramids = self._drawn[OWN_DAY].pyramids
                if version_id not in pyramids:
                    pyramids[version_id] = Pyramid(
                        self._square_counts(asked, version_id, OWN_DAY),
                        west=base.west,
                        south=base.south,
                        width=base.width,
                        height=base.height,
                        places=self._on_version(version_id),
                    )
                late = self._late_squares(asked, version_id, OWN_DAY)
                return pyramids[version_id].window(level, west, south, east, north, late)
            columns, rows, cases = self.by_square(asked, version_id)
            inside = (columns >= west) & (columns <= east) & (rows >= south) & (rows <= north)
            return cluster_squares(
                level, columns[inside], rows[inside], cases[inside], west=base.west, south=base.south
            )

    def _holds_all_days(self, asked: Asked) -> bool:
        days = self._drawn[OWN_DAY].days
        if days is None:
            return False
        return days.lines(day_number(asked.from_on), day_number(asked.to_on)) == (0, days.categories.shape[1] - 1)

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
            found = self._gather(asked, ("day", "cell"), drawing=grid.drawing)
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

    def places_and_days(self, asked: Asked, version_id: int, *, is_recut: bool = False) -> dict[str, Array]:
        """Return column, row, place, day, hour and category of each located case, for statistics that pair cases."""
        drawing = version_id if is_recut else OWN_DAY
        with self._lock:
            on = self._on_version(version_id)
            found = self._gather(asked, ("cell", "square", "day", "hour", "category"), tail=False, drawing=drawing)
            keep = on[found["cell"]] & (found["square"] != NOWHERE)
            square = found["square"][keep].astype(np.int64)
            late = self._tail_mask(asked) & on[self._tail[self._drawn[drawing].late]]
            late &= self._tail["column"] != NO_SQUARE
            merged = {
                "column": np.r_[square % self.base.width + self.base.west, self._tail["column"][late]],
                "row": np.r_[square // self.base.width + self.base.south, self._tail["row"][late]],
            }
            merged["place"] = np.r_[found["cell"][keep].astype(np.int64), self._tail[self._drawn[drawing].late][late]]
            for name in ("day", "hour", "category"):
                merged[name] = np.r_[found[name][keep].astype(np.int64), self._tail[name][late]]
            return merged

    def codes_at(self, grid: Grid, places: Array) -> list[str]:
        """Codes of the cells of a level that places lie in; "" where a cell is not divided so far down."""
        with self._lock:
            codes, level_of = self._level(grid)
        return [codes[k] if k < len(codes) else "" for k in level_of[places].tolist()]

    def codes_within(self, version_id: int, area: frozenset[str]) -> frozenset[str]:
        """Codes of the cells of a drawing that lie in an area, the area's own cells included."""
        return frozenset(
            cell.path[-1]
            for cell in self.words.cells
            if cell.version_id == version_id and not area.isdisjoint(cell.path)
        )

    def days(self) -> tuple[int, int]:
        """Numbers of the first and last day that any row has; (0, 0) without rows."""
        with self._lock:
            ends = [column for column in (self.base.columns["day"], self._tail["day"]) if len(column)]
            return (min(int(c.min()) for c in ends), max(int(c.max()) for c in ends)) if ends else (0, 0)

    def tally(self, days: tuple[int, int] = (0, 65_535)) -> dict[tuple[Any, ...], int]:
        """Count every case of some days by everything, as `dispatch.facts.tally_cases` does in SQL."""
        with self._lock:
            return tally_rows(self.base, self._tail, self.words, days)


def _merge(
    columns: Array, rows: Array, cases: Array, more_columns: Array, more_rows: Array
) -> tuple[Array, Array, Array]:
    """Add single cases to squares."""
    if not len(more_columns):
        return columns, rows, cases
    every = np.column_stack((np.r_[columns, more_columns], np.r_[rows, more_rows]))
    weights = np.r_[cases, np.ones(len(more_columns), dtype=np.int64)]
    pairs, place = np.unique(every, axis=0, return_inverse=True)
    return pairs[:, 0], pairs[:, 1], np.bincount(place.ravel(), weights=weights).astype(np.int64)


def _medians(where: Array, minutes: Array, n: int) -> tuple[Array, Array]:
    """Return the lower median by group, and of how many. Cost: one sort of what was handled."""
    handled = (minutes != NO_MINUTES) & (where < n)
    where, minutes = where[handled], minutes[handled].astype(np.int64)
    order = np.argsort(where * 65_536 + minutes, kind="stable")
    counts = np.bincount(where, minlength=n)[:n]
    starts = np.cumsum(counts) - counts
    medians = np.full(n, np.nan)
    some = counts > 0
    medians[some] = minutes[order][starts[some] + (counts[some] - 1) // 2]
    return medians, counts
