-- Intake: check what was decided, then write case, first event and outbox row — any number of reports, one round trip.
-- Parameters: rows, a JSON array of placed reports (dispatch/storage/intake.py); known, the snapshot up to which
-- whoever placed them knows the posts.
-- Cell and head come from the index and the roster in memory, or from place.sql. They are written only if the version is
-- the one valid now, and nothing about posts was committed that the placing did not know; a report that fails this
-- guard is not written and comes back as stale. A report whose (channel, ticket) is already there has no ref.
WITH input AS MATERIALIZED (
  SELECT r.*, CASE WHEN r.lon IS NOT NULL THEN ST_SetSRID(ST_MakePoint(r.lon, r.lat), 4326) END AS location
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
           id uuid, jurisdiction text, time_zone text, channel text, ticket text, digest text,
           category text, condition smallint, body text, address text, ledgers text[],
           lon float8, lat float8, raw_x float8, raw_y float8, coord_sys text, accuracy_m float8,
           confirm_on_site boolean, reported_at timestamptz,
           is_certain boolean, is_self_handled boolean, due_at timestamptz, due_provisional boolean, warn_at timestamptz,
           limit_value numeric, limit_unit text, open_phases smallint,
           version_id int, version_revision int,
           cell_id bigint, cell_path text[], how text, post_id bigint, person_id uuid, department text,
           reporter_key text, actor text, payload jsonb)
),
-- Not a WHERE: the planner would expect one row to be left, and join quadratically.
guarded AS MATERIALIZED (
  SELECT i.*,
         (v.id, v.revision) IS DISTINCT FROM (i.version_id, i.version_revision) OR EXISTS (
           SELECT FROM dispatch.duty_change AS d
            WHERE d.txid >= pg_snapshot_xmin(%(known)s::pg_snapshot)
              AND NOT pg_visible_in_snapshot(d.txid, %(known)s::pg_snapshot)) AS is_stale
    FROM input AS i
    LEFT JOIN LATERAL geo.valid_version(i.jurisdiction, now()) AS v ON true
),
decided AS MATERIALIZED (
  SELECT g.*,
         g.is_certain AND g.post_id IS NOT NULL AND coalesce(p.dispatches_itself, true) AS is_dispatched,
         coalesce(p.accept_minutes, 15) AS accept_minutes, coalesce(p.acknowledge_minutes, 30) AS acknowledge_minutes,
         -- A CASE, because it is evaluated only when its condition holds; a join would search for every report.
         CASE WHEN g.how = 'out_of_grid' AND NOT g.is_stale THEN (
           SELECT jsonb_agg(jsonb_build_object('code', n.code, 'name_zh', n.name_zh, 'name_en', n.name_en,
                                               'distance_m', round(n.distance_m::numeric, 1))
                            ORDER BY n.distance_m, n.code COLLATE "C")
             FROM geo.nearest_cells(g.version_id, g.location, 3) AS n) END AS nearest
    FROM guarded AS g
    -- The subdistrict's own profile before the jurisdiction's; without either, dispatch/profiles.py, DEFAULT_PROFILE.
    LEFT JOIN LATERAL (
           SELECT * FROM dispatch.profile AS o
            WHERE o.jurisdiction = g.jurisdiction AND o.cell_code IN ('', g.cell_path[1])
            ORDER BY o.cell_code DESC LIMIT 1) AS p ON true
),
inserted AS (
  INSERT INTO dispatch.dispatch_case (
         id, jurisdiction, ref, channel_code, ticket, request_digest, category_code, condition_number, text, address,
         ledgers, location, raw_x, raw_y, coord_sys, accuracy_m, confirm_on_site, grid_version_id, cell_id, cell_path, located_how, nearest,
         state, reported_at, accepted_at, filed_at, dispatched_at, due_at, due_provisional, warn_at, next_rung_at,
         stage_clock, stage_due_at, limit_value, limit_unit, open_phases, owner_post_id, owner_person_id, department_code, reporter_key, owner_ladder)
  SELECT d.id, d.jurisdiction,
         to_char(d.reported_at AT TIME ZONE d.time_zone, 'YYYYMMDD') || '-'
           || lpad(nextval('dispatch.case_number')::text, 7, '0'),
         d.channel, d.ticket, decode(d.digest, 'hex'), d.category, d.condition, d.body, d.address,
         d.ledgers, d.location, d.raw_x, d.raw_y, d.coord_sys, d.accuracy_m, d.confirm_on_site, d.version_id, d.cell_id, d.cell_path, d.how,
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
         CASE WHEN d.is_dispatched THEN d.limit_value END, CASE WHEN d.is_dispatched THEN d.limit_unit END,
         CASE WHEN d.is_dispatched THEN d.open_phases ELSE 0 END,
         CASE WHEN d.is_dispatched THEN d.post_id END, CASE WHEN d.is_dispatched THEN d.person_id END,
         d.department, decode(d.reporter_key, 'hex'),
         nullif(d.payload -> 'ladder', '[]')
    FROM decided AS d
   WHERE NOT d.is_stale
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
         NULL, n.state, d.reported_at, CASE WHEN d.actor IS NULL THEN 'channel' ELSE 'person' END,
         coalesce(d.actor, d.channel),
         -- Ready-made for the ordinary case: building it here costs more than everything else about the event.
         CASE WHEN d.is_dispatched THEN d.payload
              ELSE d.payload || jsonb_build_object('due_at', NULL, 'due_provisional', false,
                                                   'nearest', coalesce(d.nearest, '[]')) END
    FROM inserted AS n JOIN decided AS d USING (id)
  RETURNING id
),
queued AS (
  INSERT INTO dispatch.outbox (event_id) SELECT id FROM recorded
)
SELECT d.id, d.is_stale, n.ref, n.state, d.nearest,
       -- Once per statement, and only when something was written. No payload: it says "look" (decision 0004).
       (SELECT pg_notify('gridward_events', '') FROM inserted LIMIT 1)
  FROM decided AS d LEFT JOIN inserted AS n ON n.id = d.id
