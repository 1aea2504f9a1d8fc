"""The planner's heat-map: the page, and the Folium document in its sandboxed frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.access import require
from api.accounts.keys import Caller, Scope
from api.container import Container, Reading, Wired
from api.drawn_cells import read_shapes
from api.language import COOKIE, locale_of
from api.measures_query import family_of
from api.planner_parts import category_choices, grid_name, outlines_above, refuse, without_grid
from api.planning import sees_everything
from api.templating import render
from dispatch.hotspots import CellCounts, HotspotFilter, bin_points, count_by_cell, count_cases
from dispatch.queries import database_now
from dispatch.reference import Reference
from geo.errors import Fault, InvalidRequestError
from geo.storage.grid_versions import find_active
from geo.storage.uow import ReadUnit
from maps.bins import Bin, Lattice
from maps.facts.asking import Asked, Grid
from maps.facts.keeping import SQUARE_M
from maps.findings import Period
from maps.heat import DrawnCell, HeatData, HeatView, frame_html, page_context
from maps.i18n import LOCALES, Locale
from maps.own_files import content_security_policy

router = APIRouter(include_in_schema=False)

_USUAL_DAYS: Final = 30
_MOST_DAYS: Final = 3660
_FIRST_DAY: Final = date(2000, 1, 1)
_DEFAULT_LEVEL: Final = 3

Text = Annotated[str | None, Query(max_length=64)]
Planner = Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]


@router.get("/maps/heat")
async def read_heat_page(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Planner,
    first: Annotated[str | None, Query(alias="from", max_length=64)] = None,
    last: Annotated[str | None, Query(alias="to", max_length=64)] = None,
    category: Text = None,
    level: Text = None,
    rows: Text = None,
) -> Response:
    """The finding, the filters, the map in its frame, the table that the map draws, and the definitions."""
    locale = locale_of(request)
    root = request.scope.get("root_path", "")
    try:
        view, data = await _read(unit, container, caller, locale, first, last, category, level, with_before=True)
    except InvalidRequestError as error:
        return refuse(request, locale, error)
    if data is None:
        return without_grid(request, locale)
    context = await run_in_threadpool(page_context, locale, replace(view, all_rows=rows == "all"), data, root=root)
    response = render("heat.html", context, locale=locale)
    asked = request.query_params.get("lang")
    if asked in LOCALES:
        response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax", httponly=True)
    return response


@router.get("/maps/heat/frame")
async def read_heat_frame(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Planner,
    first: Annotated[str | None, Query(alias="from", max_length=64)] = None,
    last: Annotated[str | None, Query(alias="to", max_length=64)] = None,
    category: Text = None,
    level: Text = None,
    inline: Text = None,
) -> Response:
    """The map as a document of its own; ``inline=1`` gives one file that works without any server."""
    locale = locale_of(request)
    try:
        view, data = await _read(unit, container, caller, locale, first, last, category, level, with_before=False)
    except InvalidRequestError as error:
        return refuse(request, locale, error)
    if data is None:
        return without_grid(request, locale)
    static_url = request.scope.get("root_path", "") + "/static"
    # Some tenths of a second of arithmetic at worst: not on the event loop.
    html = await run_in_threadpool(frame_html, locale, view, data, static_url=static_url, inline=inline == "1")
    return Response(
        html,
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": content_security_policy(html),
            "Content-Language": locale,
            "Cache-Control": "no-store",
            "Vary": "Accept-Language, Cookie",
        },
    )


async def _from_facts(
    container: Container, reference: Reference, view: HeatView, version_id: int, as_of: datetime, *, with_before: bool
) -> tuple[CellCounts, list[Bin], int | None]:
    """Count in the columns: milliseconds where the database needs seconds. For those who see every case."""
    store = await container.facts.current()
    asked = Asked(
        from_on=view.period.from_on,
        to_on=view.period.to_on,
        categories=family_of(reference, view.category or ""),
    )
    found = await run_in_threadpool(store.by_cell, asked, Grid(version_id=version_id, level=view.level), as_of=as_of)
    squares = await run_in_threadpool(store.by_square, asked, version_id)
    lattice = Lattice(side_lon=store.words.side_lon, side_lat=store.words.side_lat)
    earlier = replace(asked, from_on=view.period.before.from_on, to_on=view.period.before.to_on)
    before = await run_in_threadpool(store.count, earlier) if with_before else None
    counts = CellCounts(
        by_code={code: cases for code, cases in zip(found.codes, found.cases.tolist(), strict=True) if cases},
        out_of_grid=found.out_of_grid,
        no_position=found.no_position,
        above_level=found.above_level,
        other_version=found.other_version,
    )
    parts = (part.tolist() for part in squares)
    return counts, [lattice.bin(column, row, cases) for column, row, cases in zip(*parts, strict=True)], before


async def _read(
    unit: ReadUnit,
    container: Container,
    caller: Caller,
    locale: Locale,
    first: str | None,
    last: str | None,
    category: str | None,
    level: str | None,
    *,
    with_before: bool,
) -> tuple[HeatView, HeatData | None]:
    """Read everything for one view; None for the data when there is no active grid."""
    code = container.settings.jurisdiction
    reference = await container.reference.get()
    jurisdiction = reference.jurisdictions.get(code)
    active = await find_active(unit, code) if jurisdiction else None
    time_zone = jurisdiction.time_zone if jurisdiction else "Asia/Shanghai"
    as_of = await database_now(unit)
    today = as_of.astimezone(ZoneInfo(time_zone)).date()
    shapes = await read_shapes(unit, container.engine, active.id) if active else None
    levels = shapes.levels if shapes else (1,)
    view = _parse_view(first, last, category, level, today=today, levels=levels, categories=reference.categories)
    if active is None or shapes is None or jurisdiction is None:
        return view, None
    if sees_everything(caller.viewer):
        counts, bins, before = await _from_facts(container, reference, view, active.id, as_of, with_before=with_before)
    else:
        chosen = _filter(code, view.period, view.category, time_zone)
        counts = await count_by_cell(unit.connection, chosen, version_id=active.id, level=view.level)
        lattice = Lattice.at(shapes.middle_lat, side_m=SQUARE_M)
        squares = await bin_points(
            unit.connection, chosen, version_id=active.id, side_lon=lattice.side_lon, side_lat=lattice.side_lat
        )
        bins = [lattice.bin(square.column, square.row, square.cases) for square in squares]
        before = None
        if with_before:
            earlier = _filter(code, view.period.before, view.category, time_zone)
            before = await count_cases(unit.connection, earlier)
    outlines = await shapes.outlines(view.level)
    return view, HeatData(
        cells=[
            DrawnCell(
                code=cell.code,
                name=cell.name(locale),
                population=cell.population,
                area_m2=cell.area_m2,
                cases=counts.by_code.get(cell.code, 0),
            )
            for cell in shapes.cells[view.level]
        ],
        outlines=outlines,
        parents=await outlines_above(shapes, view.level, locale),
        bins=bins,
        metric_srid=shapes.metric_srid,
        before=before,
        out_of_grid=counts.out_of_grid,
        no_position=counts.no_position,
        above_level=counts.above_level,
        other_version=counts.other_version,
        as_of=as_of,
        today=today,
        time_zone=time_zone,
        place=jurisdiction.name(locale),
        grid_name=grid_name(locale, active),
        categories=category_choices(locale, list(reference.categories.values())),
        levels=levels,
    )


def _parse_view(
    first: str | None,
    last: str | None,
    category: str | None,
    level: str | None,
    *,
    today: date,
    levels: Sequence[int],
    categories: Mapping[str, object],
) -> HeatView:
    """Read the address; every wrong part is named at once.

    Raises
    ------
    InvalidRequestError
        ``maps.bad_date``, ``maps.date_order``, ``maps.period_too_long``, ``maps.unknown_category``,
        ``maps.unknown_level``.
    """
    faults: list[Fault] = []
    to_on = _parse_day(last, "/to", faults) or today
    from_on = _parse_day(first, "/from", faults) or to_on - timedelta(days=_USUAL_DAYS - 1)
    if not faults and from_on > to_on:
        facts = {"first": from_on.isoformat(), "last": to_on.isoformat()}
        faults.append(Fault(code="maps.date_order", pointer="/from", params=facts))
    elif not faults and (to_on - from_on).days >= _MOST_DAYS:
        faults.append(Fault(code="maps.period_too_long", pointer="/from", params={"days": _MOST_DAYS}))
    if category and category not in categories:
        faults.append(Fault(code="maps.unknown_category", pointer="/category", params={"category": category}))
    wanted = min(_DEFAULT_LEVEL, max(levels))
    if level and not (level.isascii() and level.isdigit() and int(level) in levels):
        known = ", ".join(map(str, levels))
        faults.append(Fault(code="maps.unknown_level", pointer="/level", params={"level": level, "known": known}))
    elif level:
        wanted = int(level)
    if faults:
        raise InvalidRequestError(faults)
    return HeatView(period=Period(from_on=from_on, to_on=to_on), category=category or None, level=wanted)


def _parse_day(text: str | None, pointer: str, faults: list[Fault]) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not _FIRST_DAY <= day <= date(2199, 12, 31):
        faults.append(Fault(code="maps.bad_date", pointer=pointer, params={"date": text}))
        return None
    return day


def _filter(jurisdiction: str, period: Period, category: str | None, time_zone: str) -> HotspotFilter:
    """Turn days into instants. Zone: midnight in the jurisdiction's zone. Boundary: the last day is included."""
    zone = ZoneInfo(time_zone)
    until = period.to_on + timedelta(days=1)
    return HotspotFilter(
        jurisdiction=jurisdiction,
        reported_from=datetime.combine(period.from_on, time.min, zone).astimezone(UTC),
        reported_until=datetime.combine(until, time.min, zone).astimezone(UTC),
        category=category,
    )
