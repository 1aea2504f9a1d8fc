-- Write cases and first events of a staged, located batch; what is already there (channel, ticket) is left alone.
WITH located AS MATERIALIZED (
  SELECT r.*, ST_SetSRID(ST_MakePoint(r.lon, r.lat), 4326) AS location, c.cell_id, c.path,
         CASE WHEN r.lon IS NULL THEN 'no_position' WHEN c.cell_id IS NULL THEN 'out_of_grid' ELSE 'covers' END AS how
    FROM staged_report AS r
    LEFT JOIN staged_cell AS c USING (row)
   WHERE NOT EXISTS (SELECT FROM dispatch.dispatch_case AS d
                      WHERE d.channel_code = %(channel)s AND d.ticket = r.ticket)
),
added AS (
  INSERT INTO dispatch.dispatch_case (
         id, jurisdiction, ref, origin, channel_code, ticket, category_code, text, address, location, raw_x, raw_y,
         coord_sys, grid_version_id, cell_id, cell_path, located_how, nearest, state, reported_at, closed_at, due_at,
         is_on_time)
  SELECT l.id, %(jurisdiction)s,
         to_char(l.reported_at AT TIME ZONE %(time_zone)s, 'YYYYMMDD') || '-'
           || lpad(nextval('dispatch.case_number')::text, 7, '0'),
         'imported', %(channel)s, l.ticket, l.category, l.body, l.address, l.location, l.raw_x, l.raw_y,
         CASE WHEN l.location IS NOT NULL THEN %(coord_sys)s END,
         %(version)s, l.cell_id, coalesce(l.path, '{}'), l.how, near.cells, l.state, l.reported_at, l.closed_at,
         l.due_at, l.closed_at <= l.due_at
    FROM located AS l
    -- Only for cases somebody still has to place; for closed history it would cost more than the whole import. The
    -- condition stands inside: in an ON clause PostgreSQL would look for neighbours first and throw them away after.
    LEFT JOIN LATERAL (
           SELECT jsonb_agg(jsonb_build_object('code', n.code, 'name_zh', n.name_zh, 'name_en', n.name_en,
                                               'distance_m', round(n.distance_m::numeric, 1))
                            ORDER BY n.distance_m, n.code COLLATE "C") AS cells
             FROM geo.nearest_cells(%(version)s, l.location, 3) AS n
            WHERE l.how = 'out_of_grid' AND l.state <> 'closed') AS near ON true
   ORDER BY l.row
  ON CONFLICT ON CONSTRAINT uq_dispatch_case_channel_ticket DO NOTHING
  RETURNING id, located_how
),
recorded AS (
  INSERT INTO dispatch.case_event (case_id, seq, type, moves, from_state, to_state, occurred_at, actor_kind, actor_id,
                                   payload)
  SELECT a.id, 1, 'case.imported.v1', ARRAY['import'], NULL, l.state, now(), 'import', %(channel)s,
         jsonb_build_object('file', %(file)s::text, 'digest', %(digest)s::text, 'row', l.row,
                            'source_status', l.source_status)
    FROM added AS a JOIN located AS l USING (id)
)
SELECT located_how, count(*) FROM added GROUP BY located_how
