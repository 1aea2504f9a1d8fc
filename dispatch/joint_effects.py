"""What moves do to legs and phases: splitting joint work, moving a leg, and clocks that follow their case's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Deadline, Limit, LimitUnit, is_on_time
from dispatch.handling_clock import leg_due, leg_moved
from dispatch.joint import (
    MOST_LEGS,
    LegFacts,
    LegMove,
    LegPlan,
    LegState,
    after_leg,
    check_leg,
    is_joined,
    leg_event_type,
)
from dispatch.making import Act, Actor
from dispatch.posts import find_head, ladder_json
from dispatch.states import CaseState
from dispatch.storage import legs
from dispatch.storage.routing import department_ladder, departments_for
from dispatch.workflow import Move
from geo.errors import BadInputError, ConflictError, NotFoundError
from geo.storage.uow import WriteUnit

__all__ = ["LegRequest", "LegResult", "follow_case", "move_leg_locked", "split"]

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRequest:
    """A leg's move as asked for. ``evidence`` names photos or documents; ``department`` is where it goes next."""

    ref: str
    number: int
    move: LegMove
    actor: Actor
    seen_version: int
    reason: str = ""
    result: str = ""
    evidence: tuple[str, ...] = ()
    department: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegResult:
    """What a leg's move leads to, for the case's row and its event."""

    kind: str
    moves: tuple[str, ...]
    changes: Columns
    payload: dict[str, Any]


async def split(act: Act, limit: Limit, calendar: WorkingCalendar, *, is_planned: bool = False) -> Columns:
    """Open a leg for each department. More may be added while others are under way.

    Without legs in the request the matrix decides: every department that has a part in this class and cell gets one.

    Parameters
    ----------
    is_planned
        By a plan: nobody is there to be told that a leg's limit is longer than its case's, so it ends with the case.

    Raises
    ------
    BadInputError
        ``dispatch.legs_required``, ``dispatch.unknown_department``, ``dispatch.leg_beyond_case``.
    ConflictError
        ``dispatch.too_many_legs``; ``dispatch.leg_under_way``: a department has one leg of a case at a time, with one
        clock and one sign-off.
    """
    wanted = act.request.legs or await _by_matrix(act)
    known = await legs.list_departments(act.unit)
    if not wanted:
        raise BadInputError("dispatch.legs_required", pointer="/legs", example=known[0] if known else "…")
    busy = {leg["department_code"] for leg in await legs.lock_open_legs(act.unit, act.case["id"])}
    for place, plan in enumerate(wanted):
        if plan.department in busy:
            pointer = f"/legs/{place}/department"
            raise ConflictError("dispatch.leg_under_way", pointer=pointer, department=plan.department)
        busy.add(plan.department)
    if act.case["open_legs"] + len(wanted) > MOST_LEGS:
        raise ConflictError("dispatch.too_many_legs", pointer="/legs", most=MOST_LEGS)
    opened = []
    for place, plan in enumerate(wanted):
        if plan.department not in known:
            pointer = f"/legs/{place}/department"
            raise BadInputError(
                "dispatch.unknown_department",
                pointer=pointer,
                department=plan.department,
                known=", ".join(known) or "–",
            )
        opened.append(await _open(act, plan, plan.limit or limit, calendar, place, is_planned=is_planned))
    act.payload["legs"] = opened
    return {"open_legs": act.case["open_legs"] + len(wanted)}


async def _by_matrix(act: Act) -> tuple[LegPlan, ...]:
    """A leg for each department of the matrix that has none open yet."""
    case = act.case
    busy = {leg["department_code"] for leg in await legs.lock_open_legs(act.unit, case["id"])}
    named = await departments_for(act.unit, case["jurisdiction"], act.path, case["category_code"], act.at)
    act.payload["by_matrix"] = True
    return tuple(LegPlan(department=code) for code in named if code not in busy)


async def _open(
    act: Act, plan: LegPlan, limit: Limit, calendar: WorkingCalendar, place: int, *, is_planned: bool
) -> dict[str, Any]:
    case_due = act.case["due_at"]
    due, alone = leg_due(calendar, act.at, limit, case_due), leg_due(calendar, act.at, limit, None)
    if plan.limit is not None and due.due_at != alone.due_at and not is_planned:
        raise BadInputError(
            "dispatch.leg_beyond_case",
            pointer=f"/legs/{place}/limit",
            leg_due_at=alone.due_at.isoformat(),
            due_at=case_due.isoformat(),
        )
    owner = await _owner(act.unit, act.case["jurisdiction"], act.path, plan.department, act.at)
    number = await legs.add_leg(
        act.unit,
        case_id=act.case["id"],
        clock_epoch=act.case["clock_epoch"],
        department_code=plan.department,
        task=plan.task,
        state=LegState.DISPATCHED.value,
        limit_value=limit.value,
        limit_unit=limit.unit.value,
        started_at=act.at,
        due_at=due.due_at,
        due_provisional=due.is_provisional,
        **owner.columns,
    )
    return {"leg": number, "department": plan.department, "due_at": due.due_at.isoformat(), **owner.told}


@dataclass(frozen=True, slots=True)
class _Owner:
    columns: Columns
    told: dict[str, Any]


async def _owner(unit: WriteUnit, jurisdiction: str, path: tuple[str, ...], department: str, at: datetime) -> _Owner:
    """Who answers in a department. A department without anybody keeps the leg all the same, and that is on record."""
    ladder = await department_ladder(unit, jurisdiction, path, department, at)
    head = find_head(ladder)
    rung = head.rung if head else None
    return _Owner(
        {
            "owner_post_id": rung.post_id if rung else None,
            "owner_person_id": rung.person_id if rung else None,
            "owner_ladder": Jsonb(ladder_json(ladder)),
        },
        {
            "told_post_id": rung.post_id if rung else None,
            "told_zh": rung.title_zh if rung else None,
            "told_en": rung.title_en if rung else None,
            "told_person_id": str(rung.person_id) if rung else None,
        },
    )


async def move_leg_locked(unit: WriteUnit, case: dict[str, Any], request: LegRequest, at: datetime) -> LegResult:
    """Move a leg of a locked case and say what the case's row and history take over.

    Raises
    ------
    NotFoundError
        ``dispatch.leg_not_found``.
    ConflictError
        ``dispatch.version_conflict``, ``dispatch.legs_rest``, ``dispatch.illegal_leg_move``, ``dispatch.leg_guard.*``.
    BadInputError
        ``dispatch.reason_required``, ``dispatch.unknown_department``.
    """
    leg = await legs.lock_leg(unit, case["id"], request.number)
    if leg is None:
        raise NotFoundError("dispatch.leg_not_found", case=case["ref"], leg=request.number)
    if leg["version"] != request.seen_version:
        raise ConflictError(
            "dispatch.version_conflict", case=case["ref"], seen=request.seen_version, now=leg["version"]
        )
    if CaseState(case["state"]) is not CaseState.HANDLING:
        raise ConflictError("dispatch.legs_rest", pointer="/move", case=case["ref"], state=case["state"])
    actor = request.actor.known
    facts = LegFacts(
        state=LegState(leg["state"]),
        return_count=leg["return_count"],
        rework_count=leg["rework_count"],
        handled_by=legs.person_of(leg["handled_by"] or ""),
    )
    row = check_leg(request.move, facts, actor)
    if row.needs_reason and not request.reason.strip():
        raise BadInputError("dispatch.reason_required", pointer="/reason", move=request.move.value)
    facts = after_leg(row, facts, actor)
    changes: Columns = {
        "state": facts.state.value,
        "return_count": facts.return_count,
        "rework_count": facts.rework_count,
    }
    payload: dict[str, Any] = {
        "leg": request.number,
        "department": leg["department_code"],
        "reason": request.reason,
        "result": request.result,
    }
    match request.move:
        case LegMove.ACKNOWLEDGE:
            changes["acknowledged_at"] = at
        case LegMove.REPORT_BACK:
            # On time is decided at this instant; a refused sign-off takes it back, and the old deadline runs on.
            changes |= {
                "handled_at": at,
                "handled_by": request.actor.name,
                "is_on_time": is_on_time(at, leg["due_at"]),
                "result": request.result,
                "evidence": list(request.evidence),
            }
            payload |= {"evidence": list(request.evidence), "is_on_time": changes["is_on_time"]}
        case LegMove.REJECT:
            changes |= {"handled_at": None, "handled_by": None, "is_on_time": None}
            if leg["owner_person_id"] is not None:
                payload["told_person_id"] = str(leg["owner_person_id"])
        case LegMove.SIGN:
            changes |= {"signed_at": at, "signed_by": request.actor.name}
        case LegMove.RE_DISPATCH | LegMove.SETTLE:
            department = request.department or leg["department_code"]
            await _check_free(unit, case["id"], request.number, department)
            path = tuple(case["owner_path"] or case["cell_path"])
            owner = await _owner(unit, case["jurisdiction"], path, department, at)
            changes |= {"department_code": department, "acknowledged_at": None, **owner.columns}
            payload |= {"department": department, **owner.told}
    await legs.update_leg(unit, case["id"], request.number, changes)
    still_open = await legs.lock_open_legs(unit, case["id"])
    is_over = is_joined(LegState(each["state"]) for each in still_open)
    return LegResult(
        kind=leg_event_type(request.move),
        moves=(request.move.value, *((Move.JOIN.value,) if is_over else ())),
        changes={"open_legs": len(still_open)},
        payload={name: value for name, value in payload.items() if value not in ("", None, [])},
    )


async def follow_case(act: Act, kind: str, case_now: datetime, move: Callable[[datetime, Limit], Deadline]) -> None:
    """Move the clocks of the open legs as an approval moves their case's, each with a record of its own.

    Parameters
    ----------
    kind
        ``extension``, ``pause`` or ``resume``.
    case_now
        The case's new deadline, which a leg stays within.
    move
        New deadline of a leg from its old one and its limit.
    """
    if not act.case["open_legs"]:
        return
    for leg in await legs.lock_open_legs(act.unit, act.case["id"]):
        limit = Limit(value=leg["limit_value"], unit=LimitUnit(leg["limit_unit"]))
        was = leg["due_at"]
        now = leg_moved(move(was, limit), was, case_was=act.case["due_at"], case_now=case_now)
        if now.due_at == was:
            continue
        provisional = leg["due_provisional"] or now.is_provisional
        await legs.update_leg(
            act.unit, act.case["id"], leg["number"], {"due_at": now.due_at, "due_provisional": provisional}
        )
        await legs.add_deadline_change(
            act.unit,
            case_id=act.case["id"],
            clock_epoch=act.case["clock_epoch"],
            part="leg",
            number=leg["number"],
            kind=kind,
            changed_at=act.at,
            changed_by=act.request.actor.name,
            due_before=was,
            due_after=now.due_at,
        )


async def _check_free(unit: WriteUnit, case_id: UUID, number: int, department: str) -> None:
    """Refuse a department that does not exist, or that another leg of the case is with."""
    known = await legs.list_departments(unit)
    if department not in known:
        raise BadInputError(
            "dispatch.unknown_department",
            pointer="/department",
            department=department,
            known=", ".join(known) or "–",
        )
    others = await legs.lock_open_legs(unit, case_id)
    if any(one["department_code"] == department and one["number"] != number for one in others):
        raise ConflictError("dispatch.leg_under_way", pointer="/department", department=department)
