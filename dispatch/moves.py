"""Making a move: lock the case, look, check the table, write the row, its event and the outbox row (decision 0002)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from dispatch.deadlines import is_on_time
from dispatch.intake import set_clocks
from dispatch.posts import Rung, find_head
from dispatch.queries import database_now, responsible_at
from dispatch.reference import Reference
from dispatch.states import FINAL_STATES, CaseState
from dispatch.storage.cases import lock_case
from dispatch.storage.intake import WAKE_UP
from dispatch.workflow import Move, Transition, event_type, plan
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import WriteUnit


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: ``kind`` is channel, operator, person or system."""

    kind: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRequest:
    """A move as asked for. ``seen_version`` is what the actor looked at (If-Match)."""

    ref: str
    move: Move
    actor: Actor
    seen_version: int
    reason: str = ""
    result: str = ""
    condition: int | None = None
    channel: str | None = None


async def make_move(unit: WriteUnit, request: MoveRequest, reference: Reference) -> None:
    """Make one move.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``.
    ConflictError
        ``dispatch.version_conflict`` when somebody was faster, ``dispatch.illegal_transition`` when the state does
        not allow it.
    BadInputError
        ``dispatch.reason_required``, ``dispatch.condition_required``, ``dispatch.nobody_responsible``.
    """
    case = await lock_case(unit, request.ref)
    if case is None or (request.channel is not None and case["channel_code"] != request.channel):
        raise NotFoundError("dispatch.case_not_found", case=request.ref[:80])
    if case["version"] != request.seen_version:
        raise ConflictError(
            "dispatch.version_conflict", case=request.ref, seen=request.seen_version, now=case["version"]
        )
    rows = plan(CaseState(case["state"]), request.move)
    if any(row.needs_reason for row in rows) and not request.reason.strip():
        raise BadInputError("dispatch.reason_required", pointer="/reason", move=request.move.value)
    at = await database_now(unit)
    changes: dict[str, Any] = {}
    for row in rows:
        changes |= _stamp(row, at)
        changes |= await _effects(unit, row, case | changes, request, reference, at)
    changes |= {"state": rows[-1].target.value, "version": case["version"] + 1}
    await _update(unit, case["id"], changes)
    said = {"reason": request.reason, "result": request.result}
    await record_event(
        unit,
        case_id=case["id"],
        kind=event_type(rows[-1].move),
        moves=[row.move.value for row in rows],
        from_state=case["state"],
        to_state=rows[-1].target.value,
        at=at,
        actor=request.actor,
        payload={name: value for name, value in said.items() if value},
    )


def _stamp(row: Transition, at: datetime) -> dict[str, Any]:
    return {row.stamp: at} if row.stamp else {}


async def _effects(
    unit: WriteUnit,
    row: Transition,
    case: dict[str, Any],
    request: MoveRequest,
    reference: Reference,
    at: datetime,
) -> dict[str, Any]:
    """What a transition changes beyond state and stamp."""
    match row.move:
        case Move.DISPATCH:
            return await _owner(unit, case, at) | _clocks(case, request, reference, at)
        case Move.RE_DISPATCH:
            return await _owner(unit, case, at)
        case Move.RETURN:
            return {"return_count": case["return_count"] + 1}
        case Move.REPORT_BACK:
            return {"is_on_time": is_on_time(at, case["due_at"]), "next_rung_at": None}
        case Move.CHECK_FAIL:
            # The clock goes on from the original deadline; if that has passed, the next sweep finds the rung due.
            return {
                "rework_count": case["rework_count"] + 1,
                "handled_at": None,
                "is_on_time": None,
                "next_rung_at": case["due_at"],
            }
        case Move.CLOSE:
            return {"closed_level": _owner_level(case), "next_rung_at": None}
        case _ if row.target in FINAL_STATES:
            return {"next_rung_at": None}
    return {}


async def _owner(unit: WriteUnit, case: dict[str, Any], at: datetime) -> dict[str, Any]:
    ladder = await responsible_at(unit, case["jurisdiction"], tuple(case["cell_path"]), at)
    head = find_head(ladder)
    if head is None:
        raise BadInputError("dispatch.nobody_responsible", pointer="/move", cell=(case["cell_path"] or ["–"])[-1])
    return {
        "owner_post_id": head.rung.post_id,
        "owner_person_id": head.rung.person_id,
        "owner_ladder": Jsonb([_rung_json(rung, step) for step, rung in enumerate(ladder, start=1)]),
        "acknowledged_at": None,
    }


def _clocks(case: dict[str, Any], request: MoveRequest, reference: Reference, at: datetime) -> dict[str, Any]:
    category = reference.categories[case["category_code"]]
    condition = category.certain_condition(request.condition or case["condition_number"])
    if condition is None:
        known = ", ".join(str(number) for number in sorted(category.conditions)) or "–"
        raise BadInputError("dispatch.condition_required", pointer="/condition", category=category.code, known=known)
    jurisdiction = reference.jurisdictions[case["jurisdiction"]]
    start_rule = reference.channels[case["channel_code"]].start_rule
    clocks = set_clocks(jurisdiction, start_rule, condition.limit, at)
    return {
        "condition_number": condition.number,
        "due_at": clocks.due.due_at,
        "due_provisional": clocks.due.is_provisional,
        "warn_at": clocks.warn_at,
        "next_rung_at": clocks.due.due_at,
    }


def _owner_level(case: dict[str, Any]) -> int | None:
    """Level at which the case was solved: that of the post that owned it. Units: cell level, 1 = subdistrict."""
    ladder = case["owner_ladder"] or []
    return next((rung["level"] for rung in ladder if rung["post_id"] == case["owner_post_id"]), None)


def _rung_json(rung: Rung, step: int) -> dict[str, Any]:
    return {
        "step": step,
        "level": rung.level,
        "cell_code": rung.cell_code,
        "rank": rung.rank,
        "post_id": rung.post_id,
        "title_zh": rung.title_zh,
        "title_en": rung.title_en,
        "person_id": str(rung.person_id) if rung.person_id else None,
        "person_name": rung.person_name,
        "leave_until": rung.leave_until.isoformat() if rung.leave_until else None,
        "is_available": rung.is_available,
    }


async def _update(unit: WriteUnit, case_id: UUID, changes: dict[str, Any]) -> None:
    driver = await unit.driver()
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in changes
    )
    query = sql.SQL("UPDATE dispatch.dispatch_case SET {} WHERE id = {}").format(assignments, sql.Placeholder("id"))
    await driver.execute(query, {**changes, "id": case_id})


async def record_event(
    unit: WriteUnit,
    *,
    case_id: UUID,
    kind: str,
    moves: list[str],
    from_state: str,
    to_state: str,
    at: datetime,
    actor: Actor,
    payload: dict[str, Any],
) -> int:
    """Append an act to the history, queue its consequences, and wake the readers. The case row must be locked."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "INSERT INTO dispatch.case_event (case_id, seq, type, moves, from_state, to_state, occurred_at, actor_kind,"
            " actor_id, payload)"
            " SELECT %(id)s, max(seq) + 1, %(kind)s, %(moves)s, %(before)s, %(after)s, %(at)s, %(who)s, %(whom)s,"
            " %(payload)s FROM dispatch.case_event WHERE case_id = %(id)s RETURNING id",
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
    await driver.execute("INSERT INTO dispatch.outbox (event_id) VALUES (%s)", (event_id,))
    await driver.execute(WAKE_UP)
    return event_id
