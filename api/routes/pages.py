"""The dispatcher's page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.accounts.pages import home_of
from api.admin.frame import first_page_of
from api.container import Reading, Wired
from api.language import COOKIE, locale_of
from api.routes.signing_in import go
from api.templating import render
from geo.errors import ForbiddenError
from geo.storage.cells import grid_centre
from geo.storage.grid_versions import find_active
from maps.i18n import LOCALES
from maps.live import console_context

router = APIRouter(include_in_schema=False)


@router.get("/")
async def read_console(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_MOVE, *Scope, in_area=True))],
) -> Response:
    """The dispatcher's live map beside the queue; whoever works elsewhere and types the bare address is led there."""
    if Scope.CASES_MOVE not in caller.scopes:
        if caller.kind != "person":
            raise ForbiddenError("access.scope_missing", scope=Scope.CASES_MOVE.value)
        return go(request, home_of(caller))
    locale = locale_of(request)
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    active = await find_active(unit, container.settings.jurisdiction)
    context = console_context(
        locale,
        place=jurisdiction.name(locale) if jurisdiction else "",
        time_zone=jurisdiction.time_zone if jurisdiction else "Asia/Shanghai",
        centre=await grid_centre(unit, active.id) if active else None,
        root=request.scope.get("root_path", ""),
        person=caller.name,
    )
    response = render("console.html", context | {"administration": first_page_of(caller)}, locale=locale)
    asked = request.query_params.get("lang")
    if asked in LOCALES:
        # The switch is remembered, so that the next page opens in the same language.
        response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax", httponly=True)
    return response
