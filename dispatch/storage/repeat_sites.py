"""Find the open cases of the desk whose place was reported before: thousands of places in one statement.

Neighbours come from two indexes on (square, class, instant): by when they were reported and, for those to look back at,
by when they were closed. The index on the location alone would bring up the reports of all years and classes, which at
the place of an event are hundreds for each of hundreds of cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.storage.cases import IS_OPEN
from dispatch.storage.repeats import COUNTS, SUBJECT
from dispatch.storage.tables import square_of
from geo.storage.uow import Unit

__all__ = ["MOST_NEAR", "SITES", "RepeatSite", "open_cases", "repeat_sites"]

#: Reports of one place that are looked at for one case: a badge says no more for knowing them all.
MOST_NEAR: Final = 100
#: Rules with a larger radius than this would ask for too many squares; there the index on the location is better, for
#: the search soon has its hundred. Units: metres.
_WIDE_M: Final = 300

_COLUMNS: Final = "o.id, o.ref, o.jurisdiction, o.state, o.location, o.reported_at, o.closed_at"
_REPORTED: Final = "o.reported_at BETWEEN s.since_site AND s.reported_at"
#: Those reported within the days of the rule are among the others already.
_CLOSED: Final = (
    "o.state = 'closed' AND o.closed_at BETWEEN s.since_back AND s.reported_at AND o.reported_at < s.since_site"
)


def _of_squares(condition: str) -> str:
    # OFFSET 0 keeps each a search of its own: joined as a whole, the planner would rather read all reports of the days.
    return f"""
SELECT o.* FROM unnest(s.classes) AS class
 CROSS JOIN generate_series(s.west, s.east) AS x CROSS JOIN generate_series(s.south, s.north) AS y
 CROSS JOIN LATERAL (
       SELECT {_COLUMNS} FROM dispatch.dispatch_case AS o
        WHERE {square_of("o.location")} = x * 1000000 + y AND o.category_code = class AND {condition}
       OFFSET 0) AS o
 WHERE s.radius_m <= {_WIDE_M}"""  # noqa: S608 - constants only


_OPEN: Final = f"""
SELECT c.id, c.ref FROM dispatch.dispatch_case AS c
 WHERE {IS_OPEN} AND c.jurisdiction = %(jurisdiction)s
   AND c.reported_at >= coalesce(%(since)s::timestamptz, '-infinity')
   AND (%(before)s::text IS NULL OR (c.reported_at, c.id) < (
        SELECT o.reported_at, o.id FROM dispatch.dispatch_case AS o WHERE o.ref = %(before)s::text))
 ORDER BY c.reported_at DESC, c.id DESC LIMIT %(most)s
"""  # noqa: S608 - constants only

SITES: Final = f"""
WITH found AS MATERIALIZED (
  {SUBJECT} AND c.id = ANY (%(ids)s)
),
kin AS MATERIALIZED (
  SELECT f.category_code, f.with_siblings, array_agg(k.code) AS classes
    FROM (SELECT DISTINCT category_code, family, with_siblings FROM found) AS f
    JOIN dispatch.category AS k
      ON k.code = f.category_code OR f.with_siblings AND coalesce(k.parent, k.code) = f.family
   GROUP BY f.category_code, f.with_siblings
),
subject AS MATERIALIZED (
  SELECT f.id, f.jurisdiction, f.reported_at, f.radius_m, f.site_count, k.classes, c.ref,
         f.reported_at - f.site AS since_site, f.reported_at - f.look_back AS since_back,
         f.location::geography AS here, b.box,
         floor(ST_XMin(b.box) * 1000)::bigint AS west, floor(ST_XMax(b.box) * 1000)::bigint AS east,
         floor(ST_YMin(b.box) * 1000)::bigint AS south, floor(ST_YMax(b.box) * 1000)::bigint AS north
    FROM found AS f
    JOIN kin AS k USING (category_code, with_siblings)
    JOIN dispatch.dispatch_case AS c ON c.id = f.id
   CROSS JOIN LATERAL (
         SELECT ST_Expand(f.location, f.radius_m / (110000.0 * cos(radians(least(abs(ST_Y(f.location)), 85)))),
                          f.radius_m / 110000.0) AS box) AS b
)
SELECT s.ref, 1 + count(*) FILTER (WHERE near.is_repeat) AS count, s.site_count AS needed,
       array_agg(near.ref ORDER BY near.closed_at DESC) FILTER (WHERE near.is_look_back) AS look_back
  FROM subject AS s
 CROSS JOIN LATERAL (
       SELECT o.ref, o.closed_at, o.reported_at >= s.since_site AS is_repeat,
              coalesce(o.state = 'closed' AND o.closed_at BETWEEN s.since_back AND s.reported_at, false) AS is_look_back
         FROM ({_of_squares(_REPORTED)}
               UNION ALL {_of_squares(_CLOSED)}
               UNION ALL
               SELECT o.* FROM (SELECT {_COLUMNS} FROM dispatch.dispatch_case AS o
                                 WHERE s.radius_m > {_WIDE_M} AND o.location && s.box
                                   AND o.category_code = ANY (s.classes) AND ({_REPORTED} OR {_CLOSED})) AS o) AS o
        WHERE o.location && s.box AND o.id <> s.id AND o.jurisdiction = s.jurisdiction AND {COUNTS}
          AND ST_Distance(o.location::geography, s.here) <= s.radius_m
        LIMIT greatest(%(near)s, s.site_count)) AS near
 GROUP BY s.ref, s.reported_at, s.id, s.site_count
HAVING 1 + count(*) FILTER (WHERE near.is_repeat) >= s.site_count OR bool_or(near.is_look_back)
 ORDER BY s.reported_at DESC, s.id DESC
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatSite:
    """An open case whose place was reported before; ``look_back`` are cases closed shortly before it.

    A count of more than `MOST_NEAR` means "so many at least", and then not every case to look back at is named.
    """

    ref: str
    count: int
    is_repeat_site: bool
    look_back: tuple[str, ...]


async def open_cases(
    unit: Unit, jurisdiction: str, *, since: datetime | None, before: str | None, most: int
) -> list[tuple[UUID, str]]:
    """Ids and numbers of the newest ``most`` open cases, newest first; of those older than the case ``before``."""
    driver = await unit.driver()
    asked = {"jurisdiction": jurisdiction, "since": since, "before": before, "most": most}
    return [(row[0], row[1]) for row in await (await driver.execute(_OPEN, asked)).fetchall()]


async def repeat_sites(unit: Unit, ids: Sequence[UUID]) -> list[RepeatSite]:
    """Those of some cases that lie at repeat sites, or were reported shortly after a close, newest first.

    Cost: about 0.2 ms per case, and the same where thousands were reported at one place.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SITES, {"ids": list(ids), "near": MOST_NEAR})
        return [
            RepeatSite(
                ref=row["ref"],
                count=row["count"],
                is_repeat_site=row["count"] >= row["needed"],
                look_back=tuple(row["look_back"] or ()),
            )
            for row in await cursor.fetchall()
        ]
