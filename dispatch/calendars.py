"""Working calendars: which instants count as working time in a jurisdiction.

Working hours are wall-clock hours of the jurisdiction's zone; holidays and make-up workdays (调休) come from the
official yearly table. Both are data. A calendar compiles them once into sorted UTC segments with a running sum, so that
every question about working time is one or two binary searches. All arithmetic is in whole microseconds, the
resolution of ``datetime`` and of PostgreSQL's ``timestamptz``: nothing is lost between a question and its inverse.

Boundary: a working segment is half-open, ``[begin, end)``: 12:00:00 is lunch, 14:00:00 is work.
Zone: an instant is working time exactly when its wall-clock reading in the zone lies in the hours of its local date;
an hour that a clock change skips does not exist, an hour that it repeats counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from chinese_calendar import constants as official
from numpy.typing import NDArray

from dispatch.segments import DAY_US, Segments, compile_segments, from_micros, to_micros
from geo.errors import BadInputError

__all__ = [
    "DEFAULT_HOURS",
    "UNSETTLED_FROM",
    "CalendarDay",
    "DayKind",
    "HourRange",
    "WorkingCalendar",
    "published_years",
    "seed_calendar",
    "seed_years",
    "working_calendar",
]

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2199
_NOON: Final = time(12)

UNSETTLED_FROM: Final = (12, 25)
"""Month and day from which a published year stays open until the next year's table is known: New Year's arrangement
belongs to the new year's table and has moved days back to 29 December (2007, 2018). Four days more for safety."""


class DayKind(StrEnum):
    """What the table says of a day; a day it does not name follows its weekday."""

    WORKDAY = "workday"
    HOLIDAY = "holiday"
    MORNING = "morning"
    """Half day: only the working hours before 12:00 count."""
    AFTERNOON = "afternoon"
    """Half day: only the working hours from 12:00 on count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRange:
    """Working hours without a break. Boundary: ``[starts, ends)``; ``ends`` 00:00 means the end of the day."""

    starts: time
    ends: time

    @property
    def start_us(self) -> int:
        """Units: microseconds of wall clock since local midnight."""
        return _time_us(self.starts)

    @property
    def end_us(self) -> int:
        """Units: microseconds of wall clock since local midnight."""
        return _time_us(self.ends) or DAY_US


DEFAULT_HOURS: Final = (
    HourRange(starts=time(8), ends=time(12)),
    HourRange(starts=time(14), ends=time(18)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarDay:
    """One row of the official table: a day that departs from its weekday.

    ``name`` is a stable word (``spring_festival``; text under ``holiday.<name>`` in the catalogue) or an
    administrator's own wording.
    """

    day: date
    kind: DayKind
    name: str = ""


@lru_cache(maxsize=64)
def working_calendar(
    *,
    zone: str,
    hours: tuple[HourRange, ...],
    days: tuple[CalendarDay, ...],
    published: frozenset[int] | None = None,
) -> WorkingCalendar:
    """The calendar for these rows, compiled once per process as long as the rows stay the same.

    For callers who read the rows afresh every few seconds and should not pay for the compilation each time.
    """
    return WorkingCalendar(zone=zone, hours=hours, days=days, published=published)


def seed_years() -> range:
    """Years for which the shipped official tables know every day."""
    years = published_years(CalendarDay(day=day, kind=DayKind.HOLIDAY) for day in official.holidays)
    return range(min(years), max(years) + 1)


def seed_calendar(years: Iterable[int]) -> tuple[CalendarDay, ...]:
    """Rows for ``dispatch.calendar_day`` from the official tables, sorted by day.

    A row belongs to the year of its date: 29 December 2018 is a row of 2018, though the table of 2019 named it.

    Raises
    ------
    BadInputError
        ``calendar.year_not_published`` if the tables do not know one of the years.

    Notes
    -----
    Source: the State Council's yearly notices, as collected by the package ``chinesecalendar``.

    Examples
    --------
    >>> [row.day.isoformat() for row in seed_calendar([2026]) if row.kind is DayKind.WORKDAY]
    ['2026-01-04', '2026-02-14', '2026-02-28', '2026-05-09', '2026-09-20', '2026-10-10']
    """
    wanted = set(years)
    unknown = sorted(wanted - set(seed_years()))
    if unknown:
        raise BadInputError("calendar.year_not_published", years=unknown)
    words = {holiday.value: holiday.name for holiday in official.Holiday}
    rows = [
        CalendarDay(day=day, kind=kind, name=words.get(name, name))
        for kind, table in ((DayKind.HOLIDAY, official.holidays), (DayKind.WORKDAY, official.workdays))
        for day, name in table.items()
        if day.year in wanted
    ]
    return tuple(sorted(rows, key=lambda row: row.day))


def published_years(days: Iterable[CalendarDay]) -> frozenset[int]:
    """Years whose table is present in ``days``: every official table makes 1 January a holiday.

    Rows alone do not prove a table: a year's last days are named by the next year's table, and an administrator may
    add a single local holiday.
    """
    return frozenset(
        row.day.year for row in days if row.kind is DayKind.HOLIDAY and (row.day.month, row.day.day) == (1, 1)
    )


class WorkingCalendar:
    """Working time of one jurisdiction. Immutable in meaning; compiles further years when asked about them.

    Parameters
    ----------
    zone
        The jurisdiction's zone, an object or an IANA name.
    hours
        Daily working hours, ascending and disjoint.
    days
        The official table and local additions; the last row of a day wins.
    published
        Years whose table is complete. Default: those whose 1 January is a holiday in ``days``.

    Raises
    ------
    BadInputError
        ``calendar.bad_hours`` if the hours are empty, overlap or run backwards.

    Notes
    -----
    In a year without a published table weekends are off and weekdays on, and what is counted there is provisional; so
    are the last days of a published year until the next table is known (`UNSETTLED_FROM`).

    Cost: compiling 25 years takes some 20 ms; keep the object. Memory about 2 MB.
    """

    __slots__ = ("_compiled", "days", "hours", "published", "zone")

    def __init__(
        self,
        *,
        zone: ZoneInfo | str = "Asia/Shanghai",
        hours: Sequence[HourRange] = DEFAULT_HOURS,
        days: Iterable[CalendarDay] = (),
        published: Iterable[int] | None = None,
    ) -> None:
        rows = tuple(days)
        self.zone = ZoneInfo(zone) if isinstance(zone, str) else zone
        self.hours = _check_hours(hours)
        self.days: Mapping[date, CalendarDay] = {row.day: row for row in rows}
        self.published = published_years(rows) if published is None else frozenset(published)
        first, last = (min(self.published), max(self.published)) if self.published else (2020, 2030)
        self._compiled = self._compile(first, last + 2)

    def is_workday(self, day: date) -> bool:
        """Whether any working time lies on the day."""
        return bool(self.hours_on(day))

    def hours_on(self, day: date) -> tuple[HourRange, ...]:
        """Working hours of a day; empty on a holiday or weekend."""
        row = self.days.get(day)
        if row is None:
            return self.hours if day.weekday() < 5 else ()
        return _hours_of(row.kind, self.hours)

    def is_settled(self, day: date) -> bool:
        """Whether the day's kind is final: its year is published, and at the year's end the next one too."""
        if day.year not in self.published:
            return False
        return (day.month, day.day) < UNSETTLED_FROM or day.year + 1 in self.published

    def worked_between(self, start: int, end: int) -> int:
        """Working microseconds in ``[start, end)``; negative when ``end`` is earlier."""
        table = self._covering(min(start, end), max(start, end))
        return table.worked(end) - table.worked(start)

    def advance(self, start: int, amount: int) -> int:
        """Earliest instant not before ``start`` at which ``amount`` working microseconds have passed.

        Boundary: nothing to work ends at ``start`` itself, also at night; work that fills a segment ends at that
        segment's end (12:00), not at the next beginning (14:00).

        Raises
        ------
        BadInputError
            ``calendar.beyond_horizon`` if the answer lies after the year 2199.
        """
        if amount <= 0:
            return start
        table = self._covering(start, start)
        while (target := table.worked(start) + amount) > table.total:
            table = self._grow(table, amount)
        return table.reach(target)

    def advance_many(self, starts: NDArray[np.int64], amounts: NDArray[np.int64]) -> NDArray[np.int64]:
        """`advance` for arrays. Shape: both (n,). Units: microseconds."""
        if not starts.size:
            return starts.copy()
        table = self._covering(int(starts.min()), int(starts.max()))
        while int((targets := table.worked_many(starts) + amounts).max()) > table.total:
            table = self._grow(table, int(amounts.max()))
        return np.where(amounts > 0, table.reach_many(targets), starts)

    def touches_unsettled(self, start: int, end: int) -> bool:
        """Whether some of ``[start, end)`` lies on a day that is not settled; an empty span touches nothing."""
        if end <= start:
            return False
        table = self._covering(start, end)
        return any(begin < end and start < until for begin, until in table.unsettled_list)

    def touches_unsettled_many(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`touches_unsettled` for arrays. Shape: both (n,)."""
        if not starts.size:
            return np.zeros(0, dtype=np.bool_)
        table = self._covering(int(starts.min()), int(ends.max()))
        if not table.unsettled.size:
            return np.zeros(starts.shape, dtype=np.bool_)
        # Stretches are disjoint and sorted: the first that ends after the start is the only one that can matter.
        index = np.searchsorted(table.unsettled[:, 1], starts, side="right")
        begins = np.append(table.unsettled[:, 0], np.iinfo(np.int64).max)
        return (begins[index] < ends) & (starts < ends)

    def segments_between(self, start: int, end: int) -> list[tuple[int, int]]:
        """Working segments clipped to ``[start, end)``, ascending, none empty. Units: microseconds UTC."""
        if end <= start:
            return []
        table = self._covering(start, end)
        return table.between(start, end)

    def midnight(self, day: date) -> int:
        """Instant at which the local day begins. Units: microseconds UTC."""
        return to_micros(datetime(day.year, day.month, day.day, tzinfo=self.zone))

    def wall(self, day: date, wall_us: int) -> int:
        """Instant at which the clock on the wall reads a time of the day, at most one day after its midnight.

        Zone: a reading that occurs twice means the first. Units: microseconds.
        """
        if wall_us == DAY_US:
            return self.midnight(day + timedelta(days=1))
        reading = datetime(day.year, day.month, day.day) + timedelta(microseconds=wall_us)  # noqa: DTZ001
        return to_micros(reading.replace(tzinfo=self.zone))

    def local_date(self, micros: int) -> date:
        """Local date of an instant."""
        return from_micros(micros).astimezone(self.zone).date()

    def _covering(self, start: int, end: int) -> Segments:
        table = self._compiled
        if table.holds(start, end):
            return table
        first, last = table.years
        return self._compile_years(min(from_micros(start).year - 1, first), max(from_micros(end).year + 1, last))

    def _grow(self, table: Segments, amount: int) -> Segments:
        # Working time never needs less calendar time than itself; beyond that, double what is there.
        first, last = table.years
        if last == _LAST_YEAR:
            raise _beyond_horizon()
        ahead = max(last - first + 1, amount // (366 * DAY_US))
        return self._compile_years(first, min(last + ahead, _LAST_YEAR))

    def _compile_years(self, first: int, last: int) -> Segments:
        if first < _FIRST_YEAR or last > _LAST_YEAR:
            raise _beyond_horizon()
        # Compilations are values: two threads may both do the work, and either result is right.
        table = self._compile(first, last)
        self._compiled = table
        return table

    def _compile(self, first_year: int, last_year: int) -> Segments:
        first, last = date(first_year, 1, 1), date(last_year + 1, 1, 1)
        # One day more on both sides: a stretch of constant offset may begin on a neighbouring local date.
        walls = _wall_segments(self, first - timedelta(days=1), last + timedelta(days=1))
        return compile_segments(
            zone=self.zone,
            walls=walls,
            years=(first_year, last_year),
            span=(self.midnight(first), self.midnight(last)),
            unsettled=_unsettled(self, first, last),
        )


def _beyond_horizon() -> BadInputError:
    return BadInputError("calendar.beyond_horizon", first=_FIRST_YEAR + 1, last=_LAST_YEAR - 1)


def _time_us(value: time) -> int:
    seconds = (value.hour * 60 + value.minute) * 60 + value.second
    return seconds * 1_000_000 + value.microsecond


def _check_hours(hours: Sequence[HourRange]) -> tuple[HourRange, ...]:
    previous = 0
    for span in hours:
        if not previous <= span.start_us < span.end_us:
            raise BadInputError("calendar.bad_hours", starts=span.starts.isoformat(), ends=span.ends.isoformat())
        previous = span.end_us
    if not hours:
        raise BadInputError("calendar.bad_hours", starts="", ends="")
    return tuple(hours)


def _hours_of(kind: DayKind, hours: tuple[HourRange, ...]) -> tuple[HourRange, ...]:
    if kind is DayKind.WORKDAY:
        return hours
    if kind is DayKind.HOLIDAY:
        return ()
    if kind is DayKind.MORNING:
        return tuple(HourRange(starts=h.starts, ends=_ends_by_noon(h)) for h in hours if h.start_us < DAY_US // 2)
    return tuple(HourRange(starts=max(h.starts, _NOON), ends=h.ends) for h in hours if h.end_us > DAY_US // 2)


def _ends_by_noon(span: HourRange) -> time:
    return span.ends if span.end_us <= DAY_US // 2 else _NOON


def _wall_segments(calendar: WorkingCalendar, first: date, last: date) -> NDArray[np.int64]:
    """Working hours as wall-clock microseconds since 1970-01-01 00:00 local. Shape: (n, 2), ascending."""
    zero = date(1970, 1, 1).toordinal()
    rows = [
        (day_us + span.start_us, day_us + span.end_us)
        for ordinal in range(first.toordinal(), last.toordinal())
        for day_us in ((ordinal - zero) * DAY_US,)
        for span in calendar.hours_on(date.fromordinal(ordinal))
    ]
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def _unsettled(calendar: WorkingCalendar, first: date, last: date) -> list[tuple[int, int]]:
    """Stretches of days whose kind may still change, merged, as UTC microseconds."""
    days: list[tuple[date, date]] = []
    for year in range(first.year, last.year):
        since = date(year, 1, 1) if year not in calendar.published else date(year, *UNSETTLED_FROM)
        if calendar.is_settled(since):
            continue
        until = date(year + 1, 1, 1)
        if days and days[-1][1] == since:
            days[-1] = (days[-1][0], until)
        else:
            days.append((since, until))
    return [(calendar.midnight(since), calendar.midnight(until)) for since, until in days]
