"""The auditor: a second pair of eyes over the ladder, and the dead man's handle of the whole worker.

It asks three questions that the sweep cannot ask about itself. Is a case's instant long past, and nobody looked? Is a
case on the ladder without any instant? And, walking through all of them slice by slice: does what was planned still
agree with row, ledgers, ladder and calendar? What it finds it repairs ("look at once") and counts. Its sign of life
is written only after an answer, with what it found: when it falls silent, or finds cases left behind, readiness says
so, and a monitor raises the alarm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.ladder_sweep import Look, look_at
from dispatch.queries import database_now
from dispatch.reference import Reference
from dispatch.settings import DispatchSettings
from dispatch.storage.statements import statement
from dispatch.storage.worker import count_parked, signal
from geo.storage.uow import ReadUnit, WriteUnit, read_unit, write_unit

__all__ = ["DUTY", "LEFT", "SLICE", "UNARMED", "Auditor", "Findings"]

log = structlog.get_logger("gridward.auditor")

DUTY: Final = "auditor"
#: Cases compared in one pass of the walk.
_SLICE: Final = 500

#: Instants long past. One range scan of the sweep's own index.
LEFT: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(c.next_rung_at)), 0)::float8
  FROM (SELECT next_rung_at FROM dispatch.dispatch_case
         WHERE next_rung_at < now() - make_interval(secs => %(late_s)s) ORDER BY next_rung_at LIMIT 1000) AS c
"""
#: On the ladder, without an instant, and not parked for a hand. The partial index holds nothing in good times.
UNARMED: Final = """
SELECT c.id FROM dispatch.dispatch_case AS c
 WHERE c.next_rung_at IS NULL AND NOT c.ladder_done AND c.due_at IS NOT NULL
   AND c.state IN ('dispatched', 'handling', 'reopened', 'returned')
   AND NOT EXISTS (SELECT FROM dispatch.worker_fault AS f WHERE f.kind = 'rung' AND f.key = c.id::text)
 LIMIT 1000
"""
SLICE: Final = "audit"
_RESTART: Final = UUID(int=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a pass found. Units: ``oldest_s`` seconds.

    ``left`` instants long past, ``unarmed`` cases without an instant, ``wrong`` of ``compared`` cases whose plan does
    not agree; ``parked`` waits for a hand.
    """

    left: int
    oldest_s: float
    unarmed: int
    compared: int
    wrong: int
    parked: int
    reached: str

    @property
    def is_well(self) -> bool:
        """Whether nothing due was left behind."""
        return not (self.left or self.unarmed or self.wrong)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Looks every so often; several may, at the price of looking more often."""

    engine: AsyncEngine
    settings: DispatchSettings
    reference: Callable[[], Awaitable[Reference]]

    async def run_once(self, stopping: asyncio.Event) -> int:
        """Look once, repair what is found, and sign; always returns 0, for the next look can wait."""
        if stopping.is_set():
            return 0
        reference = await self.reference()
        # One snapshot: a sweep that commits between two statements would look like a mistake.
        async with read_unit(self.engine, snapshot=True) as unit:
            left, oldest_s = await self._left(unit)
            unarmed = await _ids(unit, UNARMED)
            cases = await _slice(unit)
            wrong = await _compare(unit, cases, reference, await database_now(unit))
            parked = sum((await count_parked(unit)).values())
        findings = Findings(
            left=left,
            oldest_s=round(oldest_s, 1),
            unarmed=len(unarmed),
            compared=len(cases),
            wrong=len(wrong),
            parked=parked,
            # A slice that is not full was the last one; the walk begins anew.
            reached=str(cases[-1]["id"] if len(cases) == _SLICE else _RESTART),
        )
        async with write_unit(self.engine) as writing:
            await _repair(writing, [*unarmed, *wrong])
            await signal(writing, DUTY, msgspec.json.encode(asdict(findings)).decode())
        if not findings.is_well:
            log.error("left_behind", **asdict(findings))
        return 0

    async def _left(self, unit: ReadUnit) -> tuple[int, float]:
        driver = await unit.driver()
        row = await (await driver.execute(LEFT, {"late_s": self.settings.audit_late_s})).fetchone()
        assert row is not None
        return int(row[0]), float(row[1])


async def _ids(unit: ReadUnit, query: str) -> list[UUID]:
    driver = await unit.driver()
    return [row[0] for row in await (await driver.execute(query)).fetchall()]


async def _slice(unit: ReadUnit) -> list[dict[str, Any]]:
    """The next cases on the ladder after the place reached by whoever looked last."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT detail ->> 'reached' AS at FROM dispatch.worker_signal WHERE duty = %s", (DUTY,))
        row = await cursor.fetchone()
        after = row["at"] if row and row["at"] else str(_RESTART)
        await cursor.execute(statement(SLICE), {"after": after, "batch": _SLICE})
        return await cursor.fetchall()


async def _compare(unit: ReadUnit, cases: list[dict[str, Any]], reference: Reference, at: datetime) -> list[UUID]:
    """Cases whose row says something else than a fresh look; those due by now are the sweep's, not a mistake."""
    found: Mapping[UUID, Look | Exception] = await look_at(unit, cases, reference, at)
    wrong = []
    for case in cases:
        look = found[case["id"]]
        if isinstance(look, Exception) or (case["next_rung_at"] is not None and case["next_rung_at"] <= at):
            continue
        if look.fire or look.next_at != case["next_rung_at"]:
            wrong.append(case["id"])
    return wrong


async def _repair(unit: WriteUnit, ids: list[UUID]) -> None:
    if not ids:
        return
    driver = await unit.driver()
    # Not waiting for anybody: a case that is being moved right now is armed by that move.
    await driver.execute(
        "UPDATE dispatch.dispatch_case SET next_rung_at = now() WHERE id IN (SELECT id FROM dispatch.dispatch_case"
        " WHERE id = ANY (%s) AND state IN ('dispatched', 'handling', 'reopened', 'returned') FOR UPDATE SKIP LOCKED)",
        (ids,),
    )
