"""Standings as the database keeps them: each once, under an id made of what it says (decision 0044).

The chain of cells and the ladder of posts are most of what a report's first event and its case have to say, and they
are the same for every report of a cell until somebody is on leave. Event and case name the standing; whoever reads
them puts both together again with the expressions below.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from psycopg import AsyncConnection

from dispatch.standings import Standing

__all__ = ["KEPT_LADDER", "WHOLE_PAYLOAD", "keep_standings"]

KEPT_LADDER: Final = """\
coalesce(c.owner_ladder, (SELECT t.said -> 'ladder' FROM dispatch.standing AS t WHERE t.id = c.standing_id))"""
"""The ladder by which a case ``c`` has its owner: its own since somebody decided anew, else that of its standing."""

WHOLE_PAYLOAD: Final = """\
coalesce((SELECT t.said FROM dispatch.standing AS t WHERE t.id = e.standing_id) || e.payload, e.payload)"""
"""All that an event ``e`` says, with chain and ladder if they are kept apart."""

# In one order, so that two who keep the same ones do not wait for each other crosswise.
_KEEP: Final = """
INSERT INTO dispatch.standing (id, said)
SELECT s.id, s.said FROM jsonb_to_recordset(%s::jsonb) AS s (id uuid, said jsonb) ORDER BY s.id
ON CONFLICT (id) DO NOTHING
"""


async def keep_standings(driver: AsyncConnection[Any], standings: Iterable[Standing]) -> None:
    """See that these are kept. Cost: one round trip."""
    new = {standing.id: standing for standing in standings}.values()
    rows = [{"id": one.id, "said": {"chain": one.chain_raw, "ladder": one.ladder_raw}} for one in new]
    # One text: in an array of texts the driver would look at each quotation mark by itself.
    await driver.execute(_KEEP, (msgspec.json.encode(rows).decode(),))
