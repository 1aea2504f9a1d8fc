-- Who answers for a cell changes by posts, appointments, leave and persons. Each change is noted here with its
-- transaction, so that a process that keeps the roster in memory can ask exactly "what do I not know yet?" by comparing
-- snapshots: nobody waits for a counter row, and a transaction that commits late is not missed.
-- A row with neither cell nor person means "too much at once: forget everything".
CREATE FUNCTION dispatch.note_duty_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF (SELECT count(*) FROM changed) > 500 THEN
    INSERT INTO dispatch.duty_change (cell_code, person_id) VALUES (NULL, NULL);
  ELSIF TG_TABLE_NAME = 'post' THEN
    INSERT INTO dispatch.duty_change (cell_code)
    SELECT DISTINCT c.cell_code FROM changed AS c WHERE c.kind = 'grid_head';
  ELSIF TG_TABLE_NAME = 'appointment' THEN
    INSERT INTO dispatch.duty_change (cell_code)
    SELECT DISTINCT p.cell_code FROM changed AS c JOIN dispatch.post AS p ON p.id = c.post_id
     WHERE p.kind = 'grid_head';
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

-- What was is noted as well as what is: an appointment moved to another post changes both cells.
CREATE TRIGGER duty_noted_insert AFTER INSERT ON dispatch.post
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_update AFTER UPDATE ON dispatch.post
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_before AFTER UPDATE ON dispatch.post
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_delete AFTER DELETE ON dispatch.post
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();

CREATE TRIGGER duty_noted_insert AFTER INSERT ON dispatch.appointment
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_update AFTER UPDATE ON dispatch.appointment
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_before AFTER UPDATE ON dispatch.appointment
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_delete AFTER DELETE ON dispatch.appointment
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();

CREATE TRIGGER duty_noted_insert AFTER INSERT ON dispatch.leave
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_update AFTER UPDATE ON dispatch.leave
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_before AFTER UPDATE ON dispatch.leave
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
CREATE TRIGGER duty_noted_delete AFTER DELETE ON dispatch.leave
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();

-- A person's row matters only once somebody holds a post; inserting one changes nobody's duty.
CREATE TRIGGER duty_noted_update AFTER UPDATE ON dispatch.person
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION dispatch.note_duty_change();
