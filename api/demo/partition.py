"""Planar subdivision: cut polygons into blocks so that every neighbour keeps the same vertices.

A real block map is not a set of polygons that happen to touch: its edges are shared. So the generator never cuts one
polygon alone. It keeps one table of points and, for each face, the ids of its corners; a point put on an edge is put
into both faces of that edge. Tiling without gap or overlap then holds by construction, and survives bending the
streets and rounding to the integer grid, because both move points and never change who shares them.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from itertools import pairwise

import shapely
from shapely.geometry import Polygon

Point = tuple[float, float]
Edge = tuple[int, int]

_SNAP_M = 34.0
_MIN_CORNER_DEG = 38.0


def edge_key(a: int, b: int) -> Edge:
    """Return the undirected name of the edge between two point ids."""
    return (a, b) if a < b else (b, a)


@dataclass(slots=True, kw_only=True)
class _Cut:
    """One candidate street through a face: where it enters, where it leaves, how it bends."""

    entry: tuple[int, float]
    leave: tuple[int, float]
    bend: tuple[Point, ...]
    score: float


@dataclass(slots=True, kw_only=True)
class Partition:
    """Points, faces and the street of every edge.

    Attributes
    ----------
    points
        Coordinates by id. Units: metres in the local frame.
    faces
        Corner ids of each face, counter-clockwise.
    street_of
        Street id of every undirected edge.
    street_level
        Level of the cut that made a street: 1 around a subdistrict, 2 between communities, 3 between blocks.
    """

    rng: random.Random
    points: list[Point] = field(default_factory=list)
    faces: dict[int, list[int]] = field(default_factory=dict)
    street_of: dict[Edge, int] = field(default_factory=dict)
    street_level: dict[int, int] = field(default_factory=dict)
    _face_of: dict[Edge, int] = field(default_factory=dict)

    def add_face(self, ids: list[int]) -> int:
        """Add one outline; each of its sides becomes a street of level 1 unless a neighbour already named it."""
        face = len(self.faces)
        self.faces[face] = ids
        for a, b in zip(ids, ids[1:] + ids[:1], strict=True):
            self._face_of[(a, b)] = face
            if edge_key(a, b) not in self.street_of:
                self.street_of[edge_key(a, b)] = self._new_street(1)
        return face

    def polygon(self, face: int) -> Polygon:
        """Return the face as a polygon in the local frame."""
        return Polygon([self.points[i] for i in self.faces[face]])

    def divide(self, face: int, weights: list[int], level: int) -> list[int]:
        """Cut a face into as many parts as there are weights, sized about in proportion.

        Returns
        -------
        list of int
            Face ids in the order of `weights`.
        """
        if len(weights) == 1:
            return [face]
        half = self._balance(weights)
        share = sum(weights[:half]) / sum(weights)
        left, right = self._cut(face, share, level)
        return self.divide(left, weights[:half], level) + self.divide(right, weights[half:], level)

    def densify(self, step_m: float) -> None:
        """Put points on every long edge, at most about `step_m` apart, so that streets can bend."""
        for a, b in list(self.street_of):
            (ax, ay), (bx, by) = self.points[a], self.points[b]
            parts = round(math.hypot(bx - ax, by - ay) / step_m)
            last = a
            for k in range(1, parts):
                t = k / parts
                last = self._insert(last, b, (ax + (bx - ax) * t, ay + (by - ay) * t))

    def _new_street(self, level: int) -> int:
        street = len(self.street_level)
        self.street_level[street] = level
        return street

    def _balance(self, weights: list[int]) -> int:
        total = sum(weights)
        best = min(range(1, len(weights)), key=lambda k: abs(sum(weights[:k]) - total / 2))
        if len(weights) > 4:
            best += self.rng.choice((-1, 0, 0, 1))
        return min(max(best, 1), len(weights) - 1)

    def _insert(self, a: int, b: int, point: Point) -> int:
        """Put a point on the edge a–b, in both faces that share it, and keep the street's name on both halves."""
        new = len(self.points)
        self.points.append(point)
        for start, end in ((a, b), (b, a)):
            face = self._face_of.pop((start, end), None)
            if face is None:
                continue
            ids = self.faces[face]
            ids.insert(ids.index(start) + 1, new)
            self._face_of[(start, new)] = face
            self._face_of[(new, end)] = face
        street = self.street_of.pop(edge_key(a, b))
        self.street_of[edge_key(a, new)] = street
        self.street_of[edge_key(new, b)] = street
        return new

    def _cut(self, face: int, share: float, level: int) -> tuple[int, int]:
        best: _Cut | None = None
        corners = [self.points[i] for i in self.faces[face]]
        box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(Polygon(corners))).tolist()
        sides = [(box[k + 1][0] - box[k][0], box[k + 1][1] - box[k][1]) for k in range(2)]
        for _ in range(48):
            best = self._candidate(corners, sides, share, best.score if best else math.inf) or best
        if best is None:
            raise RuntimeError(f"no street divides face {face} at {share:.2f}")
        return self._apply(face, best, level)

    def _candidate(self, corners: list[Point], sides: list[Point], share: float, to_beat: float) -> _Cut | None:
        rng = self.rng
        area = shoelace(corners)
        lengths = [math.hypot(*s) for s in sides]
        long_side = sides[0] if lengths[0] >= lengths[1] else sides[1]
        # The street crosses the long side nearly square; a nearly square face may be cut either way.
        square = min(lengths) / max(lengths) > 0.8 and rng.random() < 0.4
        axis = math.atan2(long_side[1], long_side[0]) + (math.pi / 2 if square else 0) + rng.gauss(0, 0.07)
        normal = (math.cos(axis), math.sin(axis))
        wanted = area * min(max(share * rng.uniform(0.88, 1.14), 0.2), 0.8)
        offset = _offset_for_area(corners, normal, wanted)
        crossings = _crossings(corners, normal, offset)
        if len(crossings) != 2:
            return None
        entry, leave = (self._snap(corners, c) for c in crossings)
        start, end = _at(corners, entry), _at(corners, leave)
        bend = _bend(rng, start, end)
        left, right = _rings(corners, entry, leave, bend)
        if len(left) < 4 or len(right) < 4:
            return None
        error = abs(shoelace(left) / area - share)
        corner = min(_sharpest(left), _sharpest(right))
        if error > 0.16 or corner < _MIN_CORNER_DEG:
            return None
        thin = _thinness(left) + _thinness(right)
        score = thin + error * 1.5 + max(0.0, 75 - corner) / 60
        if score >= to_beat:
            return None
        # Validity costs most and is almost always given, so it is looked at last.
        if abs(shoelace(left) + shoelace(right) - area) > 1 or not (Polygon(left).is_valid and Polygon(right).is_valid):
            return None
        return _Cut(entry=entry, leave=leave, bend=bend, score=score)

    @staticmethod
    def _snap(corners: list[Point], where: tuple[int, float]) -> tuple[int, float]:
        """Move a crossing onto a near corner: junctions a few metres apart look like mistakes, crossroads do not."""
        k, t = where
        a, b = corners[k], corners[(k + 1) % len(corners)]
        length = math.hypot(b[0] - a[0], b[1] - a[1])
        if t * length < _SNAP_M:
            return (k, 0.0)
        if (1 - t) * length < _SNAP_M:
            return ((k + 1) % len(corners), 0.0)
        return where

    def _apply(self, face: int, cut: _Cut, level: int) -> tuple[int, int]:
        ids = list(self.faces[face])
        ends: list[int] = []
        for k, t in (cut.entry, cut.leave):
            a, b = ids[k], ids[(k + 1) % len(ids)]
            if t == 0.0:
                ends.append(a)
            else:
                (ax, ay), (bx, by) = self.points[a], self.points[b]
                ends.append(self._insert(a, b, (ax + (bx - ax) * t, ay + (by - ay) * t)))
        middle = list(range(len(self.points), len(self.points) + len(cut.bend)))
        self.points.extend(cut.bend)
        ring = self.faces[face]
        i, j = ring.index(ends[0]), ring.index(ends[1])
        there = ring[i : j + 1] if i < j else ring[i:] + ring[: j + 1]
        back = ring[j : i + 1] if j < i else ring[j:] + ring[: i + 1]
        left, right = there + middle[::-1], back + middle
        other = len(self.faces)
        self.faces[face], self.faces[other] = left, right
        street = self._new_street(level)
        chain = [ends[0], *middle, ends[1]]
        for a, b in pairwise(chain):
            self.street_of[edge_key(a, b)] = street
        for name, part in ((face, left), (other, right)):
            for a, b in zip(part, part[1:] + part[:1], strict=True):
                self._face_of[(a, b)] = name
        return face, other


def _clip(corners: list[Point], normal: Point, offset: float) -> list[Point]:
    kept: list[Point] = []
    for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
        da = a[0] * normal[0] + a[1] * normal[1] - offset
        db = b[0] * normal[0] + b[1] * normal[1] - offset
        if da <= 0:
            kept.append(a)
        if (da < 0 < db) or (db < 0 < da):
            t = da / (da - db)
            kept.append((a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t))
    return kept


def shoelace(corners: list[Point]) -> float:
    """Return the signed area of a ring, positive counter-clockwise. Units: those of the points, squared."""
    rest = corners[1:] + corners[:1]
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, rest, strict=True)) / 2


def _thinness(corners: list[Point]) -> float:
    """Zero for a circle, towards one for a sliver."""
    around = sum(math.dist(a, b) for a, b in zip(corners, corners[1:] + corners[:1], strict=True))
    return 1 - 4 * math.pi * shoelace(corners) / around**2


def _offset_for_area(corners: list[Point], normal: Point, wanted: float) -> float:
    reach = [p[0] * normal[0] + p[1] * normal[1] for p in corners]
    low, high = min(reach), max(reach)
    for _ in range(14):
        middle = (low + high) / 2
        if shoelace(_clip(corners, normal, middle)) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _crossings(corners: list[Point], normal: Point, offset: float) -> list[tuple[int, float]]:
    """Where the line meets the ring, in the order that leaves the clipped side on the left of the cut."""
    found: list[tuple[bool, int, float]] = []
    for k, (a, b) in enumerate(zip(corners, corners[1:] + corners[:1], strict=True)):
        da = a[0] * normal[0] + a[1] * normal[1] - offset
        db = b[0] * normal[0] + b[1] * normal[1] - offset
        if (da < 0) != (db < 0):
            found.append((da < 0, k, da / (da - db)))
    # Entering the near side first makes entry→leave along the ring the near part, whose share was asked for.
    found.sort()
    return [(k, t) for _, k, t in found]


def _at(corners: list[Point], where: tuple[int, float]) -> Point:
    k, t = where
    a, b = corners[k], corners[(k + 1) % len(corners)]
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)


def _bend(rng: random.Random, start: Point, end: Point) -> tuple[Point, ...]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    if length < 260:
        return ()
    # Long streets change direction a little once or twice, as streets that follow old lanes do.
    count = 1 if length < 650 else 2
    turns: list[Point] = []
    for k in range(count):
        t = (k + rng.uniform(0.35, 0.65)) / count
        side = rng.gauss(0, 0.022) * length
        turns.append((start[0] + dx * t - dy / length * side, start[1] + dy * t + dx / length * side))
    return tuple(turns)


def _rings(
    corners: list[Point], entry: tuple[int, float], leave: tuple[int, float], bend: tuple[Point, ...]
) -> tuple[list[Point], list[Point]]:
    start, end = _at(corners, entry), _at(corners, leave)
    return (
        _walk(corners, entry, leave, start, end) + list(bend[::-1]),
        _walk(corners, leave, entry, end, start) + list(bend),
    )


def _walk(
    corners: list[Point], first: tuple[int, float], last: tuple[int, float], start: Point, end: Point
) -> list[Point]:
    ring = [start]
    k = (first[0] + 1) % len(corners)
    for _ in range(len(corners)):
        if k == (last[0] + 1) % len(corners):
            break
        if not (last[1] == 0.0 and k == last[0]):
            ring.append(corners[k])
        k = (k + 1) % len(corners)
    return [*ring, end]


def _sharpest(ring: list[Point]) -> float:
    sharpest = 180.0
    for a, b, c in zip(ring[-1:] + ring[:-1], ring, ring[1:] + ring[:1], strict=True):
        u, v = (a[0] - b[0], a[1] - b[1]), (c[0] - b[0], c[1] - b[1])
        size = math.hypot(*u) * math.hypot(*v)
        if size == 0:
            return 0.0
        cosine = max(-1.0, min(1.0, (u[0] * v[0] + u[1] * v[1]) / size))
        sharpest = min(sharpest, math.degrees(math.acos(cosine)))
    return sharpest
