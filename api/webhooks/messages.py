"""What is sent: the body of a webhook. Codes and facts only, so that no person's name leaves with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import orjson

from api.event_json import event_data
from api.rendering import instant
from dispatch.feed import FeedEvent

#: The specification asks for less than 20 kB.
MOST_BYTES: Final = 20_000
TEST_TYPE: Final = "webhook.test.v1"


def message_id(event: FeedEvent) -> str:
    """The same for every attempt and every replay of an event; receivers drop what they have seen."""
    return f"evt_{event.cursor}"


def event_body(event: FeedEvent) -> bytes:
    """Body of an event. Boundary: at most 20,000 bytes; what is longer is cut down to where to read it."""
    data = {"event": str(event.cursor), **event_data(event)}
    body = _body(event.type, event.occurred_at, data)
    if len(body) > MOST_BYTES:
        kept = ("event", "case", "seq", "status_url")
        body = _body(event.type, event.occurred_at, {name: data[name] for name in kept})
    return body


def trial_body(at: datetime) -> bytes:
    """Body of a test."""
    return _body(TEST_TYPE, at, {"message": "Gridward"})


def _body(kind: str, at: datetime, data: dict[str, Any]) -> bytes:
    return orjson.dumps({"type": kind, "timestamp": instant(at), "data": data})
