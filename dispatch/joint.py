"""Joint work (联合处置): a case under way splits into legs, one per department, each with clock, evidence and sign-off.

The legs have a table of their own beside the case's (`dispatch/workflow.py`): the case stays ``handling``, its own
clock runs on, and it cannot be reported back before every leg is signed off or withdrawn. The act that ends the last
open leg records ``join`` on the case. As for the case, a return never buys time and the third one is settled for good.
Whoever reported a leg back does not sign it off. Pure rules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from dispatch.deadlines import Limit
from dispatch.guards import SETTLED_AT_RETURN
from dispatch.move_words import Clock, Who
from geo.errors import BadInputError, ConflictError

__all__ = [
    "ENDED",
    "LEG_EVENT_OF",
    "LEG_TRANSITIONS",
    "MOST_LEGS",
    "LegFacts",
    "LegMove",
    "LegPlan",
    "LegState",
    "LegTransition",
    "after_leg",
    "check_leg",
    "is_joined",
    "leg_event_type",
    "may_leg",
    "parse_leg_move",
    "possible_leg_moves",
    "retrace_leg",
]

MOST_LEGS: Final = 20
"""Open legs of one case at a time: more departments than a city has are a mistake."""


class LegState(StrEnum):
    """Where one leg stands."""

    DISPATCHED = "dispatched"
    RETURNED = "returned"
    HANDLING = "handling"
    HANDLED = "handled"
    SIGNED = "signed"
    WITHDRAWN = "withdrawn"


#: A leg that waits for nobody any more.
ENDED: Final = frozenset({LegState.SIGNED, LegState.WITHDRAWN})
#: Its clock runs.
RUNNING: Final = frozenset({LegState.DISPATCHED, LegState.RETURNED, LegState.HANDLING})


@dataclass(frozen=True, slots=True, kw_only=True)
class LegPlan:
    """A leg as asked for: whose, what, and its own limit (none: the case's)."""

    department: str
    task: str = ""
    limit: Limit | None = None


class LegMove(StrEnum):
    """What somebody does to a leg."""

    ACKNOWLEDGE = "leg_acknowledge"
    RETURN = "leg_return"
    RE_DISPATCH = "leg_re_dispatch"
    SETTLE = "leg_settle"
    REPORT_BACK = "leg_report_back"
    SIGN = "leg_sign"
    REJECT = "leg_reject"
    WITHDRAW = "leg_withdraw"


class LegGuard(StrEnum):
    """What a leg's move needs beyond its state."""

    RETURNS_LEFT = "returns_left"
    THIRD_RETURN = "third_return"
    NOT_REPORTER = "not_reporter"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegTransition:
    """One row of the legs' table; read as `dispatch.workflow.Transition`."""

    move: LegMove
    sources: frozenset[LegState]
    target: LegState
    event: str
    who: tuple[Who, ...]
    clock: Clock
    guard: LegGuard | None = None
    needs_reason: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegFacts:
    """What decides about a leg; ``handled_by`` is the person who reported it back, empty when nobody in particular."""

    state: LegState = LegState.DISPATCHED
    return_count: int = 0
    rework_count: int = 0
    handled_by: str = ""


def _row(
    move: LegMove,
    sources: Iterable[LegState],
    target: LegState,
    event: str,
    who: tuple[Who, ...],
    clock: Clock = Clock.RUNS_ON,
    guard: LegGuard | None = None,
    *,
    reason: bool = False,
) -> LegTransition:
    return LegTransition(
        move=move,
        sources=frozenset(sources),
        target=target,
        event=event,
        who=who,
        clock=clock,
        guard=guard,
        needs_reason=reason,
    )


_M, _S, _G = LegMove, LegState, LegGuard
_FIELD = (Who.HANDLER,)
_SIGNERS = (Who.DISPATCHER, Who.SHIFT_LEADER, Who.GRID_HEAD)

# fmt: off
LEG_TRANSITIONS: Final[tuple[LegTransition, ...]] = (
    _row(_M.ACKNOWLEDGE, (_S.DISPATCHED,), _S.HANDLING, "leg_acknowledged", _FIELD),
    _row(_M.RETURN, (_S.DISPATCHED,), _S.RETURNED, "leg_returned", _FIELD, Clock.RUNS_ON, _G.RETURNS_LEFT, reason=True),
    _row(_M.RE_DISPATCH, (_S.RETURNED,), _S.DISPATCHED, "leg_redispatched", (Who.DISPATCHER,), Clock.RUNS_ON,
         _G.RETURNS_LEFT),
    _row(_M.SETTLE, (_S.RETURNED,), _S.DISPATCHED, "leg_settled", (Who.SHIFT_LEADER,), Clock.RUNS_ON, _G.THIRD_RETURN,
         reason=True),
    _row(_M.REPORT_BACK, (_S.HANDLING,), _S.HANDLED, "leg_handled", _FIELD, Clock.STOP),
    _row(_M.SIGN, (_S.HANDLED,), _S.SIGNED, "leg_signed", _SIGNERS, Clock.NONE, _G.NOT_REPORTER),
    _row(_M.REJECT, (_S.HANDLED,), _S.HANDLING, "leg_rejected", _SIGNERS, Clock.RUNS_ON, _G.NOT_REPORTER, reason=True),
    _row(_M.WITHDRAW, (_S.DISPATCHED, _S.RETURNED, _S.HANDLING), _S.WITHDRAWN, "leg_withdrawn",
         (Who.DISPATCHER, Who.SHIFT_LEADER), Clock.STOP, reason=True),
)
# fmt: on
_BY_MOVE: Final = {row.move: row for row in LEG_TRANSITIONS}
LEG_EVENT_OF: Final = {row.move: row.event for row in LEG_TRANSITIONS}


def parse_leg_move(name: str) -> LegMove:
    """Read a leg's move.

    Raises
    ------
    BadInputError
        ``dispatch.unknown_move``, naming the moves there are.
    """
    try:
        return LegMove(name)
    except ValueError:
        known = ", ".join(sorted(LegMove))
        raise BadInputError("dispatch.unknown_move", pointer="/move", move=name, known=known) from None


def leg_event_type(move: LegMove) -> str:
    """Name of the event on the case that a leg's move leaves."""
    return f"case.{LEG_EVENT_OF[move]}.v1"


def leg_row_of(move: LegMove) -> LegTransition:
    """The row of a move."""
    return _BY_MOVE[move]


def _failing(row: LegTransition, facts: LegFacts, actor: str) -> LegGuard | None:
    holds = {
        None: True,
        # Settled at the third return, a leg is not returned once more.
        LegGuard.RETURNS_LEFT: facts.return_count < SETTLED_AT_RETURN,
        LegGuard.THIRD_RETURN: facts.return_count >= SETTLED_AT_RETURN,
        LegGuard.NOT_REPORTER: not actor or actor != facts.handled_by,
    }
    return None if holds[row.guard] else row.guard


def may_leg(roles: Iterable[str], move: LegMove) -> bool:
    """Whether one of somebody's roles makes a leg's move, as `dispatch.guards.may` for the case's."""
    return not {who.value for who in _BY_MOVE[move].who}.isdisjoint(roles)


def possible_leg_moves(facts: LegFacts, actor: str = "") -> tuple[LegMove, ...]:
    """Moves that somebody may make on a leg now, in the order of the table."""
    return tuple(
        row.move for row in LEG_TRANSITIONS if facts.state in row.sources and _failing(row, facts, actor) is None
    )


def check_leg(move: LegMove, facts: LegFacts, actor: str = "") -> LegTransition:
    """The row of a move that the leg allows.

    Raises
    ------
    ConflictError
        ``dispatch.illegal_leg_move`` with the moves that are possible instead, or ``dispatch.leg_guard.<guard>``.
    """
    row = _BY_MOVE[move]
    if facts.state not in row.sources:
        allowed = [each.value for each in possible_leg_moves(facts, actor)]
        raise ConflictError(
            "dispatch.illegal_leg_move", pointer="/move", move=move.value, state=facts.state.value, allowed=allowed
        )
    guard = _failing(row, facts, actor)
    if guard is not None:
        raise ConflictError(f"dispatch.leg_guard.{guard.value}", pointer="/move", move=move.value)
    return row


def after_leg(row: LegTransition, facts: LegFacts, actor: str = "") -> LegFacts:
    """Facts after a move."""
    facts = replace(facts, state=row.target)
    match row.move:
        case LegMove.RETURN:
            return replace(facts, return_count=facts.return_count + 1)
        case LegMove.REPORT_BACK:
            return replace(facts, handled_by=actor)
        case LegMove.REJECT:
            return replace(facts, rework_count=facts.rework_count + 1, handled_by="")
    return facts


def is_joined(legs: Iterable[LegState]) -> bool:
    """Whether a case may go on: nobody is waited for any more."""
    return all(state in ENDED for state in legs)


def retrace_leg(moves: Iterable[LegMove]) -> LegFacts:
    """Facts that a leg's history leads to; who acted is not in it.

    Raises
    ------
    ConflictError
        ``dispatch.illegal_leg_move`` when the history contains an impossible step.
    """
    facts = LegFacts()
    for move in moves:
        facts = after_leg(check_leg(move, facts), facts)
    return facts
