"""Where it comes back, and where nobody looks: cases brought together, repeat sites, gaps. From plain values; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from maps.classes import make_ramp
from maps.figures import format_count, format_ratio
from maps.findings import describe_period
from maps.folium_page import FrameContent, LegendPart, Place, render_frame
from maps.hotspots.near_repeats import Knox
from maps.hotspots.sources import Statistic
from maps.i18n import Locale, subset, translate
from maps.measures import paint_counts
from maps.outline import EncodedOutlines
from maps.page_parts import Scene, category_words, closed, page_parts, rough
from maps.question import Question
from maps.reasons import small_p, statistic_words
from maps.sheet import Sheet
from maps.suppression import SMALL_COUNT, coarsen

__all__ = [
    "FORMS",
    "Gap",
    "PlacesData",
    "PlacesView",
    "SitePlace",
    "coarse_site",
    "places_context",
    "places_frame",
    "places_sheet",
    "sites_geojson",
]

FORMS: Final = ("html", "png", "pdf", "csv", "xlsx", "geojson")
_ROWS: Final = 100
_SILENT: Final = 60
_DRAWN: Final = 600
#: Near repeats are marked when chance gives as many this seldom.
_STRONG_P: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesView(Question):
    """What somebody asked to see; ``near`` asks for the table of near repeats as well."""

    near: bool = False

    def parts(self) -> dict[str, object]:
        """Return the parts of the address, the empty ones too."""
        return Question.parts(self) | {"near": "1" if self.near else ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlace:
    """A square where cases of one class come back. SRID: 4326, its middle. Days are empty for who sees no cases."""

    lon: float
    lat: float
    cell: str
    cell_name: str
    category: str
    category_name: str
    cases: int
    days: int
    first_on: str = ""
    last_on: str = ""
    square: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A place that no cell covers. SRID: 4326, a point inside it. Units: square metres."""

    lon: float
    lat: float
    words: str
    area_m2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesData(Scene):
    """Everything that is known about a view.

    Attributes
    ----------
    codes, names, outlines, parents, counts
        The cells in one order, and their cases.
    together
        Single cases for readers who may see them, else squares with at least five.
    shown, total
        How many cases ``together`` stands for, and how many there are.
    sites
        Most cases first.
    outside, outside_left
        Squares with cases that no cell covers, and such cases that are too few anywhere.
    gaps
        Holes in the drawing itself.
    without_head
        Cells that nobody answers for; None when that was not asked.
    knox, too_many_pairs
        Near repeats, if they were asked for; whether there are more pairs than a page can wait for.
    """

    codes: Sequence[str]
    names: Sequence[str]
    outlines: EncodedOutlines
    parents: Sequence[tuple[int, EncodedOutlines, Sequence[str]]]
    counts: Sequence[int]
    together: Sequence[Place]
    shown: int
    total: int
    sites: Sequence[SitePlace]
    outside: Sequence[Place]
    outside_left: int
    gaps: Sequence[Gap]
    without_head: Sequence[str] | None
    knox: Knox | None = None
    too_many_pairs: bool = False


def places_frame(
    locale: Locale, view: PlacesView, data: PlacesData, *, static_url: str = "/static", inline: bool = False
) -> str:
    """Return the map's own document."""
    layers = [("", "", list(data.counts))]
    variants, legend, classes = paint_counts(locale, layers, is_coarse=not data.sees_cases, with_tips=True)
    together = "cases" if data.sees_cases else "squares"
    sites = [
        Place(
            lon=site.lon,
            lat=site.lat,
            weight=site.cases,
            words=translate(
                locale, "planner.site.tip", category=site.category_name, cell=site.cell_name, cases=rough(site.cases)
            ),
            key=site.cell,
        )
        for site in data.sites[:_DRAWN]
    ]
    gaps = [
        *data.outside,
        *(Place(lon=gap.lon, lat=gap.lat, weight=0, status="gap", words=gap.words) for gap in data.gaps),
    ]
    texts = {key.removeprefix("planner.frame."): text for key, text in subset(locale, "planner.frame.").items()}
    places: Mapping[str, Sequence[Place]] = {together: data.together, "sites": sites, "gaps": gaps}
    return render_frame(
        FrameContent(
            locale=locale,
            title=places_title(locale, view, data),
            outlines=data.outlines,
            codes=data.codes,
            names=data.names,
            counts=[0] * len(data.codes),
            total=0,
            tones=variants[0].tones,
            tips=variants[0].tips,
            level=view.level,
            parents=data.parents,
            spots=[],
            spot_peak=1.0,
            surface=None,
            palette_light=make_ramp(max(classes, 1)),
            palette_dark=make_ramp(max(classes, 1), dark=True),
            surface_palette_light=[],
            surface_palette_dark=[],
            legends={
                "cells": legend,
                "cases": _case_legend(locale, data),
                "squares": [LegendPart(text=translate(locale, "planner.legend.squares"))],
                "sites": [LegendPart(text=translate(locale, "planner.legend.sites"))],
                "gaps": [LegendPart(text=translate(locale, "planner.legend.gaps"))],
            },
            texts=texts,
            credit=translate(locale, "planner.credit", as_of=data.stand, grid=data.grid_name),
            places={key: found for key, found in places.items() if found},
        ),
        static_url=static_url,
        inline=inline,
    )


def _case_legend(locale: Locale, data: PlacesData) -> list[LegendPart]:
    parts = [LegendPart(text=translate(locale, "planner.legend.cases"))]
    parts += [
        LegendPart(sign=status, text=translate(locale, f"planner.status.{status}"))
        for status in ("late", "normal", "done")
    ]
    if data.shown < data.total:
        shown = translate(
            locale, "planner.legend.cases.newest", shown=format_count(data.shown), total=format_count(data.total)
        )
        parts.append(LegendPart(text=shown))
    return parts


def places_title(locale: Locale, view: PlacesView, data: PlacesData) -> str:
    """Return the finding: how many places it comes back to, and the worst of them."""
    said = {
        "period": describe_period(locale, view.period, today=data.today),
        "category": category_words(locale, view.categories, data.categories),
    }
    if not data.sites:
        return translate(locale, "planner.places.finding.none", **said)
    first = data.sites[0]
    return translate(
        locale,
        "planner.places.finding",
        count=format_count(len(data.sites)),
        cell=first.cell_name,
        matter=first.category_name,
        cases=rough(first.cases),
        **said,
    )


def places_context(locale: Locale, view: PlacesView, data: PlacesData, *, root: str = "") -> dict[str, Any]:
    """Return the context of ``places.html``."""
    parts = page_parts(
        locale, view, data, kind="places", title=places_title(locale, view, data), root=root, forms=FORMS
    )
    silent = [(code, name) for code, name, cases in zip(data.codes, data.names, data.counts, strict=True) if not cases]
    return closed(
        parts
        | {
            "summary": translate(locale, "planner.places.summary", total=rough(data.total), sites=len(data.sites)),
            "rows": [
                {
                    "code": site.cell,
                    "cell": site.cell_name,
                    "category": site.category_name,
                    "cases": rough(site.cases),
                    "days": format_count(site.days),
                    "first": site.first_on,
                    "last": site.last_on,
                    "url": f"{root}/maps/cases?{_behind(view, site, locale)}",
                }
                for site in data.sites[:_ROWS]
            ],
            "silent": silent[:_SILENT],
            "silent_count": len(silent),
            "cells_count": len(data.codes),
            "outside": [(place.words, rough(place.weight)) for place in data.outside[:_SILENT]],
            "outside_total": rough(sum(place.weight for place in data.outside) + data.outside_left),
            "gaps": [gap.words for gap in data.gaps[:_SILENT]],
            "gaps_count": len(data.gaps),
            "without_head": None if data.without_head is None else list(data.without_head[:_SILENT]),
            "without_head_count": len(data.without_head or ()),
            "near": _near(locale, view, data),
        }
    )


def _near(locale: Locale, view: PlacesView, data: PlacesData) -> dict[str, Any]:
    """Return the table of near repeats, or where it can be asked for."""
    found = data.knox
    near: dict[str, Any] = {
        "url": "?" + view.query(near="1", lang=locale) + "#near",
        "too_many": data.too_many_pairs,
        "rows": [],
        "method": statistic_words(locale, Statistic.KNOX),
    }
    if found is None:
        return near
    days = [
        translate(locale, "planner.near.days", low=f"{low:g}", high=f"{high:g}")
        for low, high in pairwise((0.0, *found.days))
    ]
    near |= {"days": days, "cases": rough(found.cases), "permutations": format_count(found.permutations)}
    for i, distance in enumerate(found.distances_m):
        cells = []
        for j in range(len(found.days)):
            pairs, expected, p = int(found.observed[i, j]), float(found.expected[i, j]), float(found.p[i, j])
            is_told = pairs == 0 or pairs >= SMALL_COUNT
            ratio = format_ratio(pairs, expected, digits=2) if is_told and expected > 0 else None
            words = {"pairs": rough(pairs), "expected": format_ratio(expected, 1, digits=1), "p": small_p(p)}
            cells.append(
                {
                    "ratio": ratio or "–",
                    "words": translate(locale, "planner.near.cell", **words),
                    "is_strong": is_told and ratio is not None and pairs > expected and p <= _STRONG_P,
                }
            )
        low = found.distances_m[i - 1] if i else 0.0
        name = "planner.near.same" if distance == 0 else "planner.near.metres"
        near["rows"].append((translate(locale, name, low=f"{low:g}", high=f"{distance:g}"), cells))
    return near


def _behind(view: PlacesView, site: SitePlace, locale: Locale) -> str:
    return view.query(category=site.category, square=site.square, lang=locale, near="")


def places_sheet(locale: Locale, view: PlacesView, data: PlacesData) -> Sheet:
    """Return one line per repeat site."""
    names = ("cell", "category", "cases", "days", "first", "last")
    head = [translate(locale, "measures.column.code"), *(translate(locale, f"planner.site.{name}") for name in names)]
    lines: list[list[str | float | None]] = [
        [
            site.cell,
            site.cell_name,
            site.category_name,
            float(site.cases),
            float(site.days),
            site.first_on,
            site.last_on,
        ]
        for site in data.sites
    ]
    notes = [translate(locale, "planner.stand", as_of=data.stand), translate(locale, "planner.define.sites.text")]
    return Sheet(title=places_title(locale, view, data), head=head, lines=lines, notes=notes)


def sites_geojson(data: PlacesData) -> str:
    """Return repeat sites as the middles of their squares of 50 m, each with at least five cases. SRID: 4326."""
    features = [
        {
            "type": "Feature",
            "properties": {"cell": s.cell, "category": s.category, "cases": s.cases, "days": s.days},
            "geometry": {"type": "Point", "coordinates": [round(s.lon, 6), round(s.lat, 6)]},
        }
        for s in data.sites
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False, separators=(",", ":"))


def coarse_site(site: SitePlace) -> SitePlace:
    """Return a site as those learn of it who may not see cases: numbers in steps of five, no single days."""
    return SitePlace(
        lon=site.lon,
        lat=site.lat,
        cell=site.cell,
        cell_name=site.cell_name,
        category=site.category,
        category_name=site.category_name,
        cases=coarsen(site.cases),
        days=coarsen(site.days),
    )
