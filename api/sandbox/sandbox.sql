-- The sandbox's clock. The database's search path puts this schema before PostgreSQL's own, so that every `now()` of
-- ours means the clock of the channel that the transaction acts for; without one it is the real clock.
CREATE SCHEMA IF NOT EXISTS sandbox;
CREATE TABLE IF NOT EXISTS sandbox.clock (
  channel text PRIMARY KEY,
  ahead interval NOT NULL DEFAULT interval '0' CHECK (ahead >= interval '0')
);
-- The channel is the one that the policies let the transaction see: a key of the sandbox sees no other.
CREATE OR REPLACE FUNCTION sandbox.ahead() RETURNS interval
LANGUAGE sql STABLE PARALLEL SAFE
AS $$
  SELECT coalesce((SELECT c.ahead FROM sandbox.clock AS c
                    WHERE c.channel = (nullif(pg_catalog.current_setting('gridward.channels', true), '')::text[])[1]),
                  interval '0')
$$;
CREATE OR REPLACE FUNCTION sandbox.now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT pg_catalog.now() + sandbox.ahead() $$;
CREATE OR REPLACE FUNCTION sandbox.clock_timestamp() RETURNS timestamptz
LANGUAGE sql VOLATILE
AS $$ SELECT pg_catalog.clock_timestamp() + sandbox.ahead() $$;
GRANT USAGE ON SCHEMA sandbox TO gridward_area, gridward_desk, gridward_service;
GRANT SELECT ON sandbox.clock TO gridward_area, gridward_desk, gridward_service;
-- An event and its outbox row are written by one statement, in which the policy cannot see the event yet. Nobody reads
-- this table through any door, and in the sandbox nobody is told anything.
DROP POLICY IF EXISTS sandbox ON dispatch.outbox;
CREATE POLICY sandbox ON dispatch.outbox TO gridward_area USING (true) WITH CHECK (true);
