"""The sentence that a map says."""

from __future__ import annotations

from datetime import date

import pytest

from maps.figures import format_ratio
from maps.findings import Pattern, Period, describe_period, find_pattern, word_finding
from maps.i18n import Locale
from maps.suppression import decide_disclosure

TODAY = date(2026, 11, 21)


def period(first: str, last: str) -> Period:
    return Period(from_on=date.fromisoformat(first), to_on=date.fromisoformat(last))


@pytest.mark.parametrize(
    ("first", "last", "zh", "en"),
    [
        ("2026-10-23", "2026-11-21", "近 30 天", "Last 30 days"),
        ("2026-10-01", "2026-10-31", "2026 年 10 月", "October 2026"),
        ("2024-02-01", "2024-02-29", "2024 年 2 月", "February 2024"),
        ("2025-01-01", "2025-12-31", "2025 年", "2025"),
        ("2026-10-03", "2026-10-20", "2026-10-03 至 2026-10-20", "2026-10-03 to 2026-10-20"),
        ("2026-10-03", "2026-10-03", "2026-10-03", "2026-10-03"),
    ],
)
def test_periods_in_words(first: str, last: str, zh: str, en: str) -> None:
    assert describe_period("zh-CN", period(first, last), today=TODAY) == zh
    assert describe_period("en", period(first, last), today=TODAY) == en


def test_the_period_before_has_the_same_length_and_touches() -> None:
    assert period("2026-10-23", "2026-11-21").before == period("2026-09-23", "2026-10-22")


def sentence(locale: Locale, counts: dict[str, int]) -> str:
    return word_finding(
        locale,
        find_pattern(counts, decide_disclosure(counts)),
        period="P",
        category="C",
        level="cells" if locale == "en" else "个网格",
        names={code: code.upper() for code in counts},
    )


@pytest.mark.parametrize(
    ("counts", "zh"),
    [
        ({f"c{n}": 0 for n in range(10)}, "P，C：没有案件"),
        ({f"c{n}": 2 for n in range(10)}, "P，C：每个网格都少于 5 件"),
        ({f"c{n}": 10 for n in range(10)}, "P，C：分布较匀，最多的C0占 10%"),
        ({"a": 30, "b": 25} | {f"c{n}": 5 for n in range(13)}, "P，C：2 个网格占全部的 46%"),
        ({"a": 100} | {f"c{n}": 6 for n in range(10)}, "P，C：A一处占全部的 63%"),
        ({"a": 50, "b": 40}, "P，C：分布较匀，最多的A占 56%"),
        # Too few cells to speak of a concentration, and not even.
        ({"a": 50, "b": 6, "c": 9}, "P，C：A最多，50 件，占 77%"),
        ({"a": 50}, "P，C：A最多，50 件，占 100%"),
    ],
)
def test_findings_in_words(counts: dict[str, int], zh: str) -> None:
    assert sentence("zh-CN", counts) == zh
    assert "{" not in sentence("en", counts)


def test_a_headline_never_counts_a_hidden_cell() -> None:
    counts = {"a": 6, "b": 4} | {f"c{n}": 0 for n in range(20)}
    finding = find_pattern(counts, decide_disclosure(counts))
    assert finding.pattern is Pattern.NOTHING


@pytest.mark.parametrize(
    ("numerator", "denominator", "digits", "expected"),
    [
        (15_758, 15_882, 2, "99.22"),
        (1_592, 1_609, 2, "98.94"),
        (943, 1_271, 2, "74.19"),
        (1, 8, 2, "12.50"),
        (1, 800, 2, "0.13"),
        (0, 7, 0, "0"),
        (3, 0, 2, None),
    ],
)
def test_rates_round_half_up(numerator: int, denominator: int, digits: int, expected: str | None) -> None:
    assert format_ratio(numerator, denominator, scale=100, digits=digits) == expected
