"""What lies near a case, sorted into its parts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from dispatch.repeat_rules import NearCase, RepeatRule, judge
from dispatch.states import CaseState

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RULE = RepeatRule(radius_m=50, window_hours=72, site_count=3, site_days=90, look_back_days=30)
HOTLINE, APP = ("hotline", "热线", "Hotline"), ("app", "随手拍", "City app")


def near(
    ref: str, days: float = 1, channel: tuple[str, str, str] = HOTLINE, distance_m: float = 5, **parts: bool
) -> NearCase:
    flags = {"is_duplicate": False, "is_repeat": True, "is_look_back": False, "is_again": False} | parts
    return NearCase(
        id=uuid4(),
        ref=ref,
        state=CaseState.DISPATCHED,
        category="E0110",
        category_zh="暴露垃圾",
        category_en="Exposed rubbish",
        channel=channel[0],
        channel_zh=channel[1],
        channel_en=channel[2],
        reported_at=NOW - timedelta(days=days),
        closed_at=None,
        distance_m=distance_m,
        age_s=days * 86_400,
        **flags,
    )


@pytest.mark.parametrize(("others", "is_site"), [(0, False), (1, False), (2, True), (5, True)])
def test_a_site_begins_at_the_count_of_the_rule(others: int, is_site: bool) -> None:
    found = judge(RULE, HOTLINE, [near(str(n)) for n in range(others)])
    assert (found.count, found.is_repeat_site) == (others + 1, is_site)


def test_later_reports_do_not_count_and_nothing_is_near_without_a_position() -> None:
    assert judge(RULE, HOTLINE, [near("a", -1, is_repeat=False, is_duplicate=True)]).count == 1
    assert not judge(None, HOTLINE, []).is_repeat_site


def test_parts_are_ordered_as_they_are_read() -> None:
    """Duplicates by distance, history from the newest, reports after a close from the first."""
    cases = [
        near("far", 1, distance_m=40, is_duplicate=True),
        near("old", 9, distance_m=1, is_duplicate=True, is_look_back=True),
        near("later", -2, is_repeat=False, is_again=True),
        near("soon", -1, is_repeat=False, is_again=True),
    ]
    found = judge(RULE, HOTLINE, cases)
    assert [each.ref for each in found.duplicates] == ["old", "far"]
    assert [each.ref for each in found.history] == ["far", "old"]
    assert [each.ref for each in found.look_back] == ["old"]
    assert [each.ref for each in found.reported_again] == ["soon", "later"]


def test_channels_tell_one_voice_from_many() -> None:
    found = judge(RULE, HOTLINE, [near("a", channel=APP), near("b", channel=APP), near("c")])
    assert [(each.code, each.count) for each in found.channels] == [("app", 2), ("hotline", 2)]
    assert len(judge(RULE, APP, [near("a", channel=APP)]).channels) == 1
