"""What a dispatcher's page keeps beside cases: who looks at one, saved views, notes between shifts, the replay."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.access import require
from api.accounts.keys import Caller, Scope
from api.answers import json_answer
from api.container import Reading, Wired, Writing
from api.language import locale_of
from api.rendering import instant
from api.schemas import Body, Code, SoundText, problems
from api.spelling import Spelling
from dispatch.belonging import find_belongings
from dispatch.queries import count_inboxes, database_now
from dispatch.storage.replay import MOST_CASES, read_replay
from geo.errors import BadInputError, NotFoundError

router = APIRouter(tags=["desk"])

#: A page says every eight seconds that it still shows a case; two that fail are forgiven.
_KEPT = timedelta(seconds=20)
_LONGEST_REPLAY = timedelta(days=3)
_MOST_VIEWS = 100

Desk = Annotated[str, Spelling("^[0-9A-Za-z-]{8,40}$", "5b2f6c1e")]
Name = Annotated[SoundText, Field(min_length=1, max_length=60)]
Mover = Annotated[Caller, Depends(require(Scope.CASES_MOVE))]


class ViewingIn(BaseModel):
    """A page that shows a case."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"desk": "5b2f6c1e", "drafting": True}]})

    desk: Desk = Field(description="Of this page, at random; the same for as long as it is open")
    drafting: bool = Field(False, strict=True, description="Whether a move is being written")
    leaving: bool = Field(False, strict=True, description="The case is no longer shown")


class OtherOut(BaseModel):
    """Another desk with the same case."""

    name: str = Field(description="Who is signed in there; empty when nobody is")
    drafting: bool
    since: datetime


class ViewingOut(BaseModel):
    """The others."""

    others: list[OtherOut]


class ViewIn(BaseModel):
    """Filters as the page's address has them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": "inbox=due_soon&shade=open"}]})

    query: Annotated[SoundText, Field(max_length=1000)] = Field(description="Query part of the page's address")


class ViewOut(BaseModel):
    """A view under a name."""

    name: str
    query: str


class ViewsOut(BaseModel):
    """The caller's views, by name."""

    views: list[ViewOut]


class NoteIn(BaseModel):
    """What the next shift should know."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"text": "协作路积水，城管已到场"}]})

    text: Annotated[Body, Field(min_length=1)]


class NoteOut(BaseModel):
    """A note, and the inboxes when it was written."""

    at: datetime
    author: str
    text: str
    counts: dict[str, int]


class NotesOut(BaseModel):
    """Notes, newest first."""

    notes: list[NoteOut]


class ReplayOut(BaseModel):
    """Signs on the map over a stretch of time."""

    since: datetime
    until: datetime
    is_cut: bool = Field(description=f"There were more than {MOST_CASES}; the newest are here")
    cases: list[dict[str, Any]] = Field(description="Each with its place and its steps: instant and state after it")


@router.post(
    "/v1/cases/{ref}/viewing",
    response_model=None,
    responses={200: {"model": ViewingOut}, **problems(400, 401, 403, 404, 413, 422, 503)},
)
async def say_viewing(request: Request, ref: Code, body: ViewingIn, unit: Writing, caller: Mover) -> Response:
    """Say that a page shows a case, and hear who else has it open. Nothing is locked: versions guard the moves."""
    seen = (await find_belongings(unit, [ref])).get(ref)
    if seen is None or caller.sees_channel not in {None, seen.channel}:
        raise NotFoundError("dispatch.case_not_found", case=ref[:80])
    driver = await unit.driver()
    values = {"ref": ref, "desk": body.desk, "name": caller.name, "drafting": body.drafting, "kept": _KEPT}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "DELETE FROM api.viewing WHERE until < now() OR desk = %(desk)s AND %(leaving)s",
            values | {"leaving": body.leaving},
        )
        if not body.leaving:
            await cursor.execute(
                "INSERT INTO api.viewing (case_id, desk, name, is_drafting, until)"
                " SELECT id, %(desk)s, %(name)s, %(drafting)s, now() + %(kept)s FROM dispatch.dispatch_case"
                " WHERE ref = %(ref)s ON CONFLICT (case_id, desk) DO UPDATE"
                " SET is_drafting = excluded.is_drafting, until = excluded.until, name = excluded.name",
                values,
            )
        await cursor.execute(
            "SELECT v.name, v.is_drafting AS drafting, v.since FROM api.viewing AS v"
            " JOIN dispatch.dispatch_case AS c ON c.id = v.case_id"
            " WHERE c.ref = %(ref)s AND v.desk <> %(desk)s AND v.until >= now() ORDER BY v.is_drafting DESC, v.since",
            values,
        )
        others = [{**row, "since": instant(row["since"])} for row in await cursor.fetchall()]
    return json_answer({"others": others}, locale=locale_of(request))


@router.get("/v1/views", response_model=None, responses={200: {"model": ViewsOut}, **problems(401, 403, 503)})
async def list_views(request: Request, unit: Reading, caller: Mover) -> Response:
    """The caller's own views."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT name, query FROM api.saved_view WHERE owner = %s ORDER BY name", (_owner(caller),))
        return json_answer({"views": await cursor.fetchall()}, locale=locale_of(request))


# `path`: people write 今日/夜班, and a server decodes %2F before it looks for the route.
@router.put(
    "/v1/views/{name:path}",
    response_model=None,
    responses={200: {"model": ViewOut}, **problems(400, 401, 403, 404, 413, 422, 503)},
)
async def save_view(
    request: Request, name: Annotated[Name, Path()], body: ViewIn, unit: Writing, caller: Mover
) -> Response:
    """Keep filters under a name; a view of that name is replaced."""
    driver = await unit.driver()
    values = {"owner": _owner(caller), "name": name, "query": body.query, "most": _MOST_VIEWS}
    written = await (
        await driver.execute(
            "INSERT INTO api.saved_view (owner, name, query) SELECT %(owner)s, %(name)s, %(query)s"
            " WHERE (SELECT count(*) FROM api.saved_view WHERE owner = %(owner)s AND name <> %(name)s) < %(most)s"
            " ON CONFLICT (owner, name) DO UPDATE SET query = excluded.query, saved_at = now() RETURNING id",
            values,
        )
    ).fetchone()
    if written is None:
        raise BadInputError("desk.too_many_views", most=_MOST_VIEWS)
    return json_answer({"name": name, "query": body.query}, locale=locale_of(request))


@router.delete(
    "/v1/views/{name:path}", status_code=204, response_model=None, responses=problems(401, 403, 404, 422, 503)
)
async def drop_view(name: Annotated[Name, Path()], unit: Writing, caller: Mover) -> Response:
    """Forget a view."""
    driver = await unit.driver()
    gone = await driver.execute("DELETE FROM api.saved_view WHERE owner = %s AND name = %s", (_owner(caller), name))
    if gone.rowcount == 0:
        raise NotFoundError("desk.view_unknown", name=name)
    return Response(status_code=204)


@router.get(
    "/v1/shift-notes", response_model=None, responses={200: {"model": NotesOut}, **problems(401, 403, 422, 503)}
)
async def list_notes(
    request: Request, unit: Reading, container: Wired, _: Mover, limit: Annotated[int, Query(ge=1, le=100)] = 10
) -> Response:
    """Notes between shifts, newest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT at, author_name AS author, text, counts FROM api.shift_note WHERE jurisdiction = %s"
            " ORDER BY at DESC, id DESC LIMIT %s",
            (container.settings.jurisdiction, limit),
        )
        notes = [{**row, "at": instant(row["at"])} for row in await cursor.fetchall()]
    return json_answer({"notes": notes}, locale=locale_of(request))


@router.post(
    "/v1/shift-notes",
    status_code=201,
    response_model=None,
    responses={201: {"model": NoteOut}, **problems(400, 401, 403, 413, 422, 503)},
)
async def write_note(request: Request, body: NoteIn, unit: Writing, container: Wired, caller: Mover) -> Response:
    """Leave a note for the next shift; the counts of the inboxes are kept with it. Notes are not changed."""
    counts = {
        inbox.value: count for inbox, count in (await count_inboxes(unit, container.settings.jurisdiction)).items()
    }
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "INSERT INTO api.shift_note (jurisdiction, author, author_name, text, counts) VALUES (%s, %s, %s, %s, %s)"
            " RETURNING at",
            (container.settings.jurisdiction, _owner(caller), caller.name, body.text, Jsonb(counts)),
        )
    ).fetchone()
    assert row is not None
    note = {"at": instant(row[0]), "author": caller.name, "text": body.text, "counts": counts}
    return json_answer(note, locale=locale_of(request), status=201)


@router.get(
    "/v1/replay", response_model=None, responses={200: {"model": ReplayOut}, **problems(400, 401, 403, 422, 503)}
)
async def replay(
    request: Request,
    unit: Reading,
    container: Wired,
    caller: Mover,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="Default: twelve hours before `to`")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Default: now")] = None,
) -> Response:
    """What the map showed over a stretch of time: the cases with the instants of their steps."""
    now = await database_now(unit)
    ends = min(until or now, now)
    begins = since or ends - timedelta(hours=12)
    if not timedelta(0) < ends - begins <= _LONGEST_REPLAY:
        raise BadInputError("desk.bad_replay", days=_LONGEST_REPLAY.days)
    rows = await read_replay(unit, container.settings.jurisdiction, begins, ends, caller.sees_channel)
    cases = [
        {
            "case": row["ref"],
            "category": row["category"],
            "lon": round(row["lon"], 6),
            "lat": round(row["lat"], 6),
            "due_at": instant(row["due_at"]),
            "warn_at": instant(row["warn_at"]),
            "steps": [[instant(at), state] for at, state in zip(row["instants"], row["states"], strict=True)],
        }
        for row in rows
    ]
    body = {"since": instant(begins), "until": instant(ends), "is_cut": len(rows) == MOST_CASES, "cases": cases}
    return json_answer(body, locale=locale_of(request))


def _owner(caller: Caller) -> str:
    return f"{caller.kind}:{caller.id}"
