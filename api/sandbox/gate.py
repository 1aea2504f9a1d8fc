"""The way of requests with a sandbox key: the same application once more, over the sandbox's database."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Final

import structlog
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.errors import error_response
from api.language import locale_of
from api.open311.door import refuse
from api.sandbox.database import exists, prepare, url_of
from api.settings import Settings
from geo.errors import BadInputError, GridwardError, UnavailableError

__all__ = ["PREFIX", "HandedOn", "SandboxGate", "is_for_sandbox", "sandbox_settings"]

log = structlog.get_logger("gridward.sandbox")
#: First letters of the sandbox's keys.
PREFIX: Final = "gwt_"
_BEARER: Final = b"bearer gwt_"
#: Open311 has the key as a parameter.
_PARAMETER: Final = re.compile(rb"(?:^|&)api_key=gwt_")
_OPEN311: Final = "/open311/"
#: What the server says of a request.
_OF_SERVER: Final = frozenset(
    {"type", "asgi", "http_version", "server", "client", "scheme", "method", "root_path", "path", "raw_path"}
    | {"query_string", "headers", "extensions"}
)
#: How often somebody with a made-up key may make us ask whether there is a sandbox. Units: seconds.
_ASK_EVERY_S: Final = 2.0


def is_for_sandbox(scope: Scope) -> bool:
    """Whether a request carries a key of the sandbox; it says so by its first letters."""
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:11].lower() == _BEARER:
            return True
    return _OPEN311 in scope["path"] and _PARAMETER.search(scope["query_string"]) is not None


class HandedOn(Response):
    """Whatever the sandbox answers to a request whose body had to be read to know that it is for the sandbox."""

    def __init__(self, gate: SandboxGate, body: bytes) -> None:
        super().__init__()
        self._gate = gate
        self._whole = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask the sandbox as if the request had gone there at once."""
        pieces: list[Message] = [{"type": "http.request", "body": self._whole, "more_body": False}]

        async def replayed() -> Message:
            return pieces.pop() if pieces else await receive()

        # What our own routing has put in would mislead the other application's.
        await self._gate({name: value for name, value in scope.items() if name in _OF_SERVER}, replayed, send)


def sandbox_settings(settings: Settings) -> Settings:
    """Settings of the application inside the sandbox."""
    return settings.model_copy(
        update={
            "database_url": url_of(settings.database_url, settings.sandbox_database_url),
            # Nobody comes in without a key, and nothing is kept beside the office's own files.
            "open_on_loopback": False,
            "data_dir": settings.data_dir / "sandbox",
            "pool_size": min(4, settings.pool_size),
        }
    )


class SandboxGate:
    """Opens the sandbox when the first request for it comes, and passes requests on.

    Parameters
    ----------
    make
        Makes the application for some settings.
    """

    def __init__(self, settings: Settings, make: Callable[[Settings], FastAPI]) -> None:
        self._settings = settings
        self._make = make
        self._app: FastAPI | None = None
        self._life: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._stop = asyncio.Event()
        self._asked_at = float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            app = await self._open()
        except GridwardError as error:
            request = Request(scope)
            shaped = refuse(request, error) if _OPEN311 in scope["path"] else error_response(error, locale_of(request))
            await shaped(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Gridward-Mode"] = "sandbox"
            await send(message)

        await app(scope, receive, marked)

    async def end_streams(self) -> None:
        """End live streams, so that a stop need not wait for them."""
        if self._app is not None:
            await self._app.state.container.broadcaster.end_streams()

    async def aclose(self) -> None:
        """Close what was opened."""
        self._stop.set()
        if self._life is not None:
            with contextlib.suppress(Exception):
                await self._life

    async def _open(self) -> FastAPI:
        if self._app is not None:
            return self._app
        async with self._lock:
            return await self._begin()

    async def _begin(self) -> FastAPI:
        if self._app is not None:  # while this request waited for the lock
            return self._app
        now = asyncio.get_running_loop().time()
        inside = sandbox_settings(self._settings)
        if now - self._asked_at < _ASK_EVERY_S:
            raise BadInputError("access.key_unknown")
        if not await asyncio.to_thread(exists, inside.database_url):
            self._asked_at = now
            raise BadInputError("access.key_unknown")
        # A program newer than the sandbox brings it up to date; the office's own schema is migrated by hand.
        await asyncio.to_thread(prepare, self._settings.database_url, inside.database_url)
        app = self._make(inside)
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # In a task of its own: what a context manager opens in one task it must not close in another.
        self._life = asyncio.create_task(self._live(app, opened), name="sandbox")
        await opened
        self._app = app
        log.info("sandbox_opened")
        return app

    async def _live(self, app: FastAPI, opened: asyncio.Future[None]) -> None:
        try:
            async with app.router.lifespan_context(app) as _:
                opened.set_result(None)
                await self._stop.wait()
        except Exception as error:
            if opened.done():
                raise
            log.warning("sandbox_not_opened", reason=type(error).__name__)
            opened.set_exception(UnavailableError("storage.unavailable"))
