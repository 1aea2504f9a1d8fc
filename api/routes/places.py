"""Places: which cell covers a point and who answers there; the cells themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, json_answer, quoted
from api.container import Reading, Wired
from api.language import locale_of
from api.rendering import cell_json, head_json, near_json, rung_json
from api.schemas import LocateOut, problems
from dispatch.posts import Rung, find_backup, find_head
from dispatch.queries import database_now, responsible_at
from geo.cells import VersionStatus
from geo.coordinates import CoordSys, check_position, to_wgs84
from geo.errors import BadInputError, Fault, InvalidRequestError, NotFoundError
from geo.locating import locate
from geo.storage.cells import cells_as_geojson
from geo.storage.grid_versions import find_active, get_version

router = APIRouter(tags=["places"])

Degrees = Annotated[float, Query(allow_inf_nan=False)]


@router.get(
    "/v1/locate", response_model=None, responses={200: {"model": LocateOut}, **problems(400, 401, 403, 422, 503)}
)
async def read_location(
    request: Request,
    unit: Reading,
    container: Wired,
    lon: Degrees,
    lat: Degrees,
    coord_sys: CoordSys,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
) -> Response:
    """Which cells cover a point, who is responsible, who stands in, and how it was decided."""
    try:
        check_position(lon, lat)
    except BadInputError as error:
        raise InvalidRequestError([Fault(code=error.code, pointer="/lon", params=error.params)]) from None
    x, y = to_wgs84(lon, lat, coord_sys)
    found = await locate(unit, container.settings.jurisdiction, x, y)
    ladder: tuple[Rung, ...] = ()
    if found.chain:
        at = await database_now(unit)
        ladder = await responsible_at(unit, container.settings.jurisdiction, found.path, at)
    head = find_head(ladder)
    backup = find_backup(ladder, head) if head else None
    locale = locale_of(request)
    version = found.version
    body = {
        "chain": [cell_json(cell, locale) for cell in found.chain],
        "head": head_json(head, locale),
        "backup": rung_json(backup, locale) if backup else None,
        "how": found.how.value,
        "grid_version": {"number": version.number, "name": version.name} if version else None,
        "rule": found.rule,
        "location": {"lon": round(x, 7), "lat": round(y, 7)},
        "nearest": [near_json(cell, locale) for cell in found.nearest],
    }
    return json_answer(body, locale=locale)


@router.get(
    "/v1/cells",
    response_model=None,
    responses={
        200: {"content": {GEOJSON: {"schema": {"type": "object"}}}, "description": "FeatureCollection, RFC 7946"},
        304: {"description": "Not changed"},
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_cells(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    version: Annotated[
        str, Query(pattern="^(active|[1-9][0-9]{0,8})$", description="`active`, or the number of a published version")
    ] = "active",
    level: Annotated[int | None, Query(ge=1, le=9)] = None,
    form: Annotated[
        Literal["geojson"] | None, Query(alias="format", description="Answer as a file to keep (RFC 7946)")
    ] = None,
) -> Response:
    """The cells of a grid version as GeoJSON; the ETag changes only with the version."""
    locale = locale_of(request)
    jurisdiction = container.settings.jurisdiction
    if version == "active":
        found = await find_active(unit, jurisdiction)
    else:
        found = await get_version(unit, jurisdiction, int(version))
        if found.status is VersionStatus.DRAFT:
            # Drafts are for those who draw them; to everybody else there is no such version yet.
            raise NotFoundError("geo.version_unknown", jurisdiction=jurisdiction, number=found.number)
    tag = quoted(f"2-{found.id if found else 0}-{level or 0}-{locale}")
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Language, Cookie", "Content-Language": locale}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if form is not None:
        name = f"gridward-{jurisdiction}-v{found.number if found else 0}{f'-level{level}' if level else ''}.geojson"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    text = '{"type":"FeatureCollection","features":[]}'
    if found is not None:
        text = await cells_as_geojson(unit, found.id, level=level, locale=locale)
    return Response(text, media_type=GEOJSON, headers=headers)
