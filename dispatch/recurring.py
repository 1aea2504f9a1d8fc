"""Recurring joint operations (每周集中清理): on which days a plan has an occurrence, and at what instant. Pure.

Zone: days and the time of day are those of the jurisdiction. An occurrence that falls on a day off takes place all the
same, is left out, or moves to the next working day, as the plan says; two that fall together are one.
"""

from __future__ import annotations

import calendar as months
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from typing import Final

from dispatch.calendars import WorkingCalendar
from dispatch.segments import from_micros
from geo.errors import BadInputError

__all__ = ["DayOff", "Frequency", "Recurrence", "next_occurrence", "occurrences"]

_LOOK_AHEAD: Final = timedelta(days=366 * 3)
_LONGEST_SHIFT: Final = timedelta(days=31)


class Frequency(StrEnum):
    """What the interval counts."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class DayOff(StrEnum):
    """What becomes of an occurrence on a day without working hours."""

    AS_IT_IS = "as_it_is"
    SKIP = "skip"
    NEXT_WORKDAY = "next_workday"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurrence:
    """When a plan has an occurrence.

    ``weekdays`` are 1 (Monday) to 7; ``month_days`` 1 to 31, or -1 for the last day; a month without the 31st has none.
    Boundary: ``first_day`` and ``last_day`` belong to the plan, counted before any shift to a working day.
    """

    frequency: Frequency
    at: time
    first_day: date
    last_day: date | None = None
    interval: int = 1
    weekdays: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    day_off: DayOff = DayOff.NEXT_WORKDAY

    def __post_init__(self) -> None:
        if not 1 <= self.interval <= 60:
            raise BadInputError("joint.bad_recurrence", pointer="/recurrence/interval", what="interval")
        if self.frequency is Frequency.WEEK and not (self.weekdays and {*self.weekdays} <= {*range(1, 8)}):
            raise BadInputError("joint.bad_recurrence", pointer="/recurrence/weekdays", what="weekdays")
        known = {-1, *range(1, 32)}
        if self.frequency is Frequency.MONTH and not (self.month_days and {*self.month_days} <= known):
            raise BadInputError("joint.bad_recurrence", pointer="/recurrence/month_days", what="month_days")
        if self.last_day is not None and self.last_day < self.first_day:
            raise BadInputError("joint.bad_recurrence", pointer="/recurrence/last_day", what="last_day")

    def falls_on(self, day: date) -> bool:
        """Whether the plan names a day.

        Examples
        --------
        >>> first = date(2026, 11, 2)
        >>> plan = Recurrence(frequency=Frequency.WEEK, at=time(9), first_day=first, interval=2, weekdays=(5,))
        >>> [day for day in range(1, 31) if plan.falls_on(date(2026, 11, day))]
        [6, 20]
        """
        if day < self.first_day or (self.last_day is not None and day > self.last_day):
            return False
        match self.frequency:
            case Frequency.DAY:
                return (day - self.first_day).days % self.interval == 0
            case Frequency.WEEK:
                weeks = (_monday(day) - _monday(self.first_day)).days // 7
                return weeks % self.interval == 0 and day.isoweekday() in self.weekdays
            case Frequency.MONTH:
                count = (day.year - self.first_day.year) * 12 + day.month - self.first_day.month
                is_last = day.day == months.monthrange(day.year, day.month)[1]
                return count % self.interval == 0 and (
                    day.day in self.month_days or (is_last and -1 in self.month_days)
                )


def occurrences(rule: Recurrence, calendar: WorkingCalendar, after: datetime) -> Iterator[datetime]:
    """Instants of a plan later than ``after``, ascending, at most some three years ahead."""
    local = after.astimezone(calendar.zone).date()
    day = max(rule.first_day, local - _LONGEST_SHIFT)
    until = max(rule.first_day, local) + _LOOK_AHEAD
    newest = after
    while day <= until:
        if rule.falls_on(day) and (taken := _taken(rule, calendar, day)) is not None:
            instant = from_micros(calendar.wall(taken, _micros(rule.at)))
            # Shifts never change the order, so what is not later than the newest is the same occurrence.
            if instant > newest:
                newest = instant
                yield instant
        day += timedelta(days=1)


def next_occurrence(rule: Recurrence, calendar: WorkingCalendar, after: datetime) -> datetime | None:
    """The first instant of a plan later than ``after``; None when the plan is over."""
    return next(islice(occurrences(rule, calendar, after), 1), None)


def _taken(rule: Recurrence, calendar: WorkingCalendar, day: date) -> date | None:
    if rule.day_off is DayOff.AS_IT_IS or calendar.is_workday(day):
        return day
    if rule.day_off is DayOff.SKIP:
        return None
    shifted = (day + timedelta(days=ahead) for ahead in range(1, _LONGEST_SHIFT.days))
    return next((other for other in shifted if calendar.is_workday(other)), None)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _micros(at: time) -> int:
    return ((at.hour * 60 + at.minute) * 60 + at.second) * 1_000_000
