"""Random lives of cases against the table, its guards and the clock.

Run here with 2,000 sequences; ``GRIDWARD_WORKFLOW_SEQUENCES`` asks for more. The model is the rules alone
(`dispatch/workflow.py`, `guards.py`, `handling_clock.py`): the functions that the code with the database calls.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dispatch.calendars import WorkingCalendar, seed_calendar
from dispatch.deadlines import Deadline, Limit, LimitUnit, Pause, add, is_on_time
from dispatch.guards import (
    MOST_EXTENSIONS,
    SETTLED_AT_RETURN,
    Facts,
    after,
    failing,
    failing_in,
    possible_moves,
    retrace,
)
from dispatch.handling_clock import (
    LONGEST_PAUSE,
    Course,
    extended,
    leg_due,
    leg_moved,
    paused,
    resumed,
    warn_at,
)
from dispatch.joint import (
    ENDED,
    LegFacts,
    LegMove,
    LegState,
    after_leg,
    check_leg,
    possible_leg_moves,
    retrace_leg,
)
from dispatch.states import HANDLING_STATES, CaseState
from dispatch.workflow import STAGE_OF, Clock, Line, Move, plan, replay, row_of

CALENDAR = WorkingCalendar(days=seed_calendar([2025, 2026]))
T0 = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)
SEQUENCES = int(os.environ.get("GRIDWARD_WORKFLOW_SEQUENCES", "2000"))
LIMITS = (
    Limit(value=2, unit=LimitUnit.URGENT_HOUR),
    Limit(value=4, unit=LimitUnit.WORKING_HOUR),
    Limit(value=5, unit=LimitUnit.WORKING_DAY),
    Limit(value=Decimal("0.5"), unit=LimitUnit.NATURAL_DAY),
)
#: How lives begin: a few moves and waits, so that short sequences reach the far corners too.
BEGINNINGS: dict[str, tuple[Move | timedelta, ...]] = {
    "reported": (),
    "self_handled": (),
    "verifying": (Move.ACCEPT, Move.SEND_VERIFY),
    "dispatched": (Move.DISPATCH,),
    "handling": (Move.DISPATCH, Move.ACKNOWLEDGE),
    "extension_asked": (Move.DISPATCH, Move.ACKNOWLEDGE, Move.REQUEST_EXTENSION),
    "suspended": (Move.DISPATCH, Move.ACKNOWLEDGE, Move.REQUEST_SUSPEND, Move.APPROVE_SUSPEND),
    "joint": (Move.DISPATCH, Move.ACKNOWLEDGE, Move.SPLIT_JOINT),
    "returned_twice": (Move.DISPATCH, *(Move.RETURN, Move.RE_DISPATCH) * 2, Move.RETURN),
    "closed": (Move.DISPATCH, Move.ACKNOWLEDGE, Move.REPORT_BACK, Move.CLOSE),
    "closed_late": (Move.DISPATCH, Move.ACKNOWLEDGE, timedelta(days=40), Move.REPORT_BACK, Move.CLOSE),
}
OVERLAID = {Move.URGE, Move.SUPERVISE, Move.ANSWER_SUPERVISION, Move.ESCALATE_NOW}
AUTOMATIC = (Move.NO_ACK, Move.VERIFY_TIMEOUT)


@dataclass
class Leg:
    """A leg in memory: ``due`` is the deadline in force."""

    limit: Limit
    due: datetime
    is_within: bool
    facts: LegFacts = field(default_factory=LegFacts)
    moves: list[LegMove] = field(default_factory=list)


@dataclass
class Life:
    """A case in memory, moved by the same rules as a row."""

    limit: Limit
    line: Line = Line.SHORT
    at: datetime = T0
    facts: Facts = field(default_factory=lambda: Facts(state=CaseState.REPORTED))
    acts: list[list[str]] = field(default_factory=lambda: [["report"]])
    due: datetime | None = None
    start: datetime | None = None
    extensions: int = 0
    pauses: list[Pause] = field(default_factory=list)
    approvals: int = 0
    suspended_until: datetime | None = None
    legs: list[Leg] = field(default_factory=list)

    def open_legs(self) -> list[Leg]:
        return [leg for leg in self.legs if leg.facts.state not in ENDED]

    def split(self, limits: tuple[Limit, ...]) -> None:
        assert self.due is not None
        for limit in limits:
            due = leg_due(CALENDAR, self.at, limit, self.due).due_at
            self.legs.append(Leg(limit=limit, due=due, is_within=due <= self.due))

    def make_leg(self, leg: Leg, move: LegMove, actor: str) -> None:
        before = leg.due
        leg.facts = after_leg(check_leg(move, leg.facts, actor), leg.facts, actor)
        leg.moves.append(move)
        assert leg.due == before, "no move of a leg touches its deadline"
        names = [move.value]
        if self.facts.is_joint and not self.open_legs():
            row = row_of(Move.JOIN)
            assert failing(row, self.facts) is None
            self.facts = after(row, self.facts)
            names.append(Move.JOIN.value)
        self.acts.append(names)

    def follow(self, moved: Callable[[Leg], Deadline], case_was: datetime) -> None:
        assert self.due is not None
        for leg in self.open_legs():
            leg.due = leg_moved(moved(leg), leg.due, case_was=case_was, case_now=self.due).due_at

    def now(self) -> Facts:
        return replace(self.facts, is_overdue=self.due is not None and self.at > self.due)

    def make(self, move: Move, *, actor: str = "", pause: timedelta = timedelta(days=3)) -> None:
        before, approvals, epoch = self.due, self.approvals, self.facts.clock_epoch
        legs_before = [leg.due for leg in self.legs]
        rows = plan(self.facts.state, move, self.line)
        for row in rows:
            assert failing(row, self.now(), actor) is None
            self.facts = after(row, self.now(), actor)
            self._clock(row.move, row.clock, pause)
        self.acts.append([row.move.value for row in rows])
        if before is not None and self.due is not None and self.due > before and epoch == self.facts.clock_epoch:
            assert self.approvals == approvals + 1, f"{move} made the deadline later without an approval"
        if move is Move.SPLIT_JOINT:
            self.split(LIMITS[: 1 + len(self.acts) % len(LIMITS)])
        if any(leg.due > was for leg, was in zip(self.legs, legs_before, strict=False)):
            assert self.approvals == approvals + 1, f"{move} made a leg's deadline later without an approval"

    def _clock(self, move: Move, clock: Clock, pause: timedelta) -> None:
        was = self.due or self.at
        match clock:
            case Clock.START | Clock.RENEW:
                self.start, self.extensions, self.pauses = self.at, 0, []
                self.due = add(CALENDAR, self.at, self.limit).due_at
            case Clock.EXTEND:
                assert self.due is not None
                self.due = extended(CALENDAR, self.due, self.limit).due_at
                self.follow(lambda leg: extended(CALENDAR, leg.due, leg.limit), was)
                self.extensions += 1
                self.approvals += 1
            case Clock.PAUSE:
                assert self.due is not None
                halt = Pause(start_at=self.at, end_at=self.at + pause)
                self.due = paused(CALENDAR, self.due, self.limit.unit, halt).due_at
                self.follow(lambda leg: paused(CALENDAR, leg.due, leg.limit.unit, halt), was)
                self.pauses.append(halt)
                self.suspended_until = halt.end_at
                self.approvals += 1
            case Clock.GO_ON:
                assert self.due is not None
                assert self.suspended_until is not None
                if self.at < self.suspended_until:
                    early = resumed(
                        CALENDAR, self.due, self.limit.unit, planned=self.suspended_until, at=self.at
                    ).due_at
                    assert early <= self.due
                    self.due = early
                    planned = self.suspended_until
                    self.follow(
                        lambda leg: resumed(CALENDAR, leg.due, leg.limit.unit, planned=planned, at=self.at), was
                    )
                    self.pauses[-1] = Pause(start_at=self.pauses[-1].start_at, end_at=self.at)
                self.suspended_until = None
            case Clock.STOP if move is Move.REPORT_BACK:
                assert self.due is not None
                self.facts = replace(self.facts, is_late=not is_on_time(self.at, self.due))

    def choices(self) -> tuple[Move, ...]:
        by_hand = possible_moves(self.now(), self.line)
        by_itself = tuple(move for move in AUTOMATIC if self.facts.state in row_of(move).sources)
        return (*by_hand, *by_itself)


class CaseLife(RuleBasedStateMachine):
    """Hypothesis chooses moves, waiting times and actors; the invariants must hold after every step."""

    life: Life

    @initialize(limit=st.sampled_from(LIMITS), line=st.sampled_from(Line), begins=st.sampled_from(list(BEGINNINGS)))
    def begin(self, limit: Limit, line: Line, begins: str) -> None:
        self.life = Life(limit=limit, line=Line.SHORT)
        if begins == "self_handled":
            self.life.facts, self.life.acts = Facts(state=CaseState.SELF_HANDLED), [["self_handle"]]
        for step in BEGINNINGS[begins]:
            if isinstance(step, timedelta):
                self.life.at += step
            else:
                self.life.make(step)
        self.life.line = line

    @rule(minutes=st.integers(0, 5 * 24 * 60))
    def wait(self, minutes: int) -> None:
        life = self.life
        life.at += timedelta(minutes=minutes)
        if life.suspended_until is not None and life.at >= life.suspended_until:
            life.make(Move.RESUME)

    @rule(pick=st.integers(0, 1000), actor=st.sampled_from(["", "a", "b"]), days=st.integers(1, 366))
    def step(self, pick: int, actor: str, days: int) -> None:
        life = self.life
        moves = life.choices()
        if not moves:
            return
        # Overlays are possible everywhere; chosen evenly they would crowd out the walk.
        walk = tuple(move for move in moves if move not in OVERLAID)
        move = moves[pick % len(moves)] if pick % 7 == 0 or not walk else walk[pick % len(walk)]
        rows = plan(life.facts.state, move, life.line)
        if failing_in(rows, life.now(), actor) is not None:
            assert life.facts.received_by == actor
            return
        life.make(move, actor=actor, pause=min(timedelta(days=days), LONGEST_PAUSE))

    @rule(pick=st.integers(0, 1000), actor=st.sampled_from(["", "a", "b"]))
    def leg_step(self, pick: int, actor: str) -> None:
        life = self.life
        legs = life.open_legs()
        if not legs or life.facts.state is not CaseState.HANDLING:
            return
        leg = legs[pick % len(legs)]
        moves = possible_leg_moves(leg.facts, actor)
        if moves:
            life.make_leg(leg, moves[pick // len(legs) % len(moves)], actor)
        else:
            assert leg.facts.handled_by == actor

    @invariant()
    def legs_hold_their_case(self) -> None:
        if not hasattr(self, "life"):
            return
        life = self.life
        assert life.facts.is_joint == bool(life.open_legs())
        if life.open_legs():
            assert life.facts.state in {CaseState.HANDLING, CaseState.SUSPENDED}
        for leg in life.legs:
            told = retrace_leg(leg.moves)
            assert (told.state, told.return_count, told.rework_count) == (
                leg.facts.state,
                leg.facts.return_count,
                leg.facts.rework_count,
            )
            assert leg.facts.return_count <= SETTLED_AT_RETURN
            assert not leg.is_within or leg.facts.state in ENDED or life.due is None or leg.due <= life.due
            assert (leg.facts.state is LegState.SIGNED) == (bool(leg.moves) and leg.moves[-1] is LegMove.SIGN)

    @invariant()
    def history_replays_to_the_row(self) -> None:
        if not hasattr(self, "life"):
            return
        facts = self.life.facts
        assert replay(self.life.acts) is facts.state
        told = retrace(self.life.acts)
        named = ("state", "return_count", "rework_count", "extension_count", "suspend_count", "clock_epoch", "asked")
        assert {name: getattr(told, name) for name in (*named, "is_exempt", "is_supervised", "is_joint")} == {
            name: getattr(facts, name) for name in (*named, "is_exempt", "is_supervised", "is_joint")
        }

    @invariant()
    def no_impossible_state(self) -> None:
        if not hasattr(self, "life"):
            return
        life, facts = self.life, self.life.facts
        assert facts.extension_count <= MOST_EXTENSIONS
        assert facts.suspend_count <= 1
        assert facts.return_count <= SETTLED_AT_RETURN
        assert (facts.state is CaseState.SUSPENDED) == (life.suspended_until is not None)
        if facts.state in HANDLING_STATES:
            assert life.due is not None
        if facts.asked is not None:
            assert facts.state in {CaseState.HANDLING, CaseState.CLOSED}
        assert life.approvals == facts.extension_count + facts.suspend_count

    @invariant()
    def the_ledger_explains_the_deadline(self) -> None:
        if not hasattr(self, "life") or self.life.start is None or self.life.due is None:
            return
        life = self.life
        assert life.start is not None
        assert life.due is not None
        course = Course(start_at=life.start, limit=life.limit, extensions=life.extensions, pauses=tuple(life.pauses))
        assert warn_at(CALENDAR, course, life.due) <= life.due
        # A pause taken when the case was late already changes nothing; before that the two ways must agree.
        if all(pause.start_at < life.due for pause in life.pauses):
            computed = add(CALENDAR, course.start_at, course.total, course.pauses).due_at
            assert computed == life.due


CaseLife.TestCase.settings = settings(
    max_examples=SEQUENCES,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestCaseLife = CaseLife.TestCase


@given(
    micros=st.integers(0, 40 * 86_400_000_000),
    limit=st.sampled_from(LIMITS),
    days=st.integers(1, 366),
    back=st.integers(0, 366 * 24 * 60),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_an_early_end_of_a_pause_gives_back_exactly_what_was_not_needed(
    micros: int, limit: Limit, days: int, back: int
) -> None:
    start = T0
    at = start + timedelta(microseconds=micros)
    due = add(CALENDAR, start, limit).due_at
    halt = Pause(start_at=at, end_at=at + timedelta(days=days))
    later = paused(CALENDAR, due, limit.unit, halt).due_at
    assert later >= due
    end = max(at, halt.end_at - timedelta(minutes=back))
    early = resumed(CALENDAR, later, limit.unit, planned=halt.end_at, at=end).due_at
    assert early == paused(CALENDAR, due, limit.unit, Pause(start_at=at, end_at=end)).due_at


@pytest.mark.parametrize("state", list(CaseState))
def test_a_stage_clock_runs_only_where_somebody_is_waited_for(state: CaseState) -> None:
    if state in STAGE_OF:
        assert any(state in row_of(move).sources for move in Move)
