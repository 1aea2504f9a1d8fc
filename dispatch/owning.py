"""Who owns a case after a move, and the decision that is kept with it.

The event of every such move keeps the whole decision: the line of the matrix, everybody who was looked at and what was
found of each. It is part of the append-only history, so "why this person?" is answered from what was decided then,
whatever posts and the matrix say today (decision 0026).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from dispatch.making import Act
from dispatch.posts import Rung, find_head, find_next, find_top, ladder_json, passed_over
from dispatch.routing import Department, Mode, Route, route_json
from dispatch.storage.routing import find_fallback, led_ladder, read_department, responsible_for
from geo.errors import BadInputError

__all__ = ["find_owner", "ladder_of", "next_owner", "nobody", "settled_owner", "told"]

Columns = dict[str, Any]


async def find_owner(act: Act) -> Columns:
    """Who gets a case that is dispatched: the department that leads by the matrix or by the desk's word, else the head.

    Raises
    ------
    BadInputError
        ``dispatch.nobody_responsible``, ``posts.department_unknown``.
    """
    route: Route | None
    if act.request.department is not None:
        route = await _by_hand(act, act.request.department)
        ladder = await led_ladder(act.unit, act.case["jurisdiction"], act.path, route.leading, act.at)
    else:
        answer = await responsible_for(act.unit, act.case["jurisdiction"], act.path, act.case["category_code"], act.at)
        route, ladder = answer.route, answer.ladder
    head = find_head(ladder)
    if head is None or (act.request.department is not None and not head.rung.department):
        raise nobody(act)
    has_part = route is not None and route.mode is not Mode.FALLBACK
    department = route.department.code if route is not None and has_part else None
    return _owned_by(act, ladder, head.rung, route) | {"department_code": department}


async def settled_owner(act: Act) -> Columns:
    """Who keeps a case that everybody returns: the territorial fallback owner (属地兜底).

    The department that the matrix names for it, if somebody is there; else the highest head of the territory.
    """
    jurisdiction = act.case["jurisdiction"]
    territory = await led_ladder(act.unit, jurisdiction, act.path, None, act.at)
    fallback = await find_fallback(act.unit, jurisdiction, act.path, act.at)
    ladder = (*territory, *fallback)
    head = find_head(fallback)
    top = head.rung if head else find_top(territory)
    if top is None:
        raise nobody(act)
    act.payload |= told(top)
    owned = _owned_by(act, passed_over(ladder, top, "settled"), top, None)
    return owned | ({"department_code": top.department} if top.department else {})


async def next_owner(act: Act) -> Columns | None:
    """Who is asked when the owner did not acknowledge: the backup, then the parent cell's head; None is nobody."""
    ladder = await ladder_of(act)
    rung = find_next(ladder, act.case["owner_post_id"])
    act.payload |= told(rung)
    return None if rung is None else _owned_by(act, passed_over(ladder, rung, "no_ack"), rung, None)


async def ladder_of(act: Act) -> tuple[Rung, ...]:
    """The ladder of a case under way: led by the department that it was dispatched to, if it was."""
    leading = next((rung["department"] for rung in kept_ladder(act.case) if rung.get("department")), None)
    return await led_ladder(act.unit, act.case["jurisdiction"], act.path, leading, act.at)


def kept_ladder(case: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The ladder by which a locked case has its owner: what an act has just decided, else what is kept of it."""
    ladder = case["owner_ladder"]
    if isinstance(ladder, Jsonb):
        ladder = ladder.obj
    return ladder or case["kept_ladder"] or ()


def nobody(act: Act) -> BadInputError:
    """Nobody can take it."""
    asked = act.request.department
    if asked is not None:
        return BadInputError("posts.department_empty", pointer="/department", department=asked)
    return BadInputError("dispatch.nobody_responsible", pointer="/move", cell=(act.path or ("–",))[-1])


def told(rung: Rung | None) -> dict[str, Any]:
    """Whom an act tells, as its event keeps it."""
    return {
        "told_post_id": rung.post_id if rung else None,
        "told_zh": rung.title_zh if rung else None,
        "told_en": rung.title_en if rung else None,
        "told_person_id": str(rung.person_id) if rung else None,
    }


async def _by_hand(act: Act, code: str) -> Route:
    department = await read_department(act.unit, code)
    if department is None or not department.is_active:
        raise BadInputError("posts.department_unknown", pointer="/department", department=code)
    named = Department(code=code, name_zh=department.name_zh, name_en=department.name_en)
    # Rule 0 is nobody's line: the desk has said so.
    return Route(rule_id=0, mode=Mode.LEAD, department=named, cell_code="", category_code="")


def _owned_by(act: Act, ladder: Sequence[Rung], rung: Rung, route: Route | None) -> Columns:
    kept = ladder_json(ladder)
    act.payload["ladder"] = kept
    act.payload["path"] = list(act.path)
    act.payload["version_id"] = act.case["owner_version_id"] or act.case["grid_version_id"]
    if route is not None:
        act.payload["route"] = route_json(route)
    return {
        "owner_post_id": rung.post_id,
        "owner_person_id": rung.person_id,
        "owner_ladder": Jsonb(kept),
        "acknowledged_at": None,
    }
