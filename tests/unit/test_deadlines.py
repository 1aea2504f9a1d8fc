"""Deadlines as a table: limit, start, due, in wall-clock time of Zhengzhou."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from dispatch.calendars import WorkingCalendar, seed_calendar
from dispatch.deadlines import (
    REMINDER_SHARES,
    Limit,
    LimitUnit,
    Pause,
    StartRule,
    add,
    add_many,
    clock_start,
    elapsed,
    is_on_time,
    remaining,
    share_at,
)
from geo.errors import BadInputError

CALENDAR = WorkingCalendar(days=seed_calendar(range(2024, 2027)))
U, H, D, N = LimitUnit.URGENT_HOUR, LimitUnit.WORKING_HOUR, LimitUnit.WORKING_DAY, LimitUnit.NATURAL_DAY


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CALENDAR.zone)


def limit(value: str | int, unit: LimitUnit) -> Limit:
    return Limit(value=Decimal(value), unit=unit)


def due(start: str, value: str | int, unit: LimitUnit, pauses: tuple[Pause, ...] = ()) -> str:
    answer = add(CALENDAR, at(start), limit(value, unit), pauses).due_at
    return answer.astimezone(CALENDAR.zone).strftime("%Y-%m-%d %H:%M")


TABLE = [
    # an ordinary week (Monday is 2026-03-02)
    pytest.param("2026-03-02 08:00", 1, H, "2026-03-02 09:00", id="first hour of the day"),
    pytest.param("2026-03-02 11:00", 1, H, "2026-03-02 12:00", id="ends at noon, not after lunch"),
    pytest.param("2026-03-02 11:00", "1.5", H, "2026-03-02 14:30", id="across lunch"),
    pytest.param("2026-03-02 12:00", 1, H, "2026-03-02 15:00", id="starts when lunch begins"),
    pytest.param("2026-03-02 13:00", 1, H, "2026-03-02 15:00", id="starts at lunch"),
    pytest.param("2026-03-02 14:00", 4, H, "2026-03-02 18:00", id="fills the afternoon"),
    pytest.param("2026-03-02 17:30", 1, H, "2026-03-03 08:30", id="across the night"),
    pytest.param("2026-03-02 18:00", 1, H, "2026-03-03 09:00", id="starts at the close of day"),
    pytest.param("2026-03-02 23:00", 1, H, "2026-03-03 09:00", id="starts at night"),
    pytest.param("2026-03-02 03:00", 1, H, "2026-03-02 09:00", id="starts before dawn"),
    pytest.param("2026-03-02 08:00", 1, D, "2026-03-02 18:00", id="one working day is that day"),
    pytest.param("2026-03-02 10:00", 1, D, "2026-03-03 10:00", id="one working day from ten to ten"),
    pytest.param("2026-03-02 10:00", "0.5", D, "2026-03-02 16:00", id="half a working day"),
    pytest.param("2026-03-06 17:00", 2, H, "2026-03-09 09:00", id="across a weekend"),
    pytest.param("2026-03-07 10:00", 1, H, "2026-03-09 09:00", id="starts on a Saturday"),
    pytest.param("2026-03-06 17:00", 2, U, "2026-03-06 19:00", id="urgent hours run in the evening"),
    pytest.param("2026-03-07 23:00", 2, U, "2026-03-08 01:00", id="urgent hours run on a weekend"),
    pytest.param("2026-03-06 17:00", 3, N, "2026-03-09 17:00", id="natural days"),
    # nothing to do
    pytest.param("2026-03-02 10:00", 0, H, "2026-03-02 10:00", id="limit 0 at work"),
    pytest.param("2026-03-02 12:30", 0, H, "2026-03-02 12:30", id="limit 0 at lunch"),
    pytest.param("2026-02-18 03:00", 0, D, "2026-02-18 03:00", id="limit 0 in a holiday"),
    pytest.param("2026-03-02 10:00", 0, U, "2026-03-02 10:00", id="urgent limit 0"),
    # Spring Festival 2026: off 15-23 February, make-up Saturdays 14 and 28
    pytest.param("2026-02-13 16:00", 1, D, "2026-02-14 16:00", id="the make-up Saturday counts"),
    pytest.param("2026-02-13 16:00", 2, D, "2026-02-24 16:00", id="over the whole festival"),
    pytest.param("2026-02-14 17:00", 1, H, "2026-02-14 18:00", id="ends with the last hour before it"),
    pytest.param("2026-02-14 17:00", 2, H, "2026-02-24 09:00", id="one hour before, one after"),
    pytest.param("2026-02-17 09:00", 4, H, "2026-02-24 12:00", id="starts inside the festival"),
    pytest.param("2026-02-27 17:00", 2, H, "2026-02-28 09:00", id="the second make-up Saturday"),
    pytest.param("2026-02-16 22:00", 2, U, "2026-02-17 00:00", id="urgent hours on New Year's Eve"),
    pytest.param("2026-02-14 12:00", 7, N, "2026-02-21 12:00", id="natural days run through the festival"),
    # National Day 2026: Mid-autumn 25-27 September, off 1-7 October, make-up 20 September and 10 October
    pytest.param("2026-09-18 17:00", 2, H, "2026-09-20 09:00", id="the make-up Sunday"),
    pytest.param("2026-09-30 17:00", 2, H, "2026-10-08 09:00", id="over the National Day"),
    pytest.param("2026-09-30 08:00", 3, D, "2026-10-09 18:00", id="three working days around it"),
    pytest.param("2026-10-09 18:00", 1, D, "2026-10-10 18:00", id="make-up Saturday after it"),
    pytest.param("2026-09-24 08:00", 5, D, "2026-10-08 18:00", id="two festivals in one limit"),
    # year ends
    pytest.param("2025-12-31 17:00", 2, H, "2026-01-04 09:00", id="New Year, back on a make-up Sunday"),
    pytest.param("2024-12-31 17:00", 2, H, "2025-01-02 09:00", id="New Year in the middle of a week"),
    pytest.param("2026-12-31 17:00", 2, H, "2027-01-01 09:00", id="a year nobody has published yet"),
]


@pytest.mark.parametrize(("start", "value", "unit", "expected"), TABLE)
def test_due(start: str, value: str | int, unit: LimitUnit, expected: str) -> None:
    assert due(start, value, unit) == expected


def test_the_batch_path_gives_the_same_table() -> None:
    rows = [parameters.values for parameters in TABLE]
    starts = np.array([at(start).astimezone(UTC).replace(tzinfo=None) for start, *_ in rows], dtype="datetime64[us]")
    limits = [limit(value, unit) for _, value, unit, _ in rows]
    batch = add_many(CALENDAR, starts, limits)
    for index, (start, _, _, expected) in enumerate(rows):
        answer = batch.due_at[index].item().replace(tzinfo=UTC).astimezone(CALENDAR.zone)
        assert answer.strftime("%Y-%m-%d %H:%M") == expected
        assert batch.is_provisional[index] == add(CALENDAR, at(start), limits[index]).is_provisional


@pytest.mark.parametrize(
    ("start", "value", "unit", "provisional"),
    [
        ("2026-12-24 08:00", 1, D, False),
        ("2026-12-24 10:00", 1, D, True),  # reaches the last week, which the table of 2027 may still change
        ("2026-12-31 10:00", 1, H, True),
        ("2027-05-05 10:00", 1, H, True),
        ("2027-05-05 10:00", 8, U, False),  # urgent hours ask no calendar
        ("2027-05-05 10:00", 8, N, False),
        ("2025-12-31 10:00", 5, D, False),
        ("2023-12-29 10:00", 2, D, True),
        ("2026-12-28 10:00", 0, D, False),  # nothing was counted
    ],
)
def test_provisional(start: str, value: int, unit: LimitUnit, provisional: bool) -> None:
    assert add(CALENDAR, at(start), limit(value, unit)).is_provisional is provisional


def pause(begin: str, end: str) -> Pause:
    return Pause(start_at=at(begin), end_at=at(end))


@pytest.mark.parametrize(
    ("start", "value", "unit", "pauses", "expected"),
    [
        pytest.param(
            "2026-03-02 10:00", 4, H, [("2026-03-02 10:00", "2026-03-02 11:00")], "2026-03-02 17:00", id="hour"
        ),
        pytest.param(
            "2026-03-02 10:00", 4, H, [("2026-03-02 12:00", "2026-03-02 14:00")], "2026-03-02 16:00", id="lunch"
        ),
        pytest.param(
            "2026-03-02 10:00", 2, H, [("2026-03-02 12:00", "2026-03-05 09:00")], "2026-03-02 12:00", id="after"
        ),
        pytest.param(
            "2026-03-02 10:00", 3, H, [("2026-03-02 12:00", "2026-03-05 09:00")], "2026-03-05 10:00", id="long"
        ),
        pytest.param(
            "2026-03-02 10:00", 3, U, [("2026-03-02 11:00", "2026-03-03 11:00")], "2026-03-03 13:00", id="urgent"
        ),
        pytest.param(
            "2026-03-02 10:00", 3, U, [("2026-03-01 11:00", "2026-03-02 11:00")], "2026-03-02 14:00", id="before"
        ),
        pytest.param(
            "2026-03-02 10:00", 3, U, [("2026-03-01 11:00", "2026-03-02 10:00")], "2026-03-02 13:00", id="over"
        ),
        pytest.param(
            "2026-03-02 10:00", 0, U, [("2026-03-02 10:00", "2026-03-03 10:00")], "2026-03-02 10:00", id="zero"
        ),
        pytest.param(
            "2026-03-02 08:00",
            1,
            D,
            [("2026-03-02 16:00", "2026-03-02 17:00"), ("2026-03-02 09:00", "2026-03-02 10:00")],
            "2026-03-03 10:00",
            id="two, out of order",
        ),
        pytest.param(
            "2026-03-02 08:00",
            1,
            D,
            [("2026-03-02 09:00", "2026-03-02 11:00"), ("2026-03-02 10:00", "2026-03-02 12:00")],
            "2026-03-03 11:00",
            id="an overlap counts once",
        ),
    ],
)
def test_pauses_move_the_due_date(
    start: str, value: int, unit: LimitUnit, pauses: list[tuple[str, str]], expected: str
) -> None:
    spans = tuple(pause(*span) for span in pauses)
    assert due(start, value, unit, spans) == expected
    end = add(CALENDAR, at(start), limit(value, unit), spans).due_at
    assert elapsed(CALENDAR, at(start), end, unit, spans) == limit(value, unit).span


def test_elapsed_and_remaining_count_in_the_unit() -> None:
    assert elapsed(CALENDAR, at("2026-02-14 17:00"), at("2026-02-24 09:00"), H) == timedelta(hours=2)
    assert elapsed(CALENDAR, at("2026-02-14 17:00"), at("2026-02-24 09:00"), U) == timedelta(days=9, hours=16)
    assert elapsed(CALENDAR, at("2026-02-24 09:00"), at("2026-02-14 17:00"), H) == -timedelta(hours=2)
    assert remaining(CALENDAR, at("2026-03-02 11:00"), at("2026-03-02 15:00"), H) == timedelta(hours=2)
    assert remaining(CALENDAR, at("2026-03-03 09:00"), at("2026-03-02 17:00"), H) == -timedelta(hours=2)


def test_reminders_come_at_shares_in_the_limits_own_unit() -> None:
    moments = [
        share_at(CALENDAR, at("2026-03-06 08:00"), limit(2, D), share).astimezone(CALENDAR.zone)
        for share in REMINDER_SHARES
    ]
    assert moments == [at("2026-03-06 18:00"), at("2026-03-09 14:48")]


def test_a_ticket_counts_from_the_next_day() -> None:
    assert clock_start(CALENDAR, at("2026-03-02 10:00"), StartRule.DISPATCH) == at("2026-03-02 10:00")
    assert clock_start(CALENDAR, at("2026-03-02 10:00"), StartRule.NEXT_DAY) == at("2026-03-03 00:00")
    assert clock_start(CALENDAR, at("2026-03-02 00:00"), StartRule.NEXT_DAY) == at("2026-03-03 00:00")


def test_the_instant_of_the_deadline_is_on_time() -> None:
    end = at("2026-03-02 12:00")
    assert is_on_time(end, end)
    assert not is_on_time(end + timedelta(microseconds=1), end)


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "9999999"])
def test_limits_are_checked(value: str) -> None:
    with pytest.raises(BadInputError) as caught:
        Limit(value=Decimal(value), unit=D)
    assert caught.value.code == "deadline.bad_limit"


def test_batches_refuse_what_is_not_a_time() -> None:
    with pytest.raises(ValueError, match="not a time"):
        add_many(CALENDAR, np.array(["NaT"], dtype="datetime64[us]"), limit(1, H))
    with pytest.raises(ValueError, match="one limit for each"):
        add_many(CALENDAR, np.array(["2026-03-02"], dtype="datetime64[us]"), [])
    assert add_many(CALENDAR, np.array([], dtype="datetime64[us]"), limit(1, H)).due_at.size == 0
