"""Forms of an answer: which one is asked for, links to the next page, entity tags of what is counted anew each time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import orjson
from fastapi import Request, Response

from api.answers import GEOJSON, json_answer
from maps.i18n import Locale

__all__ = ["MEDIA_TYPES", "Form", "accepted_form", "digest_of", "is_known", "next_link", "plain_cell", "tagged_answer"]


class Form(StrEnum):
    """What lists are given as; the value is the suffix of the path."""

    JSON = "json"
    GEOJSON = "geojson"
    CSV = "csv"
    XLSX = "xlsx"


MEDIA_TYPES: Final = {
    Form.JSON: "application/json",
    Form.GEOJSON: GEOJSON,
    Form.CSV: "text/csv",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_BY_TYPE: Final = {media: form for form, media in MEDIA_TYPES.items()}
_FORMULA: Final = frozenset("=+-@\t\r\n＝＋－＠")


def accepted_form(request: Request) -> Form:
    """The form that ``Accept`` likes best; JSON where it names none of ours.

    Notes
    -----
    RFC 9110 §12.5.1: the highest weight wins, among equals the one named first; what is excluded by ``q=0`` is not
    given.
    """
    best, weight = Form.JSON, 0.0
    for part in request.headers.get("accept", "").split(","):
        name, *parameters = (word.strip().lower() for word in part.split(";"))
        form = _BY_TYPE.get(name)
        if form is None:
            continue
        given = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    given = float(parameter[2:])
                except ValueError:
                    given = 0.0
        if given > weight:
            best, weight = form, given
    return best


def next_link(request: Request, **changes: str | None) -> str:
    """The header ``Link`` to the next page (RFC 8288); nothing on the last one."""
    if any(value is None for value in changes.values()):
        return ""
    return f'<{request.url.include_query_params(**changes)}>; rel="next"'


def digest_of(body: object) -> str:
    """A few letters that stand for a body."""
    return hashlib.sha256(orjson.dumps(body)).hexdigest()[:20]


def tagged_answer(
    request: Request, body: Mapping[str, Any], *, locale: Locale, media_type: str = MEDIA_TYPES[Form.JSON], **more: str
) -> Response:
    """A list with an entity tag; 304 when the caller has the same already.

    Notes
    -----
    The tag is weak: ``as_of`` is another instant each time and does not count.
    """
    tag = f'W/"{digest_of({name: value for name, value in body.items() if name != "as_of"})}"'
    if is_known(request, tag):
        headers = {
            "ETag": tag,
            "Content-Language": locale,
            "Vary": "Accept, Accept-Language",
            "Cache-Control": "no-cache",
        }
        headers |= {"Link": more["Link"]} if more.get("Link") else {}
        return Response(status_code=304, headers=headers)
    named = {"ETag": tag, "Cache_Control": "no-cache", **more}
    return json_answer(body, locale=locale, status=200, media_type=media_type, **named)


def is_known(request: Request, tag: str) -> bool:
    """Whether ``If-None-Match`` names a tag; compared weakly, as RFC 9110 §13.1.2 asks."""
    given = {word.strip().removeprefix("W/") for word in request.headers.get("if-none-match", "").split(",")}
    return "*" in given or tag.removeprefix("W/") in given


def plain_cell(text: str) -> str:
    """Keep words that begin like a formula from becoming one when a table is opened.

    Examples
    --------
    >>> plain_cell("=1+1"), plain_cell("井盖")
    ("'=1+1", '井盖')
    """
    return f"'{text}" if text[:1] in _FORMULA else text
