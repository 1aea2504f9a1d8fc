"""What a map says, in one sentence computed from its numbers. Pure."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from maps.figures import format_count, format_ratio
from maps.i18n import Locale, translate
from maps.suppression import Disclosure

__all__ = ["Finding", "Pattern", "Period", "describe_period", "find_pattern", "word_finding"]

#: A few cells that hold this share of all cases are worth a headline …
_HEADLINE_SHARE: Final = 0.4
#: … if they are at most this share of all cells.
_FEW: Final = 0.2
#: Cases are evenly spread when no cell has more than so many times its share.
_EVEN: Final = 2.0
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days of the jurisdiction's calendar. Boundary: both days are included."""

    from_on: date
    to_on: date

    @property
    def days(self) -> int:
        """How many days."""
        return (self.to_on - self.from_on).days + 1

    @property
    def before(self) -> Period:
        """The period of the same length that ends the day before."""
        return Period(from_on=self.from_on - timedelta(days=self.days), to_on=self.from_on - timedelta(days=1))

    @property
    def year_before(self) -> Period:
        """The same days a year earlier; 29 February becomes the 28th."""
        return Period(from_on=_a_year_before(self.from_on), to_on=_a_year_before(self.to_on))

    @property
    def is_whole_month(self) -> bool:
        """From the first to the last day of one month."""
        last = calendar.monthrange(self.from_on.year, self.from_on.month)[1]
        return self.from_on.day == 1 and self.to_on == self.from_on.replace(day=last)

    @property
    def is_whole_year(self) -> bool:
        """From 1 January to 31 December."""
        return self.from_on == date(self.from_on.year, 1, 1) and self.to_on == date(self.from_on.year, 12, 31)


def _a_year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


class Pattern(StrEnum):
    """How cases are spread over the cells."""

    NOTHING = "nothing"
    CONCENTRATED = "concentrated"
    LEADING = "leading"
    EVEN = "even"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The pattern and the cells that make it, most cases first."""

    pattern: Pattern
    codes: tuple[str, ...]
    cases: int
    total: int
    cells: int


def find_pattern(counts: Mapping[str, int], disclosures: Mapping[str, Disclosure]) -> Finding:
    """Find the few cells that hold much of all cases, or say that there are none.

    Parameters
    ----------
    counts
        Cases by cell; every cell of the level, also those without cases.
    disclosures
        What may be said of each; a headline never uses a count that is not shown.

    Returns
    -------
    Finding
        ``concentrated`` when at most a fifth of the cells hold at least 40 % of the cases: then the fewest cells that
        do. Otherwise ``even`` when no cell has more than twice the mean, else ``leading``; both with the fullest cell.
    """
    total, cells = sum(counts.values()), len(counts)
    ranked = sorted(
        (code for code in counts if disclosures[code] is Disclosure.SHOWN), key=lambda code: (-counts[code], code)
    )
    if total == 0 or not ranked:
        return Finding(pattern=Pattern.NOTHING, codes=(), cases=0, total=total, cells=cells)
    chosen: list[str] = []
    cases = 0
    for code in ranked[: max(1, min(int(cells * _FEW), _MOST_NAMED))] if cells >= 1 / _FEW else []:
        chosen.append(code)
        cases += counts[code]
        if cases >= _HEADLINE_SHARE * total:
            return Finding(pattern=Pattern.CONCENTRATED, codes=tuple(chosen), cases=cases, total=total, cells=cells)
    first = ranked[0]
    pattern = Pattern.EVEN if cells > 1 and counts[first] * cells <= _EVEN * total else Pattern.LEADING
    return Finding(pattern=pattern, codes=(first,), cases=counts[first], total=total, cells=cells)


def describe_period(locale: Locale, period: Period, *, today: date) -> str:
    """Return the period as people say it: "近 30 天", "2026 年 10 月", "2026-10-03 至 2026-10-20"."""
    if period.to_on == today:
        return translate(locale, "planner.period.last_days", days=format_count(period.days))
    if period.is_whole_year:
        return translate(locale, "planner.period.year", year=period.from_on.year)
    if period.is_whole_month:
        month = translate(locale, f"planner.month.{period.from_on.month}")
        return translate(locale, "planner.period.month", year=period.from_on.year, month=month)
    if period.days == 1:
        return period.from_on.isoformat()
    return translate(locale, "planner.period.range", first=period.from_on.isoformat(), last=period.to_on.isoformat())


def word_finding(
    locale: Locale, finding: Finding, *, period: str, category: str, level: str, names: Mapping[str, str]
) -> str:
    """Return the finding as a sentence.

    Parameters
    ----------
    locale
        Language.
    finding
        From `find_pattern`.
    period, category, level
        Already in words; ``level`` fits after a number.
    names
        Names of cells by code.
    """
    share = format_ratio(finding.cases, finding.total, scale=100, digits=0)
    match finding.pattern:
        case Pattern.NOTHING if finding.total == 0:
            key = "planner.finding.nothing"
        case Pattern.NOTHING:
            key = "planner.finding.too_few"
        case Pattern.CONCENTRATED:
            key = "planner.finding.concentrated" if len(finding.codes) > 1 else "planner.finding.one"
        case Pattern.LEADING:
            key = "planner.finding.leading"
        case Pattern.EVEN:
            key = "planner.finding.even"
    return translate(
        locale,
        key,
        period=period,
        category=category,
        level=level,
        count=len(finding.codes),
        share=share,
        cases=format_count(finding.cases),
        total=format_count(finding.total),
        name=names[finding.codes[0]] if finding.codes else "",
    )
