-- The one rule that puts a case on the ladder and takes it off again, whichever way its row is written: an intake, a
-- move, an undo, an import, the demo. Nothing above has to remember it.
-- On the ladder: the handling clock runs. Then "look at once": the sweep plans the rungs in working time and writes the
-- real instant. Off it: no instant, so that nothing can fire after the commit that handled or ended the case.
-- A later deadline or a new clock begins an epoch of the ladder: its rungs fire anew.
CREATE FUNCTION dispatch.arm_ladder() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    -- What an import or the demo brings along has its own past; nobody is told of it today.
    IF NEW.origin <> 'live' THEN
      NEW.ladder_from := now();
    END IF;
  ELSIF NEW.clock_epoch <> OLD.clock_epoch OR NEW.due_at > OLD.due_at THEN
    NEW.ladder_epoch := OLD.ladder_epoch + 1;
    NEW.ladder_from := now();
  END IF;
  NEW.ladder_done := false;
  NEW.next_rung_at := CASE
    WHEN NEW.due_at IS NOT NULL AND NEW.state IN ('dispatched', 'handling', 'reopened', 'returned') THEN now() END;
  RETURN NEW;
END
$$;

CREATE TRIGGER ladder_armed_insert BEFORE INSERT ON dispatch.dispatch_case FOR EACH ROW
  WHEN (NEW.due_at IS NOT NULL AND NEW.state IN ('dispatched', 'handling', 'reopened', 'returned'))
  EXECUTE FUNCTION dispatch.arm_ladder();
CREATE TRIGGER ladder_armed_update BEFORE UPDATE OF state, due_at, clock_epoch ON dispatch.dispatch_case FOR EACH ROW
  WHEN (OLD.state <> NEW.state OR OLD.due_at IS DISTINCT FROM NEW.due_at OR OLD.clock_epoch <> NEW.clock_epoch)
  EXECUTE FUNCTION dispatch.arm_ladder();

-- The shipped ladder [D]: reminders at half and four fifths; at the deadline the parent cell's head; a working day later
-- the department's head; five later the subdistrict's leader, and the bulletin. Emergencies begin at the top.
INSERT INTO dispatch.ladder (category, effective_from, made_by, note)
VALUES ('', '2000-01-01 00:00:00+00', 'system:seed', ''), ('E05', '2000-01-01 00:00:00+00', 'system:seed', '');
INSERT INTO dispatch.ladder_rung
       (ladder_id, code, position, basis, share, after_value, after_unit, target, in_bulletin, name_zh, name_en)
SELECT l.id, r.code, r.position, r.basis, r.share, r.after_value, r.after_unit, r.target, r.in_bulletin, r.zh, r.en
  FROM dispatch.ladder AS l
  CROSS JOIN (VALUES
    ('grave', 1, 'at_once', 0, 0, 'urgent_hour', 'leader', false, '重大事件直报', 'Grave: straight to the top'),
    ('half', 2, 'share', 0.5, 0, 'urgent_hour', 'owner', false, '用时过半提醒',
     'Reminder: half of the limit is used'),
    ('four_fifths', 3, 'share', 0.8, 0, 'urgent_hour', 'owner', false, '用时八成提醒',
     'Reminder: four fifths of the limit are used'),
    ('due', 4, 'after_due', 0, 0, 'urgent_hour', 'parent_head', false, '到期上报上级网格长',
     'Overdue: the parent cell''s head'),
    ('due_1d', 5, 'after_due', 0, 1, 'working_day', 'department_head', false, '超期一个工作日，部门负责人',
     'One working day overdue: the department''s head'),
    ('due_5d', 6, 'after_due', 0, 5, 'working_day', 'leader', true, '超期五个工作日，街道领导并通报',
     'Five working days overdue: the subdistrict''s leader, and the bulletin'))
    AS r (code, position, basis, share, after_value, after_unit, target, in_bulletin, zh, en)
 WHERE l.category = 'E05' OR r.code <> 'grave';
