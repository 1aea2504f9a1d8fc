"""The roster in memory equals ``dispatch.responsible_ladder``, at every instant and after every change."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.posts import Rung
from dispatch.queries import responsible_at, responsible_many
from dispatch.roster import Roster
from dispatch.storage.roster import duty_look, posts_reader
from geo.storage.engine import dsn
from geo.storage.uow import read_unit
from tests.builders import CELLS, JURISDICTION
from tests.flow.conftest import District

PATHS = [tuple(sorted((code for code in CELLS if cell.startswith(code)), key=len)) for cell in CELLS]


async def ladders(engine: AsyncEngine, at: datetime) -> list[tuple[Rung, ...]]:
    async with read_unit(engine) as unit:
        many = await responsible_many(unit, JURISDICTION, PATHS, at)
        assert many == [await responsible_at(unit, JURISDICTION, path, at) for path in PATHS]
    return many


async def test_after_every_change_and_at_every_instant_it_equals_sql(
    district: District, engine: AsyncEngine, database: str
) -> None:
    roster = Roster(posts_reader(engine, JURISDICTION), patience_s=60.0)
    look = duty_look(roster)
    rng = random.Random(20261121)
    async with await psycopg.AsyncConnection.connect(dsn(database), autocommit=True) as connection:
        await look(connection)
        for step in range(120):
            await change(connection, rng)
            before = roster.snapshot
            await look(connection)
            assert roster.snapshot != before
            await roster.ensure(CELLS)
            for offset in (0, 0, rng.uniform(0, 7200), rng.uniform(0, 200_000)):
                at = datetime.now(UTC) + timedelta(seconds=offset)
                expected = await ladders(engine, at)
                assert [roster.ladder(path, at) for path in PATHS] == expected, step


async def change(connection: psycopg.AsyncConnection[Any], rng: random.Random) -> None:
    """One random change of the kinds that there are; overlapping ones are refused by the database and repeated."""
    while True:
        statement = rng.choice(
            [
                "INSERT INTO dispatch.leave (person_id, starts_at, ends_at) SELECT id, now() + %(a)s, now() + %(b)s"
                " FROM dispatch.person ORDER BY md5(id::text || %(x)s) LIMIT 1",
                "DELETE FROM dispatch.leave WHERE id = (SELECT min(id) FROM dispatch.leave)",
                "UPDATE dispatch.leave SET ends_at = now() + %(b)s WHERE starts_at < now() AND id % 2 = %(x)s::int % 2",
                "UPDATE dispatch.appointment SET valid_until = now() + %(b)s WHERE id ="
                " (SELECT id FROM dispatch.appointment ORDER BY md5(id::text || %(x)s) LIMIT 1)",
                "INSERT INTO dispatch.appointment (post_id, person_id, valid_from, valid_until)"
                " SELECT p.id, q.id, now() + %(a)s, now() + %(b)s FROM dispatch.post AS p, dispatch.person AS q"
                " ORDER BY md5(p.id::text || q.id::text || %(x)s) LIMIT 1",
                "UPDATE dispatch.person SET is_active = NOT is_active WHERE id ="
                " (SELECT id FROM dispatch.person ORDER BY md5(id::text || %(x)s) LIMIT 1)",
                "UPDATE dispatch.post SET valid_until = now() + %(b)s WHERE id ="
                " (SELECT id FROM dispatch.post ORDER BY md5(id::text || %(x)s) LIMIT 1)",
                "UPDATE dispatch.post SET title_en = title_en || '!' WHERE rank = 'B'",
            ]
        )
        start = timedelta(seconds=rng.uniform(-4000, 4000))
        values = {"a": start, "b": start + timedelta(seconds=rng.uniform(4000, 90_000)), "x": str(rng.randrange(999))}
        statement = statement.replace("% 2", "%% 2")
        try:
            done = await connection.execute(statement, values)  # type: ignore[arg-type]
        except psycopg.errors.IntegrityError:
            continue
        if done.rowcount:
            return


async def test_a_transaction_that_commits_late_is_not_missed(
    district: District, engine: AsyncEngine, database: str
) -> None:
    """It has an older number than one the roster has already seen."""
    roster = Roster(posts_reader(engine, JURISDICTION), patience_s=60.0)
    look = duty_look(roster)
    late = "UPDATE dispatch.post SET title_en = 'late' WHERE cell_code = %s"
    code = PATHS[-1][-1]
    async with (
        await psycopg.AsyncConnection.connect(dsn(database), autocommit=True) as watching,
        await psycopg.AsyncConnection.connect(dsn(database)) as slow,
    ):
        await look(watching)
        await slow.execute(late, (code,))
        await watching.execute("UPDATE dispatch.post SET title_en = 'early' WHERE cell_code <> %s", (code,))
        await look(watching)
        await roster.ensure(PATHS[-1])
        await slow.commit()
        await look(watching)
        await roster.ensure(PATHS[-1])
        ladder = roster.ladder(PATHS[-1], datetime.now(UTC))
    assert ladder is not None
    assert ladder[0].title_en == "late"


async def test_without_looks_it_falls_silent(district: District, engine: AsyncEngine, database: str) -> None:
    roster = Roster(posts_reader(engine, JURISDICTION), patience_s=0.05)
    async with await psycopg.AsyncConnection.connect(dsn(database), autocommit=True) as connection:
        await duty_look(roster)(connection)
    await roster.ensure(PATHS[0])
    await asyncio.sleep(0.1)
    assert roster.ladder(PATHS[0], datetime.now(UTC)) is None
