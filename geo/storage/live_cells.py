"""What the live index is fed with: the published versions, and the cells of one of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC
from threading import Event
from typing import Any

import psycopg
import shapely

from geo.cells import CellId, CellKind, CellRef
from geo.lookup import CellBoundary, CellIndex
from geo.lookup.holder import LiveGrid, LiveIndex, LiveVersion
from geo.storage.engine import APPLICATION_NAME, dsn
from geo.storage.watching import Look

__all__ = ["cell_loader", "version_look"]

_VERSIONS = """
SELECT clock_timestamp(), v.id, v.revision, v.number, v.name, v.valid_from, v.valid_until
  FROM (SELECT 1) AS always
  LEFT JOIN geo.grid_version AS v
         ON v.jurisdiction = %s AND v.status = 'published'
        AND (v.valid_until IS NULL OR v.valid_until > now() - interval '1 minute')
 ORDER BY v.valid_from DESC
"""
_STILL = "SELECT FROM geo.grid_version WHERE id = %s AND revision = %s AND status = 'published'"
_CELLS = """
SELECT id, level, code, parent_id, name_zh, name_en, kind, ST_AsBinary(boundary) FROM geo.cell WHERE version_id = %s
"""
_AT_ONCE = 1_000


def version_look(jurisdiction: str, live: LiveIndex) -> Look:
    """Make the look that keeps a live index informed. Cost: one small query."""

    async def look(connection: psycopg.AsyncConnection[Any]) -> None:
        # Before the question: what is learned is at least as new as that.
        asked_at = time.monotonic()
        rows = await (await connection.execute(_VERSIONS, (jurisdiction,))).fetchall()
        versions = [
            LiveVersion(id=row[1], revision=row[2], number=row[3], name=row[4], valid_from=row[5], valid_until=row[6])
            for row in rows
            if row[1] is not None
        ]
        live.learn(versions, rows[0][0].astimezone(UTC), asked_at=asked_at)

    return look


def cell_loader(url: str) -> Callable[[LiveVersion, Event], LiveGrid]:
    """Make the function that reads and builds one version, for a thread.

    Cost: about 30 µs a cell; a server-side cursor keeps the memory at a batch of boundaries.
    """

    def load(version: LiveVersion, stopping: Event) -> LiveGrid:
        refs: dict[int, CellRef] = {}
        with (
            psycopg.connect(dsn(url), connect_timeout=5, application_name=f"{APPLICATION_NAME}-index") as connection,
            connection.cursor(name="cells", binary=True) as cursor,
        ):
            # Version and cells from one snapshot: between two it may be withdrawn and redrawn.
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            if connection.execute(_STILL, version.key).fetchone() is None:
                raise LookupError(f"version {version.number} is another one by now")
            cursor.itersize = _AT_ONCE
            cursor.execute(_CELLS, (version.id,))
            index = CellIndex.build(version.id, _read(cursor, refs, stopping))
        return LiveGrid(version=version, index=index, cells=[refs[cell_id] for cell_id in index.cell_ids])

    return load


def _read(cursor: psycopg.ServerCursor[Any], refs: dict[int, CellRef], stopping: Event) -> Iterator[CellBoundary]:
    while rows := cursor.fetchmany(_AT_ONCE):
        if stopping.is_set():
            raise InterruptedError
        shapes = shapely.from_wkb([bytes(row[7]) for row in rows])
        for (id_, level, code, parent_id, name_zh, name_en, kind, _), shape in zip(rows, shapes, strict=True):
            refs[id_] = CellRef(
                id=CellId(id_), level=level, code=code, name_zh=name_zh, name_en=name_en, kind=CellKind(kind)
            )
            yield CellBoundary(cell_id=id_, level=level, code=code, parent_id=parent_id, boundary=shape)
