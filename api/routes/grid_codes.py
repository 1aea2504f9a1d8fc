"""Codes of cells at the door: the systems there are, are these codes right, which come next."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.answers import json_answer
from api.container import Reading, Wired
from api.errors import message_of
from api.grid_schemas import CellCode, Lat, Lon
from api.language import locale_of
from api.routes.grid import Number, Reader
from api.schemas import SoundText, problems
from geo.codes import CODE_SYSTEMS, ORDER_RULE, Place, find_problem, get_code_system, next_codes, problem_facts
from geo.storage.cells import codes_ever_used
from geo.storage.grid_versions import get_version

router = APIRouter(tags=["grid"])

MOST_CODES = 10_000
_OBJECT = {"content": {"application/json": {"schema": {"type": "object"}}}}
_CHECK = problems(400, 401, 403, 413, 422, 503)
# As it is written in the file that somebody wants checked: what is wrong with it is the answer, not a refusal.
AnyCode = Annotated[SoundText, Field(max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CodeIn(_Strict):
    """A code, the level of its cell, and the code of the cell above it."""

    code: AnyCode
    level: Annotated[int, Field(ge=1, le=9, strict=True)]
    parent: AnyCode | None = Field(None, description="Where the system says so, the code must begin with it")


class CodesIn(_Strict):
    """Codes to be checked."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"code_system": "cn15", "codes": [{"code": "410102001002", "level": 2, "parent": "410102001"}]}
            ]
        },
    )

    code_system: Annotated[SoundText, Field(max_length=40)]
    codes: Annotated[list[CodeIn], Field(max_length=MOST_CODES)]


class PlaceIn(_Strict):
    """A cell that needs a code: a point inside it, WGS84, and your own name for it."""

    key: Annotated[SoundText, Field(max_length=200)] = ""
    lon: Lon
    lat: Lat


class NextIn(_Strict):
    """Cells of one parent that need codes."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"parent": "410102001002", "places": [{"key": "west", "lon": 113.64, "lat": 34.74}]},
            ]
        },
    )

    parent: CellCode = Field(description="Code of the cell above; for level 1 the six digits of the county")
    places: Annotated[list[PlaceIn], Field(min_length=1, max_length=MOST_CODES)]
    row_deg: Annotated[float, Field(ge=1e-7, le=1, allow_inf_nan=False)] | None = Field(
        None, description="Height of a row in degrees: cells are then numbered row by row, from the north"
    )


@router.get(
    "/v1/grid/code-systems", response_model=None, responses={200: {**_OBJECT, "description": "Systems"}, **_CHECK}
)
async def read_code_systems(request: Request, _: Reader) -> Response:
    """Systems of cell codes: how the digits are cut, how many a code has at each level, and where that is written."""
    body = {
        "code_systems": [
            {
                "name": system.name,
                "digits": {str(level): digits for level, digits in system.lengths.items()},
                "segments": [
                    {"name": each.name, "digits": each.digits, "level": each.level, "may_be_zero": each.may_be_zero}
                    for each in system.segments
                ],
                "begins_with_parent": system.has_prefix_rule,
                "published": system.is_published,
                "source": system.source,
            }
            for system in CODE_SYSTEMS.values()
        ]
    }
    return json_answer(body, locale=locale_of(request))


@router.post(
    "/v1/grid/codes:check",
    response_model=None,
    responses={200: {**_OBJECT, "description": "The codes that are wrong, each with why"}, **_CHECK},
)
async def check_codes(request: Request, body: CodesIn, _: Reader) -> Response:
    """Check codes against their system, their level and their parent; nothing is read or written."""
    system = get_code_system(body.code_system)
    locale = locale_of(request)
    wrong: list[dict[str, Any]] = []
    for index, one in enumerate(body.codes):
        problem = find_problem(system, one.code, one.level, one.parent)
        if problem is not None:
            facts = problem_facts(system, one.code, one.level, one.parent)
            detail = message_of(locale, problem.value, facts)
            wrong.append({"index": index, "pointer": f"/codes/{index}/code", "code": problem.value, "detail": detail})
    answer = {"code_system": system.name, "checked": len(body.codes), "wrong": wrong}
    return json_answer(answer, locale=locale)


@router.post(
    "/v1/grid/versions/{number}/codes:next",
    response_model=None,
    responses={200: {**_OBJECT, "description": "A code for every place"}, **_CHECK, **problems(404)},
)
async def read_next_codes(
    request: Request, number: Number, body: NextIn, unit: Reading, container: Wired, _: Reader
) -> Response:
    """Number cells of one parent from west to east, then from north to south; nothing is written.

    Numbers go on after the highest that any version of this jurisdiction ever used under that parent: an old case still
    names the old cell.
    """
    version = await get_version(unit, container.settings.jurisdiction, number)
    taken = await codes_ever_used(unit, version.jurisdiction, body.parent)
    # Keys may repeat or be left out; the position in the list tells places apart and decides last.
    places = [Place(key=f"{index:05d}", lon=one.lon, lat=one.lat) for index, one in enumerate(body.places)]
    system = get_code_system(version.code_system)
    given = [
        {"key": body.places[int(place.key)].key, "index": int(place.key), "code": code}
        for place, code in next_codes(system, body.parent, places, taken=taken, row_deg=body.row_deg)
    ]
    answer = {"code_system": system.name, "parent": body.parent, "rule": ORDER_RULE, "codes": given}
    return json_answer(answer, locale=locale_of(request))
