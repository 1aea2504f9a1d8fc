"""When a step's own clock runs out: nobody verified, nobody acknowledged, a suspension is over.

Like deadlines these are rows, not timers (decision 0005): `stage_due_at` of the case says when, and any number of
workers may look. The handling clock H runs on through all of it.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg
import structlog
from psycopg.rows import dict_row

from dispatch.moves import Actor, MoveRequest, move_locked
from dispatch.queries import load_reference
from dispatch.states import CaseState
from dispatch.storage.statements import statement
from dispatch.workflow import Move, allowed_moves
from geo.storage.uow import WriteUnit

__all__ = ["run_stages"]

log = structlog.get_logger("gridward.worker")

_SYSTEM: Final = Actor(kind="system", id="worker")
_MOVES: Final = {"verify": Move.VERIFY_TIMEOUT, "acknowledge": Move.NO_ACK, "suspension": Move.RESUME}


async def run_stages(unit: WriteUnit, *, batch: int) -> int:
    """Make the moves of the stage clocks that have run out; return how many cases were taken."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement("stages"), {"batch": batch})
        due = await cursor.fetchall()
    if not due:
        return 0
    reference = await load_reference(unit)
    for case in due:
        move = _MOVES[case["stage_clock"]]
        if move not in allowed_moves(CaseState(case["state"])):
            await _put(unit, case, "stage_clock = NULL, stage_due_at = NULL")
            continue
        request = MoveRequest(ref=case["ref"], move=move, actor=_SYSTEM, seen_version=case["version"])
        try:
            # A savepoint: one case that cannot be moved must not hold up all the others.
            async with driver.transaction():
                await move_locked(unit, case, request, reference)
        except psycopg.Error:
            raise
        except Exception:
            log.exception("stage_failed", case=case["ref"], move=move.value)
            await _put(unit, case, "stage_due_at = now() + interval '10 minutes'")
    return len(due)


async def _put(unit: WriteUnit, case: dict[str, Any], assignment: str) -> None:
    driver = await unit.driver()
    query = f"UPDATE dispatch.dispatch_case SET {assignment} WHERE id = %s"  # noqa: S608 - constants only
    await driver.execute(query, (case["id"],))
