"""What a move needs beyond its state: the guards of the workflow's table, decided from a few facts of the case.

Pure rules: the facts come from the row (`dispatch/storage`) or from the history (`retrace`), and both must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from dispatch.states import CaseState
from dispatch.workflow import OVERLAYS, UNDO, Guard, Line, Move, Transition, Who, allowed_moves, plan, row_of
from geo.errors import BadInputError, ConflictError, ForbiddenError

__all__ = [
    "MOST_EXTENSIONS",
    "SETTLED_AT_RETURN",
    "Facts",
    "Request",
    "after",
    "check",
    "failing",
    "may",
    "possible_moves",
    "retrace",
]

MOST_EXTENSIONS: Final = 2
SETTLED_AT_RETURN: Final = 3
"""The return that is settled instead of dispatched once more; after it the case is not returned again."""


class Request(StrEnum):
    """What somebody has asked for and nobody has decided yet; at most one at a time."""

    EXTENSION = "extension"
    SUSPENSION = "suspension"
    SUSPENSION_ENDORSED = "suspension_endorsed"
    """The desk agrees; the leader decides."""
    APPEAL = "appeal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What guards look at. ``is_overdue`` is of the moment and ``has_open_phase`` of the limit; the rest is history.

    ``is_joint``: legs of joint work are still open.

    ``received_by`` is the person who took a returned case back; empty when nobody did or nobody in particular.
    """

    state: CaseState
    return_count: int = 0
    rework_count: int = 0
    extension_count: int = 0
    suspend_count: int = 0
    clock_epoch: int = 1
    asked: Request | None = None
    received_by: str = ""
    is_overdue: bool = False
    is_late: bool = False
    is_exempt: bool = False
    is_supervised: bool = False
    is_joint: bool = False
    has_open_phase: bool = False


_TESTS: Final[dict[Guard, Callable[[Facts, str], bool]]] = {
    Guard.BEFORE_DUE: lambda facts, _: not facts.is_overdue,
    Guard.EXTENSIONS_LEFT: lambda facts, _: facts.extension_count < MOST_EXTENSIONS,
    Guard.NEVER_SUSPENDED: lambda facts, _: facts.suspend_count == 0,
    Guard.NOTHING_ASKED: lambda facts, _: facts.asked is None,
    Guard.EXTENSION_ASKED: lambda facts, _: facts.asked is Request.EXTENSION,
    Guard.SUSPENSION_ASKED: lambda facts, _: facts.asked in {Request.SUSPENSION, Request.SUSPENSION_ENDORSED},
    Guard.SUSPENSION_ENDORSED: lambda facts, _: facts.asked is Request.SUSPENSION_ENDORSED,
    Guard.APPEAL_ASKED: lambda facts, _: facts.asked is Request.APPEAL,
    # A reopened case starts anew with its dispatch, however often it had been returned before.
    Guard.RETURNS_LEFT: lambda facts, _: facts.return_count < SETTLED_AT_RETURN or facts.state is CaseState.REOPENED,
    Guard.THIRD_RETURN: lambda facts, _: facts.return_count >= SETTLED_AT_RETURN,
    Guard.NOT_RECEIVER: lambda facts, actor: not actor or actor != facts.received_by,
    Guard.CLOSED_LATE: lambda facts, _: facts.is_late,
    Guard.NOT_EXEMPT: lambda facts, _: not facts.is_exempt,
    Guard.SUPERVISED: lambda facts, _: facts.is_supervised,
    Guard.NOT_SUPERVISED: lambda facts, _: not facts.is_supervised,
    Guard.JOINT: lambda facts, _: facts.is_joint,
    Guard.NOT_JOINT: lambda facts, _: not facts.is_joint,
    Guard.PHASE_OPEN: lambda facts, _: facts.has_open_phase,
}


#: What a move sets, whatever was there before.
_SETS: Final[dict[Move, dict[str, Any]]] = {
    Move.RETURN: {"received_by": ""},
    Move.REQUEST_EXTENSION: {"asked": Request.EXTENSION},
    Move.REQUEST_SUSPEND: {"asked": Request.SUSPENSION},
    Move.APPEAL: {"asked": Request.APPEAL},
    Move.APPROVE_EXTENSION: {"asked": None},
    Move.REFUSE_EXTENSION: {"asked": None},
    Move.ENDORSE_SUSPEND: {"asked": Request.SUSPENSION_ENDORSED},
    Move.APPROVE_SUSPEND: {"asked": None},
    Move.REFUSE_SUSPEND: {"asked": None},
    Move.UPHOLD_APPEAL: {"asked": None, "is_exempt": True},
    Move.REFUSE_APPEAL: {"asked": None},
    # What is still asked for when the work is done has lost its meaning.
    Move.REPORT_BACK: {"asked": None},
    Move.SPLIT_JOINT: {"is_joint": True},
    Move.JOIN: {"is_joint": False},
    Move.DISSATISFIED: {"asked": None, "is_late": False, "is_overdue": False},
    Move.SUPERVISE: {"is_supervised": True},
    Move.ANSWER_SUPERVISION: {"is_supervised": False},
    Move.CLOSE: {"is_supervised": False},
}


def failing(row: Transition, facts: Facts, actor: str = "") -> Guard | None:
    """The first guard of a row that does not hold.

    Parameters
    ----------
    actor
        The person who acts, when it is known who that is: a channel's key or the desk's console speaks for many.
    """
    return next((guard for guard in row.guards if not _TESTS[guard](facts, actor)), None)


def failing_in(rows: Sequence[Transition], facts: Facts, actor: str = "") -> Guard | None:
    """The first guard that does not hold on the way through rows that are one act."""
    for row in rows:
        guard = failing(row, facts, actor)
        if guard is not None:
            return guard
        facts = after(row, facts, actor)
    return None


def check(row: Transition, facts: Facts, actor: str = "", *, is_system: bool = False) -> None:
    """Refuse what a guard forbids.

    Raises
    ------
    ConflictError
        ``dispatch.guard.<name of the guard>``.
    ForbiddenError
        ``dispatch.system_move`` when a person asks for a move that only the system makes.
    """
    if row.is_automatic and not is_system:
        raise ForbiddenError("dispatch.system_move", pointer="/move", move=row.move.value)
    guard = failing(row, facts, actor)
    if guard is not None:
        raise ConflictError(f"dispatch.guard.{guard.value}", pointer="/move", move=row.move.value)


#: On the short line the shift leader's filing is delegated to whoever dispatches ("shift leader, or delegated"), and so
#: is the leader's word on a suspension.
_DELEGATED: Final = frozenset({Move.ACCEPT, Move.FILE, Move.APPROVE_SUSPEND})


#: A grid worker (网格员) acts beside the head in the head's cells, with the same right to make moves.
_ACTS_AS: Final = {"grid_worker": (Who.GRID_HEAD.value, Who.ASSISTANT.value)}


def may(roles: Iterable[str], move: Move, line: Line = Line.SHORT) -> bool:
    """Whether one of somebody's roles makes a move by the workflow's table.

    Parameters
    ----------
    roles
        Kinds of posts (`Who`) or ``grid_worker``; words that are no role of the table count for nothing.

    Examples
    --------
    >>> may(["grid_head"], Move.REPORT_BACK), may(["grid_head"], Move.CLOSE), may(["dispatcher"], Move.FILE, Line.FULL)
    (True, False, False)
    >>> may(["dispatcher"], Move.FILE, Line.SHORT)
    True
    """
    held = {name for role in roles for name in _ACTS_AS.get(role, (role,))}
    if not held.isdisjoint(who.value for who in row_of(move).who):
        return True
    return line is Line.SHORT and move in _DELEGATED and Who.DISPATCHER.value in held


def possible_moves(facts: Facts, line: Line = Line.SHORT, actor: str = "") -> tuple[Move, ...]:
    """Moves that somebody may make now: allowed by the state, by every guard, and not the system's own."""
    moves = []
    for move in allowed_moves(facts.state, line):
        rows = plan(facts.state, move, line)
        if not rows[-1].is_automatic and failing_in(rows, facts, actor) is None:
            moves.append(move)
    return tuple(moves)


def after(row: Transition, facts: Facts, actor: str = "") -> Facts:
    """Facts after a move. What the clock decides (late, overdue) the caller sets."""
    facts = replace(facts, state=row.leads_to(facts.state), **_SETS.get(row.move, {}))
    match row.move:
        case Move.RETURN:
            return replace(facts, return_count=facts.return_count + 1)
        case Move.RE_DISPATCH | Move.SETTLE:
            return replace(facts, received_by=actor)
        case Move.CHECK_FAIL:
            return replace(facts, rework_count=facts.rework_count + 1)
        case Move.APPROVE_EXTENSION:
            return replace(facts, extension_count=facts.extension_count + 1)
        case Move.APPROVE_SUSPEND:
            return replace(facts, suspend_count=facts.suspend_count + 1)
        case Move.DISSATISFIED:
            return replace(facts, clock_epoch=facts.clock_epoch + 1)
    return facts


def retrace(acts: Iterable[Iterable[str]]) -> Facts:
    """Facts that a history leads to; what the clock decides and who acted is not in it.

    Raises
    ------
    ConflictError
        ``dispatch.illegal_transition`` when the history contains an impossible step.
    """
    facts: Facts | None = None
    before: Facts | None = None
    for act in acts:
        names = [name for name in act if name not in OVERLAYS]
        if names == [UNDO]:
            facts = before
            continue
        before = facts
        for name in names:
            row = row_of(Move(name))
            if facts is None and not row.sources:
                facts = Facts(state=row.leads_to(CaseState.REPORTED))
            elif facts is not None and facts.state in row.sources:
                facts = after(row, facts)
            else:
                state = str(facts.state) if facts else "–"
                allowed = [str(source) for source in sorted(row.sources)]
                raise ConflictError("dispatch.illegal_transition", move=name, state=state, allowed=allowed)
    if facts is None:
        raise BadInputError("dispatch.empty_history")
    return facts
