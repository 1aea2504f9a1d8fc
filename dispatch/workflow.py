"""The life of a case as one table: which move leads where, what it needs, and what it does to the clocks.

Source: the state machine of grid management (docs/glossary.md explains the words). Two profiles share the table: the
full line walks every step; the **short line** of a small office accepts, files and dispatches in one act, which is
then recorded as one event with several moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from dispatch.states import CaseState
from geo.errors import BadInputError, ConflictError

S = CaseState


class Move(StrEnum):
    """What somebody does to a case."""

    REPORT = "report"
    ACCEPT = "accept"
    DECLINE = "decline"
    FILE = "file"
    REFUSE_FILE = "refuse_file"
    DISPATCH = "dispatch"
    ACKNOWLEDGE = "acknowledge"
    RETURN = "return"
    RE_DISPATCH = "re_dispatch"
    REPORT_BACK = "report_back"
    CHECK_PASS = "check_pass"  # noqa: S105 - a move, not a secret
    CHECK_FAIL = "check_fail"
    CLOSE = "close"
    VOID = "void"


class Clock(StrEnum):
    """What a move does to the handling clock H.

    A return never buys time: RUNS_ON keeps the due instant as it was.
    """

    NONE = "none"
    START = "start"
    RUNS_ON = "runs_on"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table. ``stamp`` is the column of the case that keeps the instant of the move."""

    move: Move
    sources: frozenset[CaseState]
    target: CaseState
    clock: Clock = Clock.NONE
    stamp: str | None = None
    needs_reason: bool = False


def _row(
    move: Move,
    sources: tuple[CaseState, ...],
    target: CaseState,
    clock: Clock = Clock.NONE,
    stamp: str | None = None,
    *,
    needs_reason: bool = False,
) -> Transition:
    return Transition(
        move=move, sources=frozenset(sources), target=target, clock=clock, stamp=stamp, needs_reason=needs_reason
    )


TRANSITIONS: tuple[Transition, ...] = (
    _row(Move.REPORT, (), S.REPORTED, stamp="reported_at"),
    _row(Move.ACCEPT, (S.REPORTED,), S.ACCEPTED, stamp="accepted_at"),
    _row(Move.DECLINE, (S.REPORTED,), S.DECLINED, needs_reason=True),
    _row(Move.FILE, (S.ACCEPTED,), S.FILED, stamp="filed_at"),
    _row(Move.REFUSE_FILE, (S.ACCEPTED,), S.DECLINED, needs_reason=True),
    _row(Move.VOID, (S.ACCEPTED, S.FILED), S.VOIDED, Clock.STOP, needs_reason=True),
    _row(Move.DISPATCH, (S.FILED,), S.DISPATCHED, Clock.START, stamp="dispatched_at"),
    _row(Move.ACKNOWLEDGE, (S.DISPATCHED,), S.HANDLING, Clock.RUNS_ON, stamp="acknowledged_at"),
    _row(Move.RETURN, (S.DISPATCHED,), S.RETURNED, Clock.RUNS_ON, needs_reason=True),
    _row(Move.RE_DISPATCH, (S.RETURNED,), S.DISPATCHED, Clock.RUNS_ON),
    _row(Move.REPORT_BACK, (S.HANDLING,), S.HANDLED, Clock.STOP, stamp="handled_at"),
    _row(Move.CHECK_PASS, (S.HANDLED,), S.CHECKED, stamp="checked_at"),
    _row(Move.CHECK_FAIL, (S.HANDLED,), S.HANDLING, Clock.RUNS_ON, needs_reason=True),
    _row(Move.CLOSE, (S.HANDLED, S.CHECKED), S.CLOSED, stamp="closed_at"),
)

_BY_MOVE = {row.move: row for row in TRANSITIONS}

#: Short line: the moves that are made on the way when somebody asks for the last one.
_SHORT_LINE: dict[tuple[CaseState, Move], tuple[Move, ...]] = {
    (S.REPORTED, Move.DISPATCH): (Move.ACCEPT, Move.FILE, Move.DISPATCH),
    (S.ACCEPTED, Move.DISPATCH): (Move.FILE, Move.DISPATCH),
}

AUTOMATIC_LINE = (Move.REPORT, Move.ACCEPT, Move.FILE, Move.DISPATCH)

#: Facts of the history that lie over the states.
OVERLAYS = frozenset({"escalate"})

EVENT_OF = {
    Move.REPORT: "reported",
    Move.ACCEPT: "accepted",
    Move.DECLINE: "declined",
    Move.FILE: "filed",
    Move.REFUSE_FILE: "filing_refused",
    Move.VOID: "voided",
    Move.DISPATCH: "dispatched",
    Move.ACKNOWLEDGE: "acknowledged",
    Move.RETURN: "returned",
    Move.RE_DISPATCH: "redispatched",
    Move.REPORT_BACK: "handled",
    Move.CHECK_PASS: "checked",
    Move.CHECK_FAIL: "reworked",
    Move.CLOSE: "closed",
}


def parse_move(name: str) -> Move:
    """Read a move's name.

    Raises
    ------
    BadInputError
        ``dispatch.unknown_move``, naming the moves there are.
    """
    try:
        return Move(name)
    except ValueError:
        raise BadInputError(
            "dispatch.unknown_move", pointer="/move", move=name, known=", ".join(sorted(EVENT_OF))
        ) from None


def event_type(move: Move) -> str:
    """Name of the event that a move leaves: past tense, with the version of its payload."""
    return f"case.{EVENT_OF[move]}.v1"


def allowed_moves(state: CaseState) -> tuple[Move, ...]:
    """Moves possible from a state, short line included, in the order of the table."""
    direct = [row.move for row in TRANSITIONS if state in row.sources]
    return (*direct, *(move for (source, move) in _SHORT_LINE if source == state and move not in direct))


def plan(state: CaseState, move: Move) -> tuple[Transition, ...]:
    """The transitions that one act consists of.

    Examples
    --------
    >>> [row.move.value for row in plan(CaseState.REPORTED, Move.DISPATCH)]
    ['accept', 'file', 'dispatch']
    >>> [row.target.value for row in plan(CaseState.HANDLED, Move.CLOSE)]
    ['closed']

    Raises
    ------
    ConflictError
        ``dispatch.illegal_transition`` with the moves that are possible instead.
    """
    moves = _SHORT_LINE.get((state, move), (move,))
    rows = tuple(_BY_MOVE[name] for name in moves)
    if state not in rows[0].sources:
        raise ConflictError(
            "dispatch.illegal_transition",
            pointer="/move",
            move=move.value,
            state=state.value,
            allowed=[name.value for name in allowed_moves(state)],
        )
    return rows


def replay(acts: Iterable[Iterable[str]]) -> CaseState:
    """Walk a whole history from nothing; the state it ends in must be the row's.

    Overlays (`OVERLAYS`) are recorded like moves and leave the state as it is.

    Raises
    ------
    ConflictError
        ``dispatch.illegal_transition`` when the history contains an impossible step.
    """
    state: CaseState | None = None
    for name in (name for act in acts for name in act if name not in OVERLAYS):
        row = _BY_MOVE[Move(name)]
        if (state is None) != (not row.sources) or (state is not None and state not in row.sources):
            raise ConflictError(
                "dispatch.illegal_transition", move=name, state=str(state), allowed=list(map(str, row.sources))
            )
        state = row.target
    if state is None:
        raise BadInputError("dispatch.empty_history")
    return state
