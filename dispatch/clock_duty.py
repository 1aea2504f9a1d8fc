"""What the worker does for clocks besides the ladder: recurring operations, overdue phases, settled years."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.calendar_keeping import settled_until
from dispatch.making import Actor
from dispatch.moves import record_event
from dispatch.operations import open_due
from dispatch.queries import database_now, load_reference
from dispatch.recomputing import recompute_provisional
from dispatch.segments import from_micros
from dispatch.storage.standings import KEPT_LADDER
from geo.storage.uow import WriteUnit, write_unit

__all__ = ["ClockDuty", "settle_provisional", "tell_overdue_phases"]

_SYSTEM: Final = Actor(kind="system", id="worker")
_SETTLE_EVERY_S: Final = 60.0
_BATCH: Final = 200
# The case first, then its phase (decision 0002): whoever reports a phase holds the case as well.
_PHASES: Final = f"""
SELECT c.id, c.ref, c.state, c.owner_post_id, c.owner_person_id, {KEPT_LADDER} AS owner_ladder,
       p.number, p.name_zh, p.name_en, p.due_at
  FROM dispatch.case_phase AS p
  JOIN dispatch.dispatch_case AS c ON c.id = p.case_id AND c.clock_epoch = p.clock_epoch
 WHERE p.done_at IS NULL AND p.overdue_told_at IS NULL AND p.due_at < now()
   AND c.state IN ('dispatched', 'returned', 'handling', 'reopened')
 ORDER BY p.due_at LIMIT %(batch)s FOR UPDATE OF c SKIP LOCKED
"""  # noqa: S608 - constants only


@dataclass(slots=True, kw_only=True)
class ClockDuty:
    """One worker's part; several share the work by the rows they lock."""

    engine: AsyncEngine
    name: str = "clocks"
    _settled_at: float = field(default=float("-inf"))

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Do what is due; each kind in a transaction of its own."""
        taken = 0
        for once in (open_due, tell_overdue_phases):
            if stopping.is_set():
                return taken
            async with write_unit(self.engine) as unit:
                taken += await once(unit)
        if time.monotonic() - self._settled_at >= _SETTLE_EVERY_S:
            async with write_unit(self.engine) as unit:
                found = await settle_provisional(unit)
            taken += found
            self._settled_at = time.monotonic() if not found else float("-inf")
        return taken


async def tell_overdue_phases(unit: WriteUnit, *, batch: int = _BATCH) -> int:
    """Say once of each phase that it is overdue; the case's owner hears of it."""
    driver = await unit.driver()
    at = await database_now(unit)
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_PHASES, {"batch": batch})
        rows = await cursor.fetchall()
    return sum([await _tell(unit, row, at) for row in rows])


async def _tell(unit: WriteUnit, row: dict[str, Any], at: datetime) -> bool:
    driver = await unit.driver()
    # Looked at again under the lock: between the search and the lock somebody may have reported it done.
    marked = await driver.execute(
        "UPDATE dispatch.case_phase SET overdue_told_at = now() WHERE case_id = %s AND number = %s"
        " AND overdue_told_at IS NULL AND due_at < now() AND done_at IS NULL",
        (row["id"], row["number"]),
    )
    if not marked.rowcount:
        return False
    await driver.execute("UPDATE dispatch.dispatch_case SET version = version + 1 WHERE id = %s", (row["id"],))
    ladder = row["owner_ladder"] or []
    owner = next((rung for rung in ladder if rung["post_id"] == row["owner_post_id"]), None)
    payload = {
        "phase": row["number"],
        "name_zh": row["name_zh"],
        "name_en": row["name_en"],
        "due_at": row["due_at"].isoformat(),
        "told_post_id": row["owner_post_id"],
        "told_zh": owner["title_zh"] if owner else None,
        "told_en": owner["title_en"] if owner else None,
        "told_person_id": str(row["owner_person_id"]) if row["owner_person_id"] else None,
    }
    await record_event(
        unit,
        case_id=row["id"],
        kind="case.phase_overdue.v1",
        moves=["overdue_part"],
        from_state=row["state"],
        to_state=row["state"],
        at=at,
        actor=_SYSTEM,
        payload={name: value for name, value in payload.items() if value is not None},
    )
    return True


async def settle_provisional(unit: WriteUnit, *, batch: int = _BATCH) -> int:
    """Make final what is final by now: a table came with a release, or a report was counted by a copy a moment old."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT DISTINCT jurisdiction FROM dispatch.dispatch_case WHERE due_provisional"
            " AND state IN ('dispatched', 'returned', 'handling', 'suspended', 'reopened')"
        )
    ).fetchall()
    if not rows:
        return 0
    reference = await load_reference(unit)
    at = await database_now(unit)
    moved = 0
    for (code,) in rows:
        calendar = reference.jurisdictions[code].calendar
        horizon = from_micros(calendar.midnight(settled_until(calendar, at.astimezone(calendar.zone).date())))
        found = await recompute_provisional(
            unit, code, at=at, by="system:worker", why={"until": horizon.isoformat()}, before=horizon, most=batch
        )
        moved += found.moved
    return moved
