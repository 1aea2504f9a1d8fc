"""Events as JSON: the same words in `GET /v1/events` and in webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.rendering import instant
from dispatch.feed import FeedEvent

EXAMPLE_DATA: dict[str, Any] = {
    "case": "20261121-0000042",
    "ticket": "12345-20260301-0042",
    "channel": "hotline",
    "seq": 5,
    "moves": ["close"],
    "from": "checked",
    "to": "closed",
    "status": "closed",
    "category": "P0102",
    "condition": 1,
    "cells": ["410102001", "410102001001", "410102001001003"],
    "reported_at": "2026-11-21T02:57:33Z",
    "due_at": "2026-11-21T04:57:33Z",
    "closed_at": "2026-11-21T04:12:09Z",
    "is_on_time": True,
    "status_url": "/v1/cases/20261121-0000042",
}
EXAMPLE_EVENT: dict[str, Any] = {
    "id": "812-4711",
    "type": "case.closed.v1",
    "at": "2026-11-21T04:12:09Z",
    "case": "20261121-0000042",
    "seq": 5,
    "data": EXAMPLE_DATA,
}


class EventDataOut(BaseModel):
    """What happened to which case. Codes and facts only: no free text, no names, no position."""

    case: str
    ticket: str
    channel: str
    seq: int = Field(description="Number of the event in its case's history, from 1")
    moves: list[str] = Field(description="Moves that this act consists of")
    from_state: str | None = Field(alias="from", description="State before; null for the first event")
    to: str = Field(description="State after")
    status: str = Field(description="State when the event is read or sent; later events may have changed it")
    category: str
    condition: int | None
    cells: list[str] = Field(description="Codes of the chain of cells, level 1 first; empty outside the grid")
    reported_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    is_on_time: bool | None
    status_url: str


class FeedEventOut(BaseModel):
    """One event of the feed."""

    id: str = Field(description="Cursor of this event; `after=` it to go on from here")
    type: str
    at: datetime = Field(description="When it happened, on the database's clock")
    case: str
    seq: int
    data: EventDataOut


class EventsOut(BaseModel):
    """A page of the feed, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"events": [EXAMPLE_EVENT], "next": "812-4711"}]})

    events: list[FeedEventOut]
    next: str = Field(description="Give it as `after` next time; it moves on even when a page is empty")


def event_data(event: FeedEvent) -> dict[str, Any]:
    """What an event says of its case, the same in every language."""
    case = event.case
    return {
        "case": case.ref,
        "ticket": case.ticket,
        "channel": case.channel,
        "seq": event.seq,
        "moves": list(event.moves),
        "from": event.from_state,
        "to": event.to_state,
        "status": case.state.value,
        "category": case.category,
        "condition": case.condition,
        "cells": [cell["code"] for cell in case.chain],
        "reported_at": instant(case.reported_at),
        "due_at": instant(case.due_at),
        "closed_at": instant(case.closed_at),
        "is_on_time": case.is_on_time,
        "status_url": f"/v1/cases/{case.ref}",
    }


def feed_event(event: FeedEvent) -> dict[str, Any]:
    """One entry of `GET /v1/events`."""
    return {
        "id": str(event.cursor),
        "type": event.type,
        "at": instant(event.occurred_at),
        "case": event.case.ref,
        "seq": event.seq,
        "data": event_data(event),
    }
