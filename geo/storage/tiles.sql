-- One vector tile. Held by tests/db/test_tiles.py: the plan goes through ix_cell_tile_shape_place, level included.
--
-- Not ST_AsMVTGeom: it simplifies every ring for itself (Douglas-Peucker at half a unit), so neighbours lose different
-- vertices of the edge they share and slits open. Here every vertex is rounded to the tile's units and nothing else.
-- ST_Affine turns metres into units with y pointing down; only what reaches beyond the tile and its margin is cut.
WITH address AS (
    SELECT ST_TileEnvelope(%(zoom)s::int, %(x)s::int, %(y)s::int) AS box
), tile AS (
    SELECT ST_Expand(box, (ST_XMax(box) - ST_XMin(box)) * 64 / 4096) AS bounds,
           4096 / (ST_XMax(box) - ST_XMin(box)) AS units_per_m, ST_XMin(box) AS west, ST_YMax(box) AS north
      FROM address
), shown AS (
    SELECT placed.*
      FROM tile AS t
     CROSS JOIN unnest(%(levels)s::smallint[]) AS wanted (level)
     CROSS JOIN LATERAL (
           SELECT c.cell_id AS id, c.level, c.code,
                  CASE WHEN %(with_details)s::boolean THEN c.kind END AS kind,
                  CASE WHEN %(with_details)s::boolean THEN c.parent END AS parent,
                  CASE WHEN %(with_details)s::boolean THEN c.name_zh END AS name_zh,
                  CASE WHEN %(with_details)s::boolean THEN c.name_en END AS name_en,
                  ST_SnapToGrid(
                      ST_Affine(
                          CASE WHEN c.shape @ t.bounds THEN c.shape
                               ELSE ST_ForcePolygonCW(ST_CollectionExtract(ST_ClipByBox2D(c.shape, t.bounds), 3)) END,
                          t.units_per_m, 0, 0, -t.units_per_m, -t.west * t.units_per_m, t.north * t.units_per_m),
                      1) AS geom
             FROM geo.cell_tile_shape AS c
            WHERE c.version_id = %(version)s::int AND c.band = %(band)s::smallint AND c.level = wanted.level
              AND c.shape && t.bounds
           -- A fence: without it the shape would be worked out twice, and the level compared after the fact.
           OFFSET 0
           ) AS placed
     -- What is smaller than a unit is not there to be seen, and a ring without area would be invalid.
     WHERE ST_Area(placed.geom) > 0
)
SELECT ST_AsMVT(shown, %(layer)s::text, 4096, 'geom', 'id') FROM shown
