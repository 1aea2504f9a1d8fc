"""Editing calendars: a year's published table or the working hours, with every earlier state kept (decision 0028).

A new table changes no deadline that was final. Deadlines that were provisional, because a day on the way could still
become a holiday, are counted again at once, each with an event and a record of the old and the new instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from dispatch.calendar_files import check_table
from dispatch.calendar_years import shipped_days
from dispatch.calendars import CalendarDay, HourRange, WorkingCalendar
from dispatch.queries import database_now
from dispatch.recomputing import recompute_provisional
from dispatch.storage import calendars as store
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "HOURS",
    "Edit",
    "Kept",
    "YearView",
    "list_years",
    "put_hours",
    "put_year",
    "read_year",
]

HOURS: Final = 0
"""The "year" under which revisions of the working hours are kept."""
FIRST_YEAR: Final = 1971
LAST_YEAR: Final = 2150


@dataclass(frozen=True, slots=True, kw_only=True)
class YearView:
    """A year's table as it holds now: the office's own, or the shipped one (``revision`` 0)."""

    year: int
    revision: int
    is_published: bool
    is_shipped: bool
    days: tuple[CalendarDay, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Who changes what: ``seen`` is the revision that was looked at, None when that does not matter."""

    by: str
    source: str
    note: str = ""
    seen: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an edit led to."""

    revision: int
    recomputed: int
    moved: int


async def read_year(unit: Unit, jurisdiction: str, year: int) -> YearView:
    """The table of a year.

    Raises
    ------
    BadInputError
        ``calendar.beyond_horizon``.
    """
    _check_year(year)
    own = (await store.read_own_years(unit, jurisdiction)).get(year)
    days = await store.read_own_days(unit, jurisdiction, year)
    if own is not None:
        return YearView(year=year, revision=own.revision, is_published=own.is_published, is_shipped=False, days=days)
    shipped = shipped_days(year)
    merged = {row.day: row for row in (*shipped, *days)}
    return YearView(
        year=year,
        revision=0,
        is_published=bool(shipped),
        is_shipped=bool(shipped),
        days=tuple(merged[day] for day in sorted(merged)),
    )


async def list_years(unit: Unit, jurisdiction: str, years: Sequence[int]) -> list[YearView]:
    """The tables of several years."""
    return [await read_year(unit, jurisdiction, year) for year in years]


async def put_year(
    unit: WriteUnit, jurisdiction: str, year: int, days: Sequence[CalendarDay], edit: Edit, *, is_published: bool = True
) -> Kept:
    """Replace a year's table, keep what it was, and count provisional deadlines again.

    Rows of the last week of the year before, which the new year's notice may name, become part of that year.

    Raises
    ------
    InvalidRequestError
        From `dispatch.calendar_files.check_table`.
    ConflictError
        ``calendar.changed`` when another revision holds than the one that was looked at.
    """
    _check_year(year)
    check_table(days, year, is_published=is_published)
    await store.lock_calendar(unit, jurisdiction)
    at = await database_now(unit)
    now = await read_year(unit, jurisdiction, year)
    if edit.seen is not None and edit.seen != now.revision:
        raise ConflictError("calendar.changed", year=year, seen=edit.seen, now=now.revision)
    early = tuple(row for row in days if row.day.year == year - 1)
    revision = await _keep(unit, jurisdiction, now, tuple(row for row in days if row.day.year == year), edit, at,
                           is_published=is_published)  # fmt: skip
    if early:
        before = await read_year(unit, jurisdiction, year - 1)
        merged = {row.day: row for row in (*before.days, *early)}
        await _keep(unit, jurisdiction, before, tuple(merged[day] for day in sorted(merged)), edit, at,
                    is_published=before.is_published)  # fmt: skip
    found = await recompute_provisional(unit, jurisdiction, at=at, by=edit.by, why={"year": year, "revision": revision})
    return Kept(revision=revision, recomputed=found.looked_at, moved=found.moved)


async def _keep(
    unit: WriteUnit,
    jurisdiction: str,
    now: YearView,
    days: tuple[CalendarDay, ...],
    edit: Edit,
    at: datetime,
    *,
    is_published: bool,
) -> int:
    hours = await store.read_hours(unit, jurisdiction)
    kept = await store.list_revisions(unit, jurisdiction, now.year)
    newest = kept[0].revision if kept else 0
    if not kept and (now.days or now.revision):
        # What held until now, shipped or loaded before there were revisions: kept too, or its deadlines would have no
        # table to be explained by.
        newest = 1
        await store.add_revision(
            unit, jurisdiction, now.year, revision=1, at=at, by="system:shipped" if now.is_shipped else "system:loaded",
            source="loaded", note="", is_published=now.is_published, days=now.days, hours=hours,
        )  # fmt: skip
    await store.write_year(unit, jurisdiction, now.year, days, revision=newest + 1, is_published=is_published)
    await store.add_revision(
        unit, jurisdiction, now.year, revision=newest + 1, at=at, by=edit.by, source=edit.source, note=edit.note,
        is_published=is_published, days=days, hours=hours,
    )  # fmt: skip
    return newest + 1


async def put_hours(unit: WriteUnit, jurisdiction: str, hours: Sequence[HourRange], edit: Edit) -> Kept:
    """Replace the working hours (a summer timetable, another lunch). Deadlines under way keep what they were given.

    Raises
    ------
    BadInputError
        ``calendar.bad_hours``.
    ConflictError
        ``calendar.changed``.
    """
    WorkingCalendar(hours=hours)  # says what is wrong with them
    await store.lock_calendar(unit, jurisdiction)
    at = await database_now(unit)
    kept = await store.list_revisions(unit, jurisdiction, HOURS)
    newest = kept[0].revision if kept else 0
    if edit.seen is not None and edit.seen != newest:
        raise ConflictError("calendar.changed", year=HOURS, seen=edit.seen, now=newest)
    await store.write_hours(unit, jurisdiction, hours)
    await store.add_revision(
        unit, jurisdiction, HOURS, revision=newest + 1, at=at, by=edit.by, source="hours", note=edit.note,
        is_published=True, days=(), hours=hours,
    )  # fmt: skip
    return Kept(revision=newest + 1, recomputed=0, moved=0)


async def find_revision(unit: Unit, jurisdiction: str, year: int, revision: int) -> store.Revision:
    """A kept state.

    Raises
    ------
    NotFoundError
        ``calendar.revision_unknown``.
    """
    for kept in await store.list_revisions(unit, jurisdiction, year):
        if kept.revision == revision:
            return kept
    raise NotFoundError("calendar.revision_unknown", year=year, revision=revision)


def _check_year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BadInputError("calendar.beyond_horizon", pointer="/year", first=FIRST_YEAR, last=LAST_YEAR)


def settled_until(calendar: WorkingCalendar, since: date) -> date:
    """The first day from a day on that is not settled; at most some years ahead."""
    day = since
    while day.year <= since.year + 5 and calendar.is_settled(day):
        day = date(day.year, 12, 25) if (day.month, day.day) < (12, 25) else date.fromordinal(day.toordinal() + 1)
    return day
