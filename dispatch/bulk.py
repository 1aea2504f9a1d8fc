"""Many moves in one request, each with its own result, and one undo within some seconds where the move allows it.

A move that can be taken back is made at once, but nobody is told of it before it can no longer be: its outbox row waits
(decision 0039). Taking it back withdraws that row, restores the case and adds to the history, which keeps both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
from psycopg import sql
from psycopg.rows import dict_row

from dispatch.making import Act, Actor, Elsewhere, MoveRequest
from dispatch.moves import make_move, record_event, tell_elsewhere
from dispatch.owning import kept_ladder
from dispatch.posts import Rung, find_head, parse_ladder
from dispatch.queries import database_now
from dispatch.reference import Reference
from dispatch.states import CaseState
from dispatch.workflow import UNDO, UNDOABLE, Move
from geo.errors import BadInputError, ConflictError, GridwardError, NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["MOST_MOVES", "UNDO_S", "BulkResult", "Foreseen", "Outcome", "foresee_many", "move_many", "undo"]

MOST_MOVES: Final = 500
UNDO_S: Final = 10
"""How long a bulk move can be taken back. Units: seconds of the database's clock."""
_HIDDEN: Final = frozenset({CaseState.CLOSED, CaseState.MERGED, CaseState.VOIDED, CaseState.DECLINED})
"""States in which a case is nobody's any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What a case would be: its state, who would have it (None: nobody) and until when."""

    state: CaseState
    owner: Rung | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one case: its new version, or why not; ``foreseen`` is set where nothing was made."""

    ref: str
    version: int | None = None
    error: GridwardError | None = None
    foreseen: Foreseen | None = None


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
    made = await _make_all(unit, requests, reference)
    found = tuple(
        Outcome(ref=request.ref, version=one.case["version"])
        if isinstance(one, Act)
        else Outcome(ref=request.ref, error=one)
        for request, one in zip(requests, made, strict=True)
    )
    token, until = await _keep(unit, [one for one in made if isinstance(one, Act) and _can_be_undone(one)])
    return BulkResult(outcomes=found, token=token, undo_until=until)


async def foresee_many(unit: WriteUnit, requests: Sequence[MoveRequest], reference: Reference) -> tuple[Outcome, ...]:
    """What the same moves would come to. They are made and given up again, so that no rule is written down twice.

    Raises
    ------
    BadInputError
        ``dispatch.too_many_moves``.
    """
    driver = await unit.driver()
    async with driver.transaction(force_rollback=True):
        made = await _make_all(unit, requests, reference)
    return tuple(
        Outcome(ref=request.ref, version=one.before["version"], foreseen=_foreseen(one))
        if isinstance(one, Act)
        else Outcome(ref=request.ref, error=one)
        for request, one in zip(requests, made, strict=True)
    )


def _foreseen(act: Act) -> Foreseen:
    state = CaseState(act.case["state"])
    # What an act decided is with its event; without a decision everybody keeps what they have.
    kept = act.payload.get("ladder") or kept_ladder(act.before)
    owner = act.case["owner_post_id"]
    rungs = [rung for rung in parse_ladder(kept) if rung.post_id == owner]
    head = find_head(rungs)
    rung = head.rung if head else next(iter(rungs), None)
    return Foreseen(state=state, owner=None if state in _HIDDEN else rung, due_at=act.case["due_at"])


async def _make_all(
    unit: WriteUnit, requests: Sequence[MoveRequest], reference: Reference
) -> list[Act | GridwardError]:
    if len(requests) > MOST_MOVES:
        raise BadInputError("dispatch.too_many_moves", pointer="/cases", most=MOST_MOVES)
    driver = await unit.driver()
    made: dict[int, Act | GridwardError] = {}
    # The instant of the transaction, which is one for all of them.
    at = await database_now(unit)
    # In one order, so that two bulk moves over the same cases wait for each other instead of both dying.
    for index, request in sorted(enumerate(requests), key=lambda item: item[1].ref):
        try:
            async with driver.transaction():
                made[index] = await make_move(unit, request, reference, at=at)
        except GridwardError as error:
            made[index] = error
    return [made[index] for index in range(len(requests))]


def _can_be_undone(act: Act) -> bool:
    # Of a merge the other case keeps a record, too, and takes a second one; whoever was told more than that was told.
    return act.request.move in UNDOABLE and (not act.elsewhere or act.request.move is Move.MERGE)


async def _keep(unit: WriteUnit, acts: Sequence[Act]) -> tuple[UUID | None, datetime | None]:
    """Keep what cases were whose move can be taken back, and hold back who is told; the token, and until when.

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
    await driver.execute(
        "UPDATE dispatch.outbox SET next_attempt_at = %s WHERE event_id = ANY (%s)",
        (row[0], [act.event_id for act in acts]),
    )
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
        # With those that merged cases follow, in one order.
        await cursor.execute(
            "SELECT id, ref, version, state, parent_case_id, clock_epoch FROM dispatch.dispatch_case"
            " WHERE id = ANY (%(ids)s)"
            " OR id IN (SELECT parent_case_id FROM dispatch.dispatch_case WHERE id = ANY (%(ids)s))"
            " ORDER BY ref FOR UPDATE",
            {"ids": list(by_case)},
        )
        cases = [case for case in await cursor.fetchall() if case["id"] in by_case]
    at = await database_now(unit)
    return tuple([await _undo(unit, case, by_case[case["id"]], actor, at) for case in cases])


#: The last act of a case, if nobody has been told of it yet: then nobody will be.
_WITHDRAW: Final = """
WITH last AS (SELECT id, seq, moves FROM dispatch.case_event WHERE case_id = %s ORDER BY seq DESC LIMIT 1)
DELETE FROM dispatch.outbox AS o USING last WHERE o.event_id = last.id RETURNING last.seq, last.moves
"""


async def _undo(
    unit: WriteUnit, case: Mapping[str, Any], kept: Mapping[str, Any], actor: Actor, at: datetime
) -> Outcome:
    overtaken = Outcome(ref=case["ref"], error=ConflictError("dispatch.undo_overtaken", case=case["ref"]))
    if case["version"] != kept["version"]:
        return overtaken
    driver = await unit.driver()
    withdrawn = await (await driver.execute(_WITHDRAW, (case["id"],))).fetchone()
    if withdrawn is None:
        return overtaken
    seq, moves = withdrawn
    names = [sql.Identifier(name) for name in kept["before"]]
    await driver.execute(
        sql.SQL(
            "UPDATE dispatch.dispatch_case SET ({names}) = (SELECT {names} FROM"
            " jsonb_populate_record(NULL::dispatch.dispatch_case, %s::jsonb)), version = version + 1 WHERE id = %s"
        ).format(names=sql.SQL(", ").join(names)),
        (msgspec.json.encode(kept["before"]).decode(), case["id"]),
    )
    if Move.DISPATCH in moves:
        # The phases of a clock that has never run; the next dispatch writes its own.
        await driver.execute(
            "DELETE FROM dispatch.case_phase WHERE case_id = %s AND clock_epoch = %s", (case["id"], case["clock_epoch"])
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
        payload={"undid": moves[-1], "seq": seq},
    )
    if Move.MERGE in moves:
        told = Elsewhere(
            case_id=case["parent_case_id"], kind="unfollowed", overlay="follow", payload={"case": case["ref"]}
        )
        await tell_elsewhere(unit, told, at, actor)
    return Outcome(ref=case["ref"], version=case["version"] + 1)
