"""Reading cells for maps and exports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from geo.storage.uow import Unit

# Assembled by PostgreSQL: parsing and re-encoding some hundred polygons in Python would only cost time. Seven
# decimals are the grid on which vertices are stored, so neighbours' shared edges stay shared in the output.
# Outer rings run anticlockwise and there is no "crs" member, as RFC 7946 asks (§3.1.6, §4).
_FEATURES = """
SELECT coalesce(string_agg(feature, ',' ORDER BY level, code COLLATE "C"), '') AS features,
       ST_XMin(ST_Extent(box)) AS west, ST_YMin(ST_Extent(box)) AS south,
       ST_XMax(ST_Extent(box)) AS east, ST_YMax(ST_Extent(box)) AS north
  FROM (SELECT c.level, c.code, c.boundary AS box, json_build_object(
                 'type', 'Feature', 'id', c.code, 'geometry', ST_AsGeoJSON(ST_ForcePolygonCCW(c.boundary), 7)::json,
                 'properties', json_build_object(
                    'code', c.code, 'level', c.level, 'kind', c.kind, 'name_zh', c.name_zh, 'name_en', c.name_en,
                    'name', CASE WHEN %(locale)s = 'en' THEN coalesce(nullif(c.name_en, ''), c.name_zh)
                                 ELSE coalesce(nullif(c.name_zh, ''), c.name_en) END,
                    'parent', CASE WHEN c.level > 1 THEN c.path[c.level - 1] END,
                    'population', c.population, 'area_m2', round(c.area_m2::numeric, 1),
                    'label', json_build_array(ST_X(c.label_point), ST_Y(c.label_point))))::text AS feature
          FROM geo.cell AS c
         WHERE {where}) AS features
"""
_WHERE = """
c.version_id = %(version)s AND (%(level)s::int IS NULL OR c.level = %(level)s)
AND (%(under)s::text IS NULL OR c.path @> ARRAY[%(under)s::text])
AND (%(west)s::float8 IS NULL OR c.boundary && ST_MakeEnvelope(%(west)s, %(south)s, %(east)s, %(north)s, 4326))
AND (%(after_level)s::int IS NULL OR (c.level, c.code COLLATE "C") > (%(after_level)s, %(after_code)s))
ORDER BY c.level, c.code COLLATE "C" LIMIT %(limit)s
"""
_ROWS = f"""
SELECT c.level, c.code, c.kind, c.name_zh, c.name_en, CASE WHEN c.level > 1 THEN c.path[c.level - 1] END AS parent,
       c.population, c.households, round(c.area_m2::numeric, 1)::float8 AS area_m2,
       round(ST_X(c.label_point)::numeric, 7)::float8 AS lon, round(ST_Y(c.label_point)::numeric, 7)::float8 AS lat
  FROM geo.cell AS c WHERE {_WHERE}
"""  # noqa: S608 - constants only
# The last cell of a page, and the one that follows it.
_TURN = f"""
SELECT p.level, p.code FROM (SELECT c.level, c.code FROM geo.cell AS c WHERE {_WHERE}) AS p
 ORDER BY p.level, p.code COLLATE "C" OFFSET %(last)s
"""  # noqa: S608 - constants only


_SEARCH = """
SELECT c.level, c.code, c.name_zh, c.name_en, c.path, ST_XMin(c.boundary) AS west, ST_YMin(c.boundary) AS south,
       ST_XMax(c.boundary) AS east, ST_YMax(c.boundary) AS north
  FROM geo.cell AS c
 WHERE c.version_id = %(version)s AND (c.code LIKE %(start)s OR c.name_zh ILIKE %(part)s OR c.name_en ILIKE %(part)s)
 ORDER BY c.level, length(c.name_zh), c.code COLLATE "C"
 LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFilter:
    """Which cells of a version; None wants all. ``under``: a cell and everything below it. SRID of ``box``: 4326.

    Parameters
    ----------
    after
        Level and code of a cell that comes before the first one, in the order from the top down.
    """

    level: int | None = None
    under: str | None = None
    box: tuple[float, float, float, float] | None = None
    after: tuple[int, str] | None = None
    limit: int | None = None

    def values(self, version_id: int) -> dict[str, Any]:
        """What the statements ask for."""
        sides = dict(zip(("west", "south", "east", "north"), self.box or (None,) * 4, strict=True))
        after = dict(zip(("after_level", "after_code"), self.after or (None, None), strict=True))
        return {"version": version_id, "level": self.level, "under": self.under, "limit": self.limit, **sides, **after}


async def list_cell_rows(unit: Unit, version_id: int, asked: CellFilter) -> list[dict[str, Any]]:
    """Cells of a version as plain rows, from the top down; without boundaries."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_ROWS.encode(), asked.values(version_id))
        return await cursor.fetchall()


async def last_of_page(unit: Unit, version_id: int, asked: CellFilter) -> tuple[int, str] | None:
    """Level and code of the last cell of a page when more follow; None when it is the last page."""
    if asked.limit is None:
        return None
    values = asked.values(version_id) | {"limit": asked.limit + 1, "last": asked.limit - 1}
    rows = await (await (await unit.driver()).execute(_TURN.encode(), values)).fetchall()
    return (rows[0][0], rows[0][1]) if len(rows) > 1 else None


async def search_cells(unit: Unit, version_id: int, words: str, *, most: int) -> list[dict[str, Any]]:
    """Cells whose name holds the words or whose code begins so, upper levels first; each with its path and box.

    Notes
    -----
    SRID: 4326. Cost: every cell of the version is looked at, about 30 ms for a city of 70,000.
    """
    driver = await unit.driver()
    like = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SEARCH, {"version": version_id, "part": f"%{like}%", "start": f"{like}%", "most": most})
        return await cursor.fetchall()


async def cells_as_geojson(
    unit: Unit, version_id: int, *, level: int | None, locale: str, asked: CellFilter | None = None
) -> str:
    """GeoJSON FeatureCollection (RFC 7946) of a version's cells, as text. SRID: 4326, seven decimals.

    Parameters
    ----------
    asked
        Only some of them; then ``level`` is the filter's.
    """
    asked = asked or CellFilter(level=level)
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        query = _FEATURES.replace("{where}", _WHERE).encode()
        await cursor.execute(query, asked.values(version_id) | {"locale": locale})
        row = await cursor.fetchone()
    assert row is not None
    box = ""
    if row["west"] is not None:
        box = '"bbox":[' + ",".join(repr(round(row[side], 7)) for side in ("west", "south", "east", "north")) + "],"
    return '{"type":"FeatureCollection",' + box + '"features":[' + str(row["features"]) + "]}"


async def grid_centre(unit: Unit, version_id: int) -> tuple[float, float] | None:
    """Centre of a version's extent as (lon, lat), or None when it has no cells."""
    driver = await unit.driver()
    row = await (
        await driver.execute(
            "SELECT ST_X(ST_Centroid(box)), ST_Y(ST_Centroid(box)) FROM"
            " (SELECT ST_Extent(boundary)::geometry AS box FROM geo.cell WHERE version_id = %s AND level = 1) AS e"
            " WHERE box IS NOT NULL",
            (version_id,),
        )
    ).fetchone()
    return (row[0], row[1]) if row else None


async def codes_ever_used(unit: Unit, jurisdiction: str, prefix: str) -> set[str]:
    """Codes that begin with a prefix in any version of a jurisdiction, drafts included. Cost: a pass over them."""
    driver = await unit.driver()
    rows = await (
        await driver.execute(
            "SELECT DISTINCT c.code FROM geo.grid_version AS v JOIN geo.cell AS c ON c.version_id = v.id"
            " WHERE v.jurisdiction = %s AND starts_with(c.code, %s)",
            (jurisdiction, prefix),
        )
    ).fetchall()
    return {row[0] for row in rows}
