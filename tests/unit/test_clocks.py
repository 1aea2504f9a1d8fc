"""Clocks kept for a stretch of starts say what the calendar says for each of them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from dispatch import clocks as module
from dispatch.calendars import WorkingCalendar, seed_calendar
from dispatch.clocks import set_clocks, work_out
from dispatch.deadlines import Limit, LimitUnit, StartRule
from dispatch.reference import Jurisdiction

ZONES = ("Asia/Shanghai", "America/New_York")
SEED = 20261122


def office(zone: str) -> Jurisdiction:
    calendar = WorkingCalendar(zone=zone, days=seed_calendar([2025, 2026]))
    return Jurisdiction(code="410100", name_zh="", name_en="", time_zone=zone, calendar=calendar)


@pytest.mark.parametrize("zone", ZONES)
def test_kept_clocks_are_those_of_the_calendar(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one microsecond to either side of every edge, and over the end of the settled days."""
    chance = random.Random(SEED)
    jurisdiction = office(zone)
    fresh = 0

    def counted(*asked: object) -> object:
        nonlocal fresh
        fresh += 1
        return work_out(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "work_out", counted)
    limits = [
        Limit(value=Decimal(chance.choice(("0.1", "0.5", "1", "2", "4", "7.5", "30"))), unit=unit)
        for unit in LimitUnit
        for _ in range(4)
    ]
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    asked = 0
    for _ in range(1500):
        limit, rule = chance.choice(limits), chance.choice(list(StartRule))
        at = begin + timedelta(seconds=chance.uniform(0, 380 * 86400))
        starts = [at, *(at + timedelta(seconds=chance.uniform(-30_000, 30_000)) for _ in range(4))]
        set_clocks(jurisdiction, rule, limit, at)
        stretch = module._keep(jurisdiction.calendar, rule, limit).stretch
        if stretch is not None:
            for edge in (stretch.since, stretch.until):
                starts += [edge + timedelta(microseconds=step) for step in (-1, 0, 1)]
        for start in starts:
            assert set_clocks(jurisdiction, rule, limit, start) == work_out(
                jurisdiction.calendar, rule, limit, start
            ), (limit, rule, start)
        asked += len(starts) + 1
    assert fresh < asked * 0.7, "some are kept"


def test_a_burst_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    jurisdiction = office("Asia/Shanghai")
    limit = Limit(value=4, unit=LimitUnit.WORKING_HOUR)
    at = datetime(2026, 11, 18, 1, 30, tzinfo=UTC)
    first = set_clocks(jurisdiction, "dispatch", limit, at)
    monkeypatch.setattr(module, "work_out", None)
    for seconds in range(100):
        later = set_clocks(jurisdiction, "dispatch", limit, at + timedelta(seconds=seconds))
        assert later.due_at == first.due_at + timedelta(seconds=seconds)


@pytest.mark.parametrize("hour_utc", [0, 4, 11, 15])
def test_a_burst_at_night_or_on_a_day_off_is_worked_out_once(hour_utc: int, monkeypatch: pytest.MonkeyPatch) -> None:
    jurisdiction = office("Asia/Shanghai")
    limit = Limit(value=4, unit=LimitUnit.WORKING_HOUR)
    sunday = datetime(2026, 11, 22, hour_utc, 30, tzinfo=UTC)
    first = set_clocks(jurisdiction, "dispatch", limit, sunday)
    monkeypatch.setattr(module, "work_out", None)
    for seconds in range(100):
        assert set_clocks(jurisdiction, "dispatch", limit, sunday + timedelta(seconds=seconds)) == first


def test_the_answer_is_in_utc_whatever_zone_is_asked_in() -> None:
    jurisdiction = office("Asia/Shanghai")
    limit = Limit(value=2, unit=LimitUnit.URGENT_HOUR)
    at = datetime(2026, 11, 18, 9, 30, tzinfo=jurisdiction.calendar.zone)
    for start in (at, at + timedelta(minutes=1)):
        assert set_clocks(jurisdiction, "dispatch", limit, start).due_at.tzinfo is UTC
