"""Deadlines that explain themselves: of a case, and of one that is not dispatched yet."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.joint_json import limit_json
from api.language import locale_of
from api.rendering import instant
from api.schemas import Code, problems
from dispatch.deadline_view import Approval, DeadlineChange, ExplainedPhase, explain_case, preview
from dispatch.explaining import DeadlineLedger, LedgerEntry
from dispatch.queries import database_now, get_case
from dispatch.reference import Condition
from geo.errors import BadInputError, UnavailableError
from maps.i18n import Locale, catalogue, translate

router = APIRouter(tags=["deadlines"])

#: Well inside the years that calendars compute, whatever the limit.
_FIRST_YEAR, _LAST_YEAR = 1971, 2150


class PreviewIn(BaseModel):
    """A case that is not dispatched yet."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"category": "P0102", "condition": 2}]})

    category: Code
    condition: int | None = Field(None, ge=1, le=32767, strict=True)
    channel: Code | None = Field(None, description="Its start rule counts; without one, from dispatch")
    dispatched_at: AwareDatetime | None = Field(None, description="Default: now")


class LimitOut(BaseModel):
    """A handling limit in its own unit."""

    value: str
    unit: str
    text: str


class StretchOut(BaseModel):
    """A stretch of the ledger; the stretches tile the time from start to due."""

    kind: str
    text: str
    begins_at: datetime
    ends_at: datetime
    counted_s: int
    is_provisional: bool


class ApprovalOut(BaseModel):
    """An approval that moved the deadline."""

    kind: str
    at: datetime
    until: datetime | None
    reason: str
    due_before: datetime
    due_after: datetime


class PhaseLedgerOut(BaseModel):
    """A phase with its own deadline and reasons; what was reported, once there is a case."""

    phase: int
    name: str
    limit: LimitOut
    due_at: datetime
    due_provisional: bool
    counted_s: int
    done_at: datetime | None
    is_on_time: bool | None
    ledger: list[StretchOut]


class ChangeOut(BaseModel):
    """A deadline that moved with an approval of its case, or with a calendar that was published."""

    part: str = Field(description="case, leg or phase")
    number: int
    kind: str = Field(description="extension, pause, resume or calendar")
    at: datetime
    due_before: datetime
    due_after: datetime


class LedgerOut(BaseModel):
    """A deadline with its reasons."""

    condition: int
    limit: LimitOut
    start_at: datetime
    due_at: datetime
    due_provisional: bool
    counted_s: int = Field(description="Sum of the counted stretches, seconds; the limit with its extensions")
    ledger: list[StretchOut]
    phases: list[PhaseLedgerOut] = Field(description="Deadlines on the way, each from the same start")


class CaseLedgerOut(LedgerOut):
    """The deadline of a case."""

    case: str
    approvals: list[ApprovalOut]
    changes: list[ChangeOut]
    agrees: bool = Field(description="False when the calendar has changed since; the case keeps its deadline")


@router.get(
    "/v1/cases/{ref}/deadline",
    response_model=None,
    responses={200: {"model": CaseLedgerOut}, **problems(401, 403, 404, 409, 422, 503)},
)
async def read_deadline(
    request: Request,
    ref: Code,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """Explain a case's deadline: every counted and every skipped stretch, and the approvals that moved it."""
    detail = await get_case(unit, ref, channel=caller.sees_channel)
    explained = await explain_case(unit, detail.case, await container.reference.get())
    locale = locale_of(request)
    body = {
        "case": detail.case.ref,
        **_ledger(explained.condition, explained.ledger, explained.phases, locale),
        "due_at": instant(explained.due_at),
        "approvals": [_approval(one) for one in explained.approvals],
        "changes": [_change(one) for one in explained.changes],
        "agrees": explained.agrees,
    }
    return json_answer(body, locale=locale)


@router.post(
    "/v1/deadlines:preview",
    response_model=None,
    responses={200: {"model": LedgerOut}, **problems(400, 401, 403, 413, 422, 503)},
)
async def preview_deadline(
    request: Request,
    body: PreviewIn,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """Say when a case would be due if it were dispatched now, and why; nothing is written."""
    at = body.dispatched_at or await database_now(unit)
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise BadInputError("calendar.beyond_horizon", pointer="/dispatched_at")
    reference = await container.reference.get()
    jurisdiction = container.settings.jurisdiction
    if jurisdiction not in reference.jurisdictions:
        raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=jurisdiction)
    condition, ledger, phases = preview(
        reference,
        jurisdiction=jurisdiction,
        category=body.category,
        condition=body.condition,
        channel=body.channel,
        dispatched_at=at,
    )
    locale = locale_of(request)
    return json_answer(_ledger(condition, ledger, phases, locale), locale=locale)


def _ledger(
    condition: Condition, ledger: DeadlineLedger, phases: tuple[ExplainedPhase, ...], locale: Locale
) -> dict[str, Any]:
    return {
        "condition": condition.number,
        "limit": limit_json(condition.limit.value, condition.limit.unit.value, locale),
        **_counted(ledger, locale),
        "phases": [_phase(one, locale) for one in phases],
    }


def _counted(ledger: DeadlineLedger, locale: Locale) -> dict[str, Any]:
    return {
        "start_at": instant(ledger.start_at),
        "due_at": instant(ledger.deadline.due_at),
        "due_provisional": ledger.deadline.is_provisional,
        "counted_s": round(ledger.counted.total_seconds()),
        "ledger": [_stretch(entry, locale) for entry in ledger.entries],
    }


def _phase(one: ExplainedPhase, locale: Locale) -> dict[str, Any]:
    counted = _counted(one.ledger, locale)
    if one.kept is not None:
        counted["due_at"] = instant(one.kept.due_at)
    return {
        "phase": one.phase.number,
        "name": one.phase.name(locale),
        "limit": limit_json(one.phase.limit.value, one.phase.limit.unit.value, locale),
        **counted,
        "done_at": instant(one.kept.done_at) if one.kept else None,
        "is_on_time": one.kept.is_on_time if one.kept else None,
    }


def _change(one: DeadlineChange) -> dict[str, Any]:
    return {
        "part": one.part,
        "number": one.number,
        "kind": one.kind,
        "at": instant(one.at),
        "due_before": instant(one.due_before),
        "due_after": instant(one.due_after),
    }


def _stretch(entry: LedgerEntry, locale: Locale) -> dict[str, Any]:
    text = translate(locale, f"stretch.{entry.kind.value}")
    if entry.name:
        # The seeded tables name holidays by a word of the catalogue; an administrator writes what they like.
        key = f"holiday.{entry.name}"
        text = translate(locale, key) if key in catalogue(locale) else entry.name
    return {
        "kind": entry.kind.value,
        "text": text,
        "begins_at": instant(entry.start_at),
        "ends_at": instant(entry.end_at),
        "counted_s": round(entry.counted.total_seconds()),
        "is_provisional": entry.is_provisional,
    }


def _approval(one: Approval) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "at": instant(one.at),
        "until": instant(one.until),
        "reason": one.reason,
        "due_before": instant(one.due_before),
        "due_after": instant(one.due_after),
    }
