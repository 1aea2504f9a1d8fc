"""Why a case is with whom it is: every dispatch's decision, read back from the history. Pure.

A trace walks coordinates → cell → version → rule → duty → person. All of it was written down when it was decided: the
position and the cell with the case, the rest in the event of the act. Nothing is worked out again, so a trace stays
what it was when posts, matrix and grid have long changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from dispatch.case_views import CaseView, EventView
from dispatch.posts import Head, Rung, find_head, parse_ladder
from dispatch.routing import Route, parse_route

__all__ = ["Decision", "RuleStep", "decisions_of"]

#: Acts that decide who has a case.
DECIDING: Final = frozenset(
    {
        "case.dispatched.v1",
        "case.redispatched.v1",
        "case.settled.v1",
        "case.not_acknowledged.v1",
        "case.handed_over.v1",
    }
)


class RuleStep(StrEnum):
    """What an act did with the matrix."""

    ASKED = "asked"
    KEPT = "kept"
    """Somebody else of the same line took over: what the last dispatch had found still holds."""
    SETTLED = "settled"
    """A ruling passes the matrix over."""


#: Acts that give the case to somebody else without asking the matrix.
_RULES: Final = {
    "case.not_acknowledged.v1": RuleStep.KEPT,
    "case.handed_over.v1": RuleStep.KEPT,
    "case.settled.v1": RuleStep.SETTLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One act that decided who has the case.

    ``cells`` are codes from level 1 down; ``told`` is the post's title where an act kept no ladder of its own;
    ``route`` is what the matrix said when it was last asked.
    """

    seq: int
    type: str
    at: datetime
    actor_kind: str
    actor_zh: str
    actor_en: str
    reason: str
    cells: tuple[str, ...]
    version_number: int | None
    version_name: str
    version_id: int | None
    route: Route | None
    rule: RuleStep
    ladder: tuple[Rung, ...]
    told_zh: str
    told_en: str

    @property
    def head(self) -> Head | None:
        """Who it was given to, and why."""
        return find_head(self.ladder)


def decisions_of(case: CaseView, events: Sequence[EventView]) -> tuple[Decision, ...]:
    """The decisions of a case, oldest first; empty while nobody has it.

    One that was taken back before anybody was told of it decided nothing; the history still has it.
    """
    undone = {event.payload.get("seq") for event in events if event.type == "case.undone.v1"}
    found: list[Decision] = []
    for event in events:
        if event.seq in undone:
            continue
        if event.type in DECIDING:
            found.append(_decision(case, event, found[-1] if found else None))
    return tuple(found)


def _decision(case: CaseView, event: EventView, before: Decision | None) -> Decision:
    payload = event.payload
    rule = _RULES.get(event.type, RuleStep.ASKED)
    route = parse_route(payload.get("route"))
    if rule is RuleStep.KEPT and before is not None:
        # After a ruling whoever takes over has it by the ruling.
        route = before.route
        rule = RuleStep.SETTLED if before.rule is RuleStep.SETTLED else rule
    version: Mapping[str, Any] = payload["grid_version"] if isinstance(payload.get("grid_version"), Mapping) else {}
    placed = [cell["code"] for cell in payload.get("chain") or case.chain]
    number = version.get("number")
    if number is None and isinstance(payload.get("grid_version"), int):
        number = payload["grid_version"]
    return Decision(
        seq=event.seq,
        type=event.type,
        at=event.occurred_at,
        actor_kind=event.actor_kind,
        actor_zh=event.actor_name_zh,
        actor_en=event.actor_name_en,
        reason=str(payload.get("reason") or ""),
        cells=tuple(payload.get("path") or payload.get("to_path") or placed),
        version_number=number,
        version_name=str(version.get("name") or ""),
        version_id=payload.get("version_id"),
        route=route,
        rule=rule,
        ladder=parse_ladder(payload.get("ladder")),
        told_zh=str(payload.get("told_zh") or ""),
        told_en=str(payload.get("told_en") or ""),
    )
