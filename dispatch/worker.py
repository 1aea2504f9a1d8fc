"""The worker: runs the duties until told to stop. Any number of workers may run.

Deadlines are rows, not timers (decision 0005): after a crash or a long outage the sweep simply finds more rows due.
Each pass is one short transaction; a stop request is honoured between passes, so nothing is left half done. Duties
without work sleep; the watch (`dispatch/watch.py`) wakes them. After a pass that was not full they sleep as well: so a
rush makes the passes larger, not more. Each costs its dozen round trips whatever it finds, and eight workers that
look all the time take the machine from each other just when it matters.
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

from dispatch.auditor import DUTY as AUDIT
from dispatch.auditor import Auditor
from dispatch.handover import hand_over
from dispatch.ladder_sweep import sweep
from dispatch.notices import LogNotifier, Message, NoticeLane, Notifier, UnreachableError, relay
from dispatch.queries import load_reference, read_stamp
from dispatch.reference import Reference, ReferenceCache
from dispatch.settings import DispatchSettings
from dispatch.stages import run_stages
from dispatch.storage.worker import is_signed, signal
from dispatch.watch import WATCHED, Watch
from dispatch.words import BATCH as WORDS_BATCH
from dispatch.words import read_words
from geo.storage.engine import unavailable
from geo.storage.uow import WriteUnit, read_unit, write_unit

__all__ = ["Duty", "LogNotifier", "Message", "Notifier", "UnreachableError", "Worker", "relay", "sweep"]

log = structlog.get_logger("gridward.worker")

#: Longest pause after failures. Units: seconds.
_PATIENCE_S = 10.0
#: A duty that nobody wakes looks by itself after so long. Units: seconds.
_LOOK_ANYWAY_S = 20.0


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
    _watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self._reference = ReferenceCache(self._load, self._stamp)
        self._watch = Watch(engine=self.engine, media=[notifier.medium for notifier in self.notifiers])

    def stop(self) -> None:
        """Ask for a graceful end: the passes in flight commit, no new one begins."""
        self._stop.set()
        self._watch.wake_all()

    async def run(self) -> None:
        """Run until stopped. A lost database is waited for, not died of."""
        lane = NoticeLane(engine=self.engine, notifiers=self.notifiers, most_attempts=self.settings.relay_most_attempts)
        auditor = Auditor(engine=self.engine, settings=self.settings, reference=self._reference.get)
        batch = self.settings.sweep_batch
        own: dict[str, tuple[Callable[[WriteUnit], Awaitable[int]], int]] = {
            "sweep": (self._sweep, batch),
            "relay": (self._relay, self.settings.relay_batch),
            "hand_over": (self._hand_over, batch),
            "stages": (self._stages, batch),
            "words": (read_words, WORDS_BATCH),
        }
        async with asyncio.TaskGroup() as duties:
            for name, (once, full) in own.items():
                duties.create_task(self._repeat(name, partial(self._own, name, once), full=full))
            duties.create_task(self._repeat(AUDIT, partial(self._audit, auditor), self.settings.audit_every_s))
            duties.create_task(self._repeat(lane.name, partial(self._brought, lane), full=lane.batch))
            for duty in self.further:
                duties.create_task(self._repeat(duty.name, partial(self._brought, duty)))
            duties.create_task(self._repeat("watch", self._look))

    async def _load(self) -> Reference:
        async with read_unit(self.engine, snapshot=True) as unit:
            return await load_reference(unit)

    async def _stamp(self) -> str:
        async with read_unit(self.engine) as unit:
            return await read_stamp(unit)

    async def _look(self) -> int:
        await self._watch.look()
        # Whoever has work works on until nothing is left; the next look can wait.
        return 0

    async def _audit(self, auditor: Auditor) -> int:
        """One of many workers looks, and signs for itself, only when it has seen that all is well."""
        async with read_unit(self.engine) as unit:
            # A little earlier than due: a pause may be shorter than the full one, and skipping would double it.
            if await is_signed(unit, AUDIT, self.settings.audit_every_s * 0.7):
                return 0
        return await auditor.run_once(self._stop)

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
        await self._sign(duty)
        return taken

    async def _brought(self, duty: Duty) -> int:
        # It opens its own units: it may talk to the network, and no transaction should wait for that.
        taken = await duty.run_once(self._stop)
        await self._sign(duty.name)
        return taken

    async def _sign(self, duty: str) -> None:
        # In a transaction of its own: whoever holds the row of the signs makes all other workers wait for their commit.
        if self._watch.should_sign(duty):
            async with write_unit(self.engine) as unit:
                await signal(unit, duty)

    async def _repeat(
        self, duty: str, once: Callable[[], Awaitable[int]], every_s: float | None = None, *, full: int = 1
    ) -> None:
        rest_s = self.settings.sweep_every_s if every_s is None else every_s
        patience_s = rest_s
        while not self._stop.is_set():
            taken, has_failed = 0, False
            try:
                taken = await once()
                patience_s = rest_s
            except Exception as error:
                if unavailable(error) is None:
                    log.exception("duty_failed", duty=duty)
                else:
                    log.warning("database_away", duty=duty)
                patience_s = min(patience_s * 2, max(rest_s, _PATIENCE_S))
                has_failed = True
            if taken >= full or self._stop.is_set():
                continue
            # Workers that were started together must not look together for ever after.
            jitter = random.uniform(0.75, 1.0)  # noqa: S311 - no secret
            if duty in WATCHED and not has_failed:
                await self._watch.rest(duty, max(_LOOK_ANYWAY_S, rest_s) * jitter)
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), patience_s * jitter)
