"""The administrator's page of grid versions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.container import Container, Reading, Wired
from api.language import COOKIE, locale_of
from api.templating import render
from geo.storage.cells import grid_centre
from geo.storage.grid_versions import find_active
from geo.storage.uow import ReadUnit
from maps.grid_page import grid_page_context
from maps.i18n import LOCALES

router = APIRouter(include_in_schema=False)
Reader = Annotated[Caller, Depends(require(Scope.GRID_READ))]


@router.get("/grid")
async def read_grid_page(request: Request, unit: Reading, container: Wired, caller: Reader) -> Response:
    """All versions; the one valid now is open."""
    return await _page(request, unit, container, caller, None)


@router.get("/grid/versions/{number}")
async def read_grid_version_page(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Reader,
    number: Annotated[int, Path(ge=1, le=2**31 - 1)],
) -> Response:
    """One version; whether it exists is said by the page, beside the list of those that do."""
    return await _page(request, unit, container, caller, number)


async def _page(request: Request, unit: ReadUnit, container: Container, caller: Caller, number: int | None) -> Response:
    locale = locale_of(request)
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    active = await find_active(unit, container.settings.jurisdiction)
    context = grid_page_context(
        locale,
        version=number,
        place=jurisdiction.name(locale) if jurisdiction else "",
        time_zone=jurisdiction.time_zone if jurisdiction else "Asia/Shanghai",
        centre=await grid_centre(unit, active.id) if active else None,
        root=request.scope.get("root_path", ""),
        may_write=Scope.GRID_WRITE in caller.scopes,
    )
    response = render("grid.html", context, locale=locale)
    asked = request.query_params.get("lang")
    if asked in LOCALES:
        response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax", httponly=True)
    return response
