"""Judge every point on which SQL and the index differ, in Python's unbounded integers.

PostGIS compares in doubles: a point whose decimals lie exactly on a slanting edge may fall on either side of it, or
into neither cell. Such an exact decimal tie is the only excuse for a difference, and the index must then have the
answer that the tie rule gives in exact arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely

from geo.coordinates import GRID_PER_DEGREE
from geo.lookup import CellBoundary

Vertex = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """One point on which they differ. ``edge`` is the edge it lies on exactly, None if there is none."""

    lon: float
    lat: float
    sql: str | None
    index: str | None
    exact: str | None
    edge: tuple[Vertex, Vertex] | None

    @property
    def is_proven(self) -> bool:
        """Whether the point is an exact decimal tie and the index has the exact answer."""
        return self.edge is not None and self.index == self.exact

    def __str__(self) -> str:
        where = f"({self.lon:.7f}, {self.lat:.7f})"
        return f"{where} on {self.edge}: sql {self.sql}, index {self.index}, exact {self.exact}"


def judge(
    cells: Sequence[CellBoundary],
    points: npt.NDArray[np.int64],
    sql: Sequence[str | None],
    index: Sequence[str | None],
) -> list[Tie]:
    """Decide each difference by brute force over the cells whose rectangle holds the point. Units: grid units."""
    tree = shapely.STRtree([cell.boundary for cell in cells])
    half = 0.5 / GRID_PER_DEGREE
    ties: list[Tie] = []
    for (x, y), by_sql, by_index in zip(points.tolist(), sql, index, strict=True):
        lon, lat = x / GRID_PER_DEGREE, y / GRID_PER_DEGREE
        edge: tuple[Vertex, Vertex] | None = None
        covering: list[CellBoundary] = []
        for number in tree.query(shapely.box(lon - half, lat - half, lon + half, lat + half)):
            is_inside, touched = _look(cells[number], x, y)
            edge = edge or touched
            if is_inside or touched:
                covering.append(cells[number])
        best = min(covering, key=lambda cell: (-cell.level, cell.code), default=None)
        exact = best.code if best else None
        ties.append(Tie(lon=lon, lat=lat, sql=by_sql, index=by_index, exact=exact, edge=edge))
    return ties


def _look(cell: CellBoundary, x: int, y: int) -> tuple[bool, tuple[Vertex, Vertex] | None]:
    """Whether the point is inside by the even-odd rule, and an edge on which it lies exactly."""
    is_inside = False
    for ring in shapely.get_rings(shapely.get_parts(cell.boundary)):
        vertices = [(round(lon * GRID_PER_DEGREE), round(lat * GRID_PER_DEGREE)) for lon, lat in ring.coords]
        for (ax, ay), (bx, by) in pairwise(vertices):
            turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
            if turn == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                return True, ((ax, ay), (bx, by))
            if (ay > y) != (by > y) and (turn > 0) == (by > ay):
                is_inside = not is_inside
    return is_inside, None
