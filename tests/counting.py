"""Counts in plain SQL, by cell and by square: what the columns in memory must be equal to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatch.hotspots import NOT_COUNTED, SquareCount


@dataclass(frozen=True, slots=True, kw_only=True)
class HotspotFilter:
    """Which cases are counted.

    Attributes
    ----------
    jurisdiction
        Six digits.
    reported_from, reported_until
        By the time of the report. Boundary: from included, until excluded. Zone: aware instants.
    category
        A class with everything below it; None for all.
    """

    jurisdiction: str
    reported_from: datetime
    reported_until: datetime
    category: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCounts:
    """Cases by cell of one level of one grid version, and what could not be put into any of them.

    Attributes
    ----------
    by_code
        Cases by cell code; cells without cases are absent.
    out_of_grid, no_position
        Cases in no cell, and cases whose place is unknown.
    above_level
        Located in a cell that is not divided down to this level.
    other_version
        Located on another drawing of the grid: never mixed with this one.
    """

    by_code: Mapping[str, int]
    out_of_grid: int
    no_position: int
    above_level: int
    other_version: int


# A class and everything below it. Asked for first, so that the counts can use plain equality on a short list.
_FAMILY = """
    WITH RECURSIVE family AS (
        SELECT code FROM dispatch.category WHERE code = :category
        UNION
        SELECT child.code FROM dispatch.category child JOIN family ON child.parent = family.code
    )
    SELECT code FROM family
"""

_COUNTED = """
    c.jurisdiction = :jurisdiction
    AND c.reported_at >= :reported_from AND c.reported_at < :reported_until
    AND c.state <> ALL (CAST(:not_counted AS text[]))
    AND (CAST(:categories AS text[]) IS NULL OR c.category_code = ANY (CAST(:categories AS text[])))
"""

_BY_CELL = f"""
    SELECT c.located_how, c.grid_version_id = :version_id AS is_same_version, c.cell_path[:level] AS code,
           count(*) AS cases
    FROM dispatch.dispatch_case c
    WHERE {_COUNTED}
    GROUP BY 1, 2, 3
"""

# Degrees, not a projection of every point: dividing is cheap, and a lattice in degrees is the same for every filter.
_BY_SQUARE = f"""
    SELECT floor(ST_X(c.location) / :side_lon)::int AS square_column,
           floor(ST_Y(c.location) / :side_lat)::int AS square_row,
           count(*) AS cases
    FROM dispatch.dispatch_case c
    WHERE {_COUNTED} AND c.located_how = 'covers' AND c.grid_version_id = :version_id
    GROUP BY 1, 2
"""

_TOTAL = f"SELECT count(*) FROM dispatch.dispatch_case c WHERE {_COUNTED}"


async def count_by_cell(
    connection: AsyncConnection, chosen: HotspotFilter, *, version_id: int, level: int
) -> CellCounts:
    """Count cases by cell of one level.

    Parameters
    ----------
    connection
        Inside a reading unit of work.
    chosen
        Which cases.
    version_id, level
        Which drawing of the grid, and how deep.

    Returns
    -------
    CellCounts
        The parts add up to `count_cases` of the same filter.

    Notes
    -----
    Cost: one pass over the period; 169,000 cases in about 0.1 s.
    """
    by_code: dict[str, int] = {}
    out_of_grid = no_position = above_level = other_version = 0
    parameters = {**await _parameters(connection, chosen), "version_id": version_id, "level": level}
    for row in await connection.execute(text(_BY_CELL), parameters):
        if row.located_how == "out_of_grid":
            out_of_grid += row.cases
        elif row.located_how == "no_position":
            no_position += row.cases
        elif not row.is_same_version:
            other_version += row.cases
        elif row.code is None:
            above_level += row.cases
        else:
            by_code[row.code] = row.cases
    return CellCounts(
        by_code=by_code,
        out_of_grid=out_of_grid,
        no_position=no_position,
        above_level=above_level,
        other_version=other_version,
    )


async def bin_points(
    connection: AsyncConnection, chosen: HotspotFilter, *, version_id: int, side_lon: float, side_lat: float
) -> list[SquareCount]:
    """Count located cases by square of a regular lattice.

    Parameters
    ----------
    connection
        Inside a reading unit of work.
    chosen
        Which cases.
    version_id
        Only cases that lie in a cell of this drawing of the grid.
    side_lon, side_lat
        Sides of a square. Units: degrees. SRID: 4326.

    Returns
    -------
    list[SquareCount]
        Squares with at least one case, in no order. Boundary: a point on a line belongs to the square east or north
        of it.
    """
    parameters = {
        **await _parameters(connection, chosen),
        "version_id": version_id,
        "side_lon": side_lon,
        "side_lat": side_lat,
    }
    rows = await connection.execute(text(_BY_SQUARE), parameters)
    return [SquareCount(column=row.square_column, row=row.square_row, cases=row.cases) for row in rows]


async def count_cases(connection: AsyncConnection, chosen: HotspotFilter) -> int:
    """Count the cases of a filter, wherever they lie."""
    return int((await connection.execute(text(_TOTAL), await _parameters(connection, chosen))).scalar_one())


async def _parameters(connection: AsyncConnection, chosen: HotspotFilter) -> dict[str, Any]:
    categories: Sequence[str] | None = None
    if chosen.category is not None:
        found = await connection.execute(text(_FAMILY), {"category": chosen.category})
        categories = [row.code for row in found]
    return {
        "jurisdiction": chosen.jurisdiction,
        "reported_from": chosen.reported_from,
        "reported_until": chosen.reported_until,
        "not_counted": [str(state) for state in NOT_COUNTED],
        "categories": categories,
    }
