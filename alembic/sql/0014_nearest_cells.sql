-- The deepest cells nearest to a point that no cell covers, by geodesic metres; proven up to 100 km (decision 0006).
-- <-> orders by degrees, and a degree of longitude is shorter than one of latitude, so its first rows are a bound, not the
-- answer: so many cells lie within `reach`. Whatever is nearer meets the ellipse with half-axes reach / M in latitude and
-- reach / (a cos) in longitude: a geodesic of that length stays between the latitudes lat ± reach / M, where its square
-- ds² is at least (M dlat)² + (a cos dlon)², M the smallest radius of a meridian, a that of the equator, cos taken at the
-- far latitude; and in that flat metric nothing is shorter than straight. The ellipse is drawn as a polygon around it
-- (1 / cos(180° / 128) = 1.0003) and taken to pieces, because its one box, for a point 30 km away, holds a whole city.
-- Farther than 100 km, at a pole or across 180° the bound itself is the answer: its distances are right, and a cell that
-- was left out is hardly nearer. Edges are straight in degrees, not geodesic: cut at 0.01° the two differ by < 2 cm.
CREATE OR REPLACE FUNCTION geo.nearest_cells(version int, location geometry, wanted int)
RETURNS TABLE (id bigint, code text, name_zh text, name_en text, path text[], distance_m double precision)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  WITH first AS MATERIALIZED (
    SELECT c.id, c.boundary
      FROM geo.cell AS c
     WHERE c.version_id = version
       AND NOT EXISTS (SELECT FROM geo.cell AS child WHERE child.parent_id = c.id)
     ORDER BY c.boundary <-> location
     LIMIT 4 * wanted),
  bound AS (
    -- To the closest point in degrees: never less than to the cell itself, and a tenth of what that costs.
    SELECT ST_Distance(ST_ClosestPoint(f.boundary, location)::geography, location::geography) + 0.1 AS reach
      FROM first AS f ORDER BY 1 OFFSET wanted - 1 LIMIT 1),
  axes AS (
    SELECT degrees(b.reach / 6335439) AS y,
           degrees(b.reach / (6378137 * cos(radians(abs(ST_Y(location)) + degrees(b.reach / 6335439))))) AS x
      FROM bound AS b WHERE b.reach <= 100000 AND abs(ST_Y(location)) < 88),
  -- Arrays, because the planner takes one for ten rows and walks indexes, where it takes a set for a thousand.
  piece AS (
    SELECT unnest(ARRAY(
      -- Close by, the box around the ellipse holds hardly more cells; to make and cut the ellipse takes milliseconds.
      SELECT ST_MakeEnvelope(ST_X(location) - 1.0004 * a.x, ST_Y(location) - 1.0004 * a.y,
                             ST_X(location) + 1.0004 * a.x, ST_Y(location) + 1.0004 * a.y, 4326)
        FROM axes AS a WHERE a.y <= 0.02 AND abs(ST_X(location)) + 1.0004 * a.x <= 180
       UNION ALL
      SELECT ST_Subdivide(ST_SetSRID(ST_Translate(
               ST_Scale(ST_Buffer(ST_MakePoint(0, 0), 1.0004, 'quad_segs=32'), a.x, a.y),
               ST_X(location), ST_Y(location)), 4326), 8)
        FROM axes AS a WHERE a.y > 0.02 AND abs(ST_X(location)) + a.x <= 180)) AS shape)
  SELECT c.id, c.code, c.name_zh, c.name_en, c.path,
         ST_Distance(ST_Segmentize(c.boundary, 0.01)::geography, location::geography) AS distance_m
    FROM geo.cell AS c
   WHERE c.id = ANY (ARRAY(
           SELECT f.id FROM first AS f WHERE NOT EXISTS (SELECT FROM piece)
            UNION
           SELECT near.id FROM piece AS p CROSS JOIN LATERAL (
             SELECT o.id FROM geo.cell AS o WHERE o.version_id = version AND ST_Intersects(o.boundary, p.shape)) AS near))
     AND NOT EXISTS (SELECT FROM geo.cell AS child WHERE child.parent_id = c.id)
   ORDER BY distance_m, c.code COLLATE "C"
   LIMIT wanted
$$;
