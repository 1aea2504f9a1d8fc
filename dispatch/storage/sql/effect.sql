-- What a version would change if it were valid: where every open case lies in it, and who would answer there.
WITH placed AS MATERIALIZED (
  SELECT c.ref, c.state, c.owner_post_id, coalesce(c.owner_path, c.cell_path) AS old_path, {kept_ladder} AS owner_ladder,
         ST_X(c.location) AS lon, ST_Y(c.location) AS lat, found.path AS new_path,
         EXISTS (SELECT FROM jsonb_array_elements({kept_ladder}) AS r
                  WHERE r ->> 'department' IS NOT NULL) AS is_led
    FROM dispatch.dispatch_case AS c
    LEFT JOIN LATERAL geo.covering_cell(%(version)s, c.location) AS found ON true
   WHERE c.jurisdiction = %(jurisdiction)s AND c.location IS NOT NULL AND c.{states}),
ladders AS MATERIALIZED (
  SELECT p.new_path,
         (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.step)
            FROM dispatch.responsible_ladder(%(jurisdiction)s, p.new_path, %(at)s) AS s) AS ladder
    FROM (SELECT DISTINCT new_path FROM placed WHERE new_path IS NOT NULL) AS p)
-- A case that a department has stays with it, whoever's territory it lies in.
SELECT p.*, CASE WHEN NOT p.is_led THEN l.ladder END AS ladder
  FROM placed AS p LEFT JOIN ladders AS l USING (new_path) ORDER BY p.ref
