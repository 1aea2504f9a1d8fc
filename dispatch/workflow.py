"""The life of a case as one table: which move leads where, who makes it, what it needs, and what it does to the clocks.

Source: the state machine of grid management (docs/glossary.md explains the words). docs/workflow.md is generated from
this table. What a row needs beyond its state is named by its guards, which `dispatch/guards.py` decides. Two lines
share the table: the **full line** walks every step; the **short line** of a small office accepts, files and dispatches
in one act, recorded as one event with several moves, and closes without a separate check.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dispatch.move_words import Clock, Guard, Line, Move, Source, Stage, Who
from dispatch.states import OPEN_STATES, CaseState
from geo.errors import BadInputError, ConflictError

__all__ = [
    "AUTOMATIC_LINE",
    "EVENT_OF",
    "LEG_MOVES",
    "OVERLAYS",
    "STAGE_OF",
    "TRANSITIONS",
    "UNDO",
    "UNDOABLE",
    "Clock",
    "Guard",
    "Line",
    "Move",
    "Source",
    "Stage",
    "Transition",
    "Who",
    "allowed_moves",
    "event_type",
    "parse_move",
    "plan",
    "replay",
    "row_of",
]

S = CaseState


#: The stage clock that runs while a case is in a state; entering the state starts it, leaving it stops it.
STAGE_OF = {
    S.REPORTED: Stage.ACCEPT,
    S.VERIFYING: Stage.VERIFY,
    S.FILED: Stage.DISPATCH,
    S.DISPATCHED: Stage.ACKNOWLEDGE,
    S.HANDLED: Stage.CHECK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table.

    ``target`` None leaves the state as it is; ``stamp`` is the column of the case that keeps the instant of the move.
    """

    move: Move
    sources: frozenset[CaseState]
    target: CaseState | None
    event: str
    who: tuple[Who, ...]
    clock: Clock = Clock.NONE
    stamp: str | None = None
    needs_reason: bool = False
    guards: tuple[Guard, ...] = ()
    source: Source = Source.SPECIFIED

    @property
    def is_automatic(self) -> bool:
        """Whether only the system makes this move."""
        return self.who == (Who.SYSTEM,)

    def leads_to(self, state: CaseState) -> CaseState:
        """State after the move."""
        return state if self.target is None else self.target


def _row(
    move: Move,
    sources: Iterable[CaseState],
    target: CaseState | None,
    event: str,
    who: tuple[Who, ...],
    clock: Clock = Clock.NONE,
    stamp: str | None = None,
    *guards: Guard,
    reason: bool = False,
    source: Source = Source.SPECIFIED,
) -> Transition:
    return Transition(
        move=move,
        sources=frozenset(sources),
        target=target,
        event=event,
        who=who,
        clock=clock,
        stamp=stamp,
        needs_reason=reason,
        guards=guards,
        source=source,
    )


_C, _G, _M, _W = Clock, Guard, Move, Who
_FIELD = (_W.GRID_HEAD, _W.HANDLER)
_DESK = (_W.ACCEPTOR, _W.DISPATCHER)
_HEADS = (_W.SHIFT_LEADER,)
_APPROVERS = (_W.DISPATCHER, _W.LEADER)
_CLERKS = (_W.ACCEPTOR,)
_SYSTEM = (_W.SYSTEM,)
_D = Source.DECIDED

# fmt: off
TRANSITIONS: tuple[Transition, ...] = (
    _row(_M.REPORT, (), S.REPORTED, "reported", (_W.CHANNEL,), stamp="reported_at"),
    _row(_M.SELF_HANDLE, (), S.SELF_HANDLED, "self_handled", (_W.GRID_HEAD, _W.ASSISTANT), stamp="reported_at"),
    _row(_M.SAMPLE_OK, (S.SELF_HANDLED,), S.CLOSED, "sample_passed", _CLERKS, stamp="closed_at"),
    _row(_M.SAMPLE_BAD, (S.SELF_HANDLED,), S.REPORTED, "sample_failed", _CLERKS, reason=True),
    _row(_M.ACCEPT, (S.REPORTED,), S.ACCEPTED, "accepted", (_W.ACCEPTOR, _W.SYSTEM), stamp="accepted_at"),
    _row(_M.DECLINE, (S.REPORTED,), S.DECLINED, "declined", _CLERKS, reason=True),
    _row(_M.FILE, (S.ACCEPTED,), S.FILED, "filed", _HEADS, stamp="filed_at"),
    _row(_M.SEND_VERIFY, (S.ACCEPTED,), S.VERIFYING, "verification_asked", _CLERKS),
    _row(_M.VERIFY_DONE, (S.VERIFYING,), S.ACCEPTED, "verified", (_W.GRID_HEAD, _W.ASSISTANT)),
    _row(_M.VERIFY_TIMEOUT, (S.VERIFYING,), S.ACCEPTED, "verification_missed", _SYSTEM),
    _row(_M.REFUSE_FILE, (S.ACCEPTED,), S.DECLINED, "filing_refused", _HEADS, reason=True),
    _row(_M.VOID, (S.ACCEPTED, S.FILED), S.VOIDED, "voided", _HEADS, _C.STOP, reason=True),
    _row(_M.DISPATCH, (S.FILED,), S.DISPATCHED, "dispatched", (_W.DISPATCHER, _W.SYSTEM), _C.START, "dispatched_at"),
    _row(_M.ACKNOWLEDGE, (S.DISPATCHED,), S.HANDLING, "acknowledged", _FIELD, _C.RUNS_ON, "acknowledged_at",
         _G.NOT_RECEIVER),
    _row(_M.NO_ACK, (S.DISPATCHED,), S.DISPATCHED, "not_acknowledged", _SYSTEM, _C.RUNS_ON),
    _row(_M.RETURN, (S.DISPATCHED,), S.RETURNED, "returned", _FIELD, _C.RUNS_ON, None, _G.RETURNS_LEFT, reason=True),
    _row(_M.RE_DISPATCH, (S.RETURNED, S.REOPENED), S.DISPATCHED, "redispatched", (_W.DISPATCHER,), _C.RUNS_ON, None,
         _G.RETURNS_LEFT),
    _row(_M.SETTLE, (S.RETURNED,), S.DISPATCHED, "settled", _HEADS, _C.RUNS_ON, None, _G.THIRD_RETURN, reason=True),
    _row(_M.OPEN_OPERATION, (), S.HANDLING, "operation_opened", _SYSTEM, _C.START, "reported_at", source=_D),
    _row(_M.SPLIT_JOINT, (S.HANDLING,), None, "split", (_W.DISPATCHER, _W.SYSTEM), _C.RUNS_ON),
    _row(_M.JOIN, (S.HANDLING,), None, "joined", _SYSTEM, _C.RUNS_ON, None, _G.JOINT, source=_D),
    _row(_M.REPORT_PHASE, (S.HANDLING,), None, "phase_reported", _FIELD, _C.RUNS_ON, None, _G.PHASE_OPEN, source=_D),
    _row(_M.REPORT_BACK, (S.HANDLING,), S.HANDLED, "handled", _FIELD, _C.STOP, "handled_at", _G.NOT_JOINT),
    _row(_M.REQUEST_EXTENSION, (S.HANDLING,), None, "extension_asked", _FIELD, _C.RUNS_ON, None,
         _G.NOTHING_ASKED, _G.EXTENSIONS_LEFT, _G.BEFORE_DUE, reason=True),
    _row(_M.APPROVE_EXTENSION, (S.HANDLING,), None, "extended", (_W.DISPATCHER,), _C.EXTEND, None, _G.EXTENSION_ASKED),
    _row(_M.REFUSE_EXTENSION, (S.HANDLING,), None, "extension_refused", (_W.DISPATCHER,), _C.RUNS_ON, None,
         _G.EXTENSION_ASKED, reason=True),
    _row(_M.REQUEST_SUSPEND, (S.HANDLING,), None, "suspension_asked", _FIELD, _C.RUNS_ON, None,
         _G.NOTHING_ASKED, _G.NEVER_SUSPENDED, reason=True),
    _row(_M.ENDORSE_SUSPEND, (S.HANDLING,), None, "suspension_endorsed", (_W.DISPATCHER,), _C.RUNS_ON, None,
         _G.SUSPENSION_ASKED),
    _row(_M.APPROVE_SUSPEND, (S.HANDLING,), S.SUSPENDED, "suspended", (_W.LEADER,), _C.PAUSE, None,
         _G.SUSPENSION_ENDORSED),
    _row(_M.REFUSE_SUSPEND, (S.HANDLING,), None, "suspension_refused", _APPROVERS, _C.RUNS_ON, None,
         _G.SUSPENSION_ASKED, reason=True),
    _row(_M.RESUME, (S.SUSPENDED,), S.HANDLING, "resumed", (*_FIELD, _W.DISPATCHER, _W.SYSTEM), _C.GO_ON),
    _row(_M.CHECK_PASS, (S.HANDLED,), S.CHECKED, "checked", (_W.ASSISTANT, _W.EVALUATOR), stamp="checked_at"),
    _row(_M.CHECK_FAIL, (S.HANDLED,), S.HANDLING, "reworked", (_W.ASSISTANT, _W.EVALUATOR), _C.RUNS_ON, reason=True),
    _row(_M.CLOSE, (S.HANDLED, S.CHECKED), S.CLOSED, "closed", (_W.SHIFT_LEADER, _W.ACCEPTOR, _W.SYSTEM), _C.NONE,
         "closed_at", _G.NOT_RECEIVER),
    _row(_M.SATISFIED, (S.CLOSED,), None, "satisfied", _CLERKS),
    _row(_M.UNREACHABLE, (S.CLOSED,), None, "unreachable", _CLERKS),
    _row(_M.DISSATISFIED, (S.CLOSED,), S.REOPENED, "reopened", _CLERKS, _C.RENEW, reason=True),
    _row(_M.APPEAL, (S.CLOSED,), None, "appealed", (_W.HANDLER,), _C.NONE, None,
         _G.CLOSED_LATE, _G.NOTHING_ASKED, _G.NOT_EXEMPT, reason=True),
    _row(_M.UPHOLD_APPEAL, (S.CLOSED,), None, "appeal_upheld", (_W.EVALUATOR,), _C.NONE, None, _G.APPEAL_ASKED),
    _row(_M.REFUSE_APPEAL, (S.CLOSED,), None, "appeal_refused", (_W.EVALUATOR,), _C.NONE, None, _G.APPEAL_ASKED,
         reason=True),
    _row(_M.MERGE, (S.REPORTED, S.ACCEPTED, S.FILED), S.MERGED, "merged", _DESK, _C.STOP),
    _row(_M.UNMERGE, (S.MERGED,), S.REPORTED, "unmerged", _DESK, reason=True, source=_D),
    _row(_M.URGE, OPEN_STATES, None, "urged", (*_DESK, _W.SHIFT_LEADER)),
    _row(_M.SUPERVISE, OPEN_STATES, None, "supervised", (_W.SHIFT_LEADER, _W.LEADER), _C.NONE, None,
         _G.NOT_SUPERVISED, reason=True),
    _row(_M.ANSWER_SUPERVISION, OPEN_STATES, None, "supervision_answered", _FIELD, _C.NONE, None, _G.SUPERVISED,
         reason=True, source=_D),
    _row(_M.ESCALATE_NOW, OPEN_STATES, None, "escalated_at_once", (*_DESK, _W.SHIFT_LEADER), reason=True),
)
# fmt: on

_BY_MOVE = {row.move: row for row in TRANSITIONS}

#: Short line: the moves that are made on the way when somebody asks for the last one.
_SHORT_LINE: dict[tuple[CaseState, Move], tuple[Move, ...]] = {
    (S.REPORTED, Move.DISPATCH): (Move.ACCEPT, Move.FILE, Move.DISPATCH),
    (S.ACCEPTED, Move.DISPATCH): (Move.FILE, Move.DISPATCH),
    # A small office needs one word for a suspension, the desk's or the leader's; others need both.
    (S.HANDLING, Move.APPROVE_SUSPEND): (Move.ENDORSE_SUSPEND, Move.APPROVE_SUSPEND),
}
#: Full line: what the short line may do and an office with separate checking may not.
_SHORT_ONLY = frozenset({(S.HANDLED, Move.CLOSE)})

AUTOMATIC_LINE = (Move.REPORT, Move.ACCEPT, Move.FILE, Move.DISPATCH)

#: What somebody does to one leg of joint work; the legs have a table of their own in `dispatch/joint.py`.
LEG_MOVES = frozenset({
    "leg_acknowledge", "leg_return", "leg_re_dispatch", "leg_settle", "leg_report_back", "leg_sign", "leg_reject",
    "leg_withdraw",
})  # fmt: skip
#: Facts of the history that lie over the states and that nobody asks for as a move of the case.
OVERLAYS = frozenset({"escalate", "hand_over", "follow", "recompute", "overdue_part"}) | LEG_MOVES
#: An act that takes back the one before it; the history keeps both.
UNDO = "undo"
#: What can be taken back for some seconds, within which nobody is told of it (decision 0039). Not what pauses or
#: extends a handling clock, and nothing that somebody out there does.
UNDOABLE = frozenset({
    Move.ACCEPT, Move.DECLINE, Move.FILE, Move.REFUSE_FILE, Move.VOID, Move.SEND_VERIFY, Move.VERIFY_DONE,
    Move.DISPATCH, Move.RE_DISPATCH, Move.URGE, Move.MERGE, Move.CHECK_PASS, Move.CLOSE, Move.SATISFIED,
    Move.UNREACHABLE,
})  # fmt: skip

EVENT_OF = {row.move: row.event for row in TRANSITIONS}


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


def row_of(move: Move) -> Transition:
    """The row of a move."""
    return _BY_MOVE[move]


def event_type(move: Move) -> str:
    """Name of the event that a move leaves: past tense, with the version of its payload."""
    return f"case.{EVENT_OF[move]}.v1"


def allowed_moves(state: CaseState, line: Line = Line.SHORT) -> tuple[Move, ...]:
    """Moves possible from a state as far as the state decides, in the order of the table; guards come on top."""
    direct = [
        row.move
        for row in TRANSITIONS
        if state in row.sources and (line is Line.SHORT or (state, row.move) not in _SHORT_ONLY)
    ]
    if line is Line.FULL:
        return tuple(direct)
    return (*direct, *(move for (source, move) in _SHORT_LINE if source == state and move not in direct))


def plan(state: CaseState, move: Move, line: Line = Line.SHORT) -> tuple[Transition, ...]:
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
    if move not in allowed_moves(state, line):
        raise ConflictError(
            "dispatch.illegal_transition",
            pointer="/move",
            move=move.value,
            state=state.value,
            allowed=[name.value for name in allowed_moves(state, line) if not _BY_MOVE[name].is_automatic],
        )
    names = _SHORT_LINE.get((state, move), (move,)) if line is Line.SHORT else (move,)
    return tuple(_BY_MOVE[name] for name in names)


def replay(acts: Iterable[Iterable[str]]) -> CaseState:
    """Walk a whole history from nothing; the state it ends in must be the row's.

    Overlays (`OVERLAYS`) are recorded like moves and leave the state as it is.

    Raises
    ------
    ConflictError
        ``dispatch.illegal_transition`` when the history contains an impossible step.
    """
    state: CaseState | None = None
    before: CaseState | None = None
    for act in acts:
        names = [name for name in act if name not in OVERLAYS]
        if names == [UNDO]:
            state = before
            continue
        before = state
        for name in names:
            row = _BY_MOVE[Move(name)]
            if (state is None) != (not row.sources) or (state is not None and state not in row.sources):
                raise ConflictError(
                    "dispatch.illegal_transition", move=name, state=str(state), allowed=list(map(str, row.sources))
                )
            state = row.target if state is None else row.leads_to(state)
    if state is None:
        raise BadInputError("dispatch.empty_history")
    return state
