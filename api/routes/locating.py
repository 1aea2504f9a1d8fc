"""Which cell covers a point and who answers there: one point, many points, now or at any instant."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Wired
from api.errors import message_of
from api.language import locale_of
from api.rendering import accuracy_json, cell_json, head_json, instant, near_json, nobody_json, rung_json
from api.responsible import responsible_json, zone_of
from api.schemas import CellOut, Code, HeadOut, LocateOut, LocationOut, NobodyOut, VersionOut, problems
from dispatch.posts import find_backup, find_head
from dispatch.queries import database_now
from dispatch.whereabouts import ManyFound, Whereabouts, find_many, find_one
from geo.cells import TIE_RULE
from geo.coordinates import CoordSys, check_position, position_faults, snap_to_grid, to_wgs84
from geo.errors import BadInputError, InvalidRequestError
from geo.storage.uow import read_unit
from geo.uncertainty import MOST_ACCURACY_M
from maps.i18n import Locale

router = APIRouter(tags=["places"])

MOST_POINTS = 10_000
_AT_ONCE = 500


def _mended(value: object) -> object:
    # A plus sign in a query means a space; of an instant's zone it is nearly always meant as itself.
    return re.sub(r" (?=\d\d:?\d\d$)", "+", value) if isinstance(value, str) else value


Degrees = Annotated[float, Query(allow_inf_nan=False)]
Instant = Annotated[AwareDatetime, BeforeValidator(_mended)]


@router.get(
    "/v1/locate", response_model=None, responses={200: {"model": LocateOut}, **problems(400, 401, 403, 422, 503)}
)
async def read_location(
    request: Request,
    container: Wired,
    lon: Annotated[Degrees, Query(examples=[113.642])],
    lat: Annotated[Degrees, Query(examples=[34.739])],
    coord_sys: Annotated[CoordSys, Query(examples=["gcj02"])],
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
    at: Annotated[Instant | None, Query(description="Cell and person at that instant; with zone")] = None,
    accuracy_m: Annotated[
        float | None,
        Query(gt=0, le=MOST_ACCURACY_M, allow_inf_nan=False, description="Radius of the position's error, metres"),
    ] = None,
    category: Annotated[
        Code | None, Query(description="A class: adds who is responsible for it there, with everybody looked at")
    ] = None,
) -> Response:
    """Which cells cover a point, who is responsible, who stands in, and how it was decided."""
    if faults := position_faults(lon, lat):
        raise InvalidRequestError(faults)
    x, y = to_wgs84(lon, lat, coord_sys)
    x, y = snap_to_grid(x), snap_to_grid(y)
    found = await find_one(container.engine, container.live, x, y, at=at, accuracy_m=accuracy_m)
    locale = locale_of(request)
    body = found_json(found, x, y, at, locale, await zone_of(container) if found.ladder else None)
    if category is not None:
        async with read_unit(container.engine) as unit:
            path = [cell.code for cell in found.located.chain]
            asked = at or await database_now(unit)
            body["for_category"] = await responsible_json(container, unit, path, category, asked, locale)
    return json_answer(body, locale=locale)


def found_json(
    found: Whereabouts, lon: float, lat: float, at: datetime | None, locale: Locale, zone: str | None
) -> dict[str, Any]:
    """The answer to a question about one point; ``zone`` is that of the office, where somebody answers."""
    located = found.located
    head = find_head(found.ladder)
    backup = find_backup(found.ladder, head) if head else None
    version = located.version
    body = {
        "chain": [cell_json(cell, locale) for cell in located.chain],
        "head": head_json(head, locale, zone or "UTC"),
        "backup": rung_json(backup, locale) if backup else None,
        "how": located.how.value,
        "grid_version": {"number": version.number, "name": version.name} if version else None,
        "rule": located.rule,
        "location": {"lon": lon, "lat": lat},
        "nearest": [near_json(cell, locale) for cell in located.nearest],
    }
    if head is None and located.chain:
        body["nobody"] = nobody_json(found.ladder, locale)
    if at is not None:
        body["at"] = instant(at)
    if found.uncertainty is not None:
        body["accuracy"] = accuracy_json(found.uncertainty, locale)
    return body


class PointsIn(BaseModel):
    """Many points of one coordinate system."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"coord_sys": "gcj02", "points": [{"id": "a", "lon": 113.6421, "lat": 34.7402}]}]
        },
    )

    coord_sys: CoordSys
    at: AwareDatetime | None = Field(None, description="Cells and persons at that instant; now if left out")
    # Checked one by one, so that one bad point costs one result and not the whole request.
    points: list[Any] = Field(
        max_length=MOST_POINTS, description="Objects with lon, lat (degrees) and an optional id of your own"
    )


class PointOut(BaseModel):
    """One point's answer, in the order of the request: codes of its cells and the head, or an error."""

    id: Any = None
    how: str | None = None
    chain: list[str] | None = Field(None, description="Codes from level 1 down; see cells. Empty outside the grid")
    head: HeadOut | None = None
    nobody: NobodyOut | None = None
    location: LocationOut | None = None
    error: dict[str, Any] | None = None


class PointsOut(BaseModel):
    """Answers to many points. ``cells`` tells each code's level, name and kind once."""

    results: list[PointOut]
    cells: dict[str, CellOut]
    grid_version: VersionOut | None
    rule: str
    errors: int = Field(description="How many results are errors")


@router.post(
    "/v1/locate:batch",
    response_model=None,
    responses={200: {"model": PointsOut}, **problems(400, 401, 403, 413, 422, 503)},
)
async def read_locations(
    request: Request,
    container: Wired,
    body: PointsIn,
    _: Annotated[Caller, Depends(require(Scope.LOCATE))],
) -> Response:
    """Up to 10,000 points at once; each gets its cells and head or its own error. Nearest cells only come singly."""
    locale = locale_of(request)
    checked = [_checked(point, body.coord_sys, locale) for point in body.points]
    good = [pair for pair in checked if isinstance(pair, tuple)]
    found = await find_many(
        container.engine, container.live, [lon for lon, _ in good], [lat for _, lat in good], at=body.at
    )
    results = []
    zone = await zone_of(container) if any(found.ladders) else "UTC"
    places = iter(range(len(good)))
    for number, (point, pair) in enumerate(zip(body.points, checked, strict=True)):
        result: dict[str, Any] = {"id": point["id"]} if isinstance(point, dict) and "id" in point else {}
        results.append(
            result | (_one_of_many(found, next(places), pair, locale, zone) if isinstance(pair, tuple) else pair)
        )
        if number % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.sleep(0)  # other requests have their turn
    answer = {
        "results": results,
        "cells": {cell.code: cell_json(cell, locale) for chain in found.chains for cell in chain},
        "grid_version": {"number": found.version.number, "name": found.version.name} if found.version else None,
        "rule": TIE_RULE,
        "errors": len(checked) - len(good),
    }
    return json_answer(answer, locale=locale)


def _one_of_many(found: ManyFound, place: int, pair: tuple[float, float], locale: Locale, zone: str) -> dict[str, Any]:
    chain, head = found.chains[place], find_head(found.ladders[place])
    one: dict[str, Any] = {
        "how": "covers" if chain else "out_of_grid",
        "chain": [cell.code for cell in chain],
        "head": head_json(head, locale, zone),
        "location": {"lon": pair[0], "lat": pair[1]},
    }
    if head is None and chain:
        one["nobody"] = nobody_json(found.ladders[place], locale)
    return one


def _checked(point: object, coord_sys: CoordSys, locale: Locale) -> tuple[float, float] | dict[str, Any]:
    """The point in WGS84 on the grid, or the error it gets instead."""
    try:
        if not isinstance(point, Mapping):
            raise BadInputError("request.not_an_object", field="point")
        lon, lat = (_number(point, name) for name in ("lon", "lat"))
        check_position(lon, lat)
    except BadInputError as error:
        return {"error": {"code": error.code, "detail": message_of(locale, error.code, error.params)}}
    x, y = to_wgs84(lon, lat, coord_sys)
    return snap_to_grid(x), snap_to_grid(y)


def _number(point: Mapping[str, object], name: str) -> float:
    value = point.get(name)
    if value is None:
        raise BadInputError("request.missing", field=name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInputError("request.not_a_number", field=name)
    try:
        return float(value)
    except OverflowError:
        raise BadInputError("geo.coordinate_not_finite", lon=name, lat=name) from None
