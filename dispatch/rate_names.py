"""Names of what a table of rates has rows for, in both languages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from psycopg.rows import tuple_row

from dispatch.evaluation import Dimension
from geo.storage.uow import Unit

__all__ = ["read_names"]

_CELLS: Final = (
    "SELECT DISTINCT ON (c.code) c.code, c.name_zh, c.name_en FROM geo.cell AS c"
    " JOIN geo.grid_version AS v ON v.id = c.version_id AND v.status = 'published'"
    " WHERE v.jurisdiction = %(jurisdiction)s AND c.code = ANY (%(keys)s) ORDER BY c.code, v.valid_from DESC"
)
_CODED: Final = "SELECT code, name_zh, name_en FROM dispatch.{table} WHERE code = ANY (%(keys)s)"
_QUERIES: Final = {
    Dimension.LEVEL_1: _CELLS,
    Dimension.LEVEL_2: _CELLS,
    Dimension.LEVEL_3: _CELLS,
    Dimension.DEPARTMENT: _CODED.format(table="department"),
    Dimension.HEAD: "SELECT id::text, name, name FROM dispatch.person WHERE id::text = ANY (%(keys)s)",
    Dimension.MAJOR: _CODED.format(table="category"),
    Dimension.CATEGORY: _CODED.format(table="category"),
    Dimension.CHANNEL: _CODED.format(table="channel"),
    Dimension.LEDGER: _CODED.format(table="ledger"),
}


async def read_names(
    unit: Unit, jurisdiction: str, dimension: Dimension, keys: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """Return key → (Chinese, English); what has no name is absent. A cell has the name of its newest drawing."""
    query = _QUERIES.get(dimension)
    if query is None or not keys:
        return {}
    driver = await unit.driver()
    async with driver.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, {"jurisdiction": jurisdiction, "keys": list(keys)})
        return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}
