"""Figures as subdistricts printed them, beside what the same numerator and denominator really give. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from maps.figures import format_ratio

__all__ = ["Compared", "Printed", "Verdict", "compare"]


class Verdict(StrEnum):
    """What became of a printed figure."""

    AGREES = "agrees"
    WRONG = "wrong"
    """The printed numerator and denominator give another percentage."""
    HIDES = "hides"
    """Right, but a class within it is far worse."""
    VAGUE = "vague"
    """Too few digits: many numerators would have printed the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A figure as printed.

    Attributes
    ----------
    cell, ledger
        Whose, and of which ledger ("" for all cases).
    percent
        As printed, with its digits.
    numerator
        None when only the percentage was printed.
    """

    cell: str
    year: str
    ledger: str
    numerator: int | None
    denominator: int
    percent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A printed figure beside ours.

    ``counted`` is (numerator, denominator) in this system; ``low`` and ``high`` are the numerators that print the
    same percentage.
    """

    printed: Printed
    recomputed: str | None
    counted: tuple[int, int]
    counted_percent: str | None
    low: int
    high: int
    verdict: Verdict


def compare(printed: Sequence[Printed], counted: Mapping[tuple[str, str], tuple[int, int]]) -> list[Compared]:
    """Recompute printed figures and hold what is counted here beside them.

    Parameters
    ----------
    counted
        (cell, ledger) → (numerator, denominator).

    Examples
    --------
    >>> figure = Printed(cell="a", year="2014", ledger="", numerator=1592, denominator=1609, percent="98.98")
    >>> (found,) = compare([figure], {("a", ""): (1592, 1609)})
    >>> found.recomputed, str(found.verdict)
    ('98.94', 'wrong')
    """
    found = []
    for figure in printed:
        ours = counted.get((figure.cell, figure.ledger), (0, 0))
        step = Decimal(1).scaleb(-len(figure.percent.partition(".")[2]))
        low, high = _range(figure, step)
        numerator = ours[0] if figure.numerator is None else figure.numerator
        exact = Decimal(numerator) * 100 / Decimal(figure.denominator)
        worse = [
            counts for (cell, ledger), counts in counted.items() if cell == figure.cell and ledger and not figure.ledger
        ]
        if exact.quantize(step, rounding=ROUND_HALF_UP) != Decimal(figure.percent):
            verdict = Verdict.WRONG
        elif any(c[1] and exact - Decimal(c[0]) * 100 / c[1] > 10 for c in worse):
            verdict = Verdict.HIDES
        elif high - low > figure.denominator // 200:
            verdict = Verdict.VAGUE
        else:
            verdict = Verdict.AGREES
        found.append(
            Compared(
                printed=figure,
                recomputed=format_ratio(numerator, figure.denominator, scale=100),
                counted=ours,
                counted_percent=format_ratio(*ours, scale=100),
                low=low,
                high=high,
                verdict=verdict,
            )
        )
    return found


def _range(figure: Printed, step: Decimal) -> tuple[int, int]:
    """Return the smallest and largest numerators that round to the printed percentage."""
    middle, half = Decimal(figure.percent), step / 2
    low = (middle - half) * figure.denominator / 100
    high = (middle + half) * figure.denominator / 100
    first = int(low.to_integral_value(rounding="ROUND_CEILING"))
    last = int(high.to_integral_value(rounding="ROUND_CEILING")) - 1
    return max(0, first), min(figure.denominator, last)
