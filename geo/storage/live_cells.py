"""What the live index is fed with: the published versions, and the cells of one of them."""

from __future__ import annotations

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
SELECT id, number, name, valid_from, valid_until, now() FROM geo.grid_version
 WHERE jurisdiction = %s AND status = 'published' AND (valid_until IS NULL OR valid_until > now() - interval '1 minute')
 ORDER BY valid_from DESC
"""
_CELLS = """
SELECT id, level, code, parent_id, name_zh, name_en, kind, ST_AsBinary(boundary) FROM geo.cell WHERE version_id = %s
"""
_AT_ONCE = 1_000


def version_look(jurisdiction: str, live: LiveIndex) -> Look:
    """Make the look that keeps a live index informed. Cost: one small query."""

    async def look(connection: psycopg.AsyncConnection[Any]) -> None:
        rows = await (await connection.execute(_VERSIONS, (jurisdiction,))).fetchall()
        if not rows:
            return
        versions = [
            LiveVersion(id=row[0], number=row[1], name=row[2], valid_from=row[3], valid_until=row[4]) for row in rows
        ]
        live.learn(versions, rows[0][5].astimezone(UTC))

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
