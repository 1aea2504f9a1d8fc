"""Shifts of a post: patterns, exceptions of single days, and the rota that they make."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response

from api.answers import json_answer
from api.container import OfficeReading, OfficeWriting, Wired
from api.language import locale_of
from api.posts_schemas import ExceptionIn, ShiftEndIn, ShiftIn
from api.rendering import instant
from api.responsible import zone_of
from api.routes.people import Keeper, Number, Reader
from api.schemas import problems
from dispatch.queries import database_now
from dispatch.shifts_keeping import (
    NewShift,
    add_exception,
    add_shift,
    duties,
    end_shift,
    read_rota,
    remove_exception,
)
from dispatch.storage.posts import find_post, read_rows
from geo.errors import NotFoundError

router = APIRouter(tags=["posts"])


@router.get("/v1/posts/{post}/shifts", response_model=None, responses=problems(400, 401, 403, 404, 422, 503))
async def read_shifts(
    request: Request,
    post: Number,
    unit: OfficeReading,
    container: Wired,
    _: Reader,
    first: Annotated[date | None, Query(alias="from", description="First day of the rota; default: today")] = None,
    last: Annotated[date | None, Query(alias="until", description="Last day of the rota; default: a week")] = None,
) -> Response:
    """Patterns and exceptions of a post, and the spans of duty they make of some days for each holder."""
    now = await database_now(unit)
    row = await find_post(unit, container.settings.jurisdiction, post, now)
    if row is None:
        raise NotFoundError("posts.post_unknown", post=post)
    zone = await zone_of(container)
    start = first or now.astimezone(ZoneInfo(zone)).date()
    persons = [UUID(holder["person"]) for holder in row["holders"]]
    # A date has a last day too.
    end = last or start + min(timedelta(days=6), date.max - start)
    spans = duties(await read_rota(unit, post, zone), persons, start, end)
    values = {"post": post}
    body = {
        "zone": zone,
        "shifts": [_shift_json(one) for one in await read_rows(unit, "shift", "post_id = %(post)s", values)],
        "exceptions": [
            _exception_json(one)
            for one in await read_rows(unit, "shift_exception", "post_id = %(post)s", values, order="day, id")
        ],
        "duties": [
            {
                "person": str(span.person),
                "day": span.day.isoformat(),
                "starts_at": instant(span.starts_at),
                "ends_at": instant(span.ends_at),
            }
            for span in spans
        ],
    }
    return json_answer(body, locale=locale_of(request))


@router.post(
    "/v1/posts/{post}/shifts",
    status_code=201,
    response_model=None,
    responses=problems(400, 401, 403, 404, 413, 422, 503),
)
async def create_shift(
    request: Request, post: Number, body: ShiftIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Add a pattern: days of the week, or of a cycle of its own; several of one post add up."""
    new = NewShift(
        starts=body.starts,
        ends=body.ends,
        on_days=tuple(body.on_days),
        first_day=body.first_day,
        last_day=body.last_day,
        cycle_days=body.cycle_days,
        anchor=body.anchor,
        name=body.name,
        person=body.person,
    )
    row = await add_shift(unit, container.settings.jurisdiction, post, new)
    return json_answer(_shift_json(row), locale=locale_of(request), status=201)


@router.patch(
    "/v1/posts/{post}/shifts/{shift}",
    response_model=None,
    responses={204: {"description": "It never began, and is gone"}, **problems(400, 401, 403, 404, 413, 422, 503)},
)
async def update_shift(
    request: Request, post: Number, shift: Number, body: ShiftEndIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Let a pattern end with a day; one that would end before its first is taken back, and the answer is empty."""
    row = await end_shift(unit, container.settings.jurisdiction, post, shift, body.last_day)
    if row is None:
        return Response(status_code=204)
    return json_answer(_shift_json(row), locale=locale_of(request))


@router.post(
    "/v1/posts/{post}/shift-exceptions",
    status_code=201,
    response_model=None,
    responses=problems(400, 401, 403, 404, 413, 422, 503),
)
async def create_exception(
    request: Request, post: Number, body: ExceptionIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Say what holds on one day instead of the pattern."""
    row = await add_exception(
        unit,
        container.settings.jurisdiction,
        post,
        day=body.day,
        starts=body.starts,
        ends=body.ends,
        person=body.person,
        reason=body.reason,
    )
    return json_answer(_exception_json(row), locale=locale_of(request), status=201)


@router.delete(
    "/v1/posts/{post}/shift-exceptions/{exception}",
    status_code=204,
    response_model=None,
    responses=problems(401, 403, 404, 422, 503),
)
async def delete_exception(
    post: Number, exception: Number, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Let the pattern hold again on that day."""
    await remove_exception(unit, container.settings.jurisdiction, post, exception)
    return Response(status_code=204)


def _shift_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "person": str(row["person_id"]) if row["person_id"] else None,
        "starts": row["starts"].isoformat("minutes"),
        "ends": row["ends"].isoformat("minutes"),
        "on_days": row["on_days"],
        "cycle_days": row["cycle_days"],
        "anchor": row["anchor"].isoformat(),
        "first_day": row["first_day"].isoformat(),
        "last_day": row["last_day"].isoformat() if row["last_day"] else None,
    }


def _exception_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "person": str(row["person_id"]) if row["person_id"] else None,
        "day": row["day"].isoformat(),
        "starts": row["starts"].isoformat("minutes") if row["starts"] else None,
        "ends": row["ends"].isoformat("minutes") if row["ends"] else None,
        "reason": row["reason"],
    }
