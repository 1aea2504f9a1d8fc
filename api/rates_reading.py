"""Reading an address of the rates and counting what it asks, for the API and for the pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Query

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.container import Container
from api.drawings import Drawing, find_drawing
from api.planning import sees_everything
from api.rates_query import RatesAsked, parse_rates, to_filter
from dispatch.evaluation import Dimension, Part
from dispatch.queries import database_now
from dispatch.rate_names import read_names
from dispatch.rates import RateFilter, RateTable, count_rates
from dispatch.reference import Reference
from geo.errors import BadInputError, ForbiddenError
from geo.storage.uow import ReadUnit
from maps.i18n import Locale
from maps.rates.table import RatesView, coarsen_table, view_table

__all__ = [
    "Asking",
    "Planner",
    "RatesRead",
    "Reader",
    "Word",
    "everybody",
    "name_of",
    "place_of",
    "read_rates_asked",
    "sees_cases",
    "view_rates",
]

Planner = Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]
#: Whoever may see the tables; those who may not see cases get their counts in steps (`view_rates`).
Reader = Annotated[Caller, Depends(require(Scope.MAPS_READ, Scope.CASES_READ_ALL))]
Word = Annotated[str | None, Query(max_length=80)]
Words = Annotated[list[str] | None, Query(max_length=20)]


async def everybody(caller: Planner) -> Caller:
    """Let those pass who see every case; a dependency.

    Raises
    ------
    ForbiddenError
        ``access.area_limited``.
    """
    if not sees_everything(caller.viewer):
        raise ForbiddenError("access.area_limited")
    return caller


class RatesWords:
    """The filters that every address of the rates takes, as written."""

    def __init__(
        self,
        first: Annotated[
            str | None, Query(alias="from", max_length=80, description="First day, local", examples=["2026-01-01"])
        ] = None,
        last: Annotated[
            str | None, Query(alias="to", max_length=80, description="Last day, included", examples=["2026-12-31"])
        ] = None,
        by: Word = None,
        rate: Words = None,
        category: Word = None,
        channel: Word = None,
        ledger: Word = None,
        department: Word = None,
        cell: Word = None,
        boundaries: Annotated[str | None, Query(max_length=80, description="now or day")] = None,
    ) -> None:
        self.rates = rate or []
        self.words = {"from": first, "to": last, "by": by, "category": category, "channel": channel}
        self.words |= {"ledger": ledger, "department": department, "cell": cell, "boundaries": boundaries}


Asking = Annotated[RatesWords, Depends(RatesWords)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesRead:
    """An address, read: what is asked, which cases that means, and in which zone today is which day."""

    asked: RatesAsked
    chosen: RateFilter
    reference: Reference
    zone: str
    today: str
    drawing: Drawing | None

    def place(self, locale: Locale) -> str:
        """Name of the jurisdiction."""
        found = self.reference.jurisdictions.get(self.chosen.jurisdiction)
        return found.name(locale) if found else ""

    def grid(self, locale: Locale) -> str:
        """Name of the drawing, and how history was put into it."""
        return "–" if self.drawing is None else self.drawing.name(locale)


async def read_rates_asked(unit: ReadUnit, container: Container, asking: RatesWords) -> RatesRead:
    """Read an address.

    Raises
    ------
    InvalidRequestError
        With one fault for each wrong part.
    """
    code = container.settings.jurisdiction
    reference = await container.reference.get()
    jurisdiction = reference.jurisdictions.get(code)
    zone = jurisdiction.time_zone if jurisdiction else "Asia/Shanghai"
    now = await database_now(unit)
    today = now.astimezone(ZoneInfo(zone)).date()
    asked = await parse_rates(unit, reference, code, asking.words, asking.rates, today=today)
    drawing = await find_drawing(unit, code, asked.boundaries, last_day=asked.period.to_on, zone=zone, now=now)
    chosen = to_filter(asked, reference, code, zone, drawing.version.id if drawing else None)
    return RatesRead(
        asked=asked, chosen=chosen, reference=reference, zone=zone, today=today.isoformat(), drawing=drawing
    )


def sees_cases(caller: Caller) -> bool:
    """Whether the cases behind a number may be opened."""
    return caller.counts_exactly


async def view_rates(unit: ReadUnit, locale: Locale, read: RatesRead, caller: Caller) -> tuple[RateTable, RatesView]:
    """Count, and name the rows; in steps of five for those who may not see the cases."""
    table = await count_rates(unit, read.chosen, read.asked.dimension, read.asked.rates)
    if not sees_cases(caller):
        table = coarsen_table(table)
    keys = [row.key for row in table.rows if row.key]
    return table, view_table(locale, table, await read_names(unit, read.chosen.jurisdiction, table.dimension, keys))


def place_of(asked: RatesAsked, key: str | None, part: str | None) -> tuple[Dimension, Part]:
    """Return which row (no key: the total) and which part is meant.

    Raises
    ------
    BadInputError
        ``rates.unknown_part``, ``rates.unknown_key``.
    """
    if part and part not in set(Part):
        known = ", ".join(each.value for each in Part)
        raise BadInputError("rates.unknown_part", pointer="/part", part=part, known=known)
    if key and "\x00" in key:
        raise BadInputError("rates.unknown_key", pointer="/key")
    return (Dimension.TOTAL if key is None else asked.dimension), Part(part or Part.DENOMINATOR)


def name_of(locale: Locale, names: Mapping[str, tuple[str, str]], key: str | None) -> str:
    """Return the name of a row in the caller's language, or its code."""
    zh, en = names.get(key or "", ("", ""))
    return ((en, zh) if locale == "en" else (zh, en))[0] or zh or en or (key or "")
