"""Handling limits of a filing condition: ordinary, by season, in phases."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Container, Reading, Wired, Writing
from api.joint_json import limit_json
from api.language import locale_of
from api.move_schemas import LimitIn
from api.schemas import Code, SoundText, problems
from dispatch.limit_keeping import LimitEdit, find_condition, write_limits
from dispatch.limits import MOST_PHASES, MOST_SEASONS, Phase, Season, read_day
from dispatch.queries import database_now, load_reference
from dispatch.reference import Condition, Reference
from geo.errors import UnavailableError
from geo.storage.uow import Unit
from maps.i18n import Locale

router = APIRouter(tags=["calendars"])

Number = Annotated[int, Path(ge=1, le=32767)]
Name = Annotated[SoundText, Field(max_length=80)]
_URL = "/v1/categories/{category}/conditions/{number}/limits"


class SeasonIn(BaseModel):
    """Another limit in a window of days; a window may run over New Year."""

    model_config = ConfigDict(extra="forbid")

    name: Name = ""
    first: Annotated[SoundText, Field(max_length=5)] = Field(description="MM-DD, included")
    last: Annotated[SoundText, Field(max_length=5)] = Field(description="MM-DD, included")
    year: int | None = Field(None, ge=1971, le=2150, strict=True, description="Only in this year; else every year")
    limit: LimitIn


class PhaseIn(BaseModel):
    """A step with a deadline of its own, counted from the same start."""

    model_config = ConfigDict(extra="forbid")

    name_zh: Annotated[SoundText, Field(min_length=1, max_length=80)]
    name_en: Name = ""
    limit: LimitIn


class LimitsIn(BaseModel):
    """The limits of a condition; they replace those that held."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "limit": {"value": 20, "unit": "natural_day"},
                    "phases": [
                        {"name_zh": "责令停工", "name_en": "Stop work", "limit": {"value": 4, "unit": "urgent_hour"}}
                    ],
                }
            ]
        },
    )

    limit: LimitIn
    seasons: list[SeasonIn] = Field([], max_length=MOST_SEASONS)
    phases: list[PhaseIn] = Field([], max_length=MOST_PHASES)


class SeasonOut(BaseModel):
    """Another limit in a window of days."""

    name: str
    first: str
    last: str
    year: int | None
    limit: dict[str, str]


class PhasePlanOut(BaseModel):
    """A step with a deadline of its own."""

    phase: int
    name_zh: str
    name_en: str
    limit: dict[str, str]


class LimitsOut(BaseModel):
    """The limits of a condition."""

    category: str
    condition: int
    name: str
    limit: dict[str, str]
    limit_today: dict[str, str] = Field(description="What a clock set today gets, by the season")
    seasons: list[SeasonOut]
    phases: list[PhasePlanOut]


@router.get(_URL, response_model=None, responses={200: {"model": LimitsOut}, **problems(401, 403, 404, 422, 503)})
async def read_limits(
    request: Request,
    category: Code,
    number: Number,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """The limits of a filing condition: ordinary, by season, in phases."""
    reference = await container.reference.get()
    return await _answer(request, unit, reference, container, category, find_condition(reference, category, number))


@router.put(
    _URL, response_model=None, responses={200: {"model": LimitsOut}, **problems(400, 401, 403, 404, 413, 422, 503)}
)
async def put_limits(
    request: Request,
    category: Code,
    number: Number,
    body: LimitsIn,
    unit: Writing,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.GRID_WRITE))],
) -> Response:
    """Replace the limits of a filing condition. Cases under way keep what they were given."""
    reference = await load_reference(unit)
    jurisdiction = reference.jurisdictions.get(container.settings.jurisdiction)
    if jurisdiction is None:
        raise UnavailableError("dispatch.no_jurisdiction", jurisdiction=container.settings.jurisdiction)
    edit = LimitEdit(
        limit=body.limit.limit(),
        seasons=tuple(
            Season(
                first=read_day(season.first, f"/seasons/{place}/first"),
                last=read_day(season.last, f"/seasons/{place}/last"),
                year=season.year,
                name=season.name,
                limit=season.limit.limit(),
            )
            for place, season in enumerate(body.seasons)
        ),
        phases=tuple(
            Phase(number=place, name_zh=phase.name_zh, name_en=phase.name_en, limit=phase.limit.limit())
            for place, phase in enumerate(body.phases, start=1)
        ),
    )
    condition = find_condition(reference, category, number)
    changed = await write_limits(unit, category, condition, edit, jurisdiction.calendar, await database_now(unit))
    answer = await _answer(request, unit, reference, container, category, changed)
    # After the commit: whoever asks meanwhile must not keep a copy from before it.
    answer.background = BackgroundTask(container.reference.forget)
    return answer


async def _answer(
    request: Request, unit: Unit, reference: Reference, container: Container, category: str, condition: Condition
) -> Response:
    locale = locale_of(request)
    jurisdiction = reference.jurisdictions.get(container.settings.jurisdiction)
    now = await database_now(unit)
    today = now.astimezone(jurisdiction.calendar.zone).date() if jurisdiction else now.date()
    return json_answer(_limits(category, condition, locale) | {
        "limit_today": _limit(condition.limit_on(today), locale)
    }, locale=locale)  # fmt: skip


def _limits(category: str, condition: Condition, locale: Locale) -> dict[str, Any]:
    return {
        "category": category,
        "condition": condition.number,
        "name": (condition.name_en if locale == "en" else condition.name_zh) or condition.name_zh,
        "limit": _limit(condition.limit, locale),
        "seasons": [
            {
                "name": season.name,
                "first": "{:02}-{:02}".format(*season.first),
                "last": "{:02}-{:02}".format(*season.last),
                "year": season.year,
                "limit": _limit(season.limit, locale),
            }
            for season in condition.seasons
        ],
        "phases": [
            {
                "phase": phase.number,
                "name_zh": phase.name_zh,
                "name_en": phase.name_en,
                "limit": _limit(phase.limit, locale),
            }
            for phase in condition.phases
        ],
    }


def _limit(limit: Any, locale: Locale) -> dict[str, str]:
    return limit_json(limit.value, limit.unit.value, locale)
