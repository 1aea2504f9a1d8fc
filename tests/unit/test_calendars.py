"""Working calendars: which days and hours count, what is settled, how clock changes are read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from dispatch.calendars import (
    CalendarDay,
    DayKind,
    HourRange,
    WorkingCalendar,
    published_years,
    seed_calendar,
    seed_years,
    working_calendar,
)
from dispatch.segments import from_micros, to_micros
from geo.errors import BadInputError

OFFICIAL = WorkingCalendar(days=seed_calendar(seed_years()))


def worked(calendar: WorkingCalendar, start: datetime, end: datetime) -> timedelta:
    return timedelta(microseconds=calendar.worked_between(to_micros(start), to_micros(end)))


@pytest.mark.parametrize(
    ("day", "is_workday"),
    [
        pytest.param(date(2026, 2, 13), True, id="Friday before the Spring Festival"),
        pytest.param(date(2026, 2, 14), True, id="make-up Saturday"),
        pytest.param(date(2026, 2, 15), False, id="first day off, a Sunday"),
        pytest.param(date(2026, 2, 23), False, id="last day off, a Monday"),
        pytest.param(date(2026, 2, 24), True, id="first day back"),
        pytest.param(date(2026, 2, 28), True, id="second make-up Saturday"),
        pytest.param(date(2026, 9, 20), True, id="make-up Sunday before the National Day"),
        pytest.param(date(2026, 10, 1), False, id="National Day"),
        pytest.param(date(2026, 10, 7), False, id="last day off, a Wednesday"),
        pytest.param(date(2026, 10, 10), True, id="make-up Saturday after it"),
        pytest.param(date(2026, 10, 11), False, id="plain Sunday"),
        pytest.param(date(2018, 12, 29), True, id="make-up Saturday named by the table of 2019"),
        pytest.param(date(2018, 12, 31), False, id="Monday off by the table of 2019"),
        pytest.param(date(2027, 1, 1), True, id="unpublished year: a Friday like any other"),
    ],
)
def test_days(day: date, is_workday: bool) -> None:
    assert OFFICIAL.is_workday(day) is is_workday


def test_seed_knows_2004_to_2026_and_nothing_else() -> None:
    assert seed_years() == range(2004, 2027)
    assert published_years(seed_calendar(seed_years())) == frozenset(range(2004, 2027))
    with pytest.raises(BadInputError) as caught:
        seed_calendar([2026, 2027])
    assert caught.value.code == "calendar.year_not_published"
    assert caught.value.params == {"years": [2027]}


def test_seed_rows_belong_to_the_year_of_their_date() -> None:
    rows = {row.day: row for row in seed_calendar([2018])}
    assert set(rows) & {date(2018, 12, 29), date(2018, 12, 30), date(2018, 12, 31)} == {
        date(2018, 12, 29),
        date(2018, 12, 30),
        date(2018, 12, 31),
    }
    assert rows[date(2018, 2, 16)] == CalendarDay(day=date(2018, 2, 16), kind=DayKind.HOLIDAY, name="spring_festival")
    assert all(day.year == 2018 for day in rows)


@pytest.mark.parametrize(
    ("day", "settled"),
    [
        (date(2003, 12, 31), False),
        (date(2004, 1, 1), True),
        (date(2025, 12, 31), True),
        (date(2026, 12, 24), True),
        (date(2026, 12, 25), False),
        (date(2027, 1, 1), False),
    ],
)
def test_the_last_days_of_a_year_wait_for_the_next_table(day: date, settled: bool) -> None:
    assert OFFICIAL.is_settled(day) is settled
    noon = OFFICIAL.wall(day, 12 * 3_600_000_000)
    assert OFFICIAL.touches_unsettled(noon, noon + 1) is not settled


def test_a_single_row_does_not_publish_a_year() -> None:
    local = CalendarDay(day=date(2027, 3, 1), kind=DayKind.HOLIDAY, name="flood")
    calendar = WorkingCalendar(days=[*seed_calendar([2026]), local])
    assert not calendar.is_settled(date(2027, 3, 1))
    assert not calendar.is_workday(date(2027, 3, 1))


def test_half_days() -> None:
    day = date(2026, 3, 4)
    zone = ZoneInfo("Asia/Shanghai")
    span = datetime(2026, 3, 4, tzinfo=zone), datetime(2026, 3, 5, tzinfo=zone)
    through = (HourRange(starts=time(9), ends=time(17)),)
    for kind, hours in ((DayKind.MORNING, 3), (DayKind.AFTERNOON, 5), (DayKind.WORKDAY, 8), (DayKind.HOLIDAY, 0)):
        calendar = WorkingCalendar(hours=through, days=[CalendarDay(day=day, kind=kind)])
        assert worked(calendar, *span) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param((), id="none"),
        pytest.param((HourRange(starts=time(12), ends=time(8)),), id="backwards"),
        pytest.param((HourRange(starts=time(8), ends=time(8)),), id="empty"),
        pytest.param(
            (HourRange(starts=time(8), ends=time(12)), HourRange(starts=time(11), ends=time(18))), id="overlap"
        ),
        pytest.param((HourRange(starts=time(14), ends=time(18)), HourRange(starts=time(8), ends=time(12))), id="order"),
    ],
)
def test_hours_are_checked(hours: tuple[HourRange, ...]) -> None:
    with pytest.raises(BadInputError) as caught:
        WorkingCalendar(hours=hours)
    assert caught.value.code == "calendar.bad_hours"


def test_hours_may_last_until_midnight() -> None:
    calendar = WorkingCalendar(hours=(HourRange(starts=time(20), ends=time(0)),))
    monday = datetime(2026, 3, 2, tzinfo=calendar.zone)
    assert worked(calendar, monday, monday + timedelta(days=7)) == timedelta(hours=20)


@pytest.mark.parametrize(
    ("sunday", "hours"),
    [
        pytest.param(date(2026, 3, 29), 23, id="the hour from two to three does not exist"),
        pytest.param(date(2026, 10, 25), 25, id="the hour from two to three comes twice"),
        pytest.param(date(2026, 7, 5), 24, id="a plain Sunday"),
    ],
)
def test_a_shift_across_a_clock_change_counts_what_the_wall_shows(sunday: date, hours: int) -> None:
    calendar = WorkingCalendar(
        zone="Europe/Berlin",
        hours=(HourRange(starts=time(0), ends=time(0)),),
        days=[CalendarDay(day=sunday, kind=DayKind.WORKDAY)],
    )
    midnight = datetime(sunday.year, sunday.month, sunday.day, tzinfo=calendar.zone)
    next_midnight = datetime.combine(sunday + timedelta(days=1), time(0), calendar.zone)
    assert worked(calendar, midnight, next_midnight) == timedelta(hours=hours)


def test_the_morning_of_a_clock_change_begins_by_the_old_clock() -> None:
    calendar = WorkingCalendar(
        zone="Europe/Berlin",
        hours=(HourRange(starts=time(0, 30), ends=time(1, 30)), HourRange(starts=time(4), ends=time(5))),
        days=[CalendarDay(day=date(2026, 3, 29), kind=DayKind.WORKDAY)],
    )
    start = datetime(2026, 3, 29, 0, 0, tzinfo=calendar.zone)
    assert from_micros(calendar.advance(to_micros(start), 3_600_000_000)) == datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    assert from_micros(calendar.advance(to_micros(start), 7_200_000_000)) == datetime(2026, 3, 29, 3, 0, tzinfo=UTC)


def test_shanghai_had_summer_time_in_1988() -> None:
    calendar = WorkingCalendar(days=())
    start = datetime(1988, 7, 4, 0, 0, tzinfo=UTC)  # 09:00 in Shanghai that summer, 08:00 in any other
    due = from_micros(calendar.advance(to_micros(start), 3 * 3_600_000_000))
    assert due.astimezone(calendar.zone).strftime("%H:%M %z") == "12:00 +0900"


def test_the_calendar_grows_with_the_question_and_says_where_it_ends() -> None:
    calendar = WorkingCalendar(days=seed_calendar([2026]))
    start = datetime(2026, 1, 5, 8, 0, tzinfo=calendar.zone)
    due = from_micros(calendar.advance(to_micros(start), 20_000 * 8 * 3_600_000_000))
    assert due.year == 2102
    with pytest.raises(BadInputError) as caught:
        calendar.advance(to_micros(start), 60_000 * 8 * 3_600_000_000)
    assert caught.value.code == "calendar.beyond_horizon"
    with pytest.raises(BadInputError):
        calendar.advance(to_micros(datetime(1960, 1, 1, tzinfo=UTC)), 1)


def test_a_calendar_without_any_workday_ends_in_an_error_not_in_a_loop() -> None:
    every_day = [CalendarDay(day=date(1970, 1, 1) + timedelta(days=n), kind=DayKind.HOLIDAY) for n in range(84_100)]
    calendar = WorkingCalendar(days=every_day, published=[2026])
    with pytest.raises(BadInputError) as caught:
        calendar.advance(to_micros(datetime(2026, 1, 5, tzinfo=UTC)), 1)
    assert caught.value.code == "calendar.beyond_horizon"


def test_the_same_rows_are_compiled_once() -> None:
    rows = seed_calendar([2026])
    hours = (HourRange(starts=time(9), ends=time(17)),)
    first = working_calendar(zone="Asia/Shanghai", hours=hours, days=rows)
    assert working_calendar(zone="Asia/Shanghai", hours=tuple(hours), days=seed_calendar([2026])) is first


def test_an_instant_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001
