"""The holder of the live index: it answers for the version valid then, or not at all."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from shapely import box

from geo.cells import CellId, CellKind, CellRef
from geo.lookup import CellBoundary, CellIndex
from geo.lookup.holder import AHEAD, LiveGrid, LiveIndex, LiveVersion

NOON = datetime(2026, 3, 1, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


def version(number: int, since: datetime, until: datetime | None = None) -> LiveVersion:
    return LiveVersion(id=number, revision=0, number=number, name=f"v{number}", valid_from=since, valid_until=until)


def load(of: LiveVersion, _stopping: Event) -> LiveGrid:
    """One cell, whose code is the version's number."""
    cell = CellBoundary(cell_id=of.id, level=1, code=str(of.number), parent_id=None, boundary=box(0, 0, 1, 1))
    ref = CellRef(id=CellId(of.id), level=1, code=str(of.number), name_zh="", name_en="", kind=CellKind.ORDINARY)
    return LiveGrid(version=of, index=CellIndex.build(of.id, [cell]), cells=[ref])


def codes(live: LiveIndex, at: datetime) -> list[str] | None:
    grid = live.at(at)
    return None if grid is None else [cell.code for cell in grid.chain(0.5, 0.5)]


async def test_nothing_is_answered_before_it_is_loaded() -> None:
    live = LiveIndex(load)
    assert codes(live, NOON) is None
    live.learn([version(1, NOON - HOUR)], NOON)
    assert codes(live, NOON) is None
    await live.ready()
    assert codes(live, NOON) == ["1"]
    assert codes(live, NOON - 2 * HOUR) is None


async def test_a_new_version_is_never_answered_with_the_old_one() -> None:
    live = LiveIndex(load)
    live.learn([version(1, NOON - HOUR)], NOON)
    await live.ready()
    live.learn([version(1, NOON - HOUR, NOON), version(2, NOON)], NOON)
    assert codes(live, NOON) is None, "version 2 is still being loaded"
    await live.ready()
    assert codes(live, NOON) == ["2"]


async def test_a_scheduled_version_is_there_at_its_instant() -> None:
    live = LiveIndex(load)
    later = NOON + AHEAD / 2
    live.learn([version(1, NOON - HOUR, later), version(2, later)], NOON)
    await live.ready()
    assert codes(live, later - timedelta(microseconds=1)) == ["1"]
    assert codes(live, later) == ["2"]
    live.learn([version(1, NOON - HOUR, later), version(2, later)], later)
    assert codes(live, NOON) is None, "the past is let go"


async def test_without_news_it_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    live = LiveIndex(load, patience_s=1.0)
    live.learn([version(1, NOON - HOUR)], NOON)
    await live.ready()
    told = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: told + 1.5)
    assert codes(live, NOON) is None


async def test_the_same_version_redrawn_is_another_one() -> None:
    """Withdrawn, redrawn and activated again between two looks: the id is the same, the cells are not."""
    live = LiveIndex(load)
    live.learn([version(1, NOON - HOUR)], NOON)
    await live.ready()
    again = replace(version(1, NOON - HOUR), revision=2, number=7)
    live.learn([again], NOON)
    assert codes(live, NOON) is None, "what is held is the former drawing"
    await live.ready()
    assert codes(live, NOON) == ["7"]


async def test_with_nothing_valid_nothing_is_answered() -> None:
    live = LiveIndex(load)
    live.learn([version(1, NOON - HOUR)], NOON)
    await live.ready()
    live.learn([], NOON)
    assert codes(live, NOON) is None


async def test_the_database_s_clock_decides() -> None:
    live = LiveIndex(load)
    real = datetime.now(UTC)
    live.learn([], real + HOUR)
    assert abs(live.now() - real - HOUR) < timedelta(seconds=1)
    live.learn([], datetime.now(UTC) + timedelta(milliseconds=2))
    assert live.now() <= datetime.now(UTC), "two milliseconds are the way of the question, not another clock"


async def test_a_failed_load_is_tried_again() -> None:
    tries = []

    def fail_once(of: LiveVersion, stopping: Event) -> LiveGrid:
        tries.append(of.id)
        if len(tries) == 1:
            raise ConnectionError
        return load(of, stopping)

    live = LiveIndex(fail_once)
    for _ in range(2):
        live.learn([version(1, NOON - HOUR)], NOON)
        await live.ready()
    assert codes(live, NOON) == ["1"]
    await live.stop()
