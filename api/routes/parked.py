"""The worker: signs of life, what the auditor found, and what is parked, with its retry."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Writing
from api.language import locale_of
from api.rendering import instant
from api.schemas import Code, problems
from api.templating import render
from api.worker_health import PATIENCE_S, read_worker_health
from dispatch.auditor import DUTY
from dispatch.queries import database_now
from dispatch.storage.worker import PARKED_KINDS, count_parked, list_parked, read_signals, retry_parked
from geo.errors import BadInputError, NotFoundError
from geo.storage.uow import Unit
from maps.i18n import Locale, catalogue

router = APIRouter(tags=["worker"])


class ParkedOut(BaseModel):
    """Something that waits for a hand."""

    kind: str = Field(description="rung: a case's ladder; event: its consequences; notice: telling a person")
    id: str
    case: str
    type: str | None = Field(description="Type of the event")
    medium: str | None
    attempts: int
    error: str
    parked_at: datetime
    retry_url: str


class ParkedListOut(BaseModel):
    """What is parked, oldest first."""

    parked: list[ParkedOut]
    count: dict[str, int]
    as_of: datetime


class RetriedOut(BaseModel):
    """How many rows are tried again."""

    retried: int


class DutyOut(BaseModel):
    """A duty's sign of life."""

    duty: str
    seen_at: datetime
    age_s: float
    is_alive: bool


class WorkerOut(BaseModel):
    """The worker as a whole. ``is_well``: the auditor is alive and found nothing left behind."""

    is_well: bool
    duties: list[DutyOut]
    auditor: dict[str, Any] | None = Field(description="What the auditor's last look found; null: it never looked")
    parked: dict[str, int]
    as_of: datetime


@router.get("/v1/worker", response_model=None, responses={200: {"model": WorkerOut}, **problems(401, 403, 503)})
async def read_worker(
    request: Request, unit: Reading, _: Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))]
) -> Response:
    """Signs of life of every duty, the auditor's last findings, and how much is parked."""
    return json_answer(await _worker(unit), locale=locale_of(request))


async def _worker(unit: Unit) -> dict[str, Any]:
    now = await database_now(unit)
    signals = await read_signals(unit)
    health = await read_worker_health(unit)
    findings = signals[DUTY][1] if DUTY in signals else None
    return {
        "is_well": health.is_well,
        "duties": [
            {
                "duty": duty,
                "seen_at": instant(signals[duty][0]),
                "age_s": age_s,
                "is_alive": age_s < PATIENCE_S,
            }
            for duty, age_s in sorted(health.seen_s.items())
        ],
        "auditor": {name: value for name, value in findings.items() if name != "reached"} if findings else None,
        "parked": health.parked,
        "as_of": instant(now),
    }


@router.get(
    "/v1/worker/parked",
    response_model=None,
    responses={200: {"model": ParkedListOut}, **problems(401, 403, 422, 503)},
)
async def read_parked(
    request: Request,
    unit: Reading,
    _: Annotated[Caller, Depends(require(Scope.CASES_READ_ALL))],
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Response:
    """Everything that failed too often and waits for a hand, oldest first."""
    return json_answer(
        {
            "parked": [_parked(row) for row in await list_parked(unit, limit=limit)],
            "count": await count_parked(unit),
            "as_of": instant(await database_now(unit)),
        },
        locale=locale_of(request),
    )


def _parked(row: dict[str, Any]) -> dict[str, Any]:
    at = row.pop("parked_at")
    return {**row, "parked_at": instant(at), "retry_url": f"/v1/worker/parked/{row['kind']}/{row['id']}/retry"}


@router.post(
    "/v1/worker/parked/{kind}/{id}/retry",
    response_model=None,
    responses={200: {"model": RetriedOut}, **problems(400, 401, 403, 404, 422, 503)},
)
async def retry_one(
    request: Request,
    kind: Code,
    id: Code,  # noqa: A002 - the path's own word
    unit: Writing,
    _: Annotated[Caller, Depends(require(Scope.CASES_MOVE))],
) -> Response:
    """Try one parked row again, with all its attempts before it."""
    retried = await retry_parked(unit, _kind(kind), id)
    if not retried:
        raise NotFoundError("ladder.not_parked", kind=kind, id=id)
    return json_answer({"retried": retried}, locale=locale_of(request))


@router.post(
    "/v1/worker/parked/{kind}/retry",
    response_model=None,
    responses={200: {"model": RetriedOut}, **problems(400, 401, 403, 422, 503)},
)
async def retry_all(
    request: Request, kind: Code, unit: Writing, _: Annotated[Caller, Depends(require(Scope.CASES_MOVE))]
) -> Response:
    """Try all parked rows of a kind again."""
    return json_answer({"retried": await retry_parked(unit, _kind(kind))}, locale=locale_of(request))


def _kind(kind: str) -> str:
    if kind not in PARKED_KINDS:
        raise BadInputError("ladder.unknown_kind", pointer="/kind", kind=kind, known=", ".join(PARKED_KINDS))
    return kind


@router.get("/worker", include_in_schema=False)
async def read_page(
    request: Request, unit: Reading, _: Annotated[Caller, Depends(require(Scope.CASES_MOVE))]
) -> Response:
    """The worker on one page: signs of life, findings, parked rows with a button each."""
    locale: Locale = locale_of(request)
    own = ("worker.", "console.brand", "console.tools")
    texts = {key: text for key, text in catalogue(locale).items() if key.startswith(own)}
    other: Locale = "en" if locale == "zh-CN" else "zh-CN"
    context = {
        "locale": locale,
        "other_locale": other,
        "other_language": catalogue(other)["console.language_name"],
        "root": request.scope.get("root_path", ""),
        "texts": texts,
        "worker": await _worker(unit),
        "parked": [_parked(row) for row in await list_parked(unit)],
        "kinds": PARKED_KINDS,
    }
    return render("worker.html", context, locale=locale)
