"""The planner's coloured cells: counts, per residents and area, lateness, handling time, hot spots, differences."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.container import Container, Reading, Wired
from api.drawn_cells import CellShapes, read_shapes
from api.formats import plain_cell
from api.language import COOKIE, locale_of
from api.measures_query import family_of, parse_measure
from api.planner_parts import category_choices, grid_name, outlines_above, refuse, without_grid
from api.planning import sees_everything
from api.templating import render
from dispatch.hotspots import CellMeasure, MeasureFilter, measure_by_cell
from dispatch.queries import database_now
from dispatch.reference import Reference
from dispatch.states import CaseState
from geo.errors import BadInputError, InvalidRequestError
from geo.storage.grid_versions import find_active
from geo.storage.uow import ReadUnit
from maps.facts.asking import Asked, Grid
from maps.findings import Period
from maps.hotspots.explaining import explain
from maps.hotspots.gi_star import HotSpots, find_hot_spots
from maps.hotspots.neighbours import Neighbours
from maps.i18n import LOCALES, Locale, translate
from maps.measure_page import MeasureData, MeasureView, csv_rows, geojson, measure_context, measure_frame
from maps.measures import CHANGES, CellValue, Measure, paint
from maps.own_files import content_security_policy

router = APIRouter(include_in_schema=False)

Planner = Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]
Word = Annotated[str | None, Query(max_length=80)]


class _Words:
    """The filters of the address, as written."""

    def __init__(
        self,
        first: Annotated[str | None, Query(alias="from", max_length=80)] = None,
        last: Annotated[str | None, Query(alias="to", max_length=80)] = None,
        measure: Word = None,
        level: Word = None,
        weights: Word = None,
        category: Word = None,
        channel: Word = None,
        ledger: Word = None,
        state: Word = None,
        cell: Word = None,
    ) -> None:
        self.given: dict[str, str | None] = {"from": first, "to": last, "measure": measure, "level": level}
        self.given |= {"weights": weights, "category": category, "channel": channel, "ledger": ledger}
        self.given |= {"state": state, "cell": cell}


Asking = Annotated[_Words, Depends(_Words)]


@router.get("/maps/cells")
async def read_cells_page(
    request: Request, unit: Reading, container: Wired, caller: Planner, asking: Asking
) -> Response:
    """The finding, the map in its frame, why a cell is red, the table, the definition."""
    locale = locale_of(request)
    try:
        view, data, _ = await _read(unit, container, caller, locale, asking.given)
    except InvalidRequestError as error:
        return refuse(request, locale, error)
    if data is None:
        return without_grid(request, locale)
    root = request.scope.get("root_path", "")
    response = render(
        "measures.html", await run_in_threadpool(measure_context, locale, view, data, root=root), locale=locale
    )
    if request.query_params.get("lang") in LOCALES:
        response.set_cookie(COOKIE, request.query_params["lang"], max_age=31_536_000, samesite="lax", httponly=True)
    return response


@router.get("/maps/cells/frame")
async def read_cells_frame(
    request: Request, unit: Reading, container: Wired, caller: Planner, asking: Asking, inline: Word = None
) -> Response:
    """The map as a document of its own; ``inline=1`` gives one file that works without any server."""
    locale = locale_of(request)
    try:
        view, data, _ = await _read(unit, container, caller, locale, asking.given)
    except InvalidRequestError as error:
        return refuse(request, locale, error)
    if data is None:
        return without_grid(request, locale)
    static_url = request.scope.get("root_path", "") + "/static"
    html = await run_in_threadpool(measure_frame, locale, view, data, static_url=static_url, inline=inline == "1")
    headers = {
        "Content-Security-Policy": content_security_policy(html),
        "Content-Language": locale,
        "Cache-Control": "no-store",
        "Vary": "Accept-Language, Cookie",
    }
    return Response(html, media_type="text/html; charset=utf-8", headers=headers)


@router.get("/maps/cells/file")
async def read_cells_file(
    request: Request, unit: Reading, container: Wired, caller: Planner, asking: Asking, form: Word = None
) -> Response:
    """The numbers of the map as CSV, or with the cells as GeoJSON."""
    locale = locale_of(request)
    if form not in (None, "csv", "geojson"):
        raise BadInputError("rates.unknown_form", pointer="/form", form=form, known="csv, geojson")
    view, data, shapes = await _read(unit, container, caller, locale, asking.given)
    if data is None or shapes is None:
        return without_grid(request, locale)
    name = f"gridward-{view.measure.value}-{view.period.from_on}-{view.period.to_on}"
    if form == "geojson":
        wkb = [cell.boundary for cell in shapes.cells[view.level]]
        boundaries = shapely.to_geojson(shapely.from_wkb(wkb))
        body = await run_in_threadpool(geojson, view, data, list(boundaries))
        kind, ending = "application/geo+json", "geojson"
    else:
        text = io.StringIO()
        lines = csv_rows(locale, view, data)
        # A name that begins like a formula stays a name; a negative number stays a number.
        csv.writer(text).writerows(
            [[plain_cell(cell) if k < _NAMES else cell for k, cell in enumerate(row)] for row in lines]
        )
        body, kind, ending = "\ufeff" + text.getvalue(), "text/csv; charset=utf-8", "csv"
    disposition = f'attachment; filename="{name}.{ending}"'
    return Response(body, media_type=kind, headers={"Content-Disposition": disposition, "Cache-Control": "no-store"})


_NAMES: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Context:
    """What one reading needs everywhere."""

    unit: ReadUnit
    container: Container
    caller: Caller
    reference: Reference
    zone: str
    version_id: int
    as_of: datetime


async def _read(
    unit: ReadUnit, container: Container, caller: Caller, locale: Locale, given: Mapping[str, str | None]
) -> tuple[MeasureView, MeasureData | None, CellShapes | None]:
    code = container.settings.jurisdiction
    reference = await container.reference.get()
    jurisdiction = reference.jurisdictions.get(code)
    zone = jurisdiction.time_zone if jurisdiction else "Asia/Shanghai"
    as_of = await database_now(unit)
    today = as_of.astimezone(ZoneInfo(zone)).date()
    active = await find_active(unit, code) if jurisdiction else None
    shapes = await read_shapes(unit, container.engine, active.id) if active else None
    view = parse_measure(given, reference, today=today, shapes=shapes)
    if active is None or shapes is None or jurisdiction is None:
        return view, None, None
    context = _Context(
        unit=unit,
        container=container,
        caller=caller,
        reference=reference,
        zone=zone,
        version_id=active.id,
        as_of=as_of,
    )
    compared = _compared(view)
    now = await _measure(context, view, view.period)
    before = await _measure(context, view, compared) if compared else {}
    cells = [
        CellValue(
            code=cell.code,
            name=cell.name(locale),
            population=cell.population,
            area_m2=cell.area_m2,
            cases=found.cases,
            decided=found.decided,
            late=found.late,
            median_minutes=found.median_minutes,
            before=before.get(cell.code, _NOTHING).cases,
        )
        for cell in shapes.cells[view.level]
        for found in (now.get(cell.code, _NOTHING),)
    ]
    neighbours = await shapes.neighbours(view.level, view.weights) if view.measure is Measure.HOT_SPOTS else None
    found, reason = await run_in_threadpool(_test, cells, neighbours, view.cell)
    data = MeasureData(
        cells=cells,
        outlines=await shapes.outlines(view.level),
        parents=await outlines_above(shapes, view.level, locale),
        painted=await run_in_threadpool(paint, locale, view.measure, cells, found),
        found=found,
        reason=reason,
        elsewhere=sum(each.cases for key, each in now.items() if key.startswith("-")),
        compared=compared,
        as_of=as_of,
        today=today,
        time_zone=zone,
        place=jurisdiction.name(locale),
        grid_name=grid_name(locale, active),
        categories=category_choices(locale, list(reference.categories.values())),
        choices=_choices(locale, reference),
        levels=shapes.levels,
    )
    return view, data, shapes


_NOTHING: Final = CellMeasure(cases=0, decided=0, late=0, median_minutes=None)


def _test(cells: Sequence[CellValue], neighbours: Neighbours | None, chosen: str) -> tuple[HotSpots | None, Any]:
    """Find the hot spots, and why the chosen cell has its colour. The seed is fixed: the same data, the same map."""
    if neighbours is None:
        return None, None
    values = np.array([cell.cases for cell in cells], dtype=np.float64)
    found = find_hot_spots(values, neighbours)
    codes = [cell.code for cell in cells]
    reason = explain(codes.index(chosen), values, codes, neighbours, found) if chosen in codes else None
    return found, reason


def _compared(view: MeasureView) -> Period | None:
    """Return the period to compare with: just before, or the same days of the year before (29 February: the 28th)."""
    if view.measure not in CHANGES:
        return None
    if view.measure is Measure.CHANGE_BEFORE:
        return view.period.before
    return Period(from_on=_a_year_before(view.period.from_on), to_on=_a_year_before(view.period.to_on))


def _a_year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


async def _measure(context: _Context, view: MeasureView, period: Period) -> dict[str, CellMeasure]:
    """Count in the columns for those who see everything; for everybody else behind their own policies."""
    families = family_of(context.reference, view.category)
    channels = frozenset({view.channel}) if view.channel else None
    ledgers = frozenset({view.ledger}) if view.ledger else None
    states = frozenset({view.state}) if view.state else None
    if sees_everything(context.caller.viewer):
        store = await context.container.facts.current()
        asked = Asked(
            from_on=period.from_on,
            to_on=period.to_on,
            categories=families,
            channels=channels,
            ledgers=ledgers,
            states=states,
        )
        grid = Grid(version_id=context.version_id, level=view.level)
        needs_more = view.measure in (Measure.LATE, Measure.HANDLING)
        found = await run_in_threadpool(store.by_cell, asked, grid, as_of=context.as_of, with_handling=needs_more)
        measured = {
            code: CellMeasure(
                cases=int(cases),
                decided=int(decided),
                late=int(late),
                median_minutes=None if minutes != minutes else float(minutes),
            )
            for code, cases, decided, late, minutes in zip(
                found.codes, found.cases, found.decided, found.late, found.median_minutes, strict=True
            )
        }
        elsewhere = found.out_of_grid + found.no_position + found.above_level + found.other_version
        return measured | {"-elsewhere": CellMeasure(cases=elsewhere, decided=0, late=0, median_minutes=None)}
    zone = ZoneInfo(context.zone)
    chosen = MeasureFilter(
        jurisdiction=context.container.settings.jurisdiction,
        reported_from=datetime.combine(period.from_on, time.min, zone).astimezone(UTC),
        reported_until=datetime.combine(period.to_on + timedelta(days=1), time.min, zone).astimezone(UTC),
        categories=_words(families),
        channels=_words(channels),
        ledgers=_words(ledgers),
        states=_words(states),
    )
    return await measure_by_cell(
        context.unit.connection, chosen, version_id=context.version_id, level=view.level, as_of=context.as_of
    )


def _words(given: frozenset[str] | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(sorted(given))


def _choices(locale: Locale, reference: Reference) -> dict[str, list[tuple[str, str]]]:
    def named(zh: str, en: str, code: str) -> str:
        return (en if locale == "en" else zh) or zh or code

    return {
        "channel": [(c.code, c.name(locale)) for c in reference.channels.values()],
        "ledger": [(each.code, named(each.name_zh, each.name_en, each.code)) for each in reference.ledgers.values()],
        "state": [(state.value, translate(locale, f"state.{state.value}")) for state in CaseState],
    }
