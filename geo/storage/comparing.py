"""Two versions side by side: added, removed, redrawn, renamed, re-parented cells."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from psycopg.rows import dict_row

from geo.storage.uow import Unit

TOLERANCE_M2 = 0.01
"""A boundary that only gained a vertex on its straight edge has not been redrawn. Units: m²."""

# Equal bytes settle nearly all cells; only the rest is overlaid.
_COMPARE = """
WITH pair AS (
  SELECT code, a.id AS a_id, b.id AS b_id, coalesce(b.level, a.level) AS level, a.name_zh AS a_zh, b.name_zh AS b_zh,
         a.name_en AS a_en, b.name_en AS b_en, a.path[a.level - 1] AS a_parent, b.path[b.level - 1] AS b_parent,
         a.area_m2 AS a_area, b.area_m2 AS b_area, a.boundary AS a_shape, b.boundary AS b_shape,
         a.id IS NOT NULL AND b.id IS NOT NULL AND NOT ST_OrderingEquals(a.boundary, b.boundary) AS may_differ
    FROM (SELECT * FROM geo.cell WHERE version_id = %(a)s) AS a
    FULL JOIN (SELECT * FROM geo.cell WHERE version_id = %(b)s) AS b USING (code)),
moved AS (
  SELECT p.*, CASE WHEN may_differ THEN ST_CollectionExtract(ST_Difference(b_shape, a_shape), 3) END AS gained,
         CASE WHEN may_differ THEN ST_CollectionExtract(ST_Difference(a_shape, b_shape), 3) END AS lost
    FROM pair AS p),
measured AS (
  SELECT m.*, coalesce(ST_Area(gained::geography), 0) AS gained_m2, coalesce(ST_Area(lost::geography), 0) AS lost_m2
    FROM moved AS m)
SELECT code, level, a_id IS NULL AS is_added, b_id IS NULL AS is_removed, a_zh, b_zh, a_en, b_en, a_parent, b_parent,
       a_area, b_area, gained_m2, lost_m2,
       CASE WHEN %(geometry)s AND gained_m2 > %(tolerance)s THEN ST_AsGeoJSON(gained, 7) END AS gained,
       CASE WHEN %(geometry)s AND lost_m2 > %(tolerance)s THEN ST_AsGeoJSON(lost, 7) END AS lost
  FROM measured
 WHERE a_id IS NULL OR b_id IS NULL OR gained_m2 + lost_m2 > %(tolerance)s
    OR a_zh <> b_zh OR a_en <> b_en OR a_parent IS DISTINCT FROM b_parent
 ORDER BY level, code COLLATE "C"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What differs from the first version to the second, each list by level and code. Units: areas in m²."""

    added: list[dict[str, Any]] = field(default_factory=list)
    removed: list[dict[str, Any]] = field(default_factory=list)
    redrawn: list[dict[str, Any]] = field(default_factory=list)
    renamed: list[dict[str, Any]] = field(default_factory=list)
    reparented: list[dict[str, Any]] = field(default_factory=list)


async def compare_versions(unit: Unit, first: int, second: int, *, geometry: bool = False) -> Comparison:
    """Compare two versions cell by cell; cells are the same when their codes are.

    Parameters
    ----------
    geometry
        Whether the gained and lost areas come along as GeoJSON. SRID: 4326.

    Notes
    -----
    Cost: one join of the two versions by code, and one overlay per cell whose boundary is not the same to the byte.
    """
    found = Comparison()
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_COMPARE, {"a": first, "b": second, "geometry": geometry, "tolerance": TOLERANCE_M2})
        async for row in cursor:
            _sort(found, row)
    return found


def _sort(found: Comparison, row: dict[str, Any]) -> None:
    cell = {"code": row["code"], "level": row["level"]}
    if row["is_added"]:
        found.added.append({**cell, "area_m2": round(row["b_area"], 1)})
        return
    if row["is_removed"]:
        found.removed.append({**cell, "area_m2": round(row["a_area"], 1)})
        return
    if row["gained_m2"] + row["lost_m2"] > TOLERANCE_M2:
        shapes = {name: json.loads(row[name]) for name in ("gained", "lost") if row[name]}
        areas = {"gained_m2": round(row["gained_m2"], 2), "lost_m2": round(row["lost_m2"], 2)}
        found.redrawn.append({**cell, **areas, **shapes})
    if (row["a_zh"], row["a_en"]) != (row["b_zh"], row["b_en"]):
        names = {"from_zh": row["a_zh"], "to_zh": row["b_zh"], "from_en": row["a_en"], "to_en": row["b_en"]}
        found.renamed.append({**cell, **names})
    if row["a_parent"] != row["b_parent"]:
        found.reparented.append({**cell, "from_parent": row["a_parent"], "to_parent": row["b_parent"]})
