"""A bare keep-alive client: what a benchmark measures is the server, so its own cost must be small."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(slots=True)
class Connection:
    """One connection on loopback, one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    key: str

    @classmethod
    async def open(cls, port: int, key: str) -> Connection:
        """Connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return cls(reader, writer, key)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """Send a request and return status and body."""
        self.writer.write(head(method, path, self.key, len(body), headers) + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        lower = answer.lower()
        at = lower.index(b"content-length:") + 15
        length = int(lower[at : lower.index(b"\r\n", at)])
        return int(answer[9:12]), await self.reader.readexactly(length)

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


def head(method: str, path: str, key: str, length: int, headers: dict[str, str]) -> bytes:
    """The head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {key}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if length:
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass(slots=True)
class Stream:
    """A live stream, read event by event."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int, key: str, last: str = "") -> Stream:
        """Follow the stream, from an event on if one is named."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        more = {"Last_Event_ID": last} if last else {}
        writer.write(head("GET", "/v1/stream", key, 0, {"Accept": "text/event-stream", **more}))
        answer = await reader.readuntil(b"\r\n\r\n")
        if answer[9:12] != b"200":
            raise ConnectionError(answer[:200].decode())
        return cls(reader, writer)

    async def ids(self) -> AsyncIterator[str]:
        """Ids of the events as they come."""
        while line := await self.reader.readline():
            if line.startswith(b"id: "):
                yield line[4:].strip().decode()

    def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()


def stalled(port: int, key: str) -> socket.socket:
    """A live stream that nobody reads, with as little room on this side as the system allows."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(head("GET", "/v1/stream", key, 0, {}))
    return deaf
