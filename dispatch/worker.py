"""The worker: runs the duties until told to stop. Any number of workers may run.

Deadlines are rows, not timers (decision 0005): after a crash or a long outage the sweep simply finds more rows due.
Each pass is one short transaction; a stop request is honoured between passes, so nothing is left half done.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.auditor import Auditor
from dispatch.handover import hand_over
from dispatch.ladder_sweep import sweep
from dispatch.notices import LogNotifier, Message, NoticeLane, Notifier, UnreachableError, relay
from dispatch.queries import load_reference
from dispatch.reference import Reference, ReferenceCache
from dispatch.settings import DispatchSettings
from dispatch.stages import run_stages
from dispatch.storage.worker import signal
from dispatch.words import read_words
from geo.storage.engine import unavailable
from geo.storage.uow import WriteUnit, read_unit, write_unit

__all__ = ["Duty", "LogNotifier", "Message", "Notifier", "UnreachableError", "Worker", "relay", "sweep"]

log = structlog.get_logger("gridward.worker")

#: Longest pause after failures. Units: seconds.
_PATIENCE_S = 10.0


class Duty(Protocol):
    """Port for work that opens its own units, such as webhooks; several of one name share the work."""

    @property
    def name(self) -> str:
        """Name under which the duty gives its sign of life."""
        ...

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Do what is due and return how much it was; come back soon once a stop is asked for."""
        ...


@dataclass(slots=True)
class Worker:
    """Runs the duties until told to stop."""

    engine: AsyncEngine
    settings: DispatchSettings
    notifiers: tuple[Notifier, ...] = (LogNotifier(),)
    further: tuple[Duty, ...] = ()
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _reference: ReferenceCache = field(init=False)

    def __post_init__(self) -> None:
        self._reference = ReferenceCache(self._load)

    def stop(self) -> None:
        """Ask for a graceful end: the passes in flight commit, no new one begins."""
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped. A lost database is waited for, not died of."""
        lane = NoticeLane(engine=self.engine, notifiers=self.notifiers, most_attempts=self.settings.relay_most_attempts)
        auditor = Auditor(engine=self.engine, settings=self.settings, reference=self._reference.get)
        async with asyncio.TaskGroup() as duties:
            duties.create_task(self._repeat("sweep", partial(self._own, "sweep", self._sweep)))
            duties.create_task(self._repeat("relay", partial(self._own, "relay", self._relay)))
            duties.create_task(self._repeat("hand_over", partial(self._own, "hand_over", self._hand_over)))
            duties.create_task(self._repeat("stages", partial(self._own, "stages", self._stages)))
            duties.create_task(self._repeat("words", partial(self._own, "words", read_words)))
            # It signs for itself, and only when it has seen that all is well.
            audit = partial(auditor.run_once, self._stop)
            duties.create_task(self._repeat("auditor", audit, self.settings.audit_every_s))
            for duty in (lane, *self.further):
                duties.create_task(self._repeat(duty.name, partial(self._brought, duty)))

    async def _load(self) -> Reference:
        async with read_unit(self.engine, snapshot=True) as unit:
            return await load_reference(unit)

    async def _sweep(self, unit: WriteUnit) -> int:
        most = self.settings.relay_most_attempts
        reference = await self._reference.get()
        return await sweep(unit, batch=self.settings.sweep_batch, reference=reference, most_attempts=most)

    async def _stages(self, unit: WriteUnit) -> int:
        return await run_stages(unit, batch=self.settings.sweep_batch)

    async def _hand_over(self, unit: WriteUnit) -> int:
        return await hand_over(unit, batch=self.settings.sweep_batch)

    async def _relay(self, unit: WriteUnit) -> int:
        most = self.settings.relay_most_attempts
        return await relay(unit, self.notifiers, batch=self.settings.relay_batch, most_attempts=most)

    async def _own(self, duty: str, once: Callable[[WriteUnit], Awaitable[int]]) -> int:
        async with write_unit(self.engine) as unit:
            taken = await once(unit)
            await signal(unit, duty)
        return taken

    async def _brought(self, duty: Duty) -> int:
        # It opens its own units: it may talk to the network, and no transaction should wait for that.
        taken = await duty.run_once(self._stop)
        async with write_unit(self.engine) as unit:
            await signal(unit, duty.name)
        return taken

    async def _repeat(self, duty: str, once: Callable[[], Awaitable[int]], every_s: float | None = None) -> None:
        rest_s = self.settings.sweep_every_s if every_s is None else every_s
        patience_s = rest_s
        while not self._stop.is_set():
            taken = 0
            try:
                taken = await once()
                patience_s = rest_s
            except Exception as error:
                if unavailable(error) is None:
                    log.exception("duty_failed", duty=duty)
                else:
                    log.warning("database_away", duty=duty)
                patience_s = min(patience_s * 2, max(rest_s, _PATIENCE_S))
            if not taken:
                # Workers that were started together must not look together for ever after.
                pause_s = patience_s * random.uniform(0.75, 1.0)  # noqa: S311 - no secret
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), pause_s)
