"""Ladders of escalation: read, add a version, take a planned one back; and what a ladder would do to a case."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired, Writing
from api.language import locale_of
from api.rendering import instant
from api.schemas import Code, Short, SoundText, problems
from dispatch.escalation import Scope as LadderScope
from dispatch.ladder_editing import (
    MOST_RUNGS,
    LadderDraft,
    add_ladder,
    get_ladder,
    list_ladders,
    read_rungs,
    withdraw_ladder,
)
from dispatch.queries import database_now
from maps.i18n import Locale

router = APIRouter(tags=["ladders"])

_Word = Annotated[str, Field(max_length=60)]
_EXAMPLE: JsonDict = {
    "category": "E05",
    "effective_from": "2027-01-01T00:00:00+08:00",
    "rungs": [
        {"code": "grave", "basis": "at_once", "target": "leader"},
        {"code": "half", "basis": "share", "share": 0.5, "target": "owner"},
        {"code": "due", "basis": "after_due", "target": "parent_head"},
        {
            "code": "due_1d",
            "basis": "after_due",
            "after_value": 1,
            "after_unit": "working_day",
            "target": "department_head",
        },
    ],
}


class RungIn(BaseModel):
    """One rung."""

    model_config = ConfigDict(extra="forbid")

    code: SoundText = Field(description="a-z, 0-9, _; fires once per case, code and epoch")
    basis: _Word = Field(description="at_once, share (of the limit) or after_due")
    target: _Word = Field(description="owner, parent_head, top_head, department_head, shift_leader or leader")
    share: float | None = Field(None, description="For share: between 0 and 1")
    after_value: float | None = Field(None, description="For after_due: how long after; 0 is the deadline itself")
    after_unit: _Word | None = Field(None, description="urgent_hour, working_hour, working_day or natural_day")
    ends_with: _Word | None = Field(None, description="handled (default) or acknowledged")
    in_bulletin: bool = Field(False, strict=True)
    name_zh: Annotated[SoundText, Field(max_length=100)] = ""
    name_en: Annotated[SoundText, Field(max_length=100)] = ""


class LadderIn(BaseModel):
    """A version of a ladder."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    subdistrict: Code | None = Field(None, description="Level-1 cell; null: the whole jurisdiction")
    category: Code | None = Field(None, description="Minor or major class; null: all")
    effective_from: AwareDatetime | None = Field(None, description="Default: now; never in the past")
    note: Short = ""
    rungs: list[RungIn] = Field(max_length=10 * MOST_RUNGS, description="Empty: withdraw this scope's ladder")


class RungOut(BaseModel):
    """One rung, with its name in the caller's language."""

    code: str
    name: str
    name_zh: str
    name_en: str
    basis: str
    share: float
    after_value: float
    after_unit: str
    target: str
    ends_with: str
    in_bulletin: bool


class LadderOut(BaseModel):
    """A version."""

    id: int
    is_shipped: bool
    subdistrict: str | None
    category: str | None
    effective_from: datetime
    status: str = Field(description="planned, in_force or past")
    made_at: datetime
    made_by: str
    note: str
    rungs: list[RungOut]


class LaddersOut(BaseModel):
    """Versions of ladders."""

    ladders: list[LadderOut]
    as_of: datetime


@router.get("/v1/ladders", response_model=None, responses={200: {"model": LaddersOut}, **problems(401, 403, 422, 503)})
async def read_ladders(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))],
    at: Annotated[AwareDatetime | None, Query(description="As of this instant; default: now")] = None,
    history: Annotated[bool, Query(description="Past versions too")] = False,
) -> Response:
    """Ladders in force and planned; the closer class applies before the closer place."""
    as_of = at or await database_now(unit)
    rows = await list_ladders(unit, container.settings.jurisdiction, as_of, history=history)
    locale = locale_of(request)
    body = {"ladders": [_ladder(row, locale) for row in rows], "as_of": instant(as_of)}
    return json_answer(body, locale=locale)


@router.get(
    "/v1/ladders/{id}", response_model=None, responses={200: {"model": LadderOut}, **problems(401, 403, 404, 422, 503)}
)
async def read_ladder(
    request: Request,
    id: Annotated[int, Path(ge=1, le=2**31 - 1)],  # noqa: A002 - the path's own word
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))],
) -> Response:
    """One version."""
    row = await get_ladder(unit, id, container.settings.jurisdiction, await database_now(unit))
    locale = locale_of(request)
    return json_answer(_ladder(row, locale), locale=locale)


@router.post(
    "/v1/ladders",
    response_model=None,
    status_code=201,
    responses={201: {"model": LadderOut}, **problems(400, 401, 403, 409, 413, 422, 503)},
)
async def create_ladder(
    request: Request,
    body: LadderIn,
    unit: Writing,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.POSTS_WRITE))],
) -> Response:
    """Add a version. It applies to clocks that begin from its instant on; cases under way keep theirs."""
    jurisdiction = container.settings.jurisdiction
    draft = LadderDraft(
        scope=LadderScope(jurisdiction=jurisdiction, cell_code=body.subdistrict or "", category=body.category or ""),
        rungs=read_rungs([rung.model_dump() for rung in body.rungs]),
        effective_from=body.effective_from,
        note=body.note,
        by=f"{caller.kind}:{caller.id}",
    )
    number = await add_ladder(unit, draft)
    row = await get_ladder(unit, number, jurisdiction, await database_now(unit))
    locale = locale_of(request)
    return json_answer(_ladder(row, locale), locale=locale, status=201, Location=f"/v1/ladders/{number}")


@router.delete(
    "/v1/ladders/{id}", response_model=None, status_code=204, responses={**problems(401, 403, 404, 409, 422, 503)}
)
async def delete_ladder(
    id: Annotated[int, Path(ge=1, le=2**31 - 1)],  # noqa: A002 - the path's own word
    unit: Writing,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.POSTS_WRITE))],
) -> Response:
    """Take back a version that is not in force yet."""
    await withdraw_ladder(unit, id, container.settings.jurisdiction)
    return Response(status_code=204)


def _ladder(row: dict[str, Any], locale: Locale) -> dict[str, Any]:
    return {
        "id": row["id"],
        "is_shipped": not row["jurisdiction"],
        "subdistrict": row["cell_code"] or None,
        "category": row["category"] or None,
        "effective_from": instant(row["effective_from"]),
        "status": row["status"],
        "made_at": instant(row["made_at"]),
        "made_by": row["made_by"],
        "note": row["note"],
        "rungs": [_rung(rung, locale) for rung in row["rungs"]],
    }


def _rung(rung: dict[str, Any], locale: Locale) -> dict[str, Any]:
    name = (rung["name_en"] if locale == "en" else rung["name_zh"]) or rung["name_zh"] or rung["code"]
    kept = {name_: rung[name_] for name_ in RungOut.model_fields if name_ in rung}
    return {"name": name, **kept, "share": float(rung["share"]), "after_value": float(rung["after_value"])}
