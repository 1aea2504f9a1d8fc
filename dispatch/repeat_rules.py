"""Reports of one place and one matter: duplicates while open, repeats over months, closed cases to look at again. Pure.

Nothing of this is stored: it follows from the cases and from the city's rules (``dispatch.repeat_rule``), so a rule
that changes, a case that is moved or one that is voided needs no repair. In particular "reported again" is no event on
the closed case: its history ends with what was done to it, and the next report has a history of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dispatch.states import CaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatRule:
    """The city's rule for a class. Units: radius_m metres."""

    radius_m: int
    window_hours: int
    site_count: int
    site_days: int
    look_back_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NearCase:
    """Another case of the same place and matter.

    Units: distance_m metres; age_s seconds by which it was reported earlier (negative: later). It may play several
    parts at once: open and recent, within the months of a repeat site, closed shortly before, reported after a close.
    ``caller`` is the keyed hash of whoever reported it (`dispatch/reporters.py`), None when they left no contact;
    ``own_caller`` that of the case that it is near to.
    """

    id: UUID
    ref: str
    state: CaseState
    category: str
    category_zh: str
    category_en: str
    channel: str
    channel_zh: str
    channel_en: str
    reported_at: datetime
    closed_at: datetime | None
    distance_m: float
    age_s: float
    is_duplicate: bool
    is_repeat: bool
    is_look_back: bool
    is_again: bool
    caller: str | None = None
    own_caller: str | None = None

    @property
    def is_same_caller(self) -> bool | None:
        """Whether the same person reported both; None when one of them left no contact."""
        return None if self.caller is None or self.own_caller is None else self.caller == self.own_caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Who reported a place: how many different people are known, and how many reports left no contact."""

    known: int
    unknown: int

    @property
    def is_one(self) -> bool:
        """One insistent caller: nobody else, known or unknown, has reported the place."""
        return self.known == 1 and self.unknown == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCount:
    """How many of a site's reports came through one channel."""

    code: str
    name_zh: str
    name_en: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """What is known about the place of a case.

    Parameters
    ----------
    duplicates
        Open cases within radius and window, nearest first.
    count
        Reports of the place in the days of the rule up to this one, itself included; merged ones are one report each
        of what they were merged into and do not count.
    history
        The others of these reports, newest first.
    channels
        Where they came from, most first.
    callers
        How many different people reported the place, when it was reported more than once: one voice or many.
    look_back
        Cases that were closed shortly before this report: was the cause removed?
    reported_again
        For a closed case: the reports that came shortly after its close.
    """

    rule: RepeatRule | None
    duplicates: tuple[NearCase, ...]
    count: int
    is_repeat_site: bool
    history: tuple[NearCase, ...]
    channels: tuple[ChannelCount, ...]
    look_back: tuple[NearCase, ...]
    reported_again: tuple[NearCase, ...]
    callers: Callers | None = None


def judge(rule: RepeatRule | None, own_channel: tuple[str, str, str], near: Sequence[NearCase]) -> Nearby:
    """Sort what lies near a case into its parts.

    Parameters
    ----------
    rule
        None for a case without a position: then nothing is near.
    own_channel
        Code and both names of the channel of the case itself, whose report counts, too.
    """
    history = sorted((each for each in near if each.is_repeat), key=lambda each: each.reported_at, reverse=True)
    sources = Counter([own_channel, *((each.channel, each.channel_zh, each.channel_en) for each in history)])
    count = len(history) + 1
    return Nearby(
        rule=rule,
        duplicates=tuple(sorted((each for each in near if each.is_duplicate), key=lambda each: each.distance_m)),
        count=count,
        is_repeat_site=rule is not None and count >= rule.site_count,
        history=tuple(history),
        channels=tuple(
            ChannelCount(code=code, name_zh=zh, name_en=en, count=times)
            for (code, zh, en), times in sorted(sources.items(), key=lambda item: (-item[1], item[0]))
        ),
        look_back=tuple(
            sorted((each for each in near if each.is_look_back), key=lambda each: each.reported_at, reverse=True)
        ),
        reported_again=tuple(sorted((each for each in near if each.is_again), key=lambda each: each.reported_at)),
        callers=_callers(history),
    )


def _callers(history: Sequence[NearCase]) -> Callers | None:
    if not history:
        return None
    voices = [history[0].own_caller, *(each.caller for each in history)]
    return Callers(known=len({voice for voice in voices if voice is not None}), unknown=voices.count(None))
