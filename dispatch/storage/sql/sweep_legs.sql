-- The sweep's second question: legs of joint work whose ladder is to be looked at. The case is locked as well, so that
-- nobody moves a leg meanwhile (decision 0002); its columns have the names of sweep.sql, filled from the leg's own clock.
SELECT c.id, l.number AS leg, c.ref, c.jurisdiction, coalesce(c.owner_path, c.cell_path) AS cell_path, c.state,
       l.state AS leg_state, c.origin, c.category_code, l.limit_unit, l.started_at, l.acknowledged_at, c.clock_epoch,
       l.ladder_epoch, l.ladder_from, l.due_at, l.owner_post_id, l.owner_person_id, l.department_code,
       d.name_zh AS department_zh, d.name_en AS department_en, c.owner_post_id AS lead_post_id,
       c.owner_person_id AS lead_person_id, l.next_rung_at
  FROM dispatch.case_leg AS l
  JOIN dispatch.dispatch_case AS c ON c.id = l.case_id
  JOIN dispatch.department AS d ON d.code = l.department_code
 WHERE l.next_rung_at <= now()
 ORDER BY l.next_rung_at
 LIMIT %(batch)s
   FOR UPDATE OF c, l SKIP LOCKED
