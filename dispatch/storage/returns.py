"""Evidence of returns: a point laid against the polygon that answered, in the version in which it was drawn."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import dict_row

from geo.storage.uow import Unit, WriteUnit

__all__ = ["ReturnEvidence", "add_return", "distance_to", "drawn_return", "find_valid_cell", "list_returns"]

# ``edge`` is exact: the point lies on the outline itself, where rule edge-1 decides to which cell it belongs. The
# outline's distance is geodesic, so it is true metres on both sides of it.
_ADD = """
INSERT INTO dispatch.case_return (
       case_id, number, returned_at, returned_by, reason, post_id, point, point_from, raw_x, raw_y, coord_sys,
       version_id, cell_id, cell_code, relation, distance_m, covering_code, covering_path, tie_rule)
SELECT c.id, %(number)s, %(at)s, %(by)s, %(reason)s, c.owner_post_id, at.point,
       CASE WHEN %(lon)s::float8 IS NOT NULL THEN 'given' WHEN at.point IS NOT NULL THEN 'stored' ELSE 'none' END,
       coalesce(%(raw_x)s::float8, c.raw_x), coalesce(%(raw_y)s::float8, c.raw_y),
       coalesce(%(coord_sys)s, c.coord_sys), answering.version_id, g.id, g.code,
       CASE WHEN g.id IS NULL OR at.point IS NULL THEN 'unknown'
            WHEN ST_Intersects(ST_Boundary(g.boundary), at.point) THEN 'edge'
            WHEN ST_Covers(g.boundary, at.point) THEN 'inside'
            ELSE 'outside' END,
       CASE WHEN at.point IS NOT NULL THEN
         ST_Distance(ST_Boundary(g.boundary)::geography, at.point::geography) END,
       covering.code, coalesce(covering.path, '{}'), c.tie_rule
  FROM dispatch.dispatch_case AS c
 CROSS JOIN LATERAL (
       SELECT CASE WHEN %(lon)s::float8 IS NOT NULL THEN ST_SetSRID(ST_MakePoint(%(lon)s, %(lat)s), 4326)
                   ELSE c.location END AS point) AS at
 CROSS JOIN LATERAL (
       SELECT coalesce(c.owner_version_id, c.grid_version_id) AS version_id,
              coalesce(c.owner_path, c.cell_path) AS path) AS answering
  LEFT JOIN geo.cell AS g
         ON g.version_id = answering.version_id AND g.code = answering.path[cardinality(answering.path)]
  LEFT JOIN LATERAL geo.covering_cell(answering.version_id, at.point) AS covering ON true
 WHERE c.id = %(id)s
RETURNING relation, distance_m, cell_code, covering_code, point_from
"""

_LIST = """
SELECT r.number, r.returned_at, r.returned_by, r.reason, r.point_from, ST_X(r.point) AS lon, ST_Y(r.point) AS lat,
       r.raw_x, r.raw_y, r.coord_sys, r.relation, r.distance_m, r.tie_rule, r.cell_code, r.covering_code,
       r.covering_path, v.number AS version_number, v.name AS version_name, g.name_zh AS cell_zh, g.name_en AS cell_en,
       p.title_zh AS post_zh, p.title_en AS post_en {more}
  FROM dispatch.case_return AS r
  LEFT JOIN geo.grid_version AS v ON v.id = r.version_id
  LEFT JOIN geo.cell AS g ON g.version_id = r.version_id AND g.id = r.cell_id
  LEFT JOIN dispatch.post AS p ON p.id = r.post_id
  LEFT JOIN geo.cell AS k ON k.version_id = r.version_id AND k.code = r.covering_code
 WHERE r.case_id = %(id)s AND (%(number)s::int IS NULL OR r.number = %(number)s)
 ORDER BY r.number
"""
_SHAPES = """,
       ST_AsGeoJSON(g.boundary, 7) AS boundary, ST_AsGeoJSON(k.boundary, 7) AS covering_boundary,
       CASE WHEN r.point IS NOT NULL THEN
         ST_AsGeoJSON(ST_ShortestLine(r.point, ST_Boundary(g.boundary)), 7) END AS shortest"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnEvidence:
    """What a return rests on. SRID: 4326 for lon, lat. Units: distance_m metres to the outline, on either side."""

    number: int
    returned_at: datetime
    returned_by: str
    reason: str
    point_from: str
    lon: float | None
    lat: float | None
    raw_x: float | None
    raw_y: float | None
    coord_sys: str | None
    relation: str
    distance_m: float | None
    tie_rule: str
    cell_code: str | None
    covering_code: str | None
    covering_path: list[str]
    version_number: int | None
    version_name: str | None
    cell_zh: str | None
    cell_en: str | None
    post_zh: str | None
    post_en: str | None


async def add_return(
    unit: WriteUnit,
    case_id: UUID,
    *,
    number: int,
    at: datetime,
    by: str,
    reason: str,
    lonlat: tuple[float, float] | None,
    raw: tuple[float, float, str] | None,
) -> dict[str, Any]:
    """Keep a return's evidence and give the gist of it for the history. SRID: 4326 for ``lonlat``."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            _ADD,
            {
                "id": case_id,
                "number": number,
                "at": at,
                "by": by,
                "reason": reason,
                "lon": lonlat[0] if lonlat else None,
                "lat": lonlat[1] if lonlat else None,
                "raw_x": raw[0] if raw else None,
                "raw_y": raw[1] if raw else None,
                "coord_sys": raw[2] if raw else None,
            },
        )
        found = await cursor.fetchone()
    assert found is not None
    return found


async def distance_to(unit: Unit, case_id: UUID, lon: float, lat: float) -> float | None:
    """Geodesic metres from a case's point to another one. SRID: 4326. None when the case has no point."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT ST_Distance(location::geography, ST_SetSRID(ST_MakePoint(%s, %s), 4326)::geography)"
            " FROM dispatch.dispatch_case WHERE id = %s",
            (lon, lat, case_id),
        )
    ).fetchone()
    return row[0] if row else None


async def list_returns(unit: Unit, case_id: UUID) -> list[ReturnEvidence]:
    """The returns of a case with their evidence, oldest first."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_LIST.replace("{more}", ""), {"id": case_id, "number": None})
        return [ReturnEvidence(**row) for row in await cursor.fetchall()]


async def drawn_return(unit: Unit, case_id: UUID, number: int) -> tuple[ReturnEvidence, dict[str, Any]] | None:
    """One return with its shapes as GeoJSON geometries: the cell, the covering cell, the way to the outline."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_LIST.replace("{more}", _SHAPES), {"id": case_id, "number": number})
        row = await cursor.fetchone()
    if row is None:
        return None
    shapes = {name: row.pop(name) for name in ("boundary", "covering_boundary", "shortest")}
    drawn = {name: orjson.loads(text) if text else None for name, text in shapes.items()}
    return ReturnEvidence(**row), drawn


async def find_valid_cell(unit: Unit, jurisdiction: str, code: str, at: datetime) -> tuple[int, list[str]] | None:
    """Version and path of a cell of the grid valid at an instant."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT c.version_id, c.path FROM geo.valid_version(%s, %s) AS v"
            " JOIN geo.cell AS c ON c.version_id = v.id WHERE c.code = %s",
            (jurisdiction, at, code),
        )
    ).fetchone()
    return (row[0], list(row[1])) if row else None
