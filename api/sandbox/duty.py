"""The worker's duty "sandbox": deadlines on the sandbox's clocks, and its webhooks."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from api.sandbox.clock import channels_due, run_due
from api.sandbox.database import exists, url_of
from api.settings import Settings
from api.webhooks.duty import webhook_lanes
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit

__all__ = ["SandboxDuty"]

#: While there is no sandbox, look for one this often. Units: seconds.
_LOOK_EVERY_S: Final = 10.0


class SandboxDuty:
    """Does for the sandbox what the worker's other duties do for the office. Nobody in it is told anything."""

    name = "sandbox"

    def __init__(self, settings: Settings, database_url: str) -> None:
        self._settings = settings
        self._url = url_of(database_url, settings.sandbox_database_url)
        self._engine: AsyncEngine | None = None
        self._looked_at = float("-inf")

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Do what is due; return how much it was."""
        engine = await self._open()
        if engine is None:
            return 0
        taken = 0
        try:
            for channel in await channels_due(engine):
                if stopping.is_set():
                    return taken
                taken += await run_due(engine, channel)
            async with write_unit(engine) as unit:
                # Committed events tell webhooks, which read the feed; people hear nothing of a rehearsal.
                await (await unit.driver()).execute("DELETE FROM dispatch.outbox")
            for lane in webhook_lanes(engine, self._settings)[:1]:
                taken += await lane.run_once(stopping)
        except Exception:
            # It may have been made anew, or be gone.
            await self.aclose()
            if await asyncio.to_thread(exists, self._url):
                raise
        return taken

    async def aclose(self) -> None:
        """Let go of the database."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    async def _open(self) -> AsyncEngine | None:
        if self._engine is None and time.monotonic() - self._looked_at > _LOOK_EVERY_S:
            self._looked_at = time.monotonic()
            if await asyncio.to_thread(exists, self._url):
                self._engine = create_engine(self._url, pool_size=2, statement_timeout_s=60.0, name="sandbox")
        return self._engine
