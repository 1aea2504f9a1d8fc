"""Working time: is it right on random cases, and how fast is it.

Promises: a million random (start, limit, calendar) equal the minute-by-minute oracle; at least 200,000 deadlines a
second in the batch path; below 50 microseconds for one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np

from bench import benchmark
from bench.profile import Profile
from bench.report import Result
from bench.working_time_oracle import MinuteOracle, random_calendar
from dispatch.calendars import WorkingCalendar, seed_calendar, seed_years
from dispatch.deadlines import Limit, LimitUnit, add, add_many

__all__ = ["DeadlineFigures", "count_differences", "deadlines", "measure"]

_SPAN = date(2023, 6, 1), date(2026, 12, 31)
_CASES_PER_CALENDAR = 25_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineFigures:
    """What one run found. The single path in the same run is the batch path's baseline."""

    seed: int
    cases: int
    differences: int
    batch_per_s: float
    single_us: float


@benchmark
def deadlines(profile: Profile) -> Iterator[Result]:
    """Measure differences to the oracle and the speed of both ways."""
    found = measure(full=profile.full, seed=profile.seed)
    # Microseconds per deadline, so that both figures read the same way: 200,000 a second are 5 µs each.
    note = f"{found.batch_per_s:,.0f} deadlines a second"
    yield Result.at_most("deadlines-batch", 1e6 / found.batch_per_s, "µs", 5.0, note=note)
    yield Result.at_most("deadlines-single", found.single_us, "µs", 50.0)
    yield Result.none_of("deadlines-differences", found.differences, found.cases, note="against every minute, listed")


def measure(*, full: bool, seed: int = 1) -> DeadlineFigures:
    """Run the comparison (a million cases, or 100,000 in the quick profile) and both timings."""
    cases = 1_000_000 if full else 100_000
    batch_per_s, single_us = _time(seed)
    return DeadlineFigures(
        seed=seed,
        cases=cases,
        differences=count_differences(cases, seed=seed),
        batch_per_s=batch_per_s,
        single_us=single_us,
    )


def count_differences(cases: int, *, seed: int) -> int:
    """Number of random cases in which the batch path and the oracle disagree; a new calendar every 25,000."""
    wrong = 0
    for part, done in enumerate(range(0, cases, _CASES_PER_CALENDAR)):
        calendar = random_calendar(random.Random(1_000_003 * seed + part))
        oracle = MinuteOracle.of(calendar, *_SPAN)
        rng = np.random.default_rng([seed, part])
        size = min(_CASES_PER_CALENDAR, cases - done)
        # Starts in the first half, limits below a quarter: every deadline lies inside the listed span.
        most = oracle.counted.size // 4
        starts = rng.integers(oracle.first, int(oracle.counted[2 * most]), size)
        amounts = np.where(rng.random(size) < 0.5, rng.integers(0, 600, size), rng.integers(0, most, size))
        limits = [Limit(value=Decimal(int(amount)) / 60, unit=LimitUnit.WORKING_HOUR) for amount in amounts]
        due = add_many(calendar, starts.astype("datetime64[m]"), limits).due_at.astype(np.int64)
        last = oracle.counted[np.maximum(np.searchsorted(oracle.counted, starts) + amounts - 1, 0)]
        expected = np.where(amounts > 0, last + 1, starts) * 60_000_000
        wrong += int(np.count_nonzero(due != expected))
    return wrong


def _time(seed: int) -> tuple[float, float]:
    calendar = WorkingCalendar(days=seed_calendar(seed_years()))
    limit = Limit(value=2, unit=LimitUnit.WORKING_DAY)
    seconds = np.random.default_rng(seed).integers(1_500_000_000, 1_780_000_000, 1_000_000)
    begun = time.perf_counter()
    add_many(calendar, seconds.astype("datetime64[s]"), limit)
    batch_s = time.perf_counter() - begun
    singles = [datetime.fromtimestamp(int(second), UTC) for second in seconds[:50_000]]
    begun = time.perf_counter()
    for start in singles:
        add(calendar, start, limit)
    single_s = time.perf_counter() - begun
    return seconds.size / batch_s, single_s / len(singles) * 1e6
