"""The data that rules are fed with: categories, conditions with limits, channels, calendars.

All of it is data an office may change at any time. A process keeps a copy for a few seconds, because every report
needs it and it changes a few times a year; a code the copy does not know forces a fresh look before the report is
refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Limit
from dispatch.limits import Phase, Season, limit_on
from dispatch.profiles import Profile, find_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A filing condition and its handling limit, which may differ by season and have phases on the way."""

    number: int
    name_zh: str
    name_en: str
    limit: Limit
    is_default: bool
    seasons: tuple[Season, ...] = ()
    phases: tuple[Phase, ...] = ()

    def limit_on(self, day: date) -> Limit:
        """The limit that a clock set on a local day gets."""
        return limit_on(self.limit, self.seasons, day) if self.seasons else self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A minor class with its conditions; a major class has none and nothing can be reported under it.

    A class out of use stays known, for cases of it are still on their way; it takes no new reports.
    """

    code: str
    kind: str
    parent: str | None
    name_zh: str
    name_en: str
    conditions: Mapping[int, Condition]
    is_active: bool = True

    def name(self, locale: str) -> str:
        """Name in the caller's language."""
        return (self.name_en if locale == "en" else self.name_zh) or self.name_zh or self.code

    def certain_condition(self, number: int | None) -> Condition | None:
        """The condition that is beyond doubt: the one named, the only one, or the one marked as default."""
        if number is not None:
            return self.conditions.get(number)
        if len(self.conditions) == 1:
            return next(iter(self.conditions.values()))
        return next((condition for condition in self.conditions.values() if condition.is_default), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jurisdiction:
    """Who runs the grid, and the calendar their clocks follow."""

    code: str
    name_zh: str
    name_en: str
    time_zone: str
    calendar: WorkingCalendar

    def name(self, locale: str) -> str:
        """Name in the caller's language."""
        return (self.name_en if locale == "en" else self.name_zh) or self.name_zh or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where reports come in; the start rule says from when the handling limit counts.

    ``suspects``: coordinate system that it declares → readings that fit its reports better (`dispatch.datum`).
    """

    code: str
    name_zh: str
    name_en: str
    start_rule: str
    suspects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def name(self, locale: str) -> str:
        """Name in the caller's language."""
        return (self.name_en if locale == "en" else self.name_zh) or self.name_zh or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A tag beside the category (台账), with rates of its own; one out of use stays on its cases."""

    code: str
    name_zh: str
    name_en: str
    is_active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One consistent copy of the reference data."""

    categories: Mapping[str, Category]
    channels: Mapping[str, Channel]
    jurisdictions: Mapping[str, Jurisdiction]
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    profiles: Mapping[tuple[str, str], Profile] = field(default_factory=dict)
    #: Differs as soon as one of the rows that this was made of has changed.
    stamp: str = ""

    def profile(self, jurisdiction: str, path: Sequence[str]) -> Profile:
        """How the office of a cell (given by its path of codes) works."""
        return find_profile(self.profiles, jurisdiction, path)


class ReferenceCache:
    """Keep one copy per process.

    Parameters
    ----------
    load
        Reads a fresh copy from the database.
    read_stamp
        Reads the stamp that a fresh copy would have, which costs a fraction of it.
    max_age_s
        A change made elsewhere is seen by this process after at most this long. Units: seconds.
    """

    #: While somebody goes on changing the data, a burst of reports with new codes must not become a burst of reloads.
    _MIN_RELOAD_S = 1.0

    def __init__(
        self,
        load: Callable[[], Awaitable[Reference]],
        read_stamp: Callable[[], Awaitable[str]],
        *,
        max_age_s: float = 10.0,
    ) -> None:
        self._load = load
        self._read_stamp = read_stamp
        self._max_age_s = max_age_s
        self._copy: Reference | None = None
        self._loaded_at = 0.0
        #: Up to when the copy is known to be right.
        self._true_at = 0.0
        self._forgotten = 0
        self._lock = asyncio.Lock()

    def forget(self) -> None:
        """Let the next caller look afresh: somebody has changed the data through this very process.

        The copy of a transaction that has not committed yet must not be kept, so nothing is read here.
        """
        self._forgotten += 1
        self._true_at = float("-inf")

    @property
    def last(self) -> Reference | None:
        """The newest copy, however old: for what never changes once it is there."""
        return self._copy

    async def get(self, *, fresh: bool = False) -> Reference:
        """Return a copy no older than allowed; ``fresh`` asks for what is true at this very call.

        Cost: a look at the stamp, which callers share; when something has changed, up to a second, because reloads are
        at least so far apart.
        """
        asked_at = time.monotonic()
        newest = asked_at if fresh else asked_at - self._max_age_s
        if self._copy is not None and self._true_at > newest:
            return self._copy
        async with self._lock:
            # Whoever waited for the lock finds what the first one learned.
            if self._copy is None or self._true_at < newest:
                looked_at, forgotten = time.monotonic(), self._forgotten
                if self._copy is None or self._copy.stamp != await self._read_stamp():
                    if self._copy is not None and fresh:
                        await asyncio.sleep(max(0.0, self._loaded_at + self._MIN_RELOAD_S - time.monotonic()))
                    self._loaded_at = looked_at = time.monotonic()
                    self._copy = await self._load()
                # What was forgotten meanwhile was perhaps read before it changed.
                if forgotten == self._forgotten:
                    self._true_at = looked_at
            return self._copy
