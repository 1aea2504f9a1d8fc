"""The worker's duties: the deadline sweep, the stage clocks and the outbox relay. Any number of workers may run.

Deadlines are rows, not timers (decision 0005): after a crash or a long outage the sweep simply finds more rows due.
Each pass is one short transaction; a stop request is honoured between passes, so nothing is left half done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Protocol
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.escalation import EscalationRung, find_told, is_still_due
from dispatch.handover import hand_over
from dispatch.moves import Actor, record_event
from dispatch.posts import find_head, parse_ladder
from dispatch.queries import database_now, responsible_at
from dispatch.settings import DispatchSettings
from dispatch.stages import run_stages
from dispatch.states import CaseState
from dispatch.storage.statements import statement
from dispatch.workflow import Move, event_type
from geo.storage.engine import unavailable
from geo.storage.uow import WriteUnit, write_unit

log = structlog.get_logger("gridward.worker")

SYSTEM = Actor(kind="system", id="worker")
_RETRY_S = (5, 30, 120, 600, 1800, 3600, 7200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person is told; ``key`` names the sentence in the catalogues."""

    person_id: UUID
    key: str
    params: dict[str, Any]


class Notifier(Protocol):
    """Port through which people are told (log now; mail, SMS and WeCom come through the same port)."""

    @property
    def medium(self) -> str:
        """Name of the medium, part of the receipt's key."""
        ...

    async def send(self, message: Message) -> None:
        """Deliver, or raise: the relay tries again later and parks what keeps failing."""
        ...


class Duty(Protocol):
    """Port for work that floors above bring along, such as webhooks; several of one name share the work."""

    @property
    def name(self) -> str:
        """Name under which the duty gives its sign of life."""
        ...

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Do what is due and return how much it was; come back soon once a stop is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class LogNotifier:
    """Tells by writing to the log: ids and keys only, never names or phones."""

    medium: str = "log"

    async def send(self, message: Message) -> None:
        """Write one line."""
        log.info("told", person=str(message.person_id), key=message.key, case=message.params.get("case"))


async def sweep(unit: WriteUnit, *, batch: int) -> int:
    """Fire the rungs that are due; return how many cases were taken.

    Notes
    -----
    Locks the case first, so a rung can never fire after the commit that handled or closed it.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement("sweep"), {"batch": batch})
        due = await cursor.fetchall()
    at = await database_now(unit)
    for case in due:
        if is_still_due(CaseState(case["state"])):
            await _fire(unit, case, at)
        await driver.execute("UPDATE dispatch.dispatch_case SET next_rung_at = NULL WHERE id = %s", (case["id"],))
    return len(due)


async def _fire(unit: WriteUnit, case: dict[str, Any], at: datetime) -> None:
    driver = await unit.driver()
    ladder = await responsible_at(unit, case["jurisdiction"], tuple(case["cell_path"]), at)
    told = find_told(ladder, case["owner_post_id"])
    fired = await driver.execute(
        "INSERT INTO dispatch.escalation (case_id, rung, clock_epoch, person_id) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (case["id"], EscalationRung.DUE.value, case["clock_epoch"], told.person_id if told else None),
    )
    if fired.rowcount == 0:
        return
    await driver.execute("UPDATE dispatch.dispatch_case SET version = version + 1 WHERE id = %s", (case["id"],))
    await record_event(
        unit,
        case_id=case["id"],
        kind="case.escalated.v1",
        moves=["escalate"],
        from_state=case["state"],
        to_state=case["state"],
        at=at,
        actor=SYSTEM,
        payload={
            "rung": EscalationRung.DUE.value,
            "due_at": case["due_at"].isoformat(),
            "told_post_id": told.post_id if told else None,
            "told_zh": told.title_zh if told else None,
            "told_en": told.title_en if told else None,
            "told_person_id": str(told.person_id) if told else None,
        },
    )


async def relay(unit: WriteUnit, notifiers: tuple[Notifier, ...], *, batch: int, most_attempts: int) -> int:
    """Deliver what committed events cause; return how many outbox rows were taken."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement("relay"), {"batch": batch})
        rows = await cursor.fetchall()
    done: list[int] = []
    for row in rows:
        try:
            # A savepoint: a failed delivery must take its receipt back, or the retry would think it was sent.
            async with driver.transaction():
                await _tell(unit, row, notifiers)
        except psycopg.Error:
            raise  # the transaction is lost; the rows stay for the next pass
        except Exception as error:
            await _put_off(unit, row, error, most_attempts)
        else:
            done.append(row["id"])
    if done:
        await driver.execute("DELETE FROM dispatch.outbox WHERE id = ANY (%s)", (done,))
    return len(rows)


async def _tell(unit: WriteUnit, row: dict[str, Any], notifiers: tuple[Notifier, ...]) -> None:
    person_id = _concerned(row)
    if person_id is None:
        return
    driver = await unit.driver()
    params = {
        "case": row["ref"],
        "category_zh": row["category_zh"],
        "category_en": row["category_en"],
        "due_at": row["due_at"].isoformat() if row["due_at"] else None,
    }
    message = Message(person_id=person_id, key=f"notice.{row['type'].split('.')[1]}", params=params)
    for notifier in notifiers:
        # The row is the receipt: UNIQUE(event, person, medium) makes a repeated relay harmless.
        inserted = await driver.execute(
            "INSERT INTO dispatch.notification (event_id, person_id, medium, body_key, params)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT ON CONSTRAINT uq_notification_once DO NOTHING",
            (row["event_id"], person_id, notifier.medium, message.key, Jsonb(params)),
        )
        if inserted.rowcount:
            await notifier.send(message)


#: Acts that the owner must hear of, whoever that is by now.
_OWNERS_NEWS = frozenset(
    event_type(move)
    for move in (
        Move.RE_DISPATCH,
        Move.SETTLE,
        Move.CHECK_FAIL,
        Move.APPROVE_EXTENSION,
        Move.REFUSE_EXTENSION,
        Move.APPROVE_SUSPEND,
        Move.REFUSE_SUSPEND,
        Move.RESUME,
        Move.URGE,
        Move.SUPERVISE,
    )
)


def _concerned(row: dict[str, Any]) -> UUID | None:
    match row["type"]:
        case "case.escalated.v1" | "case.escalated_at_once.v1" | "case.not_acknowledged.v1" | "case.handed_over.v1":
            told = row["payload"].get("told_person_id")
            return UUID(told) if told else None
        case "case.dispatched.v1":
            # The head named by the event itself: by now the case may belong to somebody else.
            head = find_head(parse_ladder(row["payload"].get("ladder")))
            return head.rung.person_id if head else row["owner_person_id"]
        case _ if row["type"] in _OWNERS_NEWS:
            owner: UUID | None = row["owner_person_id"]
            return owner
    return None


async def _put_off(unit: WriteUnit, row: dict[str, Any], error: Exception, most_attempts: int) -> None:
    attempts = row["attempts"] + 1
    wait_s = _RETRY_S[min(attempts, len(_RETRY_S)) - 1]
    driver = await unit.driver()
    await driver.execute(
        "UPDATE dispatch.outbox SET attempts = %s, last_error = %s,"
        " next_attempt_at = now() + make_interval(secs => %s),"
        " parked_at = CASE WHEN %s THEN now() END WHERE id = %s",
        (attempts, f"{type(error).__name__}: {error}"[:500], wait_s, attempts >= most_attempts, row["id"]),
    )
    log.warning("outbox_retry", outbox=row["id"], attempts=attempts, parked=attempts >= most_attempts)


@dataclass(slots=True)
class Worker:
    """Runs the duties until told to stop."""

    engine: AsyncEngine
    settings: DispatchSettings
    notifiers: tuple[Notifier, ...] = (LogNotifier(),)
    further: tuple[Duty, ...] = ()
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Ask for a graceful end: the passes in flight commit, no new one begins."""
        self._stop.set()

    async def run(self) -> None:
        """Run until stopped. A lost database is waited for, not died of."""
        async with asyncio.TaskGroup() as duties:
            duties.create_task(self._repeat("sweep", partial(self._own, "sweep", self._sweep)))
            duties.create_task(self._repeat("relay", partial(self._own, "relay", self._relay)))
            duties.create_task(self._repeat("hand_over", partial(self._own, "hand_over", self._hand_over)))
            duties.create_task(self._repeat("stages", partial(self._own, "stages", self._stages)))
            for duty in self.further:
                duties.create_task(self._repeat(duty.name, partial(self._brought, duty)))

    async def _sweep(self, unit: WriteUnit) -> int:
        return await sweep(unit, batch=self.settings.sweep_batch)

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
            await _signal(unit, duty)
        return taken

    async def _brought(self, duty: Duty) -> int:
        # It opens its own units: it may talk to the network, and no transaction should wait for that.
        taken = await duty.run_once(self._stop)
        async with write_unit(self.engine) as unit:
            await _signal(unit, duty.name)
        return taken

    async def _repeat(self, duty: str, once: Callable[[], Awaitable[int]]) -> None:
        patience_s = self.settings.sweep_every_s
        while not self._stop.is_set():
            taken = 0
            try:
                taken = await once()
                patience_s = self.settings.sweep_every_s
            except Exception as error:
                if unavailable(error) is None:
                    log.exception("duty_failed", duty=duty)
                else:
                    log.warning("database_away", duty=duty)
                patience_s = min(patience_s * 2, 10.0)
            if not taken:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), patience_s)


async def _signal(unit: WriteUnit, duty: str) -> None:
    driver = await unit.driver()
    # At most every few seconds: a sign of life must not become the busiest row of the database.
    await driver.execute(
        "INSERT INTO dispatch.worker_signal AS w (duty) VALUES (%s) ON CONFLICT (duty) DO UPDATE SET seen_at = now()"
        " WHERE w.seen_at < now() - interval '5 seconds'",
        (duty,),
    )
