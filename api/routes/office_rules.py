"""What an office decides about its own work, as data: profiles, repeat rules, channels, ledgers; and its classes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Container, Reading, Wired, Writing
from api.joint_json import limit_json
from api.language import locale_of
from api.schemas import Code, SoundText, problems
from api.spelling import Spelling
from dispatch import office_rules
from dispatch.deadlines import StartRule
from dispatch.office_rules import PROFILE_DEFAULTS, ProfileEdit, RepeatRuleEdit
from dispatch.queries import database_now, load_reference
from dispatch.reference import Category, Channel, Ledger
from dispatch.workflow import Line
from geo.storage.uow import Unit
from maps.i18n import Locale, translate

router = APIRouter(tags=["office"])

_ALL = "all"
Reader = Annotated[Caller, Depends(require(Scope.CASES_READ))]
Editor = Annotated[Caller, Depends(require(Scope.GRID_WRITE))]
Name = Annotated[SoundText, Field(max_length=80)]
Place = Annotated[Code, Path(description="Code of a level-1 cell, or `all` for the whole jurisdiction")]
Kind = Annotated[Code, Path(description="Code of a class, or `all` for every class without a rule of its own")]
Minutes = Annotated[int, Field(ge=1, le=43_200, strict=True)]
_OBJECT: dict[str, Any] = {"content": {"application/json": {"schema": {"type": "object"}}}}
_WRITES = problems(400, 401, 403, 404, 413, 422, 503)


class ProfileIn(BaseModel):
    """How a subdistrict works; what is left out is the default. Units: minutes, day and night."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"line": "full", "dispatches_itself": False}]}
    )

    line: Line = Field(Line(PROFILE_DEFAULTS.line), description="full: every step; short: several steps in one act")
    dispatches_itself: bool = Field(True, strict=True, description="Certain cases are dispatched at once")
    accept_minutes: Minutes = PROFILE_DEFAULTS.accept_minutes
    verify_minutes: Minutes = PROFILE_DEFAULTS.verify_minutes
    dispatch_minutes: Minutes = PROFILE_DEFAULTS.dispatch_minutes
    acknowledge_minutes: Minutes = PROFILE_DEFAULTS.acknowledge_minutes
    check_minutes: Minutes = PROFILE_DEFAULTS.check_minutes
    supervision_minutes: Minutes = PROFILE_DEFAULTS.supervision_minutes


class RepeatRuleIn(BaseModel):
    """What counts as a duplicate, a repeat site and a report after a close; what is left out is the default."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"radius_m": 80, "window_hours": 48, "site_count": 3}]}
    )

    radius_m: int = Field(50, ge=1, le=5000, strict=True, description="Metres")
    window_hours: int = Field(72, ge=1, le=8760, strict=True, description="Open cases this close in time are offered")
    with_siblings: bool = Field(True, strict=True, description="Classes of the same major class count too")
    site_count: int = Field(3, ge=2, le=1000, strict=True, description="So many reports make a repeat site …")
    site_days: int = Field(90, ge=1, le=3660, strict=True, description="… in so many days, also after closing")
    look_back_days: int = Field(30, ge=0, le=3660, strict=True, description="A closed site reported again so soon")


class ChannelIn(BaseModel):
    """What is given is changed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"start_rule": "next_day"}]})

    name_zh: Annotated[SoundText, Field(min_length=1, max_length=80)] | None = None
    name_en: Name | None = None
    start_rule: StartRule | None = Field(None, description="The handling limit counts from dispatch or the next day")


class LedgerIn(BaseModel):
    """A tag beside the category, with rates of its own."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name_zh": "三非整治"}]})

    name_zh: Annotated[SoundText, Field(min_length=1, max_length=80)]
    name_en: Name = ""
    is_active: bool = Field(True, strict=True, description="false: no new cases; those that have it keep it")


@router.get("/v1/profiles", response_model=None, responses={200: _OBJECT, **problems(401, 403, 503)})
async def read_profiles(request: Request, unit: Reading, container: Wired, _: Reader) -> Response:
    """How each subdistrict works: full or short line, automatic dispatch, limits of the stages."""
    return await _profiles(request, unit, container)


@router.put("/v1/profiles/{subdistrict}", response_model=None, responses={200: _OBJECT, **_WRITES})
async def put_profile(
    request: Request, subdistrict: Place, body: ProfileIn, unit: Writing, container: Wired, _: Editor
) -> Response:
    """Say how a subdistrict works. Stage clocks that run already keep their limits."""
    cell = "" if subdistrict == _ALL else subdistrict
    edit = ProfileEdit(**body.model_dump() | {"line": body.line.value})
    await office_rules.write_profile(unit, container.settings.jurisdiction, cell, edit, await database_now(unit))
    return _forgetting(container, await _profiles(request, unit, container))


@router.delete("/v1/profiles/{subdistrict}", response_model=None, responses={200: _OBJECT, **_WRITES})
async def delete_profile(request: Request, subdistrict: Place, unit: Writing, container: Wired, _: Editor) -> Response:
    """Take a profile back: what holds for the jurisdiction, else the default, holds again."""
    cell = "" if subdistrict == _ALL else subdistrict
    await office_rules.drop_profile(unit, container.settings.jurisdiction, cell)
    return _forgetting(container, await _profiles(request, unit, container))


@router.get("/v1/repeat-rules", response_model=None, responses={200: _OBJECT, **problems(401, 403, 503)})
async def read_repeat_rules(request: Request, unit: Reading, _: Reader) -> Response:
    """Radius and times of duplicates, repeat sites and looks back: of a class, of its major class, of all."""
    return await _repeat_rules(request, unit)


@router.put("/v1/repeat-rules/{category}", response_model=None, responses={200: _OBJECT, **_WRITES})
async def put_repeat_rule(request: Request, category: Kind, body: RepeatRuleIn, unit: Writing, _: Editor) -> Response:
    """Set the rule of a class. Nothing is stored with cases, so it holds at once, for the past as well."""
    edit = RepeatRuleEdit(**body.model_dump())
    await office_rules.write_repeat_rule(unit, "" if category == _ALL else category, edit)
    return await _repeat_rules(request, unit)


@router.delete("/v1/repeat-rules/{category}", response_model=None, responses={200: _OBJECT, **_WRITES})
async def delete_repeat_rule(request: Request, category: Kind, unit: Writing, _: Editor) -> Response:
    """Take the rule of a class back."""
    await office_rules.drop_repeat_rule(unit, "" if category == _ALL else category)
    return await _repeat_rules(request, unit)


@router.get("/v1/channels", response_model=None, responses={200: _OBJECT, **problems(401, 403, 503)})
async def read_channels(request: Request, unit: Reading, caller: Reader) -> Response:
    """The channels and from when their cases count. A key sees its own channel only."""
    locale = locale_of(request)
    channels = (await load_reference(unit)).channels.values()
    seen = [one for one in channels if caller.sees_channel in (None, one.code)]
    body = {"channels": [_channel(one, locale) for one in sorted(seen, key=lambda one: one.code)]}
    return json_answer(body, locale=locale)


@router.patch("/v1/channels/{code}", response_model=None, responses={200: _OBJECT, **_WRITES})
async def patch_channel(
    request: Request, code: Code, body: ChannelIn, unit: Writing, container: Wired, _: Editor
) -> Response:
    """Change a channel's names or its start rule. Clocks under way keep the start they were given."""
    await office_rules.change_channel(unit, code, body.model_dump(mode="json", exclude_none=True))
    locale = locale_of(request)
    changed = (await load_reference(unit)).channels[code]
    return _forgetting(container, json_answer(_channel(changed, locale), locale=locale))


@router.get("/v1/ledgers", response_model=None, responses={200: _OBJECT, **problems(401, 403, 503)})
async def read_ledgers(request: Request, unit: Reading, _: Reader) -> Response:
    """The ledgers: tags beside the category, each with rates of its own."""
    locale = locale_of(request)
    ledgers = (await load_reference(unit)).ledgers.values()
    return json_answer({"ledgers": [_ledger(one, locale) for one in ledgers]}, locale=locale)


@router.put("/v1/ledgers/{code}", response_model=None, responses={200: _OBJECT, **_WRITES})
async def put_ledger(
    request: Request,
    code: Annotated[str, Spelling("^[a-z][a-z0-9_]{0,39}$", "three_illegals"), Path(description="a-z, 0-9, _")],
    body: LedgerIn,
    unit: Writing,
    container: Wired,
    _: Editor,
) -> Response:
    """Write a ledger: a campaign, 台账问题, 社情信息."""
    await office_rules.write_ledger(unit, code, body.name_zh, body.name_en, is_active=body.is_active)
    locale = locale_of(request)
    written = (await load_reference(unit)).ledgers[code]
    return _forgetting(container, json_answer(_ledger(written, locale), locale=locale))


@router.get("/v1/categories", response_model=None, responses={200: _OBJECT, **problems(401, 403, 422, 503)})
async def read_categories(
    request: Request,
    unit: Reading,
    _: Reader,
    active: Annotated[bool, Query(description="Only classes in use")] = True,
) -> Response:
    """Major and minor classes, with the filing conditions and their ordinary limits."""
    locale = locale_of(request)
    found = [one for one in (await load_reference(unit)).categories.values() if one.is_active or not active]
    return json_answer({"categories": [_category(one, locale) for one in found]}, locale=locale)


async def _profiles(request: Request, unit: Unit, container: Container) -> Response:
    locale = locale_of(request)
    rows = await office_rules.list_profiles(unit, container.settings.jurisdiction)
    written = [{"subdistrict": row.pop("cell_code") or None, **_named(row, locale)} for row in rows]
    body = {"default": _named(asdict(PROFILE_DEFAULTS), locale), "profiles": written}
    return json_answer(body, locale=locale)


def _named(profile: dict[str, Any], locale: Locale) -> dict[str, Any]:
    return {"line": profile["line"], "line_name": translate(locale, f"line.{profile['line']}"), **profile}


async def _repeat_rules(request: Request, unit: Unit) -> Response:
    locale = locale_of(request)
    rules = []
    for row in await office_rules.list_repeat_rules(unit):
        zh, en = row.pop("name_zh"), row.pop("name_en")
        name = (en if locale == "en" else zh) or zh
        rules.append({"category": row.pop("category_code") or None, "name": name, **row})
    return json_answer({"rules": rules}, locale=locale)


def _channel(channel: Channel, locale: Locale) -> dict[str, Any]:
    names = {"name_zh": channel.name_zh, "name_en": channel.name_en}
    return {"code": channel.code, "name": channel.name(locale), **names, "start_rule": channel.start_rule}


def _ledger(ledger: Ledger, locale: Locale) -> dict[str, Any]:
    name = (ledger.name_en if locale == "en" else ledger.name_zh) or ledger.name_zh
    names = {"name_zh": ledger.name_zh, "name_en": ledger.name_en}
    return {"code": ledger.code, "name": name, **names, "is_active": ledger.is_active}


def _category(category: Category, locale: Locale) -> dict[str, Any]:
    return {
        "code": category.code,
        "kind": category.kind,
        "parent": category.parent,
        "name": category.name(locale),
        "is_active": category.is_active,
        "conditions": [
            {
                "number": one.number,
                "name": (one.name_en if locale == "en" else one.name_zh) or one.name_zh,
                "limit": limit_json(one.limit.value, one.limit.unit.value, locale),
                "is_default": one.is_default,
            }
            for one in category.conditions.values()
        ],
    }


def _forgetting(container: Container, answer: Response) -> Response:
    # After the commit: whoever asks meanwhile must not keep a copy from before it.
    answer.background = BackgroundTask(container.reference.forget)
    return answer
