"""Sentences about people speak of the office's own clock, whatever zone the server and the database live in."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from api.rendering import head_json
from dispatch.posts import Rung, find_head
from maps.i18n import Locale


def rung(rank: str, *, leave_until: datetime | None = None) -> Rung:
    return Rung(
        level=3, cell_code="410102001001001", rank=rank, post_id=1, title_zh=f"{rank} 岗", title_en=f"{rank} post",
        person_id=UUID(int=ord(rank)), person_name="王五", leave_until=leave_until, is_available=leave_until is None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("locale", "zone", "said"),
    [
        ("zh-CN", "Asia/Shanghai", "2026-11-29 10:40"),
        ("en", "Asia/Shanghai", "2026-11-29 10:40"),
        ("zh-CN", "Asia/Urumqi", "2026-11-29 08:40"),
    ],
)
def test_leave_ends_by_the_clock_of_the_office(locale: Locale, zone: str, said: str) -> None:
    away = rung("A", leave_until=datetime(2026, 11, 29, 2, 40, tzinfo=UTC))
    shown = head_json(find_head((away, rung("B"))), locale, zone)
    assert shown is not None
    assert said in shown["why"]
    assert "+00:00" not in shown["why"]
