"""Find cases of the same place and matter, for any number of cases in one statement.

The list of all places has its own (`dispatch/storage/repeat_sites.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.repeat_rules import NearCase, RepeatRule
from dispatch.states import CaseState
from dispatch.storage.cases import IS_OPEN
from geo.storage.uow import Unit

# A merged case is one more report of what it was merged into; a void or declined one was none.
COUNTS = "o.state NOT IN ('merged', 'voided', 'declined')"

#: Subjects with the rule that applies to them: of the class, else of its major class, else of all.
SUBJECT = """
SELECT c.id, c.jurisdiction, c.state, c.reported_at, c.closed_at, c.location, c.category_code, c.reporter_key,
       coalesce(k.parent, k.code) AS family, r.*
  FROM dispatch.dispatch_case AS c
  JOIN dispatch.category AS k ON k.code = c.category_code
 CROSS JOIN LATERAL (
       SELECT radius_m, window_hours, with_siblings, site_count, site_days, look_back_days,
              make_interval(hours => window_hours) AS "window", make_interval(days => site_days::int) AS site,
              make_interval(days => look_back_days::int) AS look_back
         FROM dispatch.repeat_rule
        WHERE category_code IN (k.code, k.parent, '')
        ORDER BY category_code = k.code DESC, category_code <> '' DESC
        LIMIT 1) AS r
 WHERE c.location IS NOT NULL
"""

# The box lets the GiST index on the stored degrees answer; it is a little larger than the circle at any latitude that
# people live at, and the distance on the ellipsoid decides. OFFSET 0 keeps the index scan per subject.
NEAR = f"""
WITH subject AS ({SUBJECT} AND {{which}})
SELECT s.id AS subject, s.site_count AS needed, o.id, o.ref, o.state, o.category_code AS category,
       k.name_zh AS category_zh, k.name_en AS category_en,
       o.channel_code AS channel, n.name_zh AS channel_zh, n.name_en AS channel_en,
       o.reported_at, o.closed_at, o.distance_m, extract(epoch FROM s.reported_at - o.reported_at)::float8 AS age_s,
       encode(o.reporter_key, 'hex') AS caller, encode(s.reporter_key, 'hex') AS own_caller,
       o.is_open AND o.reported_at BETWEEN s.reported_at - s."window" AND s.reported_at + s."window" AS is_duplicate,
       o.reported_at BETWEEN s.reported_at - s.site AND s.reported_at AS is_repeat,
       o.state = 'closed' AND o.closed_at BETWEEN s.reported_at - s.look_back AND s.reported_at AS is_look_back,
       s.state = 'closed' AND o.reported_at > s.closed_at AND o.reported_at <= s.closed_at + s.look_back AS is_again
  FROM subject AS s
 CROSS JOIN LATERAL (
       SELECT c.id, c.ref, c.state, c.category_code, c.channel_code, c.reported_at, c.closed_at, c.reporter_key,
              {IS_OPEN} AS is_open,
              ST_Distance(c.location::geography, s.location::geography) AS distance_m
         FROM dispatch.dispatch_case AS c
        WHERE c.location && ST_Expand(s.location,
                                      s.radius_m / (110000.0 * cos(radians(least(abs(ST_Y(s.location)), 85)))),
                                      s.radius_m / 110000.0)
          AND c.id <> s.id AND c.jurisdiction = s.jurisdiction
       OFFSET 0) AS o
  JOIN dispatch.category AS k ON k.code = o.category_code
   AND (k.code = s.category_code OR s.with_siblings AND coalesce(k.parent, k.code) = s.family)
  JOIN dispatch.channel AS n ON n.code = o.channel_code
 WHERE o.distance_m <= s.radius_m AND {COUNTS}
"""  # noqa: S608 - constants only
_BY_ID = "c.id = ANY (%(ids)s)"
NEAR_BY_ID = NEAR.format(which=_BY_ID)


async def near_cases(unit: Unit, ids: Sequence[UUID]) -> dict[UUID, list[NearCase]]:
    """Cases near each of some cases, within every time that the rules know.

    Cost: one statement; per case one scan of the GiST index on the location.
    """
    driver = await unit.driver()
    found: dict[UUID, list[NearCase]] = defaultdict(list)
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(NEAR_BY_ID, {"ids": list(ids)})
        for row in await cursor.fetchall():
            subject, state = row.pop("subject"), CaseState(row.pop("state"))
            row.pop("needed")
            # An open case has no instant of its close, so comparisons with it are NULL: it plays no such part.
            flags = {name: bool(row[name]) for name in ("is_duplicate", "is_repeat", "is_look_back", "is_again")}
            found[subject].append(NearCase(**{**row, **flags, "state": state}))
    return found


async def rules_of(unit: Unit, ids: Sequence[UUID]) -> dict[UUID, RepeatRule]:
    """The rule that applies to each case; a case without a position has none."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(f"{SUBJECT} AND {_BY_ID}", {"ids": list(ids)})
        return {
            row["id"]: RepeatRule(
                **{
                    name: row[name]
                    for name in ("radius_m", "window_hours", "site_count", "site_days", "look_back_days")
                }
            )
            for row in await cursor.fetchall()
        }
