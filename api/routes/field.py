"""The field page (`/field`), its worker, and its doors: the day, the cells, the acts, tokens for a city's app."""

from __future__ import annotations

import gzip
import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope, may_make
from api.answers import json_answer
from api.container import Reading, Wired
from api.field_acting import FieldAct, check_field_person, perform
from api.field_reading import read_cells, read_day
from api.field_schemas import ActionIn, ActionOut, FieldDayOut, TokenIn, TokenOut
from api.field_tokens import issue_token
from api.idempotency import fingerprint_of, key_of
from api.language import COOKIE, locale_of
from api.rendering import instant
from api.report_bodies import inlined, is_multipart, parse_model, read_photo_form
from api.schemas import problems
from api.settings import Settings
from api.templating import text_of
from dispatch.photos import Photo
from dispatch.workflow import Line, Move
from geo.errors import BadInputError, Fault, InvalidRequestError
from geo.storage.uow import write_unit
from maps.field_page import field_context, field_policy, worker_script
from maps.i18n import LOCALES, Locale

router = APIRouter(tags=["field"])
Worker = Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]
_SCHEMA = inlined(ActionIn)


def _packed(request: Request, body: Any, locale: Locale) -> Response:
    """An answer of many cases or outlines, compressed: it may come over a bad network."""
    answer = json_answer(body, locale=locale, Cache_Control="no-store", Vary="Accept-Language, Accept-Encoding")
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return answer
    packed = gzip.compress(bytes(answer.body), 5)
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return Response(packed, headers=headers | {"content-encoding": "gzip"}, media_type="application/json")


@router.get("/v1/field/day", response_model=FieldDayOut, responses=problems(401, 403, 503))
async def read_field_day(request: Request, unit: Reading, container: Wired, caller: Worker) -> Response:
    """Open cases of whoever is signed in, the first to be due first, with the moves they may make now."""
    check_field_person(caller)
    locale = locale_of(request)
    day = await read_day(unit, container, caller, locale)
    reference = await container.reference.get()
    day["may_record"] = may_make(caller.roles, Move.SELF_HANDLE, Line.SHORT)
    day["categories"] = [
        {"code": one.code, "name": one.name(locale)}
        for one in sorted(reference.categories.values(), key=lambda one: one.code)
        if one.is_active and one.parent is not None
    ]
    return _packed(request, day, locale)


@router.get("/v1/field/cells", response_model=None, responses=problems(401, 403, 503))
async def read_field_cells(request: Request, unit: Reading, container: Wired, caller: Worker) -> Response:
    """Outlines of one's own cells and of those that one's cases lie in; asked for when a map is opened."""
    check_field_person(caller)
    locale = locale_of(request)
    return _packed(request, {"cells": await read_cells(unit, container, caller, locale)}, locale)


@router.post(
    "/v1/field/actions",
    response_model=ActionOut,
    responses=problems(400, 401, 403, 404, 409, 412, 413, 422, 428, 503),
    openapi_extra={
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "Made when the act is done, kept until it is answered; delivered again it changes "
                "nothing and answers the same",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _SCHEMA},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["action"],
                        "properties": {
                            "action": _SCHEMA,
                            "photo": {
                                "type": "array",
                                "maxItems": 9,
                                "items": {"type": "string", "format": "binary"},
                            },
                        },
                    },
                    "encoding": {"action": {"contentType": "application/json"}},
                },
            },
        },
    },
)
async def create_action(request: Request, container: Wired, caller: Worker) -> Response:
    """Make one act true, exactly once: move, photos, place and key are one transaction."""
    check_field_person(caller)
    key = key_of(request)
    if key is None:
        raise BadInputError("field.key_required", pointer="/Idempotency-Key")
    photos: tuple[Photo, ...] = ()
    if is_multipart(request):
        form = await read_photo_form(request, part="action")
        if form.report is None:
            raise InvalidRequestError([Fault(code="request.missing", pointer="/action", params={"field": "action"})])
        said, parts, photos = form.report, form.parts, form.photos
    else:
        said = await request.body()
        parts = (said,)
    act = FieldAct(
        key=key,
        fingerprint=fingerprint_of(request, parts),
        body=parse_model(ActionIn, said),
        photos=photos,
        caller=caller,
        locale=locale_of(request),
    )
    answer, was_there = await perform(container, act)
    return json_answer(answer, locale=act.locale, Idempotency_Replayed="true" if was_there else "")


@router.post(
    "/v1/field/tokens",
    status_code=201,
    response_model=TokenOut,
    responses=problems(400, 401, 403, 404, 422, 503),
)
async def create_token(
    request: Request,
    body: TokenIn,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.FIELD_TOKENS))],
) -> Response:
    """A short-lived token for one person of the field, for a city's app that has signed them in itself."""
    async with write_unit(container.control) as unit:
        token, until = await issue_token(unit, caller, body.login, body.minutes)
    page = f"{request.scope.get('root_path', '')}/field#token={token}"
    answer = {"token": token, "expires_at": instant(until), "page": page}
    return json_answer(answer, locale=locale_of(request), status=201, Cache_Control="no-store")


@router.get("/field", include_in_schema=False)
async def read_field(request: Request, container: Wired) -> Response:
    """The page: a shell without anybody's data, the same for everybody, so that a phone may keep it."""
    locale = locale_of(request)
    reference = await container.reference.get()
    jurisdiction = reference.jurisdictions.get(container.settings.jurisdiction)
    context = field_context(
        locale,
        place=jurisdiction.name(locale) if jurisdiction else "",
        time_zone=jurisdiction.time_zone if jurisdiction else "Asia/Shanghai",
        root=request.scope.get("root_path", ""),
        parents=parents_of(container.settings),
    )
    text = text_of("field.html", context)
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
    headers = {
        "Content-Security-Policy": field_policy(parents_of(container.settings)),
        "Content-Language": locale,
        "Cache-Control": "no-cache",
        "ETag": tag,
        "Vary": "Accept-Language, Cookie",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    response = Response(text, media_type="text/html; charset=utf-8", headers=headers)
    if (asked := request.query_params.get("lang")) in LOCALES:
        response.set_cookie(COOKIE, str(asked), max_age=31_536_000, samesite="lax", httponly=True)
    return response


@router.get("/field/worker.js", include_in_schema=False)
async def read_worker(request: Request) -> Response:
    """The service worker: it lies below `/field`, and its text changes whenever a file of the page does."""
    root = request.scope.get("root_path", "")
    headers = {
        "Service-Worker-Allowed": f"{root}/field",
        "Cache-Control": "no-cache",
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'",
    }
    return Response(worker_script(root), media_type="text/javascript; charset=utf-8", headers=headers)


def parents_of(settings: Settings) -> tuple[str, ...]:
    """Origins whose pages may show the field page in a frame."""
    return tuple(origin.strip() for origin in settings.embed_origins.split(",") if origin.strip())
