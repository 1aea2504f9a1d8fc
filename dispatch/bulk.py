"""Many moves in one request, each with its own result, and one undo within some seconds where the move allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from psycopg import sql
from psycopg.rows import dict_row

from dispatch.making import Act, Actor, MoveRequest
from dispatch.moves import make_move, record_event
from dispatch.queries import database_now
from dispatch.reference import Reference
from dispatch.workflow import UNDO, UNDOABLE
from geo.errors import BadInputError, ConflictError, GridwardError, NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["MOST_MOVES", "UNDO_S", "BulkResult", "Outcome", "move_many", "undo"]

MOST_MOVES: Final = 500
UNDO_S: Final = 10
"""How long a bulk move can be taken back. Units: seconds of the database's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one case: its new version, or why not."""

    ref: str
    version: int | None = None
    error: GridwardError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkResult:
    """Outcomes in the order asked for; ``token`` takes back what can be taken back, None when nothing can."""

    outcomes: tuple[Outcome, ...]
    token: UUID | None


async def move_many(unit: WriteUnit, requests: Sequence[MoveRequest], reference: Reference) -> BulkResult:
    """Make moves, each in a savepoint of its own: one that is refused leaves the others alone.

    Raises
    ------
    BadInputError
        ``dispatch.too_many_moves``.
    """
    if len(requests) > MOST_MOVES:
        raise BadInputError("dispatch.too_many_moves", pointer="/cases", most=MOST_MOVES)
    driver = await unit.driver()
    token = uuid4()
    outcomes: dict[int, Outcome] = {}
    kept = 0
    # In one order, so that two bulk moves over the same cases wait for each other instead of both dying.
    for index, request in sorted(enumerate(requests), key=lambda item: item[1].ref):
        try:
            async with driver.transaction():
                act = await make_move(unit, request, reference)
                kept += await _keep(unit, token, act)
        except GridwardError as error:
            outcomes[index] = Outcome(ref=request.ref, error=error)
        else:
            outcomes[index] = Outcome(ref=request.ref, version=act.case["version"])
    found = tuple(outcomes[index] for index in range(len(requests)))
    return BulkResult(outcomes=found, token=token if kept else None)


async def _keep(unit: WriteUnit, token: UUID, act: Act) -> bool:
    """Keep what the case was, if the move can be taken back and nobody else was told."""
    if act.request.move not in UNDOABLE or act.elsewhere:
        return False
    driver = await unit.driver()
    before = {name: act.before[name] for name in act.changes if name != "version"}
    await driver.execute(
        "INSERT INTO dispatch.case_undo (token, case_id, version, before) VALUES (%s, %s, %s, %s::jsonb)",
        (token, act.case["id"], act.case["version"], msgspec.json.encode(before).decode()),
    )
    return True


async def undo(unit: WriteUnit, token: UUID, actor: Actor) -> tuple[Outcome, ...]:
    """Take a bulk move back. The history keeps the move and its undoing.

    Raises
    ------
    NotFoundError
        ``dispatch.undo_unknown`` when there is nothing under this token, or no longer.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "DELETE FROM dispatch.case_undo WHERE token = %s RETURNING case_id, version, before,"
            " made_at > now() - make_interval(secs => %s) AS is_fresh",
            (token, UNDO_S),
        )
        kept = await cursor.fetchall()
        await cursor.execute("DELETE FROM dispatch.case_undo WHERE made_at < now() - interval '1 hour'")
        if not kept or not kept[0]["is_fresh"]:
            raise NotFoundError("dispatch.undo_unknown", seconds=UNDO_S)
        by_case = {row["case_id"]: row for row in kept}
        await cursor.execute(
            "SELECT id, ref, version, state FROM dispatch.dispatch_case WHERE id = ANY (%s) ORDER BY ref FOR UPDATE",
            (list(by_case),),
        )
        cases = await cursor.fetchall()
    at = await database_now(unit)
    return tuple([await _undo(unit, case, by_case[case["id"]], actor, at) for case in cases])


async def _undo(
    unit: WriteUnit, case: Mapping[str, Any], kept: Mapping[str, Any], actor: Actor, at: datetime
) -> Outcome:
    if case["version"] != kept["version"]:
        return Outcome(ref=case["ref"], error=ConflictError("dispatch.undo_overtaken", case=case["ref"]))
    driver = await unit.driver()
    names = [sql.Identifier(name) for name in kept["before"]]
    await driver.execute(
        sql.SQL(
            "UPDATE dispatch.dispatch_case SET ({names}) = (SELECT {names} FROM"
            " jsonb_populate_record(NULL::dispatch.dispatch_case, %s::jsonb)), version = version + 1 WHERE id = %s"
        ).format(names=sql.SQL(", ").join(names)),
        (msgspec.json.encode(kept["before"]).decode(), case["id"]),
    )
    await record_event(
        unit,
        case_id=case["id"],
        kind="case.undone.v1",
        moves=[UNDO],
        from_state=case["state"],
        to_state=kept["before"]["state"],
        at=at,
        actor=actor,
        payload={},
    )
    return Outcome(ref=case["ref"], version=case["version"] + 1)
