"""When demo cases happen: vectorised draws that keep every instant in the order of the state machine.

Units: instants are microseconds since 1970-01-01 UTC, NEVER where nothing happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.demo.profiles import HOURS, SEASONS, WEEKDAYS, Profile
from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Limit, add_many
from dispatch.lights import warn_share
from dispatch.segments import DAY_US, to_micros

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NEVER: Final = np.iinfo(np.int64).min
MINUTE_US: Final = 60_000_000
HOUR_US: Final = 3_600_000_000
DAYS: Final = 365
_AHEAD = 120


class Clockwork:
    """Draws instants against the real calendar of the jurisdiction."""

    def __init__(
        self, calendar: WorkingCalendar, limits: Sequence[Limit], now: datetime, rng: np.random.Generator
    ) -> None:
        self.calendar = calendar
        self.rng = rng
        self.now = to_micros(now)
        self.limits = list(limits)
        self._warns = [limit.times(warn_share(limit.span.total_seconds())) for limit in limits]
        today = calendar.local_date(self.now)
        self._days = [today - timedelta(days=DAYS - 1 - k) for k in range(DAYS)]
        self._midnights = np.array(
            [calendar.midnight(today + timedelta(days=k)) for k in range(1 - DAYS, _AHEAD)], dtype=np.int64
        )

    def reported(self, profiles: Sequence[Profile], which: Ints, *, min_age_us: int) -> Ints:
        """Draw report instants of the past year by the season, weekday and hour of each case's profile."""
        out = np.zeros(len(which), dtype=np.int64)
        habits = [(p.season, p.week, p.hours) for p in profiles]
        for habit in sorted(set(habits)):
            members = np.flatnonzero(np.isin(which, [k for k, h in enumerate(habits) if h == habit]))
            if not members.size:
                continue
            days = self.rng.choice(DAYS, size=members.size, p=self._day_weights(habit[0], habit[1]))
            hours = np.array(HOURS[habit[2]], dtype=np.float64)
            hour = self.rng.choice(24, size=members.size, p=hours / hours.sum())
            out[members] = self._midnights[days] + hour * HOUR_US + self.uniform(0, HOUR_US, members.size)
        # What would lie in the future happened a week earlier instead, on the same weekday.
        late = out > self.now - min_age_us
        out[late] -= 7 * DAY_US
        return out

    def due(self, starts: Ints, conditions: Ints) -> tuple[Ints, Ints, Bools]:
        """Return due, warning and provisional for clocks that start at these instants."""
        at = starts.astype("datetime64[us]")
        batch = add_many(self.calendar, at, [self.limits[k] for k in conditions.tolist()])
        warn = add_many(self.calendar, at, [self._warns[k] for k in conditions.tolist()])
        return batch.due_at.astype(np.int64), warn.due_at.astype(np.int64), batch.is_provisional

    def clock_starts(self, dispatched: Ints, next_day: Bools) -> Ints:
        """Return when handling clocks begin: at dispatch, or at the next local midnight where the channel says so."""
        after = np.searchsorted(self._midnights, dispatched, side="right")
        return np.where(next_day, self._midnights[after], dispatched)

    def uniform(self, low: float, high: float, n: int) -> Ints:
        """Draw n whole milliseconds between two bounds. Units: microseconds."""
        return (self.rng.uniform(low, high, n) // 1000).astype(np.int64) * 1000

    def exponential(self, mean_us: float, n: int) -> Ints:
        """Draw n waiting times, at least half a minute. Units: microseconds."""
        return MINUTE_US // 2 + (self.rng.exponential(mean_us, n) // 1000).astype(np.int64) * 1000

    def into_the_day(self, at: Ints, latest: Ints) -> Ints:
        """Move what would be done at night to the next morning, where the latest allowed instant permits.

        Zone: local time of the jurisdiction; 07:00 to 21:00 counts as day.
        """
        midnight = self._midnights[np.searchsorted(self._midnights, at, side="right") - 1]
        into = at - midnight
        morning = midnight + np.where(into >= 21 * HOUR_US, DAY_US, 0) + 7 * HOUR_US
        morning += (self.rng.beta(1.3, 2.0, len(at)) * 10 * HOUR_US).astype(np.int64)
        night = (into < 7 * HOUR_US) | (into >= 21 * HOUR_US)
        return np.where(night & (morning <= latest), morning, at)

    def _day_weights(self, season: str, week: str) -> NDArray[np.float64]:
        weights = np.array([SEASONS[season][d.month - 1] * WEEKDAYS[week][d.weekday()] for d in self._days])
        off = np.array([d.weekday() < 5 and not self.calendar.is_workday(d) for d in self._days])
        weights = np.where(off, weights * 0.45, weights) + 1e-9
        # Days differ: a campaign, a storm, a quiet Tuesday.
        weights = weights * self.rng.gamma(14.0, 1 / 14.0, DAYS)
        shares: NDArray[np.float64] = weights / weights.sum()
        return shares
