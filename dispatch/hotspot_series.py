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

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatch.hotspots import FILTERED, MeasureFilter, SquareCount, filter_values
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
]

_BY_DAY = f"""
    SELECT (c.reported_at AT TIME ZONE :zone)::date AS day, c.cell_path[:level] AS code, count(*) AS cases
    FROM dispatch.dispatch_case c
    WHERE {FILTERED} AND c.located_how = 'covers' AND c.grid_version_id = :version_id
      AND c.cell_path[:level] IS NOT NULL
    GROUP BY 1, 2
"""  # noqa: S608 - constants

_BY_HOUR = f"""
    SELECT extract(isodow FROM c.reported_at AT TIME ZONE :zone)::int - 1 AS weekday,
           extract(hour FROM c.reported_at AT TIME ZONE :zone)::int AS hour, count(*) AS cases
    FROM dispatch.dispatch_case c
    WHERE {FILTERED}
    GROUP BY 1, 2
"""  # noqa: S608 - constants

# Where no cell is, there is no drawing either: such cases are counted whatever the version.
_BY_SQUARE = f"""
    SELECT floor(ST_X(c.location) / :side_lon)::int AS square_column,
           floor(ST_Y(c.location) / :side_lat)::int AS square_row, count(*) AS cases
    FROM dispatch.dispatch_case c
    WHERE {FILTERED} AND c.located_how = CAST(:how AS text)
      AND (c.grid_version_id = :version_id OR CAST(:how AS text) = 'out_of_grid')
    GROUP BY 1, 2
"""  # noqa: S608 - constants

_SITES = f"""
    SELECT floor(ST_X(c.location) / :side_lon)::int AS square_column,
           floor(ST_Y(c.location) / :side_lat)::int AS square_row, c.category_code, count(*) AS cases,
           array_agg(DISTINCT (c.reported_at AT TIME ZONE :zone)::date) AS days
    FROM dispatch.dispatch_case c
    WHERE {FILTERED} AND c.located_how = 'covers' AND c.grid_version_id = :version_id
    GROUP BY 1, 2, 3
    HAVING count(*) >= :fewest_cases AND count(DISTINCT (c.reported_at AT TIME ZONE :zone)::date) >= :fewest_days
    ORDER BY cases DESC, 1, 2, 3
    LIMIT :most
"""  # noqa: S608 - constants

_WORDS = {
    "category": "c.category_code",
    "channel": "c.channel_code",
    "state": "c.state",
    "ledger": "unnest(c.ledgers)",
}

_BEHIND = f"""
    SELECT c.id, c.ref, c.state, c.category_code, c.channel_code, c.reported_at, c.due_at, c.handled_at,
           ST_X(c.location) AS lon, ST_Y(c.location) AS lat
    FROM dispatch.dispatch_case c
    WHERE {FILTERED}
      AND (CAST(:cell AS text) IS NULL
           OR c.located_how = 'covers' AND c.grid_version_id = :version_id
              AND c.cell_path && ARRAY[CAST(:cell AS text)])
      AND (CAST(:weekday AS int) IS NULL
           OR extract(isodow FROM c.reported_at AT TIME ZONE :zone)::int - 1 = CAST(:weekday AS int))
      AND (CAST(:hour AS int) IS NULL OR extract(hour FROM c.reported_at AT TIME ZONE :zone)::int = CAST(:hour AS int))
      AND (CAST(:after_at AS timestamptz) IS NULL
           OR (c.reported_at, c.id) < (CAST(:after_at AS timestamptz), CAST(:after_id AS uuid)))
    ORDER BY c.reported_at DESC, c.id DESC
    LIMIT :most
"""  # noqa: S608 - constants


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
    connection: AsyncConnection, chosen: MeasureFilter, *, version_id: int, level: int, zone: str
) -> dict[tuple[date, str], int]:
    """Count by local day and cell of a level. Zone: the jurisdiction's."""
    asked = filter_values(chosen) | {"version_id": version_id, "level": level, "zone": zone}
    return {(row.day, row.code): row.cases for row in await connection.execute(text(_BY_DAY), asked)}


async def by_hour_of_week(
    connection: AsyncConnection, chosen: MeasureFilter, *, zone: str
) -> dict[tuple[int, int], int]:
    """Count by weekday (Monday is 0) and hour. Zone: the jurisdiction's."""
    asked = filter_values(chosen) | {"zone": zone}
    return {(row.weekday, row.hour): row.cases for row in await connection.execute(text(_BY_HOUR), asked)}


async def by_square(
    connection: AsyncConnection,
    chosen: MeasureFilter,
    *,
    version_id: int,
    side_lon: float,
    side_lat: float,
    how: str = "covers",
) -> list[SquareCount]:
    """Count by square of a lattice.

    Parameters
    ----------
    side_lon, side_lat
        Sides of a square. Units: degrees. SRID: 4326.
    how
        ``covers``: cases in a cell of the drawing; ``out_of_grid``: cases in none.
    """
    asked = filter_values(chosen) | {"version_id": version_id, "side_lon": side_lon, "side_lat": side_lat, "how": how}
    rows = await connection.execute(text(_BY_SQUARE), asked)
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
    version_id: int,
    side_lon: float,
    side_lat: float,
    zone: str,
    fewest_cases: int,
    fewest_days: int,
    most: int,
) -> list[Site]:
    """Return squares where a class came at least so often, on so many days, most cases first."""
    asked = filter_values(chosen) | {
        "version_id": version_id,
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
        for row in await connection.execute(text(_SITES), asked)
    ]


async def by_word(connection: AsyncConnection, chosen: MeasureFilter, column: str) -> dict[str, int]:
    """Count by category, channel, state or ledger; a case counts once for each of its ledgers."""
    statement = f"""
        SELECT {_WORDS[column]} AS word, count(*) AS cases
        FROM dispatch.dispatch_case c WHERE {FILTERED} GROUP BY 1
    """  # noqa: S608 - one of four constants
    rows = await connection.execute(text(statement), filter_values(chosen))
    return {row.word: row.cases for row in rows}


async def cases_behind(
    connection: AsyncConnection,
    chosen: MeasureFilter,
    *,
    version_id: int,
    cell: str | None,
    most: int,
    zone: str,
    weekday: int | None = None,
    hour: int | None = None,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[MapCase]:
    """Return the cases behind the number of a cell (None: of the whole filter), newest first.

    Parameters
    ----------
    weekday, hour
        Only those of one hour of the week (Monday is 0). Zone: ``zone``.
    after
        The last case of the page before.
    """
    asked: dict[str, Any] = filter_values(chosen) | {
        "version_id": version_id,
        "cell": cell,
        "most": most,
        "zone": zone,
        "weekday": weekday,
        "hour": hour,
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
        for row in await connection.execute(text(_BEHIND), asked)
    ]
