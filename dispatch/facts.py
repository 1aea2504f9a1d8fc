"""Facts of cases for counting: all of them by COPY, and those that changed since a position of the feed.

The numbers are what `maps.facts` keeps in columns. PostgreSQL stays the truth: the columns can be thrown away and made
again at any time, and `tally_cases` counts the same in the database for a proof that both are equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NewType

import numpy as np
import numpy.typing as npt
from psycopg import sql
from psycopg.rows import tuple_row

from dispatch.feed import Cursor, feed_end
from dispatch.states import HANDLING_STATES, CaseState
from dispatch.storage.statements import statement
from geo.storage.uow import Unit

__all__ = [
    "FIRST_DAY",
    "NO_SQUARE",
    "STATES",
    "Cases",
    "CellPath",
    "Dictionaries",
    "case_days",
    "changed_cases",
    "feed_end",
    "knows_position",
    "middle_latitude",
    "read_dictionaries",
    "read_facts",
    "read_positions",
    "recent_cases",
    "tally_cases",
]

Rows = npt.NDArray[np.void]
Cases = NewType("Cases", str)
"""Ids of some cases as the database writes an array of them: nobody here looks into it, so nobody takes it apart."""

#: Days are counted from here, in the jurisdiction's zone.
FIRST_DAY: Final = np.datetime64("2000-01-01", "D")
#: Order of the states in the facts, from 1.
STATES: Final = tuple(CaseState)
NO_SQUARE: Final = -(2**31)
_MOST_LEDGERS: Final = 62

_FIELDS: Final = (
    ("id", "V16"),
    ("day", ">i4"),
    ("hour", ">i2"),
    ("cell", ">i8"),
    ("category", ">i2"),
    ("channel", ">i2"),
    ("ledgers", ">i8"),
    ("state", ">i2"),
    ("outcome", ">i2"),
    ("due", ">i8"),
    ("minutes", ">i4"),
    ("column", ">i4"),
    ("row", ">i4"),
)
# COPY's binary form: number of fields, then length and bytes of each; none of ours is ever NULL.
_WIRE: Final = np.dtype(
    [("fields", ">i2")] + [part for name, kind in _FIELDS for part in ((f"{name}_length", ">i4"), (name, kind))]
)
#: A record as ``record_send`` writes it: number of fields, then type, length and bytes of each.
_RECORD: Final = np.dtype(
    [("fields", ">i4")]
    + [part for name, kind in _FIELDS for part in ((f"{name}_oid", ">i4"), (f"{name}_length", ">i4"), (name, kind))]
)
#: The same without the lengths, in the machine's own order: what is kept while all cases are read.
_FACT: Final = np.dtype([(name, kind.lstrip(">")) for name, kind in _FIELDS])
_HEADER: Final = 19
_TRAILER: Final = 2
#: So much of the wire is held at once. Units: bytes.
_BLOCK: Final = 16 * 2**20
_POSITION: Final = np.dtype(
    [
        *(("fields", ">i2"), ("id_length", ">i4"), ("id", "V16")),
        *(("lon_length", ">i4"), ("lon", ">f8"), ("lat_length", ">i4"), ("lat", ">f8")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPath:
    """A cell of a published drawing: its row, its drawing, and the codes from level 1 down to itself."""

    id: int
    version_id: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dictionaries:
    """What the numbers of the facts mean, for one jurisdiction.

    Attributes
    ----------
    categories, channels, ledgers
        Codes; a fact holds the place in the list, from 1 (for ledgers a bit each).
    parents
        Major class of each category, "" for none; as long as ``categories``.
    cells
        Every cell of every published drawing.
    side_lon, side_lat
        Sides of the squares. Units: degrees. SRID: 4326.
    """

    jurisdiction: str
    time_zone: str
    categories: tuple[str, ...]
    parents: tuple[str, ...]
    channels: tuple[str, ...]
    ledgers: tuple[str, ...]
    cells: tuple[CellPath, ...]
    side_lon: float
    side_lat: float


async def read_dictionaries(
    unit: Unit, jurisdiction: str, *, side_lon: float, side_lat: float, known: Dictionaries | None = None
) -> Dictionaries:
    """Read the lists; what was in ``known`` keeps its place, so that facts that hold it stay true."""
    driver = await unit.driver()

    async def column(query: sql.SQL, before: Sequence[str]) -> tuple[str, ...]:
        async with driver.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query)
            return tuple(before) + tuple(row[0] for row in await cursor.fetchall() if row[0] not in set(before))

    categories = await column(
        sql.SQL("SELECT code FROM dispatch.category ORDER BY code"), known.categories if known else ()
    )
    channels = await column(sql.SQL("SELECT code FROM dispatch.channel ORDER BY code"), known.channels if known else ())
    ledgers = await column(sql.SQL("SELECT code FROM dispatch.ledger ORDER BY code"), known.ledgers if known else ())
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute("SELECT code, coalesce(parent, '') FROM dispatch.category")
        parents: dict[str, str] = dict(await cursor.fetchall())
        await cursor.execute(
            "SELECT c.id, c.version_id, c.path FROM geo.cell AS c JOIN geo.grid_version AS v ON v.id = c.version_id"
            " WHERE v.jurisdiction = %s AND v.status = 'published' ORDER BY c.id",
            (jurisdiction,),
        )
        known_ids = {cell.id for cell in known.cells} if known else set()
        cells = (known.cells if known else ()) + tuple(
            CellPath(id=row[0], version_id=row[1], path=tuple(row[2]))
            for row in await cursor.fetchall()
            if row[0] not in known_ids
        )
        await cursor.execute("SELECT time_zone FROM geo.jurisdiction WHERE code = %s", (jurisdiction,))
        found = await cursor.fetchone()
    return Dictionaries(
        jurisdiction=jurisdiction,
        time_zone=found[0] if found else "Asia/Shanghai",
        categories=categories,
        parents=tuple(parents.get(code, "") for code in categories),
        channels=channels,
        # A machine word has so many bits; no city keeps that many ledgers.
        ledgers=ledgers[:_MOST_LEDGERS],
        cells=cells,
        side_lon=side_lon,
        side_lat=side_lat,
    )


async def read_facts(unit: Unit, words: Dictionaries, cases: Cases | None = None) -> Rows:
    """Read the facts of some cases, or of all.

    Returns
    -------
    ndarray
        Shape: (cases,), with the fields of ``_FIELDS``.

    Notes
    -----
    Cost of all: about 2 µs per case in the database and as much for fetching; 70 bytes of memory per case, twice at the
    end. Some cases come as one value, because a row each would cost this process more than all the rest; a thousand,
    looked up one by one, take the database some 8 ms.
    """
    driver = await unit.driver()
    values: dict[str, Any] = {
        "jurisdiction": words.jurisdiction,
        "categories": list(words.categories),
        "channels": list(words.channels),
        "ledgers": list(words.ledgers),
        "states": [state.value for state in STATES],
        "running": [state.value for state in sorted(HANDLING_STATES)],
        "side_lon": words.side_lon,
        "side_lat": words.side_lat,
        "ids": cases,
    }
    if cases is not None:
        query = f"SELECT string_agg(record_send(f), ''::bytea) FROM ({statement('facts')}) AS f"  # noqa: S608
        async with driver.cursor(row_factory=tuple_row) as cursor:
            # Never a plan for any question: one that allows for all cases would read all cases.
            await cursor.execute(query, values, prepare=False, binary=True)
            row = await cursor.fetchone()
        return _facts_of(row[0] if row and row[0] else b"", _RECORD)
    query = f"COPY ({statement('facts')}) TO STDOUT (FORMAT binary)"
    body, skipped = bytearray(), False
    parts: list[Rows] = []

    def pack(end: int) -> None:
        size = end // _WIRE.itemsize * _WIRE.itemsize
        parts.append(_facts_of(bytes(body[:size]), _WIRE))
        del body[:size]

    async with driver.cursor() as cursor, cursor.copy(query, values) as copy:
        while block := await copy.read():
            body += block
            if not skipped and len(body) >= _HEADER:
                del body[:_HEADER]
                skipped = True
            if len(body) >= _BLOCK:
                pack(len(body) - _TRAILER)
    pack(len(body) - _TRAILER)
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _facts_of(wire: bytes, layout: np.dtype[np.void]) -> Rows:
    rows = np.frombuffer(wire, dtype=layout)
    facts = np.empty(len(rows), dtype=_FACT)
    for name, _ in _FIELDS:
        facts[name] = rows[name]
    return facts


async def read_positions(
    unit: Unit, jurisdiction: str, version_id: int, cases: Cases | None = None
) -> tuple[Rows, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return id, longitude and latitude of cases that have a position and no cell of a drawing: of some, or of all.

    SRID: 4326. Cost: about 1 µs a case.
    """
    driver = await unit.driver()
    values = {"jurisdiction": jurisdiction, "version": version_id, "ids": cases}
    body = bytearray()
    async with (
        driver.cursor() as cursor,
        cursor.copy(
            "COPY (SELECT id, ST_X(location)::float8, ST_Y(location)::float8 FROM dispatch.dispatch_case"
            " WHERE jurisdiction = %(jurisdiction)s AND location IS NOT NULL"
            " AND (cell_id IS NULL OR grid_version_id <> %(version)s)"
            " AND (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s::uuid[]))) TO STDOUT (FORMAT binary)",
            values,
        ) as copy,
    ):
        while block := await copy.read():
            body += block
    rows = np.frombuffer(bytes(body[_HEADER : len(body) - 2]), dtype=_POSITION)
    return rows["id"], rows["lon"].astype(np.float64), rows["lat"].astype(np.float64)


async def changed_cases(unit: Unit, after: Cursor, *, limit: int) -> tuple[Cases | None, Cursor]:
    """Cases to which anything happened after a position, each once, and the position that this reaches; or None."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "WITH e AS MATERIALIZED (SELECT txid, id, case_id FROM dispatch.case_event"
            " WHERE (txid, id) > (%s::text::xid8, %s) AND txid < pg_snapshot_xmin(pg_current_snapshot())"
            " ORDER BY txid, id LIMIT %s)"
            " SELECT txid::text::bigint, id, (SELECT array_agg(DISTINCT case_id)::text FROM e) FROM e"
            " ORDER BY e.txid DESC, e.id DESC LIMIT 1",
            (str(after.txid), after.event_id, limit),
        )
        row = await cursor.fetchone()
    return (Cases(row[2]), Cursor(row[0], row[1])) if row is not None else (None, after)


async def recent_cases(unit: Unit) -> Cases:
    """Cases with events that this transaction sees though the feed still holds them back behind an older one."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT coalesce(array_agg(DISTINCT case_id)::text, '{}') FROM dispatch.case_event"
            " WHERE txid >= pg_snapshot_xmin(pg_current_snapshot())"
        )
        row = await cursor.fetchone()
    return Cases(row[0] if row is not None else "{}")


async def middle_latitude(unit: Unit, jurisdiction: str) -> float:
    """Return the latitude in the middle of the newest published drawing; 0 without one. SRID: 4326."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT (min(ST_YMin(c.boundary)) + max(ST_YMax(c.boundary))) / 2 FROM geo.cell AS c WHERE c.level = 1"
            " AND c.version_id = (SELECT id FROM geo.grid_version WHERE jurisdiction = %s AND status = 'published'"
            " ORDER BY valid_from DESC LIMIT 1)",
            (jurisdiction,),
        )
        row = await cursor.fetchone()
    return float(row[0]) if row is not None and row[0] is not None else 0.0


async def knows_position(unit: Unit, at: Cursor) -> bool:
    """Whether a position is one of this database's feed; another database has other events there, or none."""
    if at == Cursor(0, 0):
        return True
    driver = await unit.driver()
    found = await driver.execute(
        "SELECT 1 FROM dispatch.case_event WHERE id = %s AND txid = %s::text::xid8", (at.event_id, str(at.txid))
    )
    return await found.fetchone() is not None


async def case_days(unit: Unit, jurisdiction: str) -> tuple[date, date, int] | None:
    """Return the first and last local day with cases, and how many cases there are; None without cases."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT (min(c.reported_at) AT TIME ZONE j.time_zone)::date,"
            " (max(c.reported_at) AT TIME ZONE j.time_zone)::date, count(*)"
            " FROM dispatch.dispatch_case AS c JOIN geo.jurisdiction AS j ON j.code = c.jurisdiction"
            " WHERE c.jurisdiction = %s GROUP BY j.time_zone",
            (jurisdiction,),
        )
        row = await cursor.fetchone()
    return None if row is None else (row[0], row[1], row[2])


async def tally_cases(unit: Unit, jurisdiction: str, first: date, last: date) -> dict[tuple[Any, ...], int]:
    """Count every case of some local days by everything that the facts hold, in plain SQL: the proof of the columns.

    Returns
    -------
    dict
        (day, hour, cell or how not located, category, channel, ledgers, state, on time) → cases.
    """
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(
            "SELECT (c.reported_at AT TIME ZONE j.time_zone)::date,"
            " extract(hour FROM c.reported_at AT TIME ZONE j.time_zone)::int,"
            " CASE WHEN c.cell_id IS NULL THEN c.located_how ELSE c.cell_id::text END, c.category_code, c.channel_code,"
            " ARRAY(SELECT DISTINCT l FROM unnest(c.ledgers) AS l JOIN dispatch.ledger ON code = l ORDER BY l),"
            " c.state, c.is_on_time, count(*)"
            " FROM dispatch.dispatch_case AS c JOIN geo.jurisdiction AS j ON j.code = c.jurisdiction"
            " WHERE c.jurisdiction = %s AND c.reported_at >= %s::timestamp AT TIME ZONE j.time_zone"
            " AND c.reported_at < (%s::timestamp + interval '1 day') AT TIME ZONE j.time_zone"
            " GROUP BY 1, 2, 3, 4, 5, 6, 7, 8",
            (jurisdiction, first, last),
        )
        return {(*row[:5], tuple(row[5]), *row[6:8]): row[8] for row in await cursor.fetchall()}
