"""The table of transitions, held against the rules it must keep."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.guards import Request
from dispatch.posts import Why
from dispatch.states import FINAL_STATES, HANDLING_STATES, OPEN_STATES, CaseState
from dispatch.workflow import (
    AUTOMATIC_LINE,
    EVENT_OF,
    OVERLAYS,
    TRANSITIONS,
    Clock,
    Guard,
    Line,
    Move,
    Stage,
    allowed_moves,
    event_type,
    parse_move,
    plan,
    replay,
    row_of,
)
from dispatch.workflow_page import page
from geo.errors import BadInputError, ConflictError
from maps.i18n import Locale, catalogue


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
        ("self_handled", "sample_ok", "closed"),
        ("self_handled", "sample_bad", "reported"),
        ("accepted", "send_verify", "verifying"),
        ("verifying", "verify_done", "accepted"),
        ("verifying", "verify_timeout", "accepted"),
        ("reported", "merge", "merged"),
        ("accepted", "merge", "merged"),
        ("filed", "merge", "merged"),
        ("merged", "unmerge", "reported"),
        ("dispatched", "no_ack", "dispatched"),
        ("returned", "settle", "dispatched"),
        ("handling", "approve_suspend", "suspended"),
        ("suspended", "resume", "handling"),
        ("closed", "follow_up_dissatisfied", "reopened"),
        ("reopened", "re_dispatch", "dispatched"),
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
        # What only the system does is no way out for anybody.
        by_hand = [name.value for name in allowed_moves(state) if not row_of(name).is_automatic]
        assert caught.value.params["allowed"] == by_hand


@pytest.mark.parametrize(
    ("state", "moves"),
    [
        ("declined", []),
        ("voided", []),
        ("merged", ["unmerge"]),
        (
            "closed",
            [
                "follow_up_satisfied",
                "follow_up_unreachable",
                "follow_up_dissatisfied",
                "appeal",
                "uphold_appeal",
                "refuse_appeal",
            ],
        ),
    ],
)
def test_final_states_allow_no_work(state: str, moves: list[str]) -> None:
    assert CaseState(state) in FINAL_STATES
    assert [move.value for move in allowed_moves(CaseState(state))] == moves


def test_the_clock_starts_once_and_only_approvals_make_it_later() -> None:
    assert {row.move for row in TRANSITIONS if row.clock is Clock.START} == {Move.DISPATCH, Move.OPEN_OPERATION}
    assert [row.move for row in TRANSITIONS if row.clock is Clock.RENEW] == [Move.DISSATISFIED]
    approvals = {Move.APPROVE_EXTENSION: Clock.EXTEND, Move.APPROVE_SUSPEND: Clock.PAUSE}
    for row in TRANSITIONS:
        if row.move in approvals:
            assert row.clock is approvals[row.move]
        elif row.sources & HANDLING_STATES and row.sources != OPEN_STATES and row.target != CaseState.HANDLED:
            assert row.clock is Clock.RUNS_ON, row.move


@pytest.mark.parametrize(("state", "move"), [("reported", "dispatch"), ("accepted", "dispatch"), ("handled", "close")])
def test_the_full_line_walks_every_step(state: str, move: str) -> None:
    assert plan(CaseState(state), Move(move), Line.SHORT)
    with pytest.raises(ConflictError, match="illegal_transition"):
        plan(CaseState(state), Move(move), Line.FULL)


@pytest.mark.parametrize("state", sorted(OPEN_STATES))
def test_overlay_moves_are_possible_in_every_open_state_and_leave_it(state: CaseState) -> None:
    for move in (Move.URGE, Move.SUPERVISE, Move.ANSWER_SUPERVISION, Move.ESCALATE_NOW):
        assert [row.leads_to(state) for row in plan(state, move)] == [state]


def test_the_page_is_the_table() -> None:
    written = Path(__file__).resolve().parents[2] / "docs" / "workflow.md"
    assert written.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_everything_has_a_text(locale: Locale) -> None:
    texts = catalogue(locale)
    wanted = {f"move.{name}" for name in [*Move, *OVERLAYS]} | {f"state.{state}" for state in CaseState}
    wanted |= {f"error.dispatch.guard.{guard}" for guard in Guard} | {f"stage.{stage}" for stage in Stage}
    wanted |= {f"why.{why}" for why in Why} | {f"asked.{asked}" for asked in Request}
    assert wanted <= set(texts)


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
        state = rows[-1].leads_to(state)
    assert replay(acts) is state
