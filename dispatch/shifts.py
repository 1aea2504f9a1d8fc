"""When a post is on shift: patterns that come round, exceptions of single days, spans across midnight. Pure.

A span belongs to the day on which it begins. A day that no plan speaks of has no shifts: whoever holds the post is then
on duty all day, so that a plan that nobody has continued leaves no hole. SQL says the same: ``dispatch.is_on_shift``.
Days and wall-clock times are those of the jurisdiction's zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from uuid import UUID
from zoneinfo import ZoneInfo

__all__ = ["ALWAYS", "Rota", "Shift", "ShiftException", "instant_of"]

_DAY = timedelta(days=1)
_LOOK_AHEAD_DAYS = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A span on some days of a cycle; day 0 is ``anchor``. An end not after its start lies on the next day.

    Boundary: days ``[first_day, last_day]``. ``person_id`` None means everybody who holds the post.
    """

    person_id: UUID | None
    cycle_days: int
    anchor: date
    on_days: frozenset[int]
    starts: time
    ends: time
    first_day: date
    last_day: date | None

    def speaks_of(self, day: date, person: UUID) -> bool:
        """Whether the plan says anything about a day of a person, be it only that it is free."""
        return (
            self.person_id in (None, person)
            and self.first_day <= day
            and (self.last_day is None or day <= self.last_day)
        )

    def is_on(self, day: date) -> bool:
        """Whether a span begins on a day."""
        return (day - self.anchor).days % self.cycle_days in self.on_days


@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftException:
    """What holds on one day instead of the pattern; without times the day is free."""

    person_id: UUID | None
    day: date
    starts: time | None
    ends: time | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rota:
    """The shifts of one post."""

    zone: str
    shifts: tuple[Shift, ...] = ()
    exceptions: tuple[ShiftException, ...] = ()

    def spans_of(self, day: date, person: UUID) -> list[tuple[datetime, datetime]] | None:
        """Spans that begin on a day; None when no plan speaks of it. Boundary: ``[start, end)``."""
        special = [one for one in self.exceptions if one.day == day and one.person_id in (None, person)]
        if special:
            return [
                self._span(day, one.starts, one.ends)
                for one in special
                if one.starts is not None and one.ends is not None
            ]
        plans = [shift for shift in self.shifts if shift.speaks_of(day, person)]
        if not plans:
            return None
        return [self._span(day, shift.starts, shift.ends) for shift in plans if shift.is_on(day)]

    def is_on(self, person: UUID, at: datetime) -> bool:
        """Whether a holder is on shift at an instant.

        Examples
        --------
        A night watch, every day from 22 to 6; the span that began yesterday still runs at five:

        >>> who = UUID(int=1)
        >>> night = Shift(person_id=None, cycle_days=1, anchor=date(2026, 1, 1), on_days=frozenset({0}),
        ...               starts=time(22), ends=time(6), first_day=date(2026, 1, 1), last_day=None)
        >>> rota = Rota(zone="Asia/Shanghai", shifts=(night,))
        >>> [rota.is_on(who, datetime(2026, 3, 1, hour, tzinfo=ZoneInfo("Asia/Shanghai"))) for hour in (5, 6, 21, 22)]
        [True, False, False, True]
        """
        if not self.shifts and not self.exceptions:
            return True
        day = self.local_day(at)
        today = self.spans_of(day, person)
        if today is None:
            return True
        return any(start <= at < end for start, end in (*(self.spans_of(day - _DAY, person) or ()), *today))

    def next_on(self, person: UUID, at: datetime) -> datetime | None:
        """When a holder who is off shift comes on again; None if not within two months."""
        day = self.local_day(at)
        for ahead in range(_LOOK_AHEAD_DAYS):
            spans = self.spans_of(day + ahead * _DAY, person)
            if spans is None:
                return max(at, instant_of(self.zone, day + ahead * _DAY, time()))
            starts = [start for start, _ in spans if start > at]
            if starts:
                return min(starts)
        return None

    def marks(self, persons: Sequence[UUID], at: datetime) -> Iterator[datetime]:
        """Instants around another at which somebody's shift may begin or end; none lies closer than the nearest."""
        if not self.shifts and not self.exceptions:
            return
        day = self.local_day(at)
        # A day that is not spoken of begins and ends at midnight; two days back and ahead bound every span that counts.
        for step in range(-1, 3):
            yield instant_of(self.zone, day + step * _DAY, time())
            for person in persons:
                for span in self.spans_of(day + step * _DAY, person) or ():
                    yield from span

    def local_day(self, at: datetime) -> date:
        """The day on which an instant lies here."""
        return at.astimezone(_zone(self.zone)).date()

    def _span(self, day: date, starts: time, ends: time) -> tuple[datetime, datetime]:
        last = day + _DAY if ends <= starts else day
        return instant_of(self.zone, day, starts), instant_of(self.zone, last, ends)


#: Nobody has written any shifts: whoever holds the post is on duty.
ALWAYS = Rota(zone="UTC")


def instant_of(zone: str, day: date, wall: time) -> datetime:
    """The instant of a wall-clock time, as PostgreSQL's ``AT TIME ZONE`` reads it.

    An hour that comes twice means its second coming; one that is left out is read with the offset before the gap.
    """
    local = datetime.combine(day, wall, _zone(zone))
    again = local.replace(fold=1)
    if (again.utcoffset() or timedelta()) < (local.utcoffset() or timedelta()):
        local = again
    return local.astimezone(UTC)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
