"""Telling people: the outbox relay turns committed events into notices, and lanes hand these to the notifiers.

A notice is a row of ``dispatch.notification``: UNIQUE(event, person, medium) makes a repeated relay harmless, its state
says what came of it. Sending happens with no transaction open: a slow mail server must not hold back the feed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.notice_listeners import ENDORSED, approving, assisting
from dispatch.posts import find_head, parse_ladder
from dispatch.storage.statements import statement
from dispatch.storage.worker import describe, wait_after
from dispatch.workflow import Move, event_type
from geo.storage.uow import WriteUnit, write_unit

__all__ = ["Contact", "LogNotifier", "Message", "NoticeLane", "Notifier", "UnreachableError", "relay"]

log = structlog.get_logger("gridward.worker")

#: Notices that one turn of a lane sends, and how many of them at the same time.
_BATCH: Final = 100
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How a person can be told, and in which language."""

    name: str = ""
    phone: str = ""
    email: str = ""
    wecom: str = ""
    locale: str = "zh-CN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a person is told; ``key`` names the sentences in the catalogues.

    ``id`` stays the same at every attempt, so that a receiver can tell a repeat.
    """

    person_id: UUID
    key: str
    params: dict[str, Any]
    id: int = 0
    contact: Contact = Contact()


class UnreachableError(Exception):
    """The person has no address for this medium: trying again would change nothing."""


class Notifier(Protocol):
    """Port through which people are told: log, mail, SMS, WeCom."""

    @property
    def medium(self) -> str:
        """Name of the medium, part of the notice's key."""
        ...

    async def send(self, message: Message) -> None:
        """Deliver, or raise: it is tried again later, and parked when it keeps failing.

        Raises
        ------
        UnreachableError
            The person has no address for the medium.
        """
        ...


@dataclass(frozen=True, slots=True)
class LogNotifier:
    """Tells by writing to the log: ids and keys only, never names or phones."""

    medium: str = "log"

    async def send(self, message: Message) -> None:
        """Write one line."""
        log.info("told", person=str(message.person_id), key=message.key, case=message.params.get("case"))


async def relay(unit: WriteUnit, notifiers: Sequence[Notifier], *, batch: int, most_attempts: int) -> int:
    """Turn committed events into notices, one per person and medium; return how many outbox rows were taken."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement("relay"), {"batch": batch})
        rows = await cursor.fetchall()
    done = [row["id"] for row in rows]
    try:
        # All in one savepoint: one by one costs ten times as much, and the rush at a deadline waits behind it.
        async with driver.transaction():
            await _tell(unit, rows, notifiers)
    except psycopg.OperationalError:
        raise  # the transaction is lost; the rows stay for the next pass
    except Exception:
        done = [row["id"] for row in rows if await _tell_alone(unit, row, notifiers, most_attempts)]
    if done:
        await driver.execute("DELETE FROM dispatch.outbox WHERE id = ANY (%s)", (done,))
    return len(rows)


async def _tell_alone(unit: WriteUnit, row: dict[str, Any], notifiers: Sequence[Notifier], most_attempts: int) -> bool:
    """One event in a savepoint of its own: one that cannot be told must not hold up all the others."""
    driver = await unit.driver()
    try:
        async with driver.transaction():
            await _tell(unit, [row], notifiers)
    except psycopg.OperationalError:
        raise
    except Exception as error:
        await _put_off(unit, row, error, most_attempts)
        return False
    return True


_INSERT: Final = """
INSERT INTO dispatch.notification (event_id, person_id, medium, body_key, params)
SELECT n.event_id, n.person_id, m.medium, n.key, n.params
  FROM ROWS FROM (jsonb_to_recordset(%(notices)s::jsonb)
                    AS (event_id bigint, person_id uuid, key text, params jsonb)) WITH ORDINALITY
         AS n (event_id, person_id, key, params, place)
 CROSS JOIN unnest(%(media)s::text[]) AS m (medium)
 WHERE NOT EXISTS (SELECT FROM dispatch.person_contact AS c
                    WHERE c.person_id = n.person_id AND m.medium = ANY (c.muted))
 ORDER BY n.place
    ON CONFLICT ON CONSTRAINT uq_notification_once DO NOTHING
"""


async def _tell(unit: WriteUnit, rows: Sequence[dict[str, Any]], notifiers: Sequence[Notifier]) -> None:
    helpers, leaders = await assisting(unit, rows), await approving(unit, rows)
    notices = [notice for row in rows for notice in _notices_of(row, helpers.get(row["id"]), leaders.get(row["id"]))]
    if notices:
        driver = await unit.driver()
        media = [notifier.medium for notifier in notifiers]
        await driver.execute(_INSERT, {"notices": Jsonb(notices), "media": media})


def _notices_of(row: dict[str, Any], helper: UUID | None, leader: UUID | None) -> list[dict[str, Any]]:
    told = [(person, f"notice.{row['type'].split('.')[1]}") for person in _concerned(row)]
    if leader is not None:
        told.append((leader, f"notice.{row['type'].split('.')[1]}"))
    if helper is not None:
        # After the owner: whoever is both is told that it is theirs.
        told.append((helper, f"notice.{ASSISTING}"))
    if not told:
        return []
    payload = row["payload"]
    said = (
        "rung",
        "rung_zh",
        "rung_en",
        "told_zh",
        "told_en",
        "reason",
        "until",
        "leg",
        "department_zh",
        "department_en",
    )
    params = {
        "case": row["ref"],
        "category_zh": row["category_zh"],
        "category_en": row["category_en"],
        "address": row["address"],
        "due_at": _due_of(row),
        "time_zone": row["time_zone"],
        **{name: payload[name] for name in said if payload.get(name)},
    }
    return [
        {"event_id": row["event_id"], "person_id": str(person), "key": key, "params": params} for person, key in told
    ]


def _due_of(row: dict[str, Any]) -> str | None:
    """The deadline that a notice names: of the leg whose rung it is, else of the case."""
    if row["payload"].get("rung") and row["payload"].get("leg"):
        return str(row["payload"]["due_at"])
    return row["due_at"].isoformat() if row["due_at"] else None


#: Acts that the owner must hear of, whoever that is by now.
_OWNERS_NEWS: Final = frozenset(
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
) | {"case.leg_handled.v1", "case.leg_signed.v1", "case.deadline_recomputed.v1"}
#: Acts that name in their payload whom they tell.
_NAMED: Final = frozenset(
    {
        "case.reminded.v1",
        "case.escalated.v1",
        "case.escalated_at_once.v1",
        "case.not_acknowledged.v1",
        "case.handed_over.v1",
        "case.leg_redispatched.v1",
        "case.leg_settled.v1",
        "case.leg_rejected.v1",
        "case.phase_overdue.v1",
    }
)
#: Acts that open legs of joint work: each department's handler hears of it.
_SPLITTING: Final = frozenset({event_type(Move.SPLIT_JOINT), event_type(Move.OPEN_OPERATION)})
ASSISTING: Final = "assisting"
#: Every notice has its sentences in the catalogues: ``notice.<kind>`` and ``notice.<kind>.subject``.
NOTICES: Final = (
    *sorted(kind.split(".")[1] for kind in _OWNERS_NEWS | _NAMED | _SPLITTING | {"case.dispatched.v1", ENDORSED}),
    ASSISTING,
)


def _concerned(row: dict[str, Any]) -> tuple[UUID, ...]:
    if row["type"] not in _SPLITTING:
        one = _concerned_one(row)
        return (one,) if one is not None else ()
    told = {leg["told_person_id"] for leg in row["payload"].get("legs", ()) if leg.get("told_person_id")}
    # Whoever leads an operation hears of it as well; of a split the owner knows, for it is their case.
    leads = {str(row["owner_person_id"])} if row["type"] == event_type(Move.OPEN_OPERATION) else set()
    return tuple(UUID(person) for person in sorted((told | leads) - {"None"}))


def _concerned_one(row: dict[str, Any]) -> UUID | None:
    kind, payload = row["type"], row["payload"]
    if kind in _NAMED:
        told = payload.get("told_person_id")
        return UUID(told) if told else None
    if kind == event_type(Move.DISPATCH):
        # The head named by the event itself: by now the case may belong to somebody else.
        head = find_head(parse_ladder(payload.get("ladder")))
        if head:
            return head.rung.person_id
    if kind == event_type(Move.DISPATCH) or kind in _OWNERS_NEWS:
        owner: UUID | None = row["owner_person_id"]
        return owner
    return None


async def _put_off(unit: WriteUnit, row: dict[str, Any], error: Exception, most_attempts: int) -> None:
    attempts = row["attempts"] + 1
    driver = await unit.driver()
    await driver.execute(
        "UPDATE dispatch.outbox SET attempts = %s, last_error = %s,"
        " next_attempt_at = now() + make_interval(secs => %s),"
        " parked_at = CASE WHEN %s THEN now() END WHERE id = %s",
        (attempts, describe(error), wait_after(attempts), attempts >= most_attempts, row["id"]),
    )
    log.warning("outbox_retry", outbox=row["id"], attempts=attempts, parked=attempts >= most_attempts)


_LEASE: Final = """
WITH due AS (
  SELECT n.id FROM dispatch.notification AS n
   WHERE n.state = 'waiting' AND n.next_attempt_at <= now() AND n.medium = ANY (%(media)s)
   ORDER BY n.next_attempt_at, n.id LIMIT %(batch)s
     FOR UPDATE SKIP LOCKED)
UPDATE dispatch.notification AS n
   SET attempts = n.attempts + 1, next_attempt_at = now() + make_interval(secs => %(seconds)s)
  FROM due, dispatch.person AS p
  LEFT JOIN dispatch.person_contact AS c ON c.person_id = p.id
 WHERE n.id = due.id AND p.id = n.person_id
RETURNING n.id, n.person_id, n.medium, n.body_key, n.params, n.attempts, p.name, p.phone, c.email, c.wecom,
          coalesce(c.locale, 'zh-CN') AS locale
"""
_DONE: Final = """
UPDATE dispatch.notification AS n
   SET state = r.state, last_error = r.error, sent_at = CASE WHEN r.state = 'sent' THEN clock_timestamp() END,
       next_attempt_at = now() + make_interval(secs => r.wait_s)
  FROM jsonb_to_recordset(%s) AS r (id bigint, state text, error text, wait_s float8)
 WHERE n.id = r.id AND n.state = 'waiting'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLane:
    """Sends waiting notices: leases some, sends them with no transaction open, writes down what came of it.

    Parameters
    ----------
    longest_s
        No attempt takes longer; a lease outlives it. Units: seconds.
    """

    engine: AsyncEngine
    notifiers: tuple[Notifier, ...] = (LogNotifier(),)
    most_attempts: int = 8
    longest_s: float = 30.0
    batch: int = _BATCH
    name: str = "notices"

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Send a batch; return how many were tried."""
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            async with driver.cursor(row_factory=dict_row) as cursor:
                media = [notifier.medium for notifier in self.notifiers]
                # Everything of a batch is sent in rounds; the lease covers all of them.
                seconds = self.longest_s * (self.batch / _AT_ONCE + 1)
                await cursor.execute(_LEASE, {"media": media, "batch": self.batch, "seconds": seconds})
                rows = await cursor.fetchall()
        if not rows:
            return 0
        turns = asyncio.Semaphore(_AT_ONCE)
        results = await asyncio.gather(*(self._try(row, turns, stopping) for row in rows))
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            await driver.execute(_DONE, (Jsonb(list(results)),))
        return len(rows)

    async def _try(self, row: dict[str, Any], turns: asyncio.Semaphore, stopping: asyncio.Event) -> dict[str, Any]:
        async with turns:
            if stopping.is_set():
                # Leased and not tried: the next worker takes it at once.
                return _result(row, "waiting", "stopped", 0.0)
            notifier = next(one for one in self.notifiers if one.medium == row["medium"])
            try:
                async with asyncio.timeout(self.longest_s):
                    await notifier.send(_message(row))
            except UnreachableError as error:
                return _result(row, "unreachable", str(error), 0.0)
            except Exception as error:
                parked = row["attempts"] >= self.most_attempts
                log.warning("notice_failed", notice=row["id"], medium=row["medium"], parked=parked)
                return _result(row, "parked" if parked else "waiting", describe(error), wait_after(row["attempts"]))
            return _result(row, "sent", None, 0.0)


def _result(row: dict[str, Any], state: str, error: str | None, wait_s: float) -> dict[str, Any]:
    return {"id": row["id"], "state": state, "error": error, "wait_s": wait_s}


def _message(row: dict[str, Any]) -> Message:
    return Message(
        person_id=row["person_id"],
        key=row["body_key"],
        params=row["params"],
        id=row["id"],
        contact=Contact(
            name=row["name"],
            phone=row["phone"] or "",
            email=row["email"] or "",
            wecom=row["wecom"] or "",
            locale=row["locale"],
        ),
    )
