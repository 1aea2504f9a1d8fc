"""A short way for tiles: ``GET /tiles/{layer}/{z}/{x}/{y}.mvt?version=`` of a version that has begun.

A map asks for dozens at once, and matching hundreds of routes and resolving dependencies costs several times what a
kept tile does. This middleware answers when nothing is unusual and passes everything else on, errors included, to the
route in `api.routes.tiles`, which makes the same answer of the same tile.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.accounts.callers import Caller
from api.accounts.roles import Scope as KeyScope
from api.container import Container
from api.kept_tiles import kept_tiles
from api.routes.tiles import tile_answer
from geo.errors import GridwardError
from geo.tiles import ALL_LEVELS, layer_of, parse_address

__all__ = ["PlainTiles"]

_PATH: Final = re.compile(r"/tiles/([a-z0-9-]{1,40})/(\d{1,2})/(\d{1,8})/(\d{1,8})\.mvt", re.ASCII)
_QUERY: Final = re.compile(rb"version=([1-9]\d{0,8})")


class PlainTiles:
    """Answers plain requests for one tile; passes the rest on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith("/tiles/"):
            answer = await self._answer(scope)
            if answer is not None:
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _answer(self, scope: Scope) -> Response | None:
        path, query = _PATH.fullmatch(scope["path"]), _QUERY.fullmatch(scope["query_string"])
        if path is None or query is None:
            return None
        container: Container = scope["app"].state.container
        kept = kept_tiles(container.engine)
        version = kept.numbered.get(int(query[1]))
        if version is None:
            return None
        request = Request(scope)
        try:
            caller = await container.doorkeeper.identify(request)
            # Whoever may not ask, or has no key, is the route's business: there is one place that refuses.
            if not isinstance(caller, Caller) or caller.must_change or KeyScope.LOCATE not in caller.scopes:
                return None
            layers = {ALL_LEVELS, *map(layer_of, await kept.extents(version))}
            if path[1] not in layers:
                return None
            return await tile_answer(request, kept, version, path[1], parse_address(path[2], path[3], path[4]), True)
        except GridwardError:
            return None  # the route meets the same trouble, and is where errors are answered
