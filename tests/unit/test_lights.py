"""Lights as a table: when yellow begins, when red."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dispatch.lights import light, warn_share
from dispatch.states import CaseState, Light

DUE = datetime(2026, 3, 2, 10, tzinfo=UTC)
WARN = DUE - timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "as_of", "shows"),
    [
        ("dispatched", WARN - timedelta(seconds=1), Light.GREEN),
        ("dispatched", WARN, Light.YELLOW),
        ("handling", DUE, Light.YELLOW),  # the due instant itself is on time
        ("handling", DUE + timedelta(microseconds=1), Light.RED),
        ("returned", DUE + timedelta(days=1), Light.RED),
        ("suspended", DUE + timedelta(days=1), Light.SUSPENDED),
        ("handled", DUE + timedelta(days=1), Light.NONE),
        ("reported", DUE, Light.NONE),
        ("closed", DUE + timedelta(days=1), Light.NONE),
    ],
)
def test_light(state: str, as_of: datetime, shows: Light) -> None:
    assert light(CaseState(state), due_at=DUE, warn_at=WARN, as_of=as_of) is shows


def test_no_deadline_no_light() -> None:
    assert light(CaseState.DISPATCHED, due_at=None, warn_at=None, as_of=DUE) is Light.NONE


@pytest.mark.parametrize(("hours", "left"), [(1, 0.5), (2, 1), (4, 2), (8, 4), (16, 4), (40, 10), (120, 30)])
def test_yellow_begins_with_so_many_hours_left(hours: float, left: float) -> None:
    assert hours * (1 - float(warn_share(hours * 3600))) == pytest.approx(left)
