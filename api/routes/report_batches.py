"""`POST /v1/reports:batch`: up to ten thousand reports in one call, each taken or refused by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from api.access import require
from api.accounts.keys import Caller, Scope
from api.container import Container, Wired
from api.datum_warnings import datum_warnings
from api.errors import error_response, position_faults, shape_faults
from api.idempotency import answer_once, fingerprint_of, key_of
from api.language import locale_of
from api.photo_schemas import BatchIn, BatchOut
from api.plain_reports import plain_report
from api.rendering import receipt_json
from api.report_bodies import inlined, report_of
from api.routes.reports import IDEMPOTENCY, channel_of
from api.schemas import ReportIn, problems
from dispatch.intake import Receipt, Report
from geo.errors import BadInputError, Fault, GridwardError, InvalidRequestError
from maps.i18n import Locale

router = APIRouter(tags=["reports"])

MOST_REPORTS = 10_000
_CHUNK = 500
"""Reports per transaction: long enough to share a commit, short enough to hold nobody up."""
_AT_ONCE = 2


@router.post(
    "/v1/reports:batch",
    response_model=None,
    responses={200: {"model": BatchOut}, **problems(400, 401, 403, 409, 413, 422, 503)},
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": inlined(BatchIn)}}},
        "parameters": [IDEMPOTENCY],
    },
)
async def create_reports(
    request: Request, caller: Annotated[Caller, Depends(require(Scope.REPORTS_CREATE))], container: Wired
) -> Response:
    """Take up to 10,000 reports. Every one has its own result: a wrong one hurts no other.

    A batch that broke off may be sent again: known tickets answer with the receipt of the first time.
    """
    channel = channel_of(caller)
    data = await request.body()
    key = key_of(request)

    async def answer() -> Response:
        return await _take(container, channel, _items(data), locale_of(request))

    if key is None:
        return await answer()
    return await answer_once(container.desk.engine, channel, key, fingerprint_of(request, (data,)), answer)


def _items(data: bytes) -> list[Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        where = ("body", f"{error.lineno}:{error.colno}")
        fault = {"type": "json_invalid", "loc": where, "msg": error.msg, "input": None}
        raise RequestValidationError([fault]) from error
    items = document.get("reports") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise BadInputError("batch.empty", pointer="/reports")
    if len(items) > MOST_REPORTS:
        raise BadInputError("batch.too_many", pointer="/reports", most=MOST_REPORTS)
    unknown = [name for name in document if name != "reports"]
    if unknown:
        raise InvalidRequestError(
            [Fault(code="request.unknown_field", pointer=f"/{name}", params={"field": name}) for name in unknown[:20]]
        )
    return items


async def _take(container: Container, channel: str, items: list[Any], locale: Locale) -> Response:
    # Two transactions at a time: while one commits, the next is prepared; more would only take connections from others.
    turns = asyncio.Semaphore(_AT_ONCE)

    async def part(start: int) -> list[tuple[int, bytes]]:
        async with turns:
            return await _take_part(container, channel, items[start : start + _CHUNK], start, locale)

    parts = await asyncio.gather(*(part(start) for start in range(0, len(items), _CHUNK)))
    results = [result for part_ in parts for result in part_]
    taken = sum(status == 201 for status, _ in results)
    repeated = sum(status == 200 for status, _ in results)
    head = f'{{"taken":{taken},"repeated":{repeated},"refused":{len(results) - taken - repeated},"results":['
    body = head.encode() + b",".join(text for _, text in results) + b"]}"
    return Response(body, media_type="application/json", headers={"Content-Language": locale})


async def _take_part(
    container: Container, channel: str, items: Sequence[Any], start: int, locale: Locale
) -> list[tuple[int, bytes]]:
    read = [_read(item, channel) for item in items]
    outcomes = iter(await _write(container, [report for report in read if isinstance(report, Report)]))
    results = []
    for place, report in enumerate(read, start=start):
        outcome = next(outcomes) if isinstance(report, Report) else report
        warned: list[dict[str, Any]] = []
        if isinstance(report, Report) and isinstance(outcome, Receipt):
            warned = await datum_warnings(container, report, outcome, locale)
        results.append(_result(place, outcome, locale, warned))
    return results


async def _write(container: Container, reports: list[Report]) -> Sequence[Receipt | GridwardError]:
    try:
        return await container.desk.take_many(reports) if reports else []
    except GridwardError as error:
        # The database is away: what is written already stays true, so each of these says it for itself.
        return [error] * len(reports)


def _read(item: Any, channel: str) -> Report | GridwardError:
    plain = plain_report(item, channel)
    if plain is not None:
        return plain
    try:
        # As JSON again: strictness differs between JSON and Python values, and a report must mean the same everywhere.
        return report_of(ReportIn.model_validate_json(orjson.dumps(item)), channel)
    except ValidationError as error:
        faults = shape_faults(error.errors(include_url=False, include_input=False))
        return InvalidRequestError(faults + position_faults(item, faults))


def _result(
    place: int, outcome: Receipt | GridwardError, locale: Locale, warned: list[dict[str, Any]]
) -> tuple[int, bytes]:
    if isinstance(outcome, Receipt):
        status = 200 if outcome.is_repeat else 201
        receipt = receipt_json(outcome, locale) | ({"warnings": warned} if warned else {})
        return status, orjson.dumps({"index": place, "status": status, "receipt": receipt})
    response = error_response(outcome, locale)
    text = f'{{"index":{place},"status":{response.status_code},"problem":'.encode() + bytes(response.body) + b"}"
    return response.status_code, text
