"""Deadlines against the minute-by-minute oracle, and the laws they obey on any calendar.

``bench/deadlines.py`` runs the same comparison on a million cases.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.deadlines import count_differences
from bench.working_time_oracle import MinuteOracle, random_calendar
from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Limit, LimitUnit, Pause, add, add_many, elapsed
from dispatch.explaining import explain

CASES_PER_CALENDAR = 2_500
CALENDARS = 8
SPAN = date(2025, 3, 1), date(2026, 12, 31)
WORKING = LimitUnit.WORKING_HOUR

ODD = [random_calendar(random.Random(seed)) for seed in range(12)]


def instant(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def minutes_of(limit_minutes: int, unit: LimitUnit) -> Limit:
    return Limit(value=Decimal(limit_minutes) / (60 if unit is WORKING else 480), unit=unit)


def test_twenty_thousand_random_deadlines_equal_the_oracle() -> None:
    wrong: list[tuple[int, int, int]] = []
    for seed in range(CALENDARS):
        rng = random.Random(1_000 + seed)
        calendar = random_calendar(rng)
        oracle = MinuteOracle.of(calendar, *SPAN)
        busy = oracle.counted.size // 2
        starts = [rng.randrange(oracle.first, int(oracle.counted[busy])) for _ in range(CASES_PER_CALENDAR)]
        amounts = [rng.choice([rng.randrange(600), rng.randrange(4_800), rng.randrange(busy)]) for _ in starts]
        limits = [minutes_of(amount, rng.choice([WORKING, LimitUnit.WORKING_DAY])) for amount in amounts]
        batch = add_many(calendar, np.array(starts, dtype="datetime64[m]"), limits).due_at
        for start, amount, limit, batched in zip(starts, amounts, limits, batch, strict=True):
            due = instant(oracle.due(start, amount))
            if add(calendar, instant(start), limit).due_at != due or batched.item().replace(tzinfo=UTC) != due:
                wrong.append((seed, start, amount))
        for start, amount in list(zip(starts, amounts, strict=True))[:100]:
            end = start + amount
            if elapsed(calendar, instant(start), instant(end), WORKING) != timedelta(
                minutes=oracle.elapsed(start, end)
            ):
                wrong.append((seed, start, -amount))
    assert wrong == []


def test_the_benchmark_compares_for_real() -> None:
    assert count_differences(2_000, seed=3) == 0


def test_pauses_equal_the_oracle() -> None:
    rng = random.Random(7)
    calendar = random_calendar(rng)
    oracle = MinuteOracle.of(calendar, *SPAN)
    for _ in range(150):
        start = rng.randrange(oracle.first, oracle.first + 400 * 1440)
        amount = rng.randrange(1, 4_000)
        pauses = [
            (begin, begin + rng.randrange(1, 20_000))
            for begin in (start + rng.randrange(-5_000, 20_000) for _ in range(rng.randrange(1, 4)))
        ]
        due = add(
            calendar,
            instant(start),
            minutes_of(amount, WORKING),
            [Pause(start_at=instant(begin), end_at=instant(end)) for begin, end in pauses],
        ).due_at
        assert due == instant(oracle.due_with_pauses(start, amount, pauses))


calendars = st.sampled_from(ODD)
instants = st.datetimes(datetime(2023, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
units = st.sampled_from(list(LimitUnit))
values = st.decimals(0, 60, places=3)


@st.composite
def pauses_near(draw: st.DrawFn, start: datetime) -> list[Pause]:
    spans = draw(st.lists(st.tuples(st.integers(-3_000, 30_000), st.integers(0, 20_000)), max_size=3))
    return [
        Pause(start_at=start + timedelta(minutes=begin), end_at=start + timedelta(minutes=begin + length))
        for begin, length in spans
    ]


@settings(max_examples=150, deadline=None)
@given(calendar=calendars, start=instants, unit=units, value=values, data=st.data())
def test_elapsed_undoes_add_and_the_ledger_adds_up(
    calendar: WorkingCalendar, start: datetime, unit: LimitUnit, value: Decimal, data: st.DataObject
) -> None:
    limit = Limit(value=value, unit=unit)
    pauses = data.draw(pauses_near(start))
    ledger = explain(calendar, start, limit, pauses)
    due = ledger.deadline.due_at
    assert due >= start
    assert elapsed(calendar, start, due, unit, pauses) == limit.span == ledger.counted
    at = start
    for entry in ledger.entries:
        assert entry.start_at == at < entry.end_at
        assert elapsed(calendar, entry.start_at, entry.end_at, unit, pauses) == entry.counted
        at = entry.end_at
    assert at == due
    if due > start:
        earlier = due - timedelta(microseconds=1)
        assert elapsed(calendar, start, earlier, unit, pauses) < limit.span


@settings(max_examples=150, deadline=None)
@given(calendar=calendars, starts=st.tuples(instants, instants), unit=units, limits=st.tuples(values, values))
def test_later_starts_and_longer_limits_never_end_earlier(
    calendar: WorkingCalendar, starts: tuple[datetime, datetime], unit: LimitUnit, limits: tuple[Decimal, Decimal]
) -> None:
    first, second = sorted(starts)
    short, long = (Limit(value=value, unit=unit) for value in sorted(limits))
    assert add(calendar, first, short).due_at <= add(calendar, second, short).due_at
    assert add(calendar, first, short).due_at <= add(calendar, first, long).due_at


@settings(max_examples=150, deadline=None)
@given(calendar=calendars, start=instants, unit=units, first=values, second=values)
def test_a_limit_may_be_split_anywhere(
    calendar: WorkingCalendar, start: datetime, unit: LimitUnit, first: Decimal, second: Decimal
) -> None:
    half_way = add(calendar, start, Limit(value=first, unit=unit)).due_at
    in_two = add(calendar, half_way, Limit(value=second, unit=unit)).due_at
    assert in_two == add(calendar, start, Limit(value=first + second, unit=unit)).due_at or not first + second


@settings(max_examples=60, deadline=None)
@given(
    calendar=calendars,
    cases=st.lists(st.tuples(instants, values, units), min_size=1, max_size=20),
)
def test_the_batch_path_equals_the_single_one(
    calendar: WorkingCalendar, cases: list[tuple[datetime, Decimal, LimitUnit]]
) -> None:
    starts = np.array([start.replace(tzinfo=None) for start, _, _ in cases], dtype="datetime64[us]")
    limits = [Limit(value=value, unit=unit) for _, value, unit in cases]
    batch = add_many(calendar, starts, limits)
    singles = [add(calendar, start, limit) for (start, _, _), limit in zip(cases, limits, strict=True)]
    assert [due.item().replace(tzinfo=UTC) for due in batch.due_at] == [single.due_at for single in singles]
    assert batch.is_provisional.tolist() == [single.is_provisional for single in singles]
