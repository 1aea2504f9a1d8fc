"""The table of transitions, held against the rules it must keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.states import FINAL_STATES, HANDLING_STATES, CaseState
from dispatch.workflow import (
    AUTOMATIC_LINE,
    EVENT_OF,
    TRANSITIONS,
    Clock,
    Move,
    allowed_moves,
    event_type,
    parse_move,
    plan,
    replay,
)
from geo.errors import BadInputError, ConflictError


@pytest.mark.parametrize(
    ("state", "move", "ends_in"),
    [
        ("reported", "accept", "accepted"),
        ("reported", "decline", "declined"),
        ("reported", "dispatch", "dispatched"),
        ("accepted", "file", "filed"),
        ("accepted", "refuse_file", "declined"),
        ("accepted", "dispatch", "dispatched"),
        ("accepted", "void", "voided"),
        ("filed", "void", "voided"),
        ("filed", "dispatch", "dispatched"),
        ("dispatched", "acknowledge", "handling"),
        ("dispatched", "return", "returned"),
        ("returned", "re_dispatch", "dispatched"),
        ("handling", "report_back", "handled"),
        ("handled", "check_pass", "checked"),
        ("handled", "check_fail", "handling"),
        ("handled", "close", "closed"),
        ("checked", "close", "closed"),
    ],
)
def test_table(state: str, move: str, ends_in: str) -> None:
    assert plan(CaseState(state), Move(move))[-1].target == ends_in


@pytest.mark.parametrize("state", list(CaseState))
@pytest.mark.parametrize("move", list(Move))
def test_what_is_not_allowed_is_refused_with_what_is(state: CaseState, move: Move) -> None:
    if move in allowed_moves(state):
        assert plan(state, move)
    else:
        with pytest.raises(ConflictError) as caught:
            plan(state, move)
        assert caught.value.code == "dispatch.illegal_transition"
        assert caught.value.params["allowed"] == [name.value for name in allowed_moves(state)]


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_final_states_allow_nothing(state: CaseState) -> None:
    assert allowed_moves(state) == ()


def test_the_clock_starts_once_and_a_return_never_stops_it() -> None:
    assert [row.move for row in TRANSITIONS if row.clock is Clock.START] == [Move.DISPATCH]
    for row in TRANSITIONS:
        if row.sources & HANDLING_STATES and row.target in HANDLING_STATES:
            assert row.clock is Clock.RUNS_ON, row.move


def test_every_move_has_a_row_and_an_event() -> None:
    assert {row.move for row in TRANSITIONS} == set(Move) == set(EVENT_OF)
    assert len({event_type(move) for move in Move}) == len(Move)


def test_the_automatic_line_replays_to_dispatched() -> None:
    assert replay([AUTOMATIC_LINE]) is CaseState.DISPATCHED


def test_overlays_leave_the_state() -> None:
    assert replay([AUTOMATIC_LINE, ("escalate",), ("acknowledge",)]) is CaseState.HANDLING


@pytest.mark.parametrize("acts", [[], [["accept"]], [["report"], ["report"]], [["report"], ["close"]]])
def test_impossible_histories_are_refused(acts: list[list[str]]) -> None:
    with pytest.raises((ConflictError, BadInputError)):
        replay(acts)


def test_unknown_move() -> None:
    with pytest.raises(BadInputError, match="unknown_move"):
        parse_move("teleport")


@given(st.lists(st.integers(0, 100), max_size=40))
def test_any_walk_replays_to_where_it_ended(choices: list[int]) -> None:
    state, acts = CaseState.REPORTED, [["report"]]
    for choice in choices:
        moves = allowed_moves(state)
        if not moves:
            break
        rows = plan(state, moves[choice % len(moves)])
        acts.append([row.move.value for row in rows])
        state = rows[-1].target
    assert replay(acts) is state
