"""Vertices on other cells' edges: where one boundary gets a new corner, every boundary that runs there gets it too."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon

from geo.redraw.patch import Patch, Point

NEAR = 0.75
"""An edge that passes a grid point this closely passes through it. Units: grid. Half the diagonal of a grid square is
0.71: a crossing rounded to the grid is never further from its edge."""


def insert_everywhere(patch: Patch, points: Collection[Point]) -> None:
    """Give every boundary of the patch that passes through one of the points a vertex there.

    All cells along an edge get the same vertices, so what was shared stays shared, and the parents stay the exact
    union of their children; a boundary moves by less than a grid unit (11 mm) beside such a point.
    """
    for code, cell in list(patch.cells.items()):
        shape = insert(cell.shape, points, near=NEAR)
        if shape is not cell.shape:
            patch.reshape(code, shape)


def insert(shape: MultiPolygon, points: Collection[Point], *, near: float = 0.0) -> MultiPolygon:
    """Put those points into a shape's edges that lie on them; the same object comes back when there are none.

    Parameters
    ----------
    near
        Units: grid. How far off an edge a point may lie; 0 takes only what is exactly on it.
    """
    if not points:
        return shape
    west, south, east, north = shape.bounds
    chosen = np.array(
        sorted(p for p in points if west - 1 <= p[0] <= east + 1 and south - 1 <= p[1] <= north + 1), dtype=np.int64
    ).reshape(-1, 2)
    if not len(chosen):
        return shape
    is_changed = False
    polygons = []
    for polygon in shapely.get_parts(shape):
        loops = []
        for ring in (polygon.exterior, *polygon.interiors):
            before = shapely.get_coordinates(ring).astype(np.int64)
            after = _insert_into_ring(before, chosen, near)
            is_changed |= len(after) != len(before)
            loops.append(after)
        polygons.append(Polygon(loops[0], loops[1:]))
    return MultiPolygon(polygons) if is_changed else shape


def _insert_into_ring(ring: npt.NDArray[np.int64], points: npt.NDArray[np.int64], near: float) -> npt.NDArray[np.int64]:
    begin, along = ring[:-1], ring[1:] - ring[:-1]
    length = np.hypot(along[:, 0], along[:, 1])
    found: dict[int, list[tuple[int, Point]]] = {}
    for point in points:
        there = point - begin
        cross = along[:, 0] * there[:, 1] - along[:, 1] * there[:, 0]
        dot = along[:, 0] * there[:, 0] + along[:, 1] * there[:, 1]
        hit = (np.abs(cross) <= near * length) & (dot > 0) & (dot < along[:, 0] ** 2 + along[:, 1] ** 2)
        if not hit.any() or (begin == point).all(axis=1).any():
            continue
        for edge in np.flatnonzero(hit).tolist():
            found.setdefault(edge, []).append((int(dot[edge]), (int(point[0]), int(point[1]))))
    if not found:
        return ring
    pieces: list[Sequence[Point]] = []
    for edge in range(len(begin)):
        pieces.append([(int(begin[edge, 0]), int(begin[edge, 1]))])
        pieces.append([point for _, point in sorted(found.get(edge, []))])
    pieces.append([(int(ring[-1, 0]), int(ring[-1, 1]))])
    return np.array([point for piece in pieces for point in piece], dtype=np.int64)
