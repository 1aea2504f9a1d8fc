"""The history of every demo case: one row per act, in the order in which the acts happened."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from api.demo.cases import STATES, CaseTable
from api.demo.timing import NEVER
from dispatch.states import CaseState
from dispatch.workflow import AUTOMATIC_LINE, Move, event_type

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """A kind of act. `target` None leaves the state as it is (an overlay); `says` names the list of its words."""

    type: str
    moves: tuple[str, ...]
    target: CaseState | None
    actor: str
    says: str = ""


def _act(moves: tuple[Move, ...], target: CaseState, actor: str, says: str = "") -> Act:
    return Act(type=event_type(moves[-1]), moves=tuple(m.value for m in moves), target=target, actor=actor, says=says)


LINE = _act(AUTOMATIC_LINE, CaseState.DISPATCHED, "channel")
REPORT = _act((Move.REPORT,), CaseState.REPORTED, "channel")
ACCEPT = _act((Move.ACCEPT,), CaseState.ACCEPTED, "operator")
FILE = _act((Move.FILE,), CaseState.FILED, "operator")
DESK = _act((Move.ACCEPT, Move.FILE, Move.DISPATCH), CaseState.DISPATCHED, "operator")
RETURN = _act((Move.RETURN,), CaseState.RETURNED, "person", "return")
RE_DISPATCH = _act((Move.RE_DISPATCH,), CaseState.DISPATCHED, "operator")
ACKNOWLEDGE = _act((Move.ACKNOWLEDGE,), CaseState.HANDLING, "person")
SUSPEND = _act(
    (Move.REQUEST_SUSPEND, Move.ENDORSE_SUSPEND, Move.APPROVE_SUSPEND), CaseState.SUSPENDED, "operator", "suspend"
)
REPORT_BACK = _act((Move.REPORT_BACK,), CaseState.HANDLED, "person", "result")
CHECK_FAIL = _act((Move.CHECK_FAIL,), CaseState.HANDLING, "operator", "rework")
CHECK_PASS = _act((Move.CHECK_PASS,), CaseState.CHECKED, "operator")
CLOSE = _act((Move.CLOSE,), CaseState.CLOSED, "operator")
ESCALATE = Act(type="case.escalated.v1", moves=("escalate",), target=None, actor="system")

ACTS = (
    LINE, REPORT, ACCEPT, FILE, DESK, RETURN, RE_DISPATCH, ACKNOWLEDGE, SUSPEND, REPORT_BACK, CHECK_FAIL, CHECK_PASS,
    CLOSE, ESCALATE,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Columns of the events, ordered by case and sequence. Shape: (m,) each; `before` is -1 at the first act."""

    case: Ints
    seq: Ints
    act: Ints
    before: Ints
    after: Ints
    at: Ints

    def __len__(self) -> int:
        return len(self.case)


def make_history(table: CaseTable) -> History:
    """Turn the instants of the cases into acts.

    Cost: about a second for 800,000 acts.
    """
    automatic = (table.desk == 0) & (table.dispatched != NEVER)
    by_desk = (table.desk == 1) & (table.dispatched != NEVER)
    # Accepted or filed and not dispatched: each step was an act of its own.
    stuck = table.dispatched == NEVER
    parts: list[tuple[Ints, Ints, Ints]] = []

    def add(act: Act, at: Ints, where: NDArray[np.bool_] | None = None) -> None:
        happened = at != NEVER if where is None else where & (at != NEVER)
        rows = np.flatnonzero(happened)
        parts.append((rows, np.full(rows.size, ACTS.index(act)), at[rows]))

    add(LINE, table.reported, automatic)
    add(REPORT, table.reported, ~automatic)
    add(ACCEPT, table.accepted, stuck)
    add(FILE, table.filed, stuck)
    add(DESK, table.dispatched, by_desk)
    add(RETURN, table.returned)
    add(RE_DISPATCH, table.redispatched)
    add(ACKNOWLEDGE, table.acknowledged)
    add(SUSPEND, table.suspended)
    add(REPORT_BACK, table.first_handled)
    add(CHECK_FAIL, table.reworked)
    add(REPORT_BACK, table.handled)
    add(CHECK_PASS, table.checked)
    add(CLOSE, table.closed)
    add(ESCALATE, table.escalated)
    case, act, at = (np.concatenate([p[k] for p in parts]) for k in range(3))
    # Stable: acts of the same instant keep the order of the list above, which is the order of the states.
    order = np.lexsort((at, case))
    case, act, at = case[order], act[order], at[order]
    first = np.flatnonzero(np.r_[True, case[1:] != case[:-1]])
    seq = np.arange(len(case)) - np.repeat(first, np.diff(np.r_[first, len(case)])) + 1
    targets = np.array([-1 if a.target is None else STATES.index(a.target) for a in ACTS])
    after = targets[act]
    # An overlay never opens a history and never follows another, so one look back is enough.
    overlay = np.flatnonzero(after < 0)
    after[overlay] = after[overlay - 1]
    before = np.r_[-1, after[:-1]]
    before[first] = -1
    return History(case=case, seq=seq, act=act, before=before, after=after, at=at)
