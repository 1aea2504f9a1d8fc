"""Reading the cells of a version with everything that a file of them carries."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from geo.storage.uow import Unit

__all__ = ["ExportedCell", "read_exported_cells"]

_CELLS = """
SELECT level, code, kind, name_zh, name_en, CASE WHEN level > 1 THEN path[level - 1] END AS parent, population,
       households, area_m2, ST_AsBinary(boundary) AS boundary
  FROM geo.cell WHERE version_id = %(version)s AND (%(level)s::int IS NULL OR level = %(level)s)
 ORDER BY level, code COLLATE "C"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedCell:
    """A cell with its attributes. SRID: 4326 for ``boundary`` (WKB). Units: ``area_m2`` square metres."""

    level: int
    code: str
    kind: str
    name_zh: str
    name_en: str
    parent: str | None
    population: int | None
    households: int | None
    area_m2: float
    boundary: bytes


async def read_exported_cells(unit: Unit, version_id: int, *, level: int | None = None) -> list[ExportedCell]:
    """Return the cells of a version, or of one of its levels; parents before their children."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=class_row(ExportedCell), binary=True) as cursor:
        await cursor.execute(_CELLS, {"version": version_id, "level": level})
        return await cursor.fetchall()
