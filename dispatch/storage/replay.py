"""What a stretch of time looked like: the cases that were open in it, and when each changed its state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row

from dispatch.states import OPEN_STATES
from geo.storage.uow import Unit

__all__ = ["MOST_CASES", "read_replay"]

#: More signs than this are no picture; the newest are shown and the answer says that it was cut.
MOST_CASES = 5000

_OPEN = ", ".join(f"'{state.value}'" for state in sorted(OPEN_STATES))
# Open at the begin, or come in since: those open now, and those closed by an event of the stretch or later. Steps carry
# the instant and the state after it; the last one before the stretch says how a case entered it.
_REPLAY = f"""
WITH shown AS (
  SELECT c.id, c.ref, c.category_code, ST_X(c.location) AS lon, ST_Y(c.location) AS lat, c.reported_at, c.due_at,
         c.warn_at
    FROM dispatch.dispatch_case AS c
   WHERE c.jurisdiction = %(jurisdiction)s AND c.reported_at < %(until)s AND c.location IS NOT NULL
     AND (c.state IN ({_OPEN}) OR c.reported_at >= %(since)s OR c.closed_at >= %(since)s)
     AND (%(channel)s::text IS NULL OR c.channel_code = %(channel)s)
   ORDER BY c.reported_at DESC
   LIMIT %(most)s
)
SELECT s.ref, s.category_code AS category, s.lon, s.lat, s.reported_at, s.due_at, s.warn_at,
       array_agg(e.occurred_at ORDER BY e.seq) AS instants, array_agg(e.to_state ORDER BY e.seq) AS states
  FROM shown AS s
  JOIN dispatch.case_event AS e ON e.case_id = s.id AND e.occurred_at < %(until)s
 GROUP BY s.ref, s.category_code, s.lon, s.lat, s.reported_at, s.due_at, s.warn_at
 ORDER BY s.reported_at
"""  # noqa: S608 - constants only


async def read_replay(
    unit: Unit, jurisdiction: str, since: datetime, until: datetime, channel: str | None = None
) -> Sequence[dict[str, Any]]:
    """Cases on the map in ``[since, until)``, oldest first, with the instants and states of their steps.

    Notes
    -----
    SRID: 4326. Cost: one query over the newest cases, at most `MOST_CASES`.
    """
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "since": since, "until": until, "channel": channel, "most": MOST_CASES}
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_REPLAY, values)
        return await cursor.fetchall()
