"""A deadline explains itself: every counted and every skipped stretch between its start and its due instant.

The entries tile the time from start to due without gap or overlap, and their counted time adds up to the limit, so a
person can check the sum with a pencil.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from dispatch.calendars import CalendarDay, DayKind, WorkingCalendar
from dispatch.deadlines import Deadline, Limit, Pause, add, merge_pauses
from dispatch.segments import from_micros, to_micros

__all__ = ["DeadlineLedger", "LedgerEntry", "StretchKind", "explain"]


class StretchKind(StrEnum):
    """Why a stretch counts, or why it does not."""

    COUNTED = "counted"
    LUNCH = "lunch"
    NIGHT = "night"
    WEEKEND = "weekend"
    HOLIDAY = "holiday"
    HALF_DAY = "half_day"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One stretch. Boundary: ``[start_at, end_at)``, UTC. ``name`` is the table's word for a holiday or workday."""

    kind: StretchKind
    start_at: datetime
    end_at: datetime
    name: str = ""
    is_provisional: bool = False

    @property
    def counted(self) -> timedelta:
        """What this stretch uses up of the limit."""
        return self.end_at - self.start_at if self.kind is StretchKind.COUNTED else timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineLedger:
    """A deadline with its reasons."""

    start_at: datetime
    limit: Limit
    deadline: Deadline
    entries: tuple[LedgerEntry, ...]

    @property
    def counted(self) -> timedelta:
        """Sum of the counted stretches; equals the limit."""
        return sum((entry.counted for entry in self.entries), timedelta(0))


def explain(calendar: WorkingCalendar, start: datetime, limit: Limit, pauses: Iterable[Pause] = ()) -> DeadlineLedger:
    """Compute the deadline and say where every minute went.

    Parameters
    ----------
    calendar, start, limit, pauses
        As for `dispatch.deadlines.add`, whose answer this ledger carries.

    Returns
    -------
    DeadlineLedger
        Entries ascending and contiguous from start to due. A counted morning and the afternoon after it are two
        entries with the lunch between them; a night is one entry across midnight; a holiday is one entry per name.

    Notes
    -----
    Cost: about four entries per working day; milliseconds for a year.
    """
    halts = tuple(pauses)
    deadline = add(calendar, start, limit, halts)
    begin, due = to_micros(start), to_micros(deadline.due_at)
    entries: list[LedgerEntry] = []
    for entry in _walk(calendar, begin, due, limit, halts):
        before = entries[-1] if entries else None
        if (
            before
            and entry.kind is not StretchKind.COUNTED
            and (before.kind, before.name, before.is_provisional) == (entry.kind, entry.name, entry.is_provisional)
        ):
            entries[-1] = replace(before, end_at=entry.end_at)
        else:
            entries.append(entry)
    return DeadlineLedger(start_at=from_micros(begin), limit=limit, deadline=deadline, entries=tuple(entries))


def _walk(
    calendar: WorkingCalendar, begin: int, due: int, limit: Limit, pauses: tuple[Pause, ...]
) -> Iterator[LedgerEntry]:
    at = begin
    for pause_begin, pause_end in merge_pauses(pauses):
        since, until = max(pause_begin, at), min(pause_end, due)
        if since >= until:
            continue
        yield from _running(calendar, at, since, limit)
        yield _entry(StretchKind.PAUSE, since, until)
        at = until
    yield from _running(calendar, at, due, limit)


def _running(calendar: WorkingCalendar, begin: int, end: int, limit: Limit) -> Iterator[LedgerEntry]:
    """Stretches of a clock that is not paused."""
    if begin >= end:
        return
    if not limit.unit.is_working:
        yield _entry(StretchKind.COUNTED, begin, end)
        return
    at = begin
    for since, until in calendar.segments_between(begin, end):
        yield from _skipped(calendar, at, since)
        day = calendar.local_date(since)
        row = calendar.days.get(day)
        name = row.name if row else ""
        yield _entry(StretchKind.COUNTED, since, until, name, is_provisional=not calendar.is_settled(day))
        at = until
    yield from _skipped(calendar, at, end)


def _skipped(calendar: WorkingCalendar, begin: int, end: int) -> Iterator[LedgerEntry]:
    """Name the stretches of time off, day by day."""
    if begin >= end:
        return
    day = calendar.local_date(begin)
    while (day_begin := calendar.midnight(day)) < end:
        next_day = day + timedelta(days=1)
        for since, until, kind, name in _time_off(calendar, day, day_begin, calendar.midnight(next_day)):
            since, until = max(since, begin), min(until, end)
            if since < until:
                yield _entry(kind, since, until, name, is_provisional=not calendar.is_settled(day))
        day = next_day


def _time_off(
    calendar: WorkingCalendar, day: date, begin: int, end: int
) -> Iterator[tuple[int, int, StretchKind, str]]:
    """Tile a local day with the reasons that its parts do not count; parts that do count get some reason too."""
    row = calendar.days.get(day)
    if not calendar.hours_on(day):
        yield begin, end, StretchKind.HOLIDAY if row else StretchKind.WEEKEND, row.name if row else ""
        return
    marks = [begin]
    for span in calendar.hours:
        # A clock change may fold wall time over itself; the tiles must still ascend.
        marks += [max(marks[-1], calendar.wall(day, micros)) for micros in (span.start_us, span.end_us)]
    marks.append(max(marks[-1], end))
    for index, (since, until) in enumerate(pairwise(marks)):
        if index in (0, len(marks) - 2):
            yield since, until, StretchKind.NIGHT, ""
        elif index % 2 == 0:
            yield since, until, StretchKind.LUNCH, ""
        else:
            yield since, until, StretchKind.HALF_DAY, _half_day_name(row)


def _half_day_name(row: CalendarDay | None) -> str:
    return row.name if row and row.kind in (DayKind.MORNING, DayKind.AFTERNOON) else ""


def _entry(kind: StretchKind, begin: int, end: int, name: str = "", *, is_provisional: bool = False) -> LedgerEntry:
    return LedgerEntry(
        kind=kind, start_at=from_micros(begin), end_at=from_micros(end), name=name, is_provisional=is_provisional
    )
