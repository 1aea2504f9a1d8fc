-- Who keeps which people, posts and lines of the matrix: an administrator may be limited to an area (decision 0040).
-- Two settings of a transaction, arrays of 'cell|department' where an empty half asks for nothing:
--   gridward.office        what may be written; without it gridward_area writes nothing of this
--   gridward.office_sight  what may be read; without it names are no secret to whoever may read posts at all

-- A cell and all above it, in every drawing of the grid: after a redraw both count.
CREATE FUNCTION geo.cell_and_above(cell text) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  SELECT coalesce(array_agg(DISTINCT above.code), '{}') || cell
    FROM geo.grid_version AS v
    JOIN geo.cell AS c ON c.version_id = v.id AND c.code = cell
    CROSS JOIN unnest(c.path) AS above(code)
$$;

-- Whether one of these areas holds a place: something of a cell, of a department, or of both.
CREATE FUNCTION dispatch.area_holds(areas text[], cell text, department text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT EXISTS (
    SELECT FROM unnest(areas) AS a(pair)
     WHERE (split_part(a.pair, '|', 1) = ''
            OR (coalesce(cell, '') <> '' AND split_part(a.pair, '|', 1) = ANY (geo.cell_and_above(cell))))
       AND (split_part(a.pair, '|', 2) = '' OR split_part(a.pair, '|', 2) = department))
$$;

-- Whether something of a cell, or of everywhere (an empty code), reaches down into one of these areas.
CREATE FUNCTION dispatch.area_is_below(areas text[], cell text) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT EXISTS (SELECT FROM unnest(areas) AS a(pair)
                  WHERE cell = '' OR cell = ANY (geo.cell_and_above(split_part(a.pair, '|', 1))))
$$;

-- Where somebody belongs: the posts they hold or will hold and the roles of their account; failing any of today, the
-- last ones, so that who gave up a post can be given another; and the area of whoever has entered them.
CREATE FUNCTION dispatch.places_of_person(person uuid) RETURNS TABLE (cell text, department text)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  WITH held AS (
    SELECT p.cell_code, p.department_code, coalesce(a.valid_until, 'infinity') AS ends
      FROM dispatch.appointment AS a JOIN dispatch.post AS p ON p.id = a.post_id WHERE a.person_id = person
    UNION ALL
    SELECT g.cell_code, g.department_code, least(coalesce(g.ended_at, 'infinity'), coalesce(g.valid_until, 'infinity'))
      FROM api.account AS c JOIN api.role_grant AS g ON g.account_id = c.id WHERE c.person_id = person
  )
  SELECT h.cell_code, h.department_code FROM held AS h
   WHERE h.ends > now() OR h.ends = (SELECT max(o.ends) FROM held AS o)
  UNION ALL
  SELECT k.care_cell, k.care_department FROM dispatch.person AS k
   WHERE k.id = person AND num_nonnulls(k.care_cell, k.care_department) > 0 AND NOT EXISTS (SELECT FROM held)
$$;

-- Whether somebody holds anything, or ever has.
CREATE FUNCTION dispatch.has_place(person uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  SELECT EXISTS (SELECT FROM dispatch.appointment AS a WHERE a.person_id = person)
      OR EXISTS (SELECT FROM api.account AS c JOIN api.role_grant AS g ON g.account_id = c.id WHERE c.person_id = person)
$$;

-- Whether somebody is seen from an area, and whether they are the area's alone, so that it may change them.
CREATE FUNCTION dispatch.area_sees_person(areas text[], person uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT areas @> '{|}' OR EXISTS (SELECT FROM dispatch.places_of_person(person) AS at
                                    WHERE dispatch.area_holds(areas, at.cell, at.department))
$$;
CREATE FUNCTION dispatch.area_keeps_person(areas text[], person uuid) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT areas @> '{|}' OR (SELECT coalesce(bool_and(dispatch.area_holds(areas, at.cell, at.department)), false)
                              FROM dispatch.places_of_person(person) AS at)
$$;

-- Whether a transaction may write something of a place: for whom it is asked before, to name the field.
CREATE FUNCTION dispatch.may_keep(cell text, department text) RETURNS boolean
LANGUAGE sql STABLE
AS $$
  SELECT current_user <> 'gridward_area' OR dispatch.area_holds(dispatch.sight('office'), cell, department)
$$;
CREATE FUNCTION dispatch.may_keep_person(person uuid) RETURNS boolean
LANGUAGE sql STABLE
AS $$
  SELECT current_user <> 'gridward_area' OR dispatch.area_keeps_person(dispatch.sight('office'), person)
$$;

-- For lists, which ask of every row: the areas with every cell below them written out, and everybody seen from them.
-- Both stand in a policy as a subquery that asks nothing of the row, so each is worked out once for a statement.
CREATE FUNCTION dispatch.area_words(areas text[]) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  SELECT areas || coalesce(array_agg(DISTINCT c.code || '|' || split_part(a.pair, '|', 2)), '{}')
    FROM unnest(areas) AS a(pair)
    JOIN geo.cell AS c ON split_part(a.pair, '|', 1) <> '' AND split_part(a.pair, '|', 1) = ANY (c.path)
$$;
CREATE FUNCTION dispatch.words_of_place(cell text, department text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT ARRAY['|', coalesce(cell, '') || '|', '|' || coalesce(department, ''), coalesce(cell, '') || '|' || coalesce(department, '')]
$$;
CREATE FUNCTION dispatch.people_of_areas(areas text[]) RETURNS uuid[]
LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  WITH words AS MATERIALIZED (SELECT dispatch.area_words(areas) AS all_of_it),
  near AS (
    SELECT a.person_id AS person FROM words AS w, dispatch.post AS p JOIN dispatch.appointment AS a ON a.post_id = p.id
     WHERE w.all_of_it && dispatch.words_of_place(p.cell_code, p.department_code)
    UNION
    SELECT c.person_id FROM words AS w, api.role_grant AS g JOIN api.account AS c ON c.id = g.account_id
     WHERE w.all_of_it && dispatch.words_of_place(g.cell_code, g.department_code)
    UNION
    SELECT k.id FROM words AS w, dispatch.person AS k
     WHERE num_nonnulls(k.care_cell, k.care_department) > 0
       AND w.all_of_it && dispatch.words_of_place(k.care_cell, k.care_department)
  )
  SELECT coalesce(array_agg(n.person), '{}') FROM near AS n WHERE dispatch.area_sees_person(areas, n.person)
$$;

DO $body$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      ('post', '(SELECT dispatch.area_words(dispatch.sight(''%s'')))'
         ' && dispatch.words_of_place(cell_code, department_code)', NULL),
      -- Lines of the whole office, and of cells above, hold in the area too: they are read there.
      ('routing', '((SELECT dispatch.area_words(dispatch.sight(''%1$s'')))'
         ' && dispatch.words_of_place(cell_code, department_code)'
         ' OR dispatch.area_is_below(dispatch.sight(''%1$s''), cell_code))',
         'dispatch.area_holds(dispatch.sight(''%s''), cell_code, department_code)'),
      ('appointment', 'EXISTS (SELECT FROM dispatch.post AS at WHERE at.id = post_id'
         ' AND (SELECT dispatch.area_words(dispatch.sight(''%s'')))'
         ' && dispatch.words_of_place(at.cell_code, at.department_code))', NULL),
      ('shift', 'EXISTS (SELECT FROM dispatch.post AS at WHERE at.id = post_id'
         ' AND (SELECT dispatch.area_words(dispatch.sight(''%s'')))'
         ' && dispatch.words_of_place(at.cell_code, at.department_code))', NULL),
      ('shift_exception', 'EXISTS (SELECT FROM dispatch.post AS at WHERE at.id = post_id'
         ' AND (SELECT dispatch.area_words(dispatch.sight(''%s'')))'
         ' && dispatch.words_of_place(at.cell_code, at.department_code))', NULL),
      ('post_hand_over', 'EXISTS (SELECT FROM dispatch.post AS at WHERE at.id = post_id'
         ' AND (SELECT dispatch.area_words(dispatch.sight(''%s'')))'
         ' && dispatch.words_of_place(at.cell_code, at.department_code))', NULL),
      ('leave', 'person_id = ANY ((SELECT dispatch.people_of_areas(dispatch.sight(''%s'')))::uuid[])',
         'dispatch.area_keeps_person(dispatch.sight(''%s''), person_id)'),
      ('person_contact', 'person_id = ANY ((SELECT dispatch.people_of_areas(dispatch.sight(''%s'')))::uuid[])',
         'dispatch.area_keeps_person(dispatch.sight(''%s''), person_id)'),
      -- Appointing somebody locks the row, so whoever is seen can be locked; changed is only who is the area's alone.
      -- Whoever has just been entered is seen by the columns of the row itself: functions do not see it yet.
      ('person', '(id = ANY ((SELECT dispatch.people_of_areas(dispatch.sight(''%1$s'')))::uuid[])'
         ' OR (num_nonnulls(care_cell, care_department) > 0 AND NOT dispatch.has_place(id)'
         ' AND dispatch.area_holds(dispatch.sight(''%1$s''), care_cell, care_department)))',
         'dispatch.area_keeps_person(dispatch.sight(''%s''), id)'),
      -- Departments are of the whole office; whoever is limited to one sees that one, and may rename it.
      ('department', '(EXISTS (SELECT FROM unnest(dispatch.sight(''%1$s'')) AS a(pair) WHERE a.pair LIKE ''%%|'')'
         ' OR dispatch.area_holds(dispatch.sight(''%1$s''), NULL, code))',
         'dispatch.area_holds(dispatch.sight(''%s''), NULL, code)')
    ) AS t(name, seen, kept)
  LOOP
    EXECUTE format('ALTER TABLE dispatch.%I ENABLE ROW LEVEL SECURITY', one.name);
    EXECUTE format('ALTER TABLE dispatch.%I FORCE ROW LEVEL SECURITY', one.name);
    EXECUTE format('CREATE POLICY service ON dispatch.%I TO gridward_service USING (true) WITH CHECK (true)', one.name);
    EXECUTE format('CREATE POLICY desk ON dispatch.%I TO gridward_desk USING (true) WITH CHECK (true)', one.name);
    EXECUTE format('CREATE POLICY office_reads ON dispatch.%I FOR SELECT TO gridward_area USING'
                   ' ((SELECT dispatch.sight(''office_sight'') = ''{}'') OR %s)', one.name, format(one.seen, 'office_sight'));
    EXECUTE format('CREATE POLICY office_adds ON dispatch.%I FOR INSERT TO gridward_area WITH CHECK (%s)',
                   one.name, format(coalesce(one.kept, one.seen), 'office'));
    EXECUTE format('CREATE POLICY office_changes ON dispatch.%I FOR UPDATE TO gridward_area USING (%s) WITH CHECK (%s)',
                   one.name, format(one.seen, 'office'), format(coalesce(one.kept, one.seen), 'office'));
    EXECUTE format('CREATE POLICY office_removes ON dispatch.%I FOR DELETE TO gridward_area USING (%s)',
                   one.name, format(coalesce(one.kept, one.seen), 'office'));
  END LOOP;
END
$body$;

-- Whoever is entered belongs nowhere yet: they are in the care of the area that enters them.
DROP POLICY office_adds ON dispatch.person;
CREATE POLICY office_adds ON dispatch.person FOR INSERT TO gridward_area
  WITH CHECK (dispatch.area_holds(dispatch.sight('office'), care_cell, care_department));
