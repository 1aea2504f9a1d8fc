"""The auditor: a second pair of eyes over the ladder, and the dead man's handle of the whole worker.

It asks three questions that the sweep cannot ask about itself. Is a case's instant long past, and nobody looked? Is a
case on the ladder without any instant? And, walking through all of them slice by slice: does what was planned still
agree with row, ledgers, ladder and calendar? What it finds it repairs ("look at once") and counts. Its sign of life
is written only after an answer, with what it found: when it falls silent, or finds cases left behind, readiness says
so, and a monitor raises the alarm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.ladder_sweep import Key, key_of, look_at
from dispatch.queries import database_now
from dispatch.reference import Reference
from dispatch.settings import DispatchSettings
from dispatch.storage.escalation import find_legs_for_look
from dispatch.storage.statements import statement
from dispatch.storage.worker import count_parked, signal
from geo.storage.uow import ReadUnit, WriteUnit, read_unit, write_unit

__all__ = ["DUTY", "LEFT", "SLICE", "UNARMED", "UNARMED_LEGS", "Auditor", "Findings"]

log = structlog.get_logger("gridward.auditor")

DUTY: Final = "auditor"
#: Cases compared in one pass of the walk.
_SLICE: Final = 500

#: Instants long past, of cases and of legs. A range scan of each of the sweep's own indexes.
LEFT: Final = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(c.next_rung_at)), 0)::float8
  FROM ((SELECT next_rung_at FROM dispatch.dispatch_case
          WHERE next_rung_at < now() - make_interval(secs => %(late_s)s) ORDER BY next_rung_at LIMIT 1000)
        UNION ALL
        (SELECT next_rung_at FROM dispatch.case_leg
          WHERE next_rung_at < now() - make_interval(secs => %(late_s)s) ORDER BY next_rung_at LIMIT 1000)) AS c
"""
#: On the ladder, without an instant, and not parked for a hand. The partial index holds nothing in good times.
UNARMED: Final = """
SELECT c.id, 0 AS leg FROM dispatch.dispatch_case AS c
 WHERE c.next_rung_at IS NULL AND NOT c.ladder_done AND c.due_at IS NOT NULL
   AND c.state IN ('dispatched', 'handling', 'reopened', 'returned')
   AND NOT EXISTS (SELECT FROM dispatch.worker_fault AS f WHERE f.kind = 'rung' AND f.key = c.id::text)
 LIMIT 1000
"""
#: The same of legs; one whose case rests has no instant, and that is as it should be.
UNARMED_LEGS: Final = """
SELECT l.case_id, l.number FROM dispatch.case_leg AS l JOIN dispatch.dispatch_case AS c ON c.id = l.case_id
 WHERE l.next_rung_at IS NULL AND NOT l.ladder_done AND l.state IN ('dispatched', 'handling', 'returned')
   AND c.state = 'handling'
   AND NOT EXISTS (SELECT FROM dispatch.worker_fault AS f
                    WHERE f.kind = 'rung' AND f.key = l.case_id::text || ':' || l.number)
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
            unarmed = [*await _clocks(unit, UNARMED), *await _clocks(unit, UNARMED_LEGS)]
            cases = await _slice(unit)
            legs = await find_legs_for_look(unit, [case["id"] for case in cases if case["open_legs"]])
            wrong = await _compare(unit, [*cases, *legs], reference, await database_now(unit))
            parked = sum((await count_parked(unit)).values())
        findings = Findings(
            left=left,
            oldest_s=round(oldest_s, 1),
            unarmed=len(unarmed),
            compared=len(cases) + len(legs),
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


async def _clocks(unit: ReadUnit, query: str) -> list[Key]:
    driver = await unit.driver()
    return [(case_id, leg) async for case_id, leg in await driver.execute(query)]


async def _slice(unit: ReadUnit) -> list[dict[str, Any]]:
    """The next cases on the ladder after the place reached by whoever looked last."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT detail ->> 'reached' AS at FROM dispatch.worker_signal WHERE duty = %s", (DUTY,))
        row = await cursor.fetchone()
        after = row["at"] if row and row["at"] else str(_RESTART)
        await cursor.execute(statement(SLICE), {"after": after, "batch": _SLICE})
        return await cursor.fetchall()


async def _compare(unit: ReadUnit, rows: list[dict[str, Any]], reference: Reference, at: datetime) -> list[Key]:
    """Clocks whose row says something else than a fresh look; those due by now are the sweep's, not a mistake."""
    found = await look_at(unit, rows, reference, at)
    wrong = []
    for row in rows:
        look = found[key_of(row)]
        if isinstance(look, Exception) or (row["next_rung_at"] is not None and row["next_rung_at"] <= at):
            continue
        if look.fire or look.next_at != row["next_rung_at"]:
            wrong.append(look.key)
    return wrong


async def _repair(unit: WriteUnit, clocks: list[Key]) -> None:
    if not clocks:
        return
    driver = await unit.driver()
    # Not waiting for anybody: a case that is being moved right now is armed by that move.
    await driver.execute(
        "UPDATE dispatch.dispatch_case SET next_rung_at = now() WHERE id IN (SELECT id FROM dispatch.dispatch_case"
        " WHERE id = ANY (%s) AND state IN ('dispatched', 'handling', 'reopened', 'returned') FOR UPDATE SKIP LOCKED)",
        ([case_id for case_id, leg in clocks if not leg],),
    )
    legs = [(case_id, leg) for case_id, leg in clocks if leg]
    if legs:
        # The case first, as everybody who moves a leg (decision 0002).
        await driver.execute(
            "UPDATE dispatch.case_leg AS l SET next_rung_at = now() FROM (SELECT c.id, w.leg FROM"
            " unnest(%s::uuid[], %s::int[]) AS w (id, leg) JOIN dispatch.dispatch_case AS c ON c.id = w.id"
            " WHERE c.state = 'handling' FOR UPDATE OF c SKIP LOCKED) AS f"
            " WHERE l.case_id = f.id AND l.number = f.leg AND l.state IN ('dispatched', 'handling', 'returned')",
            ([case_id for case_id, _ in legs], [leg for _, leg in legs]),
        )
