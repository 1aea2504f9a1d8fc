"""``Idempotency-Key``: a request sent again gets the answer of the first time, byte for byte.

Source: IETF draft-ietf-httpapi-idempotency-key-header. A key belongs to its channel, so a rotated API key changes
nothing, and is kept for ever like the channel's ticket numbers.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakKeyDictionary

from fastapi import Request, Response
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.errors import BadInputError, ConflictError, UnavailableError
from geo.storage.engine import unavailable
from geo.storage.uow import write_unit

__all__ = ["MOST_LETTERS", "answer_once", "fingerprint_of", "key_of"]

MOST_LETTERS = 255
_KEPT_HEADERS = ("content-type", "content-language", "location", "vary")
# A request that has not answered after a minute has lost its process: the next one with the same words takes over, and
# the ticket keeps it from making a second case.
_CLAIM = """
INSERT INTO api.idempotency_key AS k (channel_code, key, fingerprint)
VALUES (%(channel)s, %(key)s, %(fingerprint)s)
ON CONFLICT (channel_code, key) DO UPDATE SET begun_at = now()
 WHERE k.status IS NULL AND k.fingerprint = excluded.fingerprint AND k.begun_at < now() - interval '60 seconds'
RETURNING true
"""
_READ = """
SELECT fingerprint = %(fingerprint)s, status, headers, body FROM api.idempotency_key
 WHERE channel_code = %(channel)s AND key = %(key)s
"""
_KEEP = """
UPDATE api.idempotency_key SET status = %(status)s, headers = %(headers)s, body = %(body)s
 WHERE channel_code = %(channel)s AND key = %(key)s
"""
_FORGET = "DELETE FROM api.idempotency_key WHERE channel_code = %(channel)s AND key = %(key)s AND status IS NULL"


#: Keyed requests of a process at work at the same time. Who writes down an answer must not stand behind all who only
#: begin: then a burst would leave claims whose answers are lost.
_AT_ONCE: Final = 32
_PATIENCE_S: Final = 5.0
_TRIES: Final = 3


class _Door:
    """What a process knows of keyed requests over one engine."""

    def __init__(self) -> None:
        self.running: dict[tuple[str, str], bytes] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; ``storage.busy`` (503) before anything is begun."""
        try:
            await asyncio.wait_for(self._turns.acquire(), _PATIENCE_S)
        except TimeoutError:
            raise UnavailableError("storage.busy") from None
        try:
            yield
        finally:
            self._turns.release()


_doors: WeakKeyDictionary[AsyncEngine, _Door] = WeakKeyDictionary()


def key_of(request: Request) -> str | None:
    """The key of a request, bare or as a quoted string (RFC 8941); None without one.

    Raises
    ------
    BadInputError
        ``idempotency.bad_key``.
    """
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    text = given.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if not 1 <= len(text) <= MOST_LETTERS or any(not "!" <= letter <= "~" for letter in text):
        raise BadInputError("idempotency.bad_key", most=MOST_LETTERS)
    return text


def fingerprint_of(request: Request, parts: Iterable[bytes]) -> bytes:
    """Digest of what is asked: method, path, query and the parts of the body.

    Notes
    -----
    A multipart body is given by its parts: every client invents another boundary for each attempt.
    """
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}".encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


class UnfinishedResponse(Response):
    """A success of which a part failed for the service's own reasons: it is not kept, so that the key can finish it."""


async def answer_once(
    engine: AsyncEngine, channel: str, key: str, fingerprint: bytes, make: Callable[[], Awaitable[Response]]
) -> Response:
    """Answer a request once.

    Parameters
    ----------
    make
        Does the work. A success is kept; after an error the key is free again, so that a mended request may follow.

    Raises
    ------
    BadInputError
        ``idempotency.other_request`` (422): the key was used with other words.
    ConflictError
        ``idempotency.running`` (409).
    """
    values: dict[str, object] = {"channel": channel, "key": key, "fingerprint": fingerprint}
    door = _doors.setdefault(engine, _Door())
    running = door.running.get((channel, key))
    if running is not None:  # here, in this process: that needs no look at the database
        raise _clash(running == fingerprint)
    async with door.turn():
        known = await _claim(engine, values)
        if known is not None:
            return known
        door.running[channel, key] = fingerprint
        try:
            return await _answer(engine, values, make)
        finally:
            del door.running[channel, key]


async def _answer(engine: AsyncEngine, values: dict[str, object], make: Callable[[], Awaitable[Response]]) -> Response:
    try:
        response = await make()
    except BaseException:
        await asyncio.shield(_settle(engine, _FORGET, values))
        raise
    if response.status_code >= 300 or isinstance(response, UnfinishedResponse):
        await _settle(engine, _FORGET, values)
        return response
    kept = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
    body = await asyncio.to_thread(zlib.compress, bytes(response.body), 1)
    await _settle(engine, _KEEP, values | {"status": response.status_code, "headers": Jsonb(kept), "body": body})
    return response


async def _claim(engine: AsyncEngine, values: dict[str, object]) -> Response | None:
    """Take the key, or find out what became of it. Two transactions at most, and none is open during the work."""
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        if await (await driver.execute(_CLAIM, values)).fetchone() is not None:
            return None
        row = await (await driver.execute(_READ, values)).fetchone()
    if row is None:  # forgotten between the two statements: the first one failed just now
        raise ConflictError("idempotency.running")
    is_same, status, headers, body = row
    if not is_same:
        raise _clash(is_same=False)
    if status is None:
        raise ConflictError("idempotency.running")
    return Response(zlib.decompress(body), status_code=status, headers={**headers, "Idempotency-Replayed": "true"})


def _clash(is_same: bool) -> ConflictError | BadInputError:
    return ConflictError("idempotency.running") if is_same else BadInputError("idempotency.other_request")


async def _settle(engine: AsyncEngine, statement: str, values: dict[str, object]) -> None:
    """Write down what came of a request. A database that is busy for a moment must not lose an answer."""
    for tries_left in range(_TRIES, -1, -1):
        try:
            async with write_unit(engine) as unit:
                driver = await unit.driver()
                await driver.execute(statement.encode(), values)
        except Exception as error:
            away = unavailable(error)
            if away is None or not tries_left:
                raise
        else:
            return
