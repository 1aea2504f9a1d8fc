"""Connections that cost more than they should: heads too large, bodies that trickle, answers that nobody fetches.

uvicorn bounds how long an idle connection is kept and nothing else. Here every connection has a size for its head, a
time for it, a least speed for its body and a longest time for an answer that is not fetched. One look a second over
all connections decides, so a request pays a few comparisons.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Iterable
from typing import Any, Final

import structlog
from starlette.types import Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from api.errors import message_of, problem
from maps.i18n import negotiate

__all__ = ["GuardedProtocol", "head_of", "headers_of", "look_over", "send_whole"]

log = structlog.get_logger("gridward.http")

MOST_HEAD_BYTES: Final = 32_768
MOST_HEADERS: Final = 100
HEAD_S: Final = 10.0
"""From the first moment of a connection, or the first byte of a request, to the end of its head."""
BODY_WINDOW_S: Final = 10.0
LEAST_BODY_BYTES: Final = 10_240
"""Of a body per window: 1 kB/s, a tenth of the slowest mobile line."""
UNFETCHED_S: Final = 27.0
"""With the look once a second, and on a machine with too much to do, cut within thirty."""
LEAST_FETCHED_BYTES: Final = 27_648
"""Of an answer in that time: 1 kB/s as well. Whoever fetches more is slow, and gets everything."""
MOST_CONNECTIONS: Final = 4_000

_REASONS: Final = {
    400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Service Unavailable"
}  # fmt: skip


class _HeadTooLargeError(Exception):
    pass


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with limits before and beside the application."""

    in_head: bool
    in_body: bool
    head_bytes: int
    #: Of the piece that is read just now.
    piece_bytes: int
    since: float
    body_bytes: int
    #: Since when the reader has fetched less than the least, and how much was left then.
    unfetched_since: float | None
    unfetched_bytes: int
    is_too_large: bool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.in_head, self.in_body = True, False
        self.head_bytes = self.piece_bytes = self.body_bytes = 0
        self.since = time.monotonic()
        self.unfetched_since, self.unfetched_bytes = None, 0
        self.is_too_large = False
        if len(self.connections) > MOST_CONNECTIONS:
            self.refuse(503, "storage.busy")

    def data_received(self, data: bytes) -> None:
        """Count what belongs to an unfinished head, and hand on."""
        self.piece_bytes = len(data)
        super().data_received(data)
        if self.in_head and not self.transport.is_closing():
            self.head_bytes += len(data)
            if self.head_bytes > MOST_HEAD_BYTES:
                self.refuse(431, "request.head_too_large", most=MOST_HEAD_BYTES)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.in_head, self.head_bytes, self.since = True, 0, time.monotonic()

    def on_headers_complete(self) -> None:
        """Refuse a head that is too large before anything is made of it."""
        if len(self.headers) > MOST_HEADERS or (
            # The pieces that it came in are no smaller: mostly there is nothing to add up.
            self.head_bytes + self.piece_bytes > MOST_HEAD_BYTES
            and len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MOST_HEAD_BYTES
        ):
            self.is_too_large = True
            # The only way out of the parser; it comes back as send_400_response.
            raise _HeadTooLargeError
        self.in_head, self.in_body = False, True
        self.body_bytes, self.since = 0, time.monotonic()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Count the body's progress."""
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is all there."""
        self.in_head = self.in_body = False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or a head that is too large."""
        if self.is_too_large:
            self.refuse(431, "request.head_too_large", most=MOST_HEAD_BYTES)
        else:
            self.refuse(400, "request.not_http")

    def refuse(self, status: int, code: str, **facts: Any) -> None:
        """Answer with a problem document and hang up."""
        if self.transport.is_closing():
            return
        # In the middle of a request that has begun to be answered there is nothing left to say.
        cycle: Any = self.cycle  # None before the first request, whatever its declaration says
        is_busy = cycle is not None and cycle.response_started and (self.in_body or not cycle.response_complete)
        if not is_busy:
            given = dict(self.headers or ())
            locale = negotiate(given.get(b"accept-language", b"").decode("latin-1"))
            answer = problem(status, code, message_of(locale, code, facts), locale=locale, **facts)
            lines = [f"HTTP/1.1 {status} {_REASONS[status]}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in answer.headers.items()]
            self.transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(answer.body))
        self.transport.close()

    def resume_writing(self) -> None:
        """The system has taken most of what waited, so the reader does read."""
        super().resume_writing()
        self.unfetched_since = None

    def look(self, now: float, *, unfetched_s: float | None = None) -> None:
        """End the connection if it is too slow.

        Parameters
        ----------
        unfetched_s
            How long an answer may lie unfetched; None is the usual time.
        """
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            left = self._count_unfetched()
            if self.unfetched_since is None or left <= self.unfetched_bytes - LEAST_FETCHED_BYTES:
                self.unfetched_since, self.unfetched_bytes = now, left
            if now - self.unfetched_since > (UNFETCHED_S if unfetched_s is None else unfetched_s):
                self._cut()
            return
        self.unfetched_since = None
        if self.in_head and now - self.since > HEAD_S:
            self.refuse(408, "request.too_slow")
        elif self.in_body and now - self.since > BODY_WINDOW_S:
            # While we ourselves do not read, nobody can send.
            if self.body_bytes < LEAST_BODY_BYTES and not self.flow.read_paused:
                self.refuse(408, "request.too_slow")
            self.body_bytes, self.since = 0, now

    def _count_unfetched(self) -> int:
        """Bytes that the reader's system has not acknowledged: those that wait here, and those in our own system.

        The latter takes more only when a third of what it holds has gone, which a slow line needs long for.
        """
        raw = self.transport.get_extra_info("socket")
        kept = 0
        if raw is not None:
            (kept,) = struct.unpack("i", fcntl.ioctl(raw.fileno(), termios.TIOCOUTQ, bytes(4)))
        return self.transport.get_write_buffer_size() + kept

    def _cut(self) -> None:
        # Not closed but cut: closing would wait for the very bytes that nobody fetches.
        log.info("connection_cut", why="unfetched")
        # With a reset: else the system itself would keep what is unsent, and offer it for many minutes more.
        raw = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def head_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Header lines as they go over the wire, each with its line break.

    Examples
    --------
    >>> head_of([(b"vary", b"Accept"), (b"content-length", b"2")])
    b'vary: Accept\\r\\ncontent-length: 2\\r\\n'
    """
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)


def headers_of(head: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs that `head_of` was given."""
    pairs = (line.partition(b": ") for line in head.split(b"\r\n")[:-1])
    return [(name, value) for name, _, value in pairs]


def send_whole(send: Send, status: int, head: bytes, body: bytes) -> bool:
    """Send an answer that is complete in one piece, if this is the server's own way to send; else do nothing.

    Saves looking through every header for what we never write into one, and a second message. The caller answers for
    the lines of the head (`head_of`): names in small letters, values without line breaks, ``content-length`` among
    them.

    Returns
    -------
    bool
        False when the answer must go the usual way: in a test without a server, to a slow reader, at the last request.
    """
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle or cycle.response_started or not cycle.keep_alive:
        return False
    if cycle.disconnected or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
        return False
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join((STATUS_LINE[status], head_of(cycle.default_headers), head, b"\r\n", body)))
    cycle.message_event.set()
    cycle.on_response()
    return True


def look_over(connections: set[Any], *, unfetched_s: float | None = None) -> None:
    """Look at every connection once. Cost: about a microsecond each."""
    now = time.monotonic()
    for connection in list(connections):
        if isinstance(connection, GuardedProtocol):
            connection.look(now, unfetched_s=unfetched_s)
