"""People who hold posts, and their leave. A phone is shown one at a time, and who looked is on record."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import OfficeReading, OfficeWriting, Wired
from api.language import locale_of
from api.posts_json import person_json
from api.posts_schemas import LeaveEndIn, LeaveIn, PersonChangeIn, PersonIn
from api.rendering import instant
from api.routes.locating import Instant
from api.schemas import SoundText, problems
from dispatch.posts_keeping import add_leave, add_person, change_person, end_leave
from dispatch.queries import database_now
from dispatch.storage.posts import list_people, read_rows
from geo.errors import NotFoundError
from geo.storage.uow import Unit

log = structlog.get_logger("gridward.posts")
router = APIRouter(tags=["posts"])

Reader = Annotated[Caller, Depends(require(Scope.POSTS_READ))]
Keeper = Annotated[Caller, Depends(require(Scope.POSTS_WRITE, in_area=True))]
#: Keeps all of it: what has no area is changed by nobody else.
WholeKeeper = Annotated[Caller, Depends(require(Scope.POSTS_WRITE))]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/v1/people", response_model=None, responses=problems(400, 401, 403, 422, 503))
async def read_people(
    request: Request,
    unit: OfficeReading,
    container: Wired,
    _: Reader,
    name: Annotated[SoundText | None, Query(max_length=120, description="Part of the name, or a staff number")] = None,
    left: Annotated[bool, Query(description="Those who have left as well")] = False,
    at: Annotated[Instant | None, Query(description="Posts and leave at that instant; with zone")] = None,
    after: Annotated[UUID | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """People with the posts they hold. No phones: see `/v1/people/{id}/phone`."""
    locale = locale_of(request)
    now = at or await database_now(unit)
    found = await list_people(
        unit,
        container.settings.jurisdiction,
        now,
        name=name,
        ended=left,
        after=after or UUID(int=0),
        limit=limit + 1,
    )
    page = found[:limit]
    body = {
        "people": [person_json(row, locale) for row in page],
        "next": str(page[-1]["id"]) if len(found) > limit else None,
        "at": instant(now),
    }
    return json_answer(body, locale=locale)


@router.post("/v1/people", status_code=201, response_model=None, responses=problems(400, 401, 403, 409, 413, 422, 503))
async def create_person(
    request: Request, body: PersonIn, unit: OfficeWriting, container: Wired, caller: Keeper
) -> Response:
    """Add somebody who can hold posts. Whoever an administrator of an area adds is in that area's care."""
    row = await add_person(
        unit,
        container.settings.jurisdiction,
        name=body.name,
        staff_number=body.staff_number,
        phone=body.phone,
        care=caller.office.first_place,
    )
    return await _person(request, unit, container.settings.jurisdiction, row["id"], status=201)


@router.get("/v1/people/{person}", response_model=None, responses=problems(401, 403, 404, 422, 503))
async def read_person(request: Request, person: UUID, unit: OfficeReading, container: Wired, _: Reader) -> Response:
    """One person with the posts held now, and leave that is not over."""
    return await _person(request, unit, container.settings.jurisdiction, person)


@router.patch("/v1/people/{person}", response_model=None, responses=problems(400, 401, 403, 404, 409, 413, 422, 503))
async def update_person(
    request: Request, person: UUID, body: PersonChangeIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Change name, staff number or phone, or say that somebody has left."""
    changes = body.model_dump(exclude_unset=True)
    for name in ("name", "is_active"):
        if changes.get(name, ...) is None:
            del changes[name]  # neither may be empty; null says "as it is"
    await change_person(unit, container.settings.jurisdiction, person, changes)
    return await _person(request, unit, container.settings.jurisdiction, person)


@router.get("/v1/people/{person}/phone", response_model=None, responses=problems(401, 403, 404, 422, 503))
async def read_phone(request: Request, person: UUID, unit: OfficeReading, container: Wired, caller: Reader) -> Response:
    """One person's phone, when somebody has to call. Who asked is on record."""
    rows = await read_rows(
        unit,
        "person",
        "id = %(id)s AND jurisdiction = %(jurisdiction)s",
        {"id": person, "jurisdiction": container.settings.jurisdiction},
    )
    if not rows:
        raise NotFoundError("posts.person_unknown", person=str(person))
    log.info("phone_shown", person=str(person), to=f"{caller.kind}:{caller.id}")
    return json_answer(
        {"id": str(person), "phone": rows[0]["phone"]}, locale=locale_of(request), Cache_Control="no-store"
    )


@router.get("/v1/people/{person}/leave", response_model=None, responses=problems(401, 403, 404, 422, 503))
async def read_leave(request: Request, person: UUID, unit: OfficeReading, container: Wired, _: Reader) -> Response:
    """All leave of a person, the latest first."""
    await _find(unit, container.settings.jurisdiction, person)
    rows = await read_rows(unit, "leave", "person_id = %(id)s", {"id": person}, order="starts_at DESC, id DESC")
    return json_answer({"leave": [_leave_json(row) for row in rows]}, locale=locale_of(request))


@router.post(
    "/v1/people/{person}/leave",
    status_code=201,
    response_model=None,
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def create_leave(
    request: Request, person: UUID, body: LeaveIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Send somebody on leave; from its first moment on the backup answers."""
    row = await add_leave(
        unit,
        container.settings.jurisdiction,
        person,
        starts=body.starts_at,
        ends=body.ends_at,
        reason=body.reason,
    )
    return json_answer(_leave_json(row), locale=locale_of(request), status=201)


@router.patch(
    "/v1/people/{person}/leave/{leave}",
    response_model=None,
    responses={204: {"description": "It never began, and is gone"}, **problems(400, 401, 403, 404, 413, 422, 503)},
)
async def update_leave(
    request: Request, person: UUID, leave: Number, body: LeaveEndIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Let a leave end earlier or later; one that would end before it begins is taken back, and the answer is empty."""
    row = await end_leave(unit, container.settings.jurisdiction, person, leave, body.ends_at)
    if row is None:
        return Response(status_code=204)
    return json_answer(_leave_json(row), locale=locale_of(request))


async def _person(request: Request, unit: Unit, jurisdiction: str, person: UUID, *, status: int = 200) -> Response:
    row = await _find(unit, jurisdiction, person)
    locale = locale_of(request)
    location = f"/v1/people/{person}" if status == 201 else ""
    return json_answer(person_json(row, locale), locale=locale, status=status, Location=location)


async def _find(unit: Unit, jurisdiction: str, person: UUID) -> dict[str, Any]:
    found = await list_people(unit, jurisdiction, await database_now(unit), person_id=person)
    if not found:
        raise NotFoundError("posts.person_unknown", person=str(person))
    return found[0]


def _leave_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "person": str(row["person_id"]),
        "starts_at": instant(row["starts_at"]),
        "ends_at": instant(row["ends_at"]),
        "reason": row["reason"],
    }
