"""Error code → HTTP status, and errors as ``application/problem+json`` (RFC 9457) in the caller's language."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
import psycopg
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from api.account_pages import error_page, page_instead
from api.language import locale_of
from geo.coordinates import position_faults
from geo.errors import (
    BadInputError,
    ConflictError,
    Fault,
    ForbiddenError,
    GridwardError,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
    json_pointer,
)
from geo.storage.engine import unavailable
from maps.i18n import Locale, catalogue, spoken, translate

log = structlog.get_logger("gridward.http")

#: What a kind of error means at the door …
STATUS_OF_KIND: tuple[tuple[type[GridwardError], int], ...] = (
    (InvalidRequestError, 422),
    (NotFoundError, 404),
    (ConflictError, 409),
    (ForbiddenError, 403),
    (UnavailableError, 503),
    (BadInputError, 400),
    (GridwardError, 500),
)
#: … and the codes that HTTP has a better word for.
STATUS_OF_CODE = {
    "access.key_required": 401,
    "access.key_unknown": 401,
    "access.sign_in_failed": 401,
    "access.sign_in_again": 401,
    "access.code_wrong": 401,
    "access.identity_unknown": 403,
    "access.identity_failed": 401,
    "access.sign_in_wait": 429,
    "access.too_many": 429,
    "reporter.too_many": 429,
    "accounts.password_wrong": 403,
    "dispatch.version_conflict": 412,
    "dispatch.version_required": 428,
    "geo.draft_changed": 412,
    "dispatch.ticket_reused": 422,
    "ogc.bad_query": 400,
    "idempotency.other_request": 422,
    "photo.too_large": 413,
    "batch.empty": 422,
    "batch.too_many": 413,
    "request.too_large": 413,
    "request.packed": 415,
    "request.media_type": 415,
}
RETRY_AFTER_S = 2
_MOST_FAULTS = 100


def status_of(error: GridwardError) -> int:
    """HTTP status of an error."""
    if error.code in STATUS_OF_CODE:
        return STATUS_OF_CODE[error.code]
    return next(status for kind, status in STATUS_OF_KIND if isinstance(error, kind))


def message_of(locale: Locale, code: str, params: dict[str, Any]) -> str:
    """Sentence of an error; lists are joined, so that catalogues need no syntax for them."""
    return translate(locale, f"error.{code}", **spoken(locale, params))


def problem(
    status: int, code: str, detail: str, *, locale: Locale, errors: list[dict[str, Any]] | None = None, **facts: Any
) -> Response:
    """Build the problem document."""
    body: dict[str, Any] = {
        "type": f"urn:gridward:error:{code}",
        "title": translate(locale, f"http.{status}") if f"http.{status}" in catalogue(locale) else _phrase(status),
        "status": status,
        "code": code,
        "detail": detail,
    }
    if errors is not None:
        body["errors"] = errors
    if facts:
        body["params"] = facts
    headers: dict[str, str] = {"Content-Language": locale}
    if status in {503, 429}:
        headers["Retry-After"] = str(facts.get("seconds", RETRY_AFTER_S))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="gridward"'
    payload = orjson.dumps(body, default=str)
    return Response(payload, status_code=status, media_type="application/problem+json", headers=headers)


def error_response(error: GridwardError, locale: Locale) -> Response:
    """Turn one of our errors into its response."""
    errors = None
    if error.causes:
        errors = [_fault(fault, locale) for fault in error.causes]
    elif isinstance(error, InvalidRequestError):
        errors = [_fault(fault, locale) for fault in error.faults]
    elif error.pointer is not None:
        errors = [_fault(Fault(code=error.code, pointer=error.pointer, params=error.params), locale)]
    detail = message_of(locale, error.code, error.params)
    return problem(status_of(error), error.code, detail, locale=locale, errors=errors, **error.params)


def _fault(fault: Fault, locale: Locale) -> dict[str, Any]:
    detail = message_of(locale, fault.code, fault.params)
    if fault.params.get("at_row"):
        # Of a row of a table: said as somebody finds it who has the file open.
        place = "imports.at.cell" if fault.params.get("at_column") else "imports.at.row"
        detail = translate(locale, place, **{"detail": detail} | fault.params)
    return {"code": fault.code, "pointer": fault.pointer, "detail": detail}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return str(status)


#: pydantic's error types → our sentences; what is not listed gets the general one.
_SHAPE = {
    "missing": "request.missing",
    "missing_body": "request.body_needed",
    "body_type": "request.body_no_object",
    "extra_forbidden": "request.unknown_field",
    "json_invalid": "request.not_json",
    "not_utf8": "request.not_utf8",
    "too_deep": "request.too_deep",
    "number_too_long": "request.number_too_long",
    "json_type": "request.not_json",
    "string_too_long": "request.too_long",
    "string_too_short": "request.too_short",
    "string_type": "request.not_text",
    "too_long": "request.too_many_items",
    "too_short": "request.too_few_items",
    "list_type": "request.not_a_list",
    "tuple_type": "request.not_a_list",
    "bool_type": "request.not_true_or_false",
    "bool_parsing": "request.not_true_or_false",
    "float_type": "request.not_a_number",
    "float_parsing": "request.not_a_number",
    "finite_number": "request.not_finite",
    "int_type": "request.not_a_whole_number",
    "int_parsing": "request.not_a_whole_number",
    "int_from_float": "request.not_a_whole_number",
    "enum": "request.not_one_of",
    "literal_error": "request.not_one_of",
    "union_tag_invalid": "request.not_one_of",
    "union_tag_not_found": "request.missing",
    "datetime_type": "request.not_a_time",
    "datetime_from_date_parsing": "request.not_a_time",
    "datetime_parsing": "request.not_a_time",
    "date_type": "request.not_a_date",
    "date_parsing": "request.not_a_date",
    "date_from_datetime_parsing": "request.not_a_date",
    "date_from_datetime_inexact": "request.not_a_date",
    "time_type": "request.not_a_wall_time",
    "time_parsing": "request.not_a_wall_time",
    "timezone_aware": "request.time_without_zone",
    "timezone_naive": "request.wall_time_with_zone",
    "uuid_type": "request.not_a_uuid",
    "uuid_parsing": "request.not_a_uuid",
    "bad_character": "request.bad_character",
    "string_unicode": "request.bad_character",
    "misspelled": "request.misspelled",
    "either": "request.either",
    "greater_than": "request.out_of_range",
    "greater_than_equal": "request.out_of_range",
    "less_than": "request.out_of_range",
    "less_than_equal": "request.out_of_range",
    "model_type": "request.not_an_object",
    "model_attributes_type": "request.not_an_object",
    "dict_type": "request.not_an_object",
}
#: The same of the body as a whole, which has no name that could be told.
_OF_BODY = {"missing": "missing_body"} | dict.fromkeys(
    ("model_type", "model_attributes_type", "dict_type"), "body_type"
)
_PARTS = frozenset({"body", "query", "path", "header", "cookie"})
_BOUNDS = (("gt", ">"), ("ge", "≥"), ("lt", "<"), ("le", "≤"))


def shape_faults(errors: Iterable[Mapping[str, Any]], body: object = None) -> list[Fault]:
    """Faults of a body's shape, from pydantic's own list.

    Parameters
    ----------
    body
        As it came. Where one field chooses among several shapes, pydantic puts its value before the place.
    """
    faults = []
    for item in itertools.islice(errors, _MOST_FAULTS):
        where = [str(part) for part in item["loc"]]
        if where and where[0] in _PARTS:
            where = where[1:]
        if isinstance(body, Mapping) and len(where) > 1 and where[0] not in body and where[0] in body.values():
            where = where[1:]
        if item["type"] == "json_invalid":
            where = []  # pydantic puts the character position there; it is told in the sentence instead
        context = item.get("ctx") or {}
        if item["type"] in ("union_tag_invalid", "union_tag_not_found"):
            where.append(context["discriminator"].strip("'"))
        expected = context.get("expected", context.get("expected_tags", ""))
        params = {
            "field": ".".join(where) or "–",
            "expected": str(expected).replace(" or ", ", "),
            "most": context.get("max_length", context.get("le", "")),
            "least": context.get("min_length", context.get("ge", "")),
            "position": item["loc"][-1] if item["type"] == "json_invalid" else "",
            "example": context.get("example", ""),
            # In signs, so that the sentence is right in any language.
            "bound": ", ".join(f"{sign} {context[name]}" for name, sign in _BOUNDS if name in context),
        }
        kind = item["type"]
        if kind in ("too_long", "too_short") and isinstance(item.get("input"), str):
            kind = f"string_{kind}"  # what was read by a rule of ours is counted like anything that has a length
        if not where:
            kind = _OF_BODY.get(kind, kind)
        faults.append(Fault(code=_SHAPE.get(kind, "request.bad_value"), pointer=json_pointer(*where), params=params))
    return faults


def _unreadable(cause: BaseException | None) -> Fault | None:
    """What is wrong with a body that the framework says only that it cannot read."""
    match cause:
        case UnicodeDecodeError():
            return Fault(code="request.not_utf8", pointer="")
        case RecursionError():
            return Fault(code="request.too_deep", pointer="")
        case ValueError():  # of the one kind that is left: Python reads no number of thousands of digits
            return Fault(code="request.number_too_long", pointer="")
    return None


def _point_faults(given: object, told: Iterable[Fault]) -> list[Fault]:
    """Faults of the point ``lon``, ``lat`` in a body or query, to be told together with those of its shape.

    The rules look at a point only when the shape is sound; a caller whose request lacks a field as well should not
    learn one after the other that the axes are swapped.
    """
    if not isinstance(given, Mapping) or {"/lon", "/lat"} & {fault.pointer for fault in told}:
        return []
    lon, lat = given.get("lon"), given.get("lat")
    if not isinstance(lon, int | float | str) or not isinstance(lat, int | float | str):
        return []
    try:
        return position_faults(float(lon), float(lat))
    except (ValueError, OverflowError):
        return []  # no number: that is a fault of the shape


def _in_words(request: Request, document: Response) -> Response:
    """Turn a problem document into a page for somebody with a browser; programs get it as it is."""
    facts = orjson.loads(bytes(document.body))
    faults = [fault["detail"] for fault in facts.get("errors", [])]
    # What only repeats the status in words, or counts the faults, is said better by the page.
    detail = None if faults or facts["code"].startswith("http.") else facts["detail"]
    page = error_page(request, document.status_code, detail, faults)
    if page is None:
        return document
    for name in ("Retry-After", "Allow"):
        if name in document.headers:
            page.headers[name] = document.headers[name]
    return page


def install(app: FastAPI) -> None:
    """Teach the application to answer every error as a problem document."""

    @app.exception_handler(GridwardError)
    async def _ours(request: Request, error: GridwardError) -> Response:
        if status_of(error) >= 500:
            log.warning("unavailable", code=error.code, path=request.url.path)
        # Somebody with a browser is led to the door, or told in words why not.
        return page_instead(request, error) or _in_words(request, error_response(error, locale_of(request)))

    @app.exception_handler(RequestValidationError)
    async def _shape(request: Request, error: RequestValidationError) -> Response:
        if isinstance(error.body, bytes):
            # The framework reads a body only when it is said to be JSON, and then calls its bytes no object.
            return error_response(BadInputError("request.media_type"), locale_of(request))
        faults = shape_faults(error.errors(), error.body)
        faults += _point_faults(error.body if error.body is not None else request.query_params, faults)
        return _in_words(request, error_response(InvalidRequestError(faults), locale_of(request)))

    @app.exception_handler(StarletteHTTPException)
    async def _http(request: Request, error: StarletteHTTPException) -> Response:
        locale = locale_of(request)
        if fault := _unreadable(error.__cause__):
            return error_response(InvalidRequestError([fault]), locale)
        code = f"http.{error.status_code}"
        detail = translate(locale, code) if code in catalogue(locale) else _phrase(error.status_code)
        response = problem(error.status_code, code, detail, locale=locale)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return _in_words(request, response)

    @app.exception_handler(ClientDisconnect)
    async def _gone(_request: Request, _error: ClientDisconnect) -> Response:
        # Nobody is there to read it; and whoever hangs up on purpose must not be able to fill the log.
        return Response(status_code=400)

    async def _rest(request: Request, error: Exception) -> Response:
        locale = locale_of(request)
        away = unavailable(error)
        if away is not None:
            log.warning("unavailable", code=away.code, path=request.url.path)
            return _in_words(request, error_response(away, locale))
        log.exception("unexpected", path=request.url.path, exc_info=error)
        return _in_words(request, problem(500, "http.500", translate(locale, "http.500"), locale=locale))

    # What a database that is away raises is named one by one: a handler for Exception alone answers as well, but the
    # framework then raises the error again, and the server drops the connection of a caller who did nothing wrong.
    for kind in (SQLAlchemyError, psycopg.Error, ConnectionError, TimeoutError, Exception):
        app.add_exception_handler(kind, _rest)
