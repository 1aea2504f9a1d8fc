"""The planner's heat-map page, from plain values: the page around the map, and the map in its frame. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from maps.bins import Bin, HeatSpot, Lattice, coarsen_spots, merge_small_bins, spread_spots
from maps.classes import ClassBreaks, make_breaks, make_ramp, nice_ladder
from maps.density import draw_bands, estimate_density, project_points, threshold_of
from maps.figures import format_count, format_ratio
from maps.findings import describe_period, find_pattern, word_finding
from maps.folium_page import FrameContent, LegendPart, SurfaceLayer, render_frame
from maps.i18n import Locale, subset, translate
from maps.outline import EncodedOutlines
from maps.page_parts import Scene, category_words, closed, page_parts, rough
from maps.question import Question
from maps.suppression import SMALL_COUNT, Disclosure, decide_disclosure

__all__ = [
    "BANDWIDTH_M",
    "FORMS",
    "DrawnCell",
    "HeatData",
    "HeatView",
    "frame_html",
    "heat_title",
    "heat_words",
    "page_context",
]

#: Units: metres. About two courtyard cells: a street shows, a single house does not.
BANDWIDTH_M: Final = 200.0
_BANDS: Final = 6
_CLASSES: Final = 6
_ROWS: Final = 200
#: Points further apart than this many bandwidths would make a surface too large; then the bandwidth doubles.
_MOST_BANDWIDTHS: Final = 420
#: Files that the page can be had as.
FORMS: Final = ("html", "png", "pdf", "csv", "xlsx", "geojson", "bins")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatView(Question):
    """What somebody asked to see."""

    all_rows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnCell:
    """A cell of the chosen level with its cases. Units: ``area_m2`` square metres."""

    code: str
    name: str
    population: int | None
    area_m2: float
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatData(Scene):
    """Everything that is known about a view.

    Attributes
    ----------
    cells, outlines
        All cells of the level, in the order of the outlines.
    parents
        The levels above, from the first on: (level, outlines, names).
    bins, lattice
        Exact cases in squares of about 50 m, and what they are squares of.
    metric_srid
        Projected system of the jurisdiction.
    before
        Cases of the period before; None when not asked for.
    total
        Cases in all cells.
    out_of_grid, no_position, above_level, other_version
        Cases of the filter that are not in any drawn cell.
    """

    cells: Sequence[DrawnCell]
    outlines: EncodedOutlines
    parents: Sequence[tuple[int, EncodedOutlines, Sequence[str]]]
    bins: Sequence[Bin]
    lattice: Lattice
    metric_srid: int
    before: int | None
    total: int
    out_of_grid: int
    no_position: int
    above_level: int
    other_version: int

    @property
    def counts(self) -> dict[str, int]:
        """Cases by code, in the order of the cells."""
        return {cell.code: cell.cases for cell in self.cells}

    @property
    def disclosures(self) -> dict[str, Disclosure]:
        """What may be said of each cell."""
        return decide_disclosure(self.counts, is_coarse=not self.sees_cases)

    def spots(self) -> tuple[list[HeatSpot], int]:
        """Return the bins as they may leave the server, and the cases that are in none of them."""
        spots, left_out = merge_small_bins(self.bins)
        return (spots, left_out) if self.sees_cases else (coarsen_spots(spots), left_out)


def frame_html(
    locale: Locale, view: HeatView, data: HeatData, *, static_url: str = "/static", inline: bool = False
) -> str:
    """Return the map's own document (see `maps.folium_page.render_frame`)."""
    disclosures = data.disclosures
    breaks = _breaks(data, disclosures)
    spots, left_out = data.spots()
    surface, bands = _surface(data)
    classes, shades = max(len(breaks), 1), max(len(bands), 1)
    total = data.total
    return render_frame(
        FrameContent(
            locale=locale,
            title=heat_title(locale, view, data),
            outlines=data.outlines,
            codes=[cell.code for cell in data.cells],
            names=[cell.name for cell in data.cells],
            counts=[_public_count(cell.cases, disclosures[cell.code]) for cell in data.cells],
            total=total if total >= SMALL_COUNT else 0,
            tones="".join(_tone(cell.cases, disclosures[cell.code], breaks) for cell in data.cells),
            level=view.level,
            parents=data.parents,
            spots=spots,
            spot_peak=_spot_peak(spots),
            surface=surface,
            palette_light=make_ramp(classes),
            palette_dark=make_ramp(classes, dark=True),
            surface_palette_light=make_ramp(shades),
            surface_palette_dark=make_ramp(shades, dark=True),
            legends={
                "cells": _cells_legend(locale, breaks),
                "density": _density_legend(locale, bands, bandwidth_of(data)),
                "heat": _heat_legend(locale, left_out),
            },
            texts={key.removeprefix("planner.frame."): text for key, text in subset(locale, "planner.frame.").items()},
            credit=translate(locale, "planner.credit", as_of=data.stand, grid=data.grid_name),
        ),
        static_url=static_url,
        inline=inline,
    )


def page_context(locale: Locale, view: HeatView, data: HeatData, *, root: str = "") -> dict[str, Any]:
    """Return the context of ``heat.html``: the finding, the filters, the table and the definitions."""
    disclosures = data.disclosures
    rows = _rows(data, disclosures, data.total)
    small = [cell for cell in data.cells if disclosures[cell.code] is Disclosure.SMALL]
    parts = page_parts(locale, view, data, kind="heat", title=heat_title(locale, view, data), root=root, forms=FORMS)
    return closed(
        parts
        | {
            "summary": _summary(locale, view, data, data.total),
            "left_out": _left_out(locale, data),
            "rows": rows if view.all_rows else rows[:_ROWS],
            "more_rows": 0 if view.all_rows else max(0, len(rows) - _ROWS),
            "more_query": view.query(rows="all", lang=locale),
            "small_cells": len(small),
            "small_names": [(cell.code, cell.name) for cell in small[:_ROWS]],
            "blank": sum(disclosure is Disclosure.NONE for disclosure in disclosures.values()),
            "bandwidth": int(bandwidth_of(data)),
        }
    )


def heat_title(locale: Locale, view: HeatView, data: HeatData) -> str:
    """Return the finding in words."""
    finding = find_pattern(data.counts, data.disclosures)
    plural = "one" if len(finding.codes) == 1 else "many"
    return word_finding(
        locale,
        finding,
        period=describe_period(locale, view.period, today=data.today),
        category=category_words(locale, view.categories, data.categories),
        level=translate(locale, f"planner.level.{view.level}.{plural}"),
        names={cell.code: cell.name for cell in data.cells},
    )


def heat_words(locale: Locale, view: HeatView, data: HeatData) -> tuple[str, str]:
    """Return how many cases there are, and which of them the map does not draw."""
    return _summary(locale, view, data, data.total), _left_out(locale, data)


def _summary(locale: Locale, view: HeatView, data: HeatData, total: int) -> str:
    counted = translate(
        locale,
        "planner.summary",
        total=rough(total),
        cells=format_count(len(data.cells)),
        level=translate(locale, f"planner.level.{view.level}.{'one' if len(data.cells) == 1 else 'many'}"),
    )
    # A change in percent and one exact number would give the other number away.
    if data.before is None or 0 < data.before < SMALL_COUNT or 0 < total < SMALL_COUNT:
        return counted
    now = total + data.out_of_grid + data.no_position + data.above_level + data.other_version
    days, before = format_count(view.period.days), format_count(data.before)
    change = format_ratio(abs(now - data.before), data.before, scale=100, digits=1)
    if now == data.before:
        return counted + translate(locale, "planner.summary.same", days=days, before=before)
    if change is None:
        return counted + translate(locale, "planner.summary.none_before", days=days)
    key = "planner.summary.more" if now > data.before else "planner.summary.fewer"
    return counted + translate(locale, key, days=days, before=before, change=change)


def _left_out(locale: Locale, data: HeatData) -> str:
    """Say which cases of the filter the map does not draw; a map must not look complete when it is not."""
    parts = [
        translate(locale, f"planner.left_out.{name}", count=rough(count))
        for name in ("out_of_grid", "no_position", "above_level", "other_version")
        if (count := getattr(data, name)) > 0
    ]
    if not parts:
        return ""
    return translate(locale, "planner.left_out", parts=translate(locale, "planner.left_out.join").join(parts))


def _rows(data: HeatData, disclosures: Mapping[str, Disclosure], total: int) -> list[dict[str, Any]]:
    """Return the table, most cases first. What is withheld comes last, by code: its place must not give it away."""
    listed = (Disclosure.SHOWN, Disclosure.WITHHELD)
    present = [cell for cell in data.cells if disclosures[cell.code] in listed]
    present.sort(key=lambda cell: (-cell.cases if disclosures[cell.code] is Disclosure.SHOWN else 0, cell.code))
    most = max((cell.cases for cell in present), default=1)
    rows = []
    for rank, cell in enumerate(present, start=1):
        disclosure = disclosures[cell.code]
        row: dict[str, Any] = {"code": cell.code, "name": cell.name, "disclosure": str(disclosure)}
        if disclosure is Disclosure.SHOWN:
            row |= {
                "rank": rank,
                "cases": format_count(cell.cases),
                "share": format_ratio(cell.cases, total, scale=100),
                "bar": round(100 * cell.cases / most, 1),
                "per_1000": format_ratio(cell.cases, cell.population or 0, scale=1000),
                "per_km2": format_ratio(cell.cases, cell.area_m2, scale=1_000_000, digits=1),
            }
        rows.append(row)
    return rows


def _breaks(data: HeatData, disclosures: Mapping[str, Disclosure]) -> ClassBreaks:
    shown = [cell.cases for cell in data.cells if disclosures[cell.code] is Disclosure.SHOWN]
    return make_breaks(np.asarray(shown, dtype=np.float64), classes=_CLASSES)


def _tone(cases: int, disclosure: Disclosure, breaks: ClassBreaks) -> str:
    match disclosure:
        case Disclosure.NONE:
            return "-"
        case Disclosure.SHOWN:
            return str(breaks.index_of(cases))
        case _:
            return "h"


def _public_count(cases: int, disclosure: Disclosure) -> int:
    """Return what may leave the server: the count, or a sign that stands for no number."""
    return {Disclosure.SMALL: -1, Disclosure.WITHHELD: -2}.get(disclosure, cases)


def _surface(data: HeatData) -> tuple[SurfaceLayer | None, tuple[float, ...]]:
    """Return the density picture and its bands, or nothing when no place reaches what five cases would make."""
    if not data.bins:
        return None, ()
    if data.sees_cases:
        lon = np.array([square.lon for square in data.bins])
        lat = np.array([square.lat for square in data.bins])
        cases = np.array([square.cases for square in data.bins], dtype=np.float64)
    else:
        # From what may be told and nothing else: an edge of a band that moves would show where one more case lies.
        lon, lat, cases = spread_spots(data.spots()[0], data.lattice)
        if not len(lon):
            return None, ()
    x_m, y_m = project_points(lon, lat, srid=data.metric_srid)
    bandwidth_m = bandwidth_of(data)
    density = estimate_density(x_m, y_m, cases, bandwidth_m=bandwidth_m)
    floor = threshold_of(SMALL_COUNT, bandwidth_m=bandwidth_m)
    bands = nice_ladder(density.peak_per_km2, steps=_BANDS, floor=floor)
    if not bands:
        return None, ()
    picture = draw_bands(density, bands, srid=data.metric_srid)
    light, dark = picture.to_pngs([make_ramp(len(bands)), make_ramp(len(bands), dark=True)], alpha=215)
    return (
        SurfaceLayer(
            png_light=light,
            png_dark=dark,
            west=picture.west,
            south=picture.south,
            east=picture.east,
            north=picture.north,
        ),
        bands,
    )


def bandwidth_of(data: HeatData) -> float:
    """Return the bandwidth: by the extent of the grid and not of the cases, so that it is the same for every filter.

    Units: metres.
    """
    outlines = data.outlines
    height = (outlines.north - outlines.south) * 111_132
    width = (outlines.east - outlines.west) * 111_320 * math.cos(math.radians((outlines.north + outlines.south) / 2))
    bandwidth_m = BANDWIDTH_M
    while max(width, height) > _MOST_BANDWIDTHS * bandwidth_m:
        bandwidth_m *= 2
    return bandwidth_m


def _spot_peak(spots: Sequence[HeatSpot]) -> float:
    """Return the weight at which the point heat layer is darkest: what the fullest half kilometres hold."""
    if not spots:
        return 1.0
    sums: dict[tuple[int, int], int] = {}
    for spot in spots:
        square = (int(spot.lon // 0.005), int(spot.lat // 0.0045))
        sums[square] = sums.get(square, 0) + spot.cases
    return float(max(1.0, np.quantile(np.array(list(sums.values())), 0.95)))


def _cells_legend(locale: Locale, breaks: ClassBreaks) -> list[LegendPart]:
    parts = [_opening(locale, "planner.legend.cells")] if len(breaks) else []
    for index, (lower, upper) in enumerate(zip(breaks.lowers, breaks.uppers, strict=True)):
        first, last = format_count(int(lower)), format_count(int(upper))
        parts.append(LegendPart(sign="class", index=index, text=first if lower == upper else f"{first}–{last}"))
    if len(breaks):
        method = translate(locale, f"planner.method.{breaks.method}")
        words = translate(locale, "planner.legend.cells.unit", method=method, classes=len(breaks))
        parts.append(LegendPart(text=words))
    parts.append(LegendPart(sign="hatch", text=translate(locale, "planner.legend.small", small=SMALL_COUNT)))
    parts.append(LegendPart(sign="blank", text=translate(locale, "planner.legend.blank")))
    return parts


def _density_legend(locale: Locale, bands: Sequence[float], bandwidth_m: float) -> list[LegendPart]:
    if not bands:
        return []
    parts = [_opening(locale, "planner.legend.density")]
    for index, lower in enumerate(bands):
        parts.append(LegendPart(sign="class", index=index, text=f"≥{lower:,g}"))
    parts.append(LegendPart(text=translate(locale, "planner.legend.density.unit", bandwidth=int(bandwidth_m))))
    return parts


def _heat_legend(locale: Locale, left_out: int) -> list[LegendPart]:
    words = translate(locale, "planner.legend.heat.rough", small=SMALL_COUNT)
    if left_out:
        words += translate(locale, "planner.legend.heat.left_out", count=rough(left_out))
    return [_opening(locale, "planner.legend.heat"), LegendPart(text=words)]


def _opening(locale: Locale, key: str) -> LegendPart:
    """Return the first words of a legend: "the darker" on a light page, "the lighter" on a dark one."""
    return LegendPart(text=translate(locale, key), text_dark=translate(locale, f"{key}.dark"))
