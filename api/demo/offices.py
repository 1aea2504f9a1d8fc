"""Reference data that the demo needs: jurisdiction, calendar, catalogue, channels, departments, posts and people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import shapely
from shapely.geometry import MultiPolygon, Point

from api.demo.cases import CHANNELS
from api.demo.geometry import SCALE, DemoCell, District
from api.demo.people import DEPARTMENTS, People
from api.demo.places import JURISDICTION
from dispatch.calendars import CalendarDay, seed_calendar, seed_years
from dispatch.catalogue import Catalogue
from geo.coordinates import SRID_WGS84
from geo.storage.grid_versions import CellRecord, GridVersion, activate, copy_cells, create_draft
from geo.storage.uow import WriteUnit

SOURCE = "gridward demo"
#: Every demo case must find its cell and its head already there.
BEFORE = timedelta(days=400)


async def write_reference(unit: WriteUnit, catalogue: Catalogue, *, now: datetime) -> None:
    """Write what is missing; what an administrator already keeps is left as it is."""
    driver = await unit.driver()
    await driver.execute(
        "INSERT INTO geo.jurisdiction (code, name_zh, name_en) VALUES (%s, '郑州市', 'Zhengzhou')"
        " ON CONFLICT (code) DO UPDATE SET name_zh = EXCLUDED.name_zh, name_en = EXCLUDED.name_en"
        " WHERE jurisdiction.name_zh = ''",
        (JURISDICTION,),
    )
    years = [y for y in range(now.year - 2, now.year + 2) if y in seed_years()]
    days: tuple[CalendarDay, ...] = seed_calendar(years)
    await _insert(
        unit,
        "dispatch.calendar_day (jurisdiction, day, kind, name)",
        [(JURISDICTION, d.day, d.kind.value, d.name) for d in days],
    )
    await _insert(unit, "dispatch.calendar_year (jurisdiction, year)", [(JURISDICTION, y) for y in years])
    await _insert(
        unit,
        "dispatch.working_hours (jurisdiction, starts, ends)",
        [(JURISDICTION, time(8), time(12)), (JURISDICTION, time(14), time(18))],
    )
    await _insert(
        unit,
        "dispatch.category (code, code_system, kind, parent, name_zh, name_en)",
        [(c.code, catalogue.code_system, c.kind, c.parent, c.name_zh, c.name_en) for c in catalogue.categories],
    )
    await _insert(
        unit,
        "dispatch.category_condition (category_code, number, name_zh, name_en, limit_value, limit_unit, is_default)",
        [
            (c.category, c.number, c.name_zh, c.name_en, c.limit.value, c.limit.unit.value, c.is_default)
            for c in catalogue.conditions
        ],
    )
    await _insert(unit, "dispatch.channel (code, name_zh, name_en, start_rule)", [c[:4] for c in CHANNELS])
    await _insert(unit, "dispatch.department (code, name_zh, name_en)", list(DEPARTMENTS))


async def write_grid(unit: WriteUnit, district: District, *, now: datetime) -> tuple[GridVersion, dict[str, int]]:
    """Write and activate the grid version; return it with the database id of every cell code."""
    draft = await create_draft(
        unit, JURISDICTION, name="演示网格", code_system="cn15", source=f"{SOURCE} seed={district.seed}"
    )
    # `district.cells` is ordered by level, so parents come before their children.
    await copy_cells(unit, draft.id, map(_record, district.cells), count=len(district.cells))
    version = await activate(unit, draft.id, at=now - BEFORE)
    driver = await unit.driver()
    rows = await (await driver.execute("SELECT code, id FROM geo.cell WHERE version_id = %s", (draft.id,))).fetchall()
    return version, dict(rows)


async def write_people(unit: WriteUnit, people: People, *, now: datetime) -> list[int]:
    """Write persons, posts, appointments and leave; return the posts' ids in order."""
    driver = await unit.driver()
    since = now - BEFORE
    drawn = await driver.execute(
        "SELECT nextval(pg_get_serial_sequence('dispatch.post', 'id')) FROM generate_series(1, %s)",
        (len(people.posts),),
    )
    ids = [row[0] for row in await drawn.fetchall()]
    await _copy(
        unit, "dispatch.person (id, jurisdiction, name)", [(p.id, JURISDICTION, p.name) for p in people.persons]
    )
    await _copy(
        unit,
        "dispatch.post (id, jurisdiction, kind, rank, cell_code, department_code, title_zh, title_en, valid_from)",
        [
            (i, JURISDICTION, p.kind, p.rank, p.cell, p.department, p.title_zh, p.title_en, since)
            for i, p in zip(ids, people.posts, strict=True)
        ],
    )
    await _copy(
        unit,
        "dispatch.appointment (post_id, person_id, valid_from)",
        [(i, people.persons[p.holder].id, since) for i, p in zip(ids, people.posts, strict=True)],
    )
    await _copy(
        unit,
        "dispatch.leave (person_id, starts_at, ends_at, reason)",
        [(people.persons[v.person].id, v.starts_at, v.ends_at, v.reason) for v in people.leaves],
    )
    return ids


def _record(cell: DemoCell) -> CellRecord:
    boundary = shapely.set_srid(MultiPolygon([cell.polygon()]), SRID_WGS84)
    label = shapely.set_srid(Point(cell.label[0] / SCALE, cell.label[1] / SCALE), SRID_WGS84)
    return CellRecord(
        level=cell.level,
        code=cell.code,
        name_zh=cell.name_zh,
        name_en=cell.name_en,
        kind=cell.kind,
        parent=cell.parent,
        path=cell.path,
        population=cell.population,
        households=cell.households,
        area_m2=cell.area_m2,
        boundary=shapely.to_wkb(boundary, hex=True, include_srid=True),
        label_point=shapely.to_wkb(label, hex=True, include_srid=True),
    )


async def _insert(unit: WriteUnit, target: str, rows: Sequence[Sequence[Any]]) -> None:
    driver = await unit.driver()
    values = ", ".join(["%s"] * len(rows[0]))
    async with driver.cursor() as cursor:
        await cursor.executemany(f"INSERT INTO {target} VALUES ({values}) ON CONFLICT DO NOTHING", rows)  # noqa: S608


async def _copy(unit: WriteUnit, target: str, rows: Iterable[Sequence[Any]]) -> None:
    driver = await unit.driver()
    async with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as stream:
        for row in rows:
            await stream.write_row(row)


def utc_now() -> datetime:
    """Return the present instant."""
    return datetime.now(UTC)
