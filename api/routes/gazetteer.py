"""The gazetteer: search places by words, bring a file of them in, remove one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Container, Reading, Wired, Writing
from api.language import locale_of
from api.place_schemas import PlacesOut, PlacesStoredOut
from api.rendering import cell_json
from api.schemas import SoundText, problems
from geo.coordinates import CoordSys
from geo.errors import NotFoundError
from geo.gazetteer.importing import read_places
from geo.gazetteer.places import Candidate, choose
from geo.locating import locate
from geo.storage.gazetteer import count_places, delete_place, search_places, store_places
from maps.i18n import Locale

router = APIRouter(tags=["places"])


@router.get(
    "/v1/places",
    response_model=None,
    responses={200: {"model": PlacesOut}, **problems(400, 401, 403, 422, 503)},
)
async def find_places(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    q: Annotated[
        SoundText, Query(min_length=1, max_length=400, description="Words: an estate, a courtyard, two roads, an alias")
    ],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """Places that words may mean, the likeliest first, each with its cells."""
    locale = locale_of(request)
    found = await search_places(unit, container.settings.jurisdiction, q, most=50)
    places = [await _place_json(unit, container, one, locale) for one in found[:limit]]
    return json_answer({"query": q, "is_sure": choose(found) is not None, "places": places}, locale=locale)


@router.post(
    "/v1/places:import",
    response_model=None,
    responses={200: {"model": PlacesStoredOut}, **problems(400, 401, 403, 413, 422, 503)},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {
                    "schema": {"type": "string"},
                    "example": "名称,类型,经度,纬度\n锦绣小区,小区,113.61,34.75",
                },
                "application/geo+json": {"schema": {"type": "object"}},
            },
        }
    },
)
async def import_places(
    request: Request,
    unit: Writing,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.GRID_WRITE))],
    coord_sys: Annotated[CoordSys | None, Query(description="Of the whole file; a column of that name wins")] = None,
    replace: Annotated[bool, Query(description="Places that the file does not have go away")] = False,
    dry_run: Annotated[bool, Query(description="Check the file and write nothing")] = False,
) -> Response:
    """Bring in a file of places (CSV or GeoJSON, at most 200,000): all of it, or every wrong row named."""
    data = await request.body()
    # A big file takes a second or two to read: not on the loop that answers everybody else.
    records = await asyncio.to_thread(read_places, data, coord_sys=coord_sys)
    jurisdiction = container.settings.jurisdiction
    stored, removed = len(records), 0
    if not dry_run:
        stored, removed = await store_places(unit, jurisdiction, records, replace=replace)
    answer = {
        "stored": stored,
        "removed": removed,
        "total": await count_places(unit, jurisdiction),
        "dry_run": dry_run,
    }
    return json_answer(answer, locale=locale_of(request))


@router.delete(
    "/v1/places/{place}", status_code=204, response_model=None, responses=problems(400, 401, 403, 404, 422, 503)
)
async def remove_place(
    unit: Writing,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.GRID_WRITE))],
    place: Annotated[int, Path(ge=1, le=2**63 - 1)],
) -> Response:
    """Remove one place; cases that were placed by it stay as they are."""
    if not await delete_place(unit, container.settings.jurisdiction, place):
        raise NotFoundError("place.not_found", place=place)
    return Response(status_code=204)


async def _place_json(unit: Reading, container: Container, one: Candidate, locale: Locale) -> dict[str, object]:
    place = one.place
    grid = container.live.index.at(datetime.now(UTC))
    if grid is not None:
        chain = grid.chain(place.lon, place.lat)
    else:
        chain = (await locate(unit, container.live.jurisdiction, place.lon, place.lat)).chain
    return {
        "id": place.id,
        "kind": place.kind.value,
        "name": (place.name_en if locale == "en" else place.name_zh) or place.name_zh,
        "aliases": list(place.aliases),
        "precision": one.precision.value,
        "score": one.score,
        "radius_m": place.radius_m,
        "location": {"lon": place.lon, "lat": place.lat},
        "chain": [cell_json(cell, locale) for cell in chain],
    }
