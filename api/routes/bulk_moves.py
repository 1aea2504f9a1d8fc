"""Many moves at once, and taking them back."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.access import allow_moves, require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Wired, Writing
from api.errors import message_of, status_of
from api.language import locale_of
from api.move_schemas import MoveIn, move_request
from api.rendering import instant
from api.schemas import Code, problems
from dispatch.bulk import MOST_MOVES, BulkResult, Foreseen, Outcome, foresee_many, move_many, undo
from dispatch.making import Actor
from dispatch.workflow import parse_move
from maps.i18n import Locale

router = APIRouter(tags=["cases"])


class SeenIn(BaseModel):
    """A case and the version of it that the actor saw."""

    model_config = ConfigDict(extra="forbid")

    case: Code
    version: int = Field(ge=1, le=999_999_999, strict=True)


class BulkIn(MoveIn):
    """One move for many cases."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"move": "close", "cases": [{"case": "20260301-0000042", "version": 4}]}]},
    )

    cases: list[SeenIn] = Field(min_length=1, max_length=MOST_MOVES)
    dry_run: bool = Field(False, description="Only say what would become of each case; nothing is made")


class UndoIn(BaseModel):
    """What to take back."""

    model_config = ConfigDict(extra="forbid")

    undo: UUID


class OwnerOut(BaseModel):
    """Who would have a case."""

    post: str
    rank: str
    name: str | None


class ForeseenOut(BaseModel):
    """What a case would be."""

    state: str
    owner: OwnerOut | None
    due_at: datetime | None


class OutcomeOut(BaseModel):
    """What became of one case; `code` and `detail` say why not, `foreseen` what would become of it in a dry run."""

    case: str
    status: int
    version: int | None
    code: str | None
    detail: str | None
    foreseen: ForeseenOut | None = None


class BulkOut(BaseModel):
    """Outcomes, in the order asked for."""

    results: list[OutcomeOut]
    undo: UUID | None = Field(description="Takes these moves back until `undo_until`; null when they cannot be")
    undo_until: datetime | None


class UndoneOut(BaseModel):
    """Outcomes of taking back."""

    results: list[OutcomeOut]


@router.post(
    "/v1/cases/moves:bulk",
    response_model=None,
    responses={200: {"model": BulkOut}, **problems(400, 401, 403, 404, 413, 422, 503)},
)
async def create_moves(
    request: Request,
    body: BulkIn,
    unit: Writing,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_MOVE))],
) -> Response:
    """Make one move on up to 500 cases. Each has its own result; what is refused leaves the others alone.

    With `undo` the moves can be taken back for ten seconds; until then nobody is told of them. With `dry_run`
    nothing is made: every result says what would become of the case, who would have it and until when.
    """
    move = parse_move(body.move)
    requests = [move_request(body, move, ref=seen.case, seen=seen.version, caller=caller) for seen in body.cases]
    others = [body.into] if body.into else []
    refused = await allow_moves(unit, container, caller, move, [*(one.ref for one in requests), *others])
    for ref in others:
        # The case that all of them shall follow is not one of many: without it there is nothing to do.
        if ref in refused:
            raise refused[ref]
    allowed = [one for one in requests if one.ref not in refused]
    reference = await container.reference.get()
    made = (
        BulkResult(outcomes=await foresee_many(unit, allowed, reference), token=None, undo_until=None)
        if body.dry_run
        else await move_many(unit, allowed, reference)
    )
    done = iter(made.outcomes)
    outcomes = [Outcome(ref=one.ref, error=refused[one.ref]) if one.ref in refused else next(done) for one in requests]
    locale = locale_of(request)
    answer = {
        "results": [_outcome(one, locale) for one in outcomes],
        "undo": str(made.token) if made.token else None,
        "undo_until": instant(made.undo_until),
    }
    return json_answer(answer, locale=locale)


@router.post(
    "/v1/cases/moves:undo",
    response_model=None,
    responses={200: {"model": UndoneOut}, **problems(401, 403, 404, 413, 422, 503)},
)
async def undo_moves(
    request: Request,
    body: UndoIn,
    unit: Writing,
    caller: Annotated[Caller, Depends(require(Scope.CASES_MOVE))],
) -> Response:
    """Take a bulk move back within ten seconds, before anybody is told of it; the history keeps both."""
    undone = await undo(unit, body.undo, Actor(kind=caller.kind, id=caller.id))
    locale = locale_of(request)
    return json_answer({"results": [_outcome(one, locale) for one in undone]}, locale=locale)


def _outcome(one: Outcome, locale: Locale) -> dict[str, Any]:
    error = one.error
    return {
        "case": one.ref,
        "status": status_of(error) if error else 200,
        "version": one.version,
        "code": error.code if error else None,
        "detail": message_of(locale, error.code, error.params) if error else None,
        **({"foreseen": _foreseen(one.foreseen, locale)} if one.foreseen else {}),
    }


def _foreseen(one: Foreseen, locale: Locale) -> dict[str, Any]:
    owner = one.owner
    return {
        "state": one.state.value,
        "owner": {"post": owner.title(locale), "rank": owner.rank, "name": owner.person_name} if owner else None,
        "due_at": instant(one.due_at),
    }
