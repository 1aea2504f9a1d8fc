"""The demo district's map: cells of three levels that tile exactly, and the streets between them.

Examples
--------
>>> district = build_district(seed=410100)
>>> [len([c for c in district.cells if c.level == level]) for level in (1, 2, 3)]
[5, 61, 228]
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pyproj import Geod
from shapely.geometry import Polygon

from api.demo.naming import name_blocks, name_communities, name_streets
from api.demo.partition import Edge, Partition
from api.demo.places import ORIGIN, SPOTS, SUBDISTRICTS, Subdistrict

DEFAULT_SEED = 410_100
SCALE = 10_000_000
"""Coordinates are multiples of 1e-7 degree, about a centimetre."""

GridPoint = tuple[int, int]
"""`(lon, lat)` in units of 1e-7 degree. SRID: 4326."""

_GEOD = Geod(ellps="WGS84")
_M_PER_DEG_LAT = 110_940.0
_M_PER_DEG_LON = 111_413.0 * math.cos(math.radians(ORIGIN[1]))
_ROW = 9_000  # about 100 m
# (wavelength m, amplitude m): long waves turn whole quarters, short ones make a street waver.
_WAVES = ((2600.0, 34.0), (1100.0, 13.0), (520.0, 5.0), (240.0, 1.6))


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCell:
    """One cell of the demo.

    Attributes
    ----------
    ring
        Corners, counter-clockwise, not closed. Units: 1e-7 degree. SRID: 4326.
    path
        Codes from level 1 to the cell itself.
    label
        A point well inside. Units: 1e-7 degree.
    area_m2
        Units: square metres on the ellipsoid.
    """

    level: int
    code: str
    name_zh: str
    name_en: str
    kind: str
    parent: str | None
    path: tuple[str, ...]
    population: int
    households: int
    ring: tuple[GridPoint, ...]
    label: GridPoint
    area_m2: float

    def polygon(self) -> Polygon:
        """Return the cell in degrees. SRID: 4326."""
        return Polygon([(x / SCALE, y / SCALE) for x, y in self.ring])


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStreet:
    """One street along cell edges; `level` 1 bounds subdistricts, 2 communities, 3 blocks."""

    id: int
    name_zh: str
    name_en: str
    level: int
    line: tuple[GridPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSpot:
    """A place that draws problems: a market, a school gate, a station exit."""

    kind: str
    name_zh: str
    name_en: str
    cell: str
    street: int
    at: GridPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    """The whole demo map."""

    seed: int
    cells: tuple[DemoCell, ...]
    streets: tuple[DemoStreet, ...]
    spots: tuple[DemoSpot, ...]

    def of_level(self, level: int) -> tuple[DemoCell, ...]:
        """Return the cells of one level in the order of their codes."""
        return tuple(c for c in self.cells if c.level == level)


@lru_cache(maxsize=2)
def build_district(*, seed: int = DEFAULT_SEED) -> District:
    """Draw the district. The same seed gives the same map, vertex by vertex.

    Cost: about a second.
    """
    rng = random.Random(seed)
    plan = Partition(rng=rng)
    ids: dict[tuple[float, float], int] = {}
    roots = [plan.add_face(_corner_ids(plan, ids, s)) for s in SUBDISTRICTS]
    nests: list[list[list[int]]] = []
    for spec, root in zip(SUBDISTRICTS, roots, strict=True):
        communities = plan.divide(root, list(spec.blocks), 2)
        nests.append(
            [plan.divide(face, [1] * n, 3) for face, n in zip(communities, spec.blocks, strict=True)],
        )
    plan.densify(46.0)
    grid = _project(plan, rng, roots, nests)
    cells: list[DemoCell] = []
    for spec, nest in zip(SUBDISTRICTS, nests, strict=True):
        cells.extend(_cells(spec, nest, plan, grid, rng))
    cells.sort(key=lambda c: (c.level, c.code))
    streets = _streets(plan, grid, rng)
    return District(seed=seed, cells=tuple(cells), streets=streets, spots=_spots(cells, streets, rng))


def _corner_ids(plan: Partition, ids: dict[tuple[float, float], int], spec: Subdistrict) -> list[int]:
    ring: list[int] = []
    for corner in spec.outline:
        if corner not in ids:
            ids[corner] = len(plan.points)
            plan.points.append(corner)
        ring.append(ids[corner])
    return ring


def _project(plan: Partition, rng: random.Random, roots: list[int], nests: list[list[list[int]]]) -> list[GridPoint]:
    """Bend the map, fit published areas, and put every point on the 1e-7 degree grid."""
    waves = [
        (2 * math.pi / length, rng.uniform(0, 2 * math.pi), rng.uniform(0, 2 * math.pi), size)
        for length, size in _WAVES
        for _ in range(2)
    ]
    bent: list[tuple[float, float]] = []
    for x, y in plan.points:
        dx = dy = 0.0
        for k, (number, turn, phase, size) in enumerate(waves):
            wave = size * math.sin(number * (x * math.cos(turn) + y * math.sin(turn)) + phase)
            dx, dy = (dx + wave, dy) if k % 2 else (dx, dy + wave)
        bent.append((x + dx + rng.gauss(0, 0.7), y + dy + rng.gauss(0, 0.7)))
    for spec, nest in zip(SUBDISTRICTS, nests, strict=True):
        if spec.area_m2 is not None:
            _fit_area(bent, plan, [face for part in nest for face in part], spec.area_m2)
    return [_to_grid(p) for p in bent]


def _to_grid(point: tuple[float, float]) -> GridPoint:
    return (
        round((ORIGIN[0] + point[0] / _M_PER_DEG_LON) * SCALE),
        round((ORIGIN[1] + point[1] / _M_PER_DEG_LAT) * SCALE),
    )


def _fit_area(bent: list[tuple[float, float]], plan: Partition, faces: list[int], area_m2: float) -> None:
    """Scale an isolated group of faces about its middle until its area on the ellipsoid is the published one."""
    members = sorted({i for face in faces for i in plan.faces[face]})
    cx = sum(bent[i][0] for i in members) / len(members)
    cy = sum(bent[i][1] for i in members) / len(members)
    for _ in range(6):
        now = sum(ellipsoid_area_m2([_to_grid(bent[i]) for i in plan.faces[face]]) for face in faces)
        factor = math.sqrt(area_m2 / now)
        for i in members:
            bent[i] = (cx + (bent[i][0] - cx) * factor, cy + (bent[i][1] - cy) * factor)


def ellipsoid_area_m2(ring: Iterable[GridPoint]) -> float:
    """Return the area of a counter-clockwise ring on the WGS84 ellipsoid. Units: square metres."""
    lons, lats = zip(*((x / SCALE, y / SCALE) for x, y in ring), strict=True)
    area, _ = _GEOD.polygon_area_perimeter(lons, lats)
    return float(area)


def dissolve(rings: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the outer ring of faces that share edges: an edge walked both ways disappears.

    Boundary: the result keeps every corner of the children, also the T-junctions of the neighbours.
    """
    edges: set[Edge] = set()
    for ring in rings:
        for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
            if (b, a) in edges:
                edges.remove((b, a))
            else:
                edges.add((a, b))
    follow = dict(edges)
    if len(follow) != len(edges):
        raise ValueError("the faces touch only in a corner")
    start = min(follow)
    chain = [start]
    while (nxt := follow[chain[-1]]) != start:
        chain.append(nxt)
    if len(chain) != len(edges):
        raise ValueError("the faces do not form one piece")
    return tuple(chain)


def _reading_order(middles: list[GridPoint]) -> list[int]:
    """Order cells by rows from north to south and from west to east inside a row.

    A cell belongs to the row above it as long as it lies less than half a block further south.
    """
    rows: list[list[int]] = []
    for i in sorted(range(len(middles)), key=lambda k: (-middles[k][1], middles[k][0])):
        if rows and sum(middles[k][1] for k in rows[-1]) / len(rows[-1]) - middles[i][1] < _ROW:
            rows[-1].append(i)
        else:
            rows.append([i])
    return [i for row in rows for i in sorted(row, key=lambda k: middles[k][0])]


def _middle(ring: tuple[GridPoint, ...]) -> GridPoint:
    polygon = Polygon(ring)
    point = polygon.centroid
    if not polygon.contains(point):
        point = polygon.representative_point()
    return (round(point.x), round(point.y))


def _cells(
    spec: Subdistrict, nest: list[list[int]], plan: Partition, grid: list[GridPoint], rng: random.Random
) -> list[DemoCell]:
    level_2_ids = [dissolve(tuple(plan.faces[f]) for f in part) for part in nest]
    order_2 = _reading_order([_middle(tuple(grid[i] for i in ids)) for ids in level_2_ids])
    people = _share(spec.population, [len(part) * rng.uniform(0.75, 1.3) for part in nest])
    names_2 = name_communities(spec)
    outer = dissolve(level_2_ids)
    cells = [_cell(1, spec.code, (spec.name_zh, spec.name_en), (spec.code,), spec.population, outer, grid)]
    names_3 = name_blocks(spec, rng)
    number = 0
    for k, which in enumerate(order_2):
        code = f"{spec.code}{k + 1:03d}"
        path = (spec.code, code)
        cells.append(_cell(2, code, names_2[k], path, people[which], level_2_ids[which], grid))
        part = nest[which]
        inhabitants = _share(people[which], [rng.uniform(0.6, 1.5) for _ in part])
        rings = [tuple(plan.faces[f]) for f in part]
        order_3 = _reading_order([_middle(tuple(grid[i] for i in ring)) for ring in rings])
        for seq, index in enumerate(order_3, start=1):
            child = f"{code}{seq:03d}"
            name = names_3(number, k + 1, seq)
            number += 1
            cells.append(_cell(3, child, name, (*path, child), inhabitants[index], rings[index], grid))
    return cells


def _cell(
    level: int,
    code: str,
    name: tuple[str, str],
    path: tuple[str, ...],
    population: int,
    ids: tuple[int, ...],
    grid: list[GridPoint],
) -> DemoCell:
    ring = tuple(grid[i] for i in ids)
    exclusive = level == 3 and name[0].endswith(("商场", "校园"))
    return DemoCell(
        level=level,
        code=code,
        name_zh=name[0],
        name_en=name[1],
        kind="exclusive" if exclusive else "ordinary",
        parent=path[-2] if level > 1 else None,
        path=path,
        population=population,
        households=round(population / 2.7),
        ring=ring,
        label=_middle(ring),
        area_m2=ellipsoid_area_m2(ring),
    )


def _share(total: int, weights: list[float]) -> list[int]:
    """Split a whole number in proportion so that the parts add up to it exactly."""
    scaled = [total * w / sum(weights) for w in weights]
    parts = [math.floor(s) for s in scaled]
    by_rest = sorted(range(len(parts)), key=lambda i: parts[i] - scaled[i])
    for i in by_rest[: total - sum(parts)]:
        parts[i] += 1
    return parts


def _streets(plan: Partition, grid: list[GridPoint], rng: random.Random) -> tuple[DemoStreet, ...]:
    edges: dict[int, list[Edge]] = {}
    for edge, street in plan.street_of.items():
        edges.setdefault(street, []).append(edge)
    lines = {s: tuple(grid[i] for i in _chain(parts)) for s, parts in sorted(edges.items())}
    names = name_streets(lines, plan.street_level, rng)
    return tuple(
        DemoStreet(id=s, name_zh=names[s][0], name_en=names[s][1], level=plan.street_level[s], line=line)
        for s, line in lines.items()
    )


def _chain(edges: list[Edge]) -> list[int]:
    near: dict[int, list[int]] = {}
    for a, b in edges:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    start = min(i for i, ends in near.items() if len(ends) == 1)
    chain, seen = [start], {start}
    while True:
        step = [i for i in near[chain[-1]] if i not in seen]
        if not step:
            return chain
        chain.append(step[0])
        seen.add(step[0])


def _spots(cells: list[DemoCell], streets: tuple[DemoStreet, ...], rng: random.Random) -> tuple[DemoSpot, ...]:
    """Place markets, schools and stations on street corners, about one in four blocks, never two in one."""
    street_at: dict[GridPoint, DemoStreet] = {}
    for street in sorted(streets, key=lambda s: -s.level):
        for point in street.line:
            street_at[point] = street  # the larger street wins the corner
    spots: list[DemoSpot] = []
    for spec in SUBDISTRICTS:
        blocks = [c for c in cells if c.level == 3 and c.code.startswith(spec.code)]
        chosen = rng.sample(blocks, max(9, len(blocks) // 4))
        for k, cell in enumerate(chosen):
            kind, zh, en = SPOTS[k % len(SPOTS)]
            corner = max(rng.sample(cell.ring, min(6, len(cell.ring))), key=lambda p: (-street_at[p].level, p))
            street = street_at[corner]
            at = (
                corner[0] + round((cell.label[0] - corner[0]) * 0.18),
                corner[1] + round((cell.label[1] - corner[1]) * 0.18),
            )
            stem = street.name_zh.removesuffix("路").removesuffix("街").removesuffix("巷")
            spots.append(
                DemoSpot(
                    kind=kind,
                    name_zh=stem + zh,
                    name_en=f"{street.name_en.split()[0]} {en}",
                    cell=cell.code,
                    street=street.id,
                    at=at,
                )
            )
    return tuple(spots)
