"""Reading the map of places: cases brought together, repeat sites, and where nobody looks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from weakref import WeakKeyDictionary

import shapely
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.concurrency import run_in_threadpool

from api.drawn_cells import CellShapes
from api.planner_counted import NOTHING
from api.planner_desk import Desk
from api.planner_page import MapPage
from api.planner_parts import outlines_above, scene_of
from dispatch.posts import find_head
from dispatch.queries import responsible_many
from dispatch.states import FINAL_STATES, CaseState
from geo.coverage import FindingKind, check_coverage
from geo.importing.measures import area_m2
from geo.storage.coverage_cells import read_coverage_cells
from maps.bins import HeatSpot, coarsen_spots, merge_small_bins
from maps.folium_page import Place
from maps.hotspots.near_repeats import Knox, TooManyPairsError, coarse_knox, knox
from maps.i18n import translate
from maps.places_page import (
    Gap,
    PlacesData,
    PlacesView,
    SitePlace,
    coarse_site,
    places_context,
    places_frame,
    places_sheet,
    places_title,
    sites_geojson,
)
from maps.suppression import coarsen

__all__ = ["read_places"]

#: Single cases on one map: the newest; more would only be clusters.
_MOST_CASES: Final = 3_000
_MOST_LADDERS: Final = 600
#: Holes smaller than this come from rounding. Units: square metres.
_SMALLEST_GAP_M2: Final = 1.0
_GAPS_KEPT: Final = 4
#: Pairs that a page waits for: about two seconds of permutations.
_MOST_PAIRS: Final = 250_000


async def read_places(desk: Desk, view: PlacesView) -> MapPage:
    """Read the page of places."""
    shapes = desk.shapes(view)
    cells = shapes.cells[view.level]
    counted = await desk.by_cell(view, view.period)
    together = await _cases(desk, view) if desk.sees_cases else await _squares(desk, view)
    outside, outside_left = await _outside(desk, view)
    near, too_many = await _near(desk, view) if view.near else (None, False)
    data = PlacesData(
        **scene_of(desk),
        codes=[cell.code for cell in cells],
        names=[cell.name(desk.locale) for cell in cells],
        outlines=await shapes.outlines(view.level),
        parents=await outlines_above(shapes, view.level, desk.locale),
        counts=[counted.cells.get(cell.code, NOTHING).cases for cell in cells],
        together=together,
        shown=len(together),
        total=counted.total,
        sites=await _sites(desk, view, shapes),
        outside=outside,
        outside_left=outside_left,
        gaps=await _gaps(desk),
        without_head=await _without_head(desk, shapes, view.level),
        knox=near,
        too_many_pairs=too_many,
    )
    return MapPage(
        title=places_title(desk.locale, view, data),
        view=view,
        frame=lambda side=0, **how: places_frame(desk.locale, view, data, **how),
        context=lambda root: places_context(desk.locale, view, data, root=root),
        sheet=lambda: places_sheet(desk.locale, view, data),
        geojson=lambda _: sites_geojson(data),
    )


async def _near(desk: Desk, view: PlacesView) -> tuple[Knox | None, bool]:
    """Return the table of near repeats; or that there are too many pairs, or that it cannot be had."""
    found = await desk.points_in_time(view)
    try:
        table = await run_in_threadpool(knox, found.x_m, found.y_m, found.days, most_pairs=_MOST_PAIRS)
    except TooManyPairsError:
        return None, True
    return (table if desk.sees_cases else coarse_knox(table)), False


async def _cases(desk: Desk, view: PlacesView) -> list[Place]:
    """Return the newest cases, each by its status; only for readers who may see them."""
    names = desk.reference.categories
    found = await desk.cases(view, most=_MOST_CASES)
    return [
        Place(
            lon=case.lon,
            lat=case.lat,
            weight=1,
            status=_status(case.state, is_late=case.due_at is not None and _passed(desk, case.due_at, case.handled_at)),
            words=f"{case.ref} · {names[case.category].name(desk.locale) if case.category in names else case.category}",
            key=case.ref,
        )
        for case in found
        if case.lon is not None and case.lat is not None
    ]


def _passed(desk: Desk, due_at: datetime, handled_at: datetime | None) -> bool:
    return (handled_at or desk.as_of) > due_at


def _status(state: CaseState, *, is_late: bool) -> str:
    if state in FINAL_STATES:
        return "done"
    return "late" if is_late else "normal"


async def _squares(desk: Desk, view: PlacesView) -> list[Place]:
    spots, _ = merge_small_bins(await desk.bins(view))
    return [_square(desk, spot) for spot in coarsen_spots(spots)]


async def _outside(desk: Desk, view: PlacesView) -> tuple[list[Place], int]:
    spots, left = merge_small_bins(await desk.bins(view, outside=True))
    if not desk.sees_cases:
        spots, left = coarsen_spots(spots), coarsen(left)
    return [_square(desk, spot) for spot in spots], left


def _square(desk: Desk, spot: HeatSpot) -> Place:
    words = translate(desk.locale, "planner.square.tip", side=50 * spot.sides, cases=f"{spot.cases:,}")
    return Place(lon=spot.lon, lat=spot.lat, weight=spot.cases, words=words)


async def _sites(desk: Desk, view: PlacesView, shapes: CellShapes) -> list[SitePlace]:
    """Return the repeat sites with the cell that the middle of each square lies in."""
    found = await desk.sites(view)
    if not found:
        return []
    lattice = await desk.lattice()
    middles = [lattice.bin(site.column, site.row, site.cases) for site in found]
    points = shapely.points([(middle.lon, middle.lat) for middle in middles])
    cells = shapes.cells[view.level]
    near = await run_in_threadpool(_nearest_cells, [cell.boundary for cell in cells], points)
    names = desk.reference.categories
    sites = [
        SitePlace(
            lon=middle.lon,
            lat=middle.lat,
            cell=cells[at].code,
            cell_name=cells[at].name(desk.locale),
            category=site.category,
            category_name=names[site.category].name(desk.locale) if site.category in names else site.category,
            cases=site.cases,
            days=len(site.days),
            first_on=site.days[0].isoformat(),
            last_on=site.days[-1].isoformat(),
            square=f"{site.column}.{site.row}",
        )
        for site, middle, at in zip(found, middles, near, strict=True)
    ]
    return sites if desk.sees_cases else [coarse_site(site) for site in sites]


def _nearest_cells(boundaries: Sequence[bytes], points: Any) -> list[int]:
    """Return the cell of each point; the nearest one when the middle of a square lies just outside."""
    tree = shapely.STRtree(shapely.from_wkb(list(boundaries)))
    return [int(at) for at in tree.nearest(points)]


# By engine, because numbers of versions mean something in one database only. A published drawing never changes.
_GAPS: WeakKeyDictionary[AsyncEngine, dict[int, list[tuple[float, float, float]]]] = WeakKeyDictionary()
_PROVING = asyncio.Lock()


async def _gaps(desk: Desk) -> list[Gap]:
    """Return the holes of the drawing; proven once for each version."""
    assert desk.version is not None
    kept = _GAPS.setdefault(desk.engine, {})
    async with _PROVING:
        if desk.version.id not in kept:
            cells = await read_coverage_cells(desk.unit, desk.version.id)
            report = await asyncio.to_thread(check_coverage, cells, area_m2)
            places = [
                (finding.where.representative_point(), finding.area_m2)
                for finding in report.findings
                if finding.kind in (FindingKind.GAP, FindingKind.HOLE) and finding.area_m2 >= _SMALLEST_GAP_M2
            ]
            while len(kept) >= _GAPS_KEPT:
                del kept[min(kept)]
            kept[desk.version.id] = [(point.x, point.y, area) for point, area in places]
    return [
        Gap(
            lon=lon,
            lat=lat,
            words=translate(desk.locale, "planner.gap.tip", area=f"{area:,.0f}"),
            area_m2=area,
        )
        for lon, lat, area in kept[desk.version.id]
    ]


async def _without_head(desk: Desk, shapes: CellShapes, level: int) -> list[str] | None:
    """Return the cells for which nobody of their own level can answer now; None when there are too many to ask."""
    cells = shapes.cells[level]
    if len(cells) > _MOST_LADDERS:
        return None
    ladders = await responsible_many(desk.unit, desk.jurisdiction, [cell.path for cell in cells], desk.as_of)
    bare = []
    for cell, ladder in zip(cells, ladders, strict=True):
        head = find_head(ladder)
        if head is None or head.rung.level < cell.level:
            bare.append(cell.name(desk.locale))
    return bare
