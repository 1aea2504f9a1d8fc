"""The ledger of a deadline, as an office worker would read it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from dispatch.calendars import CalendarDay, DayKind, WorkingCalendar, seed_calendar
from dispatch.deadlines import Limit, LimitUnit, Pause
from dispatch.explaining import DeadlineLedger, explain

CALENDAR = WorkingCalendar(days=seed_calendar(range(2025, 2027)))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CALENDAR.zone)


def limit(value: str | int, unit: LimitUnit) -> Limit:
    return Limit(value=Decimal(value), unit=unit)


def lines(ledger: DeadlineLedger, calendar: WorkingCalendar = CALENDAR) -> list[str]:
    return [
        " ".join(
            filter(
                None,
                (
                    entry.start_at.astimezone(calendar.zone).strftime("%m-%d %H:%M"),
                    entry.end_at.astimezone(calendar.zone).strftime("%m-%d %H:%M"),
                    entry.kind.value,
                    entry.name,
                    "provisional" if entry.is_provisional else "",
                ),
            )
        )
        for entry in ledger.entries
    ]


def test_over_the_spring_festival() -> None:
    ledger = explain(CALENDAR, at("2026-02-13 16:00"), limit(2, LimitUnit.WORKING_DAY))
    assert lines(ledger) == [
        "02-13 16:00 02-13 18:00 counted",
        "02-13 18:00 02-14 08:00 night",
        "02-14 08:00 02-14 12:00 counted spring_festival",
        "02-14 12:00 02-14 14:00 lunch",
        "02-14 14:00 02-14 18:00 counted spring_festival",
        "02-14 18:00 02-15 00:00 night",
        "02-15 00:00 02-24 00:00 holiday spring_festival",
        "02-24 00:00 02-24 08:00 night",
        "02-24 08:00 02-24 12:00 counted",
        "02-24 12:00 02-24 14:00 lunch",
        "02-24 14:00 02-24 16:00 counted",
    ]
    assert ledger.counted == timedelta(hours=16)


def test_two_holidays_and_a_weekend_keep_their_names() -> None:
    ledger = explain(CALENDAR, at("2025-10-05 10:00"), limit(9, LimitUnit.WORKING_HOUR))
    assert lines(ledger) == [
        "10-05 10:00 10-06 00:00 holiday national_day",
        "10-06 00:00 10-07 00:00 holiday mid_autumn_festival",
        "10-07 00:00 10-09 00:00 holiday national_day",
        "10-09 00:00 10-09 08:00 night",
        "10-09 08:00 10-09 12:00 counted",
        "10-09 12:00 10-09 14:00 lunch",
        "10-09 14:00 10-09 18:00 counted",
        "10-09 18:00 10-10 08:00 night",
        "10-10 08:00 10-10 09:00 counted",
    ]


def test_a_plain_weekend() -> None:
    ledger = explain(CALENDAR, at("2026-03-06 17:00"), limit(2, LimitUnit.WORKING_HOUR))
    assert [line.split(" ", 4)[-1] for line in lines(ledger)] == ["counted", "night", "weekend", "night", "counted"]


def test_a_pause_is_shown_as_one_stretch_whatever_it_covers() -> None:
    halt = Pause(start_at=at("2026-03-02 11:00"), end_at=at("2026-03-09 15:00"))
    ledger = explain(CALENDAR, at("2026-03-02 10:00"), limit(3, LimitUnit.WORKING_HOUR), [halt])
    assert lines(ledger) == [
        "03-02 10:00 03-02 11:00 counted",
        "03-02 11:00 03-09 15:00 pause",
        "03-09 15:00 03-09 17:00 counted",
    ]


def test_urgent_hours_count_everything_but_a_pause() -> None:
    halt = Pause(start_at=at("2026-02-16 23:00"), end_at=at("2026-02-17 01:00"))
    ledger = explain(CALENDAR, at("2026-02-16 22:00"), limit(2, LimitUnit.URGENT_HOUR), [halt])
    assert lines(ledger) == [
        "02-16 22:00 02-16 23:00 counted",
        "02-16 23:00 02-17 01:00 pause",
        "02-17 01:00 02-17 02:00 counted",
    ]


def test_a_half_day() -> None:
    eve = CalendarDay(day=date(2026, 3, 4), kind=DayKind.MORNING, name="town_festival")
    calendar = WorkingCalendar(days=[*seed_calendar([2026]), eve])
    ledger = explain(calendar, at("2026-03-04 11:00"), limit(2, LimitUnit.WORKING_HOUR))
    assert lines(ledger, calendar) == [
        "03-04 11:00 03-04 12:00 counted town_festival",
        "03-04 12:00 03-04 14:00 lunch",
        "03-04 14:00 03-04 18:00 half_day town_festival",
        "03-04 18:00 03-05 08:00 night",
        "03-05 08:00 03-05 09:00 counted",
    ]


def test_days_that_may_still_change_are_marked() -> None:
    ledger = explain(CALENDAR, at("2026-12-24 17:00"), limit(2, LimitUnit.WORKING_HOUR))
    assert lines(ledger) == [
        "12-24 17:00 12-24 18:00 counted",
        "12-24 18:00 12-25 00:00 night",
        "12-25 00:00 12-25 08:00 night provisional",
        "12-25 08:00 12-25 09:00 counted provisional",
    ]
    assert ledger.deadline.is_provisional


def test_nothing_to_count_has_no_entries() -> None:
    assert explain(CALENDAR, at("2026-02-18 03:00"), limit(0, LimitUnit.WORKING_DAY)).entries == ()
