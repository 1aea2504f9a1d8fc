-- The legs of joint work climb the ladder too, each on its own clock. As with cases, a trigger arms and disarms them, so
-- that nothing above has to remember it: a leg whose clock runs is looked at, one that is handled, signed or withdrawn is
-- not, and none is while its case rests. A later deadline begins an epoch of the leg's own: its rungs fire anew.
CREATE FUNCTION dispatch.arm_leg() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
  parent record;
BEGIN
  SELECT c.state, c.origin INTO parent FROM dispatch.dispatch_case AS c WHERE c.id = NEW.case_id;
  IF TG_OP = 'INSERT' THEN
    -- What an import or the demo brings along has its own past; nobody is told of it today.
    IF parent.origin <> 'live' THEN
      NEW.ladder_from := now();
    END IF;
  ELSIF NEW.due_at > OLD.due_at THEN
    NEW.ladder_epoch := OLD.ladder_epoch + 1;
    NEW.ladder_from := now();
  END IF;
  NEW.ladder_done := false;
  NEW.next_rung_at := CASE
    WHEN parent.state = 'handling' AND NEW.state IN ('dispatched', 'handling', 'returned') THEN now() END;
  RETURN NEW;
END
$$;

CREATE TRIGGER leg_armed_insert BEFORE INSERT ON dispatch.case_leg FOR EACH ROW EXECUTE FUNCTION dispatch.arm_leg();
CREATE TRIGGER leg_armed_update BEFORE UPDATE OF state, due_at ON dispatch.case_leg FOR EACH ROW
  WHEN (OLD.state <> NEW.state OR OLD.due_at <> NEW.due_at) EXECUTE FUNCTION dispatch.arm_leg();

-- A case that is suspended takes its legs off the ladder, and puts them back when it goes on.
CREATE FUNCTION dispatch.arm_legs_of_case() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  UPDATE dispatch.case_leg
     SET next_rung_at = CASE WHEN NEW.state = 'handling' THEN now() END, ladder_done = false
   WHERE case_id = NEW.id AND state IN ('dispatched', 'handling', 'returned');
  RETURN NULL;
END
$$;

CREATE TRIGGER legs_armed AFTER UPDATE OF state ON dispatch.dispatch_case FOR EACH ROW
  WHEN (OLD.state <> NEW.state AND NEW.open_legs > 0 AND (OLD.state = 'handling' OR NEW.state = 'handling'))
  EXECUTE FUNCTION dispatch.arm_legs_of_case();

-- A row that comes armed, as the intake's do, needs no trigger: it costs a tenth of what writing the row costs.
DROP TRIGGER ladder_armed_insert ON dispatch.dispatch_case;
CREATE TRIGGER ladder_armed_insert BEFORE INSERT ON dispatch.dispatch_case FOR EACH ROW
  WHEN (NEW.due_at IS NOT NULL AND NEW.state IN ('dispatched', 'handling', 'reopened', 'returned')
        AND (NEW.origin <> 'live' OR NEW.ladder_done OR NEW.next_rung_at IS DISTINCT FROM now()))
  EXECUTE FUNCTION dispatch.arm_ladder();
