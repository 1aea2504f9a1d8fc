"""Working time as a compiled line: sorted UTC segments with a running sum, so that a question is a binary search.

Nothing here knows holidays or weekdays: it lays wall-clock spans of a zone onto the UTC line and measures along it.

Units: microseconds since 1970-01-01 UTC unless a name says otherwise.
Boundary: segments are half-open, ``[begin, end)``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY_US", "Segments", "compile_segments", "from_micros", "to_micros"]

DAY_US: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC.

    Raises
    ------
    ValueError
        If ``instant`` is naive: a time without a zone is not an instant.
    """
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """UTC instant of ``micros`` microseconds since 1970-01-01."""
    return _EPOCH + timedelta(microseconds=micros)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """Working time of a span of years.

    ``sums[i]`` is the working time before segment ``i``. Shape: starts, ends (n,); sums (n + 1,); unsettled (m, 2).
    """

    years: tuple[int, int]
    span: tuple[int, int]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    sums: NDArray[np.int64]
    unsettled: NDArray[np.int64]
    # The same as plain lists: bisect over Python integers is several times faster than one numpy call.
    start_list: list[int] = field(repr=False)
    end_list: list[int] = field(repr=False)
    sum_list: list[int] = field(repr=False)
    unsettled_list: list[tuple[int, int]] = field(repr=False)

    @property
    def total(self) -> int:
        """Working time of the whole span."""
        return self.sum_list[-1]

    def holds(self, start: int, end: int) -> bool:
        """Whether both instants lie in the compiled span."""
        return self.span[0] <= start and end < self.span[1]

    def worked(self, micros: int) -> int:
        """Working time from the span's beginning up to an instant."""
        index = bisect_right(self.start_list, micros) - 1
        if index < 0:
            return 0
        return self.sum_list[index] + min(micros, self.end_list[index]) - self.start_list[index]

    def worked_many(self, micros: NDArray[np.int64]) -> NDArray[np.int64]:
        """`worked` for an array. Shape: (n,)."""
        if not self.starts.size:
            return np.zeros_like(micros)
        index = np.searchsorted(self.starts, micros, side="right") - 1
        at = np.maximum(index, 0)
        worked = self.sums[at] + np.minimum(micros, self.ends[at]) - self.starts[at]
        return np.where(index < 0, 0, worked)

    def reach(self, target: int) -> int:
        """Earliest instant at which ``target`` (in ``(0, total]``) has been worked since the span's beginning."""
        index = bisect_left(self.sum_list, target) - 1
        return self.start_list[index] + target - self.sum_list[index]

    def reach_many(self, targets: NDArray[np.int64]) -> NDArray[np.int64]:
        """`reach` for an array; the entry of a target of 0 means nothing. Shape: (n,)."""
        if not self.starts.size:
            return np.zeros_like(targets)
        index = np.maximum(np.searchsorted(self.sums, targets, side="left") - 1, 0)
        return self.starts[index] + targets - self.sums[index]

    def between(self, start: int, end: int) -> list[tuple[int, int]]:
        """Segments clipped to ``[start, end)``, ascending, none empty."""
        first = bisect_right(self.end_list, start)
        last = bisect_left(self.start_list, end)
        return [(max(self.start_list[i], start), min(self.end_list[i], end)) for i in range(first, last)]


def compile_segments(
    *,
    zone: ZoneInfo,
    walls: NDArray[np.int64],
    years: tuple[int, int],
    span: tuple[int, int],
    unsettled: Sequence[tuple[int, int]],
) -> Segments:
    """Lay wall-clock spans onto the UTC line.

    Parameters
    ----------
    zone
        Zone whose clocks ``walls`` are read from.
    walls
        Ascending, disjoint spans in microseconds since 1970-01-01 00:00 on the wall clock. Shape: (n, 2).
    years, span
        The compiled years (inclusive) and the UTC span they cover.
    unsettled
        Stretches of the span whose days may still change.

    Notes
    -----
    Zone: an instant is working time exactly when the clock on the wall reads a working time. An hour that a clock
    change skips therefore does not exist, and an hour that it repeats counts twice.
    """
    pieces: list[NDArray[np.int64]] = []
    for since, until, offset in _offsets(zone, *span):
        shifted = walls - offset
        first = np.searchsorted(shifted[:, 1], since, side="right")
        last = np.searchsorted(shifted[:, 0], until, side="left")
        pieces.append(np.clip(shifted[first:last], since, until))
    segments = np.concatenate(pieces)
    starts, ends = np.ascontiguousarray(segments[:, 0]), np.ascontiguousarray(segments[:, 1])
    sums = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(ends - starts)])
    return Segments(
        years=years,
        span=span,
        starts=starts,
        ends=ends,
        sums=sums,
        unsettled=np.array(unsettled, dtype=np.int64).reshape(-1, 2),
        start_list=starts.tolist(),
        end_list=ends.tolist(),
        sum_list=sums.tolist(),
        unsettled_list=list(unsettled),
    )


def _offsets(zone: ZoneInfo, begin: int, end: int) -> list[tuple[int, int, int]]:
    """Stretches ``(since, until, offset)`` of constant UTC offset that tile ``[begin, end)``.

    Sampled daily and bisected to the second: two clock changes within one day that cancel out would go unseen.
    """
    stretches: list[tuple[int, int, int]] = []
    since, offset, at = begin, _offset(zone, begin), begin
    while at < end:
        after = min(at + DAY_US, end)
        if (changed := _offset(zone, after)) != offset:
            low, high = at // 1_000_000, after // 1_000_000
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle * 1_000_000) == offset else (low, middle)
            stretches.append((since, high * 1_000_000, offset))
            since, offset = high * 1_000_000, changed
        at = after
    if since < end:
        stretches.append((since, end, offset))
    return stretches


def _offset(zone: ZoneInfo, micros: int) -> int:
    offset = from_micros(micros).astimezone(zone).utcoffset()
    assert offset is not None  # a ZoneInfo always knows its offset
    return offset // _MICROSECOND
