"""Reading the address of the coloured cells; every wrong part is named at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

from api.drawn_cells import CellShapes
from api.rates_query import parse_period
from dispatch.reference import Reference
from dispatch.states import CaseState
from geo.errors import Fault, InvalidRequestError
from maps.hotspots.neighbours import Kind
from maps.measure_page import MeasureView
from maps.measures import Measure

__all__ = ["family_of", "parse_measure"]

_DEFAULT_LEVEL: Final = 3
_LONGEST: Final = 80


def parse_measure(
    given: Mapping[str, str | None], reference: Reference, *, today: date, shapes: CellShapes | None
) -> MeasureView:
    """Read the address.

    Raises
    ------
    InvalidRequestError
        With one fault for each wrong part.
    """
    faults: list[Fault] = []
    period = parse_period(given.get("from"), given.get("to"), today, faults)
    levels = shapes.levels if shapes else (1,)
    level = min(_DEFAULT_LEVEL, max(levels))
    if word := given.get("level"):
        if word in {str(each) for each in levels}:
            level = int(word)
        else:
            known = ", ".join(map(str, levels))
            params = {"level": word[:_LONGEST], "known": known}
            faults.append(Fault(code="maps.unknown_level", pointer="/level", params=params))
    measure = _one_of("measure", given, Measure, Measure.COUNT.value, faults)
    weights = _one_of("weights", given, Kind, Kind.CONTIGUITY.value, faults)
    known_codes: dict[str, Any] = {
        "category": reference.categories,
        "channel": reference.channels,
        "ledger": reference.ledgers,
        "state": set(CaseState),
        "cell": {cell.code for cell in shapes.cells[level]} if shapes else (),
    }
    for name, there in known_codes.items():
        if (word := given.get(name)) and word not in there:
            faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params={name: word[:_LONGEST]}))
    if faults:
        raise InvalidRequestError(faults)
    return MeasureView(
        period=period,
        measure=Measure(measure),
        level=level,
        weights=Kind(weights),
        **{name: given.get(name) or "" for name in known_codes},
    )


def _one_of(name: str, given: Mapping[str, str | None], known: Iterable[str], usual: str, faults: list[Fault]) -> str:
    word = given.get(name) or usual
    words = [str(each) for each in known]
    if word not in words:
        params = {name: word[:_LONGEST], "known": ", ".join(words)}
        faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params=params))
        return usual
    return word


def family_of(reference: Reference, code: str) -> frozenset[str] | None:
    """Return a class with everything below it; None for all."""
    if not code:
        return None
    family = {code}
    while more := {c.code for c in reference.categories.values() if c.parent in family} - family:
        family |= more
    return frozenset(family)
