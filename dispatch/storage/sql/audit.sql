-- The auditor's walk: the next cases on the ladder in the order of their ids, with what a look needs and the instant
-- that was planned. The condition is the partial index's own text (CLIMBING in dispatch/storage/escalation_tables.py).
SELECT c.id, c.ref, c.jurisdiction, coalesce(c.owner_path, c.cell_path) AS cell_path, c.state, c.origin,
       c.channel_code, c.category_code, c.condition_number, c.dispatched_at, c.acknowledged_at, c.clock_started_at,
       c.clock_epoch, c.ladder_epoch, c.ladder_from, c.due_at, c.owner_post_id, c.owner_person_id, c.next_rung_at,
       c.open_legs
  FROM dispatch.dispatch_case AS c
 WHERE c.state IN ('dispatched', 'handling', 'reopened', 'returned') AND c.id > %(after)s
 ORDER BY c.id
 LIMIT %(batch)s
