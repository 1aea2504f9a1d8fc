"""The visual language as a page: what every other page is made of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.language import COOKIE, locale_of
from api.templating import render
from geo.errors import NotFoundError
from maps.i18n import LOCALES
from maps.style_page import PARTS, style_context, style_part_context, swatch_sheet

router = APIRouter(include_in_schema=False)


@router.get("/style")
async def read_style(request: Request) -> Response:
    """Type, spacing, colours on both grounds, and each part with the styles that it really has."""
    locale = locale_of(request)
    response = render("style.html", style_context(locale, root=request.scope.get("root_path", "")), locale=locale)
    if (asked := request.query_params.get("lang")) in LOCALES:
        response.set_cookie(COOKIE, str(asked), max_age=31_536_000, samesite="lax", httponly=True)
    return response


@router.get("/style/swatches.css")
async def read_swatches() -> Response:
    """The samples' own style sheet, made from the tokens."""
    return Response(swatch_sheet(), media_type="text/css; charset=utf-8", headers={"Cache-Control": "no-cache"})


@router.get("/style/{name}")
async def read_style_part(
    request: Request, name: str, theme: Annotated[str, Query(max_length=10)] = "light"
) -> Response:
    """One part, in the frame that shows it."""
    part = next((part for part in PARTS if part.name == name), None)
    if part is None:
        raise NotFoundError("style.no_such_part", part=name[:40])
    locale = locale_of(request)
    ground = "dark" if theme == "dark" else "light"
    context = style_part_context(locale, part, root=request.scope.get("root_path", ""), theme=ground)
    return render("style_part.html", context, locale=locale)
