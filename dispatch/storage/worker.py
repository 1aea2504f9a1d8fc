"""What the worker could not do: put off, parked, shown, and tried again by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from psycopg.rows import dict_row

from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "RETRY_S",
    "clear",
    "describe",
    "is_signed",
    "list_parked",
    "put_off_clock",
    "retry_parked",
    "sign_idle",
    "signal",
    "wait_after",
]

log = structlog.get_logger("gridward.worker")

#: Waits after each failure in a row. Units: seconds.
RETRY_S: Final = (5, 30, 120, 600, 1800, 3600, 7200)


def wait_after(attempts: int) -> int:
    """How long to wait after so many failures in a row. Units: seconds."""
    return RETRY_S[min(attempts, len(RETRY_S)) - 1]


def describe(error: Exception) -> str:
    """An error as it is kept: its kind and its words, without the statement that caused it."""
    return f"{type(error).__name__}: {error}".replace("\x00", "")[:500]


def key_of_clock(case_id: UUID, leg: int) -> str:
    """How a clock is named among the faults: its case, and the leg behind a colon."""
    return f"{case_id}:{leg}" if leg else str(case_id)


async def put_off_clock(
    unit: WriteUnit, kind: str, case_id: UUID, leg: int, error: Exception, *, most_attempts: int
) -> None:
    """A clock of a case, or of one of its legs, that could not be looked at: later, and at last only by hand."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "INSERT INTO dispatch.worker_fault AS f (kind, key, last_error, parked_at)"
            " VALUES (%(kind)s, %(key)s, %(error)s, CASE WHEN %(most)s <= 1 THEN now() END)"
            " ON CONFLICT (kind, key) DO UPDATE SET attempts = f.attempts + 1, last_error = excluded.last_error,"
            " failed_at = now(), parked_at = CASE WHEN f.attempts + 1 >= %(most)s THEN now() END"
            " RETURNING attempts, parked_at IS NOT NULL",
            {"kind": kind, "key": key_of_clock(case_id, leg), "error": describe(error), "most": most_attempts},
        )
    ).fetchone()
    assert row is not None
    attempts, is_parked = row
    later = " SET next_rung_at = CASE WHEN NOT %(parked)s THEN now() + make_interval(secs => %(wait_s)s) END WHERE "
    whose = (
        "dispatch_case" + later + "id = %(id)s"
        if not leg
        else "case_leg" + later + "case_id = %(id)s AND number = %(leg)s"
    )
    await driver.execute(
        "UPDATE dispatch." + whose, {"parked": is_parked, "wait_s": wait_after(attempts), "id": case_id, "leg": leg}
    )
    log.warning("clock_put_off", case_id=str(case_id), leg=leg, duty=kind, attempts=attempts, parked=is_parked)


async def clear(unit: WriteUnit, kind: str, clocks: Iterable[tuple[UUID, int]]) -> None:
    """What was put off has succeeded."""
    driver = await unit.driver()
    await driver.execute(
        "DELETE FROM dispatch.worker_fault WHERE kind = %s AND key = ANY (%s)",
        (kind, [key_of_clock(*clock) for clock in clocks]),
    )


#: Everything that waits for a hand, of all duties, oldest first. An id is unique within its kind.
_PARKED: Final = """
SELECT * FROM (
  SELECT 'rung' AS kind, f.key AS id, c.ref AS "case", NULL::text AS medium, f.attempts, f.last_error AS error,
         f.parked_at, NULL::text AS type
    FROM dispatch.worker_fault AS f JOIN dispatch.dispatch_case AS c ON c.id = split_part(f.key, ':', 1)::uuid
   WHERE f.kind = 'rung' AND f.parked_at IS NOT NULL
  UNION ALL
  SELECT 'event', o.id::text, c.ref, NULL, o.attempts, o.last_error, o.parked_at, e.type
    FROM dispatch.outbox AS o JOIN dispatch.case_event AS e ON e.id = o.event_id
    JOIN dispatch.dispatch_case AS c ON c.id = e.case_id
   WHERE o.parked_at IS NOT NULL
  UNION ALL
  SELECT 'notice', n.id::text, c.ref, n.medium, n.attempts, n.last_error, n.next_attempt_at, e.type
    FROM dispatch.notification AS n JOIN dispatch.case_event AS e ON e.id = n.event_id
    JOIN dispatch.dispatch_case AS c ON c.id = e.case_id
   WHERE n.state = 'parked') AS p
"""
_RETRY: Final = {
    "rung": (
        "WITH freed AS (UPDATE dispatch.worker_fault SET attempts = 0, parked_at = NULL"
        " WHERE kind = 'rung' AND parked_at IS NOT NULL AND (%(id)s::text IS NULL OR key = %(id)s) RETURNING"
        " split_part(key, ':', 1)::uuid AS case_id, nullif(split_part(key, ':', 2), '')::smallint AS leg),"
        " cases AS (UPDATE dispatch.dispatch_case AS c SET next_rung_at = now() FROM freed"
        " WHERE c.id = freed.case_id AND freed.leg IS NULL),"
        " legs AS (UPDATE dispatch.case_leg AS l SET next_rung_at = now() FROM freed"
        " WHERE l.case_id = freed.case_id AND l.number = freed.leg)"
        " SELECT FROM freed"
    ),
    "event": (
        "UPDATE dispatch.outbox SET attempts = 0, parked_at = NULL, next_attempt_at = now()"
        " WHERE parked_at IS NOT NULL AND (%(id)s::text IS NULL OR id::text = %(id)s)"
    ),
    "notice": (
        "UPDATE dispatch.notification SET attempts = 0, state = 'waiting', next_attempt_at = now()"
        " WHERE state = 'parked' AND (%(id)s::text IS NULL OR id::text = %(id)s)"
    ),
}
PARKED_KINDS: Final = tuple(_RETRY)


async def list_parked(unit: Unit, *, limit: int = 200) -> list[dict[str, Any]]:
    """What is parked, oldest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_PARKED + " ORDER BY parked_at, kind, id LIMIT %(limit)s", {"limit": limit})
        return await cursor.fetchall()


async def count_parked(unit: Unit) -> dict[str, int]:
    """How much is parked, by kind."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(f"SELECT kind, count(*) FROM ({_PARKED}) AS all_parked GROUP BY kind")  # noqa: S608 - constants only
    ).fetchall()
    return dict.fromkeys(PARKED_KINDS, 0) | dict(rows)


async def retry_parked(unit: WriteUnit, kind: str, id_: str | None = None) -> int:
    """Try a parked row again, or all of a kind; return how many were freed."""
    driver = await unit.driver()
    return (await driver.execute(_RETRY[kind], {"id": id_})).rowcount


async def signal(unit: WriteUnit, duty: str, detail: str | None = None, *, every_s: float = 5.0) -> None:
    """Give a sign of life.

    Parameters
    ----------
    detail
        A JSON object to keep with it; with one the sign is always written.
    """
    driver = await unit.driver()
    # At most every few seconds: a sign of life must not become the busiest row of the database.
    await driver.execute(
        "INSERT INTO dispatch.worker_signal AS w (duty, detail) VALUES (%(duty)s, coalesce(%(detail)s::jsonb, '{}'))"
        " ON CONFLICT (duty) DO UPDATE SET seen_at = now(), detail = coalesce(%(detail)s::jsonb, w.detail)"
        " WHERE %(detail)s::jsonb IS NOT NULL OR w.seen_at < now() - make_interval(secs => %(every)s)",
        {"duty": duty, "detail": detail, "every": every_s},
    )


async def sign_idle(unit: WriteUnit, duties: Sequence[str]) -> None:
    """Give the signs of life of duties that have nothing to do."""
    driver = await unit.driver()
    # In one order for all workers: each waits for a row that another holds, and never two for each other.
    await driver.execute(
        "INSERT INTO dispatch.worker_signal AS w (duty) SELECT duty FROM unnest(%s::text[]) AS d (duty) ORDER BY duty"
        " ON CONFLICT (duty) DO UPDATE SET seen_at = now()",
        (list(duties),),
    )


async def is_signed(unit: Unit, duty: str, within_s: float) -> bool:
    """Whether some worker's duty has given its sign of life within so many seconds."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT EXISTS (SELECT FROM dispatch.worker_signal"
            " WHERE duty = %s AND seen_at > now() - make_interval(secs => %s))",
            (duty, within_s),
        )
    ).fetchone()
    return bool(row and row[0])


async def read_signals(unit: Unit) -> dict[str, tuple[datetime, dict[str, Any]]]:
    """Last sign of life of every duty, with its detail."""
    driver = await unit.driver()
    rows = await (await driver.execute("SELECT duty, seen_at, detail FROM dispatch.worker_signal")).fetchall()
    return {duty: (seen_at, detail) for duty, seen_at, detail in rows}
