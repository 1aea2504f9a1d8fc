"""Editing the limits of a filing condition: the ordinary one, those of seasons, and the phases on the way.

Cases under way keep what they were given; a change holds for clocks that are set from now on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Limit, add
from dispatch.limits import Phase, Season, check_seasons
from dispatch.reference import Condition, Reference
from geo.errors import Fault, InvalidRequestError, NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["LimitEdit", "find_condition", "write_limits"]


def find_condition(reference: Reference, code: str, number: int) -> Condition:
    """A filing condition.

    Raises
    ------
    NotFoundError
        ``calendar.condition_unknown``.
    """
    category = reference.categories.get(code)
    condition = category.conditions.get(number) if category else None
    if condition is None:
        raise NotFoundError("calendar.condition_unknown", category=code[:40], condition=number)
    return condition


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitEdit:
    """What a condition's limits shall be."""

    limit: Limit
    seasons: tuple[Season, ...]
    phases: tuple[Phase, ...]


async def write_limits(
    unit: WriteUnit, code: str, condition: Condition, edit: LimitEdit, calendar: WorkingCalendar, at: datetime
) -> Condition:
    """Replace the limits of a condition and return it as it is now.

    Raises
    ------
    InvalidRequestError
        ``calendar.seasons_overlap``; ``calendar.phase_too_long`` for a phase that would end after the whole.
    """
    check_seasons(edit.seasons)
    _check_phases(edit, calendar, at)
    driver = await unit.driver()
    key: dict[str, Any] = {"code": code, "number": condition.number}
    await driver.execute(
        "UPDATE dispatch.category_condition SET limit_value = %(value)s, limit_unit = %(unit)s"
        " WHERE category_code = %(code)s AND number = %(number)s",
        {**key, "value": edit.limit.value, "unit": edit.limit.unit.value},
    )
    for table in ("limit_season", "limit_phase"):
        await driver.execute(
            f"DELETE FROM dispatch.{table} WHERE category_code = %(code)s AND number = %(number)s",  # noqa: S608
            key,
        )
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO dispatch.limit_season (category_code, number, place, name, first_day, last_day, year,"
            " limit_value, limit_unit) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    code,
                    condition.number,
                    place,
                    season.name,
                    "{:02}-{:02}".format(*season.first),
                    "{:02}-{:02}".format(*season.last),
                    season.year,
                    season.limit.value,
                    season.limit.unit.value,
                )
                for place, season in enumerate(edit.seasons, start=1)
            ],
        )
        await cursor.executemany(
            "INSERT INTO dispatch.limit_phase (category_code, number, place, name_zh, name_en, limit_value, limit_unit)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [
                (code, condition.number, each.number, each.name_zh, each.name_en, each.limit.value, each.limit.unit)
                for each in edit.phases
            ],
        )
    return replace(condition, limit=edit.limit, seasons=edit.seasons, phases=edit.phases)


def _check_phases(edit: LimitEdit, calendar: WorkingCalendar, at: datetime) -> None:
    # Units differ, so the calendar decides: a phase must end within every limit that the condition may have.
    wholes: Sequence[Limit] = (edit.limit, *(season.limit for season in edit.seasons))
    ends = min(add(calendar, at, whole).due_at for whole in wholes)
    faults = [
        Fault(code="calendar.phase_too_long", pointer=f"/phases/{place}/limit", params={"number": phase.number})
        for place, phase in enumerate(edit.phases)
        if add(calendar, at, phase.limit).due_at > ends
    ]
    if faults:
        raise InvalidRequestError(faults)
