"""What lies near a case: possible duplicates, repeat sites, closed cases to look at again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.language import locale_of
from api.rendering import instant
from api.schemas import CategoryOut, Code, problems
from dispatch.queries import database_now, get_case
from dispatch.repeat_rules import Callers, NearCase
from dispatch.repeats import find_nearby, list_repeat_sites
from maps.i18n import Locale

router = APIRouter(tags=["cases"])


class NearCaseOut(BaseModel):
    """Another case of the same place and matter."""

    case: str
    status: str
    category: CategoryOut
    channel: str
    channel_name: str
    same_channel: bool
    same_caller: bool | None = Field(description="The same person reported both; null when one left no contact")
    reported_at: datetime
    closed_at: datetime | None
    distance_m: float = Field(description="Metres")
    age_s: int = Field(description="Seconds by which it was reported earlier; negative: later")
    status_url: str


class ChannelCountOut(BaseModel):
    """Reports of a place by channel."""

    code: str
    name: str
    count: int


class CallersOut(BaseModel):
    """One insistent caller, or many; told apart by a keyed hash of the contact, never by name."""

    known: int = Field(description="Different people who left a contact")
    unknown: int = Field(description="Reports without a contact")
    is_one: bool = Field(description="All reports are by one and the same person")


class RepeatsOut(BaseModel):
    """The place's history."""

    count: int = Field(description="Reports in the rule's days up to this one, itself included")
    days: int | None
    is_repeat_site: bool
    is_one_channel: bool = Field(description="All through one channel: perhaps one insistent caller")
    channels: list[ChannelCountOut]
    callers: CallersOut | None = Field(description="null while there is one report only")
    history: list[NearCaseOut]


class RuleOut(BaseModel):
    """The rule that was applied."""

    radius_m: int
    window_hours: int
    site_count: int
    site_days: int
    look_back_days: int


class NearbyOut(BaseModel):
    """What is known about the place of a case."""

    case: str
    duplicates: list[NearCaseOut]
    repeats: RepeatsOut
    look_back: list[NearCaseOut] = Field(description="Closed shortly before this report")
    reported_again: list[NearCaseOut] = Field(description="For a closed case: reports shortly after its close")
    rule: RuleOut | None = Field(description="null for a case without a position")


class RepeatSiteOut(BaseModel):
    """An open case with a badge."""

    case: str
    count: int = Field(description="Reports in the rule's days up to this one; 101: that many or more")
    is_repeat_site: bool
    look_back: list[str]


class RepeatSitesOut(BaseModel):
    """Open cases with a badge."""

    cases: list[RepeatSiteOut]
    next: str | None = Field(description="Not all were looked at yet: ask again with this as `before`")
    as_of: datetime


@router.get(
    "/v1/cases/{ref}/nearby",
    response_model=None,
    responses={200: {"model": NearbyOut}, **problems(401, 403, 404, 422, 503)},
)
async def read_nearby(
    request: Request, ref: Code, unit: Reading, caller: Annotated[Caller, Depends(require(Scope.CASES_READ))]
) -> Response:
    """Possible duplicates with distance and age, the history of the place, and closed cases to look at again."""
    case = (await get_case(unit, ref, channel=caller.sees_channel)).case
    found = await find_nearby(unit, case, channel=caller.sees_channel)
    locale = locale_of(request)

    def listed(cases: tuple[NearCase, ...]) -> list[dict[str, Any]]:
        return [_near_json(each, case.channel, locale) for each in cases]

    rule = found.rule
    body = {
        "case": case.ref,
        "duplicates": listed(found.duplicates),
        "repeats": {
            "count": found.count,
            "days": rule.site_days if rule else None,
            "is_repeat_site": found.is_repeat_site,
            "is_one_channel": len(found.channels) == 1,
            "channels": [
                {"code": each.code, "name": _name(each.name_zh, each.name_en, locale) or each.code, "count": each.count}
                for each in found.channels
            ],
            "callers": _callers(found.callers),
            "history": listed(found.history),
        },
        "look_back": listed(found.look_back),
        "reported_again": listed(found.reported_again),
        "rule": {name: getattr(rule, name) for name in RuleOut.model_fields} if rule else None,
    }
    return json_answer(body, locale=locale)


@router.get(
    "/v1/repeats", response_model=None, responses={200: {"model": RepeatSitesOut}, **problems(401, 403, 422, 503)}
)
async def read_repeats(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))],
    since: Annotated[
        AwareDatetime | None, Query(alias="from", description="Only cases reported from this instant on")
    ] = None,
    before: Annotated[Code | None, Query(description="`next` of the answer before: only cases older than this")] = None,
) -> Response:
    """Open cases whose place is a repeat site, or was closed shortly before they came.

    Looked at are the newest 2,000 open cases, as far as a second reaches, and for each at most 100 reports of its
    place: a count of 101 means that many or more, and then `look_back` need not name every case.
    `/v1/cases/{case}/nearby` knows them all.
    """
    sites, left = await list_repeat_sites(unit, container.settings.jurisdiction, since=since, before=before)
    body = {
        "cases": [
            {
                "case": site.ref,
                "count": site.count,
                "is_repeat_site": site.is_repeat_site,
                "look_back": list(site.look_back),
            }
            for site in sites
        ],
        "next": left,
        "as_of": instant(await database_now(unit)),
    }
    return json_answer(body, locale=locale_of(request))


def _callers(callers: Callers | None) -> dict[str, Any] | None:
    return {"known": callers.known, "unknown": callers.unknown, "is_one": callers.is_one} if callers else None


def _near_json(near: NearCase, own_channel: str, locale: Locale) -> dict[str, Any]:
    return {
        "case": near.ref,
        "status": near.state.value,
        "category": {"code": near.category, "name": _name(near.category_zh, near.category_en, locale)},
        "channel": near.channel,
        "channel_name": _name(near.channel_zh, near.channel_en, locale) or near.channel,
        "same_channel": near.channel == own_channel,
        "same_caller": near.is_same_caller,
        "reported_at": instant(near.reported_at),
        "closed_at": instant(near.closed_at),
        "distance_m": round(near.distance_m, 1),
        "age_s": round(near.age_s),
        "status_url": f"/v1/cases/{near.ref}",
    }


def _name(zh: str, en: str, locale: Locale) -> str:
    return (en if locale == "en" else zh) or zh or en
