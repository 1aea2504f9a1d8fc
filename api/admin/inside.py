"""Asking our own interface from inside the process, as the person who has the page open.

The administration pages decide nothing. What they read and write goes through the routes under ``/v1``, so who may,
what is valid, which areas are in sight and what the audit trail keeps is decided in the one place that programs meet
as well, and no socket lies between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import orjson
from fastapi import Request

from maps.i18n import Locale

__all__ = ["Answer", "InsideError", "ask", "path_of"]

#: What says who asks and from where; the rest of a browser's headers is about pages.
_PASSED_ON: Final = ("authorization", "cookie", "host", "origin", "sec-fetch-site", "user-agent", "x-forwarded-for")
#: Below this an answer has what was asked for.
_LEAST_FAULT: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the interface answered.

    Attributes
    ----------
    faults
        Of a refusal: JSON pointer without its leading slash, and the sentence for it.
    """

    status: int
    body: Any = None
    etag: str | None = None
    code: str = ""
    detail: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether it was done."""
        return self.status < _LEAST_FAULT


class InsideError(Exception):
    """What a page needs cannot be read; the page says so in the interface's own words."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


def path_of(template: str, **parts: object) -> str:
    """An address with its parts filled in, each as one segment.

    Examples
    --------
    >>> path_of("/v1/posts/{post}/shifts", post="7/../8")
    '/v1/posts/7%2F..%2F8/shifts'
    """
    return template.format_map({name: quote(str(value), safe="") for name, value in parts.items()})


async def ask(
    request: Request,
    locale: Locale,
    method: str,
    path: str,
    *,
    query: Mapping[str, object] | None = None,
    body: object = None,
    content: tuple[str, bytes] | None = None,
    seen: str | None = None,
) -> Answer:
    """Make one request to our own interface with the rights of the request that is being answered.

    Parameters
    ----------
    query
        What is None is left out.
    content
        Media type and bytes instead of a JSON body.
    seen
        ``If-Match``.
    """
    asked = [(name, str(value)) for name, value in (query or {}).items() if value is not None and value != ""]
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    headers |= {"accept": "application/json", "accept-language": locale}
    kind, payload = content or ("application/json", b"" if body is None else orjson.dumps(body))
    if payload or content:
        headers["content-type"] = kind
    if seen:
        headers["if-match"] = seen
    # The page's language is said in the address: it outranks the cookie that the browser may send.
    url = f"{request.url.scheme}://{request.url.netloc}{path}?{urlencode([*asked, ('lang', locale)])}"
    peer = (request.client.host, request.client.port) if request.client else ("", 0)
    transport = httpx.ASGITransport(app=request.app, client=peer, raise_app_exceptions=False)
    response = await transport.handle_async_request(httpx.Request(method, url, headers=headers, content=payload))
    return _read(response.status_code, response.headers, await response.aread())


def _read(status: int, headers: httpx.Headers, data: bytes) -> Answer:
    is_json = "json" in headers.get("content-type", "")
    body = orjson.loads(data) if data and is_json else None
    if status < _LEAST_FAULT:
        return Answer(status=status, body=body, etag=headers.get("etag"))
    told = body if isinstance(body, dict) else {}
    return Answer(
        status=status,
        body=told,
        code=str(told.get("code", f"http.{status}")),
        detail=str(told.get("detail", "")),
        faults={str(each["pointer"]).lstrip("/"): str(each["detail"]) for each in told.get("errors", ())},
    )
