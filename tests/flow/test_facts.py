"""Facts in columns are equal to the database: after building, after every kind of change, from files, and again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.hotspots import NOT_COUNTED
from dispatch.states import CaseState
from geo.storage.engine import create_engine
from geo.storage.uow import read_unit, write_unit
from maps.facts.asking import Asked, Grid, day_number, day_of
from maps.facts.columns import load_base
from maps.facts.keeping import FactKeeper
from maps.facts.store import FactStore
from tests.builders import JURISDICTION, report
from tests.counting import HotspotFilter, bin_points, count_by_cell
from tests.flow.conftest import Client

EVER = Asked(from_on=date(2020, 1, 1), to_on=date(2035, 1, 1))


@pytest.fixture
async def demo_engine(demo_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(demo_database, name="test")
    yield engine
    await engine.dispose()


async def _count(engine: AsyncEngine, where: str, **values: object) -> int:
    async with read_unit(engine) as unit:
        found = await unit.connection.execute(
            text(f"SELECT count(*) FROM dispatch.dispatch_case c WHERE {where}"),
            values,
        )
        return int(found.scalar_one())


async def test_one_report_from_another_continent_does_not_stretch_the_squares(
    client: Client, engine: AsyncEngine
) -> None:
    places = [(113.605, 34.75)] * 6 + [(113.7, 34.9), (-100.0, -35.0)]
    for number, (lon, lat) in enumerate(places):
        body = report(ticket=f"far{number}", lon=lon, lat=lat)
        assert (await client.post("/v1/reports", json=body)).status_code == 201
    keeper = FactKeeper(engine, JURISDICTION, None)
    store = await keeper.current()
    assert store.count(EVER) == len(places)
    assert store.base.width * store.base.height < 1_000_000
    async with read_unit(engine) as unit:
        version = (await unit.connection.execute(text("SELECT max(id) FROM geo.grid_version"))).scalar_one()
    assert store.by_square(EVER, version)[2].sum() == 6
    # Near the grid it is drawn as a gap; from the other side of the earth it is only counted.
    assert store.by_square(EVER, version, outside=True)[2].sum() == 1
    assert store.by_cell(EVER, Grid(version_id=version, level=3), as_of=datetime.now(UTC)).out_of_grid == 2
    assert (await keeper.verify())[1] == []


async def test_everything_equals_sql_on_random_questions(demo_engine: AsyncEngine) -> None:
    keeper = FactKeeper(demo_engine, JURISDICTION, None)
    store = await keeper.current()
    assert 12 <= store.base.bytes_per_case <= 16
    async with read_unit(demo_engine) as unit:
        version = (await unit.connection.execute(text("SELECT max(id) FROM geo.grid_version"))).scalar_one()
        now = (await unit.connection.execute(text("SELECT now()"))).scalar_one()
    rng = random.Random(5)
    words = store.words
    zone = timedelta(hours=8)
    for _ in range(60):
        first = now.date() - timedelta(days=rng.randrange(400))
        last = first + timedelta(days=rng.randrange(200))
        asked = Asked(
            from_on=first,
            to_on=last,
            categories=rng.choice([None, frozenset({"E01"}), frozenset(rng.sample(words.categories, 3))]),
            channels=rng.choice([None, frozenset(rng.sample(words.channels, 2))]),
            ledgers=rng.choice([None, None, frozenset({words.ledgers[0]})]),
            states=rng.choice([None, frozenset({"closed"}), frozenset({"handling", "dispatched"})]),
            area=rng.choice([None, frozenset({rng.choice(words.cells).path[-1]})]),
        )
        states = asked.states or {s.value for s in CaseState} - {s.value for s in NOT_COUNTED}
        family = None
        if asked.categories is not None:
            family = asked.categories | {
                c for c, p in zip(words.categories, words.parents, strict=True) if p in asked.categories
            }
        expected = await _count(
            demo_engine,
            "c.reported_at >= :first AND c.reported_at < :until AND c.state = ANY (:states)"
            " AND (CAST(:categories AS text[]) IS NULL OR c.category_code = ANY (:categories))"
            " AND (CAST(:channels AS text[]) IS NULL OR c.channel_code = ANY (:channels))"
            " AND (CAST(:ledgers AS text[]) IS NULL OR c.ledgers && CAST(:ledgers AS text[]))"
            " AND (CAST(:area AS text[]) IS NULL OR c.cell_path && CAST(:area AS text[]))",
            first=datetime.combine(first, datetime.min.time(), UTC) - zone,
            until=datetime.combine(last + timedelta(days=1), datetime.min.time(), UTC) - zone,
            states=sorted(states),
            categories=None if family is None else sorted(family),
            channels=None if asked.channels is None else sorted(asked.channels),
            ledgers=None if asked.ledgers is None else sorted(asked.ledgers),
            area=None if asked.area is None else sorted(asked.area),
        )
        assert store.count(asked) == expected, asked
        assert store.by_day(asked).sum() == expected
        assert store.by_hour_of_week(asked).sum() == expected
        assert sum(store.by_word(asked, "category").values()) == expected
        assert sum(store.by_word(asked, "channel").values()) == expected
        cells = store.by_cell(asked, Grid(version_id=version, level=rng.choice((1, 2, 3))), as_of=now)
        parts = cells.out_of_grid + cells.no_position + cells.above_level + cells.other_version
        assert int(cells.cases.sum()) + parts == expected
    assert await keeper.verify() == (len(store), [])


async def test_the_map_of_the_heat_page_is_the_same(demo_engine: AsyncEngine) -> None:
    store = await FactKeeper(demo_engine, JURISDICTION, None).current()
    async with read_unit(demo_engine) as unit:
        version = (await unit.connection.execute(text("SELECT max(id) FROM geo.grid_version"))).scalar_one()
        now = (await unit.connection.execute(text("SELECT now()"))).scalar_one()
        for category in (None, "E04"):
            chosen = HotspotFilter(
                jurisdiction=JURISDICTION,
                reported_from=datetime(2019, 12, 31, 16, tzinfo=UTC),
                reported_until=datetime(2035, 1, 1, 16, tzinfo=UTC),
                category=category,
            )
            asked = replace(EVER, categories=None if category is None else frozenset({category}))
            theirs = await count_by_cell(unit.connection, chosen, version_id=version, level=3)
            ours = store.by_cell(asked, Grid(version_id=version, level=3), as_of=now, with_handling=True)
            assert {k: v for k, v in zip(ours.codes, ours.cases.tolist(), strict=True) if v} == dict(theirs.by_code)
            assert (ours.out_of_grid, ours.other_version) == (theirs.out_of_grid, theirs.other_version)
            squares = await bin_points(
                unit.connection,
                chosen,
                version_id=version,
                side_lon=store.words.side_lon,
                side_lat=store.words.side_lat,
            )
            found = zip(*(part.tolist() for part in store.by_square(asked, version)), strict=True)
            assert sorted(found) == sorted((s.column, s.row, s.cases) for s in squares)
            late = await unit.connection.execute(
                text(
                    "SELECT cell_path[3], count(*) FILTER (WHERE NOT is_on_time OR (is_on_time IS NULL AND state IN"
                    " ('dispatched', 'returned', 'handling', 'reopened') AND due_at < :now)) AS late,"
                    " percentile_disc(0.5) WITHIN GROUP (ORDER BY floor(extract(epoch FROM handled_at - dispatched_at)"
                    " / 60)) FILTER (WHERE handled_at >= dispatched_at) AS median FROM dispatch.dispatch_case c"
                    " WHERE located_how = 'covers' AND state NOT IN ('voided', 'declined', 'merged')"
                    " AND (CAST(:category AS text) IS NULL OR category_code LIKE :category || '%') GROUP BY 1"
                ),
                {"now": now, "category": category},
            )
            for code, count, median in late:
                place = ours.codes.index(code)
                assert ours.late[place] == count
                if median is None:
                    assert np.isnan(ours.median_minutes[place])
                else:
                    assert ours.median_minutes[place] == float(median)


async def test_a_new_report_counts_at_once_and_a_moved_case_moves(
    client: Client, engine: AsyncEngine, scratch_dir: Path, database: str
) -> None:
    directory = scratch_dir / f"facts-{database.rsplit('/', 1)[-1].split('?')[0]}"
    for number in range(5):
        await client.post("/v1/reports", json=report(ticket=f"a{number}"))
    keeper = FactKeeper(engine, JURISDICTION, directory)
    await keeper.rebuild()
    assert (await keeper.current()).count(EVER) == 5
    answer = await client.post("/v1/reports", json=report(ticket="b"))
    assert (await keeper.current()).count(EVER) == 6
    assert answer.status_code == 201
    # Files of before, a process of after: it reads on from the position of the files.
    other = FactKeeper(engine, JURISDICTION, directory)
    store = await other.current()
    assert (len(store.base), store.count(EVER)) == (5, 6)
    changes = [
        ("UPDATE dispatch.dispatch_case SET state = 'voided' WHERE ticket = 'a0'", 5),
        ("UPDATE dispatch.dispatch_case SET state = 'reported' WHERE ticket = 'a0'", 6),
        ("UPDATE dispatch.dispatch_case SET category_code = 'P0102', condition_number = 1 WHERE ticket = 'a1'", 6),
        ("UPDATE dispatch.dispatch_case SET reported_at = reported_at - interval '40 days' WHERE ticket = 'a2'", 6),
        ("UPDATE dispatch.dispatch_case SET ledgers = '{three_illegals}' WHERE ticket IN ('a3', 'b')", 6),
        ("UPDATE dispatch.dispatch_case SET state = 'declined' WHERE ticket IN ('a1', 'a2', 'b')", 3),
        ("UPDATE dispatch.dispatch_case SET location = NULL, cell_id = NULL, grid_version_id = NULL, cell_path = '{}',"
         " located_how = 'no_position' WHERE ticket = 'a4'", 3),
    ]  # fmt: skip
    for change, expected in changes:
        async with write_unit(engine) as unit:
            await unit.connection.execute(
                text(
                    "INSERT INTO dispatch.ledger (code, name_zh, name_en) VALUES ('three_illegals', '三非', 'x')"
                    " ON CONFLICT DO NOTHING"
                )
            )
            await unit.connection.execute(text(change))
            await unit.connection.execute(
                text(
                    "INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)"
                    " SELECT id, 1000 + (SELECT count(*) FROM dispatch.case_event), 'case.changed.v1', '{note}', state,"
                    " now(), 'system' FROM dispatch.dispatch_case"
                )
            )
        for each in (keeper, other):
            assert (await each.current()).count(EVER) == expected, change
            assert (await each.verify())[1] == []
    rebuilt = await other.rebuild()
    assert len(rebuilt) == 6
    loaded = load_base(directory)
    assert loaded is not None
    assert FactStore(loaded).tally() == (await keeper.current()).tally()
    assert load_base(directory / "nothing") is None


async def test_a_transaction_under_way_holds_nothing_back_for_good(client: Client, engine: AsyncEngine) -> None:
    keeper = FactKeeper(engine, JURISDICTION, None)
    await client.post("/v1/reports", json=report(ticket="first"))
    async with write_unit(engine) as unit:
        await unit.connection.execute(text("SELECT pg_current_xact_id()"))
        await client.post("/v1/reports", json=report(ticket="second"))
        assert (await keeper.current()).count(EVER) == 2
        await client.post("/v1/reports", json=report(ticket="third"))
        # The feed waits for the transaction under way; the proof looks at what is committed, and agrees.
        assert (await keeper.verify()) == (3, [])
    await client.post("/v1/reports", json=report(ticket="fourth"))
    assert (await keeper.current()).count(EVER) == 4


async def test_files_of_another_database_are_made_anew(
    client: Client, demo_engine: AsyncEngine, engine: AsyncEngine, scratch_dir: Path
) -> None:
    directory = scratch_dir / "facts-moved"
    await FactKeeper(demo_engine, JURISDICTION, directory).rebuild()
    await client.post("/v1/reports", json=report(ticket="only"))
    store = await FactKeeper(engine, JURISDICTION, directory).current()
    assert store.count(EVER) == 1


async def test_an_empty_database_counts_nothing(engine: AsyncEngine, district: object) -> None:
    keeper = FactKeeper(engine, JURISDICTION, None)
    store = await keeper.current()
    assert store.count(EVER) == 0
    assert store.by_day(Asked(from_on=date(2026, 1, 1), to_on=date(2026, 1, 3))).tolist() == [0, 0, 0]
    assert await keeper.verify() == (0, [])
    await asyncio.gather(keeper.current(), keeper.current(), keeper.verify())


def test_days_are_numbered_from_2000() -> None:
    assert day_number(date(2000, 1, 1)) == 0
    assert day_of(day_number(date(2026, 11, 21))) == date(2026, 11, 21)
