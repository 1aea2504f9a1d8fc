-- Open cases whose owner was chosen by another grid version than the one valid now: where each lies in the valid one,
-- and who answers there. The two range scans leave out the many cases that are up to date; OR would read them all.
WITH stale AS (
  SELECT c.id
    FROM geo.jurisdiction AS j
    CROSS JOIN LATERAL geo.valid_version(j.code, now()) AS v
    CROSS JOIN LATERAL (
      (SELECT b.id FROM dispatch.dispatch_case AS b
        WHERE b.jurisdiction = j.code AND coalesce(b.owner_version_id, b.grid_version_id, 0) < v.id AND b.{states}
        LIMIT %(batch)s)
      UNION ALL
      (SELECT a.id FROM dispatch.dispatch_case AS a
        WHERE a.jurisdiction = j.code AND coalesce(a.owner_version_id, a.grid_version_id, 0) > v.id AND a.{states}
        LIMIT %(batch)s)) AS c
   LIMIT %(batch)s)
SELECT c.id, c.jurisdiction, c.state, c.owner_post_id, c.cell_path, coalesce(c.owner_path, c.cell_path) AS old_path,
       {kept_ladder} AS owner_ladder, v.id AS version_id, v.number AS version_number, found.path AS new_path,
       (SELECT jsonb_agg(to_jsonb(s) ORDER BY s.step)
          -- A department that has the case keeps it: only the territory has been redrawn.
          FROM dispatch.duty_ladder(
                 c.jurisdiction, found.path,
                 (SELECT r ->> 'department' FROM jsonb_array_elements({kept_ladder}) AS r
                   WHERE r ->> 'department' IS NOT NULL LIMIT 1),
                 now()) AS s) AS ladder
  FROM dispatch.dispatch_case AS c
  CROSS JOIN LATERAL geo.valid_version(c.jurisdiction, now()) AS v
  LEFT JOIN LATERAL geo.covering_cell(v.id, c.location) AS found ON true
 WHERE c.id IN (SELECT id FROM stale)
   AND c.{states} AND coalesce(c.owner_version_id, c.grid_version_id, 0) <> v.id
   FOR UPDATE OF c SKIP LOCKED
