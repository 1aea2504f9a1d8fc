"""Files of a planner's map, for the pages and for the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Final

from starlette.concurrency import run_in_threadpool

from api.answers import GEOJSON
from api.browser_prints import map_pdf, map_png
from api.drawings import Drawing
from api.kept_pages import KeptPage
from api.planner_desk import Desk
from api.planner_page import MapPage
from api.rendering import instant
from geo.errors import BadInputError
from maps.i18n import Locale, translate
from maps.sheet import Sheet, sheet_csv, sheet_xlsx

__all__ = ["HTML", "make_file"]

HTML: Final = "text/html; charset=utf-8"
_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FORMS: Final = ("html", "png", "pdf", "csv", "xlsx", "geojson", "bins")


async def make_file(desk: Desk, page: MapPage, form: str, kind: str, *, layer: str = "") -> KeptPage:
    """Make a file of a map; ``layer`` is the view that a picture shows.

    Raises
    ------
    BadInputError
        ``maps.unknown_form``.
    UnavailableError
        ``maps.no_browser``, ``maps.browser_failed``.
    """
    if form == "html":
        html = await run_in_threadpool(page.single or page.frame, **({} if page.single else {"inline": True}))
        return KeptPage(body=html.encode(), media_type=HTML)
    if form in ("png", "pdf"):
        sides = range(2 if page.single else 1)
        frames = [await run_in_threadpool(page.frame, inline=True, side=side) for side in sides]
        if form == "png":
            return KeptPage(body=await map_png(frames, page.title, layer=layer), media_type="image/png")
        body = await map_pdf(frames, page.sheet(), desk.locale, notes=_notes(page), layer=layer)
        return KeptPage(body=body, media_type="application/pdf")
    if form == "csv":
        return KeptPage(body=sheet_csv(_on_grid(desk, page, in_lines=True)), media_type="text/csv; charset=utf-8")
    if form == "xlsx":
        sheet = _on_grid(desk, page, in_lines=False)
        return KeptPage(body=await run_in_threadpool(sheet_xlsx, sheet, name=kind), media_type=_XLSX)
    if page.geojson is not None and (form == "geojson" or (form == "bins" and kind == "heat")):
        features = _with_drawing(desk, await run_in_threadpool(page.geojson, form))
        return KeptPage(body=features.encode(), media_type=GEOJSON)
    known = [each for each in _FORMS if each not in _missing(page, kind)]
    raise BadInputError("maps.unknown_form", pointer="/form", form=form[:40], known=", ".join(known))


def _on_grid(desk: Desk, page: MapPage, *, in_lines: bool) -> Sheet:
    """Name the drawing in a table: beside every line where a file has lines only, else among its notes."""
    sheet = page.sheet()
    word, grid = translate(desk.locale, "planner.file.drawing"), page.context(root="")["grid_name"]
    if not in_lines:
        return replace(sheet, notes=[*sheet.notes, f"{word}: {grid}"])
    return replace(sheet, head=[*sheet.head, word], lines=[[*line, grid] for line in sheet.lines])


def _with_drawing(desk: Desk, collection: str) -> str:
    """Name the drawing and the instant in a collection of features."""
    assert desk.version is not None
    drawing = Drawing(version=desk.version, boundaries=desk.boundaries).as_json(desk.locale)
    named = {"as_of": instant(desk.as_of), "drawing": drawing}
    return json.dumps(named, ensure_ascii=False)[:-1] + "," + collection.removeprefix("{")


def _missing(page: MapPage, kind: str) -> set[str]:
    missing = {"bins"} if kind != "heat" else set()
    return missing | ({"geojson"} if page.geojson is None else set())


def _notes(page: MapPage) -> list[tuple[str, str]]:
    """Return the definitions that stand on the page as well."""
    context = page.context(root="")
    locale: Locale = context["locale"]
    first, last = context["zone_days"]
    counted = translate(locale, "planner.define.counted.text", first=first, last=last, zone=context["time_zone"])
    notes = [(translate(locale, "planner.define.counted"), counted)]
    small = context["small"]
    words = ["small"] if context["sees_cases"] else ["small", "coarse"]
    for word in words:
        text = translate(locale, f"planner.define.{word}.text", small=small)
        notes.append((translate(locale, f"planner.define.{word}"), text))
    grid = translate(locale, "planner.define.grid.text", grid=context["grid_name"])
    drawn = translate(locale, f"planner.define.boundaries.{context['view'].boundaries.value}")
    return [*notes, (translate(locale, "planner.define.grid"), f"{grid} {drawn}")]
