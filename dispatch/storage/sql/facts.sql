-- The facts of every case that planners count, as small numbers in a fixed order and width (COPY ... BINARY).
-- Places in the lists of categories, channels and ledgers start at 1; 0 is "not in the list yet".
-- A cell below zero: -1 in no cell of the grid, -2 no position. Minutes below zero: not handled.
SELECT c.id,
       ((c.reported_at AT TIME ZONE j.time_zone)::date - DATE '2000-01-01')::int4,
       extract(hour FROM c.reported_at AT TIME ZONE j.time_zone)::int2,
       coalesce(c.cell_id, CASE c.located_how WHEN 'out_of_grid' THEN -1 ELSE -2 END)::int8,
       coalesce(k.place, 0)::int2,
       coalesce(n.place, 0)::int2,
       CASE WHEN c.ledgers = '{}' THEN 0::int8
            ELSE coalesce((SELECT bit_or(1::int8 << (l.place - 1)::int4)
                             FROM unnest(%(ledgers)s::text[]) WITH ORDINALITY AS l (code, place)
                            WHERE l.code = ANY (c.ledgers)), 0::int8)
       END,
       array_position(%(states)s::text[], c.state)::int2,
       (CASE WHEN c.due_at IS NULL THEN 0
             WHEN c.is_on_time THEN 1
             WHEN NOT c.is_on_time THEN 2
             WHEN c.state = ANY (%(running)s::text[]) THEN 3
             ELSE 0 END)::int2,
       CASE WHEN c.is_on_time IS NULL AND c.state = ANY (%(running)s::text[]) AND c.due_at IS NOT NULL
            THEN (extract(epoch FROM c.due_at) * 1000000)::int8 ELSE 0::int8 END,
       CASE WHEN c.handled_at >= c.dispatched_at
            THEN least(floor(extract(epoch FROM c.handled_at - c.dispatched_at) / 60), 65534)::int4
            ELSE -1::int4 END,
       CASE WHEN c.location IS NULL THEN -2147483648
            ELSE floor(ST_X(c.location) / %(side_lon)s::float8) END::int4,
       CASE WHEN c.location IS NULL THEN -2147483648
            ELSE floor(ST_Y(c.location) / %(side_lat)s::float8) END::int4
  FROM dispatch.dispatch_case AS c
  JOIN geo.jurisdiction AS j ON j.code = c.jurisdiction
  LEFT JOIN unnest(%(categories)s::text[]) WITH ORDINALITY AS k (code, place) ON k.code = c.category_code
  LEFT JOIN unnest(%(channels)s::text[]) WITH ORDINALITY AS n (code, place) ON n.code = c.channel_code
 WHERE c.jurisdiction = %(jurisdiction)s
   AND (%(ids)s::uuid[] IS NULL OR c.id = ANY (%(ids)s::uuid[]))
