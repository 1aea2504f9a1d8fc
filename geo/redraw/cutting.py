"""Cutting a region by a line and joining regions; the only coordinates computed are crossings, rounded to the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import LineString, MultiLineString, MultiPolygon, Polygon
from shapely.geometry import Point as ShapelyPoint

from geo.errors import BadInputError
from geo.redraw.patch import Point, as_multi, edges, rings
from geo.redraw.vertices import NEAR, insert


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A region in two: what lies left of the line as it was drawn, and right. ``nodes``: where it met the outline."""

    left: MultiPolygon
    right: MultiPolygon
    nodes: frozenset[Point]


@dataclass(frozen=True, slots=True, order=True)
class _Stop:
    """A place on the line: which segment, how far along it, the grid point, and whether the outline passes there."""

    segment: int
    along: Fraction
    point: Point
    is_outline: bool


def cut(region: MultiPolygon, line: Sequence[Point], *, pointer: str = "/line") -> Cut:
    """Cut a region in two.

    Boundary: where the line crosses the outline a vertex is made, on the nearest grid point; the caller gives it to
    all other cells that have the same edge (`insert_everywhere`).

    Raises
    ------
    BadInputError
        ``geo.redraw_line_misses``, ``geo.redraw_line_ends_inside`` (with the end), ``geo.redraw_line_crosses_itself``,
        ``geo.redraw_line_ambiguous`` when a piece would lie on both sides.
    """
    stops = _stops(region, line)
    nodes = frozenset(stop.point for stop in stops if stop.is_outline)
    outline = insert(region, nodes, near=NEAR)
    chords = _chords(outline, _merged(stops), len(line), pointer)
    if not chords:
        raise BadInputError("geo.redraw_line_misses", pointer=pointer)
    drawn = MultiLineString([LineString(chord) for chord in chords])
    if not drawn.is_simple:
        raise BadInputError("geo.redraw_line_crosses_itself", pointer=pointer)
    left, right = _sides(outline, chords, pointer)
    return Cut(left=left, right=right, nodes=nodes)


def join(shapes: Sequence[MultiPolygon]) -> MultiPolygon:
    """Join regions that share edges; every vertex of every one of them on the common outline is kept."""
    points = {(int(x), int(y)) for shape in shapes for ring in rings(shape) for x, y in ring.tolist()}
    matched = np.array([insert(shape, points) for shape in shapes], dtype=object)
    if bool(shapely.coverage_is_valid(matched)):
        return as_multi(shapely.coverage_union_all(matched))
    # Neighbours that overlap or almost meet: somebody's faulty import. GEOS rounds to the grid for us.
    return as_multi(shapely.union_all(matched, grid_size=1.0))


def shared_length(first: MultiPolygon, second: MultiPolygon) -> float:
    """Return the length of the common boundary. Units: grid."""
    return float(shapely.length(shapely.intersection(first.boundary, second.boundary)))


def _stops(region: MultiPolygon, line: Sequence[Point]) -> list[_Stop]:
    sides = edges(region)
    stops = [_Stop(at, Fraction(0), point, False) for at, point in enumerate(line)]
    for at, (start, end) in enumerate(pairwise(line)):
        low = np.minimum(start, end) - 1
        high = np.maximum(start, end) + 1
        near = (
            (np.minimum(sides[:, 0], sides[:, 2]) <= high[0])
            & (np.maximum(sides[:, 0], sides[:, 2]) >= low[0])
            & (np.minimum(sides[:, 1], sides[:, 3]) <= high[1])
            & (np.maximum(sides[:, 1], sides[:, 3]) >= low[1])
        )
        for x0, y0, x1, y1 in sides[near].tolist():
            stops += _meet(at, start, end, (x0, y0), (x1, y1))
    return sorted(stops)


def _meet(at: int, start: Point, end: Point, u: Point, v: Point) -> list[_Stop]:
    """Where a segment of the line meets an edge: crossings, and ends of either that lie on the other."""
    found = []
    for corner in (u, v):
        along = _on(corner, start, end)
        if along is not None:
            found.append(_Stop(at, along, corner, True))
    for step, corner in ((0, start), (1, end)):
        if _on(corner, u, v) is not None:
            found.append(_Stop(at + step, Fraction(0), corner, True))
    d = (end[0] - start[0]) * (v[1] - u[1]) - (end[1] - start[1]) * (v[0] - u[0])
    if d == 0:
        return found
    t = Fraction((u[0] - start[0]) * (v[1] - u[1]) - (u[1] - start[1]) * (v[0] - u[0]), d)
    w = Fraction((u[0] - start[0]) * (end[1] - start[1]) - (u[1] - start[1]) * (end[0] - start[0]), d)
    if 0 < t < 1 and 0 < w < 1:
        crossing = (round(start[0] + t * (end[0] - start[0])), round(start[1] + t * (end[1] - start[1])))
        found.append(_Stop(at, t, crossing, True))
    return found


def _on(point: Point, start: Point, end: Point) -> Fraction | None:
    """How far along a segment a point lies that the segment passes through (within `NEAR`), or None."""
    ax, ay = end[0] - start[0], end[1] - start[1]
    px, py = point[0] - start[0], point[1] - start[1]
    square = ax * ax + ay * ay
    if square == 0:
        return Fraction(0) if point == start else None
    dot, cross = ax * px + ay * py, ax * py - ay * px
    if not 0 <= dot <= square or 16 * cross * cross > 9 * square:
        return None
    return Fraction(dot, square)


def _merged(stops: Sequence[_Stop]) -> list[tuple[Point, bool]]:
    """The line as grid points in order, each once where it stands, with whether the outline passes there."""
    found: list[tuple[Point, bool]] = []
    for stop in stops:
        if found and found[-1][0] == stop.point:
            found[-1] = (stop.point, found[-1][1] or stop.is_outline)
        else:
            found.append((stop.point, stop.is_outline))
    return found


def _chords(outline: MultiPolygon, path: Sequence[tuple[Point, bool]], count: int, pointer: str) -> list[list[Point]]:
    """The runs of the line inside the region, each from outline to outline."""
    sides = {(x0, y0, x1, y1) for x0, y0, x1, y1 in edges(outline).tolist()}
    shapely.prepare(outline)
    chords: list[list[Point]] = []
    running: list[Point] = []
    for step, ((here, here_on), (there, there_on)) in enumerate(pairwise(path)):
        middle = ShapelyPoint((here[0] + there[0]) / 2, (here[1] + there[1]) / 2)
        is_edge = (*here, *there) in sides or (*there, *here) in sides
        if is_edge or not outline.contains(middle):
            running = []
            continue
        if not running:
            if not here_on:
                raise _ends_inside(here, f"{pointer}/0")
            running = [here]
        running.append(there)
        if there_on:
            chords.append(running)
            running = []
        elif step == len(path) - 2:
            raise _ends_inside(there, f"{pointer}/{count - 1}")
    return chords


def _ends_inside(point: Point, pointer: str) -> BadInputError:
    # The caller knows the origin and turns the grid point into degrees.
    return BadInputError("geo.redraw_line_ends_inside", pointer=pointer, grid=point)


def _sides(outline: MultiPolygon, chords: Sequence[Sequence[Point]], pointer: str) -> tuple[MultiPolygon, MultiPolygon]:
    drawn = [(*a, *b) for chord in chords for a, b in pairwise(chord)]
    ways = set(drawn)
    segments = np.concatenate((edges(outline), np.array(drawn, dtype=np.int64)))
    lines = [LineString(pair) for pair in segments.reshape(-1, 2, 2).astype(np.float64)]
    faces = [
        face
        for face in shapely.get_parts(shapely.polygonize(lines))
        if outline.contains(shapely.point_on_surface(face))
    ]
    sorted_out: tuple[list[Polygon], list[Polygon]] = ([], [])
    for face in faces:
        own = edges(as_multi(face)).tolist()
        is_left = any((x0, y0, x1, y1) in ways for x0, y0, x1, y1 in own)
        is_right = any((x1, y1, x0, y0) in ways for x0, y0, x1, y1 in own)
        if is_left and is_right:
            raise BadInputError("geo.redraw_line_ambiguous", pointer=pointer)
        if not is_left and not is_right:
            is_left = _is_left(face, np.array(drawn, dtype=np.float64))
        sorted_out[0 if is_left else 1].append(face)
    left, right = sorted_out
    if not left or not right:
        raise BadInputError("geo.redraw_line_misses", pointer=pointer)
    return join([as_multi(face) for face in left]), join([as_multi(face) for face in right])


def _is_left(face: Polygon, drawn: npt.NDArray[np.float64]) -> bool:
    """On which side a part lies that the line does not touch: that of the nearest piece of the line."""
    inside = shapely.point_on_surface(face)
    nearest = drawn[int(np.argmin(shapely.distance(shapely.linestrings(drawn.reshape(-1, 2, 2)), inside)))]
    x0, y0, x1, y1 = nearest.tolist()
    return bool((x1 - x0) * (inside.y - y0) - (y1 - y0) * (inside.x - x0) > 0)
