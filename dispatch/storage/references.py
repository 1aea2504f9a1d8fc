"""The proof that cases, events and outbox rows refer to what is there, by the database's own list of foreign keys."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql
from psycopg.rows import tuple_row

from geo.storage.uow import ReadUnit

__all__ = ["Dangling", "find_dangling"]

_KEYS = """
SELECT k.conname, n.nspname, t.relname, m.nspname, o.relname,
       array_agg(a.attname::text ORDER BY c.place), array_agg(b.attname::text ORDER BY c.place)
  FROM pg_constraint AS k
  JOIN pg_class AS t ON t.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = t.relnamespace
  JOIN pg_class AS o ON o.oid = k.confrelid JOIN pg_namespace AS m ON m.oid = o.relnamespace
 CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS c (own, other, place)
  JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = c.own
  JOIN pg_attribute AS b ON b.attrelid = o.oid AND b.attnum = c.other
 WHERE k.contype = 'f' AND n.nspname = 'dispatch' AND t.relname IN ('dispatch_case', 'case_event', 'outbox')
 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dangling:
    """A foreign key and how many rows it does not hold for."""

    key: str
    rows: int


async def find_dangling(unit: ReadUnit) -> tuple[int, list[Dangling]]:
    """Compare every reference with what it refers to; return how many keys there are, and those that do not hold.

    Cost: a join of whole tables per key, about a microsecond a row each.
    """
    driver = await unit.driver()
    await driver.execute("SET LOCAL statement_timeout = 0")
    broken = []
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_KEYS)
        keys = await cursor.fetchall()
        for name, schema, table, their_schema, their_table, own, theirs in keys:
            alike = sql.SQL(" AND ").join(
                sql.SQL("o.{} = t.{}").format(sql.Identifier(other), sql.Identifier(mine))
                for mine, other in zip(own, theirs, strict=True)
            )
            given = sql.SQL(" AND ").join(sql.SQL("t.{} IS NOT NULL").format(sql.Identifier(mine)) for mine in own)
            await cursor.execute(
                sql.SQL("SELECT count(*) FROM {} AS t WHERE {} AND NOT EXISTS (SELECT FROM {} AS o WHERE {})").format(
                    sql.Identifier(schema, table), given, sql.Identifier(their_schema, their_table), alike
                )
            )
            row = await cursor.fetchone()
            if row is not None and row[0]:
                broken.append(Dangling(key=name, rows=row[0]))
    return len(keys), broken
