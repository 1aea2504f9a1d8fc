"""Deadlines: limits in the units of the trade, when they end, how much of them is used, and why.

Urgent hours (紧急工作时) run day, night and holidays; working hours (工作时) only inside the working hours of the
calendar; a working day (工作日) is eight working hours, whatever the calendar's own day adds up to; natural days are
continuous, 24 hours each.

One sentence defines every deadline: **it is the earliest instant not before the start at which the counted time
equals the limit.** All boundary cases follow from it.

Boundary: a limit of 0 ends at its start, also at night or in a holiday.
Boundary: a limit that fills the morning ends at 12:00, not at 14:00; one that fills the day ends at 18:00 that day.
Boundary: a start at lunch, at the close of day or in a holiday begins to count at the next working instant.
Boundary: handling at the very instant ``due_at`` is on time; late is strictly after it.
Boundary: a limit that is used up exactly when a pause begins ends there, not after the pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.calendars import WorkingCalendar
from dispatch.segments import DAY_US, from_micros, to_micros
from geo.errors import BadInputError

__all__ = [
    "REMINDER_SHARES",
    "Deadline",
    "DeadlineBatch",
    "Limit",
    "LimitUnit",
    "Pause",
    "StartRule",
    "add",
    "add_many",
    "clock_start",
    "elapsed",
    "is_on_time",
    "merge_pauses",
    "remaining",
    "share_at",
]

_HOUR_US: Final = 3_600_000_000
_LONGEST_US: Final = 36_525 * DAY_US

REMINDER_SHARES: Final = (Decimal("0.5"), Decimal("0.8"))
"""Shares of the limit at which the responsible person is reminded unless the city's data say otherwise."""


class LimitUnit(StrEnum):
    """Unit of a limit."""

    URGENT_HOUR = "urgent_hour"
    WORKING_HOUR = "working_hour"
    WORKING_DAY = "working_day"
    NATURAL_DAY = "natural_day"

    @property
    def is_working(self) -> bool:
        """Whether only working time counts."""
        return self in _WORKING_UNITS


_WORKING_UNITS: Final = frozenset({LimitUnit.WORKING_HOUR, LimitUnit.WORKING_DAY})
_UNIT_US: Final = {
    LimitUnit.URGENT_HOUR: _HOUR_US,
    LimitUnit.WORKING_HOUR: _HOUR_US,
    LimitUnit.WORKING_DAY: 8 * _HOUR_US,
    LimitUnit.NATURAL_DAY: DAY_US,
}


class StartRule(StrEnum):
    """When a channel's handling clock begins to count."""

    DISPATCH = "dispatch"
    NEXT_DAY = "next_day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """An amount of time in its own unit, such as 2 urgent hours.

    Raises
    ------
    BadInputError
        ``deadline.bad_limit`` if the value is negative, not a number, or longer than a hundred years.

    Examples
    --------
    >>> Limit(value=Decimal("0.5"), unit=LimitUnit.WORKING_DAY).span
    datetime.timedelta(seconds=14400)
    """

    value: Decimal | int
    unit: LimitUnit

    def __post_init__(self) -> None:
        value = Decimal(self.value)
        if not value.is_finite() or not 0 <= value * _UNIT_US[self.unit] <= _LONGEST_US:
            raise BadInputError("deadline.bad_limit", value=str(self.value), unit=self.unit.value)

    @property
    def span_us(self) -> int:
        """Counted time of the limit. Units: microseconds, rounded half up."""
        return _span_us(self.value, self.unit)

    @property
    def span(self) -> timedelta:
        """Counted time of the limit."""
        return timedelta(microseconds=self.span_us)

    def times(self, share: Decimal | int) -> Limit:
        """The same limit scaled: half of it for a reminder, twice for an extension by the original limit."""
        return Limit(value=Decimal(self.value) * share, unit=self.unit)


@lru_cache(maxsize=4096)
def _span_us(value: Decimal | int, unit: LimitUnit) -> int:
    return int((Decimal(value) * _UNIT_US[unit]).to_integral_value(ROUND_HALF_UP))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A time in which the clock stands still by approval (挂账). Boundary: ``[start_at, end_at)``."""

    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a limit ends. Provisional (暂定): days on the way may still become holidays or workdays.

    ``due_at`` is in UTC.
    """

    due_at: datetime
    is_provisional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineBatch:
    """Deadlines of many starts. Shape: both (n,). ``due_at`` is ``datetime64[us]`` in UTC."""

    due_at: NDArray[np.datetime64]
    is_provisional: NDArray[np.bool_]


def add(calendar: WorkingCalendar, start: datetime, limit: Limit, pauses: Iterable[Pause] = ()) -> Deadline:
    """When the limit ends if its clock starts at ``start`` and stands still in ``pauses``.

    Parameters
    ----------
    calendar
        Working time of the jurisdiction; unused by urgent hours and natural days.
    start
        Aware instant.
    limit
        What may be used up.
    pauses
        Approved standstills, in any order; overlaps count once, parts before ``start`` not at all.

    Raises
    ------
    BadInputError
        ``calendar.beyond_horizon`` if the answer lies outside the years that can be computed.

    Notes
    -----
    Cost: a few microseconds; each pause adds as much.

    Examples
    --------
    The afternoon before the Spring Festival of 2026, whose eve is a make-up Saturday:

    >>> from dispatch.calendars import seed_calendar
    >>> from datetime import datetime
    >>> calendar = WorkingCalendar(days=seed_calendar([2026]))
    >>> start = datetime(2026, 2, 13, 16, 0, tzinfo=calendar.zone)
    >>> due = add(calendar, start, Limit(value=2, unit=LimitUnit.WORKING_DAY)).due_at
    >>> due.astimezone(calendar.zone).isoformat()
    '2026-02-24T16:00:00+08:00'
    """
    at, left, working = to_micros(start), limit.span_us, limit.unit.is_working
    provisional = False
    # Most have none, and to sort nothing costs as much as the answer.
    for begin, end in merge_pauses(pauses) if pauses else ():
        if end <= at:
            continue
        if begin > at:
            counted = calendar.worked_between(at, begin) if working else begin - at
            if counted >= left:
                break
            provisional = provisional or (working and calendar.touches_unsettled(at, begin))
            left -= counted
        elif not left:
            break
        at = end
    if not working:
        return Deadline(due_at=from_micros(at + left), is_provisional=False)
    due = calendar.advance(at, left)
    return Deadline(due_at=from_micros(due), is_provisional=provisional or calendar.touches_unsettled(at, due))


def add_many(
    calendar: WorkingCalendar, starts: NDArray[np.datetime64], limits: Limit | Sequence[Limit]
) -> DeadlineBatch:
    """`add` for many starts at once, without pauses; each answer equals the single one.

    Parameters
    ----------
    starts
        UTC instants, ``datetime64``; converted to microseconds. Shape: (n,).
    limits
        One limit for all, or one for each start.

    Raises
    ------
    ValueError
        If a start is not a time, or the lengths differ.

    Notes
    -----
    Cost: millions per second for one limit; a sequence of limits costs about a microsecond each to read.
    """
    if np.isnat(starts).any():
        raise ValueError("a start is not a time")
    at: NDArray[np.int64] = starts.astype("datetime64[us]").astype(np.int64)
    if isinstance(limits, Limit):
        amounts = np.full(at.shape, limits.span_us, dtype=np.int64)
        working = np.full(at.shape, limits.unit.is_working, dtype=np.bool_)
    else:
        if len(limits) != at.size:
            raise ValueError("one limit for each start")
        known = {limit: (limit.span_us, limit.unit.is_working) for limit in set(limits)}
        amounts = np.fromiter((known[limit][0] for limit in limits), dtype=np.int64, count=at.size)
        working = np.fromiter((known[limit][1] for limit in limits), dtype=np.bool_, count=at.size)
    due = at + amounts
    provisional = np.zeros(at.shape, dtype=np.bool_)
    if working.any():
        due[working] = calendar.advance_many(at[working], amounts[working])
        provisional[working] = calendar.touches_unsettled_many(at[working], due[working])
    return DeadlineBatch(due_at=due.astype("datetime64[us]"), is_provisional=provisional)


def elapsed(
    calendar: WorkingCalendar, start: datetime, end: datetime, unit: LimitUnit, pauses: Iterable[Pause] = ()
) -> timedelta:
    """Counted time between two instants; negative when ``end`` is earlier.

    ``add`` and ``elapsed`` are inverse: ``elapsed(start, add(start, limit).due_at)`` is the limit, exactly.
    """
    first, last = to_micros(start), to_micros(end)
    if last < first:
        return -elapsed(calendar, end, start, unit, pauses)
    counted = _counted(calendar, first, last, unit)
    for begin, until in merge_pauses(pauses):
        begin, until = max(begin, first), min(until, last)
        if begin < until:
            counted -= _counted(calendar, begin, until, unit)
    return timedelta(microseconds=counted)


def remaining(
    calendar: WorkingCalendar, now: datetime, due_at: datetime, unit: LimitUnit, pauses: Iterable[Pause] = ()
) -> timedelta:
    """Counted time left; negative when late, in the same unit: "late by three working hours"."""
    return elapsed(calendar, now, due_at, unit, pauses)


def share_at(
    calendar: WorkingCalendar, start: datetime, limit: Limit, share: Decimal, pauses: Iterable[Pause] = ()
) -> datetime:
    """Instant at which a share of the limit is used up, in the limit's own unit: half of two working days is one."""
    return add(calendar, start, limit.times(share), pauses).due_at


def clock_start(calendar: WorkingCalendar, dispatched_at: datetime, rule: StartRule) -> datetime:
    """When the handling clock begins to count.

    Zone: the next day begins at midnight of the jurisdiction, so a ticket dispatched at 00:00 also waits a day.
    """
    if rule is StartRule.DISPATCH:
        return dispatched_at
    return from_micros(calendar.midnight(calendar.local_date(to_micros(dispatched_at)) + timedelta(days=1)))


def is_on_time(handled_at: datetime, due_at: datetime) -> bool:
    """Whether handling was on time. Boundary: the very instant of the deadline still is."""
    return handled_at <= due_at


def merge_pauses(pauses: Iterable[Pause]) -> list[tuple[int, int]]:
    """Pauses as ascending, disjoint spans that do not touch. Units: microseconds UTC. Empty pauses vanish."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted((to_micros(pause.start_at), to_micros(pause.end_at)) for pause in pauses):
        if end <= begin:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def _counted(calendar: WorkingCalendar, first: int, last: int, unit: LimitUnit) -> int:
    return calendar.worked_between(first, last) if unit.is_working else last - first
