"""A table of rates with its percentages, its worst row pinned, and what it says in one sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from dispatch.evaluation import DEFINITIONS, Dimension, Rate
from dispatch.rates import RateRow, RateTable
from maps.figures import format_count, format_ratio
from maps.i18n import Locale, translate
from maps.suppression import SMALL_COUNT, coarsen

__all__ = [
    "FEWEST",
    "Figure",
    "NamedRow",
    "RatesView",
    "coarsen_table",
    "csv_rows",
    "figure_of",
    "view_table",
    "word_finding",
]

#: A rate of fewer cases says nothing about who is worst.
FEWEST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number: above and below the line, the percentage half up with two decimals; None without a denominator."""

    numerator: int
    denominator: int
    percent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRow:
    """A row as it is shown."""

    key: str
    name: str
    figures: Mapping[Rate, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesView:
    """A table as it is shown: the total, the worst row beside it, and all rows, worst first.

    ``worst`` is by the first rate, among rows with at least `FEWEST` cases; None when there are fewer than two of them.
    """

    dimension: Dimension
    rates: tuple[Rate, ...]
    total: NamedRow
    worst: NamedRow | None
    rows: tuple[NamedRow, ...]


def figure_of(counts: tuple[int, int]) -> Figure:
    """Return numerator, denominator and percentage.

    Examples
    --------
    One that was printed as 98.98 in 2014:

    >>> figure_of((1592, 1609)).percent
    '98.94'
    >>> figure_of((0, 0)).percent is None
    True
    """
    numerator, denominator = counts
    return Figure(numerator=numerator, denominator=denominator, percent=format_ratio(numerator, denominator, scale=100))


def coarsen_table(table: RateTable) -> RateTable:
    """Return the table as those see it who may not see the cases: counts in steps of five, small rows closed.

    Notes
    -----
    Numerators and denominators are rounded each by itself, by one rule that keeps their order, and every percentage is
    computed from what is shown (`maps.suppression.coarsen_all` says why two filters then tell nothing of one case). A
    row of fewer than five cases has no figure.
    """
    return replace(table, total=_coarse_row(table.total), rows=tuple(_coarse_row(row) for row in table.rows))


def _coarse_row(row: RateRow) -> RateRow:
    return replace(row, counts={rate: _coarse_counts(*counts) for rate, counts in row.counts.items()})


def _coarse_counts(numerator: int, denominator: int) -> tuple[int, int]:
    if denominator < SMALL_COUNT:
        return 0, 0
    # One to four is as near to nothing as a reader may learn; whether it was any is not said.
    return (coarsen(numerator) if numerator >= SMALL_COUNT else 0), coarsen(denominator)


def view_table(locale: Locale, table: RateTable, names: Mapping[str, tuple[str, str]]) -> RatesView:
    """Name the rows and order them, worst first by the first rate."""
    first = table.rates[0]
    ordered = sorted(table.rows, key=lambda row: (not row.key, _badness(row, first), row.key))
    rows = tuple(_named(locale, row, names, table.dimension) for row in ordered)
    able = [row for row in rows if row.figures[first].denominator >= FEWEST and row.key]
    total = NamedRow(
        key="",
        name=translate(locale, "rates.total"),
        figures={r: figure_of(table.total.counts[r]) for r in table.rates},
    )
    return RatesView(
        dimension=table.dimension,
        rates=table.rates,
        total=total,
        worst=able[0] if len(able) > 1 else None,
        rows=rows,
    )


def _badness(row: RateRow, rate: Rate) -> tuple[int, float]:
    numerator, denominator = row.counts[rate]
    if denominator == 0:
        return (1, 0.0)
    share = numerator / denominator
    return (0, share if DEFINITIONS[rate].more_is_better else -share)


def _named(locale: Locale, row: RateRow, names: Mapping[str, tuple[str, str]], dimension: Dimension) -> NamedRow:
    zh, en = names.get(row.key, ("", ""))
    first, second = (en, zh) if locale == "en" else (zh, en)
    if row.key:
        name = first or second or row.key
    else:
        name = translate(locale, f"rates.none.{'cell' if dimension.value.startswith('level') else dimension.value}")
    return NamedRow(key=row.key, name=name, figures={rate: figure_of(row.counts[rate]) for rate in row.counts})


def word_finding(locale: Locale, view: RatesView, *, period: str) -> str:
    """Return what the table says: the total, and at once the worst class, because totals hide it."""
    rate = view.rates[0]
    total = view.total.figures[rate]
    name = translate(locale, f"rates.rate.{rate.value}")
    if total.percent is None:
        return translate(locale, "rates.finding.nothing", period=period, rate=name)
    said = _said(total)
    if view.worst is None:
        return translate(locale, "rates.finding.total", period=period, rate=name, **said)
    worst = {f"worst_{key}": value for key, value in _said(view.worst.figures[rate]).items()}
    key = "rates.finding.worst" if DEFINITIONS[rate].more_is_better else "rates.finding.highest"
    return translate(locale, key, period=period, rate=name, name=view.worst.name, **said, **worst)


def _said(figure: Figure) -> dict[str, str]:
    return {
        "percent": figure.percent or "–",
        "numerator": format_count(figure.numerator),
        "denominator": format_count(figure.denominator),
    }


def csv_rows(locale: Locale, view: RatesView) -> list[list[str]]:
    """Return the table as lines of a file: a heading, the total, the rows; numbers as numbers, not grouped."""
    heading = [translate(locale, f"rates.by.{view.dimension.value}"), translate(locale, "rates.code")]
    for rate in view.rates:
        name = translate(locale, f"rates.rate.{rate.value}")
        heading += [
            f"{name} %",
            f"{name} {translate(locale, 'rates.above')}",
            f"{name} {translate(locale, 'rates.below')}",
        ]
    return [heading, *(_line(row, view.rates) for row in (view.total, *view.rows))]


def _line(row: NamedRow, rates: Sequence[Rate]) -> list[str]:
    line = [row.name, row.key]
    for rate in rates:
        figure = row.figures[rate]
        line += [(figure.percent or "").replace(",", ""), str(figure.numerator), str(figure.denominator)]
    return line
