"""Who hears of an event besides those whom it names: asked for when the relay tells, not when somebody acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import structlog

from dispatch.escalation import Target
from dispatch.ladder_targets import Whereabouts, find_told
from dispatch.queries import responsible_many
from dispatch.routing import Mode
from dispatch.storage.escalation import list_seats
from dispatch.storage.routing import handlers_on_duty
from dispatch.workflow import Move, event_type
from geo.storage.uow import WriteUnit

__all__ = ["ENDORSED", "approving", "assisting"]

log = structlog.get_logger("gridward.worker")

#: The act after which a suspension waits for the leader alone.
ENDORSED: Final = event_type(Move.ENDORSE_SUSPEND)
#: Acts after which the department that assists hears of the case.
_DISPATCHING: Final = frozenset({event_type(Move.DISPATCH), event_type(Move.RE_DISPATCH)})


async def assisting(unit: WriteUnit, rows: Sequence[dict[str, Any]]) -> dict[int, UUID]:
    """Who in the department that assists by the matrix, by outbox row: on duty when the case was dispatched.

    Asked for here and not at intake: the case has its owner in one round trip, and a helper may hear a second later.
    """
    asked = []
    for row in rows:
        route = row["payload"].get("route") if row["type"] in _DISPATCHING else None
        if route and route["mode"] == Mode.ASSIST.value:
            asked.append((row["id"], row["jurisdiction"], row["path"], route["department"], row["occurred_at"]))
    return await handlers_on_duty(unit, asked) if asked else {}


async def approving(unit: WriteUnit, rows: Sequence[dict[str, Any]]) -> dict[int, UUID]:
    """Whose word a suspension waits for that the desk has endorsed, by outbox row: the subdistrict's leader.

    Found as the ladder finds its top rung: a leader's post, and where none is set up the level-1 head.
    """
    found: dict[int, UUID] = {}
    for row in rows:
        if row["type"] != ENDORSED:
            continue
        path, at = tuple(row["path"] or ()), row["occurred_at"]
        (heads,) = await responsible_many(unit, row["jurisdiction"], [path], at)
        where = Whereabouts(path=path, heads=heads, owner_post_id=None, owner_person_id=None)
        seats = (await list_seats(unit, [row["jurisdiction"]], at)).get(row["jurisdiction"], [])
        told = find_told(Target.LEADER, where, seats).person_id
        if told is not None:
            found[row["id"]] = told
        else:
            log.warning("nobody_approves", case=row["ref"])
    return found
