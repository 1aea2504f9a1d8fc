"""More than 200 URL tricks: none makes the sender connect to a private address, whatever names resolve to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.webhooks.addresses import is_public
from api.webhooks.sender import Sender
from tests.unit.test_webhook_rules import CLOSED

_NUMBERS = [
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "0177.1",
    "0",
    "00",
    "0x0",
    "0.0",
    "127.0.0.1.",
    "127.0.0.01",
    "127.000.000.001",
    "0x7F.0x0.0x0.0x1",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "0251.0376.0251.0376",
    "4294967295",
    "-1",
    "1e3",
    "127.0.0.1.0",
    "127.0.0.256",
    "::1",
    "[::1",
    "::1]",
    "[127.0.0.1]",
    "[::1].",
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%25eth0]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[0000::0001]",
    "[v1.fe80]",
    "[]",
    "[:::1]",
    "１２７.０.０.１",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "127．0．0．1",
    "⑯⑨.②⑤④.①⑥⑨.②⑤④",
    "127%2e0%2e0%2e1",
    "%31%32%37.0.0.1",
    "127.0.0.1%00.example.org",
    "127.0.0.1%0d%0a",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "ｌocalhost",
    "loc%61lhost",
    "localhost%00",
    "..localhost",
    ".localhost",
    "localhost..",
]
_WHOLE = [
    "https://user@127.0.0.1:{port}/",
    "https://1.1.1.1@127.0.0.1:{port}/",
    "https://1.1.1.1:443@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@inner.test/",
    "https://1.1.1.1\\@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@1.1.1.1/",
    "https://1.1.1.1#@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}#@1.1.1.1/",
    "https://127.0.0.1:{port}?@1.1.1.1/",
    "https:///127.0.0.1:{port}/",
    "https:127.0.0.1:{port}/",
    "https:/127.0.0.1:{port}/",
    "https:\\\\127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/ ",
    "https://127.0.0.1 :{port}/",
    "https://1.1.1.1\t.127.0.0.1:{port}/",
    "https://127.0.0.1\n:{port}/",
    "ht\ntps://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\r\nHost: 1.1.1.1/",
    "https://inner.test:{port}/\r\nX: y",
    "https://127.0.0.1:0{port}/",
    "https://127.0.0.1:+{port}/",
    "https://127.0.0.1:-1/",
    "https://127.0.0.1:99999/",
    "https://127.0.0.1:/",
    "https://127.0.0.1:{port}:443/",
    "https://1.1.1.1:{port}:@127.0.0.1/",
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://inner.test:{port}/",
    "http://[::1]:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "HTTPS://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{port}/_x",
    "dict://127.0.0.1:{port}/",
    "ldap://127.0.0.1:{port}/",
    "jar:http://127.0.0.1:{port}!/",
    "unix:///run/postgresql/.s.PGSQL.5432",
    "http+unix://%2Frun%2Fdocker.sock/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "ws://127.0.0.1:{port}/",
    "https+http://127.0.0.1:{port}/",
    "url:https://127.0.0.1:{port}/",
    "https://",
    "",
    "https://./",
    "https://-.test/",
    "https://a..test/",
    "https://[127.0.0.1]:{port}/",
    "https://[inner.test]:{port}/",
]
#: Names an attacker owns, with what they resolve to; "public and private" is the rebinding that hopes for a retry.
NAMES = {
    "inner.test": ["127.0.0.1"],
    "metadata.test": ["169.254.169.254"],
    "ten.test": ["10.0.0.1"],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "sixtofour.test": ["2002:7f00:1::1"],
    "nat64.test": ["64:ff9b::127.0.0.1"],
    "zero.test": ["0.0.0.0"],
    "cgnat.test": ["100.100.100.200"],
    "both.test": ["1.1.1.1", "127.0.0.1"],
    "both6.test": ["2400:3200::1", "fd00::1"],
    "many.test": ["1.1.1.1", "8.8.8.8", "9.9.9.9", "10.0.0.1"],
    "scoped.test": ["fe80::1%eth0"],
    "127.0.0.1.nip.test": ["127.0.0.1"],
}


def _tricks() -> list[str]:
    hosts = [*_NUMBERS, *NAMES, *(f"{name}." for name in NAMES)]
    hosts += [f"[{text}]" if ":" in text else text for text in CLOSED]
    tricks = [f"https://{host}:{{port}}/hook" for host in hosts]
    tricks += [f"http://{name}:{{port}}/" for name in NAMES]
    return list(dict.fromkeys(tricks + _WHOLE))


class Watched:
    """Listeners on loopback, a resolver that lies, and a record of every connection that is tried."""

    def __init__(self) -> None:
        self.accepted = 0
        self.received = b""
        self.tried: list[str] = []
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.received += await reader.read(100)
        writer.close()


@pytest.fixture
async def watched(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    loop, record = asyncio.get_running_loop(), Watched()
    server = await asyncio.start_server(record.accept, "127.0.0.1", 0)
    record.port = server.sockets[0].getsockname()[1]
    resolve = loop.getaddrinfo

    async def lie(host: str, port: int, **options: Any) -> Any:
        if host in NAMES:
            kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
            found = [(kinds[ipaddress.ip_address(text).version], text) for text in NAMES[host]]
            return [(family, socket.SOCK_STREAM, 6, "", (text, port)) for family, text in found]
        # Everything else is read as the operating system reads it, numbers in old forms included; no name leaves.
        return await resolve(host, port, **{**options, "flags": socket.AI_NUMERICHOST})

    async def connect(_connection: socket.socket, place: tuple[str, int]) -> None:
        record.tried.append(place[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(loop, "getaddrinfo", lie)
    monkeypatch.setattr(loop, "sock_connect", connect)
    yield record
    server.close()
    await server.wait_closed()


async def test_no_trick_connects_to_a_private_address(watched: Watched) -> None:
    tricks = _tricks()
    assert len(tricks) >= 200
    sender = Sender(timeout_s=5)
    for trick in tricks:
        answer = await sender.post(trick.replace("{port}", str(watched.port)), b"{}", {})
        assert not answer.is_success, trick
        assert answer.error is not None, trick
    assert [place for place in watched.tried if not is_public(ipaddress.ip_address(place))] == []
    # Only the private side of "public and private" was there to be caught; not even the public one was tried.
    assert (watched.accepted, watched.tried) == (0, [])


async def test_the_connected_peer_is_checked_too(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()

    async def diverted(connection: socket.socket, _place: tuple[str, int]) -> None:
        connection.setblocking(True)
        connection.connect(("127.0.0.1", watched.port))
        connection.setblocking(False)

    monkeypatch.setattr(loop, "sock_connect", diverted)
    answer = await Sender(timeout_s=5).post("https://1.1.1.1/hook", b"secret", {})
    await asyncio.sleep(0.05)
    assert answer.error == "address_not_allowed"
    assert watched.received == b""


async def test_an_environment_proxy_is_not_asked(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{watched.port}")
    answer = await Sender(timeout_s=5).post("https://1.1.1.1/", b"", {})
    assert (answer.error, watched.tried, watched.accepted) == ("connection_refused", ["1.1.1.1"], 0)
