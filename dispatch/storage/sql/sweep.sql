-- Deadline sweep: take cases whose next rung is due on the database's clock. SKIP LOCKED lets many workers share the
-- work; whoever is being moved right now is locked by that move and is looked at again after it.
SELECT c.id, c.ref, c.jurisdiction, coalesce(c.owner_path, c.cell_path) AS cell_path, c.state, c.clock_epoch,
       c.owner_post_id, c.owner_ladder, c.due_at
  FROM dispatch.dispatch_case AS c
 WHERE c.next_rung_at <= now()
 ORDER BY c.next_rung_at
 LIMIT %(batch)s
   FOR UPDATE SKIP LOCKED
