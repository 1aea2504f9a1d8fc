"""What the worker does for clocks besides the ladder: recurring operations, overdue legs and phases, settled years."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.calendar_keeping import settled_until
from dispatch.joint import RUNNING
from dispatch.making import Actor
from dispatch.moves import record_event
from dispatch.operations import open_due
from dispatch.queries import database_now, load_reference
from dispatch.recomputing import recompute_provisional
from dispatch.segments import from_micros
from geo.storage.uow import WriteUnit, write_unit

__all__ = ["ClockDuty", "settle_provisional", "tell_overdue_parts"]

_SYSTEM: Final = Actor(kind="system", id="worker")
_SETTLE_EVERY_S: Final = 60.0
_BATCH: Final = 200
_LEG_STATES: Final = ", ".join(f"'{state}'" for state in sorted(RUNNING))
# The case first, then its part (decision 0002): whoever moves a leg holds the case as well.
_LEGS: Final = f"""
SELECT c.id, c.ref, c.state, c.owner_post_id, c.owner_person_id, c.owner_ladder, l.number, l.department_code, l.due_at
  FROM dispatch.case_leg AS l JOIN dispatch.dispatch_case AS c ON c.id = l.case_id
 WHERE l.state IN ({_LEG_STATES}) AND l.overdue_told_at IS NULL AND l.due_at < now() AND c.state = 'handling'
 ORDER BY l.due_at LIMIT %(batch)s FOR UPDATE OF c SKIP LOCKED
"""  # noqa: S608 - constants only
_PHASES: Final = """
SELECT c.id, c.ref, c.state, c.owner_post_id, c.owner_person_id, c.owner_ladder, p.number, p.name_zh,
       p.name_en, p.due_at
  FROM dispatch.case_phase AS p
  JOIN dispatch.dispatch_case AS c ON c.id = p.case_id AND c.clock_epoch = p.clock_epoch
 WHERE p.done_at IS NULL AND p.overdue_told_at IS NULL AND p.due_at < now()
   AND c.state IN ('dispatched', 'returned', 'handling', 'reopened')
 ORDER BY p.due_at LIMIT %(batch)s FOR UPDATE OF c SKIP LOCKED
"""


@dataclass(slots=True, kw_only=True)
class ClockDuty:
    """One worker's part; several share the work by the rows they lock."""

    engine: AsyncEngine
    name: str = "clocks"
    _settled_at: float = field(default=float("-inf"))

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Do what is due; each kind in a transaction of its own."""
        taken = 0
        for once in (open_due, tell_overdue_parts):
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


async def tell_overdue_parts(unit: WriteUnit, *, batch: int = _BATCH) -> int:
    """Say once of each leg and phase that it is overdue; the case's owner hears of it."""
    driver = await unit.driver()
    at = await database_now(unit)
    told = 0
    for part, query in (("leg", _LEGS), ("phase", _PHASES)):
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(query, {"batch": batch})
            rows = await cursor.fetchall()
        for row in rows:
            told += await _tell(unit, part, row, at)
    return told


async def _tell(unit: WriteUnit, part: str, row: dict[str, Any], at: datetime) -> bool:
    driver = await unit.driver()
    # Looked at again under the lock: between the search and the lock somebody may have signed it.
    states = f" AND state IN ({_LEG_STATES})" if part == "leg" else " AND done_at IS NULL"
    marked = await driver.execute(
        f"UPDATE dispatch.case_{part} SET overdue_told_at = now()"  # noqa: S608 - constants only
        f" WHERE case_id = %s AND number = %s AND overdue_told_at IS NULL AND due_at < now(){states}",
        (row["id"], row["number"]),
    )
    if not marked.rowcount:
        return False
    await driver.execute("UPDATE dispatch.dispatch_case SET version = version + 1 WHERE id = %s", (row["id"],))
    ladder = row["owner_ladder"] or []
    owner = next((rung for rung in ladder if rung["post_id"] == row["owner_post_id"]), None)
    payload = {
        part: row["number"],
        "department": row.get("department_code"),
        "name_zh": row.get("name_zh"),
        "name_en": row.get("name_en"),
        "due_at": row["due_at"].isoformat(),
        "told_post_id": row["owner_post_id"],
        "told_zh": owner["title_zh"] if owner else None,
        "told_en": owner["title_en"] if owner else None,
        "told_person_id": str(row["owner_person_id"]) if row["owner_person_id"] else None,
    }
    await record_event(
        unit,
        case_id=row["id"],
        kind=f"case.{part}_overdue.v1",
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
