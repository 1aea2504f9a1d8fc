"""Posts of cells and departments: who holds them, from when until when, and handing them over."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from api.accounts.keys import Scope
from api.answers import json_answer
from api.container import Container, OfficeReading, OfficeWriting, Wired
from api.language import locale_of
from api.posts_json import post_json
from api.posts_schemas import (
    AppointmentIn,
    EndIn,
    HandOverIn,
    PostDetailOut,
    PostIn,
    PostsOut,
)
from api.rendering import instant
from api.routes.locating import Instant
from api.routes.people import Keeper, Number, Reader
from api.schemas import Code, problems
from dispatch.making import Actor
from dispatch.office_area import check_keeps_post
from dispatch.posts_handover import acknowledge_hand_over, hand_post_over
from dispatch.posts_keeping import NewPost, add_post, appoint, end_appointment, end_post
from dispatch.queries import database_now
from dispatch.storage.posts import find_post, list_posts, read_rows
from geo.errors import ForbiddenError, NotFoundError
from geo.storage.uow import Unit, act_as_service

router = APIRouter(tags=["posts"])


@router.get("/v1/posts", response_model=None, responses={200: {"model": PostsOut}, **problems(400, 401, 403, 422, 503)})
async def read_posts(
    request: Request,
    unit: OfficeReading,
    container: Wired,
    _: Reader,
    kind: Annotated[Code | None, Query(description="Such as grid_head")] = None,
    cell: Annotated[Code | None, Query(description="Posts of this very cell")] = None,
    department: Annotated[Code | None, Query()] = None,
    person: Annotated[UUID | None, Query(description="Posts that somebody holds at the instant")] = None,
    at: Annotated[Instant | None, Query(description="Posts and holders at that instant; with zone")] = None,
    ended: Annotated[bool, Query(description="Those not valid at the instant as well")] = False,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Posts with who holds them, and whether they are on leave or off shift."""
    locale = locale_of(request)
    now = at or await database_now(unit)
    found = await list_posts(
        unit,
        container.settings.jurisdiction,
        now,
        kind=kind,
        cell=cell,
        department=department,
        person=person,
        ended=ended,
        after=after,
        limit=limit + 1,
    )
    page = found[:limit]
    body = {
        "posts": [post_json(row, locale) for row in page],
        "next": page[-1]["id"] if len(found) > limit else None,
        "at": instant(now),
    }
    return json_answer(body, locale=locale)


@router.post(
    "/v1/posts",
    status_code=201,
    response_model=None,
    responses={201: {"model": PostDetailOut}, **problems(400, 401, 403, 404, 409, 413, 422, 503)},
)
async def create_post(request: Request, body: PostIn, unit: OfficeWriting, container: Wired, _: Keeper) -> Response:
    """Add a post, with its first holder if there is one."""
    jurisdiction = container.settings.jurisdiction
    new = NewPost(
        kind=body.kind,
        title_zh=body.title_zh,
        title_en=body.title_en or "",
        rank=body.rank,
        cell=body.cell,
        department=body.department,
        is_shared=body.is_shared,
        valid_from=body.valid_from,
        valid_until=body.valid_until,
    )
    row = await add_post(unit, jurisdiction, new, now=await database_now(unit))
    if body.holder is not None:
        await appoint(unit, jurisdiction, row["id"], body.holder, since=row["valid_from"], until=row["valid_until"])
    return await _post(request, unit, container, row["id"], status=201)


@router.get(
    "/v1/posts/{post}",
    response_model=None,
    responses={200: {"model": PostDetailOut}, **problems(400, 401, 403, 404, 422, 503)},
)
async def read_post(
    request: Request,
    post: Number,
    unit: OfficeReading,
    container: Wired,
    _: Reader,
    at: Annotated[Instant | None, Query(description="Holders at that instant; with zone")] = None,
) -> Response:
    """One post with its holders."""
    return await _post(request, unit, container, post, at=at)


@router.patch(
    "/v1/posts/{post}",
    response_model=None,
    responses={200: {"model": PostDetailOut}, **problems(400, 401, 403, 404, 409, 413, 422, 503)},
)
async def update_post(
    request: Request, post: Number, body: EndIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """End a post, and the appointments to it."""
    at = body.valid_until or await database_now(unit)
    await end_post(unit, container.settings.jurisdiction, post, at)
    return await _post(request, unit, container, post)


@router.get("/v1/posts/{post}/appointments", response_model=None, responses=problems(401, 403, 404, 422, 503))
async def read_appointments(
    request: Request, post: Number, unit: OfficeReading, container: Wired, _: Reader
) -> Response:
    """Everybody who has held a post or will, the latest first."""
    await _find(unit, container, post)
    rows = await read_rows(unit, "appointment", "post_id = %(post)s", {"post": post}, order="valid_from DESC, id DESC")
    return json_answer({"appointments": [_appointment_json(row) for row in rows]}, locale=locale_of(request))


@router.post(
    "/v1/posts/{post}/appointments",
    status_code=201,
    response_model=None,
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def create_appointment(
    request: Request, post: Number, body: AppointmentIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """Give a post to somebody. Only a shared post takes several at a time."""
    row = await appoint(
        unit,
        container.settings.jurisdiction,
        post,
        body.person,
        since=body.valid_from or await database_now(unit),
        until=body.valid_until,
    )
    return json_answer(_appointment_json(row), locale=locale_of(request), status=201)


@router.patch(
    "/v1/posts/{post}/appointments/{appointment}",
    response_model=None,
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def update_appointment(
    request: Request, post: Number, appointment: Number, body: EndIn, unit: OfficeWriting, container: Wired, _: Keeper
) -> Response:
    """End an appointment; the backup answers until somebody else is appointed."""
    at = body.valid_until or await database_now(unit)
    row = await end_appointment(unit, container.settings.jurisdiction, post, appointment, at)
    return json_answer(_appointment_json(row), locale=locale_of(request))


@router.get("/v1/posts/{post}/hand-overs", response_model=None, responses=problems(401, 403, 404, 422, 503))
async def read_hand_overs(request: Request, post: Number, unit: OfficeReading, container: Wired, _: Reader) -> Response:
    """Who handed a post to whom with which cases and words, the latest first."""
    await _find(unit, container, post)
    rows = await read_rows(
        unit, "post_hand_over", "post_id = %(post)s", {"post": post}, order="handed_at DESC, id DESC"
    )
    return json_answer({"hand_overs": [_hand_over_json(row) for row in rows]}, locale=locale_of(request))


@router.post(
    "/v1/posts/{post}/hand-overs",
    status_code=201,
    response_model=None,
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def create_hand_over(
    request: Request, post: Number, body: HandOverIn, unit: OfficeWriting, container: Wired, caller: Keeper
) -> Response:
    """Hand a post over now: the open cases of the one who goes belong to the one who comes, each with its record."""
    # The cases of the post may lie outside what this caller sees; they go with it all the same.
    await check_keeps_post(unit, container.settings.jurisdiction, post, body.to_person)
    await act_as_service(unit)
    row = await hand_post_over(
        unit,
        container.settings.jurisdiction,
        post,
        to_person=body.to_person,
        from_person=body.from_person,
        notes=body.notes,
        actor=Actor(kind=caller.kind, id=caller.id),
        now=await database_now(unit),
    )
    return json_answer(_hand_over_json(row), locale=locale_of(request), status=201)


@router.post(
    "/v1/posts/{post}/hand-overs/{hand_over}:acknowledge",
    response_model=None,
    responses=problems(400, 401, 403, 404, 409, 422, 503),
)
async def acknowledge(
    request: Request, post: Number, hand_over: Number, unit: OfficeWriting, container: Wired, caller: Reader
) -> Response:
    """Say that it was read: by the one who came, or by whoever keeps the posts."""
    rows = await read_rows(unit, "post_hand_over", "id = %(id)s", {"id": hand_over})
    is_theirs = bool(rows) and caller.kind == "person" and str(rows[0]["to_person_id"]) == caller.id
    if not is_theirs and Scope.POSTS_WRITE not in caller.scopes:
        raise ForbiddenError("access.scope_missing", scope=Scope.POSTS_WRITE.value)
    if is_theirs:
        await act_as_service(unit)
    row = await acknowledge_hand_over(
        unit,
        container.settings.jurisdiction,
        post,
        hand_over,
        actor=Actor(kind=caller.kind, id=caller.id),
        now=await database_now(unit),
    )
    return json_answer(_hand_over_json(row), locale=locale_of(request))


async def _find(unit: Unit, container: Container, post: int, at: Any = None) -> dict[str, Any]:
    row = await find_post(unit, container.settings.jurisdiction, post, at or await database_now(unit))
    if row is None:
        raise NotFoundError("posts.post_unknown", post=post)
    return row


async def _post(
    request: Request, unit: Unit, container: Container, post: int, *, at: Any = None, status: int = 200
) -> Response:
    locale = locale_of(request)
    row = await _find(unit, container, post, at)
    location = f"/v1/posts/{post}" if status == 201 else ""
    return json_answer(post_json(row, locale), locale=locale, status=status, Location=location)


def _appointment_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "post": row["post_id"],
        "person": str(row["person_id"]),
        "valid_from": instant(row["valid_from"]),
        "valid_until": instant(row["valid_until"]),
    }


def _hand_over_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "post": row["post_id"],
        "from_person": str(row["from_person_id"]) if row["from_person_id"] else None,
        "to_person": str(row["to_person_id"]),
        "handed_at": instant(row["handed_at"]),
        "notes": row["notes"],
        "cases": row["cases"],
        "made_by": row["made_by"],
        "acknowledged_at": instant(row["acknowledged_at"]),
        "acknowledged_by": row["acknowledged_by"],
    }
