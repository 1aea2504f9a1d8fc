"""What a planner's question is answered from: the reader, the grid of the day, the instant, and the counts.

Everything that leaves for a page, a file or a share goes through `Desk`. Whoever may not see the cases themselves gets
counts in steps of five here, before anything is computed from them (`maps.suppression`), so that no page can forget it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.concurrency import run_in_threadpool

from api.drawn_cells import CellShapes
from api.planner_counted import NOTHING, REST, Counted, coarse
from api.planning import sees_everything
from api.rates_query import family_of
from dispatch import hotspot_series
from dispatch.hotspot_series import Site
from dispatch.hotspots import CellMeasure, MeasureFilter, measure_by_cell
from dispatch.reference import Reference
from geo.storage.grid_versions import GridVersion
from geo.storage.uow import ReadUnit, Viewer
from maps.bins import Bin, Lattice
from maps.facts.asking import Asked, Boundaries, Grid, Within, day_of
from maps.facts.keeping import SQUARE_M, FactKeeper
from maps.facts.store import FactStore
from maps.findings import Period
from maps.hotspots.sites import find_repeat_sites
from maps.i18n import Locale
from maps.question import Question
from maps.suppression import SMALL_COUNT, coarsen, coarsen_all

__all__ = ["Desk"]

Ints = npt.NDArray[np.int64]

#: A place is a repeat site when its cases came on so many days.
_SITE_DAYS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsInTime:
    """Cases by square and hour. Shape: (cases,). Units: metres from longitude and latitude 0, days."""

    x_m: npt.NDArray[np.float64]
    y_m: npt.NDArray[np.float64]
    days: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One reading: who asks, on which drawing, at which instant.

    Attributes
    ----------
    viewer, sees_cases
        Through whose eyes; whether they may see single cases.
    version, whole
        The drawing and its cells; None before there is one.
    boundaries
        Today's drawing with every case in the cell that its position lies in, or the one of the period's last day with
        the cases that were put into it.
    """

    unit: ReadUnit
    engine: AsyncEngine
    facts: FactKeeper
    reference: Reference
    jurisdiction: str
    locale: Locale
    viewer: Viewer
    sees_cases: bool
    zone: str
    place: str
    as_of: datetime
    version: GridVersion | None
    whole: CellShapes | None
    boundaries: Boundaries = Boundaries.NOW

    @property
    def is_recut(self) -> bool:
        """Whether cases of other drawings are put in by their position."""
        return self.boundaries is Boundaries.NOW

    @property
    def today(self) -> date:
        """The jurisdiction's day."""
        return self.as_of.astimezone(ZoneInfo(self.zone)).date()

    def shapes(self, question: Question) -> CellShapes:
        """Return the cells that are drawn: all, or those of the area."""
        assert self.whole is not None
        return self.whole.part(question.area) if question.area else self.whole

    async def watermark(self) -> str | None:
        """Return how far the facts reach; None for those who are answered by the database."""
        return str((await self._store()).watermark) if sees_everything(self.viewer) else None

    async def _store(self) -> FactStore:
        """Return the facts, with a place for every case in the drawing that is asked for."""
        drawing = self.version.id if self.version else None
        return await self.facts.current(drawing=drawing, recut_to=drawing if self.is_recut else None)

    def _grid(self, level: int) -> Grid:
        assert self.version is not None
        return Grid(version_id=self.version.id, level=level, is_recut=self.is_recut)

    async def by_cell(
        self,
        question: Question,
        period: Period,
        *,
        with_handling: bool = False,
        channels: frozenset[str] | None = None,
    ) -> Counted:
        """Count and measure by cell: in the columns for those who see everything, else behind their own policies.

        Parameters
        ----------
        channels
            Only cases of these, besides what the question says.
        """
        assert self.version is not None
        if sees_everything(self.viewer):
            store, grid = await self._store(), self._grid(question.level)
            found = await run_in_threadpool(
                store.by_cell,
                self._asked(question, period, channels),
                grid,
                as_of=self.as_of,
                with_handling=with_handling,
            )
            rows = zip(
                found.codes, found.cases, found.decided, found.late, found.handled, found.median_minutes, strict=True
            )
            cells = {
                code: CellMeasure(
                    cases=int(cases),
                    decided=int(decided),
                    late=int(late),
                    handled=int(handled),
                    median_minutes=None if minutes != minutes else float(minutes),
                )
                for code, cases, decided, late, handled, minutes in rows
            }
            rest = {name: getattr(found, name) for name in REST}
        else:
            cells = await measure_by_cell(
                self.unit.connection,
                self._filter(question, period, channels),
                level=question.level,
                as_of=self.as_of,
            )
            rest = {name: cells.pop(f"-{name}", NOTHING).cases for name in REST}
        counted = Counted(cells=cells, total=sum(cell.cases for cell in cells.values()), **rest)
        return counted if self.sees_cases else coarse(counted)

    async def count(self, question: Question, period: Period) -> int:
        """Count the cases of a question, wherever they lie."""
        if sees_everything(self.viewer):
            store = await self._store()
            cases = await run_in_threadpool(store.count, self._asked(question, period))
        else:
            words = await hotspot_series.by_word(self.unit.connection, self._filter(question, period), "state")
            cases = sum(words.values())
        return cases if self.sees_cases else coarsen(cases)

    async def lattice(self) -> Lattice:
        """Return the squares that bins are made of."""
        if sees_everything(self.viewer):
            words = (await self._store()).words
            return Lattice(side_lon=words.side_lon, side_lat=words.side_lat)
        assert self.whole is not None
        return Lattice.at(self.whole.middle_lat, side_m=SQUARE_M)

    async def bins(self, question: Question, *, outside: bool = False) -> list[Bin]:
        """Return exact counts by square: only `maps.bins` may let anything of them out.

        Parameters
        ----------
        outside
            Of cases in no cell.
        """
        assert self.version is not None
        lattice = await self.lattice()
        if sees_everything(self.viewer):
            store = await self._store()
            columns, rows, cases = await run_in_threadpool(
                store.by_square,
                self._asked(question, question.period),
                self.version.id,
                is_recut=self.is_recut,
                outside=outside,
            )
            found = zip(columns.tolist(), rows.tolist(), cases.tolist(), strict=True)
            return [lattice.bin(column, row, count) for column, row, count in found]
        squares = await hotspot_series.by_square(
            self.unit.connection,
            self._filter(question, question.period),
            side_lon=lattice.side_lon,
            side_lat=lattice.side_lat,
            outside=outside,
        )
        return [lattice.bin(square.column, square.row, square.cases) for square in squares]

    async def by_step(self, question: Question, steps: Sequence[Period], codes: Sequence[str]) -> tuple[Ints, Ints]:
        """Count by step of time and cell, and by step alone. Shape: (steps, cells) and (steps,)."""
        assert self.version is not None
        place = {code: at for at, code in enumerate(codes)}
        counts = np.zeros((len(steps), len(codes)), dtype=np.int64)
        if sees_everything(self.viewer):
            store, grid = await self._store(), self._grid(question.level)
            for at, step in enumerate(steps):
                found = await run_in_threadpool(store.by_cell, self._asked(question, step), grid, as_of=self.as_of)
                for code, cases in zip(found.codes, found.cases.tolist(), strict=True):
                    if cases and code in place:
                        counts[at, place[code]] = cases
        else:
            days = await hotspot_series.by_day_and_cell(
                self.unit.connection,
                self._filter(question, question.period),
                level=question.level,
                zone=self.zone,
            )
            starts = [step.from_on for step in steps]
            for (day, code), cases in days.items():
                if code in place:
                    counts[bisect_right(starts, day) - 1, place[code]] += cases
        totals = counts.sum(axis=1)
        return (counts, totals) if self.sees_cases else (coarsen_all(counts), coarsen_all(totals))

    async def by_hour_of_week(self, question: Question) -> Ints:
        """Count by weekday and hour. Shape: (7, 24), Monday first. Zone: the jurisdiction's."""
        if sees_everything(self.viewer):
            store = await self._store()
            counts = await run_in_threadpool(store.by_hour_of_week, self._asked(question, question.period))
        else:
            counts = np.zeros((7, 24), dtype=np.int64)
            chosen = self._filter(question, question.period)
            found = await hotspot_series.by_hour_of_week(self.unit.connection, chosen, zone=self.zone)
            for (weekday, hour), cases in found.items():
                counts[weekday, hour] = cases
        return np.asarray(counts, dtype=np.int64) if self.sees_cases else coarsen_all(counts)

    async def by_word(self, question: Question, column: str) -> dict[str, int]:
        """Count by ``category``, ``channel``, ``state`` or ``ledger``."""
        if sees_everything(self.viewer):
            store = await self._store()
            found = await run_in_threadpool(store.by_word, self._asked(question, question.period), column)
        else:
            chosen = self._filter(question, question.period)
            found = await hotspot_series.by_word(self.unit.connection, chosen, column)
        return found if self.sees_cases else {word: coarsen(cases) for word, cases in found.items()}

    async def sites(self, question: Question, *, most: int = 20_000) -> list[Site]:
        """Return squares where cases of one class come back: at least five, on three days; most cases first."""
        assert self.version is not None
        lattice = await self.lattice()
        if not sees_everything(self.viewer):
            return await hotspot_series.repeat_squares(
                self.unit.connection,
                self._filter(question, question.period),
                side_lon=lattice.side_lon,
                side_lat=lattice.side_lat,
                zone=self.zone,
                fewest_cases=SMALL_COUNT,
                fewest_days=_SITE_DAYS,
                most=most,
            )
        store = await self._store()
        asked = self._asked(question, question.period)
        found = await run_in_threadpool(store.places_and_days, asked, self.version.id, is_recut=self.is_recut)
        # A square as one number: columns and rows both stay far below 2^31.
        number = found["column"].astype(np.int64) * (1 << 31) + found["row"].astype(np.int64)
        sites = await run_in_threadpool(
            find_repeat_sites,
            number,
            found["category"],
            found["day"],
            fewest_cases=SMALL_COUNT,
            fewest_days=_SITE_DAYS,
        )
        return [
            Site(
                column=each.site >> 31,
                row=each.site & ((1 << 31) - 1),
                category=store.words.categories[each.category],
                cases=each.cases,
                days=(day_of(each.first_day), *([day_of(each.last_day)] * (each.days - 1))),
            )
            for each in sites[:most]
        ]

    async def points_in_time(self, question: Question) -> PointsInTime:
        """Return the square and the hour of every case in a cell: only tables of pairs may be made of them."""
        assert self.version is not None
        if sees_everything(self.viewer):
            store = await self._store()
            asked = self._asked(question, question.period)
            found = await run_in_threadpool(store.places_and_days, asked, self.version.id, is_recut=self.is_recut)
            columns, rows, days = found["column"], found["row"], found["day"] + found["hour"] / 24
        else:
            lattice = await self.lattice()
            chosen = self._filter(question, question.period)
            columns, rows, days = await hotspot_series.squares_and_hours(
                self.unit.connection, chosen, side_lon=lattice.side_lon, side_lat=lattice.side_lat, zone=self.zone
            )
        return PointsInTime(x_m=columns * SQUARE_M, y_m=rows * SQUARE_M, days=days)

    async def cases(
        self,
        question: Question,
        *,
        cell: str | None = None,
        weekday: int | None = None,
        hour: int | None = None,
        square: tuple[int, int] | None = None,
        most: int = 200,
        after: Any = None,
    ) -> Sequence[hotspot_series.MapCase]:
        """Return the cases behind a number, newest first; for readers who may see cases."""
        assert self.version is not None
        assert self.sees_cases
        lattice = await self.lattice()
        return await hotspot_series.cases_behind(
            self.unit.connection,
            self._filter(question, question.period),
            cell=cell,
            most=most,
            zone=self.zone,
            weekday=weekday,
            hour=hour,
            square=square,
            sides=(lattice.side_lon, lattice.side_lat),
            after=after,
        )

    def _families(self, question: Question) -> frozenset[str] | None:
        families = [family_of(self.reference, code) or frozenset() for code in question.categories]
        return frozenset().union(*families) if families else None

    def _asked(self, question: Question, period: Period, channels: frozenset[str] | None = None) -> Asked:
        return Asked(
            from_on=period.from_on,
            to_on=period.to_on,
            categories=self._families(question),
            channels=_both(_one(question.channel), channels),
            ledgers=_one(question.ledger),
            states=_one(question.state),
            within=self._within(question),
        )

    def _within(self, question: Question) -> Within | None:
        if not question.area or self.version is None:
            return None
        return Within(version_id=self.version.id, cells=frozenset({question.area}), is_recut=self.is_recut)

    def _filter(self, question: Question, period: Period, channels: frozenset[str] | None = None) -> MeasureFilter:
        """Turn days into instants. Zone: midnight in the jurisdiction's zone. Boundary: the last day is included."""
        assert self.version is not None
        zone, until = ZoneInfo(self.zone), period.to_on + timedelta(days=1)
        families, wanted = self._families(question), _both(_one(question.channel), channels)
        return MeasureFilter(
            jurisdiction=self.jurisdiction,
            version_id=self.version.id,
            is_recut=self.is_recut,
            reported_from=datetime.combine(period.from_on, time.min, zone).astimezone(UTC),
            reported_until=datetime.combine(until, time.min, zone).astimezone(UTC),
            categories=None if families is None else tuple(sorted(families)),
            channels=None if wanted is None else tuple(sorted(wanted)),
            ledgers=(question.ledger,) if question.ledger else None,
            states=(question.state,) if question.state else None,
            area=(question.area,) if question.area else None,
        )


def _one(word: str) -> frozenset[str] | None:
    return frozenset({word}) if word else None


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return other if one is None else one if other is None else one & other
