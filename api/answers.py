"""JSON answers: encoded once, by orjson, with the headers every answer carries."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import Response

from maps.i18n import Locale

GEOJSON = "application/geo+json"


def json_answer(
    body: Any, *, locale: Locale, status: int = 200, media_type: str = "application/json", **headers: str
) -> Response:
    """Encode a body that is already made of plain values; a header without a value is left out."""
    named = {name.replace("_", "-"): value for name, value in headers.items() if value}
    return Response(
        orjson.dumps(body),
        status_code=status,
        media_type=media_type,
        headers={"Content-Language": locale, "Vary": "Accept, Accept-Language", **named},
    )


def quoted(tag: str | int) -> str:
    """An entity tag."""
    return f'"{tag}"'
