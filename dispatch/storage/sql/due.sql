-- Is there anything for the worker's duties to do? One cheap question instead of a transaction per duty and second; each
-- column has the condition of the statement that then takes the rows (sweep, sweep_legs, relay, hand_over, stages, the
-- search index, the lanes of notices). Parameter: media, those that this worker sends by.
SELECT EXISTS (SELECT FROM dispatch.dispatch_case AS c WHERE c.next_rung_at <= now())
       OR EXISTS (SELECT FROM dispatch.case_leg AS l WHERE l.next_rung_at <= now()) AS sweep,
       EXISTS (SELECT FROM dispatch.outbox AS o WHERE o.parked_at IS NULL AND o.next_attempt_at <= now()) AS relay,
       EXISTS (SELECT FROM dispatch.dispatch_case AS c
                WHERE c.stage_clock IN ('verify', 'acknowledge', 'suspension') AND c.stage_due_at <= now()) AS stages,
       EXISTS (SELECT FROM dispatch.words_read AS r
                CROSS JOIN LATERAL dispatch.feed_places(r.txid, r.event_id, 1)) AS words,
       EXISTS (SELECT FROM dispatch.notification AS n
                WHERE n.state = 'waiting' AND n.next_attempt_at <= now() AND n.medium = ANY (%(media)s)) AS notices,
       EXISTS (SELECT FROM geo.grid_version AS g
                WHERE g.status = 'published' AND g.took_effect_at IS NULL AND g.valid_from <= now())
       OR EXISTS (
         SELECT FROM geo.jurisdiction AS j
          CROSS JOIN LATERAL geo.valid_version(j.code, now()) AS v
          CROSS JOIN LATERAL (
            (SELECT FROM dispatch.dispatch_case AS b
              WHERE b.jurisdiction = j.code AND coalesce(b.owner_version_id, b.grid_version_id, 0) < v.id AND b.{states}
              LIMIT 1)
            UNION ALL
            (SELECT FROM dispatch.dispatch_case AS a
              WHERE a.jurisdiction = j.code AND coalesce(a.owner_version_id, a.grid_version_id, 0) > v.id AND a.{states}
              LIMIT 1)) AS stale) AS hand_over
