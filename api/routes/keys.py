"""Keys of channels over HTTP: make, list, rotate, revoke. The secret is in one answer and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncEngine

from api.access import require
from api.accounts.callers import Caller
from api.accounts.keys import (
    DEFAULT_SCOPES,
    OVERLAP_S,
    NewKey,
    get_key,
    issue_key,
    list_keys,
    parse_scopes,
    revoke_key,
    rotate_key,
)
from api.accounts.office_area import check_channel, check_key_area, check_place
from api.accounts.roles import Scope
from api.accounts.sight import Sight
from api.answers import json_answer
from api.container import Container, Wired
from api.language import locale_of
from api.rendering import instant
from api.sandbox.keys import as_sandbox_key, issue_sandbox_key, sandbox_engine
from api.schemas import Code, SoundText, problems
from api.spelling import Spelling
from geo.errors import ForbiddenError
from geo.storage.uow import WriteUnit, read_unit, write_unit

router = APIRouter(tags=["keys"])
Manager = Annotated[Caller, Depends(require(Scope.KEYS_MANAGE, in_area=True))]
InSandbox = Annotated[bool, Query(description="The keys of the sandbox instead")]
Prefix = Annotated[
    str, Spelling("^[0-9a-f]{8}$", "b78968e0"), Path(description="The readable part of a key: gw_**prefix**_…")
]


@asynccontextmanager
async def _keys_of(container: Container, sandbox: bool, *, make: bool = False) -> AsyncIterator[AsyncEngine]:
    """The database whose keys are meant."""
    if not sandbox:
        yield container.control
        return
    settings = container.settings
    async with sandbox_engine(settings.database_url, settings.sandbox_database_url, make=make) as engine:
        yield engine


class KeyIn(BaseModel):
    """A key to make."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"channel": "hotline", "scopes": ["reports:create", "cases:read"]}]},
    )

    channel: Code
    scopes: list[SoundText] = Field(default=[scope.value for scope in DEFAULT_SCOPES], min_length=1, max_length=20)
    label: SoundText = Field(default="", max_length=80, description="What it is for")
    cells: list[Code] = Field(default=[], max_length=200, description="Only cases in these cells and below them")
    departments: list[Code] = Field(default=[], max_length=200, description="Only cases of these departments")
    rate: SoundText | None = Field(default=None, max_length=40, description="Instead of the channel's: `100/second`")
    expires_at: AwareDatetime | None = None
    sandbox: bool = Field(
        default=False, description="For trying out: its cases live apart, and it has a clock of its own"
    )


class RotateIn(BaseModel):
    """How long the old key goes on."""

    model_config = ConfigDict(extra="forbid")

    old_valid_s: int = Field(default=OVERLAP_S, ge=0, le=30 * 86_400, description="Seconds")


class KeyOut(BaseModel):
    """A key without its secret."""

    prefix: str
    channel: str
    label: str
    scopes: list[str]
    cells: list[str]
    departments: list[str]
    rate: str | None
    status: str = Field(description="live, expired or revoked")
    created_at: datetime
    created_by: str
    last_used_at: datetime | None = Field(description="To the minute")
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A new key; `key` is shown only now."""

    key: str


class KeysOut(BaseModel):
    """All keys, the newest first."""

    keys: list[KeyOut]


def key_json(row: dict[str, Any]) -> dict[str, Any]:
    """A key as its manager sees it."""
    kept = {name: row[name] for name in ("prefix", "channel", "label", "scopes", "cells", "departments", "rate")}
    status = "revoked" if row["revoked_at"] else "expired" if row["is_over"] else "live"
    return {
        **kept,
        "status": status,
        "created_by": row["created_by"],
        **{name: instant(row[name]) for name in ("created_at", "last_used_at", "expires_at", "revoked_at")},
    }


def _whole_for(caller: Caller, *, sandbox: bool) -> None:
    """The sandbox has a grid and people of its own; no area of the office is one of its areas."""
    if sandbox and not caller.office.is_everything:
        raise ForbiddenError("access.whole_office_only")


async def _check_limit(unit: WriteUnit, office: Sight, name: str, place: int, code: str) -> None:
    try:
        await check_place(unit, office, code if name == "cells" else None, code if name == "departments" else None)
    except ForbiddenError as error:
        raise ForbiddenError(error.code, pointer=f"/{name}/{place}") from error


def _maker(caller: Caller) -> str:
    """Who made a key, as people know them: a person by the login."""
    return f"{caller.actor.kind}:{caller.actor.id}"


@router.post(
    "/v1/keys",
    status_code=201,
    response_model=None,
    responses={201: {"model": NewKeyOut}, **problems(400, 401, 403, 413, 422, 503)},
)
async def create_key(request: Request, body: KeyIn, container: Wired, caller: Manager) -> Response:
    """Make a key. The answer shows it, once; only a digest is kept. A new channel is made with its first key."""
    new = NewKey(
        channel=body.channel,
        scopes=parse_scopes(body.scopes),
        label=body.label,
        cells=tuple(body.cells),
        departments=tuple(body.departments),
        rate=body.rate,
        expires_at=body.expires_at,
    )
    by = _maker(caller)
    check_key_area(caller.office, new.scopes, is_limited=bool(new.cells or new.departments))
    _whole_for(caller, sandbox=body.sandbox)
    async with _keys_of(container, body.sandbox, make=True) as engine:
        if body.sandbox:
            text = await issue_sandbox_key(engine, new, by=by)
        else:
            async with write_unit(engine) as unit:
                await check_channel(unit, caller.office, new.channel)
                for name, codes in (("cells", new.cells), ("departments", new.departments)):
                    for place, code in enumerate(codes):
                        await _check_limit(unit, caller.office, name, place, code)
                text = await issue_key(unit, new, by=by)
        async with read_unit(engine) as reading:
            row = await get_key(reading, text.split("_")[1])
    return _shown(request, row, text)


@router.get("/v1/keys", response_model=None, responses={200: {"model": KeysOut}, **problems(401, 403, 404, 422, 503)})
async def read_keys(
    request: Request,
    container: Wired,
    caller: Manager,
    channel: Annotated[Code | None, Query(description="Only of this channel")] = None,
    sandbox: InSandbox = False,
) -> Response:
    """List keys: prefix, rights, limits, last use. Never the key itself."""
    _whole_for(caller, sandbox=sandbox)
    async with _keys_of(container, sandbox) as engine, read_unit(engine) as unit:
        rows = await list_keys(unit, channel, caller.office)
    return json_answer({"keys": [key_json(row) for row in rows]}, locale=locale_of(request))


@router.post(
    "/v1/keys/{prefix}:rotate",
    status_code=201,
    response_model=None,
    responses={201: {"model": NewKeyOut}, **problems(401, 403, 404, 409, 413, 422, 503)},
)
async def rotate(
    request: Request,
    prefix: Prefix,
    container: Wired,
    caller: Manager,
    body: RotateIn | None = None,
    sandbox: InSandbox = False,
) -> Response:
    """Make a second key with the same rights. Both live until the old one's time is over."""
    _whole_for(caller, sandbox=sandbox)
    async with _keys_of(container, sandbox) as engine, write_unit(engine) as unit:
        await get_key(unit, prefix, caller.office)
        text = await rotate_key(unit, prefix, overlap_s=(body or RotateIn()).old_valid_s, by=_maker(caller))
        row = await get_key(unit, text.split("_")[1])
    return _shown(request, row, as_sandbox_key(text) if sandbox else text)


@router.delete(
    "/v1/keys/{prefix}",
    status_code=204,
    response_model=None,
    responses={204: {"description": "Revoked; it stays in the list"}, **problems(401, 403, 404, 422, 503)},
)
async def revoke(prefix: Prefix, container: Wired, caller: Manager, sandbox: InSandbox = False) -> Response:
    """End a key. Requests under way finish; open streams end within a second."""
    _whole_for(caller, sandbox=sandbox)
    async with _keys_of(container, sandbox) as engine, write_unit(engine) as unit:
        await get_key(unit, prefix, caller.office)
        await revoke_key(unit, prefix)
    container.keys.forget(prefix)
    return Response(status_code=204)


def _shown(request: Request, row: dict[str, Any], text: str) -> Response:
    body = {**key_json(row), "key": text}
    return json_answer(body, status=201, locale=locale_of(request), Cache_Control="no-store")
