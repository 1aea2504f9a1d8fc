-- Who reported, and who did what (docs/privacy.md).

-- The store of reporters. The roles that callers and the worker act as have no rights here, not even to the schema: a
-- query that joins it by mistake fails. gridward_reporter is taken on for exactly one purpose at a time.
REVOKE ALL ON SCHEMA reporter FROM PUBLIC;
GRANT USAGE ON SCHEMA reporter TO gridward_reporter, gridward_backup;
GRANT SELECT, INSERT ON reporter.identity TO gridward_reporter;
GRANT SELECT ON reporter.identity TO gridward_backup;
ALTER TABLE reporter.identity ENABLE ROW LEVEL SECURITY;
-- Forced: the owner of the table sees nothing of it either, unless it says in whose role it looks.
ALTER TABLE reporter.identity FORCE ROW LEVEL SECURITY;
CREATE POLICY reporter ON reporter.identity TO gridward_reporter USING (true) WITH CHECK (true);
CREATE POLICY backup ON reporter.identity FOR SELECT TO gridward_backup USING (true);

-- What may change: an identity is forgotten. Its row stays, and says when.
GRANT UPDATE (sealed, name_masked, phone_masked, email_masked, wants_follow_up, erased_at, erased_why)
  ON reporter.identity TO gridward_reporter;

-- The audit trail. Every record is numbered and chained here, whoever inserts it: one at a time until the end of its
-- transaction, so the chain has no forks and no gaps; the unique predecessor would refuse one all the same.
CREATE FUNCTION audit.chain() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog SET timezone = 'UTC'
AS $$
DECLARE
  last record;
BEGIN
  PERFORM pg_advisory_xact_lock(1735551332, 13);
  SELECT r.number, r.digest INTO last FROM audit.record AS r ORDER BY r.number DESC LIMIT 1;
  NEW.number := coalesce(last.number, 0) + 1;
  NEW.previous := coalesce(last.digest, decode(repeat('00', 32), 'hex'));
  NEW.recorded_at := clock_timestamp();
  -- What is digested is kept word for word, so that anybody can check it without this database's idea of JSON.
  NEW.content := jsonb_build_object(
    'number', NEW.number, 'recorded_at', to_char(NEW.recorded_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'kind', NEW.kind,
    'actor_kind', NEW.actor_kind, 'actor_id', NEW.actor_id, 'subject', NEW.subject, 'detail', NEW.detail)::text;
  NEW.digest := sha256(NEW.previous || convert_to(NEW.content, 'UTF8'));
  RETURN NEW;
END
$$;
CREATE TRIGGER chained BEFORE INSERT ON audit.record FOR EACH ROW EXECUTE FUNCTION audit.chain();

CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'audit.record is append-only' USING ERRCODE = 'restrict_violation'; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.record
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Whatever role a transaction acts as, it may add a record, and neither read nor change one.
CREATE FUNCTION audit.append(kind text, actor_kind text, actor_id text, subject text, detail jsonb) RETURNS bigint
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog
AS $$
  INSERT INTO audit.record (kind, actor_kind, actor_id, subject, detail)
  VALUES (kind, actor_kind, actor_id, subject, detail) RETURNING number
$$;
REVOKE ALL ON SCHEMA audit FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.append(text, text, text, text, jsonb) FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO gridward_service, gridward_desk, gridward_area, gridward_reporter, gridward_backup;
GRANT EXECUTE ON FUNCTION audit.append(text, text, text, text, jsonb)
  TO gridward_service, gridward_desk, gridward_area, gridward_reporter;
GRANT SELECT ON audit.record TO gridward_backup;
REVOKE UPDATE, DELETE, TRUNCATE ON audit.record FROM CURRENT_USER;
