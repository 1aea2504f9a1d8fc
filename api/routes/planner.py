"""The planner's maps: pages, Folium documents in sandboxed frames, files. One set of routes for every kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.answers import quoted
from api.container import Counting, Wired
from api.kept_pages import KeptPage, KeptPages, tag_of
from api.language import COOKIE, locale_of
from api.planner_desk import Desk
from api.planner_files import HTML, make_file
from api.planner_opening import desk_of
from api.planner_parts import refuse, without_grid
from api.planner_query import Given
from api.planner_reading import KINDS
from api.templating import text_of
from geo.errors import InvalidRequestError
from maps.i18n import LOCALES, Locale
from maps.live import CONTENT_SECURITY_POLICY
from maps.own_files import content_security_policy

router = APIRouter(include_in_schema=False)

Planner = Annotated[Caller, Depends(require(Scope.MAPS_READ, Scope.CASES_READ_ALL))]

_KEPT = KeptPages()

Make = Callable[[Desk, Any], Awaitable[KeptPage]]


def given_of(request: Request) -> Given:
    """Return the parts of the address, each with all its values."""
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        given.setdefault(name, []).append(value)
    return given


async def _answer(
    request: Request, unit: Counting, container: Wired, caller: Caller, kind: str, what: str, make: Make
) -> Response | KeptPage:
    """Read the question; answer from what is kept, or make it. A fault or a missing grid is answered at once."""
    locale = locale_of(request)
    given = given_of(request)
    desk = await desk_of(unit, container, caller, locale, given)
    try:
        view = KINDS[kind].parse(given, desk.reference, desk.today, desk.whole)
    except InvalidRequestError as error:
        return refuse(request, locale, error)
    if desk.version is None or desk.whole is None:
        return without_grid(request, locale)
    watermark = await desk.watermark()
    minute = desk.as_of.replace(second=0, microsecond=0)
    # Texts and names of the reference data are in the page as well; they change with its own revision only.
    parts = (kind, what, locale, view, desk.version.id, watermark, minute, desk.sees_cases, desk.place)
    tag = tag_of(*parts, request.scope.get("root_path", ""), id(desk.reference))
    request.state.tag = tag if watermark is not None else ""
    if watermark is not None:
        if request.headers.get("if-none-match") == quoted(tag):
            return Response(status_code=304, headers=_headers(locale, tag))
        if (kept := _KEPT.find(tag)) is not None:
            return kept
    page = await make(desk, view)
    if watermark is not None:
        _KEPT.keep(tag, page)
    return page


def _headers(locale: Locale, tag: str) -> dict[str, str]:
    """Headers of what depends on the reader: asked for anew each time, and not sent again when nothing changed."""
    headers = {
        "Content-Language": locale,
        "Cache-Control": "private, no-cache" if tag else "no-store",
        "Vary": "Accept-Language, Cookie, Authorization",
    }
    return headers | ({"ETag": quoted(tag)} if tag else {})


def _page(kind: str) -> Callable[..., Awaitable[Response]]:
    async def read_page(request: Request, unit: Counting, container: Wired, caller: Planner) -> Response:
        """The finding, the filters, the map in its frame, the table that the map draws, and the definitions."""
        root = request.scope.get("root_path", "")
        locale = locale_of(request)

        async def make(desk: Desk, view: Any) -> KeptPage:
            page = await KINDS[kind].read(desk, view)
            context = await run_in_threadpool(page.context, root=root)
            body = await run_in_threadpool(text_of, KINDS[kind].template, context)
            return KeptPage(body=body.encode(), media_type=HTML)

        found = await _answer(request, unit, container, caller, kind, "page", make)
        if isinstance(found, Response):
            return found
        headers = _headers(locale, request.state.tag) | {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        response = Response(found.body, media_type=found.media_type, headers=headers)
        asked = request.query_params.get("lang")
        if asked in LOCALES:
            response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax", httponly=True)
        return response

    return read_page


def _frame(kind: str) -> Callable[..., Awaitable[Response]]:
    async def read_frame(request: Request, unit: Counting, container: Wired, caller: Planner) -> Response:
        """The map as a document of its own; ``inline=1`` gives one file that works without any server."""
        static_url = request.scope.get("root_path", "") + "/static"
        is_inline = request.query_params.get("inline") == "1"
        side = 1 if request.query_params.get("side") == "2" else 0
        locale = locale_of(request)

        async def make(desk: Desk, view: Any) -> KeptPage:
            page = await KINDS[kind].read(desk, view)
            # Some tenths of a second of arithmetic at worst: not on the event loop.
            html = await run_in_threadpool(page.frame, static_url=static_url, inline=is_inline, side=side)
            return KeptPage(body=html.encode(), media_type=HTML)

        found = await _answer(request, unit, container, caller, kind, f"frame {is_inline} {side}", make)
        if isinstance(found, Response):
            return found
        policy = content_security_policy(found.body.decode())
        headers = _headers(locale, request.state.tag) | {"Content-Security-Policy": policy}
        return Response(found.body, media_type=found.media_type, headers=headers)

    return read_frame


def _file(kind: str) -> Callable[..., Awaitable[Response]]:
    async def read_file(request: Request, unit: Counting, container: Wired, caller: Planner) -> Response:
        """The map as a file: one page, a picture at 300 dots per inch, PDF, CSV, XLSX, GeoJSON of cells or squares."""
        form = request.query_params.get("form") or "csv"
        layer = request.query_params.get("layer") or ""
        locale = locale_of(request)

        async def make(desk: Desk, view: Any) -> KeptPage:
            return await make_file(desk, await KINDS[kind].read(desk, view), form, kind, layer=layer[:16])

        found = await _answer(request, unit, container, caller, kind, f"file {form} {layer[:16]}", make)
        if isinstance(found, Response):
            return found
        view_days = "-".join(request.query_params.get(name, "")[:10] for name in ("from", "to")).strip("-")
        safe = "".join(sign for sign in view_days if sign.isascii() and (sign.isdigit() or sign == "-"))
        name = "-".join(part for part in ("gridward", kind, safe) if part)
        ending = {"bins": "bins.geojson"}.get(form, form)
        headers = _headers(locale, request.state.tag)
        headers["Content-Disposition"] = f'attachment; filename="{name}.{ending}"'
        if form == "html":
            headers["Content-Security-Policy"] = "sandbox allow-scripts"
        return Response(found.body, media_type=found.media_type, headers=headers)

    return read_file


@router.get("/maps")
async def read_first_map(request: Request) -> Response:
    """The heat-map, for somebody who typed the short address."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/maps/heat{query}", status_code=307)


for _kind in KINDS:
    router.add_api_route(f"/maps/{_kind}", _page(_kind), methods=["GET"], name=f"read_{_kind}_page")
    router.add_api_route(f"/maps/{_kind}/frame", _frame(_kind), methods=["GET"], name=f"read_{_kind}_frame")
    router.add_api_route(f"/maps/{_kind}/file", _file(_kind), methods=["GET"], name=f"read_{_kind}_file")
