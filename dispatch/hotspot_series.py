"""What else planners' maps count in the database: by day, by hour, by square; and the cases behind one number.

For callers with an area: everything here runs behind their own policies. Who sees everything is answered from the
facts (`maps.facts`), which count the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatch.hotspots import FILTERED, MeasureFilter, SquareCount, drawn_cases, filter_values
from dispatch.states import CaseState

__all__ = [
    "MapCase",
    "Site",
    "by_day_and_cell",
    "by_hour_of_week",
    "by_square",
    "by_word",
    "cases_behind",
    "repeat_squares",
    "squares_and_hours",
]

_BY_DAY = """
    SELECT (c.reported_at AT TIME ZONE :zone)::date AS day, drawn.path[:level] AS code, count(*) AS cases
    FROM {cases}
    WHERE {filtered} AND drawn.path[:level] IS NOT NULL
    GROUP BY 1, 2
"""

_BY_HOUR = """
    SELECT extract(isodow FROM c.reported_at AT TIME ZONE :zone)::int - 1 AS weekday,
           extract(hour FROM c.reported_at AT TIME ZONE :zone)::int AS hour, count(*) AS cases
    FROM {cases}
    WHERE {filtered}
    GROUP BY 1, 2
"""

_BY_SQUARE = """
    SELECT floor(ST_X(c.location) / :side_lon)::int AS square_column,
           floor(ST_Y(c.location) / :side_lat)::int AS square_row, count(*) AS cases
    FROM {cases}
    WHERE {filtered} AND {where}
    GROUP BY 1, 2
"""
_IN_A_CELL = "drawn.path <> '{}'"
# Where no cell is, there is no drawing either: such cases are counted whatever the version.
_IN_NO_CELL = """drawn.path = '{}' AND c.location IS NOT NULL
             AND (CAST(:is_recut AS boolean) OR c.located_how = 'out_of_grid')"""

_IN_TIME = """
    SELECT floor(ST_X(c.location) / :side_lon)::int AS square_column,
           floor(ST_Y(c.location) / :side_lat)::int AS square_row,
           floor(extract(epoch FROM c.reported_at AT TIME ZONE :zone) / 3600)::float8 / 24 AS day
    FROM {cases}
    WHERE {filtered} AND {where}
"""

_SITES = """
    SELECT floor(ST_X(c.location) / :side_lon)::int AS square_column,
           floor(ST_Y(c.location) / :side_lat)::int AS square_row, c.category_code, count(*) AS cases,
           array_agg(DISTINCT (c.reported_at AT TIME ZONE :zone)::date) AS days
    FROM {cases}
    WHERE {filtered} AND {where}
    GROUP BY 1, 2, 3
    HAVING count(*) >= :fewest_cases AND count(DISTINCT (c.reported_at AT TIME ZONE :zone)::date) >= :fewest_days
    ORDER BY cases DESC, 1, 2, 3
    LIMIT :most
"""

_WORDS = {
    "category": "c.category_code",
    "channel": "c.channel_code",
    "state": "c.state",
    "ledger": "unnest(c.ledgers)",
}

_BEHIND = """
    SELECT c.id, c.ref, c.state, c.category_code, c.channel_code, c.reported_at, c.due_at, c.handled_at,
           ST_X(c.location) AS lon, ST_Y(c.location) AS lat
    FROM {cases}
    WHERE {filtered}
      AND (CAST(:cell AS text) IS NULL OR drawn.path && ARRAY[CAST(:cell AS text)])
      AND (CAST(:square_column AS int) IS NULL
           OR drawn.path <> '{{}}' AND floor(ST_X(c.location) / :side_lon)::int = CAST(:square_column AS int)
              AND floor(ST_Y(c.location) / :side_lat)::int = CAST(:square_row AS int))
      AND (CAST(:weekday AS int) IS NULL
           OR extract(isodow FROM c.reported_at AT TIME ZONE :zone)::int - 1 = CAST(:weekday AS int))
      AND (CAST(:hour AS int) IS NULL OR extract(hour FROM c.reported_at AT TIME ZONE :zone)::int = CAST(:hour AS int))
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (c.reported_at, c.id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid)))
    ORDER BY c.reported_at DESC, c.id DESC
    LIMIT :most
"""


def _of(statement: str, chosen: MeasureFilter, *, where: str = "") -> TextClause:
    """Put the cases of a filter into a statement; every part is a constant of this module or of `hotspots`."""
    return text(statement.format(cases=drawn_cases(chosen), filtered=FILTERED, where=where))


@dataclass(frozen=True, slots=True, kw_only=True)
class MapCase:
    """A case behind a number of a map; for callers who may see cases. SRID: 4326."""

    id: UUID
    ref: str
    state: CaseState
    category: str
    channel: str
    reported_at: datetime
    due_at: datetime | None
    handled_at: datetime | None
    lon: float | None
    lat: float | None


async def by_day_and_cell(
    connection: AsyncConnection, chosen: MeasureFilter, *, level: int, zone: str
) -> dict[tuple[date, str], int]:
    """Count by local day and cell of a level. Zone: the jurisdiction's."""
    asked = filter_values(chosen) | {"level": level, "zone": zone}
    return {(row.day, row.code): row.cases for row in await connection.execute(_of(_BY_DAY, chosen), asked)}


async def by_hour_of_week(
    connection: AsyncConnection, chosen: MeasureFilter, *, zone: str
) -> dict[tuple[int, int], int]:
    """Count by weekday (Monday is 0) and hour. Zone: the jurisdiction's."""
    asked = filter_values(chosen) | {"zone": zone}
    return {(row.weekday, row.hour): row.cases for row in await connection.execute(_of(_BY_HOUR, chosen), asked)}


async def by_square(
    connection: AsyncConnection,
    chosen: MeasureFilter,
    *,
    side_lon: float,
    side_lat: float,
    outside: bool = False,
) -> list[SquareCount]:
    """Count by square of a lattice.

    Parameters
    ----------
    side_lon, side_lat
        Sides of a square. Units: degrees. SRID: 4326.
    outside
        Cases in no cell, instead of those in one.
    """
    asked = filter_values(chosen) | {"side_lon": side_lon, "side_lat": side_lat}
    rows = await connection.execute(_of(_BY_SQUARE, chosen, where=_IN_NO_CELL if outside else _IN_A_CELL), asked)
    return [SquareCount(column=row.square_column, row=row.square_row, cases=row.cases) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A square where cases of one class come back."""

    column: int
    row: int
    category: str
    cases: int
    days: tuple[date, ...]


async def repeat_squares(
    connection: AsyncConnection,
    chosen: MeasureFilter,
    *,
    side_lon: float,
    side_lat: float,
    zone: str,
    fewest_cases: int,
    fewest_days: int,
    most: int,
) -> list[Site]:
    """Return squares where a class came at least so often, on so many days, most cases first."""
    asked = filter_values(chosen) | {
        "side_lon": side_lon,
        "side_lat": side_lat,
        "zone": zone,
        "fewest_cases": fewest_cases,
        "fewest_days": fewest_days,
        "most": most,
    }
    return [
        Site(
            column=row.square_column,
            row=row.square_row,
            category=row.category_code,
            cases=row.cases,
            days=tuple(sorted(row.days)),
        )
        for row in await connection.execute(_of(_SITES, chosen, where=_IN_A_CELL), asked)
    ]


async def squares_and_hours(
    connection: AsyncConnection, chosen: MeasureFilter, *, side_lon: float, side_lat: float, zone: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return column and row of the square and the instant of every case in a cell.

    Units: squares; days with whole hours as fractions. Zone: ``zone``.
    """
    asked = filter_values(chosen) | {"side_lon": side_lon, "side_lat": side_lat, "zone": zone}
    rows = (await connection.execute(_of(_IN_TIME, chosen, where=_IN_A_CELL), asked)).fetchall()
    found = np.array([tuple(row) for row in rows], dtype=np.float64).reshape(-1, 3)
    return found[:, 0], found[:, 1], found[:, 2]


async def by_word(connection: AsyncConnection, chosen: MeasureFilter, column: str) -> dict[str, int]:
    """Count by category, channel, state or ledger; a case counts once for each of its ledgers."""
    # One of four constants.
    counted = f"SELECT {_WORDS[column]} AS word, count(*) AS cases FROM {{cases}} WHERE {{filtered}} GROUP BY 1"  # noqa: S608
    rows = await connection.execute(_of(counted, chosen), filter_values(chosen))
    return {row.word: row.cases for row in rows}


async def cases_behind(
    connection: AsyncConnection,
    chosen: MeasureFilter,
    *,
    cell: str | None,
    most: int,
    zone: str,
    weekday: int | None = None,
    hour: int | None = None,
    square: tuple[int, int] | None = None,
    sides: tuple[float, float] = (1.0, 1.0),
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[MapCase]:
    """Return the cases behind the number of a cell (None: of the whole filter), newest first.

    Parameters
    ----------
    weekday, hour
        Only those of one hour of the week (Monday is 0). Zone: ``zone``.
    square, sides
        Only those in a cell and in one square of a lattice: column and row, and the sides in degrees. SRID: 4326.
    after
        The last case of the page before.
    """
    asked: dict[str, Any] = filter_values(chosen) | {
        "cell": cell,
        "most": most,
        "zone": zone,
        "weekday": weekday,
        "hour": hour,
        "square_column": square[0] if square else None,
        "square_row": square[1] if square else None,
        "side_lon": sides[0],
        "side_lat": sides[1],
        "after_at": after[0] if after else None,
        "after_id": after[1] if after else None,
    }
    return [
        MapCase(
            id=row.id,
            ref=row.ref,
            state=CaseState(row.state),
            category=row.category_code,
            channel=row.channel_code,
            reported_at=row.reported_at,
            due_at=row.due_at,
            handled_at=row.handled_at,
            lon=row.lon,
            lat=row.lat,
        )
        for row in await connection.execute(_of(_BEHIND, chosen), asked)
    ]
