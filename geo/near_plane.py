"""The cells nearest to a point in true metres, from their edges on a plane about a place close by.

PostGIS measures a geography twice: on the sphere it finds the closest point, edge by edge; on the spheroid it measures
how far that is. Seen from close by, the sphere is a plane: in its azimuthal equidistant projection about the middle of
a small square great circles are straight to far below a millimetre. So the closest points are found there for all edges
at once, and only they are measured on the spheroid. What comes out is PostGIS' answer to a ten-millionth of a metre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod

__all__ = ["NearCell", "NearPlane"]

_Point = tuple[float, float]
_Floats = NDArray[np.float64]

_SPHEROID: Final = Geod(ellps="WGS84")
#: Less than any radius of the earth, so that no angle is taken for too small. Units: metres.
_LEAST_RADIUS_M: Final = 6_335_000.0
#: What is so close to where it is rounded is left to the database. Units: metres; fifty times the greatest difference
#: ever seen.
_UNSURE_M: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class NearCell:
    """A cell that may be among the nearest. ``boundary``: edges of some kilometre at most. SRID: 4326."""

    code: str
    name_zh: str
    name_en: str
    boundary: Any


class NearPlane:
    """Cells seen from a place.

    Parameters
    ----------
    lon, lat
        Where the plane touches. Units: degrees. SRID: 4326.
    around_m
        How far from there points will lie at most. Units: metres.
    cells
        All that can be among the nearest of the points asked for; at least one.

    Notes
    -----
    Of each cell only those edges are kept that can be the closest one of such a point: a few, however many it has.
    """

    __slots__ = ("_along", "_cells", "_edges", "_first", "_lat", "_lon", "_per_length", "_starts")

    def __init__(self, lon: float, lat: float, around_m: float, cells: Sequence[NearCell]) -> None:
        self._lon, self._lat, self._cells = lon, math.radians(lat), tuple(cells)
        #: Start and end of every edge. Units: radians on the sphere, east and north of the middle.
        self._edges: list[tuple[_Point, _Point]] = []
        #: Number of each cell's first edge, and one past the last.
        self._first = [0]
        for cell in cells:
            edges: list[tuple[_Point, _Point]] = []
            for part in shapely.get_parts(cell.boundary):
                for ring in shapely.get_rings(part):
                    edges.extend(pairwise(self._project(*corner) for corner in shapely.get_coordinates(ring).tolist()))
            self._edges.extend(_close(edges, 2 * around_m / _LEAST_RADIUS_M))
            self._first.append(len(self._edges))
        # Shape of these three: (2, edges).
        self._starts, self._along, self._per_length = _arrays(self._edges)

    def nearest(self, lon: float, lat: float, wanted: int) -> tuple[dict[str, Any], ...] | None:
        """The nearest cells with their distances in metres to the decimetre, as events keep them.

        Parameters
        ----------
        lon, lat
            A point close to the middle and outside all cells. Units: degrees. SRID: 4326.

        Returns
        -------
        tuple of dict or None
            Keys in the order in which jsonb keeps them. None when a distance lies too close to where it is rounded.

        Notes
        -----
        Cost: some 20 µs for four cells.
        """
        share, gaps = _closest(self._project(lon, lat), self._starts, self._along, self._per_length)
        found = []
        for cell, first, end in zip(self._cells, self._first, self._first[1:], strict=False):
            edge = first + int(gaps[first:end].argmin())
            found.append((self._metres(lon, lat, edge, share.item(edge)), cell.code, cell))
        found.sort(key=itemgetter(0, 1))
        del found[wanted:]
        if any(abs(metres * 10 % 1 - 0.5) < _UNSURE_M * 10 for metres, _, _ in found):
            return None
        return tuple(
            {"code": code, "name_en": cell.name_en, "name_zh": cell.name_zh, "distance_m": round(metres, 1)}
            for metres, code, cell in found
        )

    def _metres(self, lon: float, lat: float, edge: int, share: float) -> float:
        """From a point to one on an edge, on the spheroid. Equal corners of two cells are equally far."""
        (x1, y1), (x2, y2) = self._edges[edge]
        x, y = x1 * (1 - share) + x2 * share, y1 * (1 - share) + y2 * share
        angle = math.hypot(x, y)
        # sin(a)/a, which is 1 at the middle itself.
        sine, cosine = (math.sin(angle) / angle if angle else 1.0), math.cos(angle)
        up, level = math.sin(self._lat), math.cos(self._lat)
        there = math.asin(cosine * up + y * sine * level)
        aside = math.atan2(x * sine, level * cosine - y * sine * up)
        return float(_SPHEROID.inv(lon, lat, self._lon + math.degrees(aside), math.degrees(there))[2])

    def _project(self, lon: float, lat: float) -> _Point:
        """Azimuthal equidistant on the sphere, written so that small distances keep all their digits."""
        there, aside = math.radians(lat), math.radians(lon - self._lon)
        level = math.cos(there)
        east = level * math.sin(aside)
        north = math.sin(there - self._lat) + 2 * math.sin(self._lat) * level * math.sin(aside / 2) ** 2
        sine = math.hypot(east, north)
        stretch = math.asin(sine) / sine if sine else 1.0
        return east * stretch, north * stretch


def _arrays(edges: Sequence[tuple[_Point, _Point]]) -> tuple[_Floats, _Floats, _Floats]:
    """Starts of edges, the ways along them, and these by the square of their length. Shape: (2, edges)."""
    points: _Floats = np.array(edges)
    starts = np.ascontiguousarray(points[:, 0].T)
    along = np.ascontiguousarray(points[:, 1].T) - starts
    squared = (along**2).sum(axis=0)
    return starts, along, along / np.where(squared > 0, squared, 1.0)


def _closest(point: _Point, starts: _Floats, along: _Floats, per_length: _Floats) -> tuple[_Floats, _Floats]:
    """Where on each edge, from its start (0) to its end (1), the point closest to another lies; the gap's square."""
    x, y = point[0] - starts[0], point[1] - starts[1]
    share: _Floats = x * per_length[0] + y * per_length[1]
    np.maximum(share, 0.0, out=share)
    np.minimum(share, 1.0, out=share)
    x -= share * along[0]
    y -= share * along[1]
    return share, x * x + y * y


def _close(edges: Sequence[tuple[_Point, _Point]], further: float) -> list[tuple[_Point, _Point]]:
    """Edges that are at most so much further from the middle than the closest one."""
    _, squares = _closest((0.0, 0.0), *_arrays(edges))
    gaps = np.sqrt(squares)
    return [edge for edge, gap in zip(edges, gaps, strict=True) if gap <= gaps.min() + further]
