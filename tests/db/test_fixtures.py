"""The databases that tests are given are what they say."""

from __future__ import annotations

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.engine import dsn
from geo.storage.uow import WriteUnit

_ADD = "INSERT INTO dispatch.department (code, name_zh, name_en) VALUES ('passing', '过客', 'Passing')"
_COUNT = "SELECT count(*) FROM dispatch.department WHERE code = 'passing'"


async def test_what_a_unit_of_work_writes_is_seen_inside(uow: WriteUnit) -> None:
    """Inside the transaction the row is there."""
    await uow.connection.execute(text(_ADD))
    assert await uow.connection.scalar(text(_COUNT)) == 1


async def test_and_is_gone_afterwards(uow: WriteUnit, shared_engine: AsyncEngine) -> None:
    """The test before this one has left nothing; neither has this one while it runs."""
    assert await uow.connection.scalar(text(_COUNT)) == 0
    await uow.connection.execute(text(_ADD))
    async with shared_engine.connect() as other:
        assert await other.scalar(text(_COUNT)) == 0


def test_a_flow_test_has_a_database_of_its_own(database: str, shared_database: str) -> None:
    """Real commits do not reach the shared one."""
    with psycopg.connect(dsn(database)) as connection:
        connection.execute(_ADD)
    with psycopg.connect(dsn(database)) as connection:
        assert connection.execute(_COUNT).fetchone() == (1,)
    with psycopg.connect(dsn(shared_database)) as connection:
        assert connection.execute(_COUNT).fetchone() == (0,)


async def test_the_demo_database_holds_the_district(demo_database: str) -> None:
    """Cells and open cases are there; the closed ones are a share."""
    async with await psycopg.AsyncConnection.connect(dsn(demo_database)) as connection:
        row = await (
            await connection.execute("SELECT (SELECT count(*) FROM geo.cell), count(*) FROM dispatch.dispatch_case")
        ).fetchone()
    assert row is not None
    assert row[0] > 100
    assert row[1] > 1000
