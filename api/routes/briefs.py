"""Who knew what when: a case's brief as JSON, as a page, and as files."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.brief_files import DOCX, as_docx, as_html
from api.brief_view import brief_json, brief_view
from api.container import Reading, Wired
from api.language import locale_of
from api.schemas import Code, problems
from api.templating import render
from dispatch.brief import make_brief
from maps.i18n import Locale, catalogue

router = APIRouter(tags=["briefs"])

_May = Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]


@router.get(
    "/v1/cases/{ref}/brief",
    response_model=None,
    responses={200: {"description": "The brief"}, **problems(401, 403, 404, 422, 503)},
)
async def read_brief(request: Request, ref: Code, unit: Reading, container: Wired, _: _May) -> Response:
    """Who knew what when: acts, rungs fired and planned, notices with what came of them, and a line per person."""
    locale = locale_of(request)
    brief = await make_brief(unit, ref, await container.reference.get())
    return json_answer(brief_json(brief, locale), locale=locale)


@router.get(
    "/v1/cases/{ref}/brief.docx",
    response_model=None,
    responses={200: {"content": {DOCX: {}}, "description": "Word document"}, **problems(401, 403, 404, 422, 503)},
)
async def read_docx(request: Request, ref: Code, unit: Reading, container: Wired, _: _May) -> Response:
    """The brief as a Word document."""
    view, locale = await _view(request, ref, unit, container)
    return _file(as_docx(view), f"{ref}.docx", DOCX, locale)


@router.get(
    "/v1/cases/{ref}/brief.html",
    response_model=None,
    responses={200: {"content": {"text/html": {}}, "description": "One document"}, **problems(401, 403, 404, 422, 503)},
)
async def read_html(request: Request, ref: Code, unit: Reading, container: Wired, _: _May) -> Response:
    """The brief as one HTML document that needs nothing else."""
    view, locale = await _view(request, ref, unit, container)
    return _file(as_html(view, locale), f"{ref}.html", "text/html; charset=utf-8", locale)


@router.get("/cases/{ref}/brief", include_in_schema=False)
async def read_page(request: Request, ref: Code, unit: Reading, container: Wired, _: _May) -> Response:
    """The brief as a page."""
    view, locale = await _view(request, ref, unit, container)
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    context = {
        "locale": locale,
        "root": request.scope.get("root_path", ""),
        "texts": {key: text for key, text in catalogue(locale).items() if key.startswith(("brief.", "console.brand"))},
        "view": view,
        "ref": ref,
        "other_locale": other,
        "other_language": catalogue(other)["console.language_name"],
    }
    return render("brief.html", context, locale=locale)


async def _view(request: Request, ref: str, unit: Reading, container: Wired) -> tuple[dict[str, Any], Locale]:
    locale = locale_of(request)
    return brief_view(await make_brief(unit, ref, await container.reference.get()), locale), locale


def _file(content: bytes, name: str, media_type: str, locale: Locale) -> Response:
    headers = {
        # The number of a case that exists: digits and a dash.
        "Content-Disposition": f'attachment; filename="gridward-{name}"',
        "Content-Language": locale,
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=media_type, headers=headers)
