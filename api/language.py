"""The caller's language: ``?lang=``, then the cookie of the pages' switch, then Accept-Language, else Chinese."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from maps.i18n import Locale, negotiate

COOKIE = "gridward_lang"


def locale_of(request: HTTPConnection) -> Locale:
    """Locale of a request."""
    explicit = request.query_params.get("lang") or request.cookies.get(COOKIE)
    return negotiate(request.headers.get("accept-language"), explicit)
