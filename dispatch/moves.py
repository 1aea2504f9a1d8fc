"""Making a move: lock the case, look, check the table, write the row, its event and the outbox row (decision 0002)."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from dispatch.effects import EFFECTS
from dispatch.guards import after, check
from dispatch.making import Act, Actor, Elsewhere, MoveRequest, columns_of, facts_of
from dispatch.queries import database_now
from dispatch.reference import Reference
from dispatch.states import CaseState
from dispatch.storage.cases import lock_case, lock_cases
from dispatch.storage.intake import WAKE_UP
from dispatch.workflow import STAGE_OF, Move, Transition, event_type, plan
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["Actor", "MoveRequest", "make_move", "move_locked", "record_event", "tell_elsewhere", "update_case"]


async def make_move(unit: WriteUnit, request: MoveRequest, reference: Reference, *, at: datetime | None = None) -> Act:
    """Make one move and return what it did.

    Parameters
    ----------
    at
        The transaction's instant, if it is known already.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``.
    ConflictError
        ``dispatch.version_conflict`` when somebody was faster, ``dispatch.illegal_transition`` when the state does
        not allow it, ``dispatch.guard.*`` when a guard of the table does not.
    ForbiddenError
        ``dispatch.system_move``.
    BadInputError
        ``dispatch.reason_required``, ``dispatch.condition_required``, ``dispatch.nobody_responsible``,
        ``dispatch.until_required``, ``dispatch.bad_until``, ``dispatch.into_required``.
    """
    if request.move is Move.MERGE and request.into:
        # Both in one order: two desks that merge two cases into each other must not wait for one another.
        await lock_cases(unit, (request.ref, request.into))
    case = await lock_case(unit, request.ref)
    if case is None or (request.channel is not None and case["channel_code"] != request.channel):
        raise NotFoundError("dispatch.case_not_found", case=request.ref[:80])
    if case["version"] != request.seen_version:
        raise ConflictError(
            "dispatch.version_conflict", case=request.ref, seen=request.seen_version, now=case["version"]
        )
    return await move_locked(unit, case, request, reference, at=at)


async def move_locked(
    unit: WriteUnit, case: dict[str, Any], request: MoveRequest, reference: Reference, *, at: datetime | None = None
) -> Act:
    """Make one move on a case whose row is locked (the worker has locked its own already) and return what it did.

    Parameters
    ----------
    at
        When it was made; None is now, by the database's clock. Only histories that are written down later name one.
    """
    profile = reference.profile(case["jurisdiction"], case["cell_path"])
    state = CaseState(case["state"])
    rows = plan(state, request.move, profile.line)
    if any(row.needs_reason for row in rows) and not request.reason.strip():
        raise BadInputError("dispatch.reason_required", pointer="/reason", move=request.move.value)
    at = at or await database_now(unit)
    facts = facts_of(case, at)
    act = Act(unit=unit, before=case, case=dict(case), request=request, reference=reference, profile=profile, at=at)
    for row in rows:
        check(row, facts, request.actor.known, is_system=request.actor.kind == "system")
        facts = after(row, facts, request.actor.known)
        act.change(columns_of(row, facts, at))
        act.change(_stage(row, facts.state, act))
        effect = EFFECTS.get(row.move)
        if effect is not None:
            act.change(await effect(act))
    act.change({"version": case["version"] + 1})
    await update_case(unit, case["id"], act.changes)
    said = {"reason": request.reason, "result": request.result, **act.payload}
    if request.said_at is not None:
        said["said_at"] = request.said_at.isoformat(timespec="seconds")
    act.event_id = await record_event(
        unit,
        case_id=case["id"],
        kind=event_type(rows[-1].move),
        moves=[row.move.value for row in rows],
        from_state=case["state"],
        to_state=facts.state.value,
        at=at,
        actor=request.actor,
        payload={name: value for name, value in said.items() if value not in ("", None)},
    )
    for event in act.elsewhere:
        await tell_elsewhere(unit, event, at, request.actor)
    return act


def _stage(row: Transition, state: CaseState, act: Act) -> dict[str, Any]:
    """Entering a state starts its stage clock; a move that stays where it is leaves the clock alone."""
    if row.target is None:
        return {}
    stage = STAGE_OF.get(state)
    if stage is None:
        return {"stage_clock": None, "stage_due_at": None}
    return {"stage_clock": stage.value, "stage_due_at": act.at + act.profile.limit_of(stage)}


async def tell_elsewhere(unit: WriteUnit, event: Elsewhere, at: datetime, actor: Actor) -> None:
    """Leave a fact in the history of another case, whose reporter has a right to know it too."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "UPDATE dispatch.dispatch_case SET version = version + 1 WHERE id = %s RETURNING state", (event.case_id,)
        )
    ).fetchone()
    assert row is not None
    await record_event(
        unit,
        case_id=event.case_id,
        kind=f"case.{event.kind}.v1",
        moves=[event.overlay],
        from_state=row[0],
        to_state=row[0],
        at=at,
        actor=actor,
        payload=event.payload,
    )


async def update_case(unit: WriteUnit, case_id: UUID, changes: dict[str, Any]) -> None:
    """Write columns of a locked case."""
    driver = await unit.driver()
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in changes
    )
    query = sql.SQL("UPDATE dispatch.dispatch_case SET {} WHERE id = {}").format(assignments, sql.Placeholder("id"))
    await driver.execute(query, {**changes, "id": case_id})


# One round trip: with five hundred moves in a request each further one is felt.
_RECORD: Final = f"""
WITH told AS (
  INSERT INTO dispatch.case_event (case_id, seq, type, moves, from_state, to_state, occurred_at, actor_kind, actor_id,
                                   payload)
  SELECT %(id)s, coalesce(max(seq), 0) + 1, %(kind)s, %(moves)s, %(before)s, %(after)s, %(at)s, %(who)s, %(whom)s,
         %(payload)s
    FROM dispatch.case_event WHERE case_id = %(id)s
  RETURNING id),
queued AS (INSERT INTO dispatch.outbox (event_id) SELECT id FROM told)
SELECT id, ({WAKE_UP}) FROM told
"""  # noqa: S608 - constants only


async def record_event(
    unit: WriteUnit,
    *,
    case_id: UUID,
    kind: str,
    moves: list[str],
    from_state: str | None,
    to_state: str,
    at: datetime,
    actor: Actor,
    payload: dict[str, Any],
) -> int:
    """Append an act to the history, queue its consequences, and wake the readers. The case row must be locked."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            _RECORD,
            {
                "id": case_id,
                "kind": kind,
                "moves": moves,
                "before": from_state,
                "after": to_state,
                "at": at,
                "who": actor.kind,
                "whom": actor.id,
                "payload": Jsonb(payload),
            },
        )
    ).fetchone()
    assert row is not None
    event_id: int = row[0]
    return event_id
