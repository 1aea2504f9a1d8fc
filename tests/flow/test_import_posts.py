"""An office's own tables of departments, people, posts and the matrix, tried before they are taken."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.importing.post_tables import Outcome, TableImport, TableKind, TablesRefusedError, import_table
from dispatch.queries import database_now, responsible_at
from dispatch.storage.routing import responsible_for
from geo.errors import BadInputError
from geo.storage.engine import dsn
from geo.storage.uow import read_unit
from tests.builders import JURISDICTION, L1, WEST
from tests.flow.conftest import District

CELL = f"{WEST}001"
PATH = (L1, WEST, CELL)
DEPARTMENTS = "代码,名称\ngreening,园林绿化所\nwater,供水站\noffice,综治中心\n"
PEOPLE = "姓名,工号,电话\n张伟,ZY-1,13800000001\n张伟,ZY-2,\n李娜,,13800000003\n"
POSTS = (
    "岗位类型,岗位名称,岗别,网格,部门,任职人,共用\n"
    f"网格长,三格网格长,B岗,{WEST},,ZY-1,\n"
    "处置人员,供水处置员,A,,water,李娜,\n"
    f"派遣员,派遣席,,{L1},,ZY-2,是\n"
)
MATRIX = f"cell,category,department,mode\n,P01,water,主办\n{WEST},,greening,协办\n,,office,属地兜底\n"


async def take(engine: AsyncEngine, folder: Path, kind: TableKind, text: str, *, dry_run: bool = False) -> TableImport:
    path = folder / f"{kind}.csv"
    path.write_text(text, encoding="utf-8-sig")
    words = {"网格长": "grid_head", "处置人员": "department_handler", "派遣员": "dispatcher"}
    words |= {"主办": "lead", "协办": "assist", "属地兜底": "fallback"}
    return await import_table(engine, kind, path, jurisdiction=JURISDICTION, dry_run=dry_run, words=words)


async def counts(database: str) -> tuple[int, ...]:
    async with await psycopg.AsyncConnection.connect(dsn(database)) as connection:
        row = await (
            await connection.execute(
                "SELECT (SELECT count(*) FROM dispatch.department), (SELECT count(*) FROM dispatch.person),"
                " (SELECT count(*) FROM dispatch.post), (SELECT count(*) FROM dispatch.routing)"
            )
        ).fetchone()
        assert row is not None
        return tuple(row)


async def test_tables_are_tried_taken_and_taken_again_without_change(
    district: District, engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    before = await counts(database)
    tried = await take(engine, tmp_path, TableKind.DEPARTMENTS, DEPARTMENTS, dry_run=True)
    assert not tried.is_written
    assert tried.counts == {Outcome.ADDED: 3}
    assert await counts(database) == before
    for kind, text in (
        (TableKind.DEPARTMENTS, DEPARTMENTS),
        (TableKind.PEOPLE, PEOPLE),
        (TableKind.POSTS, POSTS),
        (TableKind.MATRIX, MATRIX),
    ):
        assert (await take(engine, tmp_path, kind, text)).counts == {Outcome.ADDED: 3}
        again = await take(engine, tmp_path, kind, text)
        assert again.counts == {Outcome.SAME: 3}, kind
    # P01 has no conditions of its own in this catalogue: its minor class and E0110 are what can be reported.
    assert [(gap.category, gap.cell, gap.fallback) for gap in again.gaps] == [("E0110", f"{L1}002", "office")]
    async with read_unit(engine) as unit:
        now = await database_now(unit)
        answer = await responsible_for(unit, JURISDICTION, (L1, f"{L1}002"), "P0102", now)
        assert answer.head is not None
        assert answer.head.rung.person_name == "李娜"
        ladder = await responsible_at(unit, JURISDICTION, (L1, WEST), now)
        assert [rung.person_name for rung in ladder] == [f"A-{WEST}", "张伟", f"A-{L1}"]


async def test_a_new_holder_follows_the_old_one_and_a_changed_line_the_old_line(
    district: District, engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    for kind, text in ((TableKind.DEPARTMENTS, DEPARTMENTS), (TableKind.PEOPLE, PEOPLE), (TableKind.POSTS, POSTS)):
        await take(engine, tmp_path, kind, text)
    await take(engine, tmp_path, TableKind.MATRIX, MATRIX)
    replaced = await take(engine, tmp_path, TableKind.POSTS, POSTS.replace("李娜", "ZY-2"))
    assert replaced.counts == {Outcome.SAME: 2, Outcome.CHANGED: 1}
    changed = await take(engine, tmp_path, TableKind.MATRIX, MATRIX.replace("P01,water", "P01,greening"))
    assert changed.counts == {Outcome.SAME: 2, Outcome.CHANGED: 1}
    async with await psycopg.AsyncConnection.connect(dsn(database)) as connection:
        lines = await (
            await connection.execute(
                "SELECT department_code, valid_until IS NULL FROM dispatch.routing"
                " WHERE category_code = 'P01' ORDER BY id"
            )
        ).fetchall()
    assert lines == [("water", False), ("greening", True)]


async def test_all_faults_are_told_at_once_with_their_rows_and_nothing_is_written(
    district: District, engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    await take(engine, tmp_path, TableKind.PEOPLE, PEOPLE)
    before = await counts(database)
    bad = (
        "kind,title_zh,rank,cell,department,holder,valid_from\n"
        f"grid_head,又一个,A,{CELL},,,2019-01-01\n"
        "grid_head,没有网格,A,,,,\n"
        "king,国王,A,,,,\n"
        "dispatcher,派遣席,C,,,,\n"
        "dispatcher,派遣席,A,,,张伟,\n"
        "dispatcher,派遣席,A,,,无名,\n"
        "department_handler,处置员,A,,nowhere,,\n"
        f"assistant,协管员,A,{L1}999,,,\n"
        "assistant,协管员,A,,,,昨天\n"
        f"assistant,好的,A,{L1},,ZY-1,\n"
    )
    with pytest.raises(TablesRefusedError) as refused:
        await take(engine, tmp_path, TableKind.POSTS, bad)
    assert [(fault.row, fault.code) for fault in refused.value.faults] == [
        (3, "posts.needs_cell"),
        (4, "posts.unknown_kind"),
        (5, "posts.bad_word"),
        (6, "posts.person_ambiguous"),
        (7, "posts.holder_unknown"),
        (8, "posts.department_unknown"),
        (9, "posts.cell_unknown"),
        (10, "posts.bad_time"),
    ]
    assert await counts(database) == before
    with pytest.raises(BadInputError, match=r"import\.column_missing"):
        await take(engine, tmp_path, TableKind.MATRIX, "cell,category\n,P01\n")
