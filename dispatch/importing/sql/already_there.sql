-- Staged rows whose case existed before, and where that case came from. A row of the same file under another number is
-- a ticket written twice; anything else is a second run, or another source that got there first.
-- LATERAL with LIMIT: one index probe per row, whatever the statistics of a table that is just being filled say.
SELECT r.row, (e.payload ->> 'row')::bigint AS first_row
  FROM staged_report AS r
 CROSS JOIN LATERAL (SELECT c.id FROM dispatch.dispatch_case AS c
                      WHERE c.channel_code = %(channel)s AND c.ticket = r.ticket LIMIT 1) AS c
  LEFT JOIN LATERAL (SELECT e.payload FROM dispatch.case_event AS e
                      WHERE e.case_id = c.id AND e.seq = 1 AND e.type = 'case.imported.v1'
                        AND e.payload ->> 'digest' = %(digest)s LIMIT 1) AS e ON true
 WHERE c.id <> r.id
