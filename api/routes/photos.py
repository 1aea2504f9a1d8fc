"""Photos of a case: add, list, look at."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired
from api.idempotency import answer_once, fingerprint_of, key_of
from api.language import locale_of
from api.photo_json import photo_json
from api.photo_schemas import PhotosOut
from api.report_bodies import is_multipart, read_photo_form
from api.routes.reports import IDEMPOTENCY
from api.schemas import Code, problems
from dispatch.photos import PhotoKind
from dispatch.queries import get_case
from dispatch.storage.photos import find_photo, list_photos, store_photos
from geo.errors import BadInputError, ForbiddenError, NotFoundError
from geo.storage.uow import write_unit

router = APIRouter(tags=["photos"])


@router.post(
    "/v1/cases/{ref}/photos",
    status_code=201,
    response_model=None,
    responses={201: {"model": PhotosOut}, **problems(400, 401, 403, 404, 409, 413, 422, 503)},
    openapi_extra={
        "parameters": [IDEMPOTENCY],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["photo"],
                        "properties": {
                            "kind": {"type": "string", "enum": [kind.value for kind in PhotoKind]},
                            "photo": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 9,
                                "items": {"type": "string", "format": "binary"},
                            },
                        },
                    }
                }
            },
        },
    },
)
async def add_photos(
    ref: Code,
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
) -> Response:
    """Add photos to a case. Each is decoded by what it contains and written anew without metadata.

    The camera's position is offered in the answer before it is stripped. The same file twice is one photo.
    """
    if not caller.scopes & {Scope.CASES_MOVE, Scope.REPORTS_CREATE}:
        raise ForbiddenError("access.scope_missing", scope=Scope.CASES_MOVE.value)
    case = (await get_case(unit, ref, channel=caller.sees_channel)).case
    if not is_multipart(request):
        raise BadInputError("photo.none", pointer="/photo")
    form = await read_photo_form(request)
    if not form.photos:
        raise BadInputError("photo.none", pointer="/photo")
    if form.kind and form.kind not in set(PhotoKind):
        raise BadInputError("photo.unknown_kind", pointer="/kind", kind=form.kind[:40], known=", ".join(PhotoKind))
    kind = PhotoKind(form.kind or PhotoKind.OTHER)

    async def answer() -> Response:
        by = f"channel:{caller.channel}" if caller.channel else f"{caller.kind}:{caller.id}"
        async with write_unit(container.desk.engine) as writing:
            rows = await store_photos(writing, case.id, form.photos, kind, by)
        body = {"case": case.ref, "photos": [photo_json(row) for row in rows]}
        return json_answer(body, locale=locale_of(request), status=201)

    key = key_of(request)
    if key is None or caller.channel is None:
        return await answer()
    return await answer_once(container.desk.engine, caller.channel, key, fingerprint_of(request, form.parts), answer)


@router.get(
    "/v1/cases/{ref}/photos",
    response_model=None,
    responses={200: {"model": PhotosOut}, **problems(400, 401, 403, 404, 422, 503)},
)
async def read_photos(
    ref: Code, request: Request, unit: Reading, caller: Annotated[Caller, Depends(require(Scope.CASES_READ))]
) -> Response:
    """The photos of a case, the oldest first."""
    case = (await get_case(unit, ref, channel=caller.sees_channel)).case
    rows = await list_photos(unit, case.id)
    return json_answer({"case": case.ref, "photos": [photo_json(row) for row in rows]}, locale=locale_of(request))


@router.get(
    "/v1/photos/{photo}",
    response_model=None,
    responses={
        200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}},
        304: {"description": "Not changed"},
        **problems(400, 401, 403, 404, 422, 503),
    },
)
async def read_photo(
    photo: UUID,
    request: Request,
    unit: Reading,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
    size: Annotated[
        Literal["full", "preview"], Query(description="`preview`: at most 320 pixels wide and high")
    ] = "full",
) -> Response:
    """One picture. It never changes, so it may be kept; but only by the one who asked."""
    found = await find_photo(unit, photo, small=size == "preview")
    if found is None or caller.sees_channel not in (None, found["channel_code"]):
        raise NotFoundError("photo.not_found")
    tag = f'"{bytes(found["digest"]).hex()[:32]}-{size}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": f'inline; filename="{photo}.jpg"',
        # Whatever a browser makes of it, it is a picture that can do nothing.
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(bytes(found["data"]), media_type="image/jpeg", headers=headers)
