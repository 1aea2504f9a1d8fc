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

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.settings import Settings
from api.webhooks.addresses import parse_networks
from api.webhooks.duty import WebhookLane
from api.webhooks.sender import Sender
from tests.builders import report
from tests.flow.conftest import Client

Answerer = Callable[[dict[str, Any]], bytes]
LOOPBACK = "127.0.0.0/8"
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


@asynccontextmanager
async def open_client(database: str, key: str) -> AsyncIterator[Client]:
    """An application whose webhooks may reach loopback."""
    app = create_app(Settings(database_url=database, webhook_networks=LOOPBACK))
    headers = {"Authorization": f"Bearer {key}", "Accept-Language": "en"}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gridward.test", headers=headers, timeout=30) as client,
    ):
        yield client


def lane(engine: AsyncEngine, timeout_s: float = 2.0) -> WebhookLane:
    return WebhookLane(engine=engine, sender=Sender(networks=parse_networks(LOOPBACK), timeout_s=timeout_s))


async def work(engine: AsyncEngine, turns: int = 50, timeout_s: float = 2.0) -> None:
    """Take turns until there is nothing to do."""
    for _ in range(turns):
        if not await lane(engine, timeout_s).run_once(asyncio.Event()):
            return


async def hook(client: Client, receiver: Receiver, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", json={"url": receiver.url, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    receiver.secrets = [made["secret"]]
    return made


async def send(client: Client, *tickets: str) -> None:
    for ticket in tickets:
        assert (await client.post("/v1/reports", json=report(ticket=ticket))).status_code == 201


async def due_again(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE api.webhook SET next_attempt_at = now()"))
