-- The two rules that SQL owns, each in one function so that lookup, intake and import cannot disagree.

-- Tie rule "edge-1": of all cells of the version whose boundary covers the point, the deepest level first, then
-- the smallest code in code-point order. ST_Covers, not ST_Contains: the latter loses every point on an edge.
-- A set-returning SQL function, so that the planner inlines it into LATERAL and uses the GiST index per point.
CREATE FUNCTION geo.covering_cell(version int, location geometry)
RETURNS TABLE (id bigint, level smallint, code text, path text[])
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT c.id, c.level, c.code, c.path
    FROM geo.cell AS c
   WHERE c.version_id = version
     AND ST_Covers(c.boundary, location)
   ORDER BY c.level DESC, c.code COLLATE "C"
   LIMIT 1
$$;

-- Cells near a point that no cell covers. The <-> order is in degrees, where a degree of longitude is shorter than
-- one of latitude; so take more candidates than asked for by the index and rank them by geodesic distance.
CREATE FUNCTION geo.nearest_cells(version int, location geometry, wanted int)
RETURNS TABLE (id bigint, code text, name_zh text, name_en text, path text[], distance_m double precision)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT near.id, near.code, near.name_zh, near.name_en, near.path,
         ST_Distance(near.boundary::geography, location::geography) AS distance_m
    FROM (SELECT c.id, c.code, c.name_zh, c.name_en, c.path, c.boundary
            FROM geo.cell AS c
           WHERE c.version_id = version
             AND NOT EXISTS (SELECT FROM geo.cell AS child WHERE child.parent_id = c.id)
           ORDER BY c.boundary <-> location
           LIMIT 4 * wanted) AS near
   ORDER BY distance_m, near.code COLLATE "C"
   LIMIT wanted
$$;

-- Who answers for a cell at an instant, best first: the cell's own A post, its B post, then the parent's A and B,
-- up to level 1. A rung nobody can take (vacant, on leave) stays in the list: it is the "why" of the answer.
CREATE FUNCTION dispatch.responsible_ladder(in_jurisdiction text, in_path text[], at timestamptz)
RETURNS TABLE (
  step bigint, level int, cell_code text, rank text, post_id bigint, title_zh text, title_en text,
  person_id uuid, person_name text, leave_until timestamptz, is_available boolean
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT row_number() OVER (ORDER BY array_position(in_path, p.cell_code) DESC, p.rank),
         array_position(in_path, p.cell_code), p.cell_code, p.rank, p.id, p.title_zh, p.title_en,
         holder.id, holder.name, away.ends_at,
         holder.id IS NOT NULL AND away.ends_at IS NULL
    FROM dispatch.post AS p
    LEFT JOIN dispatch.appointment AS a
           ON a.post_id = p.id AND a.valid_from <= at AND (a.valid_until IS NULL OR a.valid_until > at)
    LEFT JOIN dispatch.person AS holder ON holder.id = a.person_id AND holder.is_active
    LEFT JOIN LATERAL (
           SELECT max(l.ends_at) AS ends_at FROM dispatch.leave AS l
            WHERE l.person_id = holder.id AND l.starts_at <= at AND l.ends_at > at) AS away ON true
   WHERE p.kind = 'grid_head'
     AND p.jurisdiction = in_jurisdiction
     AND p.cell_code = ANY (in_path)
     AND p.valid_from <= at AND (p.valid_until IS NULL OR p.valid_until > at)
$$;

-- Case numbers people can say on the phone. A sequence never waits; a gap after a rolled-back report is harmless.
CREATE SEQUENCE dispatch.case_number;

-- An active version is evidence. The lookup caches, the paths stored on cases and the tiles rely on it.
CREATE FUNCTION geo.forbid_change_of_published_cells() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF EXISTS (SELECT FROM geo.grid_version AS v
              WHERE v.id IN (OLD.version_id, NEW.version_id) AND v.status <> 'draft') THEN
    RAISE EXCEPTION 'cells of a published grid version never change'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'cell_published_is_immutable';
  END IF;
  RETURN COALESCE(NEW, OLD);
END
$$;
CREATE TRIGGER cell_published_is_immutable
  BEFORE INSERT OR UPDATE OR DELETE ON geo.cell
  FOR EACH ROW EXECUTE FUNCTION geo.forbid_change_of_published_cells();

-- History is append-only in the database too, not only by habit.
CREATE FUNCTION dispatch.forbid_change_of_history() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  RAISE EXCEPTION 'case history is append-only'
    USING ERRCODE = 'restrict_violation', CONSTRAINT = 'case_event_append_only';
END
$$;
CREATE TRIGGER case_event_append_only
  BEFORE UPDATE OR DELETE ON dispatch.case_event
  FOR EACH ROW EXECUTE FUNCTION dispatch.forbid_change_of_history();
