"""Read and write calendars: the tables that hold now, and every state that held before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dispatch.calendars import DEFAULT_HOURS, CalendarDay, DayKind, HourRange
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "OwnYear",
    "Revision",
    "add_revision",
    "list_revisions",
    "lock_calendar",
    "read_hours",
    "read_own_days",
    "read_own_years",
    "write_hours",
    "write_year",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnYear:
    """A year whose table is the office's own."""

    year: int
    revision: int
    is_published: bool
    loaded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A kept state of a year's table. ``year`` 0 is the working hours."""

    year: int
    revision: int
    made_at: datetime
    made_by: str
    source: str
    note: str
    is_published: bool
    days: tuple[CalendarDay, ...]
    hours: tuple[HourRange, ...]


async def lock_calendar(unit: WriteUnit, jurisdiction: str) -> None:
    """One editor at a time; readers and reports do not wait."""
    driver = await unit.driver()
    await driver.execute("SELECT pg_advisory_xact_lock(hashtextextended('calendar ' || %s, 0))", (jurisdiction,))


async def read_own_years(unit: Unit, jurisdiction: str) -> dict[int, OwnYear]:
    """The office's own years."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT year, revision, is_published, loaded_at FROM dispatch.calendar_year WHERE jurisdiction = %s",
            (jurisdiction,),
        )
        return {row["year"]: OwnYear(**row) for row in await cursor.fetchall()}


async def read_own_days(unit: Unit, jurisdiction: str, year: int) -> tuple[CalendarDay, ...]:
    """The office's own rows of a year."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT day, kind, name FROM dispatch.calendar_day WHERE jurisdiction = %s"
            " AND day >= make_date(%s, 1, 1) AND day < make_date(%s, 1, 1) ORDER BY day",
            (jurisdiction, year, year + 1),
        )
    ).fetchall()
    return tuple(CalendarDay(day=day, kind=DayKind(kind), name=name) for day, kind, name in rows)


async def read_hours(unit: Unit, jurisdiction: str) -> tuple[HourRange, ...]:
    """The working hours that hold now."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT starts, ends FROM dispatch.working_hours WHERE jurisdiction = %s ORDER BY starts", (jurisdiction,)
        )
    ).fetchall()
    return tuple(HourRange(starts=starts, ends=ends) for starts, ends in rows) or DEFAULT_HOURS


async def write_year(
    unit: WriteUnit, jurisdiction: str, year: int, days: Sequence[CalendarDay], *, revision: int, is_published: bool
) -> None:
    """Replace a year's table."""
    driver = await unit.driver()
    await driver.execute(
        "DELETE FROM dispatch.calendar_day WHERE jurisdiction = %s"
        " AND day >= make_date(%s, 1, 1) AND day < make_date(%s, 1, 1)",
        (jurisdiction, year, year + 1),
    )
    await driver.execute(
        "INSERT INTO dispatch.calendar_day (jurisdiction, day, kind, name)"
        " SELECT %s, d.day, d.kind, d.name FROM jsonb_to_recordset(%s) AS d (day date, kind text, name text)",
        (jurisdiction, Jsonb(_days_json(days))),
    )
    await driver.execute(
        "INSERT INTO dispatch.calendar_year (jurisdiction, year, revision, is_published) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT (jurisdiction, year) DO UPDATE SET revision = excluded.revision,"
        " is_published = excluded.is_published, loaded_at = now()",
        (jurisdiction, year, revision, is_published),
    )


async def write_hours(unit: WriteUnit, jurisdiction: str, hours: Sequence[HourRange]) -> None:
    """Replace the working hours."""
    driver = await unit.driver()
    await driver.execute("DELETE FROM dispatch.working_hours WHERE jurisdiction = %s", (jurisdiction,))
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO dispatch.working_hours (jurisdiction, starts, ends) VALUES (%s, %s, %s)",
            [(jurisdiction, span.starts, span.ends) for span in hours],
        )


async def add_revision(
    unit: WriteUnit,
    jurisdiction: str,
    year: int,
    *,
    revision: int,
    at: datetime,
    by: str,
    source: str,
    note: str,
    is_published: bool,
    days: Sequence[CalendarDay],
    hours: Sequence[HourRange],
) -> None:
    """Keep a state for good."""
    driver = await unit.driver()
    await driver.execute(
        "INSERT INTO dispatch.calendar_revision (jurisdiction, year, revision, made_at, made_by, source, note,"
        " is_published, days, hours) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            jurisdiction,
            year,
            revision,
            at,
            by,
            source,
            note,
            is_published,
            Jsonb(_days_json(days)),
            Jsonb([[span.starts.isoformat(), span.ends.isoformat()] for span in hours]),
        ),
    )


async def list_revisions(unit: Unit, jurisdiction: str, year: int) -> tuple[Revision, ...]:
    """The kept states of a year, newest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT year, revision, made_at, made_by, source, note, is_published, days, hours"
            " FROM dispatch.calendar_revision WHERE jurisdiction = %s AND year = %s ORDER BY revision DESC",
            (jurisdiction, year),
        )
        return tuple(_revision(row) for row in await cursor.fetchall())


def _revision(row: dict[str, Any]) -> Revision:
    days = tuple(
        CalendarDay(day=datetime.fromisoformat(each["day"]).date(), kind=DayKind(each["kind"]), name=each["name"])
        for each in row["days"]
    )
    hours = tuple(HourRange(starts=time.fromisoformat(a), ends=time.fromisoformat(b)) for a, b in row["hours"])
    return Revision(**{**row, "days": days, "hours": hours})


def _days_json(days: Sequence[CalendarDay]) -> list[dict[str, str]]:
    return [{"day": row.day.isoformat(), "kind": row.kind.value, "name": row.name} for row in days]
