"""Which cells can be the nearest ones to a point outside the grid: known by small squares, read once each.

To find the nearest cells by true metres takes PostGIS some 0.4 ms, most of it for finding out which cells come into
question. That is nearly the same for every point of a small square. Points outside come from the same places again and
again: just behind the border, or where somebody's map shows another system.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from psycopg.rows import tuple_row
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.uow import statement_unit

__all__ = ["NearSquares", "Square", "square_of", "squares_reader"]

log = structlog.get_logger("gridward.index")

WANTED: Final = 3
#: Cells looked at for a square; when all of them come into question there may be more, and nothing is kept.
_MOST_CELLS: Final = 24
#: Squares a degree has on each side: 50 m.
_PER_DEGREE: Final = 2000
#: From the middle of a square to its corner at most, with two centimetres for edges that are straight in degrees.
_HALF_DIAGONAL_M: Final = math.hypot(111_700, 111_700) / _PER_DEGREE / 2 + 0.05
#: Beyond this the search itself is content with less than the truth (alembic/sql/0014_nearest_cells.sql).
_FARTHEST_M: Final = 20_000.0
_MOST_SQUARES: Final = 100_000
_MOST_ASKED: Final = 200
_AT_ONCE: Final = 20
#: After a failed look. Units: seconds.
_PAUSE_S: Final = 1.0

Square = tuple[int, int]
Read = Callable[[int, Sequence[Square]], Awaitable[dict[Square, tuple[int, ...]]]]

_NEAR = """
SELECT p.place, n.id, n.distance_m
  FROM unnest(%(lons)s::float8[], %(lats)s::float8[]) WITH ORDINALITY AS p (lon, lat, place)
  CROSS JOIN LATERAL geo.nearest_cells(%(version)s, ST_SetSRID(ST_MakePoint(p.lon, p.lat), 4326), %(most)s) AS n
 ORDER BY p.place, n.distance_m
"""


def square_of(lon: float, lat: float) -> Square:
    """The square that a point lies in. SRID: 4326."""
    return math.floor(lon * _PER_DEGREE), math.floor(lat * _PER_DEGREE)


@dataclass(slots=True)
class NearSquares:
    """Candidates by square, of one drawing at a time.

    Parameters
    ----------
    read
        Reads the candidates of some squares; a square that nothing can be said of is answered with nothing.
    """

    read: Read
    _of: tuple[int, int] = (0, 0)
    _known: dict[Square, tuple[int, ...]] = field(default_factory=dict)
    _asked: dict[Square, None] = field(default_factory=dict)
    _reading: asyncio.Task[None] | None = None

    def candidates(self, version: tuple[int, int], lon: float, lat: float) -> tuple[int, ...] | None:
        """Ids of cells among which the nearest three are; None when that is not known, or not yet.

        Parameters
        ----------
        version
            Id and revision of the drawing.
        lon, lat
            Units: degrees. SRID: 4326.
        """
        if version != self._of:
            self._of, self._known, self._asked = version, {}, {}
        square = square_of(lon, lat)
        found = self._known.get(square)
        if found is None and len(self._asked) < _MOST_ASKED:
            self._asked[square] = None
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(), name="near-squares")
        return found or None

    async def stop(self) -> None:
        """End what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        while self._asked:
            version, some = self._of, list(self._asked)[:_AT_ONCE]
            try:
                found = await self.read(version[0], some)
            except Exception as error:
                # Whoever asks is answered by the search itself; the next point tries again.
                log.warning("near_squares_not_read", error=type(error).__name__)
                self._asked.clear()
                await asyncio.sleep(_PAUSE_S)
                return
            if version != self._of:
                continue
            if len(self._known) >= _MOST_SQUARES:
                self._known.clear()
            for square in some:
                self._known[square] = found.get(square, ())
                self._asked.pop(square, None)


def squares_reader(engine: AsyncEngine) -> Read:
    """Read candidates with the search that reports outside are answered by."""

    async def read(version_id: int, squares: Sequence[Square]) -> dict[Square, tuple[int, ...]]:
        values = {
            "lons": [(square[0] + 0.5) / _PER_DEGREE for square in squares],
            "lats": [(square[1] + 0.5) / _PER_DEGREE for square in squares],
            "version": version_id,
            "most": _MOST_CELLS,
        }
        async with statement_unit(engine) as unit, (await unit.driver()).cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(_NEAR, values)
            rows = await cursor.fetchall()
        near: dict[Square, list[tuple[int, float]]] = {}
        for place, cell_id, distance_m in rows:
            near.setdefault(squares[place - 1], []).append((cell_id, distance_m))
        return {square: _among(cells) for square, cells in near.items()}

    return read


def _among(cells: Sequence[tuple[int, float]]) -> tuple[int, ...]:
    """Those of the cells near a square's middle that can be among the nearest of any of its points.

    Notes
    -----
    With d the distance of the third nearest cell from the middle and r that of the corners: the third nearest of a
    point is at most d + r away, so at most d + 2 r from the middle.
    """
    if cells[-1][1] > _FARTHEST_M:
        return ()
    reach = cells[min(WANTED, len(cells)) - 1][1] + 2 * _HALF_DIAGONAL_M
    if len(cells) == _MOST_CELLS and cells[-1][1] <= reach:
        return ()
    return tuple(cell_id for cell_id, distance_m in cells if distance_m <= reach)
