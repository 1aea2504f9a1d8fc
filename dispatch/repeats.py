"""Ask what lies near a case: possible duplicates, the site's history, closed cases to look at again."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import Final

from dispatch.case_views import CaseView
from dispatch.repeat_rules import Nearby, judge
from dispatch.storage.repeat_sites import RepeatSite, open_cases, repeat_sites
from dispatch.storage.repeats import near_cases, rules_of
from geo.storage.uow import Unit

__all__ = ["MOST_OPEN", "PATIENCE_S", "RepeatSite", "find_nearby", "list_repeat_sites"]

MOST_OPEN = 2000
"""A desk with more open cases than this has no use for a badge on the oldest."""
PATIENCE_S: Final = 1.0
"""How long one answer looks for badges. Units: seconds."""
_SLICE: Final = 200


async def find_nearby(unit: Unit, case: CaseView, *, channel: str | None = None) -> Nearby:
    """What is known about the place of a case.

    Parameters
    ----------
    channel
        If given, cases of other channels do not exist for this caller, not even as a number.
    """
    near = (await near_cases(unit, [case.id])).get(case.id, [])
    if channel is not None:
        near = [each for each in near if each.channel == channel]
    rule = (await rules_of(unit, [case.id])).get(case.id)
    return judge(rule, (case.channel, case.channel_zh, case.channel_en), near)


async def list_repeat_sites(
    unit: Unit,
    jurisdiction: str,
    *,
    since: datetime | None = None,
    before: str | None = None,
    patience_s: float = PATIENCE_S,
) -> tuple[list[RepeatSite], str | None]:
    """Open cases with a badge: the place is a repeat site, or was closed shortly before.

    Looked at slice by slice, newest first, for no longer than ``patience_s``: on a machine that has much else to do the
    newest badges come now and the others when they are asked for, instead of none after a statement that ran too long.

    Parameters
    ----------
    since
        Only cases reported from this instant on; a badge speaks of what came before a case, so later cases change
        none of the earlier badges.
    before
        Only cases older than this one: where an earlier answer ended.

    Returns
    -------
    tuple
        The cases found, and the number of the last case looked at when there are others left, else None.
    """
    begun = monotonic()
    cases = await open_cases(unit, jurisdiction, since=since, before=before, most=MOST_OPEN)
    found: list[RepeatSite] = []
    for first in range(0, len(cases), _SLICE):
        part = cases[first : first + _SLICE]
        found += await repeat_sites(unit, [case_id for case_id, _ in part])
        if first + _SLICE < len(cases) and monotonic() - begun > patience_s:
            return found, part[-1][1]
    return found, None
