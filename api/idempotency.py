"""``Idempotency-Key``: a request sent again gets the answer of the first time, byte for byte.

Source: IETF draft-ietf-httpapi-idempotency-key-header. A key belongs to its channel, so a rotated API key changes
nothing, and is kept for ever like the channel's ticket numbers.
"""

from __future__ import annotations

import asyncio
import contextlib
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

__all__ = ["MOST_LETTERS", "answer_once", "fingerprint_of", "forget_debts", "key_of"]

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
# The first answer stays, also when whoever was thought dead comes back with one of its own.
_KEEP = """
UPDATE api.idempotency_key SET status = %(status)s, headers = %(headers)s, body = %(body)s
 WHERE channel_code = %(channel)s AND key = %(key)s AND status IS NULL
"""
_FORGET = "DELETE FROM api.idempotency_key WHERE channel_code = %(channel)s AND key = %(key)s AND status IS NULL"


#: Keyed requests of a process at work at the same time. Who writes down an answer must not stand behind all who only
#: begin: then a burst would leave claims whose answers are lost.
_AT_ONCE: Final = 32
_PATIENCE_S: Final = 5.0
_TRIES: Final = 3
#: Outcomes that a process still has to write down, and for how long it tries: after that others take the claim over.
_MOST_OWED: Final = 200
_OWED_TRIES: Final = 60


_Outcome = tuple[str, dict[str, object]]
"""A statement that settles a claim, and its values."""


class _Door:
    """What a process knows of keyed requests over one engine."""

    def __init__(self) -> None:
        self.running: dict[tuple[str, str], bytes] = {}
        self.owed: dict[tuple[str, str], _Outcome] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._paying: asyncio.Task[None] | None = None

    def owe(self, engine: AsyncEngine, pair: tuple[str, str], outcome: _Outcome) -> None:
        """Remember what could not be written down, and go on trying."""
        if len(self.owed) >= _MOST_OWED:
            return  # the claim runs out, and the natural key finds what was written
        self.owed[pair] = outcome
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._pay(engine))

    async def _pay(self, engine: AsyncEngine) -> None:
        for _ in range(_OWED_TRIES):
            await asyncio.sleep(1)
            for pair, (statement, values) in list(self.owed.items()):
                with contextlib.suppress(Exception):
                    await _write_down(engine, statement, values)
                    self.owed.pop(pair, None)
            if not self.owed:
                return
        self.owed.clear()

    async def forget(self) -> None:
        """Owe nothing any more: the claims run out, and the natural key finds what was written."""
        self.owed.clear()
        if self._paying is not None:
            self._paying.cancel()
            await asyncio.gather(self._paying, return_exceptions=True)

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


async def forget_debts(engine: AsyncEngine) -> None:
    """End the tries to write down what could not be written: the process stops, and they hold connections."""
    door = _doors.get(engine)
    if door is not None:
        await door.forget()


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
        if (owed := door.owed.get((channel, key))) is not None:
            await _settle(engine, door, *owed)
        known = await _claim(engine, values)
        if known is not None:
            return known
        door.running[channel, key] = fingerprint
        try:
            return await _answer(engine, door, values, make)
        finally:
            del door.running[channel, key]


async def _answer(
    engine: AsyncEngine, door: _Door, values: dict[str, object], make: Callable[[], Awaitable[Response]]
) -> Response:
    try:
        response = await make()
    except BaseException:
        # What went wrong is what is told; a claim that cannot be taken back now is taken back later.
        with contextlib.suppress(Exception):
            await asyncio.shield(_settle(engine, door, _FORGET, values))
        raise
    if response.status_code >= 300 or isinstance(response, UnfinishedResponse):
        with contextlib.suppress(Exception):
            await _settle(engine, door, _FORGET, values)
        return response
    kept = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
    body = await asyncio.to_thread(zlib.compress, bytes(response.body), 1)
    answer = values | {"status": response.status_code, "headers": Jsonb(kept), "body": body}
    # Nothing is answered that is not kept: what was written is safe, and asking again gives these very bytes.
    if not await _settle(engine, door, _KEEP, answer):
        return await _claim(engine, values) or response
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


async def _settle(engine: AsyncEngine, door: _Door, statement: str, values: dict[str, object]) -> bool:
    """Write down what came of a request. A database that is busy for a moment must not lose an answer.

    Returns
    -------
    bool
        False when the claim was somebody else's meanwhile.
    """
    pair = str(values["channel"]), str(values["key"])
    for tries_left in range(_TRIES, -1, -1):
        try:
            was_ours = await _write_down(engine, statement, values)
        except Exception as error:
            if unavailable(error) is None:
                raise
            if not tries_left:
                door.owe(engine, pair, (statement, values))
                raise
        else:
            door.owed.pop(pair, None)
            return was_ours
    raise AssertionError("the last try returns or raises")


async def _write_down(engine: AsyncEngine, statement: str, values: dict[str, object]) -> bool:
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        return bool((await driver.execute(statement.encode(), values)).rowcount)
