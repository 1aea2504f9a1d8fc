"""Server-sent events: one LISTEN connection per process feeds any number of streams, which hold no connection.

The broadcaster reads the feed once and keeps its newest part in memory; each stream has its own cursor into it. A
stream whose cursor is older (it slept) reads the gap from the database page by page. Nothing is pushed into queues,
so a slow browser costs no memory: it merely lags behind. While nobody follows or waits, nobody is woken, and the feed's
end alone is looked at, once a second: a burst of reports would be read for nobody.

What wakes the listeners is sent from here, too. A NOTIFY in the writing statement would make commits wait for each
other: PostgreSQL holds one lock from before such a commit until after its flush (decision 0004).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial

import psycopg
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.feed import Cursor, FeedEvent, feed_end, read_feed
from dispatch.queries import database_now
from dispatch.storage.intake import WAKE_UP
from geo.storage.engine import dsn
from geo.storage.uow import read_unit, statement_unit

log = structlog.get_logger("gridward.stream")

_KEEP = 2000
_PAGE = 500
#: Without a wake-up we look anyway: a transaction may end that held the feed back without being one of ours.
_LOOK_EVERY_S = 1.0
#: Wake-ups closer together than this are one look; it bounds the reading under a burst of reports.
_GATHER_S = 0.05
HEARTBEAT_S = 15.0


class Broadcaster:
    """Reads the feed once for all streams of a process."""

    def __init__(self, engine: AsyncEngine, url: str) -> None:
        self._engine = engine
        self._dsn = dsn(url)
        self._recent: deque[FeedEvent] = deque(maxlen=_KEEP)
        self._start = Cursor(0, 0)  # events after this one and up to `_end` are in `_recent`
        self._end: Cursor | None = None
        #: Streams that follow, and readers who wait for what comes next.
        self._followers = 0
        self._waiting = 0
        self._moved = asyncio.Condition()
        self._woken = asyncio.Event()
        #: Somebody has come, or something was written here, of which the others are to hear.
        self._called = asyncio.Event()
        self._written = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.closing = asyncio.Event()

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [asyncio.create_task(part()) for part in (self._listen, self._read, self._tell)]

    def stir(self) -> None:
        """Let everybody who listens hear that something was committed, in this process and in every other.

        Those who wait look once a second anyway: should this process die before it is said, they see it then.
        """
        self._written.set()

    async def end_streams(self) -> None:
        """Let every stream end; their readers reconnect with their cursor, to another process or the next one."""
        self.closing.set()
        async with self._moved:
            self._moved.notify_all()

    async def stop(self) -> None:
        """End all streams and stop listening."""
        await self.end_streams()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._dsn, autocommit=True, application_name="gridward-listen"
                ) as connection:
                    await connection.execute("LISTEN gridward_events")
                    async for _ in connection.notifies():
                        self._woken.set()
            except psycopg.Error:
                log.warning("listen_lost")
                await asyncio.sleep(1.0)

    async def _tell(self) -> None:
        while True:
            await self._written.wait()
            self._written.clear()
            try:
                async with statement_unit(self._engine) as unit:
                    await (await unit.driver()).execute(WAKE_UP)
            except Exception as error:
                log.warning("feed_untold", error=type(error).__name__)
            await asyncio.sleep(_GATHER_S)

    async def _read(self) -> None:
        # Not "while True": before Python 3.12 wait_for() swallows a cancellation that meets the wake-up.
        while not self.closing.is_set():
            self._woken.clear()
            try:
                while await self._advance():
                    pass
            except Exception as error:
                # The database is away or slow; streams go on with heartbeats and catch up when it is back.
                log.warning("feed_unread", error=type(error).__name__)
            self._called.clear()
            with contextlib.suppress(TimeoutError):
                # With nobody there, being woken is no reason to look; somebody who comes is one at once.
                for_whom = self._woken if self._followers or self._waiting else self._called
                await asyncio.wait_for(for_whom.wait(), _LOOK_EVERY_S)
                await asyncio.sleep(_GATHER_S)

    @contextlib.contextmanager
    def _as_one_who_waits(self) -> Iterator[None]:
        self._waiting += 1
        self._called.set()
        try:
            yield
        finally:
            self._waiting -= 1

    async def _advance(self) -> bool:
        """Read one page; return whether there is more."""
        async with read_unit(self._engine, snapshot=True) as unit:
            end = await feed_end(unit)
            if self._end is None or not self._followers:
                self._start = self._end = max(end, self._end or end)
                self._recent.clear()
                async with self._moved:
                    self._moved.notify_all()
                return False
            page = await read_feed(unit, self._end, limit=_PAGE, as_of=await database_now(unit), with_imports=False)
        more = len(page) == _PAGE
        self._end = page[-1].cursor if more else max(end, self._end)
        if page:
            dropped = max(0, len(self._recent) + len(page) - _KEEP)
            if dropped:
                self._start = self._recent[dropped - 1].cursor
            self._recent.extend(page)
            async with self._moved:
                self._moved.notify_all()
        return more

    async def present(self) -> Cursor:
        """The present end of the feed; a reader who starts here sees everything that is reported from now on."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._end is not None or self.closing.is_set())
        return self._end or Cursor(0, 0)

    async def wait_beyond(self, position: Cursor, timeout_s: float) -> None:
        """Wait until there may be events after a position, at most so long; holds no database connection."""
        with contextlib.suppress(TimeoutError), self._as_one_who_waits():
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(partial(self._is_worth_looking, position))

    async def nudge(self) -> None:
        """Let every stream look at whether it may go on."""
        async with self._moved:
            self._moved.notify_all()

    async def follow(
        self, after: Cursor, is_over: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[FeedEvent | None]:
        """Events after a cursor until the process stops or the reader's time is over; None is a heartbeat."""
        position = after
        self._followers += 1
        self._called.set()
        try:
            while not self.closing.is_set() and not is_over():
                events, reached = await self._after(position)
                for event in events:
                    yield event
                    position = event.cursor
                position = max(position, reached)
                if events:
                    continue
                try:
                    async with asyncio.timeout(HEARTBEAT_S), self._moved:
                        await self._moved.wait_for(partial(self._may_go_on, position, is_over))
                except TimeoutError:
                    yield None
        finally:
            self._followers -= 1

    def _may_go_on(self, position: Cursor, is_over: Callable[[], bool]) -> bool:
        return is_over() or self._is_worth_looking(position)

    def _is_worth_looking(self, position: Cursor) -> bool:
        return self.closing.is_set() or (self._end is not None and self._end > position)

    async def _after(self, position: Cursor) -> tuple[list[FeedEvent], Cursor]:
        """Events after a position, and how far they reach: beyond the last of them there may be imports only."""
        start = self._start
        if self._end is not None and position >= start:
            return [event for event in self._recent if event.cursor > position], self._end
        async with read_unit(self._engine) as unit:
            page = await read_feed(unit, position, limit=_PAGE, as_of=await database_now(unit), with_imports=False)
        # A gap of imports only has nothing to tell; what comes after it is in memory.
        return page, page[-1].cursor if page else start
