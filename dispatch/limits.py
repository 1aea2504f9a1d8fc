"""Limits that depend on the season, and limits in phases. Pure.

A season is a window of days of every year, or of one year: replanting a tree has fifteen working days inside the
planting season and waits outside it. A window may run over New Year (``11-15`` to ``03-15``). Which limit holds is
decided by the local date on which the clock is set; a case keeps the limit it was given.

A phased limit has deadlines on the way: work is stopped within 4 hours, the penalty is decided within 7 days, and the
last one, the condition's own limit, is the case's deadline. Every phase counts from the same start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Limit, add
from geo.errors import BadInputError, Fault, InvalidRequestError

__all__ = [
    "MOST_PHASES",
    "MOST_SEASONS",
    "Phase",
    "PhaseClock",
    "Season",
    "check_seasons",
    "limit_on",
    "read_day",
    "set_phases",
]

MOST_SEASONS: Final = 12
MOST_PHASES: Final = 8
_DAY: Final = re.compile(r"^(\d\d)-(\d\d)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """Another limit in a window of days. Boundary: both days belong to it; ``year`` is that of its first day."""

    first: tuple[int, int]
    last: tuple[int, int]
    limit: Limit
    year: int | None = None
    name: str = ""

    def holds_on(self, day: date) -> bool:
        """Whether a day lies in the window.

        Examples
        --------
        >>> from dispatch.deadlines import LimitUnit
        >>> limit = Limit(value=15, unit=LimitUnit.WORKING_DAY)
        >>> winter = Season(first=(11, 15), last=(3, 15), limit=limit, year=2026)
        >>> [winter.holds_on(date(*day)) for day in ((2026, 12, 31), (2027, 3, 15), (2026, 3, 15), (2027, 11, 15))]
        [True, True, False, False]
        """
        at = (day.month, day.day)
        if self.first <= self.last:
            begins, is_in = day.year, self.first <= at <= self.last
        else:
            begins, is_in = (day.year if at >= self.first else day.year - 1), at >= self.first or at <= self.last
        return is_in and self.year in (None, begins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A step on the way with a deadline of its own."""

    number: int
    name_zh: str
    name_en: str
    limit: Limit

    def name(self, locale: str) -> str:
        """Name in the caller's language."""
        return (self.name_en if locale == "en" else self.name_zh) or self.name_zh


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseClock:
    """A phase of a clock that has been set."""

    phase: Phase
    due_at: datetime
    is_provisional: bool


def set_phases(calendar: WorkingCalendar, start: datetime, phases: Iterable[Phase]) -> tuple[PhaseClock, ...]:
    """When the phases of a clock that starts at an instant are due."""
    clocks = []
    for phase in phases:
        due = add(calendar, start, phase.limit)
        clocks.append(PhaseClock(phase=phase, due_at=due.due_at, is_provisional=due.is_provisional))
    return tuple(clocks)


def limit_on(limit: Limit, seasons: Iterable[Season], day: date) -> Limit:
    """The limit that holds on a day: of a season of this very year, else of every year's, else the ordinary one."""
    found = [season for season in seasons if season.holds_on(day)]
    chosen = next((season for season in found if season.year is not None), found[0] if found else None)
    return chosen.limit if chosen else limit


def read_day(text: str, pointer: str) -> tuple[int, int]:
    """Read ``MM-DD``. 29 February is a day: a window that ends there ends on the 28th in other years.

    Raises
    ------
    BadInputError
        ``calendar.bad_month_day``.
    """
    found = _DAY.match(text)
    if found is not None:
        month, day = int(found.group(1)), int(found.group(2))
        try:
            date(2024, month, day)
        except ValueError:
            pass
        else:
            return month, day
    raise BadInputError("calendar.bad_month_day", pointer=pointer, text=text[:20])


def check_seasons(seasons: Sequence[Season]) -> None:
    """Refuse windows that leave the limit of a day to chance: two of the same year, or two of every year.

    Raises
    ------
    InvalidRequestError
        ``calendar.seasons_overlap``, naming both.
    """
    faults = []
    for year in {season.year for season in seasons}:
        taken: dict[date, int] = {}
        for place, season in enumerate(seasons):
            if season.year != year:
                continue
            # Two leap years hold every day of a window of "every year" or of a named one, wherever it wraps.
            start = year or 2024
            days = (
                date.fromordinal(n) for n in range(date(start, 1, 1).toordinal(), date(start + 2, 1, 1).toordinal())
            )
            clash = {taken.setdefault(day, place) for day in days if season.holds_on(day)} - {place}
            faults += [
                Fault(code="calendar.seasons_overlap", pointer=f"/seasons/{place}", params={"other": other + 1})
                for other in sorted(clash)
            ]
    if faults:
        raise InvalidRequestError(faults)
