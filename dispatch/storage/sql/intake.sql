-- Intake: check what was decided, then write case, first event and outbox row — any number of reports, one round trip.
-- Parameters: rows, a JSON array of reports; places, one of where they lie and who answers there; routes, one of the
-- matrix' lines for them. A row names its place and its route by number, because reports share them and reading JSON is
-- what costs most here (all are made by dispatch/storage/intake_rows.py; what a row leaves out is empty). known: the snapshot up to which whoever placed
-- them knows the posts.
-- Cell and head come from the index and the roster in memory, or from place.sql. They are written only if the version is
-- the one valid now, and nothing about posts was committed that the placing did not know; a report that fails this
-- guard is not written and comes back as stale. A report whose (channel, ticket) is already there has no ref.
-- Chain and ladder are kept once for all who share them (decision 0044). While one of the standings is not kept yet,
-- nothing is written.
-- Whatever a row refers to is looked up here, because lines of the intake have their foreign keys switched off, which ask
-- the same again for every row and key (decision 0042). A row that refers to what is not there is stale, too. Nothing can
-- go away meanwhile: whoever deletes waits for the intake (alembic/sql/0023_intake_keys.sql).
WITH place AS MATERIALIZED (
  SELECT s.*,
         (v.id, v.revision) IS DISTINCT FROM (s.version_id, s.version_revision)
           OR v.id IS NULL AND (SELECT 1 FROM geo.jurisdiction AS j WHERE j.code = s.jurisdiction) IS NULL
           OR s.cell_id IS NOT NULL
              AND (SELECT c.version_id FROM geo.cell AS c WHERE c.id = s.cell_id) IS DISTINCT FROM s.version_id
           OR s.post_id IS NOT NULL AND (SELECT 1 FROM dispatch.post AS o WHERE o.id = s.post_id) IS NULL
           OR s.person_id IS NOT NULL AND (SELECT 1 FROM dispatch.person AS o WHERE o.id = s.person_id) IS NULL
           OR EXISTS (
           SELECT FROM dispatch.duty_change AS d
            WHERE d.txid >= pg_snapshot_xmin(%(known)s::pg_snapshot)
              AND NOT pg_visible_in_snapshot(d.txid, %(known)s::pg_snapshot)) AS is_stale,
         (SELECT 1 FROM dispatch.standing AS t WHERE t.id = s.standing_id) IS NULL AS lacks_standing,
         coalesce(p.dispatches_itself, true) AS dispatches_itself,
         coalesce(p.accept_minutes, 15) AS accept_minutes, coalesce(p.acknowledge_minutes, 30) AS acknowledge_minutes
    FROM jsonb_to_recordset(%(places)s::jsonb) AS s (
           place int, jurisdiction text, time_zone text, version_id int, version_revision int, how text,
           cell_id bigint, cell_path text[], post_id bigint, person_id uuid, standing_id uuid, said jsonb)
    LEFT JOIN LATERAL geo.valid_version(s.jurisdiction, now()) AS v ON true
    -- The subdistrict's own profile before the jurisdiction's; without either, dispatch/profiles.py, DEFAULT_PROFILE.
    LEFT JOIN LATERAL (
           SELECT * FROM dispatch.profile AS o
            WHERE o.jurisdiction = s.jurisdiction AND o.cell_code IN ('', s.cell_path[1])
            ORDER BY o.cell_code DESC LIMIT 1) AS p ON true
),
decided AS MATERIALIZED (
  SELECT r.*, p.jurisdiction, p.time_zone, p.version_id, p.cell_id, p.cell_path, p.how, p.person_id, p.post_id,
         p.standing_id, p.lacks_standing,
         o.department, p.said, o.said AS route_said, p.accept_minutes, p.acknowledge_minutes,
         p.is_stale OR (SELECT 1 FROM dispatch.channel AS k WHERE k.code = r.channel) IS NULL
           OR (SELECT 1 FROM dispatch.category AS k WHERE k.code = r.category) IS NULL
           OR o.department IS NOT NULL
              AND (SELECT 1 FROM dispatch.department AS k WHERE k.code = o.department) IS NULL AS is_stale,
         CASE WHEN r.lon IS NOT NULL THEN ST_SetSRID(ST_MakePoint(r.lon, r.lat), 4326) END AS location,
         r.is_certain AND p.post_id IS NOT NULL AND p.dispatches_itself AS is_dispatched,
         -- A CASE, because it is evaluated only when its condition holds; a join would search for every report.
         CASE WHEN p.how = 'out_of_grid' AND NOT p.is_stale THEN
           coalesce(r.near, geo.nearest_said(p.version_id, ST_SetSRID(ST_MakePoint(r.lon, r.lat), 4326), 3, NULL))
           END AS nearest
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
           line int, id uuid, channel text, ticket text, digest text, category text, condition smallint, body text,
           address text, ledgers text[], lon float8, lat float8, raw_x float8, raw_y float8, coord_sys text,
           accuracy_m float8, confirm_on_site boolean, reported_at timestamptz, is_certain boolean,
           is_self_handled boolean, due_at timestamptz, due_said text, due_provisional boolean, warn_at timestamptz,
           limit_value numeric, limit_unit text, open_phases smallint, reporter_key text, actor text, place int, route int,
           near jsonb, payload jsonb)
    JOIN place AS p USING (place)
    LEFT JOIN jsonb_to_recordset(%(routes)s::jsonb) AS o (route int, department text, said jsonb) USING (route)
),
inserted AS (
  INSERT INTO dispatch.dispatch_case (
         id, jurisdiction, ref, channel_code, ticket, request_digest, category_code, condition_number, text, address,
         ledgers, location, raw_x, raw_y, coord_sys, accuracy_m, confirm_on_site, grid_version_id, cell_id, cell_path, located_how, nearest,
         state, reported_at, accepted_at, filed_at, dispatched_at, due_at, due_provisional, warn_at, next_rung_at,
         stage_clock, stage_due_at, limit_value, limit_unit, open_phases, owner_post_id, owner_person_id, department_code, reporter_key, standing_id)
  SELECT d.id, d.jurisdiction,
         to_char(d.reported_at AT TIME ZONE d.time_zone, 'YYYYMMDD') || '-'
           || lpad(nextval('dispatch.case_number')::text, 7, '0'),
         d.channel, d.ticket, decode(d.digest, 'hex'), d.category, d.condition, d.body, coalesce(d.address, ''),
         coalesce(d.ledgers, '{}'), d.location, d.raw_x, d.raw_y, d.coord_sys, d.accuracy_m,
         coalesce(d.confirm_on_site, false), d.version_id, d.cell_id, d.cell_path, d.how, d.nearest,
         CASE WHEN d.is_dispatched THEN 'dispatched' WHEN d.is_self_handled THEN 'self_handled' ELSE 'reported' END,
         d.reported_at,
         CASE WHEN d.is_dispatched THEN d.reported_at END, CASE WHEN d.is_dispatched THEN d.reported_at END,
         CASE WHEN d.is_dispatched THEN d.reported_at END, CASE WHEN d.is_dispatched THEN d.due_at END,
         d.is_dispatched AND coalesce(d.due_provisional, false), CASE WHEN d.is_dispatched THEN d.warn_at END,
         -- What the trigger that arms the ladder would write: it does not run for a row that is armed.
         CASE WHEN d.is_dispatched THEN now() END,
         CASE WHEN d.is_dispatched THEN 'acknowledge' WHEN d.is_self_handled IS NOT TRUE THEN 'accept' END,
         CASE WHEN d.is_self_handled IS NOT TRUE THEN d.reported_at
           + make_interval(mins => CASE WHEN d.is_dispatched THEN d.acknowledge_minutes ELSE d.accept_minutes END)
         END,
         CASE WHEN d.is_dispatched THEN d.limit_value END, CASE WHEN d.is_dispatched THEN d.limit_unit END,
         CASE WHEN d.is_dispatched THEN coalesce(d.open_phases, 0) ELSE 0 END,
         CASE WHEN d.is_dispatched THEN d.post_id END, CASE WHEN d.is_dispatched THEN d.person_id END,
         d.department, decode(d.reporter_key, 'hex'), d.standing_id
    FROM decided AS d
   -- All or none: were only some written now, of equal tickets it might not be the first.
   WHERE NOT d.is_stale AND NOT EXISTS (SELECT FROM place AS q WHERE q.lacks_standing)
   -- Of equal tickets the first is written; and two statements with the same tickets take them in the same order, so
   -- that neither waits for the other crosswise.
   ORDER BY d.line
  ON CONFLICT ON CONSTRAINT uq_dispatch_case_channel_ticket DO NOTHING
  RETURNING id, ref, state
),
recorded AS (
  INSERT INTO dispatch.case_event (case_id, seq, type, moves, from_state, to_state, occurred_at, actor_kind, actor_id,
                                   standing_id, payload)
  SELECT n.id, 1,
         CASE WHEN d.is_dispatched THEN 'case.dispatched.v1' WHEN d.is_self_handled THEN 'case.self_handled.v1'
              ELSE 'case.reported.v1' END,
         CASE WHEN d.is_dispatched THEN ARRAY['report', 'accept', 'file', 'dispatch']
              WHEN d.is_self_handled THEN ARRAY['self_handle'] ELSE ARRAY['report'] END,
         NULL, n.state, d.reported_at, CASE WHEN d.actor IS NULL THEN 'channel' ELSE 'person' END,
         coalesce(d.actor, d.channel), d.standing_id,
         d.said || (coalesce(d.route_said, '{}') || coalesce(d.payload, '{}') || CASE WHEN d.is_dispatched
           THEN jsonb_build_object('due_at', d.due_said, 'due_provisional', coalesce(d.due_provisional, false),
                                   'nearest', '[]'::jsonb)
           ELSE jsonb_build_object('due_at', NULL, 'due_provisional', false, 'nearest', coalesce(d.nearest, '[]')) END)
    FROM inserted AS n JOIN decided AS d USING (id)
  RETURNING id
),
queued AS (
  INSERT INTO dispatch.outbox (event_id) SELECT id FROM recorded
)
SELECT d.line, d.is_stale, n.ref, n.state, CASE WHEN d.near IS NULL THEN d.nearest END, d.lacks_standing
  FROM decided AS d LEFT JOIN inserted AS n ON n.id = d.id
