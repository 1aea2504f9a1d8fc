"""Recurring joint operations: plans, what they opened, and when they take place next."""

from __future__ import annotations

from datetime import date, time
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer, quoted
from api.container import Container, Reading, Wired, Writing
from api.language import locale_of
from api.move_schemas import LegIn
from api.rendering import instant
from api.schemas import Body, Code, SoundText, problems
from api.seen_version import require_seen
from dispatch.joint import MOST_LEGS
from dispatch.operations import PlanDraft, end_plan, recurrence_of, save_plan
from dispatch.queries import database_now
from dispatch.recurring import DayOff, Frequency, Recurrence, occurrences
from dispatch.storage.operations import Occurrence, Plan, find_plan, list_occurrences, list_plans
from geo.errors import BadInputError, NotFoundError, UnavailableError
from geo.storage.uow import Unit
from maps.i18n import Locale, translate

router = APIRouter(tags=["operations"])

_AHEAD = 5
Day = Annotated[date, Field(ge=date(1971, 1, 1), le=date(2150, 12, 31))]
PlanId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class RecurrenceIn(BaseModel):
    """On which days, and at what time of the jurisdiction's day."""

    model_config = ConfigDict(extra="forbid")

    frequency: Frequency
    interval: int = Field(1, ge=1, le=60, strict=True)
    weekdays: list[Annotated[int, Field(ge=1, le=7, strict=True)]] = Field([], max_length=7, description="1 = Monday")
    month_days: list[Annotated[int, Field(ge=-1, le=31, strict=True)]] = Field(
        [], max_length=31, description="1 to 31, -1 for the last day"
    )
    at: time = Field(description="Time of day in the jurisdiction's zone, such as 09:00")
    first_day: Day
    last_day: Day | None = None
    day_off: DayOff = Field(DayOff.NEXT_WORKDAY, description="What becomes of an occurrence on a day off")

    def rule(self) -> Recurrence:
        """As the rules know it."""
        if self.at.tzinfo is not None:
            raise BadInputError("joint.bad_recurrence", pointer="/recurrence/at", what="at")
        return Recurrence(
            frequency=self.frequency,
            at=self.at.replace(second=0, microsecond=0),
            first_day=self.first_day,
            last_day=self.last_day,
            interval=self.interval,
            weekdays=tuple(sorted(set(self.weekdays))),
            month_days=tuple(sorted(set(self.month_days))),
            day_off=self.day_off,
        )


class OperationIn(BaseModel):
    """A recurring joint operation."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "周五集中清理",
                    "category": "E0110",
                    "cell": "410102001",
                    "legs": [{"department": "sanitation", "task": "清运"}],
                    "recurrence": {"frequency": "week", "weekdays": [5], "at": "09:00", "first_day": "2026-11-20"},
                }
            ]
        },
    )

    name: Annotated[SoundText, Field(min_length=1, max_length=120)]
    text: Body = Field("", description="What is to be done; becomes the case's text")
    category: Code
    condition: int | None = Field(None, ge=1, le=32767, strict=True)
    cell: Code = Field(description="Cell whose head leads the operation, of any level")
    ledgers: list[Code] = Field([], max_length=20)
    legs: list[LegIn] = Field(min_length=1, max_length=MOST_LEGS)
    recurrence: RecurrenceIn


class OccurrenceOut(BaseModel):
    """What became of one occurrence."""

    occurs_at: str
    status: str = Field(description="opened, missed (too long ago after an outage), failed")
    status_name: str
    case: str | None
    status_url: str | None
    decided_at: str
    problem: str | None


class OperationOut(BaseModel):
    """A plan."""

    id: int
    version: int
    name: str
    text: str
    category: str
    condition: int | None
    cell: str
    location: dict[str, float]
    ledgers: list[str]
    legs: list[dict[str, Any]]
    recurrence: dict[str, Any]
    active: bool
    next_at: str | None
    last_problem: str | None


class OperationDetailOut(OperationOut):
    """A plan with its past and its next dates."""

    ahead: list[str]
    occurrences: list[OccurrenceOut]


class OperationsOut(BaseModel):
    """All plans."""

    operations: list[OperationOut]


Reader = Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]
Mover = Annotated[Caller, Depends(require(Scope.CASES_MOVE))]
Seen = Annotated[SoundText | None, Header(alias="If-Match", description='Version that was looked at, such as `"2"`')]


@router.get("/v1/operations", response_model=None, responses={200: {"model": OperationsOut}, **problems(401, 403, 503)})
async def read_operations(request: Request, unit: Reading, container: Wired, _: Reader) -> Response:
    """The plans of recurring joint operations, the active ones first."""
    plans = await list_plans(unit, container.settings.jurisdiction)
    return json_answer({"operations": [_plan(plan) for plan in plans]}, locale=locale_of(request))


@router.post(
    "/v1/operations",
    response_model=None,
    status_code=201,
    responses={201: {"model": OperationDetailOut}, **problems(400, 401, 403, 413, 422, 503)},
)
async def create_operation(
    request: Request, body: OperationIn, unit: Writing, container: Wired, caller: Mover
) -> Response:
    """Plan a joint operation that recurs. The worker opens a case with a leg per department, once per occurrence."""
    plan_id = await _save(body, unit, container, caller, None, None)
    return await _detail(request, unit, container, plan_id, status=201)


@router.get(
    "/v1/operations/{plan}",
    response_model=None,
    responses={200: {"model": OperationDetailOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_operation(request: Request, plan: PlanId, unit: Reading, container: Wired, _: Reader) -> Response:
    """A plan with its next dates and what became of the past ones."""
    return await _detail(request, unit, container, plan)


@router.put(
    "/v1/operations/{plan}",
    response_model=None,
    responses={200: {"model": OperationDetailOut}, **problems(400, 401, 403, 404, 412, 413, 422, 428, 503)},
)
async def put_operation(
    request: Request,
    plan: PlanId,
    body: OperationIn,
    unit: Writing,
    container: Wired,
    caller: Mover,
    seen: Seen = None,
) -> Response:
    """Replace a plan; what it opened stays, and its next occurrence is counted from now."""
    await _save(body, unit, container, caller, plan, require_seen(seen))
    return await _detail(request, unit, container, plan)


@router.delete(
    "/v1/operations/{plan}",
    response_model=None,
    responses={200: {"model": OperationDetailOut}, **problems(400, 401, 403, 404, 412, 422, 428, 503)},
)
async def delete_operation(
    request: Request, plan: PlanId, unit: Writing, container: Wired, _: Mover, seen: Seen = None
) -> Response:
    """End a plan. Nothing more is opened; its past stays readable."""
    await end_plan(unit, container.settings.jurisdiction, plan, require_seen(seen))
    return await _detail(request, unit, container, plan)


async def _save(
    body: OperationIn, unit: Any, container: Container, caller: Caller, plan: int | None, seen: int | None
) -> int:
    reference = await container.reference.get()
    code = container.settings.jurisdiction
    if code not in reference.jurisdictions:
        raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=code)
    draft = PlanDraft(
        name=body.name,
        text=body.text,
        category=body.category,
        condition=body.condition,
        cell=body.cell,
        ledgers=tuple(body.ledgers),
        legs=tuple(leg.plan() for leg in body.legs),
        recurrence=body.recurrence.rule(),
    )
    return await save_plan(
        unit, code, draft, reference, by=f"{caller.kind}:{caller.id}", plan_id=plan, seen_version=seen
    )


async def _detail(request: Request, unit: Unit, container: Container, plan_id: int, status: int = 200) -> Response:
    code, locale = container.settings.jurisdiction, locale_of(request)
    plan = await find_plan(unit, code, plan_id)
    if plan is None:
        raise NotFoundError("joint.plan_unknown", plan=plan_id)
    ahead: list[str | None] = []
    jurisdiction = (await container.reference.get()).jurisdictions.get(code)
    if plan.is_active and jurisdiction is not None:
        coming = occurrences(recurrence_of(plan.recurrence), jurisdiction.calendar, await database_now(unit))
        ahead = [instant(one) for one in islice(coming, _AHEAD)]
    body = _plan(plan) | {
        "ahead": ahead,
        "occurrences": [_occurrence(one, locale) for one in await list_occurrences(unit, plan.id)],
    }
    answer = json_answer(body, locale=locale, ETag=quoted(plan.version), Location=f"/v1/operations/{plan.id}")
    answer.status_code = status
    return answer


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "id": plan.id,
        "version": plan.version,
        "name": plan.name,
        "text": plan.text,
        "category": plan.category_code,
        "condition": plan.condition_number,
        "cell": plan.cell_code,
        "location": {"lon": plan.lon, "lat": plan.lat},
        "ledgers": plan.ledgers,
        "legs": plan.legs,
        "recurrence": plan.recurrence,
        "active": plan.is_active,
        "next_at": instant(plan.next_at),
        "last_problem": plan.last_problem,
    }


def _occurrence(one: Occurrence, locale: Locale) -> dict[str, Any]:
    return {
        "occurs_at": instant(one.occurs_at),
        "status": one.state,
        "status_name": translate(locale, f"occurrence.{one.state}"),
        "case": one.case,
        "status_url": f"/v1/cases/{one.case}" if one.case else None,
        "decided_at": instant(one.decided_at),
        "problem": one.problem,
    }
