"""Limits and headers that hold for every request, as plain ASGI: the hot path pays microseconds, not objects."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.account_pages import error_page
from api.errors import error_response
from api.language import locale_of
from api.open311 import door as open311
from geo.errors import BadInputError
from maps.i18n import translate


class _TooLargeError(Exception):
    pass


async def answer_head(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer ``HEAD`` with the head that ``GET`` would have; a stream ends with its head (RFC 9110, 9.3.2)."""
    is_over = False

    async def heard() -> Message:
        return {"type": "http.disconnect"} if is_over else await receive()

    async def head_alone(message: Message) -> None:
        nonlocal is_over
        if is_over:
            return
        if message["type"] != "http.response.start":
            is_over, message = True, {"type": "http.response.body", "body": b""}
        await send(message)

    await app({**scope, "method": "GET"}, heard, head_alone)


class BodyLimit:
    """Refuse bodies over a size: by the declared length before reading, and by count for those that declare none.

    Packed bodies (``Content-Encoding``) are refused as such: read as they are they would be called broken.
    """

    def __init__(self, app: ASGIApp, *, most_bytes: int, most_upload_bytes: int = 0) -> None:
        self.app = app
        self.most_bytes = most_bytes
        self.most_upload_bytes = max(most_upload_bytes, most_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = b"0"
        for name, value in scope["headers"]:
            if name == b"content-length":
                declared = value
            elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                await self._refuse_packed(scope, receive, send)
                return
        most = self.most_upload_bytes if _takes_files(scope) else self.most_bytes
        if not declared.isdigit() or len(declared) > 18 or int(declared) > most:
            await self._refuse(scope, receive, send, most)
            return
        count = 0
        started = False

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > most:
                raise _TooLargeError
            return message

        async def noticed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, counted, noticed)
        except _TooLargeError:
            if not started:
                await self._refuse(scope, receive, send, most)

    async def _refuse_packed(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Unpacking would need a limit of its own against bombs, and no report is long enough to gain by it.
        answer = _problem(Request(scope), BadInputError("request.packed"))
        answer.headers["Accept-Encoding"] = "identity"
        await answer(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        request = Request(scope)
        hint = translate(locale_of(request), "account.error.413.hint", most=f"{most / 1_048_576:.3g}")
        # Who sent a file by a form of ours gets a page with the way back to it.
        page = error_page(request, 413, hint)
        answer = page or _problem(request, BadInputError("request.too_large", most=most))
        await answer(scope, receive, send)


def _problem(request: Request, error: BadInputError) -> Response:
    """The refusal as the interface that was asked says it."""
    if request.url.path.startswith("/open311/"):
        return open311.refuse(request, error)
    return error_response(error, locale_of(request))


#: Ends of paths where files and batches are sent.
UPLOADS = (
    "/v1/reports:batch",
    "/v1/places:import",
    "/v1/categories:check",
    "/v1/categories:import",
    "/admin/categories-import",
    "/v1/field/actions",
    "/photos",
)


def _takes_files(scope: Scope) -> bool:
    path = scope["path"]
    if path.endswith(UPLOADS):
        return True
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return bool(
        path.endswith(("/v1/reports", "/requests.xml", "/requests.json"))
        and kind.lower().startswith(b"multipart/form-data")
    )


#: Headers that cost nothing and close doors: on every answer, on those over https, and on those that are data.
FOR_ALL = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "SAMEORIGIN",
    "Permissions-Policy": "camera=(self), geolocation=(self), microphone=()",
}
FOR_HTTPS = "max-age=31536000"
FOR_DATA = "default-src 'none'; frame-ancestors 'none'"


class SecurityHeaders:
    """Headers that cost nothing and close doors.

    Parameters
    ----------
    over_https
        Whether browsers come by https, whatever the connection from the reverse proxy is.
    """

    def __init__(self, app: ASGIApp, *, over_https: bool = False) -> None:
        self.app = app
        self.over_https = over_https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in FOR_ALL.items():
                    headers.setdefault(name, value)
                if "frame-ancestors 'self' http" in headers.get("content-security-policy", ""):
                    # The older header knows no list; with it, browsers that obey both would refuse the named ones, too.
                    del headers["X-Frame-Options"]
                if self.over_https or scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", FOR_HTTPS)
                if not headers.get("content-type", "").startswith("text/html") and "/static/" not in scope["path"]:
                    # Data that a browser is talked into showing as a page can do nothing there. Not for scripts: the
                    # policy of a worker's file is the worker's own.
                    headers.setdefault("Content-Security-Policy", FOR_DATA)
                if scope["path"].startswith("/static/"):
                    # Revalidate each time (ETag answers 304): a new version must never meet an old script.
                    headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        await self.app(scope, receive, with_headers)
