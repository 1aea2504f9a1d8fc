-- Who answers where, with shifts, shared posts and departments. dispatch/responsible.py and dispatch/routing.py say the
-- same in memory; a test keeps both equal.

-- Whether somebody who holds a post is on shift. A span belongs to the day on which it begins, so last night's may still
-- run. A day that no plan speaks of has no shifts: then whoever holds the post is on duty all day. Exceptions of a day
-- take the place of its pattern. A row without a person is meant for everybody who holds the post.
CREATE FUNCTION dispatch.is_on_shift(in_post bigint, in_person uuid, at timestamptz, zone text)
RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  WITH days AS (
    SELECT (at AT TIME ZONE zone)::date - back AS day, back FROM generate_series(0, 1) AS back
  ), planned AS (
    SELECT d.day, d.back, x.starts, x.ends
      FROM days AS d
      JOIN dispatch.shift_exception AS x
        ON x.post_id = in_post AND x.day = d.day AND (x.person_id IS NULL OR x.person_id = in_person)
    UNION ALL
    SELECT d.day, d.back, w.starts, CASE WHEN w.starts IS NOT NULL THEN s.ends END
      FROM days AS d
      JOIN dispatch.shift AS s
        ON s.post_id = in_post AND (s.person_id IS NULL OR s.person_id = in_person)
           AND s.first_day <= d.day AND (s.last_day IS NULL OR s.last_day >= d.day)
     CROSS JOIN LATERAL (
           SELECT CASE WHEN ((d.day - s.anchor) % s.cycle_days + s.cycle_days) % s.cycle_days = ANY (s.on_days)
                       THEN s.starts END AS starts) AS w
     WHERE NOT EXISTS (
           SELECT FROM dispatch.shift_exception AS x
            WHERE x.post_id = in_post AND x.day = d.day AND (x.person_id IS NULL OR x.person_id = in_person))
  )
  SELECT coalesce(bool_or((p.day + p.starts) AT TIME ZONE zone <= at
                          AND at < (p.day + CASE WHEN p.ends <= p.starts THEN 1 ELSE 0 END + p.ends) AT TIME ZONE zone),
                  false)
         OR count(*) FILTER (WHERE p.back = 0) = 0
    FROM planned AS p
$$;

-- The posts that answer, best first: those of a department that leads (its post for the deepest cell before its general
-- one), then the cell's own, then the parent's, up to level 1; rank A before B; of a shared post every holder. A rung
-- nobody can take (vacant, on leave, off shift) stays in the list: it is the "why" of the answer.
CREATE FUNCTION dispatch.duty_ladder(in_jurisdiction text, in_path text[], in_department text, at timestamptz)
RETURNS TABLE (
  step bigint, level int, cell_code text, rank text, post_id bigint, title_zh text, title_en text,
  person_id uuid, person_name text, leave_until timestamptz, is_available boolean, is_off_shift boolean,
  department text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT row_number() OVER (ORDER BY p.kind = 'grid_head', coalesce(array_position(in_path, p.cell_code), 0) DESC,
                                     p.rank, p.id, a.id),
         CASE WHEN p.kind = 'grid_head' THEN array_position(in_path, p.cell_code)
              ELSE greatest(cardinality(in_path), 1) END,
         CASE WHEN p.kind = 'grid_head' THEN p.cell_code ELSE '' END, p.rank, p.id, p.title_zh, p.title_en,
         holder.id, holder.name, away.ends_at,
         holder.id IS NOT NULL AND away.ends_at IS NULL AND NOT off.is_off_shift,
         off.is_off_shift,
         CASE WHEN p.kind = 'grid_head' THEN '' ELSE p.department_code END
    FROM dispatch.post AS p
    LEFT JOIN dispatch.appointment AS a
           ON a.post_id = p.id AND a.valid_from <= at AND (a.valid_until IS NULL OR a.valid_until > at)
    LEFT JOIN dispatch.person AS holder ON holder.id = a.person_id AND holder.is_active
    LEFT JOIN LATERAL (
           SELECT max(l.ends_at) AS ends_at FROM dispatch.leave AS l
            WHERE l.person_id = holder.id AND l.starts_at <= at AND l.ends_at > at) AS away ON true
   CROSS JOIN LATERAL (
           -- Most posts have no shifts; these are asked no more than that.
           SELECT CASE WHEN holder.id IS NULL THEN false
                       WHEN EXISTS (SELECT FROM dispatch.shift AS s WHERE s.post_id = p.id)
                         OR EXISTS (SELECT FROM dispatch.shift_exception AS x WHERE x.post_id = p.id)
                       THEN NOT dispatch.is_on_shift(
                              p.id, holder.id, at,
                              (SELECT j.time_zone FROM geo.jurisdiction AS j WHERE j.code = in_jurisdiction))
                       ELSE false END AS is_off_shift) AS off
   WHERE p.jurisdiction = in_jurisdiction
     AND p.valid_from <= at AND (p.valid_until IS NULL OR p.valid_until > at)
     AND ((p.kind = 'grid_head' AND p.cell_code = ANY (in_path))
          OR (p.kind = 'department_handler' AND p.department_code = in_department
              AND (p.cell_code IS NULL OR p.cell_code = ANY (in_path))))
$$;

-- The territory alone: cells' own posts, without any department.
CREATE FUNCTION dispatch.responsible_ladder(in_jurisdiction text, in_path text[], at timestamptz)
RETURNS TABLE (
  step bigint, level int, cell_code text, rank text, post_id bigint, title_zh text, title_en text,
  person_id uuid, person_name text, leave_until timestamptz, is_available boolean, is_off_shift boolean,
  department text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT * FROM dispatch.duty_ladder(in_jurisdiction, in_path, NULL::text, at)
$$;

-- Rule "route-1": which department a (cell, category) belongs to. A rule for a cell holds for its subtree, one for a
-- class for its minor classes. The deepest cell wins, then the deepest class; a fallback owner (属地兜底) only where no
-- rule does. No two rules for the same (cell, category) are valid at once, so nothing is left to chance.
CREATE FUNCTION dispatch.route(in_jurisdiction text, in_path text[], in_category text, at timestamptz)
RETURNS TABLE (rule_id bigint, department_code text, mode text, cell_code text, category_code text)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  WITH RECURSIVE classes AS (
    SELECT k.code, k.parent, 1 AS up FROM dispatch.category AS k WHERE k.code = in_category
    UNION ALL
    SELECT k.code, k.parent, c.up + 1 FROM classes AS c JOIN dispatch.category AS k ON k.code = c.parent
     WHERE c.up < 8
  )
  SELECT r.id, r.department_code, r.mode, r.cell_code, r.category_code
    FROM dispatch.routing AS r
    JOIN dispatch.department AS d ON d.code = r.department_code AND d.is_active
    LEFT JOIN classes AS c ON c.code = r.category_code
   WHERE r.jurisdiction = in_jurisdiction
     AND r.cell_code = ANY (array_append(in_path, ''))
     AND r.category_code = ANY (ARRAY(SELECT code FROM classes UNION ALL SELECT ''))
     AND r.valid_from <= at AND (r.valid_until IS NULL OR r.valid_until > at)
   ORDER BY r.mode = 'fallback', coalesce(array_position(in_path, r.cell_code), 0) DESC, coalesce(c.up, 9)
   LIMIT 1
$$;

-- The territory, led by the department whose rule says so.
CREATE FUNCTION dispatch.responsible_ladder(in_jurisdiction text, in_path text[], in_category text, at timestamptz)
RETURNS TABLE (
  step bigint, level int, cell_code text, rank text, post_id bigint, title_zh text, title_en text,
  person_id uuid, person_name text, leave_until timestamptz, is_available boolean, is_off_shift boolean,
  department text
)
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT *
    FROM dispatch.duty_ladder(
           in_jurisdiction, in_path,
           (SELECT r.department_code FROM dispatch.route(in_jurisdiction, in_path, in_category, at) AS r
             WHERE r.mode = 'lead'),
           at)
$$;
