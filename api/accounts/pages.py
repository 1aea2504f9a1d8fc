"""Where people go: to sign in and back, each to their own page; and never to somebody else's host."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request

from api.accounts.callers import Caller
from api.accounts.roles import FIELD_ROLES, Scope

__all__ = ["home_of", "is_page_request", "safe_next", "sign_in_address"]

SIGN_IN: Final = "/sign-in"
_MOST: Final = 1000
#: What programs ask for; everything else that asks for HTML is somebody with a browser.
_MACHINES: Final = ("/v1/", "/static/", "/tiles/", "/healthz", "/readyz", "/openapi.json")


def safe_next(text: str | None) -> str | None:
    """The place to go to after signing in, if it is one of ours.

    Examples
    --------
    >>> safe_next("/maps/heat?level=2"), safe_next("//evil.example"), safe_next("https://evil.example/")
    ('/maps/heat?level=2', None, None)
    """
    if not text or len(text) > _MOST or not text.startswith("/") or text.startswith(("//", "/\\")):
        return None
    # Browsers drop tabs and line ends from addresses, and read a backslash as a slash.
    if any(ord(letter) < 0x21 or letter in "\\\x7f" for letter in text):
        return None
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or parts.path.startswith((SIGN_IN, "/sign-out")):
        return None
    return text


def is_page_request(request: Request) -> bool:
    """Whether a person with a browser asks, who is better served by a page than by a problem document."""
    path = _path(request)
    # The forms of the administration go to the address of their page, so whoever has been signed out is led back there.
    asks = request.method in {"GET", "HEAD"} or (request.method == "POST" and path.startswith("/admin/"))
    return asks and "text/html" in request.headers.get("accept", "") and not path.startswith(_MACHINES)


def sign_in_address(request: Request) -> str:
    """Address of the sign-in page that leads back here."""
    query = request.url.query
    here = safe_next(_path(request) + (f"?{query}" if query else ""))
    root = request.scope.get("root_path", "")
    return f"{root}{SIGN_IN}" + (f"?next={quote(here, safe='')}" if here and here != "/" else "")


def home_of(caller: Caller) -> str:
    """The page that somebody works on."""
    if caller.must_change:
        return "/account"
    if caller.roles and FIELD_ROLES.issuperset(caller.roles):
        return "/field"
    if Scope.CASES_MOVE in caller.scopes:
        return "/"
    if Scope.GRID_WRITE in caller.scopes:
        return "/grid"
    if Scope.POSTS_WRITE in caller.scopes:
        return "/admin/people"
    return "/account" if caller.scopes.isdisjoint({Scope.CASES_READ_ALL, Scope.MAPS_READ}) else "/maps/heat"


def _path(request: Request) -> str:
    path: str = request.scope["path"]
    root: str = request.scope.get("root_path", "")
    return path.removeprefix(root) if root and path.startswith(root) else path
