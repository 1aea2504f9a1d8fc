"""Raw sockets against the running server: heads without end, trickling bodies, answers that nobody fetches."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import select
import socket
import time
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import connections
from api.serving import Server, make_server
from api.settings import Settings
from tests.builders import District


@pytest.fixture
async def server(district: District, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """Give the port of the real server in this process, with short patience."""
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(connections, "BODY_WINDOW_S", 0.5)
    monkeypatch.setattr(connections, "UNFETCHED_S", 2.0)
    server: Server = make_server(Settings(database_url=database, port=1))

    async def flood(_: Request) -> Response:
        return StreamingResponse(b"x" * 65536 for _ in range(FLOOD_BYTES // 65536))

    server.app.add_route("/flood", flood)
    server.config.port = 0
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


FLOOD_BYTES = 12 * 1024**2
"""More than the systems of both sides keep for a connection, so that the server has to wait for its reader."""


def ask_for_flood(port: int) -> socket.socket:
    """A connection whose system keeps little, with a request on it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
    connection.connect(("127.0.0.1", port))
    connection.sendall(b"GET /flood HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection


async def exchange(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """Send pieces one after the other and read until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause_s)

    sending = asyncio.create_task(send())
    with contextlib.suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(20):
            while chunk := await reader.read(65536):
                answer += chunk
    await sending
    writer.close()
    return answer


def told(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return int(head[9:12]), json.loads(body)["code"]


async def test_heads_and_bodies_have_their_limits(server: int) -> None:
    start = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    assert told(await exchange(server, start + b"X: " + b"a" * 200_000)) == (431, "request.head_too_large")
    assert told(await exchange(server, start + b"X: " + b"a" * 40_000 + b"\r\n\r\n")) == (431, "request.head_too_large")
    many = b"".join(b"X-%d: 1\r\n" % n for n in range(101))
    assert told(await exchange(server, start + many + b"\r\n")) == (431, "request.head_too_large")
    assert told(await exchange(server, b"\x16\x03\x01\x02\x00\x01" * 10)) == (400, "request.not_http")
    fine = await exchange(server, start + b"Connection: close\r\n\r\n")
    assert fine.startswith(b"HTTP/1.1 200")


async def test_head_is_answered_like_get_without_the_body(server: int) -> None:
    for path in (b"/healthz", b"/", b"/static/tokens.css", b"/v1/cases", b"/open311/v2/services.xml", b"/v1/stream"):
        ask = b" " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        said = await exchange(server, b"HEAD" + ask)
        assert said.startswith((b"HTTP/1.1 200", b"HTTP/1.1 401", b"HTTP/1.1 307", b"HTTP/1.1 303")), (path, said)
        assert said.endswith(b"\r\n\r\n"), (path, said)
        if path != b"/v1/stream":
            got = await exchange(server, b"GET" + ask)
            length = re.search(rb"(?i)content-length: (\d+)", got)
            assert length is not None
            assert length[0] in said


async def test_slow_clients_are_told_and_let_go(server: int) -> None:
    silent, head, body = await asyncio.gather(
        exchange(server),
        exchange(server, b"GET /healthz HTTP/1.1\r\n", b"Host: x\r\n", pause_s=0.2),
        exchange(
            server,
            b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n",
            *(b"x" for _ in range(8)),
            pause_s=0.2,
        ),
    )
    assert told(silent) == (408, "request.too_slow")
    assert told(head) == (408, "request.too_slow")
    # Without a key the body is not even read; with or without, the connection ends.
    assert int(body[9:12]) in {401, 408}


async def test_who_fetches_slowly_gets_everything_and_who_fetches_nothing_is_cut(server: int) -> None:
    def fetch() -> int:
        received = 0
        with ask_for_flood(server) as connection:
            connection.settimeout(20)
            while piece := connection.recv(65536):
                received += len(piece)
                time.sleep(0.03)
        return received

    def stall() -> float:
        begun = time.monotonic()
        with ask_for_flood(server) as connection:
            # Nothing is read; the system tells of the cut all the same.
            poll = select.poll()
            poll.register(connection, select.POLLERR)
            assert poll.poll(20_000)
        return time.monotonic() - begun

    begun = time.monotonic()
    received, cut_after = await asyncio.gather(asyncio.to_thread(fetch), asyncio.to_thread(stall))
    assert received > FLOOD_BYTES
    assert time.monotonic() - begun > connections.UNFETCHED_S, "it took longer than somebody who stalls is given"
    assert cut_after >= connections.UNFETCHED_S


async def test_answers_are_hardened(server: int) -> None:
    answer = await exchange(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head = answer.partition(b"\r\n\r\n")[0].lower()
    for line in (b"x-content-type-options: nosniff", b"referrer-policy: same-origin", b"x-frame-options: sameorigin"):
        assert line in head
    assert b"\r\nserver:" not in head
    page = (await exchange(server, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")).lower()
    policy = next(line for line in page.split(b"\r\n") if line.startswith(b"content-security-policy:"))
    assert b"unsafe-inline" not in policy
    assert b"object-src 'none'" in policy or b"default-src 'none'" in policy or b"default-src 'self'" in policy
