"""A short way for the question asked most: ``GET /v1/locate?lon=&lat=&coord_sys=`` about now, with a key.

The route in `api.routes.locating` answers everything; its parameters and dependencies cost several times the answer
itself. This middleware answers when nothing is unusual and passes everything else on, errors included, so that there is
one place that refuses. A test holds both answers equal byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.accounts.callers import Caller
from api.accounts.roles import Scope as KeyScope
from api.container import Container
from api.language import COOKIE, locale_of
from api.responsible import zone_of
from api.routes.locating import found_json
from dispatch.posts import Rung
from dispatch.whereabouts import find_now
from geo.coordinates import CoordSys, check_position, snap_to_grid, to_wgs84
from geo.errors import BadInputError
from geo.lookup import CellIndex
from maps.i18n import Locale, negotiate

__all__ = ["PlainQuestions"]

_PATH: Final = "/v1/locate"
#: Plain decimals in any order of the three; everything else, however it is encoded, goes the long way.
_QUERY: Final = re.compile(
    rb"(?=(?:[^&]+&)?(?:[^&]+&)?lon=(-?\d{1,3}(?:\.\d{1,15})?)(?:&|$))"
    rb"(?=(?:[^&]+&)?(?:[^&]+&)?lat=(-?\d{1,3}(?:\.\d{1,15})?)(?:&|$))"
    rb"(?=(?:[^&]+&)?(?:[^&]+&)?coord_sys=([a-z0-9]+)(?:&|$))"
    rb"[^&]+&[^&]+&[^&]+"
)
_SYSTEMS: Final = {system.value.encode(): system for system in CoordSys}
#: Answers kept at most, about a kilobyte each.
_MOST_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """The answer of a cell but for the point, and the ladder that it tells of."""

    path: tuple[str, ...]
    ladder: Sequence[Rung]
    before: bytes
    after: bytes


class PlainQuestions:
    """Answers plain questions about one point; passes the rest on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # Of one index only: cells of another drawing may have the same numbers.
        self._index: CellIndex | None = None
        self._kept: dict[tuple[int, Locale], _Kept] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == _PATH and scope["method"] == "GET":
            answer = await self._answer(scope)
            if answer is not None:
                body, locale = answer
                headers = [
                    (b"content-language", locale.encode()),
                    (b"vary", b"Accept, Accept-Language"),
                    (b"content-length", str(len(body)).encode()),
                    (b"content-type", b"application/json"),
                ]
                await send({"type": "http.response.start", "status": 200, "headers": headers})
                await send({"type": "http.response.body", "body": body})
                return
        await self.app(scope, receive, send)

    async def _answer(self, scope: Scope) -> tuple[bytes, Locale] | None:
        point = _read_point(scope["query_string"])
        if point is None:
            return None
        container: Container = scope["app"].state.container
        request = Request(scope)
        try:
            caller = await container.doorkeeper.identify(request)
            # Whoever may not ask, or has no key, is the route's business: there is one place that refuses.
            if not isinstance(caller, Caller) or caller.kind != "key" or KeyScope.LOCATE not in caller.scopes:
                return None
            locale = _locale(request)
            body = self._from_kept(container, *point, locale) or await self._anew(container, *point, locale)
        except Exception:
            return None  # the route meets the same trouble, and is where errors are answered
        return None if body is None else (body, locale)

    def _from_kept(self, container: Container, lon: float, lat: float, locale: Locale) -> bytes | None:
        live = container.live
        now = live.index.now()
        grid = live.index.at(now)
        if grid is None or grid.index is not self._index:
            return None
        kept = self._kept.get((grid.index.find(lon, lat), locale))
        # The rungs are the same objects until an interval begins or ends or somebody changes them.
        if kept is None or live.roster.ladder(kept.path, now) != kept.ladder:
            return None
        return b"".join((kept.before, orjson.dumps(lon), b',"lat":', orjson.dumps(lat), kept.after))

    async def _anew(self, container: Container, lon: float, lat: float, locale: Locale) -> bytes | None:
        found = await find_now(container.live, lon, lat)
        if found is None:
            return None
        body = orjson.dumps(
            found_json(found, lon, lat, None, locale, await zone_of(container) if found.ladder else None)
        )
        grid = container.live.index.at(container.live.index.now())
        if grid is not None and found.located.version is not None and grid.version.id == found.located.version.id:
            if grid.index is not self._index or len(self._kept) >= _MOST_KEPT:
                self._index, self._kept = grid.index, {}
            # Quotes inside names are escaped, so this stands in the text once.
            point = b'"location":{"lon":' + orjson.dumps(lon) + b',"lat":' + orjson.dumps(lat)
            before, _, after = body.partition(point)
            number = grid.index.find(lon, lat)
            if grid.chain_of(number) == found.located.chain:
                self._kept[number, locale] = _Kept(
                    found.located.path, found.ladder, before + b'"location":{"lon":', after
                )
        return body


def _read_point(query: bytes) -> tuple[float, float] | None:
    """The point in WGS84 on the grid when the query is a plain one."""
    said = _QUERY.fullmatch(query)
    if said is None or said[3] not in _SYSTEMS:
        return None
    lon, lat = float(said[1]), float(said[2])
    try:
        check_position(lon, lat)
    except BadInputError:
        return None
    x, y = to_wgs84(lon, lat, _SYSTEMS[said[3]])
    return snap_to_grid(x), snap_to_grid(y)


def _locale(request: Request) -> Locale:
    if COOKIE in request.headers.get("cookie", ""):
        return locale_of(request)
    return _negotiated(request.headers.get("accept-language"))


@lru_cache(maxsize=256)
def _negotiated(accepted: str | None) -> Locale:
    return negotiate(accepted, None)
