"""Vector tiles of the cells, with TileJSON. Drawn by anything that reads MVT: MapLibre, protomaps-leaflet, QGIS."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer, quoted
from api.container import Container, Wired
from api.kept_tiles import KeptTiles, kept_tiles
from api.language import locale_of
from api.schemas import problems
from geo.cells import VersionStatus
from geo.errors import NotFoundError
from geo.storage.grid_versions import GridVersion, find_active, get_version
from geo.storage.uow import statement_unit
from geo.tiles import ALL_LEVELS, MOST_ZOOM, LevelExtent, TileAddress, first_zoom, layer_of, parse_address
from maps.i18n import translate

router = APIRouter(tags=["tiles"])

MVT: Final = "application/vnd.mapbox-vector-tile"
#: Goes into every entity tag; counts up when tiles are drawn otherwise than before.
_DRAWING: Final = 1
#: Closer than this a reader enlarges what it has: a unit is 15 cm there.
_CLOSEST_ZOOM: Final = 16
_A_YEAR_S: Final = 31_536_000

Version = Annotated[
    int | None,
    Query(ge=1, le=2_000_000_000, description="Number of a grid version; without it the active one"),
]


@router.get(
    "/tiles/{layer}.json",
    response_model=None,
    responses={
        200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "TileJSON 3.0"},
        304: {"description": "Not changed"},
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_tilejson(
    request: Request,
    container: Wired,
    layer: str,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    version: Version = None,
) -> Response:
    """Describe a layer: `cells-1`, `cells-2`, … for one level, `cells` for all, each from where it can be seen.

    The address of the tiles in it names the grid version, so that they may be kept for good.
    """
    found = await _version(container, version)
    extents = await _extents(container, found)
    _check_layer(layer, extents)
    locale = locale_of(request)
    tag = quoted(f"{_DRAWING}-{_drawing_of(found)}-{layer}-{locale}")
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if _is_known(request, tag):
        return Response(status_code=304, headers=headers)
    base = str(request.base_url)
    levels = [level for level in extents if layer in (ALL_LEVELS, layer_of(level))]
    address = f"{base}tiles/{layer}/{{z}}/{{x}}/{{y}}.mvt"
    body: dict[str, Any] = {
        "tilejson": "3.0.0",
        "name": layer,
        "scheme": "xyz",
        "tiles": [f"{address}?version={found.number}" if found else address],
        "minzoom": 0 if layer == ALL_LEVELS or not levels else first_zoom(extents[levels[0]]),
        "maxzoom": _CLOSEST_ZOOM,
        # Ours, beside TileJSON's own: what a reader needs to choose among the layers of single levels.
        "grid_version": found.number if found else None,
        "levels": [
            {"level": one.level, "cells": one.cells, "width_m": round(one.cell_width_m, 1)} for one in extents.values()
        ],
        "vector_layers": [
            {
                "id": layer,
                "description": translate(locale, "tiles.layer"),
                "fields": {
                    name: translate(locale, f"tiles.field.{name}")
                    for name in ("level", "code", "kind", "parent", "name_zh", "name_en")
                },
            }
        ],
    }
    body["minzoom"] = min(body["minzoom"], _CLOSEST_ZOOM)
    if levels:
        boxes = [extents[level] for level in levels]
        west, south = min(box.west for box in boxes), min(box.south for box in boxes)
        east, north = max(box.east for box in boxes), max(box.north for box in boxes)
        body["bounds"] = [west, south, east, north]
        body["center"] = [round((west + east) / 2, 7), round((south + north) / 2, 7), max(body["minzoom"], 12)]
    answer = json_answer(body, locale=locale)
    answer.headers.update(headers)
    return answer


@router.get(
    "/tiles/{layer}/{z}/{x}/{y}.mvt",
    response_model=None,
    responses={
        200: {"content": {MVT: {"schema": {"type": "string", "format": "binary"}}}, "description": "Vector tile"},
        204: {"description": "No cell is in this tile"},
        304: {"description": "Not changed"},
        **problems(400, 401, 403, 404, 422, 503),
    },
)
async def read_vector_tile(
    request: Request,
    container: Wired,
    layer: str,
    z: str,
    x: str,
    y: str,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    version: Version = None,
) -> Response:
    """One tile (Mapbox Vector Tile 2.1, 4096 units, one layer of the same name).

    The entity tag names the grid version. With `version` in the address the tile never changes; without it, it is that
    of the active version, and to be asked for again each time, which costs a 304.
    """
    address = parse_address(z, x, y)
    found = await _version(container, version)
    _check_layer(layer, await _extents(container, found))
    return await tile_answer(request, kept_tiles(container.engine), found, layer, address, version is not None)


async def tile_answer(
    request: Request,
    kept: KeptTiles,
    found: GridVersion | None,
    layer: str,
    address: TileAddress,
    is_named: bool,
) -> Response:
    """Answer with a tile of a layer that there is.

    Parameters
    ----------
    found
        None when no version is valid: then every tile is empty.
    is_named
        Whether the request names the version, so that its answer stays the same for good.
    """
    packs = "gzip" in request.headers.get("accept-encoding", "")
    tag = f"{_DRAWING}-{_drawing_of(found)}-{layer}-{address}"
    lasting = is_named and found is not None and found.status is not VersionStatus.SCHEDULED
    headers = {
        # Private: what a key may see must not stand in a cache that asks nobody for a key.
        "Cache-Control": f"private, max-age={_A_YEAR_S}, immutable" if lasting else "private, no-cache",
        "ETag": quoted(f"{tag}-gz" if packs else tag),
        "Vary": "Accept-Encoding",
    }
    if _is_known(request, quoted(tag), quoted(f"{tag}-gz")):
        return Response(status_code=304, headers=headers)
    body = await kept.tile(found, layer, address) if found else b""
    if not body:
        return Response(status_code=204, headers=headers)
    if packs:
        headers["Content-Encoding"] = "gzip"
    return Response(body if packs else gzip.decompress(body), media_type=MVT, headers=headers)


async def _version(container: Container, number: int | None) -> GridVersion | None:
    numbered = kept_tiles(container.engine).numbered
    if number in numbered:
        return numbered[number]
    async with statement_unit(container.engine) as unit:
        if number is None:
            return await find_active(unit, container.settings.jurisdiction)
        found = await get_version(unit, container.settings.jurisdiction, number)
    if found.status is VersionStatus.DRAFT:
        # A draft still changes, and what is kept of it would lie.
        raise NotFoundError("tiles.version_is_draft", number=number)
    if found.status is not VersionStatus.SCHEDULED:
        numbered[number] = found
    return found


def _drawing_of(version: GridVersion | None) -> str:
    # A scheduled version that is withdrawn keeps its number and gets another revision.
    return f"{version.id}.{version.revision}" if version else "0"


async def _extents(container: Container, version: GridVersion | None) -> Mapping[int, LevelExtent]:
    return await kept_tiles(container.engine).extents(version) if version else {}


def _check_layer(layer: str, extents: Mapping[int, LevelExtent]) -> None:
    known = [ALL_LEVELS, *map(layer_of, extents)]
    if layer not in known:
        raise NotFoundError("tiles.unknown_layer", layer=layer[:40], known=", ".join(known))


def _is_known(request: Request, *tags: str) -> bool:
    """Tell whether the caller has the answer already. Source: RFC 9110 §13.1.2, weak comparison."""
    asked = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return "*" in asked or any(tag in asked for tag in tags)


assert _CLOSEST_ZOOM <= MOST_ZOOM
