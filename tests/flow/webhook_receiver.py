"""A receiver of webhooks on loopback: answers as told, remembers what it got, checks every signature."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Answerer = Callable[[dict[str, Any]], bytes]
OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


def status(code: int, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {code} X", "Content-Length: 0", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@dataclass
class Receiver:
    """What it got, in order; ``answer`` decides what it says, ``delay_s`` how slow it is."""

    url: str = ""
    secrets: list[str] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)
    answer: Answerer = lambda _message: OK
    delay_s: float = 0.0

    @property
    def tickets(self) -> list[str]:
        return [message["body"]["data"].get("ticket") for message in self.got]

    def verifies(self, message: dict[str, Any], secret: str) -> bool:
        """Whether one of the signatures is right; written anew here, from the specification."""
        headers = message["headers"]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + message["raw"]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in headers["webhook-signature"].split(" ")


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            raw = await reader.readexactly(int(headers["content-length"]))
            message = {"request": first, "headers": headers, "raw": raw, "body": json.loads(raw)}
            receiver.got.append(message)
            await asyncio.sleep(receiver.delay_s)
            writer.write(receiver.answer(message))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()
