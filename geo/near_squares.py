"""The cells nearest to a point outside the grid: the candidates known by small squares, read once each.

To find the nearest cells by true metres takes PostGIS some 0.4 ms, most of it for finding out which cells come into
question. That is nearly the same for every point of a small square. Points outside come from the same places again and
again: just behind the border, or where somebody's map shows another system. Among the candidates of a square
`geo.near_plane` decides.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import shapely
import structlog
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.near_plane import NearCell, NearPlane
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
#: Each holds some edges of its candidates, a few kilobytes.
_MOST_SQUARES: Final = 4_096
_MOST_ASKED: Final = 200
_AT_ONCE: Final = 20
#: After a failed look. Units: seconds.
_PAUSE_S: Final = 1.0

_UNKNOWN: Final = object()

Square = tuple[int, int]
Read = Callable[[int, Sequence[Square]], Awaitable[dict[Square, NearPlane]]]

_NEAR = """
SELECT p.place, n.code, n.name_zh, n.name_en, n.distance_m, ST_AsBinary(ST_Segmentize(c.boundary, 0.01)) AS boundary
  FROM unnest(%(lons)s::float8[], %(lats)s::float8[]) WITH ORDINALITY AS p (lon, lat, place)
  CROSS JOIN LATERAL geo.nearest_cells(%(version)s, ST_SetSRID(ST_MakePoint(p.lon, p.lat), 4326), %(most)s) AS n
  JOIN geo.cell AS c ON c.id = n.id
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
    #: None: nothing can be said of that square.
    _known: dict[Square, NearPlane | None] = field(default_factory=dict)
    _asked: dict[Square, None] = field(default_factory=dict)
    _reading: asyncio.Task[None] | None = None

    def nearest(self, version: tuple[int, int], lon: float, lat: float) -> tuple[dict[str, Any], ...] | None:
        """The three nearest cells as `geo.near_plane` writes them; None when that is not known, or not yet.

        Parameters
        ----------
        version
            Id and revision of the drawing.
        lon, lat
            A point outside all cells. Units: degrees. SRID: 4326.
        """
        if version != self._of:
            self._of, self._known, self._asked = version, {}, {}
        square = square_of(lon, lat)
        found = self._known.get(square, _UNKNOWN)
        if found is not _UNKNOWN:
            return found.nearest(lon, lat, WANTED) if isinstance(found, NearPlane) else None
        if len(self._asked) < _MOST_ASKED:
            self._asked[square] = None
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(), name="near-squares")
        return None

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
                self._known[square] = found.get(square)
                self._asked.pop(square, None)


def squares_reader(engine: AsyncEngine) -> Read:
    """Read candidates with the search that reports outside are answered by until their square is known."""

    async def read(version_id: int, squares: Sequence[Square]) -> dict[Square, NearPlane]:
        middles = [((square[0] + 0.5) / _PER_DEGREE, (square[1] + 0.5) / _PER_DEGREE) for square in squares]
        values = {
            "lons": [lon for lon, _ in middles],
            "lats": [lat for _, lat in middles],
            "version": version_id,
            "most": _MOST_CELLS,
        }
        async with statement_unit(engine) as unit, (await unit.driver()).cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_NEAR, values)
            rows = await cursor.fetchall()
        near: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            near.setdefault(row["place"] - 1, []).append(row)
        planes = {place: _plane(*middles[place], _among(found)) for place, found in near.items()}
        return {squares[place]: plane for place, plane in planes.items() if plane is not None}

    return read


def _plane(lon: float, lat: float, rows: Sequence[Mapping[str, Any]]) -> NearPlane | None:
    cells = [
        NearCell(
            code=row["code"],
            name_zh=row["name_zh"],
            name_en=row["name_en"],
            boundary=shapely.from_wkb(row["boundary"]),
        )
        for row in rows
    ]
    return NearPlane(lon, lat, _HALF_DIAGONAL_M, cells) if cells else None


def _among(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Those of the cells near a square's middle that can be among the nearest of any of its points.

    Notes
    -----
    With d the distance of the third nearest cell from the middle and r that of the corners: the third nearest of a
    point is at most d + r away, so at most d + 2 r from the middle.
    """
    if rows[-1]["distance_m"] > _FARTHEST_M:
        return ()
    reach = rows[min(WANTED, len(rows)) - 1]["distance_m"] + 2 * _HALF_DIAGONAL_M
    if len(rows) == _MOST_CELLS and rows[-1]["distance_m"] <= reach:
        return ()
    return [row for row in rows if row["distance_m"] <= reach]
