"""Statistics of cells over HTTP: hot spots, why one is red, clusters of values, rates of few residents, histories."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from api.answers import json_answer
from api.container import Counting, Wired
from api.hotspots_json import (
    emerging_json,
    finder_json,
    frame_json,
    gi_json,
    knox_json,
    local_json,
    moran_json,
    number,
    reason_json,
)
from api.hotspots_reading import Asking, HotspotsRead, Planner, Word, read_hotspots
from api.language import locale_of
from api.rates_query import one_of
from api.schemas import problems
from dispatch.rates import patrol_channels
from geo.errors import BadInputError, Fault, InvalidRequestError, NotFoundError
from maps.facts.asking import day_of
from maps.facts.keeping import SQUARE_M
from maps.hotspots.emerging import FEWEST_STEPS, find_emerging
from maps.hotspots.explaining import explain
from maps.hotspots.gi_star import PERMUTATIONS, HotSpots, find_hot_spots
from maps.hotspots.moran import local_moran, moran
from maps.hotspots.near_repeats import MOST_PAIRS, TooManyPairsError, knox
from maps.hotspots.neighbours import Neighbours
from maps.hotspots.significance import FEWEST_CELLS
from maps.hotspots.sites import find_repeat_sites, split_by_finder
from maps.hotspots.smoothing import bayes_global, bayes_local
from maps.hotspots.sources import Statistic
from maps.i18n import translate
from maps.suppression import SMALL_COUNT, Disclosure, coarsen

router = APIRouter(tags=["hotspots"])

_STEPS: Final = {"day": 1, "week": 7, "month": 30}
_FEWEST_FOR_MORAN: Final = 4
_PROBLEMS: Final = problems(400, 401, 403, 404, 422)


def _gi(read: HotspotsRead, cases: Any, neighbours: Neighbours) -> HotSpots:
    return find_hot_spots(
        cases.astype(np.float64), neighbours, null=read.null, permutations=read.permutations, seed=read.seed
    )


@router.get("/v1/hotspots", responses=_PROBLEMS)
async def read_hot_spots(
    request: Request, unit: Counting, container: Wired, caller: Planner, asking: Asking
) -> Response:
    """Getis-Ord Gi* of every cell of a level, and Moran's I of the whole map."""
    locale = locale_of(request)
    read = await read_hotspots(unit, container, caller, asking)
    neighbours, cases = await read.neighbours(), await read.cases()
    found = await run_in_threadpool(_gi, read, cases, neighbours)
    body = await run_in_threadpool(gi_json, locale, read, found, cases, neighbours)
    return json_answer(body, locale=locale)


@router.get("/v1/hotspots/cells/{code}", responses=_PROBLEMS)
async def read_why(
    request: Request, unit: Counting, container: Wired, caller: Planner, asking: Asking, code: str
) -> Response:
    """Why a cell is red, blue or white: its numbers, its neighbours, p, sample size, and what it does not mean."""
    locale = locale_of(request)
    read = await read_hotspots(unit, container, caller, asking)
    codes = [cell.code for cell in read.cells]
    if code not in codes:
        raise NotFoundError("maps.unknown_cell", cell=code[:80])
    neighbours, cases = await read.neighbours(), await read.cases()
    found = await run_in_threadpool(_gi, read, cases, neighbours)
    reason = explain(codes.index(code), cases.astype(np.float64), codes, neighbours, found)
    return json_answer(reason_json(locale, read, reason, cases, neighbours), locale=locale)


@router.get("/v1/hotspots/moran", responses=_PROBLEMS)
async def read_moran(request: Request, unit: Counting, container: Wired, caller: Planner, asking: Asking) -> Response:
    """Moran's I of the whole map, and of each cell."""
    locale = locale_of(request)
    read = await read_hotspots(unit, container, caller, asking)
    neighbours, cases = await read.neighbours(), await read.cases()
    draws = read.permutations or PERMUTATIONS
    values = cases.astype(np.float64)
    body = frame_json(locale, read, Statistic.MORAN, Statistic.LOCAL_MORAN, Statistic.FDR)
    if len(values) >= _FEWEST_FOR_MORAN:
        whole = await run_in_threadpool(moran, values, neighbours, permutations=draws, seed=read.seed)
        body["global"] = moran_json(whole)
    else:
        body["global"] = None
    local = await run_in_threadpool(local_moran, values, neighbours, permutations=draws, seed=read.seed)
    body |= {"permutations": draws, "seed": read.seed, "cells": local_json(locale, read, local, cases, neighbours)}
    return json_answer(body, locale=locale)


@router.get("/v1/hotspots/rates", responses=_PROBLEMS)
async def read_bayes(request: Request, unit: Counting, container: Wired, caller: Planner, asking: Asking) -> Response:
    """Cases per 1,000 residents, raw and by empirical Bayes, towards the whole map and towards the neighbours."""
    locale = locale_of(request)
    read = await read_hotspots(unit, container, caller, asking)
    neighbours, cases = await read.neighbours(), await read.cases()
    disclosures = read.disclosures(cases)
    residents = np.array([cell.population or 0 for cell in read.cells], dtype=np.float64)
    values = cases.astype(np.float64)
    towards_all, towards_near = bayes_global(values, residents), bayes_local(values, residents, neighbours)
    cells = []
    for k, cell in enumerate(read.cells):
        is_open = disclosures[k] in (Disclosure.SHOWN, Disclosure.NONE)
        lived = residents[k] > 0
        raw = 1000 * values[k] / residents[k] if lived else np.nan
        cells.append(
            {
                "code": cell.code,
                "name": cell.name(locale),
                "cases": int(cases[k]) if is_open else None,
                "disclosure": disclosures[k],
                "residents": cell.population,
                "raw_per_1000": number(raw, 6) if is_open else None,
                "bayes_per_1000": number(1000 * towards_all[k], 6) if is_open else None,
                "bayes_near_per_1000": number(1000 * towards_near[k], 6) if is_open else None,
            }
        )
    return json_answer(frame_json(locale, read, Statistic.EMPIRICAL_BAYES) | {"cells": cells}, locale=locale)


@router.get("/v1/hotspots/emerging", responses=_PROBLEMS)
async def read_emerging(
    request: Request,
    unit: Counting,
    container: Wired,
    caller: Planner,
    asking: Asking,
    step: Annotated[str | None, Query(max_length=80, description="day, week or month (30 days)")] = None,
) -> Response:
    """Classes of emerging hot and cold spots: Gi* of each step, and the Mann–Kendall trend of it."""
    locale = locale_of(request)
    faults: list[Fault] = []
    word = one_of("step", {"step": step}, _STEPS, "week", faults)
    if faults:
        raise InvalidRequestError(faults)
    read = await read_hotspots(unit, container, caller, asking)
    days = _STEPS[word]
    # The last step is a whole one: a short one would always look like a decline.
    whole = read.period.days // days
    first = read.period.from_on.toordinal() + read.period.days - whole * days
    body = frame_json(locale, read, Statistic.EMERGING, Statistic.GI_STAR, Statistic.FDR)
    body |= {"step": word, "steps": whole, "fewest_steps": FEWEST_STEPS, "is_tested": False, "cells": []}
    if whole >= FEWEST_STEPS and len(read.cells) >= FEWEST_CELLS:
        asked = replace(read.asked, from_on=read.period.from_on.fromordinal(first))
        neighbours = await read.neighbours()
        values = await run_in_threadpool(read.store.by_day_and_place, asked, read.grid, step_days=days)
        told = read.told(values[:, read.kept]).astype(np.float64)
        found = await run_in_threadpool(find_emerging, told, neighbours, seed=read.seed, null=read.null)
        if found is not None:
            body |= {"is_tested": True, "cells": emerging_json(locale, read, found)}
    return json_answer(body, locale=locale)


@router.get("/v1/hotspots/near-repeats", responses=_PROBLEMS)
async def read_near_repeats(
    request: Request, unit: Counting, container: Wired, caller: Planner, asking: Asking
) -> Response:
    """Knox's table: pairs of cases close in space and in time, beside what chance gives."""
    locale = locale_of(request)
    read = await read_hotspots(unit, container, caller, asking)
    places = await run_in_threadpool(
        read.store.places_and_days, read.asked, read.drawing.version.id, is_recut=read.drawing.is_recut
    )
    when = places["day"] + places["hour"] / 24
    try:
        found = await run_in_threadpool(
            knox, places["column"] * SQUARE_M, places["row"] * SQUARE_M, when, seed=read.seed
        )
    except TooManyPairsError:
        raise BadInputError("maps.too_many_pairs", pointer="/from", pairs=f"{MOST_PAIRS:,}") from None
    body = frame_json(locale, read, Statistic.KNOX) | {"square_m": SQUARE_M}
    body |= knox_json(found, is_coarse=not read.sees_cases)
    return json_answer(body, locale=locale)


@router.get("/v1/hotspots/repeat-sites", responses=_PROBLEMS)
async def read_repeat_sites(
    request: Request,
    unit: Counting,
    container: Wired,
    caller: Planner,
    asking: Asking,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Squares of 50 m where cases of one class come back on different days, most cases first."""
    locale = locale_of(request)
    read = await read_hotspots(unit, container, caller, asking)
    places = await run_in_threadpool(
        read.store.places_and_days, read.asked, read.drawing.version.id, is_recut=read.drawing.is_recut
    )
    words = read.store.words
    keys = places["row"].astype(np.int64) * 2**32 + (places["column"] + 2**31)
    found = await run_in_threadpool(find_repeat_sites, keys, places["category"], places["day"])
    sites, exact = [], read.sees_cases
    for site in found[:limit]:
        row, column = site.site // 2**32, site.site % 2**32 - 2**31
        category = words.categories[site.category]
        known = read.reference.categories.get(category)
        sites.append(
            {
                "lon": round((column + 0.5) * words.side_lon, 6),
                "lat": round((row + 0.5) * words.side_lat, 6),
                "category": category,
                "category_name": known.name(locale) if known else category,
                "cases": site.cases if exact else coarsen(site.cases),
                "days": site.days if exact else coarsen(site.days),
                "first_day": day_of(site.first_day).isoformat() if exact else None,
                "last_day": day_of(site.last_day).isoformat() if exact else None,
                "median_gap_days": site.median_gap if exact else None,
            }
        )
    body = frame_json(locale, read, Statistic.REPEAT_SITES) | {
        "square_m": SQUARE_M,
        "found": len(found) if exact else coarsen(len(found)),
        "sites": sites,
    }
    return json_answer(body, locale=locale)


@router.get("/v1/hotspots/finders", responses=_PROBLEMS)
async def read_finders(request: Request, unit: Counting, container: Wired, caller: Planner, asking: Asking) -> Response:
    """What patrols found beside what citizens reported, by cell, against the whole map."""
    locale = locale_of(request)
    read = await read_hotspots(unit, container, caller, asking)
    everything = await read.exact()
    channels = frozenset(await patrol_channels(unit))
    chosen = read.asked.channels
    wanted = channels if chosen is None else channels & chosen
    found = await read.exact(replace(read.asked, channels=wanted))
    # Each side by itself in steps: the difference of two steps would be neither.
    cases, patrol, citizen = (read.told(each) for each in (everything, found, everything - found))
    splits = split_by_finder(patrol, citizen)
    sums = [int(read.told(each.sum())) for each in (found, everything - found)]
    body = frame_json(locale, read, Statistic.FINDERS)
    body |= {
        "patrol_channels": sorted(channels),
        "patrol": _shown(sums[0]),
        "citizen": _shown(sums[1]),
        "caution": translate(locale, "hotspots.not.finders"),
        "cells": finder_json(locale, read, splits, cases),
    }
    return json_answer(body, locale=locale)


def _shown(count: int) -> int | None:
    return count if count == 0 or count >= SMALL_COUNT else None


@router.get("/v1/clusters", responses=_PROBLEMS)
async def read_clusters(
    request: Request,
    unit: Counting,
    container: Wired,
    caller: Planner,
    asking: Asking,
    bbox: Annotated[str, Query(max_length=200, description="west,south,east,north in degrees")],
    zoom: Annotated[float, Query(ge=0, le=22)],
    every: Word = None,
) -> Response:
    """Clusters of a window at a zoom of web maps, as GeoJSON; with ``every=1`` of all days and classes."""
    locale = locale_of(request)
    window = _window(bbox)
    read = await read_hotspots(unit, container, caller, asking)
    asked = read.asked
    if every == "1":
        asked = replace(asked, from_on=day_of(0), to_on=day_of(65_535))
    found = await run_in_threadpool(read.store.clusters, asked, 0, zoom, window)
    words = read.store.words
    features = []
    for k in range(len(found.cases)):
        cases = int(found.cases[k])
        is_small = cases < SMALL_COUNT
        # A small cluster stands in the middle of its own square: the mean of two cases would be where they are. So does
        # every cluster for those who see no cases: how a mean moves with one case more says where that one is.
        column = (
            ((int(found.column[k]) + 0.5) * 2**found.level + read.store.base.west)
            if is_small or not read.sees_cases
            else float(found.middle_column[k])
        )
        row = (
            ((int(found.row[k]) + 0.5) * 2**found.level + read.store.base.south)
            if is_small or not read.sees_cases
            else float(found.middle_row[k])
        )
        features.append(
            {
                "type": "Feature",
                "geometry": {
                    "type": "Point",
                    "coordinates": [round(column * words.side_lon, 5), round(row * words.side_lat, 5)],
                },
                "properties": {
                    "cases": None if is_small else cases if read.sees_cases else coarsen(cases),
                    "is_small": is_small,
                },
            }
        )
    return json_answer(
        {
            "type": "FeatureCollection",
            "as_of": frame_json(locale, read)["as_of"],
            "side_m": SQUARE_M * 2**found.level,
            "small_count": SMALL_COUNT,
            "features": features,
        },
        locale=locale,
        media_type="application/geo+json",
    )


def _window(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west, south, east, north = 1.0, 0.0, 0.0, 0.0
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise BadInputError("maps.bad_bbox", pointer="/bbox", bbox=text[:80])
    return west, south, east, north
