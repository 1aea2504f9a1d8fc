"""Callers whose answer is still open: what was taken from them shows on their stream within a second.

One task per process asks for all of them at once, twice a second; a stream asks nothing itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from api.accounts.callers import Caller
from api.accounts.doorkeeper import Doorkeeper
from api.accounts.roles import Scope

__all__ = ["Watch", "Watchtower"]

log = structlog.get_logger("gridward.access")
#: Units: seconds.
EVERY_S: Final = 0.4


@dataclass(slots=True, eq=False)
class Watch:
    """A caller with an open answer; ``caller`` is renewed, ``is_over`` says that the answer must end."""

    caller: Caller
    is_over: bool = False


class Watchtower:
    """Looks after the callers of open streams.

    Parameters
    ----------
    tell
        Called when some stream has to end: its wait has to be ended for that.
    """

    def __init__(self, doorkeeper: Doorkeeper, tell: Callable[[], Awaitable[None]]) -> None:
        self._doorkeeper = doorkeeper
        self._tell = tell
        self._watches: set[Watch] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="watchtower")

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @contextlib.contextmanager
    def watch(self, caller: Caller) -> Iterator[Watch]:
        """Look after a caller as long as the block runs."""
        watch = Watch(caller)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            if not self._watches:
                continue
            try:
                if await self._look():
                    await self._tell()
            except Exception as error:
                # The database is away: nothing can be told over the streams either, and nothing is taken back by it.
                log.warning("watch_lost", error=type(error).__name__)

    async def _look(self) -> bool:
        watches = list(self._watches)
        sessions = {watch.caller.session for watch in watches if watch.caller.session is not None}
        prefixes = {watch.caller.id for watch in watches if watch.caller.kind == "key"}
        people = await self._doorkeeper.sessions.find_many(sessions) if sessions else {}
        keys = await self._doorkeeper.keys.find_many(prefixes) if prefixes else {}
        is_open = await self._doorkeeper.is_open()
        ended = False
        for watch in watches:
            caller = watch.caller
            if caller.session is not None:
                now = people.get(caller.session)
            elif caller.kind == "key":
                now = keys.get(caller.id)
            else:
                now = caller if is_open else None
            # Who may not read cases any more has lost the stream as well.
            if now is None or Scope.CASES_READ not in now.scopes or now.must_change:
                watch.is_over = ended = True
            else:
                watch.caller = now
        return ended
