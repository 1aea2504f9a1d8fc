"""Legs of joint work, and which role may make which move: tables held against the rules they must keep."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import islice
from typing import Any

import pytest

from dispatch.calendars import WorkingCalendar, seed_calendar
from dispatch.guards import Facts, after, failing, may, possible_moves, retrace
from dispatch.joint import (
    ENDED,
    LEG_EVENT_OF,
    LEG_TRANSITIONS,
    LegFacts,
    LegGuard,
    LegMove,
    LegState,
    after_leg,
    check_leg,
    is_joined,
    leg_event_type,
    leg_row_of,
    may_leg,
    parse_leg_move,
    possible_leg_moves,
    retrace_leg,
)
from dispatch.move_words import Clock, Guard, Line, Move, Who
from dispatch.recurring import DayOff, Frequency, Recurrence, next_occurrence, occurrences
from dispatch.states import CaseState
from dispatch.workflow import EVENT_OF, LEG_MOVES, TRANSITIONS, row_of
from geo.errors import BadInputError, ConflictError
from maps.i18n import Locale, catalogue

M = LegMove


@pytest.mark.parametrize(
    ("roles", "move", "line", "allowed"),
    [
        (["grid_head"], Move.ACKNOWLEDGE, Line.SHORT, True),
        (["grid_head"], Move.REPORT_BACK, Line.FULL, True),
        (["grid_head"], Move.CLOSE, Line.SHORT, False),
        (["grid_head"], Move.APPROVE_EXTENSION, Line.SHORT, False),
        (["department_handler"], Move.RETURN, Line.SHORT, True),
        (["department_handler"], Move.APPEAL, Line.SHORT, True),
        (["assistant"], Move.VERIFY_DONE, Line.FULL, True),
        (["assistant"], Move.REPORT_BACK, Line.FULL, False),
        (["grid_worker"], Move.REPORT_BACK, Line.FULL, True),
        (["grid_worker"], Move.SELF_HANDLE, Line.FULL, True),
        (["grid_worker"], Move.CLOSE, Line.SHORT, False),
        (["acceptor"], Move.ACCEPT, Line.FULL, True),
        (["acceptor"], Move.DISPATCH, Line.SHORT, False),
        (["dispatcher"], Move.DISPATCH, Line.SHORT, True),
        (["dispatcher"], Move.SPLIT_JOINT, Line.FULL, True),
        (["dispatcher"], Move.FILE, Line.SHORT, True),
        (["dispatcher"], Move.FILE, Line.FULL, False),
        (["dispatcher"], Move.ACCEPT, Line.SHORT, True),
        (["dispatcher"], Move.ACCEPT, Line.FULL, False),
        (["dispatcher"], Move.SETTLE, Line.SHORT, False),
        (["shift_leader"], Move.SETTLE, Line.SHORT, True),
        (["shift_leader"], Move.VOID, Line.FULL, True),
        (["leader"], Move.APPROVE_SUSPEND, Line.FULL, True),
        (["dispatcher"], Move.APPROVE_SUSPEND, Line.FULL, False),
        (["dispatcher"], Move.APPROVE_SUSPEND, Line.SHORT, True),
        (["dispatcher"], Move.ENDORSE_SUSPEND, Line.FULL, True),
        (["evaluator"], Move.UPHOLD_APPEAL, Line.FULL, True),
        (["evaluator"], Move.DISPATCH, Line.FULL, False),
        (["acceptor", "shift_leader"], Move.FILE, Line.FULL, True),
        ([], Move.URGE, Line.SHORT, False),
        (["volunteer_group", "nobody"], Move.ACKNOWLEDGE, Line.SHORT, False),
        (["system"], Move.NO_ACK, Line.SHORT, True),
        (["dispatcher", "leader", "shift_leader"], Move.NO_ACK, Line.SHORT, False),
    ],
)
def test_who_may(roles: list[str], move: Move, line: Line, allowed: bool) -> None:
    assert may(roles, move, line) is allowed


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: row.move.value)
def test_every_move_has_somebody_who_may_and_nobody_else_does(row) -> None:  # type: ignore[no-untyped-def]
    for who in Who:
        assert may([who.value], row.move, Line.FULL) is (who in row.who)


def test_a_case_waits_for_its_legs() -> None:
    facts = after(row_of(Move.SPLIT_JOINT), Facts(state=CaseState.HANDLING))
    assert facts.is_joint
    assert failing(row_of(Move.REPORT_BACK), facts) is Guard.NOT_JOINT
    assert Move.REPORT_BACK not in possible_moves(facts)
    facts = after(row_of(Move.JOIN), facts)
    assert Move.REPORT_BACK in possible_moves(facts)
    assert Move.JOIN not in possible_moves(facts)
    history = [["open_operation", "split_joint"], ["leg_acknowledge"], ["leg_report_back"], ["leg_sign", "join"]]
    assert retrace(history) == Facts(state=CaseState.HANDLING)
    assert retrace(history[:3]).is_joint


WALK = [M.ACKNOWLEDGE, M.REPORT_BACK, M.REJECT, M.REPORT_BACK, M.SIGN]


def test_a_leg_from_dispatch_to_sign_off() -> None:
    facts = retrace_leg(WALK)
    assert (facts.state, facts.rework_count) == (LegState.SIGNED, 1)
    assert possible_leg_moves(facts) == ()


def test_the_third_return_is_settled_and_settled_is_final() -> None:
    facts = retrace_leg([M.RETURN, M.RE_DISPATCH] * 2 + [M.RETURN])
    assert (facts.return_count, possible_leg_moves(facts)) == (3, (M.SETTLE, M.WITHDRAW))
    with pytest.raises(ConflictError, match=r"leg_guard[.]returns_left"):
        check_leg(M.RE_DISPATCH, facts)
    facts = after_leg(check_leg(M.SETTLE, facts), facts)
    with pytest.raises(ConflictError, match=r"leg_guard[.]returns_left"):
        check_leg(M.RETURN, facts)
    with pytest.raises(ConflictError, match=r"leg_guard[.]third_return"):
        check_leg(M.SETTLE, LegFacts(state=LegState.RETURNED, return_count=1))


def test_four_eyes() -> None:
    facts = after_leg(leg_row_of(M.REPORT_BACK), LegFacts(state=LegState.HANDLING), "a")
    for move in (M.SIGN, M.REJECT):
        with pytest.raises(ConflictError, match=r"leg_guard[.]not_reporter"):
            check_leg(move, facts, "a")
        assert check_leg(move, facts, "b").move is move
    assert may_leg(["dispatcher"], M.SIGN)
    assert not may_leg(["department_handler"], M.SIGN)


def test_what_is_not_allowed_names_what_is() -> None:
    with pytest.raises(ConflictError) as caught:
        check_leg(M.SIGN, LegFacts())
    assert caught.value.code == "dispatch.illegal_leg_move"
    assert caught.value.params["allowed"] == ["leg_acknowledge", "leg_return", "leg_withdraw"]
    with pytest.raises(BadInputError, match="unknown_move"):
        parse_leg_move("close")


@pytest.mark.parametrize(
    ("states", "joined"),
    [
        (["signed", "signed"], True),
        (["signed", "withdrawn"], True),
        (["signed", "handled"], False),
        (["signed", "returned"], False),
    ],
)
def test_the_case_goes_on_when_nobody_is_waited_for(states: list[str], joined: bool) -> None:
    assert is_joined(map(LegState, states)) is joined


def test_no_move_of_a_leg_makes_its_deadline_later() -> None:
    assert {row.clock for row in LEG_TRANSITIONS} <= {Clock.RUNS_ON, Clock.STOP, Clock.NONE}
    for state in set(LegState) - ENDED:
        assert any(state in row.sources for row in LEG_TRANSITIONS)
    assert {guard.value for guard in LegGuard} >= {row.guard.value for row in LEG_TRANSITIONS if row.guard}


def test_names_are_one_set() -> None:
    assert {move.value for move in LegMove} == LEG_MOVES
    assert not set(LEG_EVENT_OF.values()) & set(EVENT_OF.values())
    assert leg_event_type(M.SIGN) == "case.leg_signed.v1"


@pytest.mark.parametrize("locale", ["zh-CN", "en"])
def test_legs_have_texts(locale: Locale) -> None:
    wanted = {f"leg.state.{state}" for state in LegState} | {f"move.{move}" for move in LegMove}
    wanted |= {f"error.dispatch.leg_guard.{guard}" for guard in LegGuard}
    assert wanted <= set(catalogue(locale))


CALENDAR = WorkingCalendar(days=seed_calendar([2026]))
FIRST = date(2026, 2, 2)


def dates(rule: Recurrence, after: str, most: int) -> list[str]:
    start = datetime.fromisoformat(after).replace(tzinfo=CALENDAR.zone)
    found = list(islice(occurrences(rule, CALENDAR, start), most))
    assert found == sorted(set(found))
    assert next_occurrence(rule, CALENDAR, start) == (found[0] if found else None)
    assert all(one > start for one in found)
    return [f"{one.astimezone(CALENDAR.zone):%m-%d %H:%M}" for one in found]


@pytest.mark.parametrize(
    ("change", "after", "ahead"),
    [
        ({"weekdays": (5,)}, "2026-02-01", ["02-06 09:00", "02-13 09:00", "02-24 09:00", "02-27 09:00"]),
        ({"weekdays": (5,), "day_off": DayOff.SKIP}, "2026-02-10", ["02-13 09:00", "02-27 09:00"]),
        ({"weekdays": (5,), "day_off": DayOff.AS_IT_IS}, "2026-02-13T09:00", ["02-20 09:00", "02-27 09:00"]),
        ({"weekdays": (6,), "day_off": DayOff.SKIP}, "2026-02-01", ["02-14 09:00", "02-28 09:00"]),
        ({"weekdays": (1, 3), "interval": 2}, "2026-02-01", ["02-02 09:00", "02-04 09:00", "02-24 09:00"]),
        ({"frequency": Frequency.DAY, "interval": 5}, "2026-02-02T09:00", ["02-09 09:00", "02-12 09:00"]),
        (
            {"frequency": Frequency.MONTH, "month_days": (-1,), "day_off": DayOff.AS_IT_IS},
            "2026-02-01",
            ["02-28 09:00", "03-31 09:00"],
        ),
        (
            {"frequency": Frequency.MONTH, "month_days": (31,), "day_off": DayOff.AS_IT_IS},
            "2026-02-01",
            ["03-31 09:00", "05-31 09:00"],
        ),
        ({"weekdays": (5,), "last_day": date(2026, 2, 10)}, "2026-02-01", ["02-06 09:00"]),
        ({"weekdays": (5,), "last_day": date(2026, 2, 10)}, "2026-02-10", []),
    ],
)
def test_when_operations_take_place(change: dict[str, Any], after: str, ahead: list[str]) -> None:
    rule = Recurrence(**{"frequency": Frequency.WEEK, "at": time(9), "first_day": FIRST, **change})
    assert dates(rule, after, len(ahead) or 1) == ahead


@pytest.mark.parametrize(
    "change",
    [
        {"interval": 0},
        {"weekdays": ()},
        {"weekdays": (8,)},
        {"frequency": Frequency.MONTH},
        {"frequency": Frequency.MONTH, "month_days": (0,)},
        {"last_day": date(2026, 1, 1)},
    ],
)
def test_recurrences_that_mean_nothing_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadInputError, match="bad_recurrence"):
        Recurrence(**{"frequency": Frequency.WEEK, "at": time(9), "first_day": FIRST, "weekdays": (5,), **change})
