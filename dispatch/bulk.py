"""Many moves in one request, each with its own result, and one undo within some seconds where the move allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
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
    """Outcomes in the order asked for; ``token`` takes back until ``undo_until`` what can be, None when nothing can."""

    outcomes: tuple[Outcome, ...]
    token: UUID | None
    undo_until: datetime | None


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
    outcomes: dict[int, Outcome] = {}
    acts: list[Act] = []
    # The instant of the transaction, which is one for all of them.
    at = await database_now(unit)
    # In one order, so that two bulk moves over the same cases wait for each other instead of both dying.
    for index, request in sorted(enumerate(requests), key=lambda item: item[1].ref):
        try:
            async with driver.transaction():
                act = await make_move(unit, request, reference, at=at)
        except GridwardError as error:
            outcomes[index] = Outcome(ref=request.ref, error=error)
        else:
            outcomes[index] = Outcome(ref=request.ref, version=act.case["version"])
            acts.append(act)
    found = tuple(outcomes[index] for index in range(len(requests)))
    token, until = await _keep(unit, [act for act in acts if act.request.move in UNDOABLE and not act.elsewhere])
    return BulkResult(outcomes=found, token=token, undo_until=until)


async def _keep(unit: WriteUnit, acts: Sequence[Act]) -> tuple[UUID | None, datetime | None]:
    """Keep what cases were whose move can be taken back and of which nobody else was told; the token, and until when.

    The seconds count from the end of the work: five hundred moves take some, and whoever waited for them should still
    have all of theirs.
    """
    if not acts:
        return None, None
    token = uuid4()
    kept = [
        {
            "case_id": act.case["id"],
            "version": act.case["version"],
            "before": {name: act.before[name] for name in act.changes if name != "version"},
        }
        for act in acts
    ]
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "INSERT INTO dispatch.case_undo (token, case_id, version, before, made_at)"
            " SELECT %(token)s, k.case_id, k.version, k.before, ended.at"
            " FROM jsonb_to_recordset(%(kept)s::jsonb) AS k (case_id uuid, version int, before jsonb)"
            " CROSS JOIN (SELECT clock_timestamp() AS at OFFSET 0) AS ended"
            " RETURNING made_at + make_interval(secs => %(seconds)s)",
            {"token": token, "kept": msgspec.json.encode(kept).decode(), "seconds": UNDO_S},
        )
    ).fetchone()
    assert row is not None
    return token, row[0].astimezone(UTC)


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
