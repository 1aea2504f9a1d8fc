"""Files of the pages, and all that the field page loads, leave packed: it is opened in the rain, on a bad network.

Not the whole interface: programs on the same network gain nothing by it and would pay with the service's time, and
what pages say of a person is never packed together with what somebody else may have put into an address.
"""

from __future__ import annotations

from typing import Final

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["PackedPages"]

_PACKED: Final = ("/static/", "/field", "/v1/field/", "/wall", "/v1/wall")
#: Less than a network's packet is not worth it. Units: bytes.
_LEAST: Final = 1_000


class PackedPages:
    """Middleware: gzip for whoever takes it, below the addresses that phones and displays load."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._packed = GZipMiddleware(app, minimum_size=_LEAST, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app: ASGIApp = self._plain
        if scope["type"] == "http":
            path: str = scope["path"]
            root: str = scope.get("root_path", "")
            if path.removeprefix(root).startswith(_PACKED):
                app = self._packed
        await app(scope, receive, send)
