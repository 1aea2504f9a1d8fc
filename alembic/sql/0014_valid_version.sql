-- The version valid at an instant, with its revision: a version that was scheduled, withdrawn, redrawn and activated
-- again keeps its id, so only both together name the cells that a process has seen (decision 0024).
DROP FUNCTION geo.valid_version(text, timestamptz);
CREATE FUNCTION geo.valid_version(in_jurisdiction text, at timestamptz)
RETURNS TABLE (id int, number int, name text, valid_from timestamptz, valid_until timestamptz, revision int)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT v.id, v.number, v.name, v.valid_from, v.valid_until, v.revision
    FROM geo.grid_version AS v
   WHERE v.jurisdiction = in_jurisdiction
     AND v.status = 'published'
     AND v.valid_from <= at
     AND (v.valid_until IS NULL OR v.valid_until > at)
$$;
