"""Published tables as files, good and hostile; seasons; which table of a year holds."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.calendar_files import check_table, decode_table, read_csv, read_ics
from dispatch.calendar_keeping import settled_until
from dispatch.calendar_years import with_shipped
from dispatch.calendars import CalendarDay, DayKind, WorkingCalendar, seed_calendar
from dispatch.deadlines import Limit, LimitUnit
from dispatch.limits import Season, check_seasons, limit_on, read_day
from geo.errors import BadInputError, InvalidRequestError

ICS = """\
BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
DTSTART;VALUE=DATE:20270101
DTEND;VALUE=DATE:20270104
SUMMARY:元旦 放
 假
BEGIN:VALARM
TRIGGER:-PT15M
SUMMARY:提醒
END:VALARM
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20270220
SUMMARY:春节（班）
END:VEVENT
BEGIN:VEVENT
DTSTART;VALUE=DATE:20261231
SUMMARY:Make-up working day
END:VEVENT
END:VCALENDAR
"""


def test_icalendar_with_folded_lines_alarms_and_make_up_days() -> None:
    rows = read_ics(ICS.replace("\n", "\r\n"))
    assert [(row.day.isoformat(), row.kind.value, row.name) for row in rows] == [
        ("2026-12-31", "workday", "Make-up working day"),
        ("2027-01-01", "holiday", "new_years_day"),
        ("2027-01-02", "holiday", "new_years_day"),
        ("2027-01-03", "holiday", "new_years_day"),
        ("2027-02-20", "workday", "spring_festival"),
    ]
    check_table(rows, 2027, is_published=True)


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("hello", "calendar.ics_not", 1),
        (ICS.replace("20270220", "20270230"), "calendar.bad_date", 14),
        (ICS.replace("20270220", "20270220T080000"), "calendar.ics_time", 14),
        (ICS.replace("SUMMARY:春节", "RRULE:FREQ=YEARLY\nSUMMARY:春节"), "calendar.ics_rule", 15),
        (ICS.replace("20270220", "20270102"), "calendar.day_twice", 13),
        (ICS.replace("DTEND;VALUE=DATE:20270104", "DTEND;VALUE=DATE:20251231"), "calendar.bad_date", 3),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR", "calendar.no_days", 1),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR", "calendar.bad_date", 2),
    ],
)
def test_bad_icalendars_are_named_by_line(text: str, code: str, line: int) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_ics(text)
    assert [(fault.code, fault.params["line"]) for fault in caught.value.faults] == [(code, line)]


@pytest.mark.parametrize(
    "text",
    [
        "date,kind,name\n2027-01-01,holiday,New Year\n2027-02-20,workday,\n2027-02-11,morning,",
        "日期;类型;名称\r\n2027年1月1日;休;New Year\r\n2027/2/20;补班;\r\n\r\n20270211;上午;\r\n",
        "name\ttype\tday\nNew Year\t放假\t2027.1.1\n\t班\t2027-2-20\n\t上午上班\t2027-02-11",
    ],
)
def test_csv_as_offices_write_it(text: str) -> None:
    rows = {row.day: (row.kind, row.name) for row in read_csv(text)}
    assert rows == {
        date(2027, 1, 1): (DayKind.HOLIDAY, "New Year"),
        date(2027, 2, 20): (DayKind.WORKDAY, ""),
        date(2027, 2, 11): (DayKind.MORNING, ""),
    }


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", [("calendar.csv_header", 1)]),
        ("a,b\n1,2", [("calendar.csv_header", 1)]),
        ("date,kind\n2027-13-01,holiday\n2027-01-02,party", [("calendar.bad_date", 2), ("calendar.bad_kind", 3)]),
        ("date,kind\n2027-01-01,holiday\n2027-01-01,workday", [("calendar.day_twice", 3)]),
        ("date,kind\n", [("calendar.no_days", 1)]),
        ("date,kind\n" + "x" * 200_000, [("calendar.row_unreadable", 2)]),
    ],
)
def test_bad_csv_is_named_by_line(text: str, faults: list[tuple[str, int]]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_csv(text)
    assert [(fault.code, fault.params["line"]) for fault in caught.value.faults] == faults


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings(encoding: str) -> None:
    assert decode_table("日期,类型".encode(encoding)) == "日期,类型"


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_no_bytes_break_the_readers(data: bytes) -> None:
    for read in (read_csv, read_ics):
        try:
            rows = read(decode_table(b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:" + data + b"\nEND:VEVENT"))
        except (BadInputError, InvalidRequestError):
            continue
        assert all(isinstance(row, CalendarDay) for row in rows)


@pytest.mark.parametrize(
    ("days", "is_published", "codes"),
    [
        (["2027-01-01"], True, []),
        (["2027-01-01", "2026-12-31"], True, []),
        (["2027-01-01", "2026-12-24"], True, ["calendar.other_year"]),
        (["2027-01-01", "2028-01-01"], True, ["calendar.other_year"]),
        (["2027-05-01"], True, ["calendar.no_new_year"]),
        (["2027-05-01"], False, []),
        ([], False, []),
    ],
)
def test_what_can_be_a_years_table(days: list[str], is_published: bool, codes: list[str]) -> None:
    rows = [CalendarDay(day=date.fromisoformat(day), kind=DayKind.HOLIDAY) for day in days]
    if not codes:
        check_table(rows, 2027, is_published=is_published)
        return
    with pytest.raises(InvalidRequestError) as caught:
        check_table(rows, 2027, is_published=is_published)
    assert [fault.code for fault in caught.value.faults] == codes


def test_shipped_tables_hold_until_an_office_has_its_own() -> None:
    days, published = with_shipped([], {})
    assert published == frozenset(range(2004, 2027))
    assert days == seed_calendar(range(2004, 2027))
    own = CalendarDay(day=date(2026, 1, 1), kind=DayKind.HOLIDAY, name="own")
    days, published = with_shipped([own], {2026: True, 2025: False, 2027: True})
    assert published == frozenset({*range(2004, 2025), 2026, 2027})
    assert [row for row in days if row.day.year == 2026] == [own]
    assert not [row for row in days if row.day.year == 2025]


def test_settled_until_the_last_week_of_the_last_published_year() -> None:
    calendar = WorkingCalendar(days=seed_calendar([2025, 2026]))
    assert settled_until(calendar, date(2025, 3, 1)) == date(2026, 12, 25)
    assert settled_until(calendar, date(2027, 3, 1)) == date(2027, 3, 1)


HOUR, DAY = Limit(value=1, unit=LimitUnit.WORKING_HOUR), Limit(value=15, unit=LimitUnit.WORKING_DAY)


@pytest.mark.parametrize(
    ("day", "seasons", "limit"),
    [
        ("2026-03-12", [((3, 1), (4, 30), None)], DAY),
        ("2026-04-30", [((3, 1), (4, 30), None)], DAY),
        ("2026-05-01", [((3, 1), (4, 30), None)], HOUR),
        ("2026-03-12", [((3, 1), (4, 30), 2027)], HOUR),
        ("2027-03-12", [((3, 1), (4, 30), 2027)], DAY),
        ("2027-01-01", [((11, 15), (3, 15), 2026)], DAY),
        ("2026-01-01", [((11, 15), (3, 15), 2026)], HOUR),
        ("2026-02-28", [((2, 1), (2, 29), None)], DAY),
    ],
)
def test_seasons(day: str, seasons: list[tuple[tuple[int, int], tuple[int, int], int | None]], limit: Limit) -> None:
    windows = [Season(first=first, last=last, year=year, limit=DAY) for first, last, year in seasons]
    check_seasons(windows)
    assert limit_on(HOUR, windows, date.fromisoformat(day)) == limit


def test_a_season_of_this_very_year_goes_before_every_years() -> None:
    every = Season(first=(3, 1), last=(4, 30), limit=DAY)
    this = Season(first=(3, 1), last=(3, 31), limit=HOUR, year=2026)
    check_seasons([every, this])
    assert limit_on(DAY, [every, this], date(2026, 3, 12)) == HOUR
    assert limit_on(DAY, [every, this], date(2027, 3, 12)) == DAY


@pytest.mark.parametrize(
    "windows", [[((3, 1), (4, 30)), ((4, 30), (5, 1))], [((11, 1), (2, 1)), ((1, 15), (3, 1))], [((1, 1), (1, 1))] * 2]
)
def test_overlapping_seasons_are_refused(windows: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        check_seasons([Season(first=first, last=last, limit=DAY) for first, last in windows])
    assert {fault.code for fault in caught.value.faults} == {"calendar.seasons_overlap"}


@pytest.mark.parametrize("text", ["", "3-1", "13-01", "02-30", "2026-03-01", "ab-cd"])
def test_bad_days_of_a_year(text: str) -> None:
    with pytest.raises(BadInputError, match="bad_month_day"):
        read_day(text, "/first")
