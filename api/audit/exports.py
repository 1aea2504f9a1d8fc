"""Whatever leaves as a file leaves a record, whichever route has made it."""

from __future__ import annotations

from typing import Final

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audit.trail import Actor, Kind, record
from api.errors import error_response
from api.language import locale_of
from geo.errors import UnavailableError
from geo.storage.uow import write_unit

__all__ = ["ExportRecords", "is_export"]

log = structlog.get_logger("gridward.audit")
_FILES: Final = (
    "text/csv",
    "application/pdf",
    "application/zip",
    "application/vnd.openxmlformats",
    "application/vnd.apache.parquet",
    "application/geopackage",
)


def is_export(path: str, headers: Headers) -> bool:
    """Whether an answer is a file to take away."""
    return (
        headers.get("content-type", "").startswith(_FILES)
        or headers.get("content-disposition", "").startswith("attachment")
        or path.endswith(".geojson")
    )


class ExportRecords:
    """Records exports before their first byte is sent: what cannot be recorded is not handed out."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"].startswith("/static/"):
            await self.app(scope, receive, send)
            return
        refused = False

        async def noted(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = Headers(raw=message["headers"])
                if is_export(scope["path"], headers) and not await self._record(scope, headers):
                    refused = True
                    request = Request(scope)
                    await error_response(UnavailableError("storage.busy"), locale_of(request))(scope, receive, send)
            if not refused:
                await send(message)

        await self.app(scope, receive, noted)

    async def _record(self, scope: Scope, headers: Headers) -> bool:
        container = scope["app"].state.container
        try:
            caller = await container.doorkeeper.find(Request(scope))
            actor = caller.actor if caller is not None else Actor(kind="public", id="")
            async with write_unit(container.control) as unit:
                await record(
                    unit,
                    Kind.EXPORTED,
                    scope["path"].removeprefix("/v1/"),
                    actor=actor,
                    query=scope["query_string"].decode("latin-1")[:400],
                    type=headers.get("content-type", "").partition(";")[0],
                )
        except Exception as error:  # whatever the reason, the file stays here
            log.warning("export_not_recorded", error=type(error).__name__)
            return False
        return True
