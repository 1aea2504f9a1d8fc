"""The worker's watch: one question to the database, several times a second, that wakes the duties which have work.

Ten duties that each look for themselves are ten transactions a second and worker, of which an idle office needs none.
A watch that fails to wake a duty would cost time and not a rung: every duty also looks by itself now and then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.states import HAND_OVER_STATES
from dispatch.storage.statements import statement
from dispatch.storage.worker import sign_idle
from geo.storage.uow import write_unit

__all__ = ["WATCHED", "Watch"]

#: Duties that sleep until there is something to do.
WATCHED: Final = ("sweep", "relay", "hand_over", "stages", "words", "notices")
#: A sign of life of a duty is written this often: often enough for whoever asks, seldom enough for its row, which the
#: workers share. Units: seconds.
_SIGN_EVERY_S: Final = 4.0


@dataclass(slots=True, kw_only=True)
class Watch:
    """Wakes duties, and signs for those that have nothing to do.

    Parameters
    ----------
    media
        Those that this worker sends notices by.
    """

    engine: AsyncEngine
    media: Sequence[str]
    wakes: dict[str, asyncio.Event] = field(default_factory=lambda: {duty: asyncio.Event() for duty in WATCHED})
    _resting: set[str] = field(default_factory=set)
    _signed_at: dict[str, float] = field(default_factory=dict)

    def wake_all(self) -> None:
        """Wake everybody: the worker is to stop."""
        for wake in self.wakes.values():
            wake.set()

    async def rest(self, duty: str, most_s: float) -> None:
        """Sleep until there is work for a duty, or so long at most."""
        wake = self.wakes[duty]
        self._resting.add(duty)
        try:
            async with asyncio.timeout(most_s):
                await wake.wait()
        except TimeoutError:
            pass
        finally:
            self._resting.discard(duty)
            wake.clear()

    def should_sign(self, duty: str) -> bool:
        """Whether a duty's sign of life is due; whoever asks writes it."""
        now = time.monotonic()
        if now - self._signed_at.get(duty, float("-inf")) < _SIGN_EVERY_S:
            return False
        self._signed_at[duty] = now
        return True

    async def look(self) -> int:
        """Look once; return how many duties have work."""
        due = await self._ask()
        for duty in due:
            self.wakes[duty].set()
        # A duty signs for itself after work; one that fails, or hangs in its work, is silent, and nobody signs for it.
        idle = [duty for duty in sorted(self._resting - set(due)) if self.should_sign(duty)]
        if idle:
            async with write_unit(self.engine) as unit:
                await sign_idle(unit, idle)
        return len(due)

    async def _ask(self) -> list[str]:
        states = "state IN (" + ", ".join(f"'{state}'" for state in sorted(HAND_OVER_STATES)) + ")"
        query = statement("due").replace("{states}", states)
        async with self.engine.connect() as connection:
            # A statement by itself: begin and commit would be two more round trips for one answer.
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            raw = await connection.get_raw_connection()
            driver: Any = raw.driver_connection
            async with driver.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(query, {"media": list(self.media)})
                row = await cursor.fetchone()
        assert row is not None
        return [duty for duty, is_due in row.items() if is_due]
