"""The cells themselves, as GeoJSON. Which cell covers a point: `api.routes.locating`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, quoted
from api.case_query import box_of
from api.container import Container, Reading, Wired
from api.formats import MEDIA_TYPES, Form, accepted_form, digest_of, is_known, next_link
from api.language import locale_of
from api.schemas import Code, SoundText, problems
from api.sheets import Sheet, page_answer
from api.spelling import Spelling
from geo.cells import VersionStatus
from geo.errors import Fault, InvalidRequestError, NotFoundError
from geo.storage.cells import CellFilter, cells_as_geojson, last_of_page, list_cell_rows
from geo.storage.grid_versions import find_active, get_version
from geo.storage.uow import ReadUnit
from maps.i18n import Locale, translate

router = APIRouter(tags=["places"])
Version = Annotated[
    str,
    Spelling("^(active|[1-9][0-9]{0,8})$", "active / 3"),
    Query(description="`active`, or the number of a published version"),
]

_OF_FILES = frozenset({"ETag", "Cache-Control", "Link"})


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
    version: Version = "active",
    level: Annotated[int | None, Query(ge=1, le=9)] = None,
    cell: Annotated[
        Code | None, Query(description="Code of a cell; itself and everything below it", examples=["410102001"])
    ] = None,
    bbox: Annotated[
        SoundText | None,
        Query(
            max_length=120,
            description="west,south,east,north in WGS84; what it touches",
            examples=["113.6,34.7,113.7,34.8"],
        ),
    ] = None,
    form: Annotated[
        Literal["geojson"] | None, Query(alias="format", description="Answer as a file to keep (RFC 7946)")
    ] = None,
    limit: Annotated[int | None, Query(ge=1, le=1000, description="Cells per page; absent: all of them")] = None,
    cursor: Annotated[
        Annotated[str, Spelling(r"^[1-9]-[0-9A-Za-z._-]{1,40}$", "3-410102001001")] | None,
        Query(description="Where the page before ended; see header Link"),
    ] = None,
) -> Response:
    """The cells of a grid version as GeoJSON, CSV or XLSX, from the top down; the ETag changes only with the version.

    With `limit` in pages, whose header `Link` leads to the next one, of the same version.
    """
    suffix = accepted_form(request)
    asked = replace(_filter(level, cell, bbox), limit=limit, after=_place(cursor))
    return await _cells(request, unit, container, version, asked, suffix, form is not None)


@router.get(
    "/v1/cells.{suffix}",
    response_model=None,
    responses={
        200: {
            "content": {
                media: {
                    "schema": {"type": "object"} if form is Form.GEOJSON else {"type": "string", "format": "binary"}
                }
                for form, media in MEDIA_TYPES.items()
            }
        },
        304: {"description": "Not changed"},
        **problems(401, 403, 404, 422, 503),
    },
)
async def export_cells(
    request: Request,
    suffix: Literal["csv", "xlsx", "geojson"],
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    version: Version = "active",
    level: Annotated[int | None, Query(ge=1, le=9)] = None,
    cell: Annotated[Code | None, Query(description="Code of a cell; itself and everything below it")] = None,
    bbox: Annotated[SoundText | None, Query(max_length=120, description="west,south,east,north in WGS84")] = None,
) -> Response:
    """The cells of a grid version as a file."""
    return await _cells(request, unit, container, version, _filter(level, cell, bbox), Form(suffix), True)


def _filter(level: int | None, cell: str | None, bbox: str | None) -> CellFilter:
    faults: list[Fault] = []
    box = box_of(bbox, faults)
    if faults:
        raise InvalidRequestError(faults)
    return CellFilter(level=level, under=cell, box=box)


def _place(cursor: str | None) -> tuple[int, str] | None:
    level, _, code = (cursor or "").partition("-")
    return (int(level), code) if code else None


async def _cells(
    request: Request,
    unit: ReadUnit,
    container: Container,
    version: str,
    asked: CellFilter,
    form: Form,
    is_file: bool,
) -> Response:
    locale = locale_of(request)
    jurisdiction = container.settings.jurisdiction
    if version == "active":
        found = await find_active(unit, jurisdiction)
    else:
        found = await get_version(unit, jurisdiction, int(version))
        if found.status is VersionStatus.DRAFT:
            # Drafts are for those who draw them; to everybody else there is no such version yet.
            raise NotFoundError("geo.version_unknown", jurisdiction=jurisdiction, number=found.number)
    chosen = digest_of([asked.level, asked.under, asked.box, asked.after, asked.limit, form.value])
    tag = quoted(f"3-{found.id if found else 0}-{chosen}-{locale}")
    headers = {
        "ETag": tag,
        "Cache-Control": "no-cache",
        "Vary": "Accept, Accept-Language, Cookie",
        "Content-Language": locale,
    }
    turn = await last_of_page(unit, found.id, asked) if found is not None else None
    if found is not None and turn is not None:
        # Of this very version, whichever is in force when the page is turned.
        headers["Link"] = next_link(request, version=str(found.number), cursor=f"{turn[0]}-{turn[1]}")
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    if form in (Form.CSV, Form.XLSX):
        rows = await list_cell_rows(unit, found.id, asked) if found is not None else []
        answer = await page_answer(form, _sheet(locale), rows, locale=locale)
        answer.headers.update({name: value for name, value in headers.items() if name in _OF_FILES})
        return answer
    if is_file:
        of_level = f"-level{asked.level}" if asked.level else ""
        name = f"gridward-{jurisdiction}-v{found.number if found else 0}{of_level}.geojson"
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    text = '{"type":"FeatureCollection","features":[]}'
    if found is not None:
        text = await cells_as_geojson(unit, found.id, level=None, locale=locale, asked=asked)
    return Response(text, media_type=GEOJSON, headers=headers)


_COLUMNS = (
    "level",
    "code",
    "kind",
    "name_zh",
    "name_en",
    "parent",
    "population",
    "households",
    "area_m2",
    "lon",
    "lat",
)


def _sheet(locale: Locale) -> Sheet[dict[str, Any]]:
    heads = tuple(translate(locale, f"sheet.cell.{name}") for name in _COLUMNS)
    return Sheet(name="cells", heads=heads, line=lambda row: [row[name] for name in _COLUMNS], zone=None)
