-- As before (0007), and besides: a department's handlers have an entry of their own, named '@' and the department's code;
-- shifts are noted by their post; a changed matrix, department or class touches every answer.
CREATE OR REPLACE FUNCTION dispatch.note_duty_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM changed) THEN
    RETURN NULL;
  ELSIF TG_TABLE_NAME IN ('routing', 'department', 'category') OR (SELECT count(*) FROM changed) > 500 THEN
    INSERT INTO dispatch.duty_change (cell_code, person_id) VALUES (NULL, NULL);
  ELSIF TG_TABLE_NAME = 'post' THEN
    INSERT INTO dispatch.duty_change (cell_code)
    SELECT DISTINCT CASE c.kind WHEN 'grid_head' THEN c.cell_code ELSE '@' || c.department_code END
      FROM changed AS c
     WHERE c.kind = 'grid_head' OR (c.kind = 'department_handler' AND c.department_code IS NOT NULL);
  ELSIF TG_TABLE_NAME IN ('appointment', 'shift', 'shift_exception') THEN
    INSERT INTO dispatch.duty_change (cell_code)
    SELECT DISTINCT CASE p.kind WHEN 'grid_head' THEN p.cell_code ELSE '@' || p.department_code END
      FROM changed AS c JOIN dispatch.post AS p ON p.id = c.post_id
     WHERE p.kind = 'grid_head' OR (p.kind = 'department_handler' AND p.department_code IS NOT NULL);
  ELSIF TG_TABLE_NAME = 'leave' THEN
    INSERT INTO dispatch.duty_change (person_id) SELECT DISTINCT c.person_id FROM changed AS c;
  ELSE
    INSERT INTO dispatch.duty_change (person_id) SELECT DISTINCT c.id FROM changed AS c;
  END IF;
  -- A reader that has slept for longer starts afresh (dispatch/roster.py).
  DELETE FROM dispatch.duty_change WHERE id IN (
    SELECT d.id FROM dispatch.duty_change AS d WHERE d.changed_at < now() - interval '1 day'
     ORDER BY d.id LIMIT 1000 FOR UPDATE SKIP LOCKED);
  PERFORM pg_notify('gridward_duty', '');
  RETURN NULL;
END
$$;
