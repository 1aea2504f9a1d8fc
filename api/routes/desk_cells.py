"""What a desk asks about cells: found by name or code."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.language import locale_of
from api.rendering import name_of
from api.schemas import SoundText, problems
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
            "chain": [{"level": level, "code": code} for level, code in enumerate(row["path"], start=1)],
            "bbox": [round(row[side], 7) for side in ("west", "south", "east", "north")],
        }
        for row in rows
    ]
    return json_answer({"query": q, "cells": cells}, locale=locale)
