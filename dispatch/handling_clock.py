"""The handling clock H under approvals: an extension, a pause, its early end, a new epoch. Pure rules.

Every change starts from the deadline that is in force and not from the catalogue's limits of today: a city that changes
its limits must not move the deadlines of cases that are under way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Deadline, Limit, LimitUnit, Pause, add, elapsed, share_at
from dispatch.lights import warn_share
from geo.errors import BadInputError

__all__ = [
    "LONGEST_PAUSE",
    "Course",
    "check_pause_end",
    "extended",
    "leg_due",
    "leg_moved",
    "paused",
    "resumed",
    "warn_at",
]

LONGEST_PAUSE: Final = timedelta(days=366)
_MICROSECONDS_AN_HOUR: Final = 3_600_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A running clock: where it started, the limit it was given, how often that was added, and its pauses."""

    start_at: datetime
    limit: Limit
    extensions: int = 0
    pauses: tuple[Pause, ...] = ()

    @property
    def total(self) -> Limit:
        """The limit with its extensions, each as long as the original."""
        return self.limit.times(1 + self.extensions)


def check_pause_end(until: datetime | None, at: datetime) -> datetime:
    """A suspension needs an end, after now and at most a year away.

    Raises
    ------
    BadInputError
        ``dispatch.until_required`` or ``dispatch.bad_until``.
    """
    if until is None:
        raise BadInputError("dispatch.until_required", pointer="/until")
    if not at < until <= at + LONGEST_PAUSE:
        raise BadInputError("dispatch.bad_until", pointer="/until", until=until.isoformat(), most_days=366)
    return until


def extended(calendar: WorkingCalendar, due_at: datetime, limit: Limit) -> Deadline:
    """The deadline after an extension: the original limit once more, from the deadline in force."""
    return add(calendar, due_at, limit)


def paused(calendar: WorkingCalendar, due_at: datetime, unit: LimitUnit, pause: Pause) -> Deadline:
    """The deadline when the clock stands still in a pause. Boundary: a case that is late stays exactly as late."""
    if due_at <= pause.start_at:
        return Deadline(due_at=due_at, is_provisional=False)
    return _after(calendar, pause.end_at, elapsed(calendar, pause.start_at, due_at, unit), unit)


def resumed(
    calendar: WorkingCalendar, due_at: datetime, unit: LimitUnit, *, planned: datetime, at: datetime
) -> Deadline:
    """The deadline when a pause ends before its date: what was left then is left now, so it is never later."""
    if at >= planned or due_at <= planned:
        return Deadline(due_at=due_at, is_provisional=False)
    return _after(calendar, at, elapsed(calendar, planned, due_at, unit), unit)


def warn_at(calendar: WorkingCalendar, course: Course, due_at: datetime) -> datetime:
    """When the light turns yellow, for the limit as extended and paused."""
    total = course.total
    share = warn_share(total.span.total_seconds())
    return min(share_at(calendar, course.start_at, total, share, course.pauses), due_at)


def leg_due(calendar: WorkingCalendar, start: datetime, limit: Limit, case_due: datetime | None) -> Deadline:
    """The deadline of a leg of joint work. Boundary: within its case's, unless that has passed already.

    A leg that outlasted its case would be a way to more time without an approval. Where the case is late, the leg's own
    limit counts: a department that is called in today has not been late since yesterday.
    """
    due = add(calendar, start, limit)
    if case_due is None or case_due < start or due.due_at <= case_due:
        return due
    return Deadline(due_at=case_due, is_provisional=due.is_provisional)


def leg_moved(moved: Deadline, was: datetime, *, case_was: datetime, case_now: datetime) -> Deadline:
    """A leg's deadline when an approval moves its case's: moved by its own limit, and still within its case's."""
    if was > case_was:
        return moved
    return Deadline(due_at=min(moved.due_at, case_now), is_provisional=moved.is_provisional)


def _after(calendar: WorkingCalendar, start: datetime, left: timedelta, unit: LimitUnit) -> Deadline:
    # Hours carry the microsecond exactly: the unit's own value could not.
    counted = LimitUnit.WORKING_HOUR if unit.is_working else LimitUnit.URGENT_HOUR
    micros = left // timedelta(microseconds=1)
    return add(calendar, start, Limit(value=Decimal(micros) / _MICROSECONDS_AN_HOUR, unit=counted))
