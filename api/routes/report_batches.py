"""`POST /v1/reports:batch`: up to ten thousand reports in one call, each taken or refused by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import from_json, to_json

from api.access import require
from api.accounts.keys import Caller, Scope
from api.container import Container, Wired
from api.datum_warnings import datum_warnings
from api.errors import error_response
from api.idempotency import UnfinishedResponse, answer_once, fingerprint_of, key_of
from api.language import locale_of
from api.photo_schemas import BatchIn, BatchOut
from api.plain_reports import plain_report
from api.rendering import receipt_json, rehearsal_json
from api.report_bodies import inlined
from api.report_faults import read_report
from api.responsible import zone_of
from api.routes.reports import IDEMPOTENCY, channel_of
from api.schemas import problems
from dispatch.intake import Moment, Receipt, Report
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
    request: Request,
    caller: Annotated[Caller, Depends(require(Scope.REPORTS_CREATE))],
    container: Wired,
    dry_run: Annotated[bool, Query(description="Show the routing of each as if it came alone; write nothing")] = False,
) -> Response:
    """Take up to 10,000 reports. Every one has its own result: a wrong one hurts no other.

    A batch that broke off may be sent again: known tickets answer with the receipt of the first time.
    """
    channel = channel_of(caller)
    data = await request.body()
    key = key_of(request)

    async def answer() -> Response:
        batch = _Batch(
            container=container,
            channel=channel,
            # One instant for all: they came together, so they share rules, places and deadlines (decision 0038).
            moment=await container.desk.open_moment(channel),
            locale=locale_of(request),
            is_rehearsal=dry_run,
        )
        return await batch.answer(_items(data))

    if key is None or dry_run:
        return await answer()
    return await answer_once(container.desk.engine, channel, key, fingerprint_of(request, (data,)), answer)


def _items(data: bytes) -> list[Any]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        document = _parse(data)
    except orjson.JSONDecodeError as error:
        where = ("body", f"{error.lineno}:{error.colno}")
        fault = {"type": "json_invalid", "loc": where, "msg": error.msg, "input": None}
        raise RequestValidationError([fault]) from error
    if not isinstance(document, dict):
        raise RequestValidationError([{"type": "dict_type", "loc": ("body",)}])
    unknown = [{"type": "extra_forbidden", "loc": ("body", name)} for name in document if name != "reports"]
    items = document.get("reports")
    if not isinstance(items, list):
        kind = "list_type" if "reports" in document else "missing"
        raise RequestValidationError([{"type": kind, "loc": ("body", "reports")}, *unknown])
    if unknown:
        raise RequestValidationError(unknown)
    if not items:
        raise BadInputError("batch.empty", pointer="/reports")
    if len(items) > MOST_REPORTS:
        raise BadInputError("batch.too_many", pointer="/reports", most=MOST_REPORTS)
    return items


def _parse(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            # Numbers that are none are the fault of their report, not of the batch.
            return from_json(data, allow_inf_nan=True)
        except ValueError:
            pass
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Reports that came in one request."""

    container: Container
    channel: str
    moment: Moment
    locale: Locale
    is_rehearsal: bool

    async def answer(self, items: list[Any]) -> Response:
        """Take all, or rehearse it."""
        # Two transactions at a time: while one is written, the next is prepared; more would only take connections
        # from others.
        turns = asyncio.Semaphore(_AT_ONCE)
        results: list[tuple[int, bytes]] = [(0, b"")] * len(items)

        async def part(some: Sequence[int]) -> None:
            async with turns:
                taken = await self._part([(place, items[place]) for place in some])
            for place, result in zip(some, taken, strict=True):
                results[place] = result

        # In a rehearsal each is alone, so none has to wait for another one of its ticket.
        for places in (range(len(items)),) if self.is_rehearsal else _split(items):
            await asyncio.gather(*(part(places[start : start + _CHUNK]) for start in range(0, len(places), _CHUNK)))
        statuses = Counter(status for status, _ in results)
        taken, known = statuses[201], statuses[200]
        head = f'{{"taken":{taken},"repeated":{known},"refused":{len(results) - taken - known},'
        if self.is_rehearsal:
            head = f'{{"taken":0,"repeated":0,"refused":{len(results) - known},"dry_run":true,'
        body = head.encode() + b'"results":[' + b",".join(text for _, text in results) + b"]}"
        # What the database was away for may be sent again under the same key; what was taken answers as it did.
        kind = UnfinishedResponse if any(status >= 500 for status in statuses) else Response
        return kind(body, media_type="application/json", headers={"Content-Language": self.locale})

    async def _part(self, items: Sequence[tuple[int, Any]]) -> list[tuple[int, bytes]]:
        read = [await self._read(item) for _, item in items]
        outcomes = iter(await self._write([report for report in read if isinstance(report, Report)]))
        results = []
        zone = await zone_of(self.container)
        for (place, _), report in zip(items, read, strict=True):
            outcome = next(outcomes) if isinstance(report, Report) else report
            if isinstance(report, Report) and isinstance(outcome, Receipt):
                warned = await datum_warnings(self.container, report, outcome, self.locale)
                results.append(self._taken(place, outcome, warned, zone))
            else:
                assert isinstance(outcome, GridwardError)
                results.append(_refused(place, outcome, self.locale))
        return results

    async def _read(self, item: Any) -> Report | GridwardError:
        plain = plain_report(item, self.channel)
        if plain is not None:
            return plain
        # As JSON again: strictness differs between JSON and Python values, and a report must mean the same everywhere.
        try:
            said = to_json(item, inf_nan_mode="constants")
        except ValueError:
            # Nested deeper than what is written can be: no report is.
            return InvalidRequestError([Fault(code="request.not_json", pointer="", params={"position": 0})])
        try:
            return await read_report(said, self.channel, self.container.desk, self.moment)
        except GridwardError as error:
            return error

    async def _write(self, reports: list[Report]) -> Sequence[Receipt | GridwardError]:
        if not reports:
            return []
        desk = self.container.desk
        try:
            if self.is_rehearsal:
                return await desk.rehearse_many(reports, self.moment)
            return await desk.take_many(reports, self.moment)
        except GridwardError as error:
            # The database is away: what is written already stays true, so each of these says it for itself.
            return [error] * len(reports)

    def _taken(self, place: int, receipt: Receipt, warned: list[dict[str, Any]], zone: str) -> tuple[int, bytes]:
        said = receipt_json(receipt, self.locale, zone) | ({"warnings": warned} if warned else {})
        if self.is_rehearsal:
            said = rehearsal_json(said, receipt)
            return 200, orjson.dumps({"index": place, "status": 200, "rehearsal": said})
        status = 200 if receipt.is_repeat else 201
        return status, orjson.dumps({"index": place, "status": status, "receipt": said})


def _split(items: Sequence[Any]) -> tuple[list[int], list[int]]:
    """Places of items, and of those whose ticket came before: these wait, for the first of a ticket makes its case."""
    first: list[int] = []
    again: list[int] = []
    seen: set[str] = set()
    for place, item in enumerate(items):
        ticket = item.get("ticket") if isinstance(item, dict) else None
        if isinstance(ticket, str):
            (again if ticket in seen else first).append(place)
            seen.add(ticket)
        else:
            first.append(place)
    return first, again


def _refused(place: int, error: GridwardError, locale: Locale) -> tuple[int, bytes]:
    response = error_response(error, locale)
    text = f'{{"index":{place},"status":{response.status_code},"problem":'.encode() + bytes(response.body) + b"}"
    return response.status_code, text
