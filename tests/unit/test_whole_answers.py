"""An answer sent in one piece is, on the wire, the answer that the server sends in two."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from api.connections import head_of, headers_of, send_whole

_HEADERS = [(b"location", b"/v1/cases/20261121-0000001"), (b"content-length", b"2"), (b"content-type", b"text/plain")]


class _Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.finished = 0

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.written += b"<closed>"

    def finish(self) -> None:
        self.finished += 1


def _cycle(wire: _Wire, **changes: Any) -> RequestResponseCycle:
    transport = cast("asyncio.Transport", wire)
    cycle = RequestResponseCycle(
        scope=cast("Any", {"type": "http", "method": "POST"}),
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger("test"),
        access_logger=logging.getLogger("test"),
        access_log=False,
        default_headers=[(b"date", b"Sat, 21 Nov 2026 00:00:00 GMT")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=wire.finish,
    )
    for name, value in changes.items():
        setattr(cycle, name, value)
    return cycle


async def test_one_piece_is_what_two_pieces_are() -> None:
    """The same bytes, and the connection goes on to its next request in the same way."""
    usual, whole = _Wire(), _Wire()
    slow, fast = _cycle(usual), _cycle(whole)
    await slow.send({"type": "http.response.start", "status": 201, "headers": _HEADERS})
    await slow.send({"type": "http.response.body", "body": b"ok", "more_body": False})
    assert send_whole(cast("Any", fast.send), 201, head_of(_HEADERS), b"ok")
    assert whole.written == usual.written
    assert whole.finished == usual.finished == 1
    assert fast.response_complete
    assert fast.message_event.is_set()
    assert headers_of(head_of(_HEADERS)) == _HEADERS


@pytest.mark.parametrize("changes", [{"keep_alive": False}, {"disconnected": True}, {"response_started": True}])
async def test_the_last_answer_of_a_connection_goes_the_usual_way(changes: dict[str, bool]) -> None:
    """Whoever must hang up, or has nobody to answer, is not hurried past it."""
    wire = _Wire()
    cycle = _cycle(wire, **changes)
    assert not send_whole(cast("Any", cycle.send), 201, head_of(_HEADERS), b"ok")
    assert wire.written == b""


async def test_a_slow_reader_is_waited_for() -> None:
    """What it has not fetched must not grow without bound; and what is no server's own sending is left alone."""
    wire = _Wire()
    cycle = _cycle(wire)
    cycle.flow.pause_writing()
    assert not send_whole(cast("Any", cycle.send), 201, head_of(_HEADERS), b"ok")

    async def other(_message: Any) -> None: ...

    assert not send_whole(other, 201, head_of(_HEADERS), b"ok")
    assert wire.written == b""
