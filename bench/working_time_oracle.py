"""Working time the slow and obvious way: list every minute, ask the clock on the wall, count.

The independent half of the deadline tests and of ``bench/deadlines.py``. It shares no arithmetic with
``dispatch``: the wall clock comes from ``zoneinfo``, the kind of a day from the rows, and a deadline is found by
counting listed minutes. Starts, limits and pauses are whole minutes here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dispatch.calendars import CalendarDay, DayKind, HourRange, WorkingCalendar, seed_calendar

__all__ = ["MinuteOracle", "random_calendar"]

_HALF_HOUR = 30
_KINDS = list(DayKind)


@dataclass(frozen=True, slots=True)
class MinuteOracle:
    """Every working minute of a span. Shape: counted (n,). Units: minutes since 1970-01-01 UTC, ascending."""

    first: int
    last: int
    counted: NDArray[np.int64]

    @classmethod
    def of(cls, calendar: WorkingCalendar, first: date, last: date) -> MinuteOracle:
        """List the working minutes of ``[first, last)`` in UTC days from the calendar's rows."""
        begin = int(datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()) // 60
        end = int(datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp()) // 60
        minutes = np.arange(begin, end, dtype=np.int64)
        # Clocks have changed on half hours for decades, so two readings an hour say what the wall shows each minute.
        readings = [_wall_minute(calendar.zone, at) - at for at in range(begin, end, _HALF_HOUR)]
        wall = minutes + np.repeat(np.array(readings, dtype=np.int64), _HALF_HOUR)
        days, minute_of_day = np.divmod(wall, 1440)
        first_day, last_day = int(days[0]), int(days[-1])
        listed = np.array([_day_minutes(calendar, kind) for kind in _KINDS])
        kinds = np.array([_KINDS.index(_kind(calendar, day)) for day in range(first_day, last_day + 1)])
        return cls(begin, end, minutes[listed[kinds[days - first_day], minute_of_day]])

    def due(self, start: int, minutes: int) -> int:
        """End of the ``minutes``-th working minute from ``start`` on; ``start`` itself if there is nothing to count."""
        if not minutes:
            return start
        return int(self.counted[np.searchsorted(self.counted, start) + minutes - 1]) + 1

    def due_with_pauses(self, start: int, minutes: int, pauses: list[tuple[int, int]]) -> int:
        """As `due`, with every minute inside a pause struck from the list."""
        counted = self.counted
        for begin, end in pauses:
            counted = counted[(counted < begin) | (counted >= end)]
        return MinuteOracle(self.first, self.last, counted).due(start, minutes)

    def elapsed(self, start: int, end: int) -> int:
        """Number of working minutes in ``[start, end)``."""
        return int(np.count_nonzero((self.counted >= start) & (self.counted < end)))


def random_calendar(rng: random.Random) -> WorkingCalendar:
    """A calendar as an office might keep it: the usual one, or odd hours, zones with clock changes, half days."""
    zone = rng.choice(
        ["Asia/Shanghai", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
    )
    marks = sorted(rng.sample(range(24 * 4 + 1), k=2 * rng.randint(1, 3)))
    hours = [
        HourRange(starts=_time_of(begin * 15), ends=_time_of(end * 15))
        for begin, end in zip(marks[::2], marks[1::2], strict=True)
    ]
    days = list(seed_calendar(range(2023, 2027)))
    days += [
        CalendarDay(day=date(2023, 1, 1) + timedelta(days=rng.randrange(1461)), kind=rng.choice(list(DayKind)))
        for _ in range(rng.randrange(60))
    ]
    if rng.random() < 0.5:
        # Clocks change on Sundays: a service that works on them is where a wrong change would show.
        days += [CalendarDay(day=date(2023, 1, 1) + timedelta(weeks=n), kind=DayKind.WORKDAY) for n in range(209)]
    if rng.random() < 0.4:
        return WorkingCalendar(zone=zone, days=days)
    return WorkingCalendar(zone=zone, days=days, hours=hours)


def _time_of(minute: int) -> time:
    return time(minute // 60 % 24, minute % 60)


def _wall_minute(zone: ZoneInfo, minute: int) -> int:
    reading = datetime.fromtimestamp(minute * 60, zone).replace(tzinfo=UTC)
    return int(reading.timestamp()) // 60


def _kind(calendar: WorkingCalendar, day: int) -> DayKind:
    when = date(1970, 1, 1) + timedelta(days=day)
    row = calendar.days.get(when)
    if row:
        return row.kind
    return DayKind.WORKDAY if when.weekday() < 5 else DayKind.HOLIDAY


def _day_minutes(calendar: WorkingCalendar, kind: DayKind) -> list[bool]:
    wanted = {
        DayKind.WORKDAY: range(1440),
        DayKind.HOLIDAY: range(0),
        DayKind.MORNING: range(720),
        DayKind.AFTERNOON: range(720, 1440),
    }[kind]
    listed = [False] * 1440
    for span in calendar.hours:
        ends = span.ends.hour * 60 + span.ends.minute or 1440
        for minute in range(span.starts.hour * 60 + span.starts.minute, ends):
            listed[minute] = minute in wanted
    return listed
