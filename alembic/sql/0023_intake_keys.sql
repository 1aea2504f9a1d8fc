-- The cells nearest to a point as an event keeps them: of all cells, or of those that the caller knows to be enough.
-- In PL/pgSQL, because it keeps its plans between statements; written into a statement that rarely needs it, the search
-- would be made ready every time.
CREATE FUNCTION geo.nearest_said(version int, location geometry, wanted int, candidates bigint[])
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE
-- Else the array's length would have the plan made anew at every call.
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  IF candidates IS NULL THEN
    RETURN (SELECT jsonb_agg(jsonb_build_object('code', n.code, 'name_zh', n.name_zh, 'name_en', n.name_en,
                                                'distance_m', round(n.distance_m::numeric, 1))
                             ORDER BY n.distance_m, n.code COLLATE "C")
              FROM geo.nearest_cells(version, location, wanted) AS n);
  END IF;
  RETURN (SELECT jsonb_agg(jsonb_build_object('code', n.code, 'name_zh', n.name_zh, 'name_en', n.name_en,
                                              'distance_m', round(n.distance_m::numeric, 1))
                           ORDER BY n.distance_m, n.code COLLATE "C")
            FROM (SELECT c.code, c.name_zh, c.name_en,
                         ST_Distance(ST_Segmentize(c.boundary, 0.01)::geography, location::geography) AS distance_m
                    FROM geo.cell AS c
                   WHERE c.id = ANY (candidates) AND c.version_id = version
                   ORDER BY distance_m, c.code COLLATE "C"
                   LIMIT wanted) AS n);
END
$$;
-- Lines of the intake look up by their statement, once for all rows that share it, what foreign keys ask for row by row
-- (decision 0042). What a lock on every row referred to does there, this does here: whoever takes away a row that a case
-- may refer to waits until no case is being written, and holds up new ones until the end of its own transaction.
CREATE FUNCTION dispatch.wait_for_intake() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
  LOCK TABLE dispatch.dispatch_case IN SHARE ROW EXCLUSIVE MODE;
  RETURN NULL;
END
$$;
CREATE TRIGGER waits_for_intake BEFORE DELETE OR UPDATE OF code ON dispatch.channel
  FOR EACH STATEMENT EXECUTE FUNCTION dispatch.wait_for_intake();
CREATE TRIGGER waits_for_intake BEFORE DELETE OR UPDATE OF code ON dispatch.category
  FOR EACH STATEMENT EXECUTE FUNCTION dispatch.wait_for_intake();
CREATE TRIGGER waits_for_intake BEFORE DELETE OR UPDATE OF code ON dispatch.department
  FOR EACH STATEMENT EXECUTE FUNCTION dispatch.wait_for_intake();
CREATE TRIGGER waits_for_intake BEFORE DELETE OR UPDATE OF id ON dispatch.post
  FOR EACH STATEMENT EXECUTE FUNCTION dispatch.wait_for_intake();
CREATE TRIGGER waits_for_intake BEFORE DELETE OR UPDATE OF id ON dispatch.person
  FOR EACH STATEMENT EXECUTE FUNCTION dispatch.wait_for_intake();
CREATE TRIGGER waits_for_intake BEFORE DELETE OR UPDATE OF code ON geo.jurisdiction
  FOR EACH STATEMENT EXECUTE FUNCTION dispatch.wait_for_intake();
-- Switched off with the foreign keys there, and must arm the ladder all the same should a row ever come unarmed.
ALTER TABLE dispatch.dispatch_case ENABLE ALWAYS TRIGGER ladder_armed_insert;
