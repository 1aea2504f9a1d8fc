"""Keeping something in memory true: one listening connection looks whenever it is told to, and regularly anyway.

A notification only says "look" (decision 0004); the look itself compares. So a lost notification costs at most the
pause between two regular looks, and a lost connection is noticed by its looks missing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import psycopg
import structlog
from psycopg import sql

from geo.storage.engine import APPLICATION_NAME, dsn

__all__ = ["Look", "Watcher"]

log = structlog.get_logger("gridward.watch")

Look = Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]]
_RECONNECT_S = 0.5


class Watcher:
    """Calls looks on a connection of its own, which autocommits.

    Parameters
    ----------
    channels
        Notifications that cause a look.
    looks
        Run in turn; each must end soon, the others wait for it.
    every_s
        Pause between looks when nobody tells anything.
    """

    def __init__(self, url: str, channels: Sequence[str], looks: Sequence[Look], *, every_s: float) -> None:
        self._dsn = dsn(url)
        self._channels = channels
        self._looks = looks
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()

    async def start(self, *, wait_s: float = 0.0) -> None:
        """Begin; wait a little for the first look, and go on without it when the database takes longer."""
        self._task = asyncio.create_task(self._run(), name="watcher")
        if wait_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._looked.wait(), wait_s)

    async def stop(self) -> None:
        """End and wait for the end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._watch()
            except Exception as error:
                # The database is away, or migrating: what is kept grows stale, its users notice and ask in SQL.
                log.warning("watch_lost", error=type(error).__name__)
            await asyncio.sleep(_RECONNECT_S)

    async def _watch(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=5,
            application_name=f"{APPLICATION_NAME}-watch",
            options="-c statement_timeout=15000 -c timezone=UTC",
        ) as connection:
            connection.prepare_threshold = 1
            for channel in self._channels:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            while True:
                for look in self._looks:
                    await look(connection)
                self._looked.set()
                # Ends at the first notification, or when it is time to look anyway.
                async for _ in connection.notifies(timeout=self._every_s, stop_after=1):
                    pass
