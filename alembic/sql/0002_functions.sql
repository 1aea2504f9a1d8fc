-- The version of a jurisdiction's grid that is valid at an instant: the one definition that intake, lookup, export and
-- hand-over share. "Active" is not stored anywhere: a scheduled version becomes valid by the passing of time alone.
-- A set-returning SQL function, so that the planner inlines it.
CREATE FUNCTION geo.valid_version(in_jurisdiction text, at timestamptz)
RETURNS TABLE (id int, number int, name text, valid_from timestamptz, valid_until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT v.id, v.number, v.name, v.valid_from, v.valid_until
    FROM geo.grid_version AS v
   WHERE v.jurisdiction = in_jurisdiction
     AND v.status = 'published'
     AND v.valid_from <= at
     AND (v.valid_until IS NULL OR v.valid_until > at)
$$;

-- Lineage says which cell became which; like the cells it belongs to the version and is fixed with it.
CREATE TRIGGER lineage_published_is_immutable
  BEFORE INSERT OR UPDATE OR DELETE ON geo.cell_lineage
  FOR EACH ROW EXECUTE FUNCTION geo.forbid_change_of_published_cells();

-- A version that has been valid is evidence: it is never deleted, never a draft again, and keeps its beginning.
-- Its end may still move, and a version that has not begun yet may be withdrawn.
CREATE FUNCTION geo.forbid_change_of_published_version() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF TG_OP = 'DELETE' OR NEW.status <> 'published' OR NEW.valid_from IS DISTINCT FROM OLD.valid_from THEN
    RAISE EXCEPTION 'a grid version that has been valid never changes'
      USING ERRCODE = 'restrict_violation', CONSTRAINT = 'version_published_is_immutable';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER version_published_is_immutable
  BEFORE UPDATE OR DELETE ON geo.grid_version
  FOR EACH ROW WHEN (OLD.status = 'published' AND OLD.valid_from <= now())
  EXECUTE FUNCTION geo.forbid_change_of_published_version();
