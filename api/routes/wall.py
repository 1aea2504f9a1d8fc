"""The wall display: a page without anybody's data, and its numbers for whoever holds its key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.language import locale_of
from api.schemas import problems
from api.templating import render
from api.wall_reading import read_wall, read_wall_cells
from geo.errors import ForbiddenError, GridwardError
from maps.wall_page import files_version, wall_context

router = APIRouter(tags=["wall"])


class WallOut(BaseModel):
    """What the wall shows. No names of people, no addresses, no words of reporters."""

    as_of: datetime
    day: str
    place: str
    build: str
    grid: int | None
    now: dict[str, int]
    rates: list[dict[str, Any]] = Field(description="Of today; the same as /v1/rates for the same day")
    places: list[dict[str, Any]] = Field(description="Communities, the worst first")
    more_places: int
    cells: dict[str, dict[str, Any]] = Field(description="Open cases and worst light by code of a cell")
    overdue: list[dict[str, Any]] = Field(description="Longest overdue first")
    ladder: list[dict[str, Any]] = Field(description="Overdue cases by the highest rung that has fired")
    arrivals: list[dict[str, Any]] = Field(description="Of the last two minutes")


class WallCellsOut(BaseModel):
    """Outlines of cells."""

    grid: int | None
    level: int
    cells: list[dict[str, Any]]


async def wall_caller(request: Request, container: Wired) -> Caller:
    """Let the wall's key pass, and whoever sees cases anyway; a dependency.

    Raises
    ------
    ForbiddenError
        ``access.scope_missing``.
    """
    found = await container.doorkeeper.identify(request)
    if isinstance(found, GridwardError):
        raise found
    if found.must_change:
        raise ForbiddenError("access.password_change_needed")
    if not found.scopes & {Scope.WALL_READ, Scope.CASES_READ_ALL}:
        raise ForbiddenError("access.scope_missing", scope=Scope.WALL_READ.value)
    return found


Watcher = Annotated[Caller, Depends(wall_caller)]


@router.get("/v1/wall", response_model=WallOut, responses=problems(401, 403, 503))
async def read_wall_numbers(request: Request, unit: Reading, container: Wired, _: Watcher) -> Response:
    """Today's numbers, lights by community, ladder, the longest overdue, what came in just now."""
    locale = locale_of(request)
    body = await read_wall(unit, container, locale) | {"build": files_version()}
    return json_answer(body, locale=locale, Cache_Control="no-store")


@router.get("/v1/wall/cells", response_model=WallCellsOut, responses=problems(401, 403, 503))
async def read_wall_outlines(request: Request, unit: Reading, container: Wired, _: Watcher) -> Response:
    """Outlines for the wall's picture; they change only when `grid` does."""
    locale = locale_of(request)
    return json_answer(await read_wall_cells(unit, container, locale), locale=locale, Cache_Control="no-store")


@router.get("/wall", include_in_schema=False)
async def read_wall_page(
    request: Request,
    container: Wired,
    theme: Annotated[str, Query(max_length=10)] = "dark",
) -> Response:
    """The page; its key stands behind the # of the address, which browsers send to nobody."""
    locale = locale_of(request)
    jurisdiction = (await container.reference.get()).jurisdictions.get(container.settings.jurisdiction)
    zone = jurisdiction.time_zone if jurisdiction else "Asia/Shanghai"
    root = request.scope.get("root_path", "")
    context = wall_context(locale, time_zone=zone, root=root, is_light=theme == "light")
    return render("wall.html", context, locale=locale)
