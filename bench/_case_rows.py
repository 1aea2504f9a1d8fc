"""Many synthetic cases over an invented grid, made in the database, with only the indexes that counting could use."""

from __future__ import annotations

from typing import LiteralString

import psycopg

__all__ = ["CATEGORIES", "CHANNELS", "DAYS", "fill_cases"]

CATEGORIES, CHANNELS, DAYS = 40, 3, 730

_WORDS: LiteralString = """
INSERT INTO dispatch.category (code, code_system, kind, name_zh, name_en)
  SELECT 'B' || lpad(i::text, 2, '0'), 'bench', 'event', '类' || i, 'Class ' || i
    FROM generate_series(1, %(categories)s) AS i;
INSERT INTO dispatch.channel (code, name_zh, name_en)
  SELECT 'b' || i, '渠道' || i, 'Channel ' || i FROM generate_series(1, %(channels)s) i;
CREATE TEMPORARY TABLE place AS
  SELECT row_number() OVER (ORDER BY id) - 1 AS number, id, path, label_point FROM geo.cell
   WHERE version_id = %(version)s AND level = 3;
CREATE UNIQUE INDEX ON place (number);
ANALYZE place
"""
# Some classes and some cells have far more than others, as everywhere; most cases are closed.
_CASES: LiteralString = """
INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, origin, channel_code, ticket, category_code, location,
  grid_version_id, cell_id, cell_path, located_how, state, reported_at, dispatched_at, acknowledged_at, handled_at,
  closed_at, due_at, is_on_time)
SELECT gen_random_uuid(), %(jurisdiction)s, 'B' || i, 'imported', 'b' || (1 + i %% %(channels)s), i::text,
       'B' || lpad((1 + floor(%(categories)s * kind ^ 2))::int::text, 2, '0'),
       ST_SetSRID(ST_MakePoint(round((ST_X(p.label_point) + (a - 0.5) * 0.001)::numeric, 7)::float8,
                               round((ST_Y(p.label_point) + (b - 0.5) * 0.001)::numeric, 7)::float8), 4326),
       %(version)s, p.id, p.path, 'covers', CASE WHEN fate < 0.03 THEN 'handling' ELSE 'closed' END, at,
       at + interval '5 minutes', at + interval '9 minutes', CASE WHEN fate < 0.03 THEN NULL ELSE at + took END,
       CASE WHEN fate < 0.03 THEN NULL ELSE at + took + interval '1 hour' END, at + interval '2 days',
       CASE WHEN fate < 0.03 THEN NULL ELSE took < interval '2 days' END
  FROM (SELECT i, random() AS kind, random() AS fate, random() AS a, random() AS b,
               floor(%(cells)s * random() ^ 1.3)::int AS number,
               %(until)s::timestamptz - random() * make_interval(days => %(days)s) AS at,
               (0.1 - ln(1 - random())) * interval '14 hours' AS took
          FROM generate_series(%(first)s::int, %(last)s::int) AS i OFFSET 0) AS drawn
  JOIN place AS p ON p.number = drawn.number
"""


def fill_cases(url: str, *, jurisdiction: str, version: int, cells: int, count: int, until: str) -> None:
    """Write cases of two years; keep the indexes by time and by category, and add the block range index."""
    with psycopg.connect(url, autocommit=True) as connection:
        values = {
            "categories": CATEGORIES,
            "channels": CHANNELS,
            "days": DAYS,
            "jurisdiction": jurisdiction,
            "version": version,
            "cells": cells,
            "until": until,
        }
        dropped = connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indexrelid"
            " WHERE indrelid = 'dispatch.dispatch_case'::regclass AND NOT indisunique"
        ).fetchall()
        for (name,) in dropped:
            connection.execute(f"DROP INDEX {name}")
        for constraint in ("uq_dispatch_case_channel_ticket", "uq_dispatch_case_ref"):
            connection.execute(f"ALTER TABLE dispatch.dispatch_case DROP CONSTRAINT {constraint}")
        # Foreign keys would be looked up row by row for rows that are right by construction.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SELECT setseed(0.42)")
        for part in _WORDS.split(";"):
            connection.execute(part, values)
        step = 1_000_000
        for first in range(1, count + 1, step):
            connection.execute(_CASES, values | {"first": first, "last": min(first + step - 1, count)})
        connection.execute("SET session_replication_role = origin")
        connection.execute(
            "CREATE INDEX ix_bench_time ON dispatch.dispatch_case (reported_at)"
            " INCLUDE (category_code, state, jurisdiction)"
        )
        connection.execute(
            "CREATE INDEX ix_bench_category ON dispatch.dispatch_case (category_code, reported_at)"
            " INCLUDE (state, jurisdiction)"
        )
        connection.execute("CREATE INDEX ix_bench_brin ON dispatch.dispatch_case USING brin (reported_at)")
        connection.execute("VACUUM ANALYZE dispatch.dispatch_case")
