"""Wall-clock times of a source, turned into instants, with a named choice where the clock was set back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

_FIRST_YEAR = 1900
"""Databases write year 1 or 1753 for "unknown"; no grid has reports from then."""


class AmbiguousTime(StrEnum):
    """What a local time means that occurred twice (autumn change): the first, the second, or a refusal."""

    EARLIER = "earlier"
    LATER = "later"
    REJECT = "reject"


class TimeFault(StrEnum):
    """Why a text is not an instant."""

    UNREADABLE = "report.time_unreadable"
    IN_GAP = "report.time_in_gap"
    AMBIGUOUS = "report.time_ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How a source writes times.

    Parameters
    ----------
    zone
        Zone of texts that carry no offset of their own; a text with ``Z`` or ``+01:00`` means what it says.
    ambiguous
        Named choice for the hour that occurs twice.
    time_format
        ``strptime`` format; ISO 8601 if left out.
    """

    zone: ZoneInfo
    ambiguous: AmbiguousTime = AmbiguousTime.EARLIER
    time_format: str | None = None

    def read(self, text: str) -> datetime | TimeFault:
        """Return the instant in UTC, or why there is none. A plain date means its midnight.

        Zone: UTC out.

        Examples
        --------
        Zürich put its clocks forward at 02:00 on 2021-03-28 and back at 03:00 on 2021-10-31.

        >>> clock = Clock(zone=ZoneInfo("Europe/Zurich"))
        >>> clock.read("2021-03-28T02:30").value
        'report.time_in_gap'
        >>> clock.read("2021-10-31T02:30").isoformat()
        '2021-10-31T00:30:00+00:00'
        >>> Clock(zone=ZoneInfo("Europe/Zurich"), ambiguous=AmbiguousTime.LATER).read("2021-10-31T02:30").isoformat()
        '2021-10-31T01:30:00+00:00'
        """
        parse: Callable[[str], datetime] = datetime.fromisoformat
        try:
            found = datetime.strptime(text, self.time_format) if self.time_format else parse(text)  # noqa: DTZ007
            if found.year < _FIRST_YEAR:
                return TimeFault.UNREADABLE
            if found.tzinfo is not None:
                return found.astimezone(UTC)
            first = found.replace(tzinfo=self.zone, fold=0)
            second = first.replace(fold=1)
            before, after = first.utcoffset(), second.utcoffset()
            assert before is not None
            assert after is not None
            if before == after:
                return first.astimezone(UTC)
        except (ValueError, OverflowError):
            return TimeFault.UNREADABLE
        # PEP 495: in a gap the first reading has the smaller offset, in a fold the larger.
        if before < after:
            return TimeFault.IN_GAP
        match self.ambiguous:
            case AmbiguousTime.EARLIER:
                return first.astimezone(UTC)
            case AmbiguousTime.LATER:
                return second.astimezone(UTC)
            case AmbiguousTime.REJECT:
                return TimeFault.AMBIGUOUS
