"""What the planner's pages share: levels above, names of grid versions, choices, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import Request, Response

from api.drawings import grid_name
from api.drawn_cells import CellShapes
from api.errors import message_of
from api.planner_desk import Desk
from api.templating import render
from dispatch.reference import Category as ReferenceCategory
from dispatch.reference import Reference
from dispatch.states import CaseState
from geo.errors import InvalidRequestError
from maps.i18n import Locale, subset, translate
from maps.outline import EncodedOutlines
from maps.page_parts import Category

__all__ = ["category_choices", "outlines_above", "refuse", "scene_of", "without_grid"]

_MOST_AREAS: Final = 600


async def outlines_above(
    shapes: CellShapes, level: int, locale: Locale
) -> list[tuple[int, EncodedOutlines, tuple[str, ...]]]:
    """Return the levels above, the first one with its names: more names would only hide the cells."""
    return [
        (
            above,
            await shapes.outlines(above),
            tuple(cell.name(locale) if above == shapes.levels[0] else "" for cell in shapes.cells[above]),
        )
        for above in shapes.levels
        if above < level
    ]


def scene_of(desk: Desk) -> dict[str, Any]:
    """Return where the numbers of a page stand and what can be chosen, as the pages' data take it."""
    assert desk.version is not None
    assert desk.whole is not None
    return {
        "as_of": desk.as_of,
        "today": desk.today,
        "time_zone": desk.zone,
        "place": desk.place,
        "grid_name": f"{grid_name(desk.locale, desk.version)} · {_boundaries(desk)}",
        "categories": category_choices(desk.locale, list(desk.reference.categories.values())),
        "choices": _choices(desk.locale, desk.reference),
        "areas": _areas(desk),
        "levels": desk.whole.levels,
        "sees_cases": desk.sees_cases,
    }


def _boundaries(desk: Desk) -> str:
    return translate(desk.locale, f"hotspots.boundaries.{desk.boundaries.value}")


def _choices(locale: Locale, reference: Reference) -> dict[str, list[tuple[str, str]]]:
    def named(zh: str, en: str, code: str) -> str:
        return (en if locale == "en" else zh) or zh or code

    return {
        "channel": [(c.code, c.name(locale)) for c in reference.channels.values()],
        "ledger": [(each.code, named(each.name_zh, each.name_en, each.code)) for each in reference.ledgers.values()],
        "state": [(state.value, translate(locale, f"state.{state.value}")) for state in CaseState],
    }


def _areas(desk: Desk) -> list[tuple[str, str]]:
    """Return the cells of the upper levels, each below the one it lies in; a list of thousands nobody reads."""
    assert desk.whole is not None
    upper = [cell for level in desk.whole.levels[:2] for cell in desk.whole.cells[level]][:_MOST_AREAS]
    upper.sort(key=lambda cell: cell.path)
    return [(cell.code, "\u3000" * (cell.level - 1) + cell.name(desk.locale)) for cell in upper]


def category_choices(locale: Locale, categories: Sequence[ReferenceCategory]) -> list[Category]:
    """Return the classes to choose from, each under its major class; a major class can be chosen as a whole."""
    known = {category.code: category for category in categories}
    choices = []
    for category in categories:
        major = known.get(category.parent or "", category)
        choices.append((major.kind, major.code, category.parent is not None, category.code, major, category))
    order = {"event": 0, "part": 1, "social": 2}
    choices.sort(key=lambda choice: (order.get(choice[0], 3), *choice[:4]))
    return [
        Category(
            code=category.code,
            name=category.name(locale),
            group=translate(locale, f"planner.kind.{major.kind}", name=major.name(locale)),
        )
        for *_, major, category in choices
    ]


def refuse(request: Request, locale: Locale, error: InvalidRequestError) -> Response:
    """Answer a person with a page that names every fault, and a program with the problem document."""
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    faults = [message_of(locale, fault.code, fault.params) for fault in error.faults]
    return _notice(request, locale, status=422, heading=translate(locale, "planner.error.heading"), faults=faults)


def without_grid(request: Request, locale: Locale) -> Response:
    words = translate(locale, "planner.error.no_grid.text")
    heading = translate(locale, "planner.error.no_grid.heading")
    return _notice(request, locale, status=200, heading=heading, words=words)


def _notice(
    request: Request, locale: Locale, *, status: int, heading: str, faults: Sequence[str] = (), words: str = ""
) -> Response:
    context = {
        "locale": locale,
        "root": request.scope.get("root_path", ""),
        "texts": subset(locale, "planner.") | subset(locale, "console."),
        "heading": heading,
        "faults": faults,
        "words": words,
    }
    return render("heat_error.html", context, locale=locale, status=status)
