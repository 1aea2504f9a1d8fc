-- Who sees what, decided by the database (decision 0029). Three roles that own nothing and cannot log in:
--   gridward_service  the service itself: intake, worker, imports; every policy is the constant true for it
--   gridward_desk     a caller without limits: the same constant, so that its plans are those without policies
--   gridward_area     everybody else: sees what the settings of the transaction allow, and nothing without them
-- Settings, arrays of text: gridward.cells, .departments, .channels, of which any is enough; and pairs that must hold
-- together, 'cell|department' in .cell_departments, 'cell|channel' in .cell_channels, 'department|channel' in
-- .department_channels, with the parts that an index finds them by in .of_departments and .of_channels.

-- Inlined, and stable, so that it can be the comparison value of an index scan.
CREATE FUNCTION dispatch.sight(name text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT coalesce(nullif(current_setting('gridward.' || name, true), ''), '{}')::text[] $$;

-- Departments that have a part in a case without owning it, kept in its row: asked for per row, it must not be looked
-- for per row. Empty (NULL) for nearly every case, so intake pays nothing for it.
CREATE FUNCTION dispatch.note_leg_departments() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$
DECLARE
  touched uuid := CASE WHEN TG_OP = 'DELETE' THEN OLD.case_id ELSE NEW.case_id END;
BEGIN
  UPDATE dispatch.dispatch_case AS c
     SET leg_departments = (SELECT array_agg(DISTINCT l.department_code ORDER BY l.department_code)
                              FROM dispatch.case_leg AS l WHERE l.case_id = touched AND l.state <> 'withdrawn')
   WHERE c.id = touched;
  RETURN NULL;
END
$$;
CREATE TRIGGER leg_departments_noted AFTER INSERT OR DELETE OR UPDATE OF department_code, state ON dispatch.case_leg
  FOR EACH ROW EXECUTE FUNCTION dispatch.note_leg_departments();

-- 'a|tail', 'b|tail' … of 'a', 'b' …: what is compared with pairs. Made of strings, because it is wanted per row.
CREATE FUNCTION dispatch.paired(codes text[], tail text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT string_to_array(array_to_string(codes, '|' || tail || E'\x1f') || '|' || tail, E'\x1f') $$;

-- Whether a part in a case, which is rare, completes a pair.
CREATE FUNCTION dispatch.has_paired_part(parts text[], codes text[], channel text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT EXISTS (SELECT FROM unnest(parts) AS d (code)
                  WHERE dispatch.sight('cell_departments') && dispatch.paired(codes, d.code)
                     OR d.code || '|' || channel = ANY (dispatch.sight('department_channels')))
$$;

-- The end of the feed is a number, the same for everybody: looked for through policies it could take a walk over all
-- events, and a reader whose newest case was handed over would seem to be ahead of it.
CREATE FUNCTION dispatch.feed_end() RETURNS TABLE (txid bigint, id bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  SELECT e.txid::text::bigint, e.id FROM dispatch.case_event AS e
   WHERE e.txid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY e.txid DESC, e.id DESC LIMIT 1
$$;

-- The places of the next events, seen or not, so that a page looks at a bounded number of rows whoever reads it; what
-- is at a place is read through the policies.
CREATE FUNCTION dispatch.feed_places(after_txid xid8, after_id bigint, most int) RETURNS TABLE (txid xid8, id bigint)
LANGUAGE sql STABLE ROWS 500 SECURITY DEFINER SET search_path = pg_catalog
AS $$
  SELECT e.txid, e.id FROM dispatch.case_event AS e
   WHERE (e.txid, e.id) > (after_txid, after_id) AND e.txid < pg_snapshot_xmin(pg_current_snapshot())
   ORDER BY e.txid, e.id LIMIT most
$$;

-- Statistics may be refreshed by the owner only; whoever has just written a version of the grid needs them at once.
CREATE FUNCTION geo.refresh_statistics() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
AS $$ BEGIN EXECUTE 'ANALYZE geo.cell'; END $$;

-- Puts every table that tells of cases behind policies, and gives the roles their rights on all of them. Run again
-- after each migration, so that a table of a later one is never forgotten.
CREATE FUNCTION api.protect() RETURNS void
LANGUAGE plpgsql
AS $body$
DECLARE
  one record;
  seen text;
  command text;
BEGIN
  FOR one IN SELECT unnest(ARRAY['geo', 'dispatch', 'api']) AS schema LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO gridward_area, gridward_desk, gridward_service', one.schema);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I'
                   ' TO gridward_area, gridward_desk, gridward_service', one.schema);
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I'
                   ' TO gridward_area, gridward_desk, gridward_service', one.schema);
  END LOOP;
  -- Passwords, sessions and keys are read by the doorkeeper alone, which does not act for a caller.
  REVOKE ALL ON api.account, api.role_grant, api.session, api.recovery_code, api.sign_in_failure, api.api_key
    FROM gridward_area, gridward_desk;
  -- Whether boxes overlap says nothing about rows that are not seen, not even by an error. Told so, the planner may look
  -- for places by their index before the policies; otherwise a caller with an area pays for all cases of the area. It
  -- takes a superuser to say it; on a server where we are none, nearby cases are merely found more slowly.
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    ALTER FUNCTION public.geometry_overlaps(public.geometry, public.geometry) LEAKPROOF;
  END IF;
  FOR one IN
    SELECT c.conrelid::regclass AS guarded,
           string_agg(format('EXISTS (SELECT FROM dispatch.dispatch_case AS seen WHERE seen.id = %I.%I)',
                             r.relname, a.attname), ' AND ') FILTER (WHERE c.confrelid = 'dispatch.dispatch_case'::regclass) AS by_case,
           string_agg(format('EXISTS (SELECT FROM dispatch.case_event AS seen WHERE seen.id = %I.%I)',
                             r.relname, a.attname), ' AND ') FILTER (WHERE c.confrelid = 'dispatch.case_event'::regclass) AS by_event
      FROM pg_constraint AS c
      JOIN pg_class AS r ON r.oid = c.conrelid
      JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.contype = 'f' AND c.confrelid IN ('dispatch.dispatch_case'::regclass, 'dispatch.case_event'::regclass)
       AND c.conrelid NOT IN ('dispatch.dispatch_case'::regclass, 'api.webhook_delivery'::regclass)
     GROUP BY c.conrelid
    UNION ALL
    SELECT 'dispatch.dispatch_case'::regclass, NULL, NULL
  LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', one.guarded);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', one.guarded);
    FOREACH command IN ARRAY ARRAY['service', 'desk', 'area', 'area_change'] LOOP
      EXECUTE format('DROP POLICY IF EXISTS %I ON %s', command, one.guarded);
    END LOOP;
    EXECUTE format('CREATE POLICY service ON %s TO gridward_service USING (true) WITH CHECK (true)', one.guarded);
    EXECUTE format('CREATE POLICY desk ON %s TO gridward_desk USING (true) WITH CHECK (true)', one.guarded);
    IF one.guarded <> 'dispatch.dispatch_case'::regclass THEN
      seen := coalesce(one.by_case, one.by_event);
      EXECUTE format('CREATE POLICY area ON %s TO gridward_area USING (%s)', one.guarded, seen);
      CONTINUE;
    END IF;
    -- Each branch has an index of its own; the planner joins them to one bitmap. The settings are compared as stable
    -- expressions, so that the planner knows how much they let through; what most callers do not have is asked once.
    seen := $$
      cell_path && dispatch.sight('cells')
      OR (owner_path IS NOT NULL AND owner_path && dispatch.sight('cells'))
      OR ((SELECT dispatch.sight('departments') <> '{}')
          AND department_code = ANY (dispatch.sight('departments')))
      OR (leg_departments IS NOT NULL AND leg_departments && dispatch.sight('departments'))
      OR ((SELECT dispatch.sight('channels') <> '{}')
          AND channel_code = ANY (dispatch.sight('channels')))
      OR ((SELECT dispatch.sight('cell_departments') <> '{}')
          AND department_code = ANY (dispatch.sight('of_departments'))
          AND dispatch.sight('cell_departments') && dispatch.paired(cell_path || coalesce(owner_path, '{}'), department_code))
      OR ((SELECT dispatch.sight('of_channels') <> '{}')
          AND channel_code = ANY (dispatch.sight('of_channels'))
          AND (dispatch.sight('cell_channels') && dispatch.paired(cell_path || coalesce(owner_path, '{}'), channel_code)
               OR department_code || '|' || channel_code = ANY (dispatch.sight('department_channels'))))
      OR (leg_departments IS NOT NULL AND leg_departments && dispatch.sight('of_departments')
          AND dispatch.has_paired_part(leg_departments, cell_path || coalesce(owner_path, '{}'), channel_code))$$;
    EXECUTE format('CREATE POLICY area ON %s FOR SELECT TO gridward_area USING (%s)', one.guarded, seen);
    EXECUTE format('CREATE POLICY area_change ON %s FOR UPDATE TO gridward_area USING (%s) WITH CHECK (true)',
                   one.guarded, seen);
  END LOOP;
END
$body$;
