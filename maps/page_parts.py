"""What all pages of planners share: where numbers stand, the sentence of filters, links to files and cases. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from maps.facts.asking import Boundaries
from maps.findings import Period
from maps.i18n import Locale, subset, translate
from maps.question import Question
from maps.suppression import SMALL_COUNT

__all__ = ["Category", "Scene", "category_words", "closed", "page_parts", "rough"]

#: Pages and the keys of their names, in the order of the links at the top.
PAGES: Final = (
    ("heat", "planner.heading"),
    ("cells", "measures.heading"),
    ("time", "planner.time.heading"),
    ("compare", "planner.compare.heading"),
    ("places", "planner.places.heading"),
    ("rates", "rates.heading"),
    ("bulletin", "planner.bulletin.heading"),
)
_PRESETS: Final = (7, 30, 90, 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A class to choose; ``group`` is the heading it stands under."""

    code: str
    name: str
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the numbers of a page stand, and what can be chosen.

    Attributes
    ----------
    as_of, today, time_zone
        The instant the numbers stand for, and the jurisdiction's day and zone.
    grid_name
        Number or name of the grid version.
    categories, choices, areas, levels
        Classes; codes by part of the address; cells to stay inside of; levels that are drawn.
    sees_cases
        Whether the reader may see cases, so that counts are exact and lead to them; otherwise they come in steps.
    """

    as_of: datetime
    today: date
    time_zone: str
    place: str
    grid_name: str
    categories: Sequence[Category]
    choices: Mapping[str, Sequence[tuple[str, str]]]
    levels: Sequence[int]
    areas: Sequence[tuple[str, str]] = ()
    sees_cases: bool = True

    @property
    def stand(self) -> str:
        """The instant in words. Zone: the jurisdiction's."""
        return self.as_of.astimezone(ZoneInfo(self.time_zone)).strftime("%Y-%m-%d %H:%M")


def rough(count: int) -> str:
    """Return a count, or that it is small."""
    return f"<{SMALL_COUNT}" if 0 < count < SMALL_COUNT else f"{count:,}"


def category_words(locale: Locale, codes: Sequence[str], categories: Sequence[Category]) -> str:
    """Return the names of the chosen classes in one phrase."""
    names = {category.code: category.name for category in categories}
    if not codes:
        return translate(locale, "planner.category.all")
    return translate(locale, "planner.table.list_join").join(names.get(code, code) for code in codes)


def page_parts(
    locale: Locale, view: Question, scene: Scene, *, kind: str, title: str, root: str, forms: Sequence[str]
) -> dict[str, Any]:
    """Return what every template of a planner's page asks for.

    Parameters
    ----------
    kind
        Which page: a part of its address.
    forms
        Files that the page can be had as.
    """
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    path = f"{root}/maps/{kind}"
    texts = subset(locale, "planner.") | subset(locale, "console.") | subset(locale, "measures.")
    return {
        "locale": locale,
        "root": root,
        "kind": kind,
        "texts": texts | {"rates.heading": translate(locale, "rates.heading")},
        "other_locale": other,
        "other_language": translate(other, "console.language_name"),
        "other_query": view.query(lang=other),
        "place": scene.place,
        "title": title,
        "view": view,
        "today": scene.today.isoformat(),
        "boundaries": [(each.value, translate(locale, f"hotspots.boundaries.{each.value}")) for each in Boundaries],
        "levels": [(level, translate(locale, f"planner.level.{level}")) for level in scene.levels],
        "groups": _groups(scene.categories),
        "choices": scene.choices,
        "areas": scene.areas,
        "presets": _presets(locale, view, scene.today),
        # The bulletin is made of cases; who may not see them has no use for its link.
        "pages": [
            (page, key, _carried(view, page, locale)) for page, key in PAGES if page != "bulletin" or scene.sees_cases
        ],
        "frame_url": f"{path}/frame?{view.query(lang=locale)}",
        "files": [
            (translate(locale, f"planner.file.{form}"), f"{path}/file?{view.query(lang=locale, form=form)}")
            for form in forms
        ],
        "share_query": view.query(),
        "file_name": f"gridward-{kind}-{view.period.from_on}-{view.period.to_on}",
        "as_of": scene.stand,
        "time_zone": scene.time_zone,
        "zone_days": (view.period.from_on.isoformat(), view.period.to_on.isoformat()),
        "grid_name": scene.grid_name,
        "small": SMALL_COUNT,
        "sees_cases": scene.sees_cases,
        "is_coarse": not scene.sees_cases,
        "frozen": False,
        "cases_url": f"{root}/maps/cases?{_cases_query(view, locale)}",
    }


def closed(context: dict[str, Any]) -> dict[str, Any]:
    """Return a context that also holds itself, as ``p``: macros of another file see nothing else of it."""
    context["p"] = context
    return context


def _carried(view: Question, page: str, locale: Locale) -> str:
    """Return the filters for another page: what both know, and nothing that only this one does."""
    if page == "bulletin":
        return f"lang={locale}"
    if page == "rates":
        days = {"from": view.period.from_on, "to": view.period.to_on, "boundaries": view.boundaries.value}
        return "&".join(f"{name}={value}" for name, value in {**days, "lang": locale}.items())
    return Question.query(_plain(view), lang=locale)


def _cases_query(view: Question, locale: Locale) -> str:
    return Question.query(_plain(view), lang=locale)


def _plain(view: Question) -> Question:
    return Question(
        period=view.period,
        level=view.level,
        categories=view.categories,
        channel=view.channel,
        ledger=view.ledger,
        state=view.state,
        area=view.area,
        boundaries=view.boundaries,
    )


def _groups(categories: Sequence[Category]) -> list[tuple[str, list[Category]]]:
    groups: dict[str, list[Category]] = {}
    for category in categories:
        groups.setdefault(category.group, []).append(category)
    return list(groups.items())


def _presets(locale: Locale, view: Question, today: date) -> list[tuple[str, str, bool]]:
    """Return (words, query, is this one shown) for the usual periods."""
    presets = []
    for days in _PRESETS:
        first = today - timedelta(days=days - 1)
        is_shown = view.period == Period(from_on=first, to_on=today)
        query = view.query(**{"from": first.isoformat(), "to": today.isoformat(), "lang": locale})
        presets.append((translate(locale, f"planner.preset.{days}"), query, is_shown))
    return presets
