"""Write and read the ledgers beside a case: extensions, pauses, epochs, fired rungs. The case row must be locked."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from dispatch.deadlines import Pause
from geo.storage.uow import Unit, WriteUnit

_EPOCH = (
    "clock_epoch, dispatched_at, acknowledged_at, handled_at, checked_at, closed_at, due_at, is_on_time, closed_level"
)


async def add_extension(unit: WriteUnit, **row: Any) -> None:
    """Keep an approved extension; fields as in ``CaseExtensionRow``."""
    await _insert(unit, "case_extension", row)


async def add_pause(unit: WriteUnit, **row: Any) -> None:
    """Keep an approved pause; fields as in ``CasePauseRow``."""
    await _insert(unit, "case_pause", row)


async def end_pause(unit: WriteUnit, case_id: UUID, *, ends_at: datetime, due_after: datetime) -> bool:
    """End the running pause early; False when none is running."""
    driver = await unit.driver()
    ended = await driver.execute(
        "UPDATE dispatch.case_pause SET ends_at = %(at)s, due_after = %(due)s"
        " WHERE case_id = %(id)s AND starts_at <= %(at)s AND ends_at > %(at)s",
        {"id": case_id, "at": ends_at, "due": due_after},
    )
    return ended.rowcount > 0


async def list_pauses(unit: Unit, case_id: UUID, clock_epoch: int) -> tuple[Pause, ...]:
    """Approved pauses of a clock epoch, oldest first."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT starts_at, ends_at FROM dispatch.case_pause WHERE case_id = %s AND clock_epoch = %s"
            " ORDER BY starts_at",
            (case_id, clock_epoch),
        )
    ).fetchall()
    return tuple(Pause(start_at=starts_at, end_at=ends_at) for starts_at, ends_at in rows)


async def count_extensions(unit: Unit, case_id: UUID, clock_epoch: int) -> int:
    """Approved extensions of a clock epoch."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT count(*) FROM dispatch.case_extension WHERE case_id = %s AND clock_epoch = %s",
            (case_id, clock_epoch),
        )
    ).fetchone()
    return int(row[0]) if row else 0


async def keep_epoch(unit: WriteUnit, case_id: UUID) -> None:
    """Copy the times of the epoch that ends."""
    driver = await unit.driver()
    await driver.execute(
        f"INSERT INTO dispatch.case_epoch (case_id, {_EPOCH}) SELECT id, {_EPOCH}"  # noqa: S608 - constants only
        " FROM dispatch.dispatch_case WHERE id = %s",
        (case_id,),
    )


async def add_escalation(unit: WriteUnit, case_id: UUID, rung: str, clock_epoch: int, person_id: UUID | None) -> bool:
    """Fire a rung; False when it has fired in this epoch already."""
    driver = await unit.driver()
    fired = await driver.execute(
        "INSERT INTO dispatch.escalation (case_id, rung, clock_epoch, person_id) VALUES (%s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (case_id, str(rung), clock_epoch, person_id),
    )
    return fired.rowcount > 0


async def _insert(unit: WriteUnit, table: str, row: dict[str, Any]) -> None:
    driver = await unit.driver()
    query = sql.SQL("INSERT INTO dispatch.{} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    await driver.execute(query, row)
