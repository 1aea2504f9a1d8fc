"""A small district with real rows: two subdistricts, posts, the default categories, a channel with a key."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg

from api.accounts.keys import create_key
from dispatch.catalogue import load_default
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit

WEST, SOUTH = 113.6300, 34.7400
STEP = 0.0030
CITY = "410102"


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    """What tests need to report into the district."""

    key: str
    inside: tuple[float, float] = (WEST + STEP / 2, SOUTH + STEP / 2)
    outside: tuple[float, float] = (WEST + 40 * STEP, SOUTH + 40 * STEP)


def build(url: str) -> District:
    """Fill a migrated, empty database.

    Notes
    -----
    Shape: 2 cells of level 1, each 2 × 1 of level 2, each 2 × 2 of level 3; edges shared. SRID: 4326.
    """
    with psycopg.connect(dsn(url)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "INSERT INTO geo.jurisdiction (code, name_zh, name_en) VALUES (%s, '中原区', 'Zhongyuan')", (CITY,)
        )
        cursor.execute("INSERT INTO geo.grid_version (jurisdiction, number) VALUES (%s, 1) RETURNING id", (CITY,))
        version = _only(cursor)
        for first in range(2):
            top = f"{CITY}{first + 1:03d}"
            west = WEST + first * 4 * STEP
            name = f"测试{'西东'[first]}街道"
            one = _cell(cursor, version, (top,), name, None, (west, SOUTH, west + 4 * STEP, SOUTH + 2 * STEP))
            for second in range(2):
                middle = f"{top}{second + 1:03d}"
                left = west + second * 2 * STEP
                box = (left, SOUTH, left + 2 * STEP, SOUTH + 2 * STEP)
                two = _cell(cursor, version, (top, middle), f"第{second + 1}社区", one, box)
                for third in range(4):
                    x, y = left + third % 2 * STEP, SOUTH + third // 2 * STEP
                    path = (top, middle, f"{middle}{third + 1:03d}")
                    _cell(cursor, version, path, f"{second + 1}-{third + 1:02d} 楼院", two, (x, y, x + STEP, y + STEP))
        cursor.execute("UPDATE geo.grid_version SET status = 'published', valid_from = now() WHERE id = %s", (version,))
        _categories(cursor)
        cursor.execute(
            "INSERT INTO dispatch.working_hours (jurisdiction, starts, ends)"
            " VALUES (%(city)s, '08:00', '12:00'), (%(city)s, '14:00', '18:00')",
            {"city": CITY},
        )
    # In a thread of its own: Playwright keeps an event loop running in this one.
    with ThreadPoolExecutor(1) as pool:
        return District(key=pool.submit(lambda: asyncio.run(_key(url))).result())


def _only(cursor: psycopg.Cursor[tuple[int]] | psycopg.Cursor) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])


def _cell(
    cursor: psycopg.Cursor,
    version: int,
    path: tuple[str, ...],
    name: str,
    parent: int | None,
    box: tuple[float, float, float, float],
) -> int:
    cursor.execute(
        "INSERT INTO geo.cell"
        " (version_id, level, code, name_zh, name_en, parent_id, path, area_m2, boundary, label_point)"
        " SELECT %s, %s, %s, %s, %s, %s, %s, ST_Area(e::geography), ST_Multi(e), ST_Centroid(e)"
        " FROM ST_MakeEnvelope(%s, %s, %s, %s, 4326) AS e RETURNING id",
        (version, len(path), path[-1], name, f"Cell {path[-1][6:]}", parent, list(path), *(round(v, 7) for v in box)),
    )
    cell = _only(cursor)
    for rank, who in (("A", "甲"), ("B", "乙")):
        cursor.execute(
            "INSERT INTO dispatch.post (jurisdiction, kind, rank, cell_code, title_zh, title_en, valid_from)"
            " VALUES (%s, 'grid_head', %s, %s, %s, %s, now() - interval '1 day') RETURNING id",
            (CITY, rank, path[-1], f"{name}网格长（{rank} 岗）", f"Grid head {path[-1][6:]} ({rank})"),
        )
        post = _only(cursor)
        cursor.execute(
            "WITH p AS (INSERT INTO dispatch.person (id, jurisdiction, name)"
            "  VALUES (gen_random_uuid(), %s, %s) RETURNING id)"
            " INSERT INTO dispatch.appointment (post_id, person_id, valid_from)"
            " SELECT %s, id, now() - interval '1 day' FROM p",
            (CITY, f"{who}{path[-1][-3:]}", post),
        )
    return cell


def _categories(cursor: psycopg.Cursor) -> None:
    catalogue = load_default()
    cursor.executemany(
        "INSERT INTO dispatch.category (code, code_system, kind, parent, name_zh, name_en)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(c.code, catalogue.code_system, c.kind, c.parent, c.name_zh, c.name_en) for c in catalogue.categories],
    )
    cursor.executemany(
        "INSERT INTO dispatch.category_condition"
        " (category_code, number, name_zh, name_en, limit_value, limit_unit, is_default)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [
            (c.category, c.number, c.name_zh, c.name_en, c.limit.value, c.limit.unit.value, c.is_default)
            for c in catalogue.conditions
        ],
    )


async def _key(url: str) -> str:
    engine = create_engine(url, name="test")
    try:
        async with write_unit(engine) as unit:
            return await create_key(unit, "12345")
    finally:
        await engine.dispose()
