"""Numbers as people read them: rounded half up, grouped, never without what they are a share of."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

__all__ = ["format_change", "format_count", "format_ratio"]


def format_ratio(numerator: float, denominator: float, *, scale: int = 1, digits: int = 2) -> str | None:
    """Return ``numerator / denominator * scale`` rounded half up, or None when there is no denominator.

    Examples
    --------
    Halves go up, also where binary fractions or banker's rounding would not:

    >>> format_ratio(1, 800, scale=100)
    '0.13'
    >>> format_ratio(2, 3, scale=100, digits=0)
    '67'
    >>> format_ratio(5, 0) is None
    True
    """
    if denominator <= 0:
        return None
    exact = Decimal(str(numerator)) * scale / Decimal(str(denominator))
    return f"{exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP):,}"


def format_change(text: str) -> str:
    """Return a number with its sign as it is printed: with the sign for minus, and without one for nothing.

    Examples
    --------
    >>> format_change(f"{-0.12:+.2f}"), format_change(f"{1054:+,}"), format_change(f"{0:+.2f}")
    ('−0.12', '+1,054', '0.00')
    """
    unsigned = text.lstrip("+-")
    return text.replace("-", "−") if unsigned.strip("0.,") else unsigned


def format_count(count: int) -> str:
    """Return a count with its thousands grouped.

    Examples
    --------
    >>> format_count(135298)
    '135,298'
    """
    return f"{count:,}"
