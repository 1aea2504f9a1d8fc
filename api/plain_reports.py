"""A short way for the report sent most: ``POST /v1/reports`` with a key, a JSON body and a point.

The route in `api.routes.reports` answers everything; its parameters and dependencies cost more than the report itself.
It stands before the framework, takes what is plain and passes everything else on with the body put back, so that there
is one place that explains what is wrong. A test holds both answers equal byte by byte.
"""

from __future__ import annotations

from functools import lru_cache
from math import isfinite
from typing import Annotated, Any, Final

import msgspec
import orjson
from fastapi import FastAPI
from msgspec import Meta, Struct
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.accounts.callers import Caller
from api.accounts.rates import IN_SCOPE, RateState, rate_headers
from api.accounts.roles import Scope as KeyScope
from api.accounts.sessions import TOKEN_PREFIX
from api.connections import head_of, headers_of, send_whole
from api.container import Container
from api.datum_warnings import datum_warnings
from api.errors import error_response
from api.limits import FOR_ALL, FOR_DATA, FOR_HTTPS
from api.rendering import receipt_json
from api.responsible import zone_of
from api.spelling import is_storable
from dispatch.intake import Receipt, Report
from geo.coordinates import CoordSys
from geo.errors import GridwardError
from maps.i18n import Locale, negotiate

__all__ = ["PlainReports", "plain_report"]

_PATH: Final = "/v1/reports"
#: What a plain request has besides these headers changes what it means.
_UNUSUAL: Final = frozenset({b"idempotency-key", b"cookie", b"transfer-encoding", b"content-encoding", b"expect"})
_Ticket = Annotated[str, Meta(min_length=1, max_length=120)]
_Code = Annotated[str, Meta(min_length=1, max_length=40)]


class _Plain(Struct, forbid_unknown_fields=True):
    """The fields of `api.schemas.ReportIn`, as far as a plain report has them."""

    ticket: _Ticket
    text: Annotated[str, Meta(max_length=4000)]
    category: _Code
    lon: float
    lat: float
    coord_sys: CoordSys
    condition: Annotated[int, Meta(ge=1, le=32767)] | None = None
    accuracy_m: Annotated[float, Meta(gt=0, le=5000)] | None = None
    address: Annotated[str, Meta(max_length=400)] = ""
    self_handled: bool = False
    ledgers: Annotated[list[_Code], Meta(max_length=20)] = []


#: What every report's answer has in its head, written once.
_SECURITY_HEAD: Final = head_of(
    (name.lower().encode(), value.encode()) for name, value in (FOR_ALL | {"Content-Security-Policy": FOR_DATA}).items()
)
_HTTPS_HEAD: Final = head_of([(b"strict-transport-security", FOR_HTTPS.encode())])
_DECODER: Final = msgspec.json.Decoder(_Plain)


class PlainReports:
    """Takes plain reports; passes the rest on."""

    def __init__(self, app: FastAPI, rest: ASGIApp, *, most_bytes: int) -> None:
        self.app = app
        self.rest = rest
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        wanted = _wanted(scope, self.most_bytes) if scope["type"] == "http" and scope["path"] == _PATH else None
        if wanted is None:
            await self.rest(scope, receive, send)
            return
        body, messages = b"", []
        while True:
            message = await receive()
            messages.append(message)
            body += message.get("body", b"")
            if message["type"] != "http.request" or not message.get("more_body") or len(body) > self.most_bytes:
                break
        report = _read(body) if message["type"] == "http.request" else None
        answer = await self._take(scope, wanted, report) if report is not None else None
        if answer is None:
            await self.rest(scope, _again(messages, receive), send)
        elif not send_whole(send, answer.status, answer.head, answer.body):
            await send(
                {"type": "http.response.start", "status": answer.status, "headers": headers_of(answer.head)},
            )
            await send({"type": "http.response.body", "body": answer.body})

    async def _take(self, scope: Scope, wanted: _Wanted, plain: _Plain) -> _Answer | None:
        container: Container = self.app.state.container
        try:
            caller = await container.doorkeeper.identify_key(scope, wanted.key)
        except Exception:
            return None  # the route meets the same trouble, and is where errors are answered
        # Whoever may not report is the route's business: there is one place that refuses.
        if not isinstance(caller, Caller) or caller.channel is None or KeyScope.REPORTS_CREATE not in caller.scopes:
            return None
        locale = _locale(wanted.languages)
        report = _report(plain, caller.channel)
        try:
            receipt = await container.desk.take(report)
        except GridwardError as error:
            refused = error_response(error, locale)
            if refused.status_code < 500:
                return None  # said by the route, which says everything that is wrong
            head = _SECURITY_HEAD + head_of(refused.raw_headers)
            return _Answer(refused.status_code, head, bytes(refused.body))
        except Exception:
            return None  # should the report be written all the same, its ticket finds it
        shown = receipt_json(receipt, locale, await zone_of(container))
        if warnings := await datum_warnings(container, report, receipt, locale):
            shown["warnings"] = warnings
        answer = _answer(shown, receipt, locale)
        if scope["scheme"] == "https" or container.settings.over_https:
            answer.head += _HTTPS_HEAD
        rate: RateState | None = scope.get(IN_SCOPE)
        if rate is not None:
            answer.head += head_of(rate_headers(rate))
        return answer


class _Wanted(Struct, frozen=True):
    """What the head of a plain request says."""

    key: str
    languages: str | None


class _Answer(Struct):
    """What is answered; ``head`` are its header lines."""

    status: int
    head: bytes
    body: bytes


def _wanted(scope: Scope, most_bytes: int) -> _Wanted | None:
    """What is wanted by a plain request; None of one that is not."""
    if scope["method"] != "POST" or scope["query_string"]:
        return None
    given: bytes | None = None
    languages: str | None = None
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit() or len(value) > 18 or int(value) > most_bytes:
                return None
        elif name == b"content-type":
            if not value.lower().startswith(b"application/json"):
                return None
        elif name == b"authorization":
            # Of several the first one counts, here as on the long way.
            given = value if given is None else given
        elif name == b"accept-language":
            languages = value.decode("latin-1") if languages is None else languages
        elif name in _UNUSUAL:
            return None
    kind, _, key = (given or b"").decode("latin-1").partition(" ")
    if kind.lower() != "bearer" or not key or key.startswith(TOKEN_PREFIX):
        return None  # whoever is signed in, or nobody
    return _Wanted(key, languages)


def plain_report(item: Any, channel: str) -> Report | None:
    """A report of a batch, if it is plain; the long way says what is wrong with the others."""
    try:
        plain = msgspec.convert(item, _Plain)
        is_finite = isfinite(plain.lon) and isfinite(plain.lat) and isfinite(plain.accuracy_m or 0)
        return _report(plain, channel) if is_finite and _is_sound(plain) else None
    except (ValueError, OverflowError, SystemError):
        # A whole number of four hundred digits is no float, and the reader says so in its own way.
        return None


def _read(body: bytes) -> _Plain | None:
    try:
        plain = _DECODER.decode(body)
    except ValueError:  # of shape, or of encoding
        return None
    # What cannot be stored cannot be written in JSON either, but by escapes.
    return plain if _is_sound(plain, has_escapes=b"\\u" in body) else None


def _is_sound(plain: _Plain, *, has_escapes: bool = True) -> bool:
    """Whether its ticket says something, and its texts can be stored."""
    if plain.ticket.isspace():
        return False
    return not has_escapes or all(
        map(is_storable, (plain.ticket, plain.text, plain.category, plain.address, *plain.ledgers))
    )


def _report(plain: _Plain, channel: str) -> Report:
    return Report(
        channel=channel,
        ticket=plain.ticket,
        text=plain.text,
        category=plain.category,
        condition=plain.condition,
        x=plain.lon,
        y=plain.lat,
        coord_sys=plain.coord_sys,
        address=plain.address,
        ledgers=tuple(plain.ledgers),
        is_self_handled=plain.self_handled,
        accuracy_m=plain.accuracy_m,
    )


def _answer(shown: dict[str, Any], receipt: Receipt, locale: Locale) -> _Answer:
    body = orjson.dumps(shown)
    head = (
        b"%bcontent-language: %b\r\nvary: Accept, Accept-Language\r\nlocation: /v1/cases/%b\r\n"
        b"content-length: %d\r\ncontent-type: application/json\r\n"
    ) % (_SECURITY_HEAD, locale.encode(), receipt.ref.encode(), len(body))
    return _Answer(200 if receipt.is_repeat else 201, head, body)


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Give what was received once more, then go on receiving."""
    left = iter(messages)

    async def receive_again() -> Message:
        return next(left, None) or await receive()

    return receive_again


@lru_cache(maxsize=256)
def _locale(accepted: str | None) -> Locale:
    return negotiate(accepted, None)
