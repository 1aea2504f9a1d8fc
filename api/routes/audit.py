"""The audit trail, for administrators: search, head, check."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from api.access import require
from api.accounts.callers import Caller
from api.accounts.roles import Scope
from api.answers import json_answer
from api.audit.trail import find_head, list_records, verify
from api.container import Wired
from api.language import locale_of
from api.rendering import instant
from api.schemas import SoundText, problems
from geo.storage.uow import read_unit
from maps.i18n import translate

router = APIRouter(tags=["audit"])
Reader = Annotated[Caller, Depends(require(Scope.AUDIT_READ, in_area=True))]
Word = Annotated[SoundText | None, Query(max_length=200)]


class RecordOut(BaseModel):
    """A record of the trail."""

    number: int
    recorded_at: datetime
    kind: str
    what: str = Field(description="The kind in the caller's language")
    actor_kind: str
    actor: str
    subject: str
    detail: dict[str, Any]
    digest: str = Field(description="SHA-256 over the digest before it and `content`, hexadecimal")


class RecordsOut(BaseModel):
    """A page of the trail, the newest first."""

    records: list[RecordOut]
    next_before: int | None = Field(description="`before` of the next page; null on the last one")


class HeadOut(BaseModel):
    """The newest record: written down elsewhere, it shows that nothing before it was changed or cut off."""

    number: int
    digest: str
    head: str = Field(description="As `gridward audit verify --head` takes it")


class CheckOut(BaseModel):
    """What checking every record has found."""

    sound: int = Field(description="Records that are sound, from the first on")
    is_whole: bool
    broken_at: int | None
    why: str | None


@router.get(
    "/v1/audit", response_model=None, responses={200: {"model": RecordsOut}, **problems(400, 401, 403, 422, 503)}
)
async def read_audit(
    request: Request,
    container: Wired,
    caller: Reader,
    kind: Annotated[Word, Query(description="Such as `key.created`, or `key` for all that begins so")] = None,
    actor: Annotated[Word, Query(description="Login, prefix of a key, or name at the command line")] = None,
    subject: Annotated[Word, Query(description="Number of a case, login, prefix of a key, or path")] = None,
    since: Annotated[AwareDatetime | None, Query(alias="from")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to")] = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Search the trail; an administrator of an area finds what was done there, and by whom of it."""
    locale = locale_of(request)
    async with read_unit(container.control) as unit:
        rows = await list_records(
            unit,
            office=None if caller.office.is_everything else caller.office.office_words(),
            before=before,
            kind=kind,
            actor=actor,
            subject=subject,
            since=since,
            until=until,
            limit=limit + 1,
        )
    shown = [
        {
            "number": row["number"],
            "recorded_at": instant(row["recorded_at"]),
            "kind": row["kind"],
            "what": translate(locale, f"audit.kind.{row['kind']}"),
            "actor_kind": row["actor_kind"],
            "actor": row["actor_id"],
            "subject": row["subject"],
            "detail": row["detail"],
            "digest": bytes(row["digest"]).hex(),
        }
        for row in rows[:limit]
    ]
    more = shown[-1]["number"] if len(rows) > limit else None
    return json_answer({"records": shown, "next_before": more}, locale=locale)


@router.get("/v1/audit/head", response_model=None, responses={200: {"model": HeadOut}, **problems(401, 403, 503)})
async def read_head(request: Request, container: Wired, _: Reader) -> Response:
    """The newest record. Before the first one: number 0 and 64 zeros."""
    async with read_unit(container.control) as unit:
        head = await find_head(unit)
    number, digest = (head.number, head.digest) if head else (0, "0" * 64)
    body = {"number": number, "digest": digest, "head": f"{number}:{digest}"}
    return json_answer(body, locale=locale_of(request))


@router.get("/v1/audit/check", response_model=None, responses={200: {"model": CheckOut}, **problems(401, 403, 503)})
async def check(request: Request, container: Wired, _: Reader) -> Response:
    """Check every record of the trail."""
    locale = locale_of(request)
    async with read_unit(container.control, snapshot=True) as unit:
        sound, finding = await verify(unit)
    why = translate(locale, f"audit.broken.{finding.code}", number=finding.number) if finding else None
    body = {"sound": sound, "is_whole": finding is None, "broken_at": finding.number if finding else None, "why": why}
    return json_answer(body, locale=locale)
