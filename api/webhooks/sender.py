"""One HTTP request to a webhook: to a checked address, without redirects, proxies, or trust in the answer.

Plain sockets and not a client library: the check must see the connected peer before the first byte is sent, and a
library would follow the environment's proxies, pool connections, and read what it is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Final

from api.webhooks.addresses import Network, is_named, may_reach, parse_address
from api.webhooks.targets import Target, parse_target
from geo.errors import BadInputError

_MOST_HEADER_BYTES: Final = 16_384
_MOST_BODY_BYTES: Final = 65_536
_BODY_S: Final = 1.0
_MOST_ADDRESSES: Final = 4
_STATUS_LINE = re.compile(rb"^HTTP/1\.[01] ([1-5][0-9]{2})(?: |$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an attempt: a status, or the code of an error. Units: seconds."""

    status: int | None = None
    error: str | None = None
    duration_s: float = 0.0
    retry_after_s: int | None = None

    @property
    def is_success(self) -> bool:
        """Only 2xx is; a redirect is a failure."""
        return self.status is not None and 200 <= self.status <= 299


class _SendError(Exception):
    """An attempt failed; the argument is the code kept in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Sends to public addresses and to the networks named.

    Parameters
    ----------
    timeout_s
        For the whole attempt: resolving, connecting, TLS, request, answer.
    trust
        Certificates to trust; None means the system's.
    """

    networks: Sequence[Network] = ()
    timeout_s: float = 20.0
    trust: ssl.SSLContext | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send once. Never raises for what the other side does."""
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout_s):
                status, retry_after_s = await self._post(parse_target(url, self.networks), body, headers)
        except BadInputError as error:
            return Answer(error=error.code.partition(".")[2], duration_s=time.perf_counter() - begun)
        except _SendError as error:
            return Answer(error=str(error), duration_s=time.perf_counter() - begun)
        except TimeoutError:
            return Answer(error="timeout", duration_s=time.perf_counter() - begun)
        except ssl.SSLCertVerificationError:
            return Answer(error="bad_certificate", duration_s=time.perf_counter() - begun)
        except ssl.SSLError:
            return Answer(error="tls_failed", duration_s=time.perf_counter() - begun)
        except (OSError, EOFError, ValueError) as error:
            # EOFError: the connection ended inside the header (asyncio.IncompleteReadError is one).
            return Answer(error=_named(error), duration_s=time.perf_counter() - begun)
        return Answer(status=status, retry_after_s=retry_after_s, duration_s=time.perf_counter() - begun)

    async def _post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> tuple[int, int | None]:
        peer = await self._connect(target)
        try:
            reader, writer = await self._open(target, peer)
        except BaseException:
            peer.close()
            raise
        try:
            writer.write(_request(target, body, headers))
            await writer.drain()
            return await _read_answer(reader)
        finally:
            # abort(), not close(): a peer that stops reading must not keep us waiting for a tidy end of TLS.
            writer.transport.abort()

    async def _connect(self, target: Target) -> socket.socket:
        refused: Exception = _SendError("name_unknown")
        for family, place in (await self._resolve(target))[:_MOST_ADDRESSES]:
            connection = socket.socket(family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(connection, place)
                self._check(target, connection.getpeername()[0])
            except BaseException as error:
                connection.close()
                if not isinstance(error, OSError):
                    raise
                refused = error
            else:
                return connection
        raise refused

    async def _resolve(self, target: Target) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
        """Places that may be connected; what may not is never connected at all, not even to be dropped again."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(
                target.host,
                target.port,
                type=socket.SOCK_STREAM,
                flags=socket.AI_NUMERICHOST if target.address is not None else 0,
            )
        except (OSError, UnicodeError) as error:
            raise _SendError("name_unknown") from error
        places: list[tuple[socket.AddressFamily, tuple[str, int]]] = []
        for family, _kind, _protocol, _name, place in found:
            if family in {socket.AF_INET, socket.AF_INET6}:
                host = str(place[0])
                # One forbidden address among several is an attempt to be looked at twice; all are refused.
                self._check(target, host)
                places.append((family, (host, target.port)))
        return places

    def _check(self, target: Target, host: str) -> None:
        address = parse_address(host)
        if address is None or not may_reach(address, self.networks):
            raise _SendError("address_not_allowed")
        if not target.is_https and not is_named(address, self.networks):
            raise _SendError("https_needed")

    async def _open(
        self, target: Target, connection: socket.socket
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if not target.is_https:
            return await asyncio.open_connection(sock=connection, limit=_MOST_HEADER_BYTES)
        return await asyncio.open_connection(
            sock=connection,
            limit=_MOST_HEADER_BYTES,
            ssl=self.trust or _system_trust(),
            server_hostname=target.host,
        )


@cache
def _system_trust() -> ssl.SSLContext:
    # Reading the system's certificates takes longer than most requests.
    return ssl.create_default_context()


def _request(target: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.host_header}",
        "User-Agent: Gridward-Webhooks/1",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, int | None]:
    for _ in range(5):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise _SendError("answer_too_large") from error
        found = _STATUS_LINE.match(head)
        if found is None:
            raise _SendError("not_http")
        status = int(found.group(1))
        if status >= 200:
            await _drain(reader)
            return status, _retry_after(head)
    raise _SendError("not_http")


async def _drain(reader: asyncio.StreamReader) -> None:
    # The body means nothing to us; reading a little lets an honest receiver finish. A slow or endless one is cut off.
    with contextlib.suppress(TimeoutError, OSError, ValueError):
        async with asyncio.timeout(_BODY_S):
            left = _MOST_BODY_BYTES
            while left > 0 and (part := await reader.read(min(left, 4096))):
                left -= len(part)


def _retry_after(head: bytes) -> int | None:
    found = re.search(rb"\r\nretry-after:[ \t]*([ -~]{1,40}?)[ \t]*\r\n", head, re.IGNORECASE)
    if found is None:
        return None
    said = found.group(1).decode("ascii")
    if said.isdecimal():
        return int(said)
    try:
        wanted = parsedate_to_datetime(said)
    except ValueError:
        return None
    # A date without a zone is in UTC (RFC 5322, "-0000").
    zoned = wanted if wanted.tzinfo is not None else wanted.replace(tzinfo=UTC)
    return max(0, round(zoned.timestamp() - time.time()))


def _named(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection_refused"
    if isinstance(error, ConnectionError | EOFError):
        return "connection_lost"
    return "not_reached" if isinstance(error, OSError) else "failed"
