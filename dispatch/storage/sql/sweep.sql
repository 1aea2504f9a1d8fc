-- Deadline sweep: take cases whose ladder is to be looked at, on the database's clock. SKIP LOCKED lets many workers
-- share the work; whoever is being moved right now is locked by that move and is looked at again after it.
SELECT c.id, c.ref, c.jurisdiction, coalesce(c.owner_path, c.cell_path) AS cell_path, c.state, c.origin,
       c.channel_code, c.category_code, c.condition_number, c.dispatched_at, c.acknowledged_at, c.clock_started_at,
       c.clock_epoch, c.ladder_epoch, c.ladder_from, c.due_at, c.owner_post_id, c.owner_person_id
  FROM dispatch.dispatch_case AS c
 WHERE c.next_rung_at <= now()
 ORDER BY c.next_rung_at
 LIMIT %(batch)s
   FOR UPDATE SKIP LOCKED
