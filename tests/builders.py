"""Builders with keyword overrides: the smallest district that has everything, and reports to send it.

The district (edges in degrees; level 3 cells are four quarters of the square)::

    34.78 ┌─────────┬─────────┐
          │ …001003 │ …002001 │      level 1: 410102001
    34.76 ├─────────┼─────────┤      level 2: …001 (west half), …002 (east half)
          │ …001001 │ …002002 │
    34.74 └─────────┴─────────┘
        113.60    113.62    113.64
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from shapely import set_srid, to_wkb
from shapely.geometry import MultiPolygon, Point, box
from shapely.geometry.base import BaseGeometry
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.calendars import seed_calendar
from dispatch.storage.tables import (
    AppointmentRow,
    CalendarDayRow,
    CalendarYearRow,
    CategoryConditionRow,
    CategoryRow,
    ChannelRow,
    PersonRow,
    PostRow,
)
from geo.storage.grid_versions import CellRecord, activate, copy_cells, create_draft, ensure_jurisdiction
from geo.storage.uow import WriteUnit, write_unit

JURISDICTION = "410100"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
_NAMES = UUID("0190f0c8-0000-7000-8000-000000000000")

L1 = "410102001"
WEST, EAST = f"{L1}001", f"{L1}002"
CELLS: dict[str, tuple[float, float, float, float]] = {
    L1: (113.60, 34.74, 113.64, 34.78),
    WEST: (113.60, 34.74, 113.62, 34.78),
    EAST: (113.62, 34.74, 113.64, 34.78),
    f"{WEST}001": (113.60, 34.74, 113.62, 34.76),
    f"{WEST}003": (113.60, 34.76, 113.62, 34.78),
    f"{EAST}001": (113.62, 34.76, 113.64, 34.78),
    f"{EAST}002": (113.62, 34.74, 113.64, 34.76),
}
#: Inside cell WEST001, well off its edges.
INSIDE = (113.61, 34.75)
#: The corner that all four quarters share.
CORNER = (113.62, 34.76)
#: 1 km or so west of the district.
OUTSIDE = (113.589, 34.75)


def person_id(name: str) -> UUID:
    """Stable id of a builder's person."""
    return uuid5(_NAMES, name)


@dataclass(frozen=True, kw_only=True)
class District:
    """What to build."""

    jurisdiction: str = JURISDICTION
    cells: Mapping[str, tuple[float, float, float, float]] = field(default_factory=lambda: CELLS)
    #: Cells without any head.
    vacant: tuple[str, ...] = ()


def _ewkb(shape: BaseGeometry) -> str:
    return to_wkb(set_srid(shape, 4326), hex=True, include_srid=True)


def cell_records(cells: Mapping[str, tuple[float, float, float, float]] = CELLS) -> list[CellRecord]:
    """Cells whose parent is the longest code that begins theirs."""
    records = []
    for code, bounds in sorted(cells.items(), key=lambda item: len(item[0])):
        path = [other for other in sorted(cells, key=len) if code.startswith(other)]
        shape = MultiPolygon([box(*bounds)])
        records.append(
            CellRecord(
                level=len(path),
                code=code,
                name_zh=f"网格{code[-3:]}",
                name_en=f"Cell {code[-3:]}",
                kind="ordinary",
                parent=path[-2] if len(path) > 1 else None,
                path=path,
                population=1000,
                households=None,
                area_m2=4_000_000.0,
                boundary=_ewkb(shape),
                label_point=_ewkb(Point(shape.centroid)),
            )
        )
    return records


async def build_district(engine: AsyncEngine, district: District | None = None) -> None:
    """Build a district in a migrated, empty database."""
    district = district or District()
    async with write_unit(engine) as unit:
        await ensure_jurisdiction(unit, district.jurisdiction, time_zone="Asia/Shanghai", metric_srid=4547)
        version = await create_draft(unit, district.jurisdiction, name="test", code_system="cn15", source="builder")
        records = cell_records(district.cells)
        await copy_cells(unit, version.id, records, count=len(records))
        await activate(unit, version.id, at=LONG_AGO)
        await _reference(unit, district.jurisdiction)
        await _heads(unit, district)


async def _reference(unit: WriteUnit, jurisdiction: str) -> None:
    connection = unit.connection
    await connection.execute(
        insert(CalendarDayRow),
        [
            {"jurisdiction": jurisdiction, "day": row.day, "kind": row.kind.value, "name": row.name}
            for row in seed_calendar([2025, 2026])
        ],
    )
    await connection.execute(
        insert(CalendarYearRow), [{"jurisdiction": jurisdiction, "year": year} for year in (2025, 2026)]
    )
    await connection.execute(
        insert(CategoryRow),
        [
            {"code": "P01", "kind": "part", "parent": None, "name_zh": "公用设施", "name_en": "Utilities"},
            {"code": "P0102", "kind": "part", "parent": "P01", "name_zh": "井盖", "name_en": "Manhole cover"},
            {"code": "E01", "kind": "event", "parent": None, "name_zh": "市容环境", "name_en": "Appearance"},
            {"code": "E0110", "kind": "event", "parent": "E01", "name_zh": "暴露垃圾", "name_en": "Exposed rubbish"},
        ],
    )
    await connection.execute(
        insert(CategoryConditionRow),
        [
            _condition("P0102", 1, "缺失", "Missing", 2, "urgent_hour"),
            _condition("P0102", 2, "破损", "Broken", 4, "working_hour"),
            _condition("E0110", 1, "一般", "Ordinary", 4, "urgent_hour", is_default=True),
        ],
    )
    await connection.execute(insert(ChannelRow), [{"code": "hotline", "name_zh": "热线", "name_en": "Hotline"}])


def _condition(
    category: str, number: int, zh: str, en: str, value: int, unit: str, *, is_default: bool = False
) -> dict[str, Any]:
    return {
        "category_code": category,
        "number": number,
        "name_zh": zh,
        "name_en": en,
        "limit_value": value,
        "limit_unit": unit,
        "is_default": is_default,
    }


async def _heads(unit: WriteUnit, district: District) -> None:
    connection = unit.connection
    for code in district.cells:
        for rank in ("A", "B") if len(code) == 15 else ("A",):
            if code in district.vacant:
                continue
            name = f"{rank}-{code}"
            await connection.execute(
                insert(PersonRow).values(id=person_id(name), jurisdiction=district.jurisdiction, name=name)
            )
            post = await connection.execute(
                insert(PostRow)
                .values(
                    jurisdiction=district.jurisdiction,
                    kind="grid_head",
                    rank=rank,
                    cell_code=code,
                    title_zh=f"网格长 {code[-3:]} {rank}岗",
                    title_en=f"Head {code[-3:]} {rank}",
                    valid_from=LONG_AGO,
                )
                .returning(PostRow.id)
            )
            await connection.execute(
                insert(AppointmentRow).values(post_id=post.scalar_one(), person_id=person_id(name), valid_from=LONG_AGO)
            )


async def send_on_leave(unit: WriteUnit, name: str) -> None:
    """Somebody is away from yesterday for a week."""
    driver = await unit.driver()
    await driver.execute(
        "INSERT INTO dispatch.leave (person_id, starts_at, ends_at)"
        " VALUES (%s, now() - interval '1 day', now() + interval '7 days')",
        (person_id(name),),
    )


def report(**overrides: Any) -> dict[str, Any]:
    """A body for POST /v1/reports."""
    lon, lat = INSIDE
    body = {
        "ticket": "T-1",
        "text": "门口有一堆垃圾",
        "category": "E0110",
        "lon": lon,
        "lat": lat,
        "coord_sys": "wgs84",
    }
    return {name: value for name, value in (body | overrides).items() if value is not None}
