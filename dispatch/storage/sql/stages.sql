-- Stage clocks that have run out and that the worker answers: nobody verified, nobody acknowledged, a suspension is
-- over. The condition is the partial index's own text (WATCHED_STAGES in dispatch/storage/tables.py).
SELECT c.*, {kept_ladder} AS kept_ladder
  FROM dispatch.dispatch_case AS c
 WHERE c.stage_clock IN ('verify', 'acknowledge', 'suspension')
   AND c.stage_due_at <= now()
 ORDER BY c.stage_due_at
 LIMIT %(batch)s
   FOR UPDATE SKIP LOCKED
