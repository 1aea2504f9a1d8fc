-- Write what a sweep found: the rungs that fire, with event and outbox row, and when each case is to be looked at next.
-- Parameters: rungs and cases, JSON arrays (dispatch/storage/escalation.py). The cases are locked. A rung that has fired
-- in this epoch already leaves nothing: its primary key is the promise.
WITH rungs AS (
  SELECT * FROM jsonb_to_recordset(%(rungs)s::jsonb) AS r (
    place int, case_id uuid, rung text, epoch smallint, planned_at timestamptz, person_id uuid, post_id bigint,
    target text, told text, empty text[], in_bulletin boolean, ladder_id int, type text, state text, payload jsonb)
),
fired AS (
  INSERT INTO dispatch.escalation (case_id, rung, clock_epoch, fired_at, person_id, planned_at, post_id, target, told,
                                   empty, in_bulletin, ladder_id)
  SELECT case_id, rung, epoch, clock_timestamp(), person_id, planned_at, post_id, target, told, coalesce(empty, '{}'),
         in_bulletin, ladder_id
    FROM rungs
  ON CONFLICT DO NOTHING
  RETURNING case_id, rung
),
recorded AS (
  INSERT INTO dispatch.case_event (case_id, seq, type, moves, from_state, to_state, occurred_at, actor_kind, actor_id,
                                   payload)
  SELECT r.case_id, last.seq + row_number() OVER (PARTITION BY r.case_id ORDER BY r.place), r.type, ARRAY['escalate'],
         r.state, r.state, now(), 'system', 'worker', r.payload
    FROM fired AS f
    JOIN rungs AS r ON r.case_id = f.case_id AND r.rung = f.rung
    CROSS JOIN LATERAL (SELECT coalesce(max(e.seq), 0) AS seq FROM dispatch.case_event AS e WHERE e.case_id = r.case_id) AS last
  RETURNING id, case_id
),
queued AS (
  INSERT INTO dispatch.outbox (event_id) SELECT id FROM recorded
),
looked AS (
  UPDATE dispatch.dispatch_case AS c
     SET next_rung_at = n.next_rung_at, ladder_done = n.next_rung_at IS NULL,
         version = c.version + (SELECT count(*) FROM recorded AS e WHERE e.case_id = c.id)
    FROM jsonb_to_recordset(%(cases)s::jsonb) AS n (id uuid, next_rung_at timestamptz)
   WHERE c.id = n.id
)
SELECT (SELECT count(*) FROM recorded), (SELECT pg_notify('gridward_events', '') FROM recorded LIMIT 1)
