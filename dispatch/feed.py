"""The feed of events: everything that happened, in an order that skips nothing.

A row's id is drawn before its transaction commits, so "all ids above my last one" loses rows that commit late. The
feed is therefore ordered by (transaction id, row id) and ends before the oldest transaction that is still running:
below that line nothing can appear any more. The price is that a long writing transaction delays the feed by its
own length; bulk imports commit in batches for that reason (decision 0004).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.case_views import CaseView
from dispatch.storage.cases import cases_by_id
from geo.errors import BadInputError
from geo.storage.uow import ReadUnit, Unit


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
class FeedFilter:
    """Which events are wanted; None wants all. Boundary: ``[since, until)``. ``category``: with its minor classes."""

    since: datetime | None = None
    until: datetime | None = None
    cell: str | None = None
    category: str | None = None
    ref: str | None = None

    @property
    def wants_all(self) -> bool:
        """Whether nothing is left out."""
        return self == FeedFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """An event with the case as it stands when the feed is read."""

    cursor: Cursor
    type: str
    seq: int
    moves: tuple[str, ...]
    from_state: str | None
    to_state: str
    occurred_at: datetime
    case: CaseView


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """A page of the feed. ``next`` is where the next page begins; it moves on even when nothing was wanted."""

    events: tuple[FeedEvent, ...]
    next: Cursor


async def feed_end(unit: Unit) -> Cursor:
    """The present end of the feed: where a reader starts who wants only what comes next.

    Notes
    -----
    It is the last event that exists, not the last transaction that has ended: after a crash PostgreSQL may give the
    number of a transaction that left no trace to another one, whose events a reader beyond it would never see.
    """
    driver = await unit.driver()
    row = await (await driver.execute("SELECT txid, id FROM dispatch.feed_end()")).fetchone()
    return Cursor(*row) if row is not None else Cursor(0, 0)


_SCANNED = """
SELECT p.txid, p.id, e.case_id, e.type, e.seq, e.moves, e.from_state, e.to_state, e.occurred_at
  FROM dispatch.feed_places(%(txid)s::text::xid8, %(id)s, %(scan)s) AS p
  LEFT JOIN dispatch.case_event AS e ON e.id = p.id
"""
# A place whose event this reader does not see is passed over like one that was not asked for.
_WANTED = """
  s.case_id IS NOT NULL
  AND (%(imports)s OR s.type <> 'case.imported.v1')
  AND (%(types)s::text[] IS NULL OR s.type = ANY (%(types)s))
  AND (%(since)s::timestamptz IS NULL OR s.occurred_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR s.occurred_at < %(until)s)
  AND (num_nonnulls(%(channel)s::text, %(cell)s::text, %(category)s::text, %(ref)s::text) = 0 OR EXISTS (
         SELECT FROM dispatch.dispatch_case AS c JOIN dispatch.category AS k ON k.code = c.category_code
          WHERE c.id = s.case_id
            AND (%(channel)s::text IS NULL OR c.channel_code = %(channel)s)
            AND (%(cell)s::text IS NULL OR c.cell_path @> ARRAY[%(cell)s::text])
            AND (%(category)s::text IS NULL OR %(category)s IN (c.category_code, k.parent))
            AND (%(ref)s::text IS NULL OR c.ref = %(ref)s)))
"""
# The wanted rows beside the last one looked at: that is where the next page begins when not enough were wanted.
_PAGE = f"""
WITH s AS MATERIALIZED ({_SCANNED}),
     w AS (SELECT * FROM s WHERE {_WANTED} ORDER BY s.txid, s.id LIMIT %(limit)s)
SELECT z.txid::text::bigint AS last_txid, z.id AS last_id, w.txid::text::bigint AS txid, w.id, w.case_id, w.type, w.seq,
       w.moves, w.from_state, w.to_state, w.occurred_at
  FROM (SELECT s.txid, s.id FROM s ORDER BY s.txid DESC, s.id DESC LIMIT 1) AS z
  LEFT JOIN w ON true
 ORDER BY w.txid, w.id
"""  # noqa: S608 - constants only
# A case that is not there, or not in sight, has no events.
_SEEK = """
SELECT txid, id
  FROM dispatch.feed_seek(%(txid)s::text::xid8, %(id)s, %(since)s, %(until)s,
                          CASE WHEN %(ref)s::text IS NOT NULL THEN
                            coalesce((SELECT c.id FROM dispatch.dispatch_case AS c WHERE c.ref = %(ref)s),
                                     '00000000-0000-0000-0000-000000000000') END)
"""
#: Rows that one page looks at when it wants only some: a reader of a quiet channel pays per page, not per city.
_MOST_SCANNED = 5000


async def read_page(
    unit: ReadUnit,
    after: Cursor,
    *,
    limit: int,
    as_of: datetime,
    channel: str | None = None,
    types: Collection[str] = (),
    with_imports: bool = True,
    is_limited: bool = False,
    only: FeedFilter | None = None,
) -> FeedPage:
    """Events after a cursor, oldest first, of one channel and of some types if wanted.

    Parameters
    ----------
    is_limited
        The unit sees only some cases: look at more places, so that a page is not empty for want of luck.

    Cost: one range scan of ``ix_case_event_feed``, at most 5,000 rows, and one look-up per case. Of a span of time or a
    case also a walk, in the index alone, over what lies before its first event.

    Raises
    ------
    BadInputError
        ``dispatch.cursor_ahead``: the cursor is of another database, or this one was restored to an earlier day.
    """
    only = only or FeedFilter()
    picky = is_limited or channel is not None or bool(types) or not with_imports or not only.wants_all
    driver = await unit.driver()
    begin = await _begin(unit, after, only)
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            _PAGE,
            {
                "txid": str(begin.txid),
                "id": begin.event_id,
                "scan": max(limit, _MOST_SCANNED) if picky else limit,
                "imports": with_imports,
                "types": list(types) or None,
                "channel": channel,
                "since": only.since,
                "until": only.until,
                "cell": only.cell,
                "category": only.category,
                "ref": only.ref,
                "limit": limit,
            },
        )
        rows = await cursor.fetchall()
    if not rows:
        if after > await feed_end(unit):
            raise BadInputError("dispatch.cursor_ahead", pointer="/after", cursor=str(after))
        return FeedPage(events=(), next=max(begin, after))
    scanned = Cursor(rows[0]["last_txid"], rows[0]["last_id"])
    wanted = [row for row in rows if row["id"] is not None]
    events = await _events(unit, wanted, as_of)
    return FeedPage(events=events, next=events[-1].cursor if len(events) == limit else scanned)


async def _begin(unit: ReadUnit, after: Cursor, only: FeedFilter) -> Cursor:
    """Where to begin to look: of a span of time or a case, just before its first event after the cursor."""
    if only.since is None and only.until is None and only.ref is None:
        return after
    values = {
        "txid": str(after.txid),
        "id": after.event_id,
        "since": only.since,
        "until": only.until,
        "ref": only.ref,
    }
    row = await (await (await unit.driver()).execute(_SEEK, values)).fetchone()
    return max(after, Cursor(*row)) if row is not None else after


async def read_event(unit: ReadUnit, event_id: int, *, as_of: datetime) -> FeedEvent | None:
    """One event by its row, with its case as it stands now."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT txid::text::bigint AS txid, id, case_id, type, seq, moves, from_state, to_state, occurred_at"
            " FROM dispatch.case_event WHERE id = %s",
            (event_id,),
        )
        events = await _events(unit, await cursor.fetchall(), as_of)
    return events[0] if events else None


async def _events(unit: ReadUnit, rows: Sequence[dict[str, Any]], as_of: datetime) -> tuple[FeedEvent, ...]:
    ids: list[UUID] = list({row["case_id"] for row in rows})
    views = await cases_by_id(unit, ids, as_of=as_of) if ids else {}
    return tuple(
        FeedEvent(
            cursor=Cursor(row["txid"], row["id"]),
            type=row["type"],
            seq=row["seq"],
            moves=tuple(row["moves"]),
            from_state=row["from_state"],
            to_state=row["to_state"],
            occurred_at=row["occurred_at"],
            case=views[row["case_id"]],
        )
        for row in rows
    )


async def read_feed(
    unit: ReadUnit, after: Cursor, *, limit: int, as_of: datetime, with_imports: bool = True
) -> list[FeedEvent]:
    """Events after a cursor, oldest first; an empty list means that there is nothing to tell up to the present end.

    Parameters
    ----------
    with_imports
        Whether history that was imported counts as news; for a live map it does not.
    """
    while True:
        page = await read_page(unit, after, limit=limit, as_of=as_of, with_imports=with_imports)
        # A run of imports longer than one page looks at is passed over, not taken for the end.
        if page.events or page.next == after:
            return list(page.events)
        after = page.next
