"""`GET /v1/events`: everything that happened, page by page, for programs that must miss nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response

from api.access import require
from api.accounts.keys import Caller, Scope
from api.container import Wired
from api.event_json import EXAMPLE_EVENT, EventsOut, feed_event
from api.event_query import EventQuery, event_sheet
from api.formats import MEDIA_TYPES, Form, accepted_form, next_link, tagged_answer
from api.language import locale_of
from api.responsible import zone_of
from api.schemas import EventType, SoundText, problems
from api.sheets import file_answer, page_answer
from dispatch.feed import Cursor, FeedEvent, FeedFilter, FeedPage, feed_end, parse_cursor, read_page
from dispatch.queries import database_now
from geo.storage.uow import read_unit

router = APIRouter(tags=["events"])

MOST_PER_PAGE = 1000
MOST_TYPES = 50
#: Asked again after a wait: whoever waited may have lost the right meanwhile.
allowed = require(Scope.CASES_READ, again=True)


@router.get(
    "/v1/events",
    response_model=None,
    responses={
        200: {
            "model": EventsOut,
            "content": {
                "application/json": {"example": {"events": [EXAMPLE_EVENT], "next": EXAMPLE_EVENT["id"]}},
                MEDIA_TYPES[Form.GEOJSON]: {"schema": {"type": "object"}},
                MEDIA_TYPES[Form.CSV]: {"schema": {"type": "string"}},
                MEDIA_TYPES[Form.XLSX]: {"schema": {"type": "string", "format": "binary"}},
            },
        },
        304: {"description": "Not changed since the answer that `If-None-Match` names"},
        **problems(400, 401, 403, 422, 503),
    },
)
async def read_events(
    request: Request,
    container: Wired,
    caller: Annotated[Caller, Depends(allowed)],
    only: Annotated[EventQuery, Depends()],
    after: Annotated[
        SoundText | None,
        Query(max_length=60, description="`next` of the page before; absent: from the beginning; `now`: from the end"),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE, description="Events per page at most")] = 100,
    kinds: Annotated[
        list[EventType] | None,
        Query(alias="type", max_length=MOST_TYPES, description="Only this type; repeat for several"),
    ] = None,
    wait: Annotated[int, Query(ge=0, le=30, description="Seconds to wait for an event when there is none")] = 0,
) -> Response:
    """Read the feed. A transaction that commits late is never skipped, so a reader who follows `next` sees all.

    A key without `cases:read_all` sees the events of its own channel's cases. An empty page is not the end of all
    events but the present end of the feed: keep `next` and ask again, or let `wait` hold the request until something
    happens.
    """
    deadline = time.monotonic() + wait
    position = parse_cursor(after) if after is not None and after != "now" else Cursor(0, 0)
    if after == "now":
        async with read_unit(container.engine, viewer=caller.viewer) as unit:
            position = await feed_end(unit)
    # No connection is held while waiting: it is a long time, and the pool is small.
    while True:
        page = await _look(container, position, limit, caller, kinds or [], only.asked)
        moved, position = page.next != position, page.next
        left_s = deadline - time.monotonic()
        if page.events or left_s <= 0 or container.broadcaster.closing.is_set():
            break
        if not moved:
            await container.broadcaster.wait_beyond(position, left_s)
            caller = await allowed(request, container)
    locale = locale_of(request)
    # Always there: the end of the feed is only its present end.
    link = next_link(request, after=str(position))
    form = accepted_form(request)
    if form is not Form.JSON:
        sheet = event_sheet(locale, ZoneInfo(await zone_of(container)), for_programs=True)
        if form is Form.GEOJSON:
            return await file_answer(form, sheet, _one(page.events), locale=locale, Link=link)
        return await page_answer(form, sheet, page.events, locale=locale, Link=link)
    body = {"events": [feed_event(event) for event in page.events], "next": str(position)}
    return tagged_answer(request, body, locale=locale, Link=link)


async def _one(events: Sequence[FeedEvent]) -> AsyncGenerator[Sequence[FeedEvent], None]:
    yield events


async def _look(
    container: Wired, after: Cursor, limit: int, caller: Caller, kinds: list[str], only: FeedFilter
) -> FeedPage:
    async with read_unit(container.engine, viewer=caller.viewer) as unit:
        return await read_page(
            unit,
            after,
            limit=limit,
            as_of=await database_now(unit),
            channel=caller.sees_channel,
            types=kinds,
            is_limited=not caller.sight.is_everything,
            only=only,
        )
