"""Webhooks over TLS: the certificate belongs to the name, SNI and Host are right; the page's recipe verifies."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.webhooks import signing
from api.webhooks.addresses import parse_networks
from api.webhooks.sender import Sender

ROOT = Path(__file__).resolve().parents[2]
NAME = "hook.test"
_MAKE = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hook.test"


class Secure:
    """A TLS server on loopback that remembers names asked for and requests."""

    port: int
    certificate: Path

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.heads: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture
async def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Secure]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [*_MAKE.split(), "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(key), "-out", str(certificate)]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    made = Secure()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _connection, name, _context: made.asked.append(name)  # type: ignore[assignment,return-value]
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port, made.certificate = server.sockets[0].getsockname()[1], certificate

    async def resolve(_host: str, port: int, **_options: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    yield made
    server.close()


def sender(trust: ssl.SSLContext | None) -> Sender:
    return Sender(networks=parse_networks("127.0.0.1"), timeout_s=5, trust=trust)


async def test_name_certificate_and_host_belong_together(secure: Secure) -> None:
    trust = ssl.create_default_context(cafile=str(secure.certificate))
    good = await sender(trust).post(f"https://{NAME}:{secure.port}/in?x=1", b"{}", {"webhook-id": "m"})
    assert (good.status, good.is_success) == (202, True)
    assert secure.asked == [NAME]
    head = secure.heads[0].split("\r\n")
    assert head[0] == "POST /in?x=1 HTTP/1.1"
    assert f"Host: {NAME}:{secure.port}" in head
    wrong = await sender(trust).post(f"https://other.test:{secure.port}/", b"{}", {})
    unknown = await sender(None).post(f"https://{NAME}:{secure.port}/", b"{}", {})
    assert [wrong.error, unknown.error] == ["bad_certificate", "bad_certificate"]
    assert len(secure.heads) == 1


def test_the_recipe_of_the_page_verifies_and_refuses() -> None:
    page = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
    recipe: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.+?)```", page, re.DOTALL)[0], recipe)
    secret, other = signing.make_secret(), signing.make_secret()
    headers = signing.headers([other, secret], "evt_1-2", int(time.time()), b"{}")
    is_genuine = recipe["is_genuine"]
    assert is_genuine(headers, b"{}", secret)
    assert is_genuine(headers, b"{}", other)
    assert not is_genuine(headers, b"{ }", secret)
    assert not is_genuine(headers, b"{}", signing.make_secret())
    assert not is_genuine(headers | {"webhook-id": "evt_1-3"}, b"{}", secret)
    old = signing.headers([secret], "evt_1-2", int(time.time()) - 400, b"{}")
    assert not is_genuine(old, b"{}", secret)
