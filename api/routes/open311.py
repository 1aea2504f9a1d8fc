"""Open311 GeoReport v2: discovery, services, service requests, tokens and their pictures."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Request, Response
from uuid_utils.compat import uuid7

from api.accounts.callers import Caller
from api.container import Container, Wired
from api.idempotency import answer_once, fingerprint_of, key_of
from api.language import locale_of
from api.open311.asking import read_question
from api.open311.documents import Format, answer
from api.open311.door import Detail, Open311Route, check_jurisdiction, format_of, reader_of, reporter_of
from api.open311.forms import Form, read_form, report_of
from api.open311.requests import due_notice, read_requests
from api.open311.services import definition, find_service, left_out, service_list, services_digest
from api.rendering import instant
from api.report_bodies import clean_files
from api.responsible import zone_of
from api.sandbox.gate import PREFIX, HandedOn, SandboxGate
from api.schemas import SoundText
from dispatch.photos import PhotoKind
from dispatch.public_requests import RequestQuery, find_token
from dispatch.reference import Category, Reference
from dispatch.storage.photos import find_photo, store_photos
from geo.errors import BadInputError, NotFoundError
from geo.gazetteer.places import Place
from geo.storage.gazetteer import find_place
from geo.storage.uow import EVERYBODY, read_unit, write_unit
from maps.i18n import translate

router = APIRouter(tags=["open311"], route_class=Open311Route)

BASE: Final = "/open311/v2"
_SPECIFICATION: Final = "http://wiki.open311.org/GeoReport_v2"
_KNOWN_PATH: Final = re.compile(
    rf"(/open311/discovery|{BASE}/(discovery|services(/[^/]+)?|requests(/[^/]+)?|tokens/[^/]+))\.(xml|json)"
)
#: When this process first saw the services as they are: the sortable text by which clients refresh what they keep.
_seen: dict[str, datetime] = {}

FormatOf = Annotated[Format, Path(alias="form")]
Word = Annotated[SoundText, Path(min_length=1, max_length=120)]


def _described(*statuses: int, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    errors: dict[str, Any] = {
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["code", "description"],
            "properties": {"code": {"type": "integer"}, "description": {"type": "string"}},
        },
    }
    return {
        200: {"content": {"text/xml": {"schema": {"type": "string"}}, "application/json": {"schema": schema}}},
        **{
            status: {
                "description": "The array of errors",
                "content": {"text/xml": {"schema": {"type": "string"}}, "application/json": {"schema": errors}},
            }
            for status in statuses
        },
        422: {"description": "Never", "content": {"text/xml": {"schema": {"type": "string"}}}},
    }


_LIST: Final[dict[str, Any]] = {"type": "array", "items": {"type": "object"}}
_QUERY: Final = [
    {"name": name, "in": "query", "required": False, "description": words, "schema": {"type": "string"}}
    for name, words in (
        ("jurisdiction_id", "This office's id, or nothing"),
        ("api_key", "A key; with it also words and pictures of the requests that it may read"),
        ("service_request_id", "Numbers, separated by commas; overrides everything else"),
        ("service_code", "Codes, separated by commas"),
        ("start_date", "W3C date and time with zone; with end_date at most 90 days"),
        ("end_date", "W3C date and time with zone"),
        ("status", "open, closed or both"),
        ("page", "1 is the newest"),
        ("page_size", "1 to 1000"),
        ("extensions", "true: attributes, cells, pictures and the states it went through"),
    )
]


@router.get("/open311/discovery.{form}", responses=_described(400, 404, schema={"type": "object"}), response_model=None)
@router.get(
    f"{BASE}/discovery.{{form}}", responses=_described(400, 404, schema={"type": "object"}), response_model=None
)
async def read_discovery(request: Request, container: Wired, form: FormatOf) -> Response:
    """Where the interface is, in which formats, and how to get a key."""
    locale = locale_of(request)
    reference, hidden = await _catalogue(container)
    changeset = _seen.setdefault(services_digest(reference, hidden), datetime.now(UTC).replace(microsecond=0))
    office = reference.jurisdictions.get(container.settings.jurisdiction)
    name = office.name(locale) if office is not None else container.settings.jurisdiction
    contact = container.settings.open311_contact
    endpoint = {
        "specification": _SPECIFICATION,
        "url": _base(request, container),
        "changeset": instant(changeset),
        "type": "production",
        "formats": ["text/xml", "application/json"],
    }
    body = {
        "changeset": instant(changeset),
        "contact": contact or translate(locale, "open311.contact", office=name),
        "key_service": translate(locale, "open311.key_service", office=name),
        "endpoints": [endpoint],
    }
    return answer(form, "discovery", body, locale=locale)


@router.get(f"{BASE}/services.{{form}}", responses=_described(400, 404, schema=_LIST), response_model=None)
async def read_services(request: Request, container: Wired, form: FormatOf) -> Response:
    """What may be reported."""
    check_jurisdiction(request, container.settings)
    locale = locale_of(request)
    reference, hidden = await _catalogue(container)
    return answer(form, "services", service_list(reference, hidden, locale), locale=locale)


@router.get(
    f"{BASE}/services/{{service_code}}.{{form}}",
    responses=_described(400, 404, schema={"type": "object"}),
    response_model=None,
)
async def read_service(request: Request, container: Wired, service_code: Word, form: FormatOf) -> Response:
    """What a service asks besides place and words."""
    check_jurisdiction(request, container.settings)
    locale = locale_of(request)
    reference, hidden = await _catalogue(container)
    body = definition(find_service(reference, hidden, service_code), locale)
    return answer(form, "service_definition", body, locale=locale)


@router.get(
    f"{BASE}/requests.{{form}}",
    responses=_described(400, 403, 404, 429, 503, schema=_LIST),
    openapi_extra={"parameters": _QUERY},
    response_model=None,
)
async def read_service_requests(request: Request, container: Wired, form: FormatOf) -> Response:
    """Service requests, newest first: of the last 90 days and at most 1,000 unless asked otherwise."""
    check_jurisdiction(request, container.settings)
    reader = await reader_of(request, container)
    reference, hidden = await _catalogue(container)
    office = reference.jurisdictions.get(container.settings.jurisdiction)
    zone = ZoneInfo(office.time_zone if office is not None else "Asia/Shanghai")
    asked = read_question(request.query_params, datetime.now(UTC), zone, hidden)
    locale = locale_of(request)
    documents = await read_requests(
        container.engine,
        container.settings.jurisdiction,
        reader,
        asked.query,
        reference,
        locale,
        base=_base(request, container),
        limit=asked.page_size,
        offset=(asked.page - 1) * asked.page_size,
        has_extensions=asked.has_extensions,
    )
    return answer(form, "service_requests", documents, locale=locale)


@router.get(
    f"{BASE}/requests/{{service_request_id}}.{{form}}",
    responses=_described(400, 403, 404, 429, 503, schema=_LIST),
    openapi_extra={"parameters": [_QUERY[0], _QUERY[1], _QUERY[-1]]},
    response_model=None,
)
async def read_service_request(
    request: Request, container: Wired, service_request_id: Word, form: FormatOf
) -> Response:
    """One service request, as a list of one."""
    check_jurisdiction(request, container.settings)
    reader = await reader_of(request, container)
    reference, hidden = await _catalogue(container)
    locale = locale_of(request)
    documents = await read_requests(
        container.engine,
        container.settings.jurisdiction,
        reader,
        RequestQuery(refs=(service_request_id,), left_out=hidden),
        reference,
        locale,
        base=_base(request, container),
        limit=1,
        has_extensions=request.query_params.get("extensions", "").lower() in {"true", "1"},
    )
    if not documents:
        raise NotFoundError("open311.unknown_request", request=service_request_id[:80])
    return answer(form, "service_requests", documents, locale=locale)


@router.get(
    f"{BASE}/tokens/{{token}}.{{form}}",
    responses=_described(400, 403, 404, 429, 503, schema=_LIST),
    openapi_extra={"parameters": _QUERY[:2]},
    response_model=None,
)
async def read_token(request: Request, container: Wired, token: Word, form: FormatOf) -> Response:
    """The number behind a token. Ours are given at once, so a request's own number is its token."""
    check_jurisdiction(request, container.settings)
    reader = await reader_of(request, container)
    _, hidden = await _catalogue(container)
    caller = reader.caller
    eyes = caller.viewer if caller is not None and reader.public is Detail.NO else EVERYBODY
    async with read_unit(container.engine, viewer=eyes) as unit:
        ref = await find_token(
            unit,
            container.settings.jurisdiction,
            token,
            channel=caller.channel if caller is not None else None,
            left_out=hidden,
        )
    if ref is None:
        raise NotFoundError("open311.unknown_token", token=token[:80])
    body = [{"service_request_id": ref, "token": token}]
    return answer(form, "service_requests", body, locale=locale_of(request))


@router.post(
    f"{BASE}/requests.{{form}}",
    responses=_described(400, 403, 404, 409, 413, 415, 429, 503, schema=_LIST),
    response_model=None,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                kind: {
                    "schema": {
                        "type": "object",
                        "required": ["service_code"],
                        "properties": {
                            name: {"type": "string"}
                            for name in (
                                *("api_key", "jurisdiction_id", "service_code", "lat", "long", "address_string"),
                                *("address_id", "description", "media_url", "attribute[condition]"),
                            )
                        },
                    }
                }
                for kind in ("application/x-www-form-urlencoded", "multipart/form-data")
            },
        }
    },
)
async def create_service_request(request: Request, container: Wired, form: FormatOf) -> Response:
    """Take a service request in: located and dispatched exactly like a report of a hotline.

    Name, mail address and phone of the reporter go to the sealed store, which no answer of this door reads; account and
    device are not kept.
    """
    sent = await read_form(request)
    gate: SandboxGate | None = getattr(request.app, "sandbox", None)
    if gate is not None and sent.one("api_key").startswith(PREFIX):
        return HandedOn(gate, await request.body())
    caller, channel = await reporter_of(request, container, sent.one("api_key"))
    check_jurisdiction(request, container.settings, sent.one("jurisdiction_id"))
    key = key_of(request)
    if key is None:
        return await _take(request, container, caller, channel, sent, form, uuid7())
    asked = fingerprint_of(request, sent.parts)
    # This door has no tickets, so the key makes one: an answer lost with its process finds its case again.
    ticket = UUID(bytes=hashlib.sha256(key.encode() + asked).digest()[:16])

    async def take() -> Response:
        return await _take(request, container, caller, channel, sent, form, ticket)

    return await answer_once(container.desk.engine, channel, key, asked, take)


async def _take(
    request: Request, container: Container, caller: Caller, channel: str, sent: Form, form: Format, ticket: UUID
) -> Response:
    reference, hidden = await _catalogue(container)
    category: Category | None = None
    if code := sent.one("service_code"):
        try:
            category = find_service(reference, hidden, code)
        except NotFoundError:
            # Made a moment ago, by another process perhaps.
            reference = await container.reference.get(fresh=True)
            category = find_service(reference, left_out(reference, container.settings.open311_left_out), code)
    place = await _place(container, sent.one("address_id"))
    photos = await clean_files(sent.files, "/media")
    report = report_of(sent, category, place, channel=channel, ticket=f"open311-{ticket}", photos=photos)
    receipt = await container.desk.take(report, photos)
    if photos:
        async with write_unit(container.desk.engine) as unit:
            await store_photos(unit, receipt.case_id, photos, PhotoKind.REPORT, f"channel:{caller.channel}")
    locale = locale_of(request)
    notice = (
        due_notice(receipt.due_at, locale, await zone_of(container))
        if receipt.due_at is not None
        else translate(locale, "open311.notice_waits")
    )
    body = [{"service_request_id": receipt.ref, "service_notice": notice, "account_id": None}]
    location = f"{_base(request, container)}/requests/{receipt.ref}.{form.value}"
    return answer(form, "service_requests", body, locale=locale, Location=location)


async def _place(container: Container, address_id: str) -> Place | None:
    if not address_id:
        return None
    async with read_unit(container.engine, viewer=EVERYBODY) as unit:
        place = await find_place(unit, container.settings.jurisdiction, address_id)
    if place is None:
        raise BadInputError("open311.unknown_place", place=address_id[:80])
    return place


@router.get(
    f"{BASE}/media/{{photo}}.jpg",
    include_in_schema=False,
    response_model=None,
)
async def read_media(request: Request, container: Wired, photo: UUID) -> Response:
    """A picture of a request, for those who may see the case."""
    reader = await reader_of(request, container)
    caller = reader.caller
    found = None
    if caller is not None:
        async with read_unit(container.engine, viewer=caller.viewer) as unit:
            found = await find_photo(unit, photo, small=False)
    if found is None or caller is None or caller.sees_channel not in {None, found["channel_code"]}:
        raise NotFoundError("photo.not_found")
    headers = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(bytes(found["data"]), media_type="image/jpeg", headers=headers)


@router.api_route(
    "/open311/{rest:path}",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    include_in_schema=False,
    response_model=None,
)
async def refuse_path(request: Request, rest: str) -> Response:
    """Whatever else is asked below this door, in the format of this door."""
    if _KNOWN_PATH.fullmatch(request.url.path):
        takes_post = request.url.path.rpartition(".")[0] == f"{BASE}/requests"
        allowed = "GET, POST" if takes_post else "GET"
        raise BadInputError("open311.method_not_allowed", method=request.method[:20], allowed=allowed)
    raise NotFoundError("open311.unknown_path", path=f"/open311/{rest}"[:200], form=format_of(request).value)


async def _catalogue(container: Container) -> tuple[Reference, tuple[str, ...]]:
    reference = await container.reference.get()
    return reference, left_out(reference, container.settings.open311_left_out)


def _base(request: Request, container: Container) -> str:
    """Address of the endpoint, as clients reach it."""
    root = container.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"
    return f"{root.rstrip('/')}{container.settings.root_path.rstrip('/')}{BASE}"
