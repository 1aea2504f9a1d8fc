-- Write what a sweep found: the rungs that fire, with event and outbox row, and when each clock is to be looked at next.
-- Parameters: rungs and clocks, JSON arrays (dispatch/storage/escalation.py); leg 0 is the case's own clock. Cases and
-- legs are locked. A rung that has fired in this epoch already leaves nothing: its primary key is the promise.
WITH rungs AS (
  SELECT * FROM jsonb_to_recordset(%(rungs)s::jsonb) AS r (
    place int, case_id uuid, leg smallint, rung text, epoch smallint, planned_at timestamptz, person_id uuid, post_id bigint,
    target text, told text, empty text[], in_bulletin boolean, ladder_id int, type text, state text, payload jsonb)
),
fired AS (
  INSERT INTO dispatch.escalation (case_id, leg, rung, clock_epoch, fired_at, person_id, planned_at, post_id, target,
                                   told, empty, in_bulletin, ladder_id)
  SELECT case_id, leg, rung, epoch, clock_timestamp(), person_id, planned_at, post_id, target, told,
         coalesce(empty, '{}'), in_bulletin, ladder_id
    FROM rungs
  ON CONFLICT DO NOTHING
  RETURNING case_id, leg, rung
),
recorded AS (
  INSERT INTO dispatch.case_event (case_id, seq, type, moves, from_state, to_state, occurred_at, actor_kind, actor_id,
                                   payload)
  SELECT r.case_id, last.seq + row_number() OVER (PARTITION BY r.case_id ORDER BY r.place), r.type, ARRAY['escalate'],
         r.state, r.state, now(), 'system', 'worker', r.payload
    FROM fired AS f
    JOIN rungs AS r ON r.case_id = f.case_id AND r.leg = f.leg AND r.rung = f.rung
    CROSS JOIN LATERAL (SELECT coalesce(max(e.seq), 0) AS seq FROM dispatch.case_event AS e WHERE e.case_id = r.case_id) AS last
  RETURNING id, case_id
),
queued AS (
  INSERT INTO dispatch.outbox (event_id) SELECT id FROM recorded
),
clocks AS (
  SELECT * FROM jsonb_to_recordset(%(clocks)s::jsonb) AS n (id uuid, leg smallint, next_rung_at timestamptz)
),
looked AS (
  UPDATE dispatch.dispatch_case AS c
     SET next_rung_at = n.next_rung_at, ladder_done = n.next_rung_at IS NULL,
         version = c.version + (SELECT count(*) FROM recorded AS e WHERE e.case_id = c.id)
    FROM clocks AS n
   WHERE n.leg = 0 AND c.id = n.id
),
looked_at_legs AS (
  UPDATE dispatch.case_leg AS l
     SET next_rung_at = n.next_rung_at, ladder_done = n.next_rung_at IS NULL
    FROM clocks AS n
   WHERE n.leg > 0 AND l.case_id = n.id AND l.number = n.leg
),
told_of_legs AS (
  -- What fires of a leg is an event of its case, whose own clock may be looked at in the same statement: then it has
  -- been counted above.
  UPDATE dispatch.dispatch_case AS c
     SET version = c.version + e.fired
    FROM (SELECT case_id, count(*) AS fired FROM recorded GROUP BY case_id) AS e
   WHERE c.id = e.case_id AND NOT EXISTS (SELECT FROM clocks AS n WHERE n.leg = 0 AND n.id = c.id)
)
SELECT (SELECT count(*) FROM recorded), (SELECT pg_notify('gridward_events', '') FROM recorded LIMIT 1)
