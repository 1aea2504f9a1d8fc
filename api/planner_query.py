"""Reading the address of a planner's page; every wrong part is named at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, Final

from api.drawings import parse_boundaries
from api.drawn_cells import CellShapes
from api.rates_query import parse_period
from dispatch.reference import Reference
from dispatch.states import CaseState
from geo.errors import Fault, InvalidRequestError
from maps.compare_page import COMPARED, CompareView
from maps.findings import Period
from maps.heat import HeatView
from maps.hotspots.neighbours import Kind
from maps.measure_page import LAYERS, MeasureView
from maps.measures import Measure
from maps.places_page import PlacesView
from maps.question import Question
from maps.time_page import MOST_STEPS, Step, TimeView, steps_of

__all__ = ["Given", "parse_compare", "parse_heat", "parse_measure", "parse_places", "parse_question", "parse_time"]

Given = Mapping[str, Sequence[str]]

_DEFAULT_LEVEL: Final = 3
_LONGEST: Final = 80
#: More classes than these would make a title that nobody reads.
_MOST_CATEGORIES: Final = 20
_DAYS_BY_STEP: Final = 62
_DAYS_BY_WEEK: Final = 370


class _Reader:
    """Takes the parts of an address one by one and collects what is wrong with them."""

    def __init__(self, given: Given, reference: Reference, today: date, shapes: CellShapes | None) -> None:
        self.given = given
        self.reference = reference
        self.today = today
        self.shapes = shapes
        self.faults: list[Fault] = []

    def word(self, name: str) -> str:
        words = self.given.get(name) or ("",)
        return words[-1]

    def known(self, name: str, there: Iterable[str] | Mapping[str, Any], *, called: str = "") -> str:
        word = self.word(name)
        if word and word not in there:
            called = called or name
            self.faults.append(
                Fault(code=f"maps.unknown_{called}", pointer=f"/{name}", params={called: word[:_LONGEST]})
            )
            return ""
        return word

    def one_of(self, name: str, known: Iterable[str], usual: str) -> str:
        word, words = self.word(name) or usual, [str(each) for each in known]
        if word not in words:
            params = {name: word[:_LONGEST], "known": ", ".join(words)}
            self.faults.append(Fault(code=f"maps.unknown_{name}", pointer=f"/{name}", params=params))
            return usual
        return word

    def period(self, first: str, last: str) -> Period:
        return parse_period(self.word(first), self.word(last), self.today, self.faults)

    def level(self, area: str) -> int:
        """Return the level; inside of an area never one above it."""
        levels = self.shapes.levels if self.shapes else (1,)
        level = min(_DEFAULT_LEVEL, max(levels))
        if word := self.word("level"):
            if word in {str(each) for each in levels}:
                level = int(word)
            else:
                params = {"level": word[:_LONGEST], "known": ", ".join(map(str, levels))}
                self.faults.append(Fault(code="maps.unknown_level", pointer="/level", params=params))
        if area and self.shapes:
            inside = self.shapes.part(area).levels
            level = min(max(level, inside[0]), inside[-1])
        return level

    def categories(self) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word for word in self.given.get("category", ()) if word))
        unknown = [word for word in words if word not in self.reference.categories]
        for word in unknown[:_MOST_CATEGORIES]:
            params = {"category": word[:_LONGEST]}
            self.faults.append(Fault(code="maps.unknown_category", pointer="/category", params=params))
        if len(words) > _MOST_CATEGORIES:
            params = {"most": str(_MOST_CATEGORIES)}
            self.faults.append(Fault(code="maps.too_many_categories", pointer="/category", params=params))
        return words

    def question(self) -> Question:
        period = self.period("from", "to")
        categories = self.categories()
        named = {
            name: self.known(name, there)
            for name, there in (
                ("channel", self.reference.channels),
                ("ledger", self.reference.ledgers),
                ("state", {state.value for state in CaseState}),
                ("area", self.shapes.by_code if self.shapes else ()),
            )
        }
        boundaries = parse_boundaries({"boundaries": self.word("boundaries")}, self.faults)
        level = self.level(named["area"])
        return Question(period=period, level=level, categories=categories, boundaries=boundaries, **named)

    def done(self) -> None:
        """Raise when anything was wrong.

        Raises
        ------
        InvalidRequestError
            With one fault for each wrong part.
        """
        if self.faults:
            raise InvalidRequestError(self.faults)


def parse_question(given: Given, reference: Reference, today: date, shapes: CellShapes | None) -> Question:
    """Read what every page asks."""
    reader = _Reader(given, reference, today, shapes)
    question = reader.question()
    reader.done()
    return question


def parse_heat(given: Given, reference: Reference, today: date, shapes: CellShapes | None) -> HeatView:
    """Read the address of the heat-map."""
    question = parse_question(given, reference, today, shapes)
    return HeatView(**_fields(question), all_rows=(given.get("rows") or ("",))[-1] == "all")


def parse_places(given: Given, reference: Reference, today: date, shapes: CellShapes | None) -> PlacesView:
    """Read the address of the places."""
    question = parse_question(given, reference, today, shapes)
    return PlacesView(**_fields(question), near=(given.get("near") or ("",))[-1] == "1")


def parse_measure(given: Given, reference: Reference, today: date, shapes: CellShapes | None) -> MeasureView:
    """Read the address of the coloured cells."""
    reader = _Reader(given, reference, today, shapes)
    question = reader.question()
    measure = reader.one_of("measure", Measure, Measure.COUNT.value)
    weights = reader.one_of("weights", Kind, Kind.CONTIGUITY.value)
    layers = reader.one_of("layers", ("", *LAYERS), "")
    inside = shapes.part(question.area) if shapes and question.area else shapes
    drawn = inside.cells.get(question.level, ()) if inside else ()
    cell = reader.known("cell", {cell.code for cell in drawn})
    reader.done()
    return MeasureView(**_fields(question), measure=Measure(measure), weights=Kind(weights), layers=layers, cell=cell)


def parse_time(given: Given, reference: Reference, today: date, shapes: CellShapes | None) -> TimeView:
    """Read the address of the steps of time; the usual step depends on the length of the period."""
    reader = _Reader(given, reference, today, shapes)
    question = reader.question()
    days = question.period.days
    usual = Step.DAY if days <= _DAYS_BY_STEP else Step.WEEK if days <= _DAYS_BY_WEEK else Step.MONTH
    step = Step(reader.one_of("step", Step, usual.value))
    if len(steps_of(question.period, step)) > MOST_STEPS and not reader.faults:
        params = {"most": str(MOST_STEPS)}
        reader.faults.append(Fault(code="maps.too_many_steps", pointer="/step", params=params))
    reader.done()
    return TimeView(**_fields(question), step=step)


def parse_compare(given: Given, reference: Reference, today: date, shapes: CellShapes | None) -> CompareView:
    """Read the address of two maps; without a second period it is the one before."""
    reader = _Reader(given, reference, today, shapes)
    question = reader.question()
    measure = reader.one_of("measure", [each.value for each in COMPARED], Measure.COUNT.value)
    other = question.period.before
    if reader.word("from2") or reader.word("to2"):
        found: list[Fault] = []
        other = parse_period(reader.word("from2"), reader.word("to2"), today, found)
        reader.faults += [replace(fault, pointer=f"{fault.pointer}2") for fault in found]
    category = reader.known("category2", reference.categories, called="category")
    reader.done()
    return CompareView(**_fields(question), measure=Measure(measure), other=other, other_category=category)


def _fields(question: Question) -> dict[str, Any]:
    names = ("period", "level", "categories", "channel", "ledger", "state", "area", "boundaries")
    return {name: getattr(question, name) for name in names}
