"""The worker's duty "webhooks": one lane serves one webhook at a time, and any number of lanes and workers may run.

A lane leases a webhook in a short transaction, sends without any transaction open (a waiting one would hold back the
feed for everybody), and writes what came of it in another. A worker that dies leaves its lease, which runs out; what
it had sent and not written down is sent again under the same ``webhook-id``.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import structlog
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.sight import limited
from api.settings import Settings
from api.webhooks.addresses import parse_networks
from api.webhooks.messages import event_body, message_id, trial_body
from api.webhooks.schedule import wait_after
from api.webhooks.sender import Answer, Sender
from api.webhooks.signing import headers
from dispatch.feed import Cursor, FeedEvent, FeedPage, read_event, read_page
from dispatch.queries import database_now
from geo.storage.uow import Viewer, read_unit, write_unit

log = structlog.get_logger("gridward.webhooks")

_PAGE: Final = 50
_IMPORTED: Final = "case.imported.v1"
#: A lease outlives the longest attempt by this. Units: seconds.
_LEASE_MARGIN_S: Final = 5.0
#: A lane turns to the next webhook after this, however much is left: slow receivers must not keep the others waiting,
#: nor the worker from giving its sign of life. Units: seconds.
_TURN_S: Final = 10.0
_GONE: Final = 410

# The next event is looked up in the feed's order: asked whether there is any, the planner read all events there are.
_LEASE = """
UPDATE api.webhook AS w
   SET lease = %(lease)s, leased_until = now() + make_interval(secs => %(seconds)s), turn_at = now()
  FROM (SELECT c.id
          FROM api.webhook AS c
         WHERE (c.leased_until IS NULL OR c.leased_until < now())
           AND (EXISTS (SELECT FROM api.webhook_delivery AS d WHERE d.webhook_id = c.id AND d.state = 'waiting')
                OR c.state = 'active' AND c.next_attempt_at <= now()
                   AND (SELECT e.txid FROM dispatch.case_event AS e
                         WHERE (e.txid, e.id) > (c.cursor_txid::text::xid8, c.cursor_event)
                         ORDER BY e.txid, e.id LIMIT 1) < pg_snapshot_xmin(pg_current_snapshot()))
         ORDER BY c.turn_at LIMIT 1
           FOR UPDATE SKIP LOCKED) AS f
 WHERE w.id = f.id
RETURNING w.*, w.state = 'active' AND w.next_attempt_at <= now() AS is_due,
          ARRAY (SELECT s.secret FROM api.webhook_secret AS s
                  WHERE s.webhook_id = w.id AND (s.expires_at IS NULL OR s.expires_at > now())
                  ORDER BY s.id DESC) AS secrets
"""
_DELIVERED = """
UPDATE api.webhook SET cursor_txid = %(txid)s, cursor_event = %(event)s, failures = 0, last_success_at = now(),
       leased_until = now() + make_interval(secs => %(seconds)s)
 WHERE id = %(id)s AND lease = %(lease)s RETURNING id
"""
_FAILED = """
UPDATE api.webhook SET failures = %(failures)s, next_attempt_at = now() + make_interval(secs => %(wait)s),
       state = %(state)s, stopped_at = CASE WHEN %(state)s <> 'active' THEN now() END
 WHERE id = %(id)s AND lease = %(lease)s RETURNING id
"""
_LOGGED = """
INSERT INTO api.webhook_delivery (webhook_id, kind, event_id, message_id, type, state, attempt, status, error,
                                  duration_ms, finished_at)
VALUES (%(id)s, 'event', %(event)s, %(message)s, %(type)s, %(state)s, %(attempt)s, %(status)s, %(error)s, %(ms)s,
        clock_timestamp())
"""
_LOGGED_BY_HAND = """
UPDATE api.webhook_delivery SET message_id = %(message)s, state = %(state)s, status = %(status)s, error = %(error)s,
       duration_ms = %(ms)s, finished_at = clock_timestamp() WHERE id = %(delivery)s
"""
_RELEASED = """
UPDATE api.webhook SET lease = NULL, leased_until = NULL, cursor_txid = coalesce(%(txid)s, cursor_txid),
       cursor_event = coalesce(%(event)s, cursor_event) WHERE id = %(id)s AND lease = %(lease)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One lease of one webhook."""

    webhook: dict[str, Any]
    lease: UUID
    until: float

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.until

    @property
    def id(self) -> int:
        number: int = self.webhook["id"]
        return number

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.webhook["cursor_txid"], self.webhook["cursor_event"])

    @property
    def viewer(self) -> Viewer | None:
        """The eyes of whoever made it; None: the channel's condition is all there is."""
        cells, departments = self.webhook["cells"], self.webhook["departments"]
        if not cells and not departments:
            return None
        return limited(channel=self.webhook["channel_code"], cells=cells, departments=departments).viewer()


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookLane:
    """Serves the webhook whose turn it is."""

    engine: AsyncEngine
    sender: Sender
    name: str = "webhooks"

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Take one turn; return 0 when no webhook has anything to send."""
        turn = await self._begin()
        if turn is None:
            return 0
        reached: Cursor | None = None
        try:
            held = await self._by_hand(turn, stopping)
            if held and turn.webhook["is_due"]:
                reached = await self._events(turn, stopping)
        finally:
            await self._end(turn, reached)
        return 1

    async def _begin(self) -> _Turn | None:
        lease = uuid4()
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            async with driver.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(_LEASE, {"lease": lease, "seconds": self._lease_s})
                row = await cursor.fetchone()
        return _Turn(webhook=row, lease=lease, until=time.monotonic() + _TURN_S) if row is not None else None

    @property
    def _lease_s(self) -> float:
        return self.sender.timeout_s + _LEASE_MARGIN_S

    async def _end(self, turn: _Turn, reached: Cursor | None) -> None:
        values = {"txid": reached.txid if reached else None, "event": reached.event_id if reached else None}
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            await driver.execute(_RELEASED, {**values, "id": turn.id, "lease": turn.lease})

    async def _events(self, turn: _Turn, stopping: asyncio.Event) -> Cursor | None:
        """Send a page of events in order; return the place that is reached when all went well."""
        page = await self._read(turn)
        for event in page.events:
            if stopping.is_set() or turn.is_over:
                return None
            answer = await self._send(turn, message_id(event), event_body(event))
            if not await self._note(turn, event, answer):
                return None
        return page.next

    async def _read(self, turn: _Turn) -> FeedPage:
        types: list[str] = turn.webhook["types"]
        async with read_unit(self.engine, viewer=turn.viewer) as unit:
            return await read_page(
                unit,
                turn.cursor,
                limit=_PAGE,
                as_of=await database_now(unit),
                channel=turn.webhook["channel_code"],
                types=types,
                # Imported history is not news, unless somebody names it.
                with_imports=_IMPORTED in types,
                is_limited=turn.viewer is not None,
            )

    async def _send(self, turn: _Turn, message: str, body: bytes) -> Answer:
        signed = headers(turn.webhook["secrets"], message, int(time.time()), body)
        return await self.sender.post(turn.webhook["url"], body, signed)

    async def _note(self, turn: _Turn, event: FeedEvent, answer: Answer) -> bool:
        """Write down what came of an attempt; tell whether to go on with the next event."""
        failures = 0 if answer.is_success else turn.webhook["failures"] + 1
        attempt = turn.webhook["failures"] + 1
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            values = {"id": turn.id, "lease": turn.lease, "event": event.cursor.event_id, "txid": event.cursor.txid}
            if answer.is_success:
                held = await driver.execute(_DELIVERED, {**values, "seconds": self._lease_s})
            else:
                held = await driver.execute(_FAILED, {**values, **_verdict(failures, answer)})
            shown = {"message": message_id(event), "type": event.type, "attempt": attempt, **_facts(answer)}
            await driver.execute(_LOGGED, {**values, **shown})
        turn.webhook["failures"] = failures
        if not answer.is_success:
            log.warning("webhook_failed", webhook=turn.id, failures=failures, status=answer.status, error=answer.error)
        return answer.is_success and held.rowcount == 1

    async def _by_hand(self, turn: _Turn, stopping: asyncio.Event) -> bool:
        """Send what was asked for by hand, once each; tell whether to go on with events."""
        async with read_unit(self.engine) as unit:
            driver = await unit.driver()
            async with driver.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(
                    "SELECT id, event_id, created_at FROM api.webhook_delivery"
                    " WHERE webhook_id = %s AND state = 'waiting' ORDER BY id LIMIT %s",
                    (turn.id, _PAGE),
                )
                asked = await cursor.fetchall()
        for row in asked:
            if stopping.is_set() or turn.is_over or not await self._renew(turn):
                return False
            message, body = f"test_{row['id']}", trial_body(row["created_at"])
            if row["event_id"] is not None:
                async with read_unit(self.engine, viewer=turn.viewer) as unit:
                    event = await read_event(unit, row["event_id"], as_of=await database_now(unit))
                message, body = (message_id(event), event_body(event)) if event else ("", b"")
            # Events are never deleted, but a case may have left the area of whoever asks for it once more.
            answer = await self._send(turn, message, body) if body else Answer(error="out of sight")
            async with write_unit(self.engine) as write:
                driver = await write.driver()
                values = {"delivery": row["id"], "message": message, **_facts(answer)}
                await driver.execute(_LOGGED_BY_HAND, values)
                if answer.status == _GONE:
                    verdict = _verdict(turn.webhook["failures"], answer)
                    await driver.execute(_FAILED, {"id": turn.id, "lease": turn.lease, **verdict})
            if answer.status == _GONE:
                return False
        return not asked or await self._renew(turn)

    async def _renew(self, turn: _Turn) -> bool:
        async with write_unit(self.engine) as unit:
            driver = await unit.driver()
            held = await driver.execute(
                "UPDATE api.webhook SET leased_until = now() + make_interval(secs => %s) WHERE id = %s AND lease = %s",
                (self._lease_s, turn.id, turn.lease),
            )
        return held.rowcount == 1


def _verdict(failures: int, answer: Answer) -> dict[str, Any]:
    if answer.status == _GONE:
        return {"failures": failures, "wait": 0.0, "state": "gone"}
    # Spreading retries needs no secrecy.
    wait_s = wait_after(failures, chance=random.random(), retry_after_s=answer.retry_after_s)  # noqa: S311
    return {"failures": failures, "wait": wait_s or 0.0, "state": "active" if wait_s is not None else "parked"}


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "state": "delivered" if answer.is_success else "failed",
        "status": answer.status,
        "error": answer.error,
        "ms": round(answer.duration_s * 1000),
    }


def webhook_lanes(engine: AsyncEngine, settings: Settings) -> tuple[WebhookLane, ...]:
    """The duty's lanes, for the worker."""
    sender = Sender(networks=parse_networks(settings.webhook_networks), timeout_s=settings.webhook_timeout_s)
    return tuple(WebhookLane(engine=engine, sender=sender) for _ in range(settings.webhook_lanes))
