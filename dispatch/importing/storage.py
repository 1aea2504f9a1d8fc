"""Bulk writing of historic reports: channels, generated categories, batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import text
from uuid_utils.compat import uuid7

from dispatch.importing.placing import PlacedRow
from geo.cells import GridVersionId
from geo.importing.staged import locate_staged
from geo.storage.uow import ReadUnit, WriteUnit

_COPY = (
    "COPY staged_report (row, id, ticket, category, reported_at, closed_at, due_at, body, address, source_status,"
    " state, lon, lat, raw_x, raw_y) FROM STDIN"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSource:
    """What all rows of an import have in common."""

    jurisdiction: str
    time_zone: str
    channel: str
    coord_sys: str
    version: GridVersionId
    file: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOutcome:
    """What became of a staged batch.

    Parameters
    ----------
    located
        New cases by how they were located.
    repeated
        Row → row of the same file that has the same ticket.
    already_there
        How many were imported or reported before.
    """

    located: Mapping[str, int]
    repeated: Mapping[int, int]
    already_there: int


@cache
def _sql(name: str) -> str:
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")


async def find_time_zone(unit: ReadUnit | WriteUnit, jurisdiction: str) -> str | None:
    """Zone of a jurisdiction, or None when there is no such jurisdiction."""
    found: str | None = await unit.connection.scalar(
        text("SELECT time_zone FROM geo.jurisdiction WHERE code = :code"), {"code": jurisdiction}
    )
    return found


async def ensure_channel(unit: WriteUnit, code: str) -> None:
    """Add a channel under its own code unless it is there."""
    await unit.connection.execute(
        text(
            "INSERT INTO dispatch.channel (code, name_zh, name_en) VALUES (:code, :code, :code)"
            " ON CONFLICT (code) DO NOTHING"
        ),
        {"code": code},
    )


async def list_category_codes(unit: ReadUnit | WriteUnit) -> frozenset[str]:
    """All category codes."""
    return frozenset((await unit.connection.execute(text("SELECT code FROM dispatch.category"))).scalars())


async def ensure_categories(unit: WriteUnit, code_system: str, names: Sequence[str]) -> tuple[dict[str, str], int]:
    """Find or make a category for each name of a source.

    Made categories are numbered ``X0001``, ``X0002`` … across all sources (X is no prefix of an official table), with
    the source's own name in both languages and the channel as ``code_system``: no two sources share a class by chance.

    Returns
    -------
    dict
        Name → code, for all categories of the code system.
    int
        How many were made.
    """
    # Two imports at once must not draw the same number; readers are not blocked by this lock.
    await unit.connection.execute(text("LOCK TABLE dispatch.category IN SHARE ROW EXCLUSIVE MODE"))
    made = await unit.connection.execute(
        text(
            "WITH own AS (SELECT name_zh FROM dispatch.category WHERE code_system = :code_system)"
            " INSERT INTO dispatch.category (code, code_system, kind, name_zh, name_en)"
            " SELECT 'X' || lpad((last.number + n.place)::text, 4, '0'), :code_system, 'event', n.name, n.name"
            "   FROM (SELECT name, row_number() OVER (ORDER BY place) AS place"
            "           FROM unnest(CAST(:names AS text[])) WITH ORDINALITY AS given (name, place)"
            "          WHERE name NOT IN (SELECT name_zh FROM own)) AS n,"
            "        (SELECT coalesce(max(substr(code, 2)::int), 0) AS number FROM dispatch.category"
            r"          WHERE code ~ '^X\d{4,8}$') AS last"
        ),
        {"code_system": code_system, "names": list(names)},
    )
    rows = await unit.connection.execute(
        text("SELECT name_zh, code FROM dispatch.category WHERE code_system = :code_system"),
        {"code_system": code_system},
    )
    return {row.name_zh: row.code for row in rows}, made.rowcount


async def write_batch(
    unit: WriteUnit, source: BatchSource, rows: Sequence[PlacedRow], codes: Mapping[str, str]
) -> BatchOutcome:
    """Stage, locate and insert one batch in the caller's transaction.

    ``codes`` maps the source's category to ours. Cost: two statements and two COPYs, whatever the batch's size.
    """
    points = ((each.row.row, each.lon, each.lat) for each in rows if each.lon is not None and each.lat is not None)
    await locate_staged(unit, source.version, points)
    driver = await unit.driver()
    await driver.execute(_sql("stage"))
    async with driver.cursor() as cursor, cursor.copy(_COPY) as stream:
        for placed in rows:
            await stream.write_row(_staged(placed, codes))
    await driver.execute("ANALYZE staged_report")
    common: dict[str, Any] = {
        "version": source.version,
        "jurisdiction": source.jurisdiction,
        "time_zone": source.time_zone,
        "channel": source.channel,
        "coord_sys": source.coord_sys,
        "file": source.file,
        "digest": source.digest,
    }
    located = await (await driver.execute(_sql("insert_batch"), common)).fetchall()
    there: list[tuple[int, int | None]] = []
    if sum(count for _, count in located) < len(rows):
        there = await (await driver.execute(_sql("already_there"), common)).fetchall()
    repeated = {row: first for row, first in there if first is not None and first != row}
    return BatchOutcome(located=dict(located), repeated=repeated, already_there=len(there) - len(repeated))


def _staged(placed: PlacedRow, codes: Mapping[str, str]) -> tuple[Any, ...]:
    row = placed.row
    return (
        row.row,
        uuid7(),
        row.ticket,
        codes[row.category],
        row.reported_at,
        row.closed_at,
        row.due_at,
        row.text,
        row.address,
        row.source_status,
        row.state.value,
        placed.lon,
        placed.lat,
        row.x,
        row.y,
    )
