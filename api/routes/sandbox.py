"""The sandbox's clock over HTTP: look at it, advance it. For keys of the sandbox only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.answers import json_answer
from api.container import Container, Wired
from api.language import locale_of
from api.rendering import instant
from api.sandbox.clock import Clock, advance, read_clock
from api.schemas import problems
from geo.errors import ForbiddenError
from maps.i18n import Locale

router = APIRouter(tags=["sandbox"])
_YEAR_S = 366 * 86_400


class AdvanceIn(BaseModel):
    """How far to put the clock forward: by seconds, or to an instant."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"by_s": 14_400}]})

    by_s: int | None = Field(default=None, ge=1, le=_YEAR_S, description="Seconds")
    to: AwareDatetime | None = Field(default=None, description="Not before what the clock shows")

    @model_validator(mode="after")
    def _one_of_both(self) -> AdvanceIn:
        if (self.by_s is None) == (self.to is None):
            raise PydanticCustomError("either", "one of both", {"expected": "by_s, to"})
        return self


class SandboxEventOut(BaseModel):
    """Something that happened on the way."""

    case: str
    type: str
    occurred_at: datetime = Field(description="On the sandbox's clock")
    to_state: str
    rung: str | None
    told: str | None = Field(description="Whom the ladder names; in the sandbox nobody is told")


class ClockOut(BaseModel):
    """What the clock shows."""

    channel: str
    now: datetime
    ahead_s: float = Field(description="Before the real clock by so many seconds")
    events: list[SandboxEventOut] = Field(description="What happened while it was advanced; at most 1,000")


def _channel(caller: Caller, container: Container) -> str:
    if not container.in_sandbox or caller.channel is None:
        raise ForbiddenError("sandbox.key_needed")
    return caller.channel


@router.get(
    "/v1/sandbox/clock", response_model=None, responses={200: {"model": ClockOut}, **problems(401, 403, 429, 503)}
)
async def show_clock(
    request: Request, container: Wired, caller: Annotated[Caller, Depends(require(Scope.CASES_READ))]
) -> Response:
    """What the clock of a sandbox key's channel shows."""
    clock = await read_clock(container.control, _channel(caller, container))
    return json_answer(_clock_json(clock, locale_of(request)), locale=locale_of(request))


@router.post(
    "/v1/sandbox/clock",
    response_model=None,
    responses={200: {"model": ClockOut}, **problems(400, 401, 403, 413, 422, 429, 503)},
)
async def advance_clock(
    request: Request,
    body: AdvanceIn,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """Advance the clock of a sandbox key's channel; the answer comes when all that falls due on the way has happened.

    Reminders, escalations and stage clocks of its cases happen at the instants at which they would have; webhooks send
    their events at once. The clock never goes back.
    """
    channel = _channel(caller, container)
    if body.to is not None:
        until = body.to
    else:
        until = (await read_clock(container.control, channel)).now + timedelta(seconds=body.by_s or 0)
    clock = await advance(container.control, channel, until)
    return json_answer(_clock_json(clock, locale_of(request)), locale=locale_of(request))


def _clock_json(clock: Clock, locale: Locale) -> dict[str, Any]:
    told = "told_en" if locale == "en" else "told_zh"
    return {
        "channel": clock.channel,
        "now": instant(clock.now),
        "ahead_s": clock.ahead.total_seconds(),
        "events": [
            {
                "case": event["ref"],
                "type": event["type"],
                "occurred_at": instant(event["occurred_at"]),
                "to_state": event["to_state"],
                "rung": event["rung"],
                "told": event[told],
            }
            for event in clock.events
        ],
    }
