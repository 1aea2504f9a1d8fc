"""Cases: list, read, move."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from api.access import allow_move, possible_for, require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, json_answer, quoted
from api.container import Container, Reading, Wired, Writing
from api.joint_json import CasePartsOut, parts_json
from api.language import locale_of
from api.move_schemas import MoveIn, move_request
from api.rendering import case_json, detail_json, feature_json, instant
from api.responsible import zone_of
from api.routes import bulk_moves, deadlines
from api.schemas import CaseListOut, Code, InboxesOut, SoundText, problems
from api.seen_version import require_seen
from api.trace_json import why_lines
from dispatch.case_views import CaseFilter, Inbox
from dispatch.guards import possible_moves
from dispatch.moves import make_move
from dispatch.queries import MOST_PER_PAGE, CaseDetail, count_inboxes, database_now, get_case, list_cases
from dispatch.states import CaseState
from dispatch.tracing import decisions_of
from dispatch.workflow import parse_move
from geo.errors import BadInputError, Fault, InvalidRequestError
from geo.storage.uow import Unit

router = APIRouter(tags=["cases"])
router.include_router(bulk_moves.router)
router.include_router(deadlines.router)


class CaseQuery:
    """The filters of a list, as one dependency."""

    def __init__(
        self,
        container: Wired,
        status: Annotated[Code | None, Query(description="`open`, or a state such as `dispatched`")] = None,
        inbox: Annotated[Inbox | None, Query(description="One of the dispatcher's inboxes")] = None,
        cell: Annotated[Code | None, Query(description="Code of a cell of any level; everything below it")] = None,
        category: Annotated[Code | None, Query(description="Minor or major class")] = None,
        channel: Annotated[Code | None, Query(description="Channel the report came through")] = None,
        ledger: Annotated[Code | None, Query(description="Ledger tag")] = None,
        department: Annotated[Code | None, Query(description="Code of a department that has a part in it")] = None,
        since: Annotated[
            SoundText | None, Query(alias="from", max_length=40, description="Reported from; a day or an instant")
        ] = None,
        until: Annotated[
            SoundText | None, Query(alias="to", max_length=40, description="Reported until; a day is included")
        ] = None,
        bbox: Annotated[SoundText | None, Query(max_length=120, description="west,south,east,north in WGS84")] = None,
    ) -> None:
        faults: list[Fault] = []
        states, only_open = _states(status, faults)
        self.asked = CaseFilter(
            inbox=inbox,
            states=states,
            only_open=only_open,
            cell_code=cell,
            category=category,
            channel=channel,
            ledger=ledger,
            department=department,
            reported_from=_instant(since, "from", faults, is_end=False),
            reported_until=_instant(until, "to", faults, is_end=True),
            box=_box(bbox, faults),
            jurisdiction=container.settings.jurisdiction,
        )
        if faults:
            raise InvalidRequestError(faults)


def _states(status: str | None, faults: list[Fault]) -> tuple[tuple[CaseState, ...], bool]:
    if status is None or status == "open":
        return (), status == "open"
    try:
        return (CaseState(status),), False
    except ValueError:
        known = ", ".join(["open", *CaseState])
        faults.append(Fault(code="dispatch.unknown_state", pointer="/status", params={"state": status, "known": known}))
        return (), False


def _instant(text: str | None, name: str, faults: list[Fault], *, is_end: bool) -> datetime | None:
    """A day means its beginning, or as an end its last moment; Zone: days are those of China Standard Time."""
    if text is None:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            at = datetime.combine(day, time.max if is_end else time.min, ZoneInfo("Asia/Shanghai"))
        else:
            # A plus sign that was not percent-encoded arrives as a space; there is no other reading of it.
            at = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        faults.append(Fault(code="request.not_a_time", pointer=f"/{name}", params={"field": name}))
        return None


def _box(text: str | None, faults: list[Fault]) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    # Written so that NaN fails every comparison and falls through to the fault.
    if -180 <= west <= east <= 180 and -90 <= south <= north <= 90:
        return west, south, east, north
    faults.append(Fault(code="request.not_a_box", pointer="/bbox", params={"field": "bbox"}))
    return None


@router.get(
    "/v1/cases",
    response_model=None,
    responses={
        200: {"model": CaseListOut, "content": {GEOJSON: {"schema": {"type": "object"}}}},
        **problems(400, 401, 403, 422, 503),
    },
)
async def read_cases(
    request: Request,
    unit: Reading,
    query: Annotated[CaseQuery, Depends()],
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 100,
    cursor: Annotated[SoundText | None, Query(max_length=200, description="`next` of the page before")] = None,
) -> Response:
    """List cases, newest first. `Accept: application/geo+json` answers a FeatureCollection."""
    asked = query.asked
    if caller.sees_channel is not None:
        if asked.channel is not None and asked.channel != caller.sees_channel:
            raise BadInputError("dispatch.other_channel", pointer="/channel", channel=asked.channel)
        asked = replace(asked, channel=caller.sees_channel)
    page = await list_cases(unit, asked, limit=limit, cursor=cursor)
    locale = locale_of(request)
    link = ""
    if page.next is not None:
        link = f'<{request.url.include_query_params(cursor=page.next)}>; rel="next"'
    if GEOJSON in request.headers.get("accept", ""):
        body = {
            "type": "FeatureCollection",
            "features": [feature_json(case, locale) for case in page.cases],
            "next": page.next,
            "as_of": instant(page.as_of),
        }
        return json_answer(body, locale=locale, media_type=GEOJSON, Link=link)
    body = {
        "cases": [case_json(case, locale) for case in page.cases],
        "next": page.next,
        "as_of": instant(page.as_of),
    }
    return json_answer(body, locale=locale, Link=link)


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
    responses={200: {"model": CasePartsOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_case(
    request: Request,
    ref: Code,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """A case with its history and the moves possible now; the ETag is the version that a move must name."""
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
    why = why_lines(case, decisions_of(case, detail.events), locale, await zone_of(container))
    body = detail_json(case, detail.events, locale, moves) | await parts_json(unit, case, locale) | {"why": why}
    return json_answer(body, locale=locale, ETag=quoted(case.version))
