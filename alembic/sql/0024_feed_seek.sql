-- When an event happened stands beside its place, so that a reader who begins somewhere in the middle passes over what
-- was before without a look at the rows.
CREATE INDEX ix_case_event_feed_when ON dispatch.case_event (txid, id) INCLUDE (occurred_at);
DROP INDEX dispatch.ix_case_event_feed;
ALTER INDEX dispatch.ix_case_event_feed_when RENAME TO ix_case_event_feed;

-- The last place of the feed before which nothing lies, after a given one, that a filter could want: just before the
-- first event of a span of time or of a case, seen or not, and else the feed's end. Places are numbers, the same for
-- everybody; what is there is read through the policies.
CREATE FUNCTION dispatch.feed_seek(after_txid xid8, after_id bigint, since timestamptz, until timestamptz, of_case uuid)
RETURNS TABLE (txid bigint, id bigint)
LANGUAGE plpgsql STABLE ROWS 1 SECURITY DEFINER SET search_path = pg_catalog
AS $$
BEGIN
  IF of_case IS NOT NULL THEN
    -- The few events of a case, whose order is not left to a walk over all events.
    RETURN QUERY
      WITH mine AS MATERIALIZED (
        SELECT e.txid, e.id, e.occurred_at FROM dispatch.case_event AS e WHERE e.case_id = of_case)
      SELECT m.txid::text::bigint, m.id - 1 FROM mine AS m
       WHERE (m.txid, m.id) > (after_txid, after_id) AND m.txid < pg_snapshot_xmin(pg_current_snapshot())
         AND m.occurred_at >= coalesce(since, '-infinity') AND m.occurred_at < coalesce(until, 'infinity')
       ORDER BY m.txid, m.id LIMIT 1;
  ELSE
    RETURN QUERY
      SELECT e.txid::text::bigint, e.id - 1 FROM dispatch.case_event AS e
       WHERE (e.txid, e.id) > (after_txid, after_id) AND e.txid < pg_snapshot_xmin(pg_current_snapshot())
         AND e.occurred_at >= coalesce(since, '-infinity') AND e.occurred_at < coalesce(until, 'infinity')
       ORDER BY e.txid, e.id LIMIT 1;
  END IF;
  IF NOT FOUND THEN
    RETURN QUERY SELECT z.txid, z.id FROM dispatch.feed_end() AS z;
  END IF;
END $$;
