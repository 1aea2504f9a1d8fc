"""Plain values → the documents of GeoReport v2, XML or JSON by the ending of the path.

One tree serves both: JSON drops the root element, and what is a list in XML is always an array in JSON, also with one
member (the specification's Spark convention).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import orjson
from fastapi import Response
from lxml import etree

from maps.i18n import Locale

__all__ = ["Format", "answer", "error_answer"]


class Format(StrEnum):
    """Endings of paths."""

    XML = "xml"
    JSON = "json"


#: Content types to the letter: clients compare them.
CONTENT_TYPES: Final = {
    Format.XML: "text/xml; charset=utf-8",
    Format.JSON: "application/json; charset=utf-8",
}
_MEMBERS: Final = {
    "services": "service",
    "attributes": "attribute",
    "values": "value",
    "service_requests": "request",
    "errors": "error",
    "endpoints": "endpoint",
    "formats": "format",
    "cells": "cell",
    "photos": "photo",
    "notes": "note",
}
#: What XML 1.0 cannot hold, however it is written.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def answer(
    form: Format, root: str, body: Mapping[str, Any] | Sequence[Any], *, locale: Locale, status: int = 200, **more: str
) -> Response:
    """Write a document; a header without a value is left out."""
    headers = {
        "Content-Language": locale,
        "Vary": "Accept-Language, Authorization, Cookie",
        "Cache-Control": "no-cache",
    }
    headers |= {name.replace("_", "-"): value for name, value in more.items() if value}
    data = orjson.dumps(body) if form is Format.JSON else _xml(root, body)
    return Response(data, status_code=status, media_type=CONTENT_TYPES[form], headers=headers)


def error_answer(form: Format, status: int, descriptions: Sequence[str], *, locale: Locale, **more: str) -> Response:
    """Write the array of errors; the code of each is the status, as the specification's examples have it."""
    body = [{"code": status, "description": description} for description in descriptions]
    return answer(form, "errors", body, locale=locale, status=status, **more)


def _xml(root: str, body: Mapping[str, Any] | Sequence[Any]) -> bytes:
    data: bytes = etree.tostring(_element(root, body), xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return data


def _element(name: str, value: Any) -> Any:
    element = etree.Element(name)
    if isinstance(value, Mapping):
        element.extend(_element(key, member) for key, member in value.items())
    elif isinstance(value, list | tuple):
        element.extend(_element(_MEMBERS[name], member) for member in value)
    elif isinstance(value, bool):
        element.text = "true" if value else "false"
    elif value is not None:
        element.text = _NOT_XML.sub("\ufffd", str(value))
    return element
