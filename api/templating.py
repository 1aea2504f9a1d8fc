"""Rendering pages: Jinja2 with autoescape, and the security headers that every page carries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import maps
from maps.i18n import Locale
from maps.live import CONTENT_SECURITY_POLICY

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(maps.__file__).parent / "templates"),
    autoescape=True,
    # A misspelt name fails the test instead of printing nothing.
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def text_of(template: str, context: dict[str, Any]) -> str:
    """The text of one of our own templates, for a file and not a page."""
    return _ENVIRONMENT.get_template(template).render(**context)


def render(template: str, context: dict[str, Any], *, locale: Locale, status: int = 200) -> Response:
    """Render one of our own pages."""
    return Response(
        text_of(template, context),
        status_code=status,
        media_type="text/html; charset=utf-8",
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "Content-Language": locale,
            "Cache-Control": "no-store",
            "Vary": "Accept-Language, Cookie",
        },
    )
