"""How an office works: which steps it walks separately, whether certain cases dispatch themselves, its stage limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from dispatch.workflow import Line, Stage

__all__ = ["DEFAULT_PROFILE", "Profile", "find_profile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A row of ``dispatch.profile``. Units: stage limits are natural time, day and night."""

    line: Line = Line.SHORT
    dispatches_itself: bool = True
    accept: timedelta = timedelta(minutes=15)
    verify: timedelta = timedelta(minutes=30)
    dispatch: timedelta = timedelta(minutes=15)
    acknowledge: timedelta = timedelta(minutes=30)
    check: timedelta = timedelta(minutes=30)
    supervision: timedelta = timedelta(days=1)

    def limit_of(self, stage: Stage) -> timedelta:
        """How long a stage may take."""
        limit: timedelta = getattr(self, stage.value)
        return limit


#: What an office without a row does: the short line, and what is certain is dispatched at once.
DEFAULT_PROFILE = Profile()


def find_profile(profiles: Mapping[tuple[str, str], Profile], jurisdiction: str, path: Sequence[str]) -> Profile:
    """The profile of the subdistrict (first code of the path), else of the jurisdiction, else the default."""
    keys = [(jurisdiction, code) for code in path[:1]] + [(jurisdiction, "")]
    return next((profiles[key] for key in keys if key in profiles), DEFAULT_PROFILE)
