"""Counts for planners' maps: cases per cell and per small square, aggregated in the database.

Planners see cells and squares, never points, so no function here returns a position of a case.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatch.states import HANDLING_STATES, CaseState

__all__ = [
    "FILTERED",
    "NOT_COUNTED",
    "CellMeasure",
    "MeasureFilter",
    "SquareCount",
    "as_of",
    "drawn_cases",
    "filter_values",
    "measure_by_cell",
]

#: A mistake, a report that is nobody's task here, and a second report of a case that is counted already.
NOT_COUNTED = (CaseState.VOIDED, CaseState.DECLINED, CaseState.MERGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SquareCount:
    """Cases in one square of a lattice in degrees, numbered from longitude 0 and latitude 0."""

    column: int
    row: int
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureFilter:
    """Which cases are measured. Boundary: from included, until excluded. Without states: as `NOT_COUNTED` says.

    Attributes
    ----------
    version_id, is_recut
        In the cells of which drawing: cases that were put into it on their day, or every case by its position.
    area
        Cells of that drawing.
    """

    jurisdiction: str
    version_id: int
    reported_from: datetime
    reported_until: datetime
    categories: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    ledgers: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    area: tuple[str, ...] | None = None
    is_recut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMeasure:
    """One cell: cases, those with a decided or passed deadline, those of them that are late, median of those handled.

    ``handled`` is how many cases the median is of: of one case it would be that case's own time.
    """

    cases: int
    decided: int
    late: int
    handled: int
    median_minutes: float | None


_OWN_DAY = """CASE WHEN c.located_how = 'covers' AND c.grid_version_id = :version_id
                          THEN c.cell_path ELSE '{}'::text[] END AS path"""
# OFFSET 0: a search by position is made once for each case, however often its path is asked for; and none for what lies
# in a cell that the redraw left alone.
_RECUT = """CASE WHEN c.located_how = 'covers' AND (c.grid_version_id = :version_id
                          OR c.cell_id IN (SELECT s.id FROM geo.settled_cells(:version_id) AS s)) THEN c.cell_path
                        WHEN c.location IS NULL THEN '{}'::text[]
                        ELSE coalesce((SELECT g.path FROM geo.covering_cell(:version_id, c.location) AS g),
                                      '{}'::text[]) END AS path OFFSET 0"""


def drawn_cases(chosen: MeasureFilter) -> str:
    """Return what to read from: cases ``c``, each with its ``drawn.path``, empty where it is in no cell."""
    return f"dispatch.dispatch_case c CROSS JOIN LATERAL (SELECT {_RECUT if chosen.is_recut else _OWN_DAY}) drawn"


#: The cases of a `MeasureFilter`, named ``c``, beside `drawn_cases`; its values are `filter_values`.
FILTERED = """
      c.jurisdiction = :jurisdiction
      AND c.reported_at >= :reported_from AND c.reported_at < :reported_until
      AND (CAST(:states AS text[]) IS NULL AND c.state <> ALL (CAST(:not_counted AS text[]))
           OR c.state = ANY (CAST(:states AS text[])))
      AND (CAST(:categories AS text[]) IS NULL OR c.category_code = ANY (CAST(:categories AS text[])))
      AND (CAST(:channels AS text[]) IS NULL OR c.channel_code = ANY (CAST(:channels AS text[])))
      AND (CAST(:ledgers AS text[]) IS NULL OR c.ledgers && CAST(:ledgers AS text[]))
      AND (CAST(:area AS text[]) IS NULL OR drawn.path && CAST(:area AS text[]))
"""


def _measured(chosen: MeasureFilter) -> str:
    return f"""
        SELECT CASE WHEN drawn.path <> '{{}}' THEN coalesce(drawn.path[:level], '-above_level')
                    WHEN c.location IS NULL THEN '-no_position'
                    WHEN c.located_how = 'covers' AND NOT CAST(:is_recut AS boolean) THEN '-other_version'
                    ELSE '-out_of_grid' END AS code,
               count(*) AS cases,
               count(*) FILTER (WHERE c.is_on_time AND c.due_at IS NOT NULL) AS on_time,
               count(*) FILTER (WHERE c.due_at IS NOT NULL AND (NOT c.is_on_time
                 OR (c.is_on_time IS NULL AND c.state = ANY (CAST(:running AS text[])) AND c.due_at < :as_of))) AS late,
               count(*) FILTER (WHERE c.handled_at >= c.dispatched_at) AS handled,
               percentile_disc(0.5) WITHIN GROUP (ORDER BY
                 CASE WHEN c.handled_at >= c.dispatched_at
                      THEN least(floor(extract(epoch FROM c.handled_at - c.dispatched_at) / 60), 65534) END) AS median
        FROM {drawn_cases(chosen)}
        WHERE {FILTERED}
        GROUP BY 1
    """  # noqa: S608 - constants of this module


async def measure_by_cell(
    connection: AsyncConnection, chosen: MeasureFilter, *, level: int, as_of: datetime
) -> dict[str, CellMeasure]:
    """Measure cases by cell of one level, behind the caller's own policies.

    Returns
    -------
    dict
        By code; cases that lie in no cell of this level under ``-out_of_grid``, ``-no_position``, ``-above_level`` and
        ``-other_version``.
    """
    rows = await connection.execute(
        text(_measured(chosen)),
        {
            **filter_values(chosen),
            "level": level,
            "as_of": as_of,
            "running": [str(state) for state in sorted(HANDLING_STATES)],
        },
    )
    return {
        row.code: CellMeasure(
            cases=row.cases,
            decided=row.on_time + row.late,
            late=row.late,
            handled=row.handled,
            median_minutes=None if row.median is None else float(row.median),
        )
        for row in rows
    }


def filter_values(chosen: MeasureFilter) -> dict[str, Any]:
    """Return the values that `FILTERED` asks for."""
    lists = ("categories", "channels", "ledgers", "states", "area")
    words = {name: None if getattr(chosen, name) is None else list(getattr(chosen, name)) for name in lists}
    return words | {
        "jurisdiction": chosen.jurisdiction,
        "version_id": chosen.version_id,
        "is_recut": chosen.is_recut,
        "reported_from": chosen.reported_from,
        "reported_until": chosen.reported_until,
        "not_counted": [str(state) for state in NOT_COUNTED],
    }


async def as_of(connection: AsyncConnection) -> datetime:
    """Return the instant that the numbers of this unit of work stand for, on the database's clock."""
    instant: datetime = (await connection.execute(text("SELECT transaction_timestamp()"))).scalar_one()
    return instant
