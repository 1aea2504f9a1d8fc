"""The copy of the reference data: right as soon as somebody needs it to be, and not read again for nothing."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.queries import load_reference, read_stamp
from dispatch.reference import Reference, ReferenceCache
from dispatch.storage.reference import STAMPED
from geo.storage.uow import read_unit
from tests.builders import District, report
from tests.flow.conftest import Client

_NEW_CLASS = (
    "INSERT INTO dispatch.category (code, kind, name_zh, name_en) VALUES ('E7777', 'event', '新', 'New')",
    "INSERT INTO dispatch.category_condition"
    " (category_code, number, name_zh, name_en, limit_value, limit_unit, is_default)"
    " VALUES ('E7777', 1, '新', 'New', 4, 'urgent_hour', true)",
)


_ROWS = {
    "dispatch.limit_season": "(category_code, number, place, first_day, last_day, limit_value, limit_unit)"
    " VALUES ('E0110', 1, 1, '07-01', '08-31', 2, 'urgent_hour')",
    "dispatch.limit_phase": "VALUES ('E0110', 1, 1, '先行', 'First', 1, 'urgent_hour')",
    "dispatch.channel_datum": "(channel_code, declared, verdict, confidence, suspected, points, places)"
    " VALUES ('hotline', 'wgs84', 'suspect', 'high', '{gcj02}', 90, 60)",
    "dispatch.profile": "(jurisdiction) VALUES ('410100')",
    "dispatch.working_hours": "(jurisdiction, starts, ends) VALUES ('410100', '09:00', '12:00')",
}
"""What to put into tables that the small district leaves empty."""


@dataclass
class Store:
    """Stands in for the database: counts what is asked of it."""

    stamp: str = "1"
    loads: int = 0
    looks: int = 0

    async def load(self) -> Reference:
        self.loads += 1
        return Reference(categories={}, channels={}, jurisdictions={}, stamp=self.stamp)

    async def read_stamp(self) -> str:
        self.looks += 1
        stamp = self.stamp
        await asyncio.sleep(0)
        return stamp


@pytest.fixture
def read(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[Reference]:
    """Give the copies that the running service reads from now on."""
    cache: ReferenceCache = client._transport.app.state.container.reference  # type: ignore[attr-defined]
    read: list[Reference] = []
    load = cache._load

    async def counted() -> Reference:
        read.append(await load())
        return read[-1]

    monkeypatch.setattr(cache, "_load", counted)
    return read


async def test_an_unknown_code_is_refused_without_reading_everything_again(
    client: Client, read: list[Reference]
) -> None:
    await client.post("/v1/reports", json=report(ticket="first"))
    read.clear()
    answers = await asyncio.gather(
        *(client.post("/v1/reports", json=report(ticket=f"T{number}", category="E7777")) for number in range(20))
    )
    assert {(answer.status_code, answer.json()["errors"][0]["pointer"]) for answer in answers} == {(422, "/category")}
    assert read == []


async def test_a_class_made_by_another_process_is_known_to_the_next_report(
    client: Client, engine: AsyncEngine, read: list[Reference]
) -> None:
    assert (await client.post("/v1/reports", json=report(category="E7777"))).status_code == 422
    read.clear()
    async with engine.begin() as connection:
        for statement in _NEW_CLASS:
            await connection.execute(text(statement))
    answer = await client.post("/v1/reports", json=report(category="E7777"))
    assert answer.status_code == 201, answer.text
    assert len(read) == 1


async def test_the_stamp_is_of_all_that_is_read(engine: AsyncEngine, district: District) -> None:
    del district
    read: set[str] = set()
    event.listen(
        engine.sync_engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_: read.update(re.findall(r"(?:FROM|JOIN) ((?:dispatch|geo)\.\w+)", statement)),
    )
    async with read_unit(engine) as unit:
        await load_reference(unit)
    assert read == {str(row.__table__) for row in STAMPED}


@pytest.mark.parametrize("table", [str(row.__table__) for row in STAMPED])
async def test_every_change_of_a_row_changes_the_stamp(engine: AsyncEngine, district: District, table: str) -> None:
    del district

    async def stamp() -> str:
        async with read_unit(engine) as unit:
            return await read_stamp(unit)

    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))  # rows that refer to nothing
        if table in _ROWS:
            await connection.execute(text(f"INSERT INTO {table} {_ROWS[table]} ON CONFLICT DO NOTHING"))
    column = await _some_column(engine, table)
    before = await stamp()
    assert before == await stamp()
    async with engine.begin() as connection:
        changed = await connection.execute(text(f"UPDATE {table} SET {column} = {column}"))
        assert changed.rowcount > 0
    after = await stamp()
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        await connection.execute(text(f"DELETE FROM {table}"))
    assert len({before, after, await stamp()}) == 3


async def test_changes_that_add_up_to_the_same_numbers_are_seen(engine: AsyncEngine, district: District) -> None:
    del district
    first, second = (f"UPDATE dispatch.category SET kind = kind WHERE code = '{code}'" for code in ("E0110", "P0102"))
    async with AsyncExitStack() as stack:
        four = [await stack.enter_async_context(engine.connect()) for _ in range(4)]
        # Numbers in a row: the outer two write first, then the inner two, whose sum is the same.
        for connection in four:
            await connection.execute(text("SELECT pg_current_xact_id()"))

        async def write(number: int, statement: str) -> None:
            await four[number].execute(text(statement))
            await four[number].commit()

        async def stamp() -> str:
            async with read_unit(engine) as unit:
                return await read_stamp(unit)

        await write(0, first)
        await write(3, second)
        before = await stamp()
        await write(1, first)
        await write(2, second)
        assert await stamp() != before


async def _some_column(engine: AsyncEngine, table: str) -> str:
    async with engine.connect() as connection:
        found = await connection.scalar(
            text("SELECT attname FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) AND attnum = 1"), {"t": table}
        )
    return str(found)


async def test_what_is_forgotten_while_it_is_looked_at_is_looked_at_again() -> None:
    store = Store()
    cache = ReferenceCache(store.load, store.read_stamp)
    first = await cache.get()
    looking = asyncio.create_task(cache.get(fresh=True))
    await asyncio.sleep(0)
    cache.forget()
    assert await looking is first
    store.stamp = "2"
    assert (await cache.get()).stamp == "2"
    assert (store.loads, store.looks) == (2, 2)


async def test_many_who_ask_at_once_share_the_looks() -> None:
    store = Store()
    cache = ReferenceCache(store.load, store.read_stamp)
    await cache.get()
    found = await asyncio.gather(*(cache.get(fresh=True) for _ in range(100)))
    assert len({id(one) for one in found}) == 1
    # The first one's look began before the others had asked.
    assert (store.loads, store.looks) == (1, 2)
