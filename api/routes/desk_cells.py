"""What a desk asks about cells: found by name or code; which have nobody of their own on duty."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.language import locale_of
from api.rendering import instant, name_of
from api.schemas import SoundText, problems
from dispatch.duty_gaps import Gap, list_duty_gaps
from dispatch.queries import database_now
from geo.storage.cells import search_cells
from geo.storage.grid_versions import find_active

router = APIRouter(tags=["places"])


class CellStepOut(BaseModel):
    """A cell of a chain by its code."""

    level: int
    code: str


class FoundCellOut(BaseModel):
    """A cell that words found."""

    code: str
    name: str
    level: int
    chain: list[CellStepOut] = Field(description="Itself last, its parents before it")
    bbox: list[float] = Field(description="west, south, east, north in WGS84")


class FoundCellsOut(BaseModel):
    """Cells by words, upper levels first."""

    query: str
    cells: list[FoundCellOut]


class DutyGapOut(BaseModel):
    """A cell whose own A post is not on duty."""

    chain: list[CellStepOut] = Field(description="Itself last, its parents before it")
    gap: Gap = Field(description="`backup`: the B post answers; `nobody`: none of its own, a parent's head answers")


class DutyGapsOut(BaseModel):
    """Cells of the lowest level whose own A post is not on duty now; all others are covered."""

    as_of: str
    cells: list[DutyGapOut]


@router.get(
    "/v1/cells:search",
    response_model=None,
    responses={200: {"model": FoundCellsOut}, **problems(400, 401, 403, 422, 503)},
)
async def find_cells(
    request: Request,
    unit: Reading,
    container: Wired,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    q: Annotated[SoundText, Query(min_length=1, max_length=100, description="Part of a name, or how a code begins")],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """Cells of the grid that holds now, by name or code."""
    locale = locale_of(request)
    active = await find_active(unit, container.settings.jurisdiction)
    rows = await search_cells(unit, active.id, q.strip(), most=limit) if active and q.strip() else []
    cells: list[dict[str, Any]] = [
        {
            "code": row["code"],
            "name": name_of(row, locale),
            "level": row["level"],
            "chain": _chain(row["path"]),
            "bbox": [round(row[side], 7) for side in ("west", "south", "east", "north")],
        }
        for row in rows
    ]
    return json_answer({"query": q, "cells": cells}, locale=locale)


@router.get(
    "/v1/cells:coverage",
    response_model=None,
    responses={200: {"model": DutyGapsOut}, **problems(401, 403, 422, 503)},
)
async def read_coverage(
    request: Request, unit: Reading, container: Wired, _: Annotated[Caller, Depends(require(Scope.LOCATE))]
) -> Response:
    """Which of the smallest cells have nobody of their own on duty at this moment, or only their B post."""
    jurisdiction = container.settings.jurisdiction
    now = await database_now(unit)
    active = await find_active(unit, jurisdiction)
    gaps = await list_duty_gaps(unit, jurisdiction, active.id, now) if active else []
    cells = [{"chain": _chain(gap["path"]), "gap": gap["gap"]} for gap in gaps]
    return json_answer({"as_of": instant(now), "cells": cells}, locale=locale_of(request))


def _chain(path: list[str]) -> list[dict[str, Any]]:
    return [{"level": level, "code": code} for level, code in enumerate(path, start=1)]
