"""`POST /v1/reports`: a channel reports, and learns at once where it went."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Container, Wired
from api.datum_warnings import datum_warnings
from api.idempotency import answer_once, fingerprint_of, key_of
from api.language import locale_of
from api.photo_json import photo_json
from api.photo_schemas import RehearsedOut, ReportedOut
from api.rendering import receipt_json, rehearsal_json
from api.report_bodies import PhotoForm, inlined, is_multipart, read_photo_form
from api.report_faults import read_report
from api.responsible import zone_of
from api.schemas import ReportIn, problems
from dispatch.intake import Report
from dispatch.photos import PhotoKind
from dispatch.storage.photos import store_photos
from geo.errors import BadInputError, ForbiddenError
from geo.storage.uow import write_unit
from maps.i18n import Locale

router = APIRouter(tags=["reports"])

_SCHEMA = inlined(ReportIn)
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": _SCHEMA},
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["report"],
                "properties": {
                    "report": _SCHEMA,
                    "photo": {
                        "type": "array",
                        "maxItems": 9,
                        "items": {"type": "string", "format": "binary"},
                        "description": "JPEG, PNG or WebP, at most 12 MB each",
                    },
                },
            },
            "encoding": {"report": {"contentType": "application/json"}},
        },
    },
}
IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request answers the same bytes again; with another request 422, while "
    "the first one is still running 409",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


@router.post(
    "/v1/reports",
    status_code=201,
    response_model=None,
    responses={
        201: {"model": ReportedOut, "description": "Taken, located and, when everything is certain, dispatched"},
        200: {
            "model": ReportedOut | RehearsedOut,
            "description": "This ticket was reported before: the answer of the first time. Or a rehearsal",
        },
        **problems(400, 401, 403, 409, 413, 422, 503),
    },
    openapi_extra={"requestBody": _BODY, "parameters": [IDEMPOTENCY]},
)
async def create_report(
    request: Request,
    caller: Annotated[Caller, Depends(require(Scope.REPORTS_CREATE))],
    container: Wired,
    dry_run: Annotated[bool, Query(description="Show the routing and write nothing")] = False,
) -> Response:
    """Take a report: locate it, choose the responsible head, open the case, and answer after the commit.

    The same ticket of the same channel answers the same case again (200); with another body it is a mistake (422).
    Out-of-grid points are taken and marked with the nearest cells. Instead of a point an address may be given; unless
    it means one place beyond doubt, a person looks before anybody is sent.
    """
    channel = channel_of(caller)
    form: PhotoForm | None = None
    if is_multipart(request):
        form = await read_photo_form(request)
        if form.report is None:
            raise BadInputError("photo.report_needed", pointer="/report")
        said, parts = form.report, form.parts
    else:
        said = await request.body()
        parts = (said,)
    key = key_of(request)

    async def answer() -> Response:
        report = await read_report(said, channel, container.desk)
        if dry_run:
            return await _rehearse(container, report, form, locale_of(request))
        return await _take(container, report, form, caller, locale_of(request))

    if key is None or dry_run:
        return await answer()
    return await answer_once(container.desk.engine, channel, key, fingerprint_of(request, parts), answer)


def channel_of(caller: Caller) -> str:
    """The channel that a caller reports for: only a key has one.

    Raises
    ------
    ForbiddenError
        ``access.scope_missing``.
    """
    if caller.channel is None:
        raise ForbiddenError("access.scope_missing", scope=Scope.REPORTS_CREATE.value)
    return caller.channel


async def _take(
    container: Container, report: Report, form: PhotoForm | None, caller: Caller, locale: Locale
) -> Response:
    receipt = await container.desk.take(report, form.photos if form else ())
    body = receipt_json(receipt, locale, await zone_of(container))
    if warnings := await datum_warnings(container, report, receipt, locale):
        body["warnings"] = warnings
    if form is not None:
        # After the case: should this fail, the caller sends the same ticket again, and the photos find it.
        async with write_unit(container.desk.engine) as unit:
            rows = await store_photos(unit, receipt.case_id, form.photos, PhotoKind.REPORT, f"channel:{report.channel}")
        body["photos"] = [photo_json(row) for row in rows]
    status = 200 if receipt.is_repeat else 201
    return json_answer(body, locale=locale, status=status, Location=f"/v1/cases/{receipt.ref}")


async def _rehearse(container: Container, report: Report, form: PhotoForm | None, locale: Locale) -> Response:
    receipt = await container.desk.rehearse(report, form.photos if form else ())
    routing = receipt_json(receipt, locale, await zone_of(container))
    if warnings := await datum_warnings(container, report, receipt, locale):
        routing["warnings"] = warnings
    return json_answer(rehearsal_json(routing, receipt), locale=locale)
