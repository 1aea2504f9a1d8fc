-- Outbox relay: events whose consequences are due, with whom they concern. The outbox row stays locked until the
-- consequences commit; a crash leaves it for the next worker.
SELECT o.id, o.event_id, o.attempts, e.type, e.occurred_at, {whole_payload} AS payload, c.ref, c.owner_person_id, c.jurisdiction,
       coalesce(c.owner_path, c.cell_path) AS path,
       k.name_zh AS category_zh, k.name_en AS category_en, c.due_at, c.address, j.time_zone
  FROM dispatch.outbox AS o
  JOIN dispatch.case_event AS e ON e.id = o.event_id
  JOIN dispatch.dispatch_case AS c ON c.id = e.case_id
  JOIN dispatch.category AS k ON k.code = c.category_code
  JOIN geo.jurisdiction AS j ON j.code = c.jurisdiction
 WHERE o.parked_at IS NULL AND o.next_attempt_at <= now()
 ORDER BY o.next_attempt_at, o.id
 LIMIT %(batch)s
   FOR UPDATE OF o SKIP LOCKED
