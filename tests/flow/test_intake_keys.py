"""Lines of the intake have their foreign keys switched off: what they hold, the writing statement holds instead."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace as changed
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.intake import PreparedReport, Receipt, Report
from dispatch.placing import Place
from dispatch.storage.intake import write_reports
from dispatch.storage.references import Dangling, find_dangling
from geo.coordinates import CoordSys
from geo.near_squares import NearSquares, squares_reader
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import DESK_ROLE, StatementUnits, read_unit, write_unit
from tests.builders import INSIDE, OUTSIDE, report
from tests.flow.conftest import Client
from tests.flow.test_locate import container_of

_NOBODY = UUID(int=7)


async def _dangling(engine: AsyncEngine) -> list[Dangling]:
    async with read_unit(engine, snapshot=True) as unit:
        keys, broken = await find_dangling(unit)
    assert keys >= 11
    return broken


@pytest.mark.parametrize(("role", "asked"), [(None, "replica"), (DESK_ROLE, "origin")])
async def test_lines_do_without_foreign_keys_where_the_login_may(
    client: Client, database: str, engine: AsyncEngine, role: str | None, asked: str
) -> None:
    """Whoever may not switch them off has them asked twice, and lines that work all the same."""
    for number in range(3):
        assert (await client.post("/v1/reports", json=report(ticket=f"T-{number}"))).status_code == 201
    assert await _dangling(engine) == []
    lending = create_engine(database, role=role, name="test")
    lines = StatementUnits(lending, most=1, patience_s=5.0, checks_keys=True)
    try:
        async with lines.lend() as unit:
            driver = await unit.driver()
            row = await (await driver.execute("SHOW session_replication_role")).fetchone()
            assert row == (asked,)
    finally:
        await lines.aclose()
        await lending.dispose()


async def test_the_statement_is_planned_once_for_the_life_of_a_line(client: Client, database: str) -> None:
    desk = container_of(client).desk
    lon, lat = INSIDE
    lending = create_engine(database, name="test")
    lines = StatementUnits(lending, most=1, patience_s=5.0, checks_keys=True)
    try:
        async with lines.lend() as unit:
            for ticket in range(12):
                said = Report(channel="hotline", ticket=f"T-{ticket}", text="x", category="E0110")
                prepared = [await desk.prepare(changed(said, x=lon, y=lat, coord_sys=CoordSys.WGS84))]
                (receipt,) = await write_reports(unit, prepared, await desk.live.place(prepared))
                assert isinstance(receipt, Receipt)
            driver = await unit.driver()
            plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '-- Intake:%'"
            (row,) = await (await driver.execute(plans)).fetchall()
            assert row[0] >= 5
            assert row[1] == 0
    finally:
        await lines.aclose()
        await lending.dispose()


@pytest.mark.parametrize(
    "change",
    [
        {"category": "GONE"},
        {"channel": "gone"},
        {"post_id": -5},
        {"person_id": _NOBODY},
        {"cell_id": -5},
        {"jurisdiction": "999999"},
        {"department": "gone"},
    ],
)
async def test_a_report_that_refers_to_what_is_gone_is_not_written(
    client: Client, engine: AsyncEngine, change: dict[str, object]
) -> None:
    """As if it had gone between the look into memory and the statement."""
    from dispatch.storage import intake_rows

    container = container_of(client)
    desk = container.desk
    lon, lat = INSIDE
    said = Report(channel="hotline", ticket="T", text="x", category="E0110", x=lon, y=lat, coord_sys=CoordSys.WGS84)
    prepared = await desk.prepare(said)
    spoilt = {name: value for name, value in change.items() if name in {"category", "channel"}}
    prepared = changed(prepared, **spoilt)

    def spoil(number: int, one: PreparedReport, place: Place) -> intake_rows._Placed:
        row = made(number, one, place)
        names = {name: value for name, value in change.items() if name in {"post_id", "person_id", "cell_id"}}
        if "jurisdiction" in change:
            # Nobody has activated a version for it, so nothing else about it is out of date.
            names |= {"jurisdiction": change["jurisdiction"], "version_id": None, "version_revision": None}
        return changed(row, **names) if names else row

    def spoil_row(
        line: int, one: PreparedReport, number: int, place: Place, extras: dict[str, object]
    ) -> intake_rows._Row:
        row = made_row(line, one, number, place, extras)
        return changed(row, route=9) if "department" in change else row

    made, made_row, encode = intake_rows._place_row, intake_rows._report_row, intake_rows.encode_rows
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake_rows, "_place_row", spoil)
        patch.setattr(intake_rows, "_report_row", spoil_row)
        if "department" in change:
            patch.setattr(
                "dispatch.storage.intake.encode_rows",
                lambda *given: (*encode(*given)[:2], '[{"route":9,"department":"gone","said":{}}]'),
            )
        (outcome,) = await container.intake.write_many([prepared])
    assert getattr(outcome, "code", None) == "storage.busy", outcome
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM dispatch.dispatch_case")) == 0


async def test_who_deletes_what_cases_refer_to_waits_for_the_intake(
    client: Client, database: str, engine: AsyncEngine
) -> None:
    """A case that is being written holds back the deletion of its category; written, it forbids it."""
    assert (await client.post("/v1/reports", json=report(ticket="first"))).status_code == 201
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text(
                'INSERT INTO dispatch.category SELECT (jsonb_populate_record(c, \'{"code": "Z9"}\')).*'
                " FROM dispatch.category AS c WHERE c.code = 'P0102'"
            )
        )

    async def delete() -> None:
        async with write_unit(engine) as unit:
            await unit.connection.execute(text("DELETE FROM dispatch.category WHERE code = 'Z9'"))

    async with await psycopg.AsyncConnection.connect(dsn(database)) as line:
        await line.execute("SET session_replication_role = replica")
        await line.execute(
            "INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, channel_code, ticket, category_code, text,"
            " cell_path, located_how, state, reported_at) SELECT gen_random_uuid(), jurisdiction, 'R-1', channel_code,"
            " 'second', 'Z9', '', '{}', 'no_position', 'reported', now() FROM dispatch.dispatch_case"
        )
        deleting = asyncio.create_task(delete())
        await asyncio.sleep(0.3)
        assert not deleting.done()
        await line.commit()
        with pytest.raises(IntegrityError, match="fk_dispatch_case_category_code"):
            await deleting
    assert await _dangling(engine) == []


async def test_a_reference_to_what_is_not_there_is_named(client: Client, database: str, engine: AsyncEngine) -> None:
    assert (await client.post("/v1/reports", json=report())).status_code == 201
    async with await psycopg.AsyncConnection.connect(dsn(database)) as line:
        await line.execute("SET session_replication_role = replica")
        await line.execute("UPDATE dispatch.outbox SET event_id = -1")
        await line.execute("UPDATE dispatch.dispatch_case SET category_code = 'gone'")
    assert await _dangling(engine) == [
        Dangling(key="fk_dispatch_case_category_code", rows=1),
        Dangling(key="fk_outbox_event_id", rows=1),
    ]


async def test_near_squares_say_what_the_database_says(client: Client, engine: AsyncEngine) -> None:
    """Cells, order and decimetres, for every point of a known square."""
    container = container_of(client)
    await container.live.index.ready()
    grid = container.live.index.at(container.live.index.now())
    assert grid is not None
    version = grid.version
    squares = NearSquares(squares_reader(engine))
    chance = random.Random(5)
    lon, lat = OUTSIDE
    points = [(lon + chance.uniform(-0.02, 0.02), lat + chance.uniform(-0.01, 0.01)) for _ in range(40)]
    # And some kilometres away.
    points += [(lon + chance.uniform(-0.1, 0.1), lat + chance.uniform(-0.1, 0.1)) for _ in range(40)]
    points = [point for point in points if not grid.chain(*point)]
    assert squares.nearest(version.key, *points[0]) is None, "not yet known"
    points.append((113.2, 34.3))
    for point in points:
        squares.nearest(version.key, *point)
    while squares._asked:
        await asyncio.sleep(0.01)
    known = 0
    async with engine.connect() as connection:
        for square in list(squares._known):
            within = [((square[0] + chance.random()) / 2000, (square[1] + chance.random()) / 2000) for _ in range(5)]
            points += [point for point in within if not grid.chain(*point)]
        for point in points:
            asked = "SELECT geo.nearest_said(:v, ST_SetSRID(ST_MakePoint(:x, :y), 4326), 3, NULL)"
            whole = await connection.scalar(text(asked), {"v": version.id, "x": point[0], "y": point[1]})
            assert whole
            found = squares.nearest(version.key, *point)
            if found is not None:
                known += 1
                assert list(found) == whole
                assert [list(cell) for cell in found] == [list(cell) for cell in whole], "the order of jsonb"
    assert len(points) > 200
    assert known >= len(points) - 10, "all but the square that is 40 km away"
    other = replace(version, revision=version.revision + 1)
    assert squares.nearest(other.key, *points[0]) is None, "another drawing has other cells"
    await squares.stop()
