"""Checking keys at the door, some thousand times a second."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.callers import Caller
from api.accounts.keys import digest_of
from api.accounts.roles import Scope
from api.accounts.sight import limited
from api.accounts.tables import ApiKeyRow
from geo.storage.uow import read_unit, write_unit

__all__ = ["KeyRing"]


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    digest: bytes
    read_at: float


#: Of the office's own keys and of the sandbox's, which are in a database of their own.
_HEADS: Final = frozenset({"gw", "gwt"})
_LIVE = select(ApiKeyRow.__table__).where(
    ApiKeyRow.revoked_at.is_(None), (ApiKeyRow.expires_at.is_(None)) | (ApiKeyRow.expires_at > func.now())
)


def _caller(row: Any) -> Caller:
    scopes = frozenset(scope for scope in Scope if scope.value in row.scopes)
    return Caller(
        kind="key",
        id=row.prefix,
        channel=row.channel_code,
        scopes=scopes,
        sight=limited(
            # A wall's key sees counts of everything in its area, and no other door opens to it.
            channel=None if Scope.CASES_READ_ALL in scopes or scopes == {Scope.WALL_READ} else row.channel_code,
            cells=row.cells,
            departments=row.departments,
        ),
        office=limited(channel=None, cells=row.cells, departments=row.departments),
        rate=row.rate,
    )


@dataclass(frozen=True, slots=True)
class _Passed:
    """A text that was compared with a key, and until when it need not be again."""

    prefix: str
    known: _Known
    until: float


class KeyRing:
    """Check keys, remembering each for a second so that a burst of reports costs one look-up per second.

    The second is also how long a revoked key still works. Whoever goes on asking is not made to wait for the next look:
    it is made ahead.
    """

    _REMEMBER_S = 1.0
    _AHEAD_S = 0.5
    _MARK_USED_S = 60.0
    #: Bounds the memory that made-up prefixes can take.
    _MOST = 10_000

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._known: dict[str, _Known] = {}
        self._marked: dict[str, float] = {}
        self._reading: dict[str, asyncio.Task[_Known | None]] = {}
        self._passed: dict[str, _Passed] = {}
        #: What is under way, also what nobody waits for any more.
        self._looks: set[asyncio.Task[_Known | None]] = set()

    async def stop(self) -> None:
        """End the looks that are under way: they hold connections."""
        for look in self._looks:
            look.cancel()
        await asyncio.gather(*self._looks, return_exceptions=True)

    async def find_caller(self, text: str) -> Caller | None:
        """The caller behind a key, or None."""
        passed = self._passed.get(text)
        if passed is not None:
            known, now = self._known.get(passed.prefix), time.monotonic()
            if known is passed.known and now < passed.until:
                if now - known.read_at > self._AHEAD_S and passed.prefix not in self._reading:
                    self._begin(passed.prefix)
                return known.caller
            del self._passed[text]
        return await self._compare(text)

    async def _compare(self, text: str) -> Caller | None:
        head, _, rest = text.partition("_")
        prefix, _, secret = rest.partition("_")
        if head not in _HEADS or not secret or len(text) > 200 or not (prefix.isascii() and prefix.isalnum()):
            return None
        known = self._known.get(prefix)
        if known is None or time.monotonic() - known.read_at > self._REMEMBER_S:
            known = await self._read_once(prefix)
            if known is None:
                return None
        if not hmac.compare_digest(known.digest, digest_of(secret)):
            return None
        await self._mark_used(prefix)
        if len(self._passed) >= self._MOST:
            self._passed.clear()
        until = min(known.read_at + self._REMEMBER_S, self._marked[prefix] + self._MARK_USED_S)
        self._passed[text] = _Passed(prefix, known, until)
        return known.caller

    def forget(self, prefix: str) -> None:
        """Look again at the next request: this key was changed here."""
        self._known.pop(prefix, None)
        # What is being read just now may be from before the change: nobody who comes from here on waits for it.
        self._reading.pop(prefix, None)

    async def find_many(self, prefixes: Iterable[str]) -> Mapping[str, Caller]:
        """The callers of keys that still hold, asked for in one query."""
        async with read_unit(self._engine) as unit:
            rows = await unit.connection.execute(_LIVE.where(ApiKeyRow.prefix.in_(list(prefixes))))
            return {row.prefix: _caller(row) for row in rows}

    async def _read_once(self, prefix: str) -> _Known | None:
        """Read a key, once for all who ask while it is being read: with each second of a burst they come together."""
        # Whoever hangs up must not take the answer from the others.
        return await asyncio.shield(self._reading.get(prefix) or self._begin(prefix))

    def _begin(self, prefix: str) -> asyncio.Task[_Known | None]:
        task = self._reading[prefix] = asyncio.create_task(self._read(prefix), name=f"key-{prefix}")
        self._looks.add(task)
        task.add_done_callback(lambda done: self._finish(prefix, done))
        return task

    def _finish(self, prefix: str, task: asyncio.Task[_Known | None]) -> None:
        self._looks.discard(task)
        known = None if task.cancelled() or task.exception() is not None else task.result()
        if self._reading.get(prefix) is not task:
            return  # forgotten meanwhile
        del self._reading[prefix]
        if known is None:
            self._known.pop(prefix, None)
            return
        if len(self._known) >= self._MOST:
            self._known.clear()
        self._known[prefix] = known

    async def _read(self, prefix: str) -> _Known | None:
        asked_at = time.monotonic()
        async with read_unit(self._engine) as unit:
            row = (await unit.connection.execute(_LIVE.where(ApiKeyRow.prefix == prefix))).one_or_none()
        return None if row is None else _Known(_caller(row), bytes(row.digest), asked_at)

    async def _mark_used(self, prefix: str) -> None:
        now = time.monotonic()
        if now - self._marked.get(prefix, -self._MARK_USED_S) < self._MARK_USED_S:
            return
        self._marked[prefix] = now
        async with write_unit(self._engine) as unit:
            await unit.connection.execute(
                update(ApiKeyRow).where(ApiKeyRow.prefix == prefix).values(last_used_at=func.now())
            )
