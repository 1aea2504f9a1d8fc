"""Keeping shifts: patterns of a post or of one holder, exceptions of single days, and the duties that they make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from dispatch.posts_keeping import person_of, post_of
from dispatch.shifts import Rota, Shift, ShiftException
from dispatch.storage.posts import change_row, insert_row, lock_row, read_rows
from geo.errors import BadInputError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

__all__ = ["Duty", "NewShift", "add_exception", "add_shift", "duties", "end_shift", "read_rota", "remove_exception"]

_MOST_CYCLE = 366
_MOST_DAYS = 62
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShift:
    """A span of duty as asked for.

    Without an ``anchor`` the days are those of the week, 0 being Monday; with one they are those of a cycle that begins
    on that day. An end that is not after its start lies on the next day; both equal are a whole day.
    """

    starts: time
    ends: time
    on_days: tuple[int, ...]
    first_day: date
    last_day: date | None = None
    cycle_days: int = 7
    anchor: date | None = None
    name: str = ""
    person: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A span in which a holder is on shift. Boundary: ``[starts_at, ends_at)``."""

    person: UUID
    day: date
    starts_at: datetime
    ends_at: datetime


async def add_shift(unit: WriteUnit, jurisdiction: str, post_id: int, new: NewShift) -> dict[str, Any]:
    """Add a pattern; several of one post add up.

    Raises
    ------
    BadInputError
        ``posts.bad_cycle``, ``posts.bad_days``, ``posts.anchor_needed``, ``posts.bad_day_order``,
        ``posts.person_unknown``.
    """
    await post_of(unit, jurisdiction, post_id)
    if new.person is not None:
        await person_of(unit, jurisdiction, new.person, "/person")
    if not 1 <= new.cycle_days <= _MOST_CYCLE:
        raise BadInputError("posts.bad_cycle", pointer="/cycle_days", most=_MOST_CYCLE)
    if not new.on_days or not all(0 <= day < new.cycle_days for day in new.on_days):
        raise BadInputError("posts.bad_days", pointer="/on_days", most=new.cycle_days - 1)
    if new.anchor is None and new.cycle_days != 7:
        raise BadInputError("posts.anchor_needed", pointer="/anchor")
    _check_days(new.first_day, new.last_day)
    # Any Monday will do for a week.
    anchor = new.anchor or date(2026, 1, 5)
    return await insert_row(
        unit,
        "shift",
        {
            "post_id": post_id,
            "person_id": new.person,
            "name": new.name,
            "cycle_days": new.cycle_days,
            "anchor": anchor,
            "on_days": sorted(set(new.on_days)),
            "starts": new.starts,
            "ends": new.ends,
            "first_day": new.first_day,
            "last_day": new.last_day,
        },
    )


async def end_shift(
    unit: WriteUnit, jurisdiction: str, post_id: int, shift_id: int, last_day: date
) -> dict[str, Any] | None:
    """Let a pattern end with a day; one that ends before its first never was, and None is returned.

    Raises
    ------
    NotFoundError
        ``posts.shift_unknown``.
    """
    await post_of(unit, jurisdiction, post_id)
    row = await lock_row(unit, "shift", shift_id)
    if row is None or row["post_id"] != post_id:
        raise NotFoundError("posts.shift_unknown", shift=shift_id)
    if last_day < row["first_day"]:
        driver = await unit.driver()
        await driver.execute("DELETE FROM dispatch.shift WHERE id = %s", (shift_id,))
        return None
    _check_days(row["first_day"], last_day)
    return await change_row(unit, "shift", shift_id, {"last_day": last_day})


async def add_exception(
    unit: WriteUnit,
    jurisdiction: str,
    post_id: int,
    *,
    day: date,
    starts: time | None = None,
    ends: time | None = None,
    person: UUID | None = None,
    reason: str = "",
) -> dict[str, Any]:
    """Say what holds on one day instead of the pattern; without times the day is free. A swap takes two of them.

    Raises
    ------
    BadInputError
        ``posts.half_times``, ``posts.person_unknown``.
    """
    await post_of(unit, jurisdiction, post_id)
    if person is not None:
        await person_of(unit, jurisdiction, person, "/person")
    if (starts is None) != (ends is None):
        raise BadInputError("posts.half_times", pointer="/ends" if ends is None else "/starts")
    _check_days(day, day, "/day")
    return await insert_row(
        unit,
        "shift_exception",
        {"post_id": post_id, "person_id": person, "day": day, "starts": starts, "ends": ends, "reason": reason},
    )


async def remove_exception(unit: WriteUnit, jurisdiction: str, post_id: int, exception_id: int) -> None:
    """Let the pattern hold again on that day.

    Raises
    ------
    NotFoundError
        ``posts.exception_unknown``.
    """
    await post_of(unit, jurisdiction, post_id)
    driver = await unit.driver()
    done = await driver.execute(
        "DELETE FROM dispatch.shift_exception WHERE id = %s AND post_id = %s", (exception_id, post_id)
    )
    if done.rowcount == 0:
        raise NotFoundError("posts.exception_unknown", exception=exception_id)


async def read_rota(unit: Unit, post_id: int, zone: str) -> Rota:
    """All the shifts of a post, past ones too."""
    values = {"post": post_id}
    shifts = await read_rows(unit, "shift", "post_id = %(post)s", values)
    exceptions = await read_rows(unit, "shift_exception", "post_id = %(post)s", values)
    return Rota(
        zone=zone,
        shifts=tuple(
            Shift(
                person_id=row["person_id"],
                cycle_days=row["cycle_days"],
                anchor=row["anchor"],
                on_days=frozenset(row["on_days"]),
                starts=row["starts"],
                ends=row["ends"],
                first_day=row["first_day"],
                last_day=row["last_day"],
            )
            for row in shifts
        ),
        exceptions=tuple(
            ShiftException(person_id=row["person_id"], day=row["day"], starts=row["starts"], ends=row["ends"])
            for row in exceptions
        ),
    )


def duties(rota: Rota, persons: list[UUID], first: date, last: date) -> list[Duty]:
    """The spans that begin on some days, by person; a day that no plan speaks of gives none.

    Raises
    ------
    BadInputError
        ``posts.too_many_days``, ``posts.bad_day_order``.
    """
    _check_days(first, last)
    if (last - first).days >= _MOST_DAYS:
        raise BadInputError("posts.too_many_days", pointer="/until", most=_MOST_DAYS)
    found = []
    for step in range((last - first).days + 1):
        day = first + step * _DAY
        for person in persons:
            for starts_at, ends_at in rota.spans_of(day, person) or ():
                found.append(Duty(person=person, day=day, starts_at=starts_at, ends_at=ends_at))
    return found


def _check_days(first: date, last: date | None, pointer: str = "/last_day") -> None:
    for day in (first, last):
        if day is not None and not 1990 <= day.year < 2200:
            raise BadInputError("posts.bad_instant", pointer=pointer, at=day.isoformat())
    if last is not None and last < first:
        raise BadInputError("posts.bad_day_order", pointer=pointer, first=first.isoformat(), last=last.isoformat())
