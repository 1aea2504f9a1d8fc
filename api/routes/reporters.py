"""Who reported a case: masked for whoever sees the case, in clear words for a reason that is written down."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.language import locale_of
from api.reporter_schemas import ReasonIn, ReporterOut, RevealedOut
from api.revealing import find_seen, identity_json, may_reveal, reveal
from api.schemas import Code, problems
from dispatch.storage.reporters import find_identity
from geo.storage.uow import read_unit

router = APIRouter(tags=["reporters"])


@router.get(
    "/v1/cases/{ref}/reporter",
    response_model=None,
    responses={200: {"model": ReporterOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_reporter(
    request: Request,
    ref: Code,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """Who reported a case, masked."""
    seen = await find_seen(unit, caller, ref)
    # In a transaction of its own: the store of reporters is never read with a case beside it.
    async with read_unit(container.control) as store:
        identity = await find_identity(store, seen.id)
    body = identity_json(seen.ref, identity, may=may_reveal(caller, seen))
    return _private(json_answer(body, locale=locale_of(request)))


@router.post(
    "/v1/cases/{ref}/reporter:reveal",
    response_model=None,
    responses={200: {"model": RevealedOut}, **problems(400, 401, 403, 404, 422, 429, 503)},
)
async def reveal_reporter(
    request: Request,
    ref: Code,
    body: ReasonIn,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.REPORTERS_REVEAL))],
) -> Response:
    """Unmask who reported a case. Reason, person and instant stand in the audit trail before the answer is sent."""
    seen = await find_seen(unit, caller, ref)
    shown = await reveal(container, caller, seen, body.reason)
    return _private(json_answer(shown, locale=locale_of(request)))


def _private(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
