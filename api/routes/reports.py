"""`POST /v1/reports`: a channel reports, and learns at once where it went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Wired
from api.language import locale_of
from api.rendering import receipt_json
from api.schemas import ReceiptOut, ReportIn, problems
from dispatch.intake import Report, prepare
from geo.errors import InvalidRequestError

router = APIRouter(tags=["reports"])


@router.post(
    "/v1/reports",
    status_code=201,
    response_model=None,
    responses={
        201: {"model": ReceiptOut, "description": "Taken, located and, when everything is certain, dispatched"},
        200: {"model": ReceiptOut, "description": "This ticket was reported before; the answer of the first time"},
        **problems(400, 401, 403, 413, 422, 503),
    },
)
async def create_report(
    request: Request,
    body: ReportIn,
    caller: Annotated[Caller, Depends(require(Scope.REPORTS_CREATE))],
    container: Wired,
) -> Response:
    """Take a report: locate it, choose the responsible head, open the case, and answer after the commit.

    The same ticket of the same channel answers the same case again (200); with another body it is a mistake (422).
    Out-of-grid points are taken and marked with the nearest cells.
    """
    assert caller.channel is not None
    report = Report(
        channel=caller.channel,
        ticket=body.ticket,
        text=body.text,
        category=body.category,
        condition=body.condition,
        x=body.lon,
        y=body.lat,
        coord_sys=body.coord_sys,
        address=body.address,
        ledgers=tuple(body.ledgers),
        is_self_handled=body.self_handled,
        accuracy_m=body.accuracy_m,
    )
    received_at = datetime.now(UTC)
    jurisdiction = container.settings.jurisdiction
    try:
        prepared = prepare(report, await container.reference.get(), jurisdiction, received_at)
    except InvalidRequestError as error:
        if not any(fault.code.startswith("dispatch.unknown_") for fault in error.faults):
            raise
        # Category, condition, ledger or channel may have been added a moment ago, by another process.
        prepared = prepare(report, await container.reference.get(fresh=True), jurisdiction, received_at)
    receipt = await container.intake.submit(prepared)
    locale = locale_of(request)
    status = 200 if receipt.is_repeat else 201
    return json_answer(receipt_json(receipt, locale), locale=locale, status=status, Location=f"/v1/cases/{receipt.ref}")
