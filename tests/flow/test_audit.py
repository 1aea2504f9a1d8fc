"""The audit trail: one chain whoever writes, every byte of it guarded, and everything in it that belongs there."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api import retention
from api.audit.trail import Actor, Finding, Head, Kind, find_head, list_records, record, verify
from api.audit.watched import kind_of
from api.cli import records
from api.retention import RetentionDuty, read_heads
from api.settings import Settings
from geo.storage.engine import dsn
from geo.storage.uow import EVERYBODY, NOBODY, Unit, read_unit, write_unit
from tests.flow.conftest import Client

WHO = Actor(kind="person", id="wang")


async def write(engine: AsyncEngine, count: int, subject: str = "x") -> None:
    for number in range(count):
        async with write_unit(engine) as unit:
            await record(unit, Kind.SETTINGS_CHANGED, f"{subject}-{number}", actor=WHO, where="西里路 é\u2028", n=1.50)


async def check(engine: AsyncEngine, *known: Head) -> tuple[int, Finding | None]:
    async with read_unit(engine) as unit:
        return await verify(unit, known)


def tamper(database: str, statement: str, *values: Any) -> None:
    """Change records as somebody can who owns the database: guards off, change, guards on."""
    with psycopg.connect(dsn(database)) as connection:
        connection.execute("ALTER TABLE audit.record DISABLE TRIGGER USER")
        connection.execute(statement.encode(), values)
        connection.execute("ALTER TABLE audit.record ENABLE TRIGGER USER")


async def test_eight_writers_make_one_chain(engine: AsyncEngine) -> None:
    async def broken() -> None:
        for _ in range(5):
            async with engine.connect() as connection:
                await record(Unit(connection=connection), Kind.SETTINGS_CHANGED, "undone", actor=WHO)
                await connection.rollback()

    await asyncio.gather(broken(), *(write(engine, 25, str(writer)) for writer in range(8)))
    assert await check(engine) == (200, None)
    async with read_unit(engine) as unit:
        rows = await list_records(unit, limit=1000)
    assert len({bytes(row["previous"]) for row in rows}) == 200
    assert not any(row["subject"] == "undone" for row in rows)


async def test_no_role_and_no_owner_changes_a_record(engine: AsyncEngine, database: str) -> None:
    await write(engine, 3)
    for statement in ("UPDATE audit.record SET subject = 'y'", "DELETE FROM audit.record", "TRUNCATE audit.record"):
        with psycopg.connect(dsn(database)) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement)
    for viewer in (NOBODY, EVERYBODY):
        async with write_unit(engine, viewer=viewer) as unit:
            await record(unit, Kind.SETTINGS_CHANGED, "by a caller", actor=WHO)
            driver = await unit.driver()
            for statement in ("SELECT FROM audit.record", "INSERT INTO audit.record DEFAULT VALUES"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    async with driver.transaction():
                        await driver.execute(statement.encode())
    assert await check(engine) == (5, None)


async def test_any_byte_that_is_changed_is_found(engine: AsyncEngine, database: str) -> None:
    await write(engine, 40)
    dice = random.Random(13)
    columns = ("content", "subject", "kind", "actor_id", "actor_kind", "digest", "previous", "detail", "recorded_at")
    for column in columns * 2:
        number = dice.randint(1, 40)
        change = {
            "digest": "set_byte(digest, %s, get_byte(digest, 0) # 1)",
            "previous": "set_byte(previous, %s, 255 - get_byte(previous, 0))",
            "detail": "detail || jsonb_build_object('n', %s + 2)",
            "recorded_at": "recorded_at + make_interval(secs => 0.000001 * (1 + %s))",
        }.get(column, f"overlay({column} placing '~' from 1 + %s)")
        with psycopg.connect(dsn(database)) as connection:
            was = connection.execute("SELECT * FROM audit.record WHERE number = %s", (number,)).fetchone()
        tamper(database, f"UPDATE audit.record SET {column} = {change} WHERE number = {number}", 0)
        sound, finding = await check(engine)
        assert finding is not None, column
        assert finding.number in {number, number + 1}
        assert sound == finding.number - 1
        assert was is not None
        places = ", ".join(["%s"] * len(was))
        tamper(database, f"DELETE FROM audit.record WHERE number = {number}")
        values = [psycopg.types.json.Jsonb(value) if isinstance(value, dict) else value for value in was]
        tamper(database, f"INSERT INTO audit.record VALUES ({places})", *values)
        assert await check(engine) == (40, None)


async def test_what_is_missing_or_cut_off_is_found(engine: AsyncEngine, database: str) -> None:
    await write(engine, 10)
    async with read_unit(engine) as unit:
        head = await find_head(unit)
    assert head is not None
    assert head.number == 10
    tamper(database, "DELETE FROM audit.record WHERE number = 10")
    assert await check(engine) == (9, None)
    assert await check(engine, head) == (9, Finding(code="cut", number=10))
    await write(engine, 1, "forged")
    assert await check(engine, head) == (9, Finding(code="other_head", number=10))
    tamper(database, "DELETE FROM audit.record WHERE number = 4")
    assert await check(engine) == (3, Finding(code="missing", number=4))


async def test_the_head_is_written_down_between_the_looks_for_what_is_over(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty = RetentionDuty(engine=engine, settings=Settings(), place=tmp_path)
    stopping = asyncio.Event()
    await write(engine, 2)
    await duty.run_once(stopping)
    await write(engine, 1)
    await duty.run_once(stopping)
    assert [head.number for head in read_heads(tmp_path)] == [2]
    monkeypatch.setattr(retention, "_HEAD_EVERY_S", 0.0)
    await duty.run_once(stopping)
    await duty.run_once(stopping)
    heads = read_heads(tmp_path)
    assert [head.number for head in heads] == [2, 3]
    assert await check(engine, *heads) == (3, None)


async def test_a_guard_that_is_off_is_found(engine: AsyncEngine, database: str) -> None:
    await write(engine, 2)
    with psycopg.connect(dsn(database)) as connection:
        connection.execute("ALTER TABLE audit.record DISABLE TRIGGER append_only")
    assert await check(engine) == (2, Finding(code="unguarded", number=2))


async def test_keys_accounts_and_settings_leave_records(client: Client, engine: AsyncEngine) -> None:
    made = (await client.post("/v1/keys", json={"channel": "west", "scopes": ["cases:read"]})).json()
    await client.post(f"/v1/keys/{made['prefix']}:rotate", json={})
    await client.delete(f"/v1/keys/{made['prefix']}")
    await client.post("/v1/accounts", json={"login": "li", "name": "李四", "grants": [{"role": "planner"}]})
    answer = await client.patch("/v1/channels/west", json={"declared_coord_sys": "gcj02"})
    assert answer.status_code in {200, 422}, answer.text
    found = (await client.get("/v1/audit")).json()["records"]
    kinds = [one["kind"] for one in found]
    assert {"key.created", "key.rotated", "key.revoked", "account.created", "role.granted"} <= set(kinds)
    assert all(one["actor_kind"] in {"key", "cli"} for one in found)
    only = (await client.get("/v1/audit", params={"kind": "key", "subject": made["prefix"]})).json()["records"]
    assert [one["kind"] for one in only] == ["key.revoked", "key.rotated", "key.created"]
    assert only[0]["what"] == "Key revoked"
    assert "李四" not in str(found)
    page = (await client.get("/v1/audit", params={"limit": 2})).json()
    rest = (await client.get("/v1/audit", params={"before": page["next_before"]})).json()["records"]
    assert [one["number"] for one in page["records"] + rest] == [one["number"] for one in found]
    head = (await client.get("/v1/audit/head")).json()
    assert (head["number"], head["digest"]) == (found[0]["number"], found[0]["digest"])
    assert (await client.get("/v1/audit/check")).json() == {
        "sound": len(found),
        "is_whole": True,
        "broken_at": None,
        "why": None,
    }


async def test_only_whoever_may_reads_the_trail(client: Client, make_key: Any) -> None:
    key = await make_key()
    for path in ("/v1/audit", "/v1/audit/head", "/v1/audit/check"):
        answer = await client.get(path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 403


def test_no_command_writes_or_takes_away_without_a_record() -> None:
    """`people` and `keys` call what records by itself, `up` and `test` change no data, the demo is one."""
    silent = {"people", "keys", "demo", "up", "testing", "data_dir", "supervising", "locating", "channels", "facts"}
    acts = re.compile(r"write_unit\(|write_bytes\(|write_cells|\.open\(\"w\"|await import_")
    for module in sorted(Path(records.__file__).parent.glob("*.py")):
        text = module.read_text(encoding="utf-8")
        if module.stem not in silent and acts.search(text):
            assert re.search(r"\b(record|note)\(", text), f"{module.name} changes something and records nothing"


def test_changes_are_recorded_by_what_they_change() -> None:
    assert kind_of("/v1/calendars/2027", by_administrator=False) is Kind.SETTINGS_CHANGED
    assert kind_of("/v1/grid/versions/3/activate", by_administrator=False) is Kind.GRID_ACTIVATED
    assert kind_of("/v1/grid/versions/3/operations", by_administrator=True) is None
    assert kind_of("/v1/cases/x/moves", by_administrator=True) is Kind.CASE_MOVED
    assert kind_of("/sign-in", by_administrator=True) is None
