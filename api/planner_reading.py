"""From a planner's question to everything a page, a file or a share is made of; one reader per kind of map."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import orjson
import shapely
from starlette.concurrency import run_in_threadpool

from api.drawn_cells import CellShapes
from api.planner_counted import NOTHING, Counted
from api.planner_desk import Desk
from api.planner_page import MapPage
from api.planner_parts import outlines_above, scene_of
from api.planner_places import read_places
from api.planner_query import Given, parse_compare, parse_heat, parse_measure, parse_places, parse_time
from api.planner_tests import test_cells
from dispatch.reference import Reference
from geo.storage.cell_shapes import CellShape
from maps.classes import make_ramp
from maps.compare_page import (
    CompareData,
    CompareView,
    compare_context,
    compare_file,
    compare_frame,
    compare_geojson_values,
    compare_sheet,
)
from maps.findings import Period
from maps.heat import DrawnCell, HeatData, HeatView, frame_html, heat_title, page_context
from maps.heat_files import bins_geojson, heat_geojson_values, heat_sheet
from maps.i18n import translate
from maps.measure_page import (
    MeasureData,
    MeasureView,
    measure_context,
    measure_frame,
    measure_geojson_values,
    measure_sheet,
    measure_title,
)
from maps.measures import CHANGES, CellValue, Measure, paint, paint_counts
from maps.time_page import (
    TimeData,
    TimeView,
    steps_of,
    time_context,
    time_frame,
    time_geojson_values,
    time_sheet,
    time_title,
)

__all__ = ["KINDS", "MapKind"]

#: Layers of classes and ledgers on one map: more nobody looks through.
_MOST_LAYERS: Final = 24
_MOST_TIPS: Final = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MapKind:
    """A kind of map: how its address is read, how it is made, which page shows it."""

    parse: Callable[[Given, Reference, date, CellShapes | None], Any]
    read: Callable[[Desk, Any], Awaitable[MapPage]]
    template: str


async def _read_heat(desk: Desk, view: HeatView) -> MapPage:
    shapes = desk.shapes(view)
    counted = await desk.by_cell(view, view.period)
    data = HeatData(
        **scene_of(desk),
        cells=[
            DrawnCell(
                code=cell.code,
                name=cell.name(desk.locale),
                population=cell.population,
                area_m2=cell.area_m2,
                cases=counted.cells.get(cell.code, NOTHING).cases,
            )
            for cell in shapes.cells[view.level]
        ],
        outlines=await shapes.outlines(view.level),
        parents=await outlines_above(shapes, view.level, desk.locale),
        bins=await desk.bins(view),
        lattice=await desk.lattice(),
        metric_srid=shapes.metric_srid,
        before=await desk.count(view, view.period.before),
        total=counted.total,
        out_of_grid=counted.out_of_grid,
        no_position=counted.no_position,
        above_level=counted.above_level,
        other_version=counted.other_version,
    )
    return MapPage(
        title=heat_title(desk.locale, view, data),
        view=view,
        frame=lambda **how: frame_html(desk.locale, view, data, **_only(how)),
        context=lambda root: page_context(desk.locale, view, data, root=root),
        sheet=lambda: heat_sheet(desk.locale, view, data),
        geojson=lambda form: (
            bins_geojson(data) if form == "bins" else _features(heat_geojson_values(data), shapes.cells[view.level])
        ),
    )


async def _read_measure(desk: Desk, view: MeasureView) -> MapPage:
    shapes = desk.shapes(view)
    needs_more = view.measure in (Measure.LATE, Measure.HANDLING)
    counted = await desk.by_cell(view, view.period, with_handling=needs_more)
    compared = _compared(view)
    before = await desk.by_cell(view, compared) if compared else None
    tested = await test_cells(desk, view, shapes, _values(desk, shapes, view.level, counted, before))
    cells, tests = tested.cells, tested.tests
    painted = await run_in_threadpool(
        paint,
        desk.locale,
        view.measure,
        cells,
        tested.found,
        is_coarse=not desk.sees_cases,
        patterns=tests.patterns,
        local=tests.local,
    )
    data = MeasureData(
        **scene_of(desk),
        cells=cells,
        outlines=await shapes.outlines(view.level),
        parents=await outlines_above(shapes, view.level, desk.locale),
        painted=painted,
        found=tested.found,
        reason=tested.reason,
        tests=tests,
        total=counted.total,
        elsewhere=counted.elsewhere,
        compared=compared,
    )
    if view.layers:
        data = await _with_layers(desk, view, data, shapes)
    return MapPage(
        title=measure_title(desk.locale, view, data),
        view=view,
        frame=lambda **how: measure_frame(desk.locale, view, data, **_only(how)),
        context=lambda root: measure_context(desk.locale, view, data, root=root),
        sheet=lambda: measure_sheet(desk.locale, view, data),
        geojson=lambda _: _features(measure_geojson_values(view, data), shapes.cells[view.level]),
    )


async def _with_layers(desk: Desk, view: MeasureView, data: MeasureData, shapes: CellShapes) -> MeasureData:
    """Add the same cells for each major class or each ledger, all by one scale: counts, whatever is measured."""
    codes = [cell.code for cell in shapes.cells[view.level]]
    heading = translate(desk.locale, f"measures.layers.{view.layers}")
    everything = translate(desk.locale, "measures.layers.all")
    layers: list[tuple[str, str, Sequence[int]]] = [(everything, "", [cell.cases for cell in data.cells])]
    if view.layers == "ledger":
        choices = [(code, name, replace(view, ledger=code)) for code, name in data.choices["ledger"]]
    else:
        chosen = set(view.categories)
        choices = [
            (each.code, each.name(desk.locale), replace(view, categories=(each.code,)))
            for each in desk.reference.categories.values()
            if (each.parent in chosen or (each.code in chosen and each.parent)) or (not chosen and each.parent is None)
        ]
    for _, name, question in choices[:_MOST_LAYERS]:
        counted = await desk.by_cell(question, view.period)
        if counted.total:
            layers.append((name, heading, [counted.cells.get(code, NOTHING).cases for code in codes]))
    variants, legend, classes = paint_counts(
        desk.locale, layers, is_coarse=not desk.sees_cases, with_tips=len(codes) * len(layers) <= _MOST_TIPS
    )
    painted = replace(
        data.painted,
        tones=variants[0].tones,
        words=tuple(variants[0].tips) or data.painted.words,
        legend=legend,
        light=make_ramp(max(classes, 1)),
        dark=make_ramp(max(classes, 1), dark=True),
    )
    return replace(data, drawn=painted, variants=variants)


async def _read_time(desk: Desk, view: TimeView) -> MapPage:
    shapes = desk.shapes(view)
    steps = steps_of(view.period, view.step)
    cells = shapes.cells[view.level]
    counts, totals = await desk.by_step(view, steps, [cell.code for cell in cells])
    data = TimeData(
        **scene_of(desk),
        codes=[cell.code for cell in cells],
        names=[cell.name(desk.locale) for cell in cells],
        outlines=await shapes.outlines(view.level),
        parents=await outlines_above(shapes, view.level, desk.locale),
        steps=steps,
        counts=counts,
        totals=totals.tolist(),
        hours=await desk.by_hour_of_week(view),
    )
    return MapPage(
        title=time_title(desk.locale, view, data),
        view=view,
        frame=lambda **how: time_frame(desk.locale, view, data, **_only(how)),
        context=lambda root: time_context(desk.locale, view, data, root=root),
        sheet=lambda: time_sheet(desk.locale, view, data),
        geojson=lambda _: _features(time_geojson_values(data), cells),
    )


async def _read_compare(desk: Desk, view: CompareView) -> MapPage:
    shapes = desk.shapes(view)
    needs_more = view.measure in (Measure.LATE, Measure.HANDLING)
    first = await desk.by_cell(view, view.period, with_handling=needs_more)
    second = await desk.by_cell(view.second, view.other, with_handling=needs_more)
    sides = (_values(desk, shapes, view.level, first, None), _values(desk, shapes, view.level, second, None))
    painted = tuple(
        [
            await run_in_threadpool(
                paint, desk.locale, view.measure, mine, is_coarse=not desk.sees_cases, beside=theirs
            )
            for mine, theirs in (sides, sides[::-1])
        ]
    )
    data = CompareData(
        **scene_of(desk),
        cells=sides,
        painted=(painted[0], painted[1]),
        totals=(first.total, second.total),
        outlines=await shapes.outlines(view.level),
        parents=await outlines_above(shapes, view.level, desk.locale),
    )
    context = compare_context(desk.locale, view, data)
    return MapPage(
        title=str(context["title"]),
        view=view,
        frame=lambda side=0, **how: compare_frame(desk.locale, view, data, side, **how),
        context=lambda root: compare_context(desk.locale, view, data, root=root),
        sheet=lambda: compare_sheet(desk.locale, view, data),
        geojson=lambda _: _features(compare_geojson_values(data), shapes.cells[view.level]),
        single=lambda: compare_file(desk.locale, view, data),
    )


def _values(desk: Desk, shapes: CellShapes, level: int, counted: Counted, before: Counted | None) -> list[CellValue]:
    return [
        CellValue(
            code=cell.code,
            name=cell.name(desk.locale),
            population=cell.population,
            area_m2=cell.area_m2,
            cases=found.cases,
            decided=found.decided,
            late=found.late,
            handled=found.handled,
            median_minutes=found.median_minutes,
            before=before.cells.get(cell.code, NOTHING).cases if before else 0,
        )
        for cell in shapes.cells[level]
        for found in (counted.cells.get(cell.code, NOTHING),)
    ]


def _compared(view: MeasureView) -> Period | None:
    """Return the period to compare with: just before, or the same days of the year before."""
    if view.measure not in CHANGES:
        return None
    return view.period.before if view.measure is Measure.CHANGE_BEFORE else view.period.year_before


def _only(how: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out which of two maps is meant: here is one."""
    return {name: value for name, value in how.items() if name != "side"}


def _features(values: Sequence[Mapping[str, object]], cells: Sequence[CellShape]) -> str:
    """Write cells with what is told of them as GeoJSON. SRID: 4326."""
    boundaries = shapely.to_geojson(shapely.from_wkb([cell.boundary for cell in cells]))
    features = [
        b'{"type":"Feature","id":'
        + orjson.dumps(told["code"])
        + b',"properties":'
        + orjson.dumps(told)
        + b',"geometry":'
        + boundary.encode()
        + b"}"
        for told, boundary in zip(values, boundaries, strict=True)
    ]
    return '{"type":"FeatureCollection","features":[' + b",".join(features).decode() + "]}"


KINDS: Final[Mapping[str, MapKind]] = {
    "heat": MapKind(parse=parse_heat, read=_read_heat, template="heat.html"),
    "cells": MapKind(parse=parse_measure, read=_read_measure, template="measures.html"),
    "time": MapKind(parse=parse_time, read=_read_time, template="times.html"),
    "compare": MapKind(parse=parse_compare, read=_read_compare, template="compare.html"),
    "places": MapKind(parse=parse_places, read=read_places, template="places.html"),
}
