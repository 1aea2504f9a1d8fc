-- Intake: locate, choose the head, write case, first event and outbox row — any number of reports, one round trip.
-- Parameter: rows, a JSON array of prepared reports (dispatch/storage/intake.py, PreparedReport).
-- A report whose (channel, ticket) is already there is left out of the result; the caller looks the old case up.
WITH input AS MATERIALIZED (
  SELECT r.*, CASE WHEN r.lon IS NOT NULL THEN ST_SetSRID(ST_MakePoint(r.lon, r.lat), 4326) END AS location
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
           id uuid, jurisdiction text, time_zone text, channel text, ticket text, digest text,
           category text, condition smallint, body text, address text, ledgers text[],
           lon float8, lat float8, raw_x float8, raw_y float8, coord_sys text, reported_at timestamptz,
           is_certain boolean, is_self_handled boolean, due_at timestamptz, due_provisional boolean, warn_at timestamptz)
),
located AS MATERIALIZED (
  SELECT i.*, v.id AS version_id, v.number AS version_number, v.name AS version_name, c.id AS cell_id, c.path,
         CASE WHEN i.location IS NULL THEN 'no_position' WHEN c.id IS NULL THEN 'out_of_grid' ELSE 'covers' END AS how
    FROM input AS i
    LEFT JOIN LATERAL geo.valid_version(i.jurisdiction, now()) AS v ON true
    LEFT JOIN LATERAL geo.covering_cell(v.id, i.location) AS c ON true
),
-- Each look-up stands in a CASE of its own, because a CASE is evaluated only when its condition holds: as a join
-- condition the nearest cells would be searched for every report and thrown away for nearly all of them.
looked_up AS MATERIALIZED (
  SELECT l.*,
         CASE WHEN l.how = 'covers' THEN (
           SELECT jsonb_agg(jsonb_build_object('level', c.level, 'code', c.code, 'name_zh', c.name_zh,
                                               'name_en', c.name_en, 'kind', c.kind) ORDER BY c.level)
             FROM unnest(l.path) AS step (code)
             JOIN geo.cell AS c ON c.version_id = l.version_id AND c.code = step.code) END AS chain,
         CASE WHEN l.how = 'covers' THEN (
           SELECT jsonb_agg(to_jsonb(s) ORDER BY s.step)
             FROM dispatch.responsible_ladder(l.jurisdiction, l.path, l.reported_at) AS s) END AS ladder,
         CASE WHEN l.how = 'out_of_grid' THEN (
           SELECT jsonb_agg(jsonb_build_object('code', n.code, 'name_zh', n.name_zh, 'name_en', n.name_en,
                                               'distance_m', round(n.distance_m::numeric, 1))
                            ORDER BY n.distance_m, n.code COLLATE "C")
             FROM geo.nearest_cells(l.version_id, l.location, 3) AS n) END AS nearest
    FROM located AS l
),
decided AS MATERIALIZED (
  SELECT l.*, (head.rung ->> 'post_id')::bigint AS post_id, (head.rung ->> 'person_id')::uuid AS person_id,
         l.is_certain AND l.how = 'covers' AND head.rung IS NOT NULL AND coalesce(p.dispatches_itself, true)
           AS is_dispatched,
         coalesce(p.accept_minutes, 15) AS accept_minutes, coalesce(p.acknowledge_minutes, 30) AS acknowledge_minutes
    FROM looked_up AS l
    CROSS JOIN LATERAL jsonb_path_query_first(l.ladder, '$[*] ? (@.is_available == true)') AS head (rung)
    -- The subdistrict's own profile before the jurisdiction's; without either, dispatch/profiles.py, DEFAULT_PROFILE.
    LEFT JOIN LATERAL (
           SELECT * FROM dispatch.profile AS o
            WHERE o.jurisdiction = l.jurisdiction AND o.cell_code IN ('', l.path[1])
            ORDER BY o.cell_code DESC LIMIT 1) AS p ON true
),
inserted AS (
  INSERT INTO dispatch.dispatch_case (
         id, jurisdiction, ref, channel_code, ticket, request_digest, category_code, condition_number, text, address,
         ledgers, location, raw_x, raw_y, coord_sys, grid_version_id, cell_id, cell_path, located_how, nearest,
         state, reported_at, accepted_at, filed_at, dispatched_at, due_at, due_provisional, warn_at, next_rung_at,
         stage_clock, stage_due_at, owner_post_id, owner_person_id, owner_ladder)
  SELECT d.id, d.jurisdiction,
         to_char(d.reported_at AT TIME ZONE d.time_zone, 'YYYYMMDD') || '-'
           || lpad(nextval('dispatch.case_number')::text, 7, '0'),
         d.channel, d.ticket, decode(d.digest, 'hex'), d.category, d.condition, d.body, d.address,
         d.ledgers, d.location, d.raw_x, d.raw_y, d.coord_sys, d.version_id, d.cell_id, coalesce(d.path, '{}'), d.how,
         d.nearest,
         CASE WHEN d.is_dispatched THEN 'dispatched' WHEN d.is_self_handled THEN 'self_handled' ELSE 'reported' END,
         d.reported_at,
         CASE WHEN d.is_dispatched THEN d.reported_at END, CASE WHEN d.is_dispatched THEN d.reported_at END,
         CASE WHEN d.is_dispatched THEN d.reported_at END, CASE WHEN d.is_dispatched THEN d.due_at END,
         d.is_dispatched AND d.due_provisional, CASE WHEN d.is_dispatched THEN d.warn_at END,
         CASE WHEN d.is_dispatched THEN d.due_at END,
         CASE WHEN d.is_dispatched THEN 'acknowledge' WHEN d.is_self_handled IS NOT TRUE THEN 'accept' END,
         CASE WHEN d.is_self_handled IS NOT TRUE THEN d.reported_at
           + make_interval(mins => CASE WHEN d.is_dispatched THEN d.acknowledge_minutes ELSE d.accept_minutes END)
         END,
         CASE WHEN d.is_dispatched THEN d.post_id END, CASE WHEN d.is_dispatched THEN d.person_id END, d.ladder
    FROM decided AS d
  ON CONFLICT ON CONSTRAINT uq_dispatch_case_channel_ticket DO NOTHING
  RETURNING id, ref, state
),
recorded AS (
  INSERT INTO dispatch.case_event (case_id, seq, type, moves, from_state, to_state, occurred_at, actor_kind, actor_id,
                                   payload)
  SELECT n.id, 1,
         CASE WHEN d.is_dispatched THEN 'case.dispatched.v1' WHEN d.is_self_handled THEN 'case.self_handled.v1'
              ELSE 'case.reported.v1' END,
         CASE WHEN d.is_dispatched THEN ARRAY['report', 'accept', 'file', 'dispatch']
              WHEN d.is_self_handled THEN ARRAY['self_handle'] ELSE ARRAY['report'] END,
         NULL, n.state, d.reported_at, 'channel', d.channel,
         jsonb_build_object(
           'chain', coalesce(d.chain, '[]'), 'ladder', coalesce(d.ladder, '[]'), 'nearest', coalesce(d.nearest, '[]'),
           'how', d.how, 'grid_version', CASE WHEN d.version_id IS NOT NULL THEN
              jsonb_build_object('number', d.version_number, 'name', d.version_name) END,
           'due_at', CASE WHEN d.is_dispatched THEN to_jsonb(d.due_at) END,
           'due_provisional', d.is_dispatched AND d.due_provisional)
    FROM inserted AS n JOIN decided AS d USING (id)
  RETURNING id, case_id, payload
),
queued AS (
  INSERT INTO dispatch.outbox (event_id) SELECT id FROM recorded
)
SELECT n.id, n.ref, n.state, r.payload FROM inserted AS n JOIN recorded AS r ON r.case_id = n.id
