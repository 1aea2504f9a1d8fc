"""The cells themselves, as GeoJSON. Which cell covers a point: `api.routes.locating`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, quoted
from api.container import Reading, Wired
from api.language import locale_of
from api.schemas import problems
from geo.cells import VersionStatus
from geo.errors import NotFoundError
from geo.storage.cells import cells_as_geojson
from geo.storage.grid_versions import find_active, get_version

router = APIRouter(tags=["places"])


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
