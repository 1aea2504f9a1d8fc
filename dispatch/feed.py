"""The feed of events: everything that happened, in an order that skips nothing.

A row's id is drawn before its transaction commits, so "all ids above my last one" loses rows that commit late. The
feed is therefore ordered by (transaction id, row id) and ends before the oldest transaction that is still running:
below that line nothing can appear any more. The price is that a long writing transaction delays the feed by its
own length; bulk imports commit in batches for that reason (decision 0004).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.case_views import CaseView
from dispatch.storage.cases import cases_by_id
from geo.errors import BadInputError
from geo.storage.uow import ReadUnit


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A position in the feed. Text form ``<transaction>-<row>``; both numbers only grow."""

    txid: int
    event_id: int

    def __str__(self) -> str:
        return f"{self.txid}-{self.event_id}"


def parse_cursor(text: str) -> Cursor:
    """Read a cursor.

    Raises
    ------
    BadInputError
        ``dispatch.bad_cursor``.
    """
    txid, dash, event_id = text.partition("-")
    # isdecimal() alone would let other scripts' digits and numbers beyond 64 bits through to the database.
    if not (dash and txid.isascii() and txid.isdecimal() and event_id.isascii() and event_id.isdecimal()):
        raise BadInputError("dispatch.bad_cursor", pointer="/after", cursor=text[:80])
    cursor = Cursor(int(txid), int(event_id))
    if cursor.txid >= 2**63 or cursor.event_id >= 2**63:
        raise BadInputError("dispatch.bad_cursor", pointer="/after", cursor=text[:80])
    return cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """An event with the case as it stands when the feed is read."""

    cursor: Cursor
    type: str
    seq: int
    occurred_at: datetime
    case: CaseView


async def feed_end(unit: ReadUnit) -> Cursor:
    """The present end of the feed: where a reader starts who wants only what comes next."""
    driver = await unit.driver()
    row = await (await driver.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")).fetchone()
    assert row is not None
    # Everything below xmin is settled; the reader begins with the first event of that transaction.
    return Cursor(row[0] - 1, 2**63 - 1)


async def read_feed(
    unit: ReadUnit, after: Cursor, *, limit: int, as_of: datetime, with_imports: bool = True
) -> list[FeedEvent]:
    """Events after a cursor, oldest first.

    Parameters
    ----------
    with_imports
        Whether history that was imported counts as news; for a live map it does not.

    Cost: one range scan of ``ix_case_event_feed`` and one look-up per case.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT txid::text::bigint AS txid, id, case_id, type, seq, occurred_at FROM dispatch.case_event"
            " WHERE (txid, id) > (%s::text::xid8, %s) AND txid < pg_snapshot_xmin(pg_current_snapshot())"
            " AND (%s OR type <> 'case.imported.v1') ORDER BY txid, id LIMIT %s",
            (str(after.txid), after.event_id, with_imports, limit),
        )
        rows = await cursor.fetchall()
    ids: list[UUID] = list({row["case_id"] for row in rows})
    views = await cases_by_id(unit, ids, as_of=as_of) if ids else {}
    return [
        FeedEvent(
            cursor=Cursor(row["txid"], row["id"]),
            type=row["type"],
            seq=row["seq"],
            occurred_at=row["occurred_at"],
            case=views[row["case_id"]],
        )
        for row in rows
    ]
