"""Legs of joint work, and the evidence of returns."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import BaseModel

from api.access import allow_leg_move, require
from api.accounts.keys import Caller, Scope
from api.answers import GEOJSON, json_answer, quoted
from api.container import Container, Reading, Wired, Writing
from api.joint_json import LegOut, ReturnOut, evidence_features, leg_json, return_json
from api.language import locale_of
from api.move_schemas import LegMoveIn
from api.responsible import zone_of
from api.schemas import Code, SoundText, problems
from api.seen_version import require_seen
from dispatch.joint import parse_leg_move
from dispatch.joint_moves import LegRequest, move_leg
from dispatch.making import Actor
from dispatch.queries import get_case
from dispatch.storage.legs import list_legs
from dispatch.storage.returns import drawn_return, list_returns
from geo.errors import NotFoundError
from geo.storage.uow import Unit

router = APIRouter(tags=["cases"])

Number = Annotated[int, Path(ge=1, le=32767)]


class LegsOut(BaseModel):
    """The legs of a case."""

    case: str
    legs: list[LegOut]


class ReturnsOut(BaseModel):
    """The returns of a case."""

    case: str
    returns: list[ReturnOut]


@router.get(
    "/v1/cases/{ref}/legs",
    response_model=None,
    responses={200: {"model": LegsOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_legs(
    request: Request,
    ref: Code,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """The legs of joint work: department, clock, result, sign-off."""
    case = (await get_case(unit, ref, channel=caller.sees_channel)).case
    locale = locale_of(request)
    zone = await zone_of(container)
    body = {"case": case.ref, "legs": [leg_json(leg, case, locale, zone) for leg in await list_legs(unit, case.id)]}
    return json_answer(body, locale=locale)


@router.get(
    "/v1/cases/{ref}/legs/{number}",
    response_model=None,
    responses={200: {"model": LegOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_leg(
    request: Request,
    ref: Code,
    number: Number,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """One leg; the ETag is its own version, which a move of it must name."""
    return await _leg(request, unit, container, caller, ref, number)


@router.post(
    "/v1/cases/{ref}/legs/{number}/moves",
    response_model=None,
    responses={
        200: {"model": LegOut, "description": "The leg after the move"},
        **problems(400, 401, 403, 404, 409, 412, 413, 422, 428, 503),
    },
)
async def create_leg_move(
    request: Request,
    ref: Code,
    number: Number,
    body: LegMoveIn,
    unit: Writing,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_MOVE))],
    if_match: Annotated[SoundText | None, Header(description='Version of the leg that the actor saw: `"2"`')] = None,
) -> Response:
    """Move one leg. Legs do not stand in each other's way: the version is the leg's own, not the case's."""
    seen = require_seen(if_match)
    move = parse_leg_move(body.move)
    await allow_leg_move(unit, caller, move, ref, number)
    await move_leg(
        unit,
        LegRequest(
            ref=ref,
            number=number,
            move=move,
            actor=Actor(kind=caller.kind, id=caller.id),
            seen_version=seen,
            reason=body.reason,
            result=body.result,
            evidence=tuple(body.evidence),
            department=body.department,
            channel=caller.sees_channel,
        ),
    )
    return await _leg(request, unit, container, caller, ref, number)


@router.get(
    "/v1/cases/{ref}/returns",
    response_model=None,
    responses={200: {"model": ReturnsOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_returns(
    request: Request, ref: Code, unit: Reading, caller: Annotated[Caller, Depends(require(Scope.CASES_READ))]
) -> Response:
    """The returns of a case, each with its evidence."""
    case = (await get_case(unit, ref, channel=caller.sees_channel)).case
    locale = locale_of(request)
    found = await list_returns(unit, case.id)
    return json_answer({"case": case.ref, "returns": [return_json(one, ref, locale) for one in found]}, locale=locale)


@router.get(
    "/v1/cases/{ref}/returns/{number}",
    response_model=None,
    responses={
        200: {"content": {GEOJSON: {"schema": {"type": "object"}}}, "description": "FeatureCollection"},
        **problems(401, 403, 404, 422, 503),
    },
)
async def read_return(
    request: Request,
    ref: Code,
    number: Number,
    unit: Reading,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """One return as GeoJSON for the map: the cell as drawn then, the point, the shortest way to the outline."""
    case = (await get_case(unit, ref, channel=caller.sees_channel)).case
    found = await drawn_return(unit, case.id, number)
    if found is None:
        raise NotFoundError("dispatch.return_not_found", case=case.ref, number=number)
    locale = locale_of(request)
    return json_answer(evidence_features(*found, case.ref, locale), locale=locale, media_type=GEOJSON)


async def _leg(request: Request, unit: Unit, container: Container, caller: Caller, ref: str, number: int) -> Response:
    case = (await get_case(unit, ref, channel=caller.sees_channel)).case
    leg = next((leg for leg in await list_legs(unit, case.id) if leg.number == number), None)
    if leg is None:
        raise NotFoundError("dispatch.leg_not_found", case=case.ref, leg=number)
    locale = locale_of(request)
    body = leg_json(leg, case, locale, await zone_of(container))
    return json_answer(body, locale=locale, ETag=quoted(leg.version))
