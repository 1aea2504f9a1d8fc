"""`GET /v1/stream`: what happens, as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.access import require
from api.accounts.keys import Caller, Scope
from api.container import Wired
from api.language import locale_of
from api.rendering import case_json
from api.responsible import zone_of
from api.schemas import SoundText, problems
from dispatch.feed import Cursor, parse_cursor
from maps.i18n import Locale

router = APIRouter(tags=["events"])


@router.get(
    "/v1/stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}, "description": "Events without end"},
        **problems(400, 401, 403, 422),
    },
)
async def read_stream(
    request: Request,
    container: Wired,
    caller: Annotated[Caller, Depends(require(Scope.CASES_READ))],
    last_event_id: Annotated[SoundText | None, Header(max_length=60, description="Cursor to go on from")] = None,
) -> StreamingResponse:
    """Follow the events. Each carries its cursor as `id` and the case as it stands; `Last-Event-ID` resumes."""
    # Before the answer begins: from the moment the page knows it is connected, it must miss nothing.
    after = parse_cursor(last_event_id) if last_event_id else await container.broadcaster.present()
    events = _events(container, after, caller, locale_of(request))
    # X-Accel-Buffering: a reverse proxy that buffers would hold events back until its buffer is full.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(container: Wired, after: Cursor, caller: Caller, locale: Locale) -> AsyncIterator[bytes]:
    yield KEEPALIVE_COMMENT  # opens the stream at once, so the page knows it is connected
    with container.watchtower.watch(caller) as watch:
        async for event in container.broadcaster.follow(after, lambda: watch.is_over):
            if watch.is_over:
                return
            if event is None:
                yield KEEPALIVE_COMMENT
            elif watch.caller.sight.covers(event.case.belonging):
                case = event.case
                if not watch.caller.sight.is_everything:
                    # Read for all streams at once: whether the cases it is merged with are in sight too is not known.
                    case = replace(case, follows=None, followers=())
                data = orjson.dumps(case_json(case, locale, await zone_of(container))).decode()
                yield format_sse_event(data_str=data, event=event.type, id=str(event.cursor))
