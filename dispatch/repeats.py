"""Ask what lies near a case: possible duplicates, the site's history, closed cases to look at again."""

from __future__ import annotations

from datetime import datetime

from dispatch.case_views import CaseView
from dispatch.repeat_rules import Nearby, judge
from dispatch.storage.repeat_sites import RepeatSite, repeat_sites
from dispatch.storage.repeats import near_cases, rules_of
from geo.storage.uow import Unit

__all__ = ["MOST_OPEN", "RepeatSite", "find_nearby", "list_repeat_sites"]

MOST_OPEN = 2000
"""A desk with more open cases than this has no use for a badge on the oldest."""


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


async def list_repeat_sites(unit: Unit, jurisdiction: str, *, since: datetime | None = None) -> list[RepeatSite]:
    """Open cases with a badge: the place is a repeat site, or was closed shortly before.

    Parameters
    ----------
    since
        Only cases reported from this instant on; a badge speaks of what came before a case, so later cases change
        none of the earlier badges.
    """
    return await repeat_sites(unit, jurisdiction, since=since, most=MOST_OPEN)
