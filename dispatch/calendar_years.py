"""Which table of a year holds: the office's own, or the one that is shipped. Pure.

Nothing is copied when an office is set up: a year that nobody has edited is the shipped official table (2004 to the
last published year), so a release that knows another year brings it to every office, and a year that an office has
loaded or changed is its own from then on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from dispatch.calendars import CalendarDay, seed_calendar, seed_years

__all__ = ["shipped_days", "with_shipped"]


@lru_cache(maxsize=64)
def shipped_days(year: int) -> tuple[CalendarDay, ...]:
    """The shipped table of a year; empty when there is none."""
    return seed_calendar([year]) if year in seed_years() else ()


def with_shipped(
    own: Iterable[CalendarDay], years: Mapping[int, bool]
) -> tuple[tuple[CalendarDay, ...], frozenset[int]]:
    """The days of all years and the years that are published.

    Parameters
    ----------
    own
        The office's rows.
    years
        Years whose table is the office's own, and whether it calls them published.
    """
    by_day = {row.day: row for year in seed_years() if year not in years for row in shipped_days(year)}
    by_day |= {row.day: row for row in own}
    published = {year for year in seed_years() if year not in years} | {
        year for year, is_out in years.items() if is_out
    }
    return tuple(by_day[day] for day in sorted(by_day)), frozenset(published)
