-- The truth about places: cell, chain and ladder of posts of any number of reports, by the version valid now.
-- Parameter: rows, a JSON array of {id, jurisdiction, category, lon, lat, reported_at}.
SELECT pg_current_snapshot()::text AS known, i.id, v.id AS version_id, v.revision AS version_revision, v.number AS version_number,
       v.name AS version_name, c.id AS cell_id, coalesce(c.path, '{}') AS path,
       CASE WHEN c.id IS NOT NULL THEN (
         SELECT jsonb_agg(jsonb_build_object('level', g.level, 'code', g.code, 'name_zh', g.name_zh,
                                             'name_en', g.name_en, 'kind', g.kind) ORDER BY g.level)
           FROM geo.cell AS g WHERE g.version_id = v.id AND g.code = ANY (c.path)) END AS chain,
       CASE WHEN c.id IS NOT NULL THEN (
         SELECT jsonb_agg(to_jsonb(s) ORDER BY s.step)
           FROM dispatch.duty_ladder(i.jurisdiction, c.path, CASE WHEN r.mode = 'lead' THEN r.department_code END,
                                     i.reported_at) AS s) END AS ladder,
       CASE WHEN r.rule_id IS NOT NULL THEN (
         SELECT jsonb_build_object('rule_id', r.rule_id, 'mode', r.mode, 'department', d.code, 'name_zh', d.name_zh,
                                   'name_en', d.name_en, 'cell_code', r.cell_code, 'category_code', r.category_code)
           FROM dispatch.department AS d WHERE d.code = r.department_code) END AS route
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS i (
         id uuid, jurisdiction text, category text, lon float8, lat float8, reported_at timestamptz)
  LEFT JOIN LATERAL geo.valid_version(i.jurisdiction, now()) AS v ON true
  LEFT JOIN LATERAL geo.covering_cell(
         v.id, CASE WHEN i.lon IS NOT NULL THEN ST_SetSRID(ST_MakePoint(i.lon, i.lat), 4326) END) AS c ON true
  LEFT JOIN LATERAL dispatch.route(i.jurisdiction, c.path, i.category, i.reported_at) AS r ON c.id IS NOT NULL
