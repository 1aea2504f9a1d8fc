"""Reading what somebody asks of the rates: days, dimension, rates and filters; every wrong part is named at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from dispatch.evaluation import HEADLINE, Cells, Dimension, Rate
from dispatch.rate_names import read_names
from dispatch.rates import RateFilter
from dispatch.reference import Reference
from geo.errors import Fault, InvalidRequestError
from geo.storage.uow import Unit
from maps.facts.asking import Boundaries
from maps.findings import Period

__all__ = ["RatesAsked", "family_of", "one_of", "parse_period", "parse_rates", "to_filter"]

_USUAL_DAYS: Final = 30
_MOST_DAYS: Final = 3660
_FIRST_DAY: Final = date(2000, 1, 1)
_LAST_DAY: Final = date(2199, 12, 31)
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesAsked:
    """What the address says."""

    period: Period
    dimension: Dimension
    rates: tuple[Rate, ...]
    category: str = ""
    channel: str = ""
    ledger: str = ""
    department: str = ""
    cell: str = ""
    boundaries: Boundaries = Boundaries.NOW

    def query(self, **changes: object) -> str:
        """Return the query string of this view, with some parts changed."""
        parts: dict[str, object] = {
            "from": self.period.from_on.isoformat(),
            "to": self.period.to_on.isoformat(),
            "by": self.dimension.value,
            "rate": [rate.value for rate in self.rates],
            "category": self.category,
            "channel": self.channel,
            "ledger": self.ledger,
            "department": self.department,
            "cell": self.cell,
            "boundaries": "" if self.boundaries is Boundaries.NOW else self.boundaries.value,
            **changes,
        }
        return urlencode({key: value for key, value in parts.items() if value not in ("", None, [])}, doseq=True)


async def parse_rates(
    unit: Unit,
    reference: Reference,
    jurisdiction: str,
    words: Mapping[str, str | None],
    rates: Sequence[str],
    *,
    today: date,
) -> RatesAsked:
    """Read the address.

    Raises
    ------
    InvalidRequestError
        With one fault for each wrong part.
    """
    faults: list[Fault] = []
    period = parse_period(words.get("from"), words.get("to"), today, faults)
    by = words.get("by") or Dimension.LEVEL_1.value
    if by not in set(Dimension):
        known = ", ".join(each.value for each in Dimension)
        faults.append(
            Fault(code="rates.unknown_dimension", pointer="/by", params={"by": by[:_LONGEST], "known": known})
        )
    chosen = []
    for rate in rates or [each.value for each in HEADLINE]:
        if rate in set(Rate):
            chosen.append(Rate(rate))
        else:
            known = ", ".join(each.value for each in Rate)
            params = {"rate": rate[:_LONGEST], "known": known}
            faults.append(Fault(code="rates.unknown_rate", pointer="/rate", params=params))
    for name, there in (
        ("category", reference.categories),
        ("channel", reference.channels),
        ("ledger", reference.ledgers),
    ):
        if (word := words.get(name)) and word not in there:
            faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params={name: word[:_LONGEST]}))
    for name, dimension in (("department", Dimension.DEPARTMENT), ("cell", Dimension.LEVEL_1)):
        word = words.get(name)
        if word and ("\x00" in word or not await read_names(unit, jurisdiction, dimension, [word])):
            faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params={name: word[:_LONGEST]}))
    boundaries = Boundaries(one_of("boundaries", words, Boundaries, Boundaries.NOW.value, faults))
    if faults:
        raise InvalidRequestError(faults)
    named = {name: words.get(name) or "" for name in ("category", "channel", "ledger", "department", "cell")}
    return RatesAsked(
        period=period, dimension=Dimension(by), rates=tuple(dict.fromkeys(chosen)), boundaries=boundaries, **named
    )


def parse_period(first: str | None, last: str | None, today: date, faults: list[Fault]) -> Period:
    """Read first and last day; without them the last thirty days. Faults are added to the list."""
    before = len(faults)
    to_on = _day(last, "/to", faults) or today
    from_on = _day(first, "/from", faults) or to_on - timedelta(days=_USUAL_DAYS - 1)
    if len(faults) == before and from_on > to_on:
        facts = {"first": from_on.isoformat(), "last": to_on.isoformat()}
        faults.append(Fault(code="maps.date_order", pointer="/from", params=facts))
    elif len(faults) == before and (to_on - from_on).days >= _MOST_DAYS:
        faults.append(Fault(code="maps.period_too_long", pointer="/from", params={"days": _MOST_DAYS}))
    return Period(from_on=from_on, to_on=to_on)


def _day(text: str | None, pointer: str, faults: list[Fault]) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not _FIRST_DAY <= day <= _LAST_DAY:
        faults.append(Fault(code="maps.bad_date", pointer=pointer, params={"date": text[:_LONGEST]}))
        return None
    return day


def to_filter(asked: RatesAsked, reference: Reference, jurisdiction: str, zone: str, drawing: int | None) -> RateFilter:
    """Turn days into instants and a major class into its minor ones. Boundary: the last day is included."""
    is_recut = asked.boundaries is Boundaries.NOW
    local = ZoneInfo(zone)
    until = asked.period.to_on + timedelta(days=1)
    return RateFilter(
        jurisdiction=jurisdiction,
        period_from=datetime.combine(asked.period.from_on, time.min, local).astimezone(UTC),
        period_until=datetime.combine(until, time.min, local).astimezone(UTC),
        categories=tuple(sorted(family_of(reference, asked.category) or ())) or None,
        channels=(asked.channel,) if asked.channel else None,
        ledgers=(asked.ledger,) if asked.ledger else None,
        departments=(asked.department,) if asked.department else None,
        area=(asked.cell,) if asked.cell else None,
        cells=Cells.AS_PUT if drawing is None else Cells.RECUT if is_recut else Cells.OWN_DAY,
        drawing=drawing,
    )


def family_of(reference: Reference, code: str) -> frozenset[str] | None:
    """Return a class with everything below it; None for all."""
    if not code:
        return None
    family = {code}
    while more := {c.code for c in reference.categories.values() if c.parent in family} - family:
        family |= more
    return frozenset(family)


def one_of(name: str, given: Mapping[str, str | None], known: Iterable[str], usual: str, faults: list[Fault]) -> str:
    """Read one of some words, or the usual one; a wrong one is added to the faults."""
    word = given.get(name) or usual
    words = [str(each) for each in known]
    if word not in words:
        params = {name: word[:_LONGEST], "known": ", ".join(words)}
        faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params=params))
        return usual
    return word
