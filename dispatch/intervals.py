"""Stretches of time in which nothing begins or ends: how long an answer worked out for an instant stays right. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

__all__ = ["FAR_FUTURE", "FAR_PAST", "stretch_around"]

FAR_PAST: Final = datetime.min.replace(tzinfo=UTC)
FAR_FUTURE: Final = datetime.max.replace(tzinfo=UTC)


def stretch_around(marks: Iterable[datetime], at: datetime) -> tuple[datetime, datetime]:
    """The stretch around an instant between the marks next to it. Boundary: ``[from, until)``.

    Examples
    --------
    >>> noon, six = datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 18, tzinfo=UTC)
    >>> stretch_around([noon, six], noon) == (noon, six)
    True
    """
    since, until = FAR_PAST, FAR_FUTURE
    for mark in marks:
        if mark <= at:
            since = max(since, mark)
        else:
            until = min(until, mark)
    return since, until
