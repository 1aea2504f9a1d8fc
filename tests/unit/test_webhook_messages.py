"""What is sent stays small, and what is answered is understood."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from api.webhooks.messages import MOST_BYTES, event_body, message_id
from api.webhooks.sender import _retry_after
from dispatch.feed import Cursor, FeedEvent
from dispatch.states import CaseState

AT = datetime(2026, 11, 21, 4, 12, 9, tzinfo=UTC)


def event(cells: int) -> FeedEvent:
    case: Any = SimpleNamespace(
        ref="20261121-0000042",
        ticket="T-1",
        channel="hotline",
        state=CaseState.CLOSED,
        category="P0102",
        condition=1,
        chain=[{"code": "4" * 40} for _ in range(cells)],
        reported_at=AT,
        due_at=None,
        closed_at=AT,
        is_on_time=True,
        text="reporter's words",
    )
    return FeedEvent(
        cursor=Cursor(812, 4711),
        type="case.closed.v1",
        seq=5,
        moves=("close",),
        from_state="checked",
        to_state="closed",
        occurred_at=AT,
        case=case,
    )


def test_a_body_has_type_timestamp_and_facts_only() -> None:
    body = orjson.loads(event_body(event(3)))
    assert (body["type"], body["timestamp"]) == ("case.closed.v1", "2026-11-21T04:12:09Z")
    assert body["data"]["event"] == "812-4711"
    assert "reporter" not in str(body)
    assert "." not in message_id(event(3))


def test_a_body_that_would_be_too_large_says_where_to_read() -> None:
    raw = event_body(event(1000))
    assert len(raw) <= MOST_BYTES
    assert orjson.loads(raw)["data"]["status_url"] == "/v1/cases/20261121-0000042"


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        (b"120", 120),
        (b"0", 0),
        (b"soon", None),
        (b"-5", None),
        (b"9" * 41, None),
        ("120\u00b2".encode(), None),
    ],
)
def test_retry_after_in_seconds(said: bytes, wait_s: int | None) -> None:
    assert _retry_after(b"HTTP/1.1 503 X\r\nA: b\r\nretry-after: " + said + b"\r\n\r\n") == wait_s


@pytest.mark.parametrize(("ahead_s", "wait_s"), [(600, 600), (-600, 0)])
def test_retry_after_as_a_date(ahead_s: int, wait_s: int) -> None:
    # The date is made here: made when the tests are collected, it would have passed by the time this one runs.
    date = formatdate(time.time() + ahead_s, usegmt=True).encode()
    found = _retry_after(b"HTTP/1.1 503 X\r\nA: b\r\nretry-after: " + date + b"\r\n\r\n")
    assert found is not None
    assert abs(found - wait_s) < 30
