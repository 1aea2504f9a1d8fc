"""When a case is due and when it turns yellow, for a limit that begins to count at an instant.

To work that out takes microseconds, and a burst of reports asks for the same few limits at nearly the same instant.
Between two edges of the working day a deadline just moves along with its start, and outside working hours it stands
still, so what was worked out for one start is kept as a stretch of starts, and the next answer is one addition at most.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from msgspec import Struct

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Deadline, Limit, StartRule, add, clock_start
from dispatch.lights import warn_share
from dispatch.reference import Jurisdiction
from dispatch.segments import from_micros, to_micros

__all__ = ["Clocks", "set_clocks", "work_out"]

#: The years that a calendar can be asked about, and some more.
_FIRST_US, _LAST_US = to_micros(datetime(1900, 1, 1, tzinfo=UTC)), to_micros(datetime(2300, 1, 1, tzinfo=UTC))


class Clocks(Struct, frozen=True, kw_only=True):
    """The instants that a handling limit sets. Zone: UTC."""

    due_at: datetime
    #: Provisional (暂定): days on the way may still become holidays or workdays.
    is_provisional: bool
    warn_at: datetime


class _Stretch(Struct, frozen=True):
    """Starts that share an answer. Boundary: ``[since, until)``."""

    since: datetime
    until: datetime
    #: For the start it was worked out for; None when the clocks stand still while the start moves.
    of: datetime | None
    clocks: Clocks


@dataclass(slots=True)
class _Kept:
    """The stretch that was asked for last."""

    stretch: _Stretch | None = None


def set_clocks(jurisdiction: Jurisdiction, start_rule: str, limit: Limit, dispatched_at: datetime) -> Clocks:
    """Deadline and yellow light for a case dispatched at an instant.

    Parameters
    ----------
    start_rule
        The channel's: most count from dispatch, a 12345 ticket from the next day.

    Notes
    -----
    Cost: a microsecond within the stretch asked for last, else some ten. A stretch is a morning, a night, a day off.
    """
    calendar = jurisdiction.calendar
    if dispatched_at.tzinfo is not UTC:
        dispatched_at = dispatched_at.astimezone(UTC)
    kept = _keep(calendar, start_rule, limit)
    stretch = kept.stretch
    if stretch is None or not stretch.since <= dispatched_at < stretch.until:
        rule = StartRule(start_rule)
        clocks = work_out(calendar, rule, limit, dispatched_at)
        kept.stretch = _stretch_around(calendar, rule, limit, dispatched_at, clocks) or stretch
        return clocks
    clocks = stretch.clocks
    if stretch.of is None:
        return clocks
    later = dispatched_at - stretch.of
    return Clocks(due_at=clocks.due_at + later, is_provisional=clocks.is_provisional, warn_at=clocks.warn_at + later)


def work_out(calendar: WorkingCalendar, rule: StartRule, limit: Limit, dispatched_at: datetime) -> Clocks:
    """What `set_clocks` says, from the calendar."""
    start = clock_start(calendar, dispatched_at, rule)
    due: Deadline = add(calendar, start, limit)
    return Clocks(
        due_at=due.due_at,
        is_provisional=due.is_provisional,
        warn_at=add(calendar, start, _until_yellow(limit)).due_at,
    )


@lru_cache(maxsize=4096)
def _keep(calendar: WorkingCalendar, start_rule: str, limit: Limit) -> _Kept:
    # By the calendar as an object: its rows are compiled once, and other rows make another one.
    del calendar, start_rule, limit
    return _Kept()


@lru_cache(maxsize=4096)
def _until_yellow(limit: Limit) -> Limit:
    return limit.times(warn_share(limit.span.total_seconds()))


def _stretch_around(
    calendar: WorkingCalendar, rule: StartRule, limit: Limit, start: datetime, clocks: Clocks
) -> _Stretch | None:
    at = to_micros(start)
    if rule is StartRule.NEXT_DAY:
        since, until = _day_around(calendar, at)
        return _Stretch(from_micros(since), from_micros(until), None, clocks)
    since, until = _FIRST_US, _LAST_US
    if limit.unit.is_working:
        since, until, is_worked = _hours_around(calendar, at)
        if not is_worked:
            # At night no time is used up, so nothing moves until the morning. (No limit is empty.)
            return _Stretch(from_micros(since), from_micros(until), None, clocks)
        for instant in (clocks.due_at, clocks.warn_at):
            end = to_micros(instant)
            # Work that fills a segment ends at its end: the last instant before belongs to the segment.
            begun, over, is_worked = _hours_around(calendar, end - 1)
            if not is_worked:
                return None
            since = max(since, begun - (end - at) + 1)
            until = min(until, over - (end - at) + 1)
    return _Stretch(from_micros(since), from_micros(until), start, clocks)


def _hours_around(calendar: WorkingCalendar, micros: int) -> tuple[int, int, bool]:
    """The working hours that an instant lies in, or the time off; and whether it is worked. As far as they are of its
    local day, so that days are settled or not for all of them alike. Boundary: ``[start, end)``. Units: microseconds
    UTC.
    """
    since, until = _day_around(calendar, micros)
    for begin, end in calendar.segments_between(since, until):
        if micros < begin:
            return since, begin, False
        if micros < end:
            return begin, end, True
        since = end
    return since, until, False


def _day_around(calendar: WorkingCalendar, micros: int) -> tuple[int, int]:
    """The local day of an instant. Boundary: ``[midnight, next midnight)``. Units: microseconds UTC."""
    day = calendar.local_date(micros)
    return calendar.midnight(day), calendar.midnight(day + timedelta(days=1))
