"""Webhooks in the database, as their owners see them: make, list, change, rotate, log, replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from api.accounts.office_area import KEY_IN_AREA
from api.webhooks.signing import key_of, make_secret
from dispatch.feed import Cursor
from geo.errors import ConflictError, NotFoundError
from geo.storage.uow import Unit, WriteUnit

#: A key signs beside its successor for a day, unless said otherwise. Units: seconds.
OVERLAP_S = 86_400
MOST_SECRETS = 5
_COLUMNS = (
    "w.id, w.channel_code AS channel, w.url, w.description, w.types, w.state, w.created_at, w.failures,"
    " w.cursor_txid, w.cursor_event, w.last_success_at, w.stopped_at,"
    " CASE WHEN w.state = 'active' AND w.failures > 0 THEN w.next_attempt_at END AS next_attempt_at,"
    " (SELECT count(*) FROM api.webhook_secret AS s WHERE s.webhook_id = w.id"
    "   AND (s.expires_at IS NULL OR s.expires_at > now())) AS secrets"
)
_LOG = "d.id, d.kind, d.event_id, d.message_id, d.type, d.state, d.attempt, d.status, d.error, d.duration_ms, d.created_at, d.finished_at"  # noqa: E501


async def _rows(unit: Unit, query: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()


async def has_channel(unit: Unit, code: str) -> bool:
    """Whether there is such a channel."""
    return bool(await _rows(unit, "SELECT 1 FROM dispatch.channel WHERE code = %(code)s", {"code": code}))


async def create_webhook(
    unit: WriteUnit,
    *,
    url: str,
    channel: str | None,
    types: Sequence[str],
    description: str,
    after: Cursor,
    secret: str | None = None,
    cells: Sequence[str] = (),
    departments: Sequence[str] = (),
) -> tuple[int, str]:
    """Make a webhook that begins after a place in the feed; return its id and its secret."""
    chosen = secret or make_secret()
    key_of(chosen)
    rows = await _rows(
        unit,
        "INSERT INTO api.webhook (url, channel_code, types, description, cursor_txid, cursor_event, cells, departments)"
        " VALUES (%(url)s, %(channel)s, %(types)s, %(description)s, %(txid)s, %(event)s, %(cells)s, %(departments)s)"
        " RETURNING id",
        {
            "cells": list(cells),
            "departments": list(departments),
            "url": url,
            "channel": channel,
            "types": list(types),
            "description": description,
            "txid": after.txid,
            "event": after.event_id,
        },
    )
    await _rows(
        unit,
        "INSERT INTO api.webhook_secret (webhook_id, secret) VALUES (%(id)s, %(secret)s) RETURNING id",
        {"id": rows[0]["id"], "secret": chosen},
    )
    return rows[0]["id"], chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who asks for webhooks: of one channel, or within an area; by default of everything.

    A webhook keeps the area of whoever made it, and belongs to those whose areas hold it.
    """

    channel: str | None = None
    office: tuple[str, ...] = ("|",)
    cells: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        """As the conditions below name them."""
        return {"channel": self.channel, "office": list(self.office)}


ANYBODY = Holder()
_HELD = f" (%(channel)s::text IS NULL OR w.channel_code = %(channel)s) AND {KEY_IN_AREA}"


async def list_webhooks(unit: Unit, holder: Holder = ANYBODY) -> list[dict[str, Any]]:
    """Webhooks of a holder."""
    return await _rows(
        unit,
        f"SELECT {_COLUMNS} FROM api.webhook AS w WHERE {_HELD} ORDER BY w.id",  # noqa: S608 - constants only
        holder.values(),
    )


async def get_webhook(unit: Unit, webhook_id: int, holder: Holder = ANYBODY) -> dict[str, Any]:
    """One webhook.

    Raises
    ------
    NotFoundError
        ``webhook.not_found``: there is none, or it is another channel's.
    """
    rows = await _rows(
        unit,
        f"SELECT {_COLUMNS} FROM api.webhook AS w WHERE w.id = %(id)s AND {_HELD}",  # noqa: S608 - constants only
        {"id": webhook_id, **holder.values()},
    )
    if not rows:
        raise NotFoundError("webhook.not_found", webhook=webhook_id)
    return rows[0]


async def change_webhook(unit: WriteUnit, webhook_id: int, changes: dict[str, Any]) -> None:
    """Change url, description, types or state. A new address or state starts the schedule over."""
    known = {name: value for name, value in changes.items() if name in {"url", "description", "types", "state"}}
    sets = [f"{name} = %({name})s" for name in known]
    if "state" in known or "url" in known:
        # Whoever is sending just now no longer holds the lease, so its result cannot undo this decision.
        sets.append("failures = 0, next_attempt_at = now(), lease = NULL, leased_until = NULL")
    if "state" in known:
        sets.append("stopped_at = CASE WHEN %(state)s = 'active' THEN NULL ELSE now() END")
    if sets:
        driver = await unit.driver()
        query = f"UPDATE api.webhook SET {', '.join(sets)} WHERE id = %(id)s"  # noqa: S608 - names checked above
        await driver.execute(query.encode(), {**known, "id": webhook_id})


async def delete_webhook(unit: WriteUnit, webhook_id: int) -> None:
    """Remove a webhook with its keys and its log."""
    driver = await unit.driver()
    await driver.execute("DELETE FROM api.webhook WHERE id = %s", (webhook_id,))


async def add_secret(unit: WriteUnit, webhook_id: int, *, secret: str | None, overlap_s: int) -> str:
    """Add a key; those there are go on signing for a while and then end.

    Raises
    ------
    ConflictError
        ``webhook.too_many_secrets``.
    """
    chosen = secret or make_secret()
    key_of(chosen)
    live = await _rows(
        unit,
        "UPDATE api.webhook_secret SET expires_at = least(expires_at, now() + make_interval(secs => %(overlap)s))"
        " WHERE webhook_id = %(id)s AND (expires_at IS NULL OR expires_at > now())"
        " RETURNING id, expires_at > now() AS live",
        {"id": webhook_id, "overlap": overlap_s},
    )
    if sum(row["live"] for row in live) >= MOST_SECRETS:
        raise ConflictError("webhook.too_many_secrets", most=MOST_SECRETS)
    await _rows(
        unit,
        "INSERT INTO api.webhook_secret (webhook_id, secret) VALUES (%(id)s, %(secret)s) RETURNING id",
        {"id": webhook_id, "secret": chosen},
    )
    return chosen


async def list_deliveries(
    unit: Unit, webhook_id: int, *, limit: int, before: int | None, state: str | None
) -> list[dict[str, Any]]:
    """The log, newest first."""
    return await _rows(
        unit,
        f"SELECT {_LOG} FROM api.webhook_delivery AS d WHERE d.webhook_id = %(id)s"  # noqa: S608 - constants only
        " AND (%(before)s::bigint IS NULL OR d.id < %(before)s) AND (%(state)s::text IS NULL OR d.state = %(state)s)"
        " ORDER BY d.id DESC LIMIT %(limit)s",
        {"id": webhook_id, "before": before, "state": state, "limit": limit},
    )


async def get_delivery(unit: Unit, webhook_id: int, delivery_id: int) -> dict[str, Any]:
    """One entry of the log.

    Raises
    ------
    NotFoundError
        ``webhook.delivery_not_found``.
    """
    rows = await _rows(
        unit,
        f"SELECT {_LOG} FROM api.webhook_delivery AS d WHERE d.webhook_id = %(id)s AND d.id = %(delivery)s",  # noqa: S608 - constants only
        {"id": webhook_id, "delivery": delivery_id},
    )
    if not rows:
        raise NotFoundError("webhook.delivery_not_found", delivery=delivery_id)
    return rows[0]


async def queue_by_hand(unit: WriteUnit, webhook_id: int, *, kind: str, type_: str, event_id: int | None) -> int:
    """Ask for a replay or a test; the worker sends it once, whatever the webhook's state."""
    rows = await _rows(
        unit,
        "INSERT INTO api.webhook_delivery (webhook_id, kind, type, event_id, state)"
        " VALUES (%(id)s, %(kind)s, %(type)s, %(event)s, 'waiting') RETURNING id",
        {"id": webhook_id, "kind": kind, "type": type_, "event": event_id},
    )
    number: int = rows[0]["id"]
    return number


async def skip_blocked(unit: WriteUnit, webhook_id: int) -> str:
    """Go on behind the event that keeps failing; it stays in the log and can be replayed. Returns its message id.

    Raises
    ------
    ConflictError
        ``webhook.nothing_blocked``.
    """
    rows = await _rows(
        unit,
        "UPDATE api.webhook AS w SET cursor_txid = f.txid, cursor_event = f.id, failures = 0, next_attempt_at = now(),"
        " lease = NULL, leased_until = NULL FROM ("
        "   SELECT e.txid::text::bigint AS txid, e.id, d.message_id FROM api.webhook_delivery AS d"
        "   JOIN dispatch.case_event AS e ON e.id = d.event_id"
        "   WHERE d.webhook_id = %(id)s AND d.kind = 'event' ORDER BY d.id DESC LIMIT 1) AS f"
        " WHERE w.id = %(id)s AND w.failures > 0 AND (f.txid, f.id) > (w.cursor_txid, w.cursor_event)"
        " RETURNING f.message_id",
        {"id": webhook_id},
    )
    if not rows:
        raise ConflictError("webhook.nothing_blocked", webhook=webhook_id)
    skipped: str = rows[0]["message_id"]
    return skipped
