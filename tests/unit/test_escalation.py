"""The ladder of DOMAIN §7 as a table; what ends it, what re-arms it, and whom it tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.calendars import WorkingCalendar, seed_calendar
from dispatch.deadlines import Limit, LimitUnit, Pause, add
from dispatch.escalation import (
    CLIMBING_STATES,
    DEFAULT_LADDERS,
    Basis,
    EndsWith,
    Ladder,
    LadderRung,
    RungClock,
    Scope,
    Target,
    find_ladder,
    is_still_due,
    owed,
    plan_rungs,
)
from dispatch.ladder_targets import Seat, Whereabouts, find_told
from dispatch.posts import Rung
from dispatch.states import CaseState

CALENDAR = WorkingCalendar(days=seed_calendar([2025, 2026]))
ZONE = CALENDAR.zone
#: Thursday before the make-up Saturday of the Spring Festival 2026 (15–23 February off, 14 and 28 worked).
START = datetime(2026, 2, 12, 10, 0, tzinfo=ZONE)
NAMES = UUID("0190f0c8-0000-7000-8000-000000000001")
NOBODY: frozenset[str] = frozenset()


def clock(value: str, unit: str, *, start: datetime = START, **more: object) -> RungClock:
    limit = Limit(value=Decimal(value), unit=LimitUnit(unit))
    facts = {"began_at": start, "start_at": start, "due_at": add(CALENDAR, start, limit).due_at, "unit": limit.unit}
    return RungClock(**(facts | more))  # type: ignore[arg-type]


def instants(category: str, running: RungClock) -> dict[str, str]:
    planned = plan_rungs(DEFAULT_LADDERS[category], running, CALENDAR)
    return {one.rung.code: one.at.astimezone(ZONE).strftime("%m-%d %H:%M") for one in planned}


LADDER = [
    # class, limit, unit, then: half, four fifths, due, a working day later, five working days later
    ("", "2", "urgent_hour", ("02-12 11:00", "02-12 11:36", "02-12 12:00", "02-13 12:00", "02-26 12:00")),
    ("", "4", "working_hour", ("02-12 12:00", "02-12 15:12", "02-12 16:00", "02-13 16:00", "02-26 16:00")),
    ("", "2", "working_day", ("02-13 10:00", "02-13 16:48", "02-14 10:00", "02-24 10:00", "02-28 10:00")),
    ("", "5", "working_day", ("02-14 16:00", "02-25 10:00", "02-26 10:00", "02-27 10:00", "03-04 10:00")),
    ("", "1", "natural_day", ("02-12 22:00", "02-13 05:12", "02-13 10:00", "02-14 10:00", "02-27 10:00")),
]


@pytest.mark.parametrize(("category", "value", "unit", "expected"), LADDER)
def test_every_rung_of_the_shipped_ladder(category: str, value: str, unit: str, expected: tuple[str, ...]) -> None:
    found = instants(category, clock(value, unit))
    assert list(found) == ["half", "four_fifths", "due", "due_1d", "due_5d"]
    assert tuple(found.values()) == expected


def test_what_each_rung_does() -> None:
    told = {rung.code: (rung.target, rung.in_bulletin, rung.ends_with) for rung in DEFAULT_LADDERS["E05"]}
    handled = EndsWith.HANDLED
    assert told == {
        "grave": (Target.LEADER, False, handled),
        "half": (Target.OWNER, False, handled),
        "four_fifths": (Target.OWNER, False, handled),
        "due": (Target.PARENT_HEAD, False, handled),
        "due_1d": (Target.DEPARTMENT_HEAD, False, handled),
        "due_5d": (Target.LEADER, True, handled),
    }


def test_a_grave_case_goes_straight_to_the_top() -> None:
    found = instants("E05", clock("2", "urgent_hour"))
    assert next(iter(found.items())) == ("grave", "02-12 10:00")


def test_a_ticket_that_counts_from_tomorrow_is_reminded_by_its_own_start() -> None:
    tomorrow = datetime(2026, 2, 13, 0, 0, tzinfo=ZONE)
    running = clock("1", "working_day", start=tomorrow, began_at=START)
    assert instants("E05", running)["grave"] == "02-12 10:00"
    assert instants("", running)["half"] == "02-13 12:00"


def test_an_approved_pause_moves_every_later_rung_and_no_earlier_one() -> None:
    pause = Pause(start_at=START + timedelta(hours=1, minutes=30), end_at=START + timedelta(hours=11, minutes=30))
    limit = Limit(value=2, unit=LimitUnit.URGENT_HOUR)
    due = add(CALENDAR, START, limit, (pause,)).due_at
    running = RungClock(began_at=START, start_at=START, due_at=due, unit=limit.unit, pauses=(pause,))
    found = instants("", running)
    assert (found["half"], found["four_fifths"], found["due"]) == ("02-12 11:00", "02-12 21:36", "02-12 22:00")


def test_an_extension_begins_an_epoch_whose_reminders_fire_anew() -> None:
    since = START + timedelta(minutes=110)
    running = clock("4", "urgent_hour", since=since)
    planned = plan_rungs(DEFAULT_LADDERS[""], running, CALENDAR)
    before = frozenset({"half", "four_fifths"})
    assert [one.rung.code for one in owed(planned, running, NOBODY, before)] == [
        "half", "four_fifths", "due", "due_1d", "due_5d",
    ]  # fmt: skip
    assert planned[0].at == START + timedelta(hours=2)


def test_a_suspension_does_not_repeat_the_reminder_that_lies_behind_it() -> None:
    since = START + timedelta(minutes=70)
    pause = Pause(start_at=since, end_at=since + timedelta(hours=5))
    due = add(CALENDAR, START, Limit(value=2, unit=LimitUnit.URGENT_HOUR), (pause,)).due_at
    running = RungClock(
        began_at=START, start_at=START, due_at=due, unit=LimitUnit.URGENT_HOUR, pauses=(pause,), since=since
    )
    planned = plan_rungs(DEFAULT_LADDERS[""], running, CALENDAR)
    left = [one.rung.code for one in owed(planned, running, NOBODY, frozenset({"half"}))]
    assert left == ["four_fifths", "due", "due_1d", "due_5d"]
    # An outage kept the reminder from firing in time: it is still owed.
    assert next(one.rung.code for one in owed(planned, running, NOBODY, NOBODY)) == "half"


def test_imported_history_is_not_made_up_for() -> None:
    since = START + timedelta(hours=3)
    running = clock("2", "urgent_hour", since=since, is_live=False)
    planned = plan_rungs(DEFAULT_LADDERS["E05"], running, CALENDAR)
    assert [one.rung.code for one in owed(planned, running, NOBODY, NOBODY)] == ["due_1d", "due_5d"]


@given(st.sets(st.sampled_from([rung.code for rung in DEFAULT_LADDERS["E05"]])), st.booleans())
def test_what_has_fired_is_never_owed_again(fired: set[str], live: bool) -> None:
    running = clock("5", "working_day", is_live=live)
    planned = plan_rungs(DEFAULT_LADDERS["E05"], running, CALENDAR)
    left = {one.rung.code for one in owed(planned, running, frozenset(fired), NOBODY)}
    assert left == {rung.code for rung in DEFAULT_LADDERS["E05"]} - fired


def test_acknowledging_ends_the_rungs_that_say_so() -> None:
    rungs = (
        LadderRung(
            code="seen", basis=Basis.SHARE, share=Decimal("0.25"), target=Target.OWNER, ends_with=EndsWith.ACKNOWLEDGED
        ),
        *DEFAULT_LADDERS[""],
    )
    for acknowledged in (False, True):
        running = clock("2", "urgent_hour", is_acknowledged=acknowledged)
        codes = [one.rung.code for one in owed(plan_rungs(rungs, running, CALENDAR), running, NOBODY, NOBODY)]
        assert ("seen" in codes) is not acknowledged
        assert "due" in codes


@pytest.mark.parametrize("state", list(CaseState))
def test_only_a_running_clock_climbs(state: CaseState) -> None:
    assert is_still_due(state) is (state in CLIMBING_STATES)
    assert {str(one) for one in CLIMBING_STATES} == {"dispatched", "handling", "returned", "reopened"}


# -- which ladder ------------------------------------------------------------------------------------------------------


def ladder(number: int, *scope: str, since: int = 0, empty: bool = False) -> Ladder:
    jurisdiction, cell, category = scope
    return Ladder(
        id=number,
        scope=Scope(jurisdiction=jurisdiction, cell_code=cell, category=category),
        effective_from=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=since),
        rungs=() if empty else DEFAULT_LADDERS[""],
    )


CASES = [
    # ladders by number, category, number of the one that applies on 10 January
    ([ladder(1, "", "", "")], "E0501", 1),
    ([ladder(1, "", "", ""), ladder(2, "", "", "E05")], "E0501", 2),
    ([ladder(1, "", "", ""), ladder(2, "410100", "", "")], "E0501", 2),
    ([ladder(1, "410100", "", ""), ladder(2, "", "", "E05")], "E0501", 2),
    ([ladder(1, "410100", "", "E05"), ladder(2, "410100", "410102001", "E05")], "E0501", 2),
    ([ladder(1, "410100", "410102001", "E05"), ladder(2, "410100", "", "E0501")], "E0501", 2),
    ([ladder(1, "410100", "410102002", ""), ladder(2, "", "", "")], "E0501", 2),
    ([ladder(1, "410100", "", ""), ladder(2, "410100", "", "", since=5)], "E0501", 2),
    ([ladder(1, "410100", "", ""), ladder(2, "410100", "", "", since=20)], "E0501", 1),
    ([ladder(1, "", "", ""), ladder(2, "410100", "", ""), ladder(3, "410100", "", "", since=5, empty=True)], "P01", 1),
]


@pytest.mark.parametrize(("ladders", "category", "number"), CASES)
def test_the_closer_class_then_the_closer_place_then_the_newer_version(
    ladders: list[Ladder], category: str, number: int
) -> None:
    found = find_ladder(
        ladders,
        jurisdiction="410100",
        path=("410102001", "410102001001"),
        category=category,
        parent="E05",
        at=datetime(2026, 1, 10, tzinfo=UTC),
    )
    assert found is not None
    assert found.id == number


# -- who is told -------------------------------------------------------------------------------------------------------

PATH = ("1", "12", "123")


def head(level: int, rank: str = "A", *, there: bool = True) -> Rung:
    name = f"{rank}{level}"
    return Rung(
        level=level, cell_code=PATH[level - 1], rank=rank, post_id=level * 10 + (rank == "B"), title_zh=name,
        title_en=name, person_id=uuid5(NAMES, name) if there else None, person_name=name, leave_until=None,
        is_available=there,
    )  # fmt: skip


def seat(kind: str, *, cell: str | None = None, department: str | None = None, there: bool = True, n: int = 1) -> Seat:
    name = f"{kind}{n}"
    return Seat(
        post_id=100 + n, kind=kind, cell_code=cell, department_code=department, title_zh=name, title_en=name,
        person_id=uuid5(NAMES, name) if there else None,
    )  # fmt: skip


HEADS = (head(3), head(3, "B"), head(2), head(1))
LEADER = seat("leader", cell="1")
DEPARTMENT = seat("leader", department="sanitation", n=2)
HANDLER = seat("department_handler", department="sanitation", n=3)
TOLD = [
    # target, heads, seats, department, who, empty places
    (Target.OWNER, HEADS, (), None, "owner", ()),
    (Target.PARENT_HEAD, HEADS, (), None, "A2", ()),
    (Target.PARENT_HEAD, (head(3), head(2, there=False), head(2, "B"), head(1)), (), None, "B2", ()),
    (Target.PARENT_HEAD, (head(3), head(2, there=False), head(1)), (), None, "A1", ("head:12",)),
    (Target.PARENT_HEAD, (head(3), head(1)), (), None, "A1", ("head:12",)),
    (Target.PARENT_HEAD, (head(3),), (LEADER,), None, "leader1", ("head:12", "head:1")),
    (Target.PARENT_HEAD, (head(3),), (), None, None, ("head:12", "head:1")),
    (Target.TOP_HEAD, HEADS, (), None, "A1", ()),
    (Target.DEPARTMENT_HEAD, HEADS, (HANDLER, DEPARTMENT), "sanitation", "leader2", ()),
    (Target.DEPARTMENT_HEAD, HEADS, (HANDLER,), "sanitation", "department_handler3", ()),
    (Target.DEPARTMENT_HEAD, HEADS, (LEADER, DEPARTMENT), "greening", "leader1", ("department:greening",)),
    (Target.DEPARTMENT_HEAD, HEADS, (DEPARTMENT,), None, "A1", ("department:–",)),
    (Target.LEADER, HEADS, (LEADER,), None, "leader1", ()),
    (Target.LEADER, HEADS, (), None, "A1", ()),
    (Target.LEADER, HEADS, (seat("leader", cell="1", there=False),), None, "A1", ("leader:1",)),
    (Target.LEADER, HEADS, (seat("leader", cell="2", n=4), seat("leader", n=5)), None, "leader5", ()),
    (Target.SHIFT_LEADER, HEADS, (seat("shift_leader", n=6),), None, "shift_leader6", ()),
    (Target.SHIFT_LEADER, HEADS, (LEADER,), None, "leader1", ("shift_leader:1",)),
]


@pytest.mark.parametrize(("target", "heads", "seats", "department", "who", "empty"), TOLD)
def test_whom_a_rung_tells_and_which_places_were_empty(
    target: Target,
    heads: tuple[Rung, ...],
    seats: tuple[Seat, ...],
    department: str | None,
    who: str | None,
    empty: tuple[str, ...],
) -> None:
    where = Whereabouts(
        path=PATH, heads=heads, owner_post_id=30, owner_person_id=uuid5(NAMES, "owner"), department=department
    )
    told = find_told(target, where, seats)
    assert told.person_id == (uuid5(NAMES, who) if who else None)
    assert told.empty == empty


def test_a_departments_handler_is_below_the_cells_own_head() -> None:
    where = Whereabouts(path=PATH, heads=HEADS, owner_post_id=103, owner_person_id=uuid5(NAMES, "x"), department="s")
    assert find_told(Target.PARENT_HEAD, where, ()).post_id == 30
