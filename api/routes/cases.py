"""Cases: list, read, move."""

from __future__ import annotations

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api.access import allow_move, possible_for, require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, json_answer, quoted
from api.case_query import CaseQuery, for_caller
from api.case_sheet import case_sheet
from api.container import Container, Reading, Wired, Writing
from api.formats import MEDIA_TYPES, Form, accepted_form, digest_of, is_known, next_link, tagged_answer
from api.joint_json import CasePartsOut, parts_json
from api.language import locale_of
from api.move_schemas import MoveIn, move_request
from api.rendering import case_json, detail_json, feature_json, instant
from api.responsible import zone_of
from api.routes import bulk_moves, deadlines
from api.schemas import CaseListOut, Code, InboxesOut, SoundText, problems
from api.seen_version import require_seen
from api.sheets import page_answer
from api.trace_json import why_lines
from dispatch.guards import possible_moves
from dispatch.moves import make_move
from dispatch.queries import MOST_PER_PAGE, CaseDetail, count_inboxes, database_now, get_case, list_cases
from dispatch.tracing import decisions_of
from dispatch.workflow import parse_move
from geo.storage.uow import Unit

router = APIRouter(tags=["cases"])
router.include_router(bulk_moves.router)
router.include_router(deadlines.router)


@router.get(
    "/v1/cases",
    response_model=None,
    responses={
        200: {
            "model": CaseListOut,
            "content": {
                GEOJSON: {"schema": {"type": "object"}},
                MEDIA_TYPES[Form.CSV]: {"schema": {"type": "string"}},
                MEDIA_TYPES[Form.XLSX]: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        304: {"description": "Not changed since the answer that `If-None-Match` names"},
        **problems(400, 401, 403, 422, 503),
    },
)
async def read_cases(
    request: Request,
    unit: Reading,
    container: Wired,
    query: Annotated[CaseQuery, Depends()],
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 100,
    cursor: Annotated[SoundText | None, Query(max_length=200, description="`next` of the page before")] = None,
) -> Response:
    """One page of cases, newest first, as JSON, GeoJSON, CSV or XLSX by `Accept`; `/v1/cases.csv` gives all of them."""
    asked = for_caller(query.asked, caller)
    page = await list_cases(unit, asked, limit=limit, cursor=cursor)
    locale = locale_of(request)
    zone = await zone_of(container) if page.cases else "UTC"
    link = next_link(request, cursor=page.next)
    rest = {"next": page.next, "as_of": instant(page.as_of)}
    form = accepted_form(request)
    if form is Form.GEOJSON:
        features = [feature_json(case, locale, zone) for case in page.cases]
        body = {"type": "FeatureCollection", "features": features, **rest}
        return tagged_answer(request, body, locale=locale, media_type=GEOJSON, Link=link)
    if form is not Form.JSON:
        sheet = case_sheet(locale, ZoneInfo(zone), for_programs=True)
        return await page_answer(form, sheet, page.cases, locale=locale, Link=link)
    body = {"cases": [case_json(case, locale, zone) for case in page.cases], **rest}
    return tagged_answer(request, body, locale=locale, Link=link)


@router.get("/v1/inboxes", response_model=None, responses={200: {"model": InboxesOut}, **problems(401, 403, 503)})
async def read_inboxes(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))],
) -> Response:
    """How many cases wait in each inbox."""
    counts = await count_inboxes(unit, container.settings.jurisdiction)
    body = {
        "counts": {inbox.value: count for inbox, count in counts.items()},
        "as_of": instant(await database_now(unit)),
    }
    return json_answer(body, locale=locale_of(request))


@router.get(
    "/v1/cases/{ref}",
    response_model=None,
    responses={
        200: {"model": CasePartsOut},
        304: {"description": "Not changed"},
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_case(
    request: Request,
    ref: Code,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """A case with its history and the moves possible now; the ETag begins with the version that a move must name."""
    return await _detail(request, unit, container, caller, await get_case(unit, ref, channel=caller.sees_channel))


@router.post(
    "/v1/cases/{ref}/moves",
    response_model=None,
    responses={
        200: {"model": CasePartsOut, "description": "The case after the move"},
        **problems(400, 401, 403, 404, 409, 412, 413, 422, 428, 503),
    },
)
async def create_move(
    request: Request,
    ref: Code,
    body: MoveIn,
    unit: Writing,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_MOVE))],
    if_match: Annotated[SoundText | None, Header(description='Version that the actor saw, such as `"4"`')] = None,
) -> Response:
    """Make a move. `If-Match` names the version that was looked at; if somebody was faster, the answer is 412."""
    seen = require_seen(if_match)
    move = parse_move(body.move)
    await allow_move(unit, container, caller, move, ref, body.into)
    await make_move(
        unit,
        move_request(body, move, ref=ref, seen=seen, caller=caller),
        await container.reference.get(),
    )
    return await _detail(request, unit, container, caller, await get_case(unit, ref))


async def _detail(request: Request, unit: Unit, container: Container, caller: Caller, detail: CaseDetail) -> Response:
    locale = locale_of(request)
    case = detail.case
    profile = (await container.reference.get()).profile(
        container.settings.jurisdiction, [cell["code"] for cell in case.chain]
    )
    moves = possible_moves(case.facts(await database_now(unit)), profile.line)
    moves = possible_for(caller, case.belonging, moves, profile.line)
    zone = await zone_of(container)
    why = why_lines(case, decisions_of(case, detail.events), locale, zone)
    body = detail_json(case, detail.events, locale, zone, moves) | await parts_json(unit, case, locale, zone)
    body["why"] = why
    # Lights and possible moves change with time alone: the tag is of the whole answer, and begins with the version.
    tag = quoted(f"{case.version}-{digest_of(body)}")
    if request.method == "GET" and is_known(request, tag):
        headers = {"ETag": tag, "Content-Language": locale, "Vary": "Accept, Accept-Language"}
        return Response(status_code=304, headers=headers)
    return json_answer(body, locale=locale, ETag=tag)
