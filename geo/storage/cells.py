"""Reading cells for maps and exports."""

from __future__ import annotations

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
         WHERE c.version_id = %(version)s AND (%(level)s::int IS NULL OR c.level = %(level)s)) AS features
"""


async def cells_as_geojson(unit: Unit, version_id: int, *, level: int | None, locale: str) -> str:
    """GeoJSON FeatureCollection (RFC 7946) of a version's cells, as text. SRID: 4326, seven decimals."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_FEATURES, {"version": version_id, "level": level, "locale": locale})
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
