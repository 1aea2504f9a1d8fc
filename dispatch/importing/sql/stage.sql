-- One batch of checked reports on its way in; gone when the batch commits.
CREATE TEMP TABLE staged_report (
  row bigint, id uuid, ticket text, category text, reported_at timestamptz, closed_at timestamptz, due_at timestamptz,
  body text, address text, source_status text, state text,
  lon double precision, lat double precision, raw_x double precision, raw_y double precision
) ON COMMIT DROP
