"""Snapping on the 1e-7° grid: unmatched vertices move to their neighbour's, unmatched edges take its vertices up.

The map is one for all cells and levels: it sends vertices to vertices and edges to chains of edges. Two cells that
shared an edge share it afterwards too.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from geo.coordinates import GRID_PER_DEGREE
from geo.coverage.edges import EdgeTable, Ints, edge_table, residues
from geo.coverage.findings import CoverageCell

_ROUNDS = 3
_METRES_PER_DEGREE = 111_320.0
_MOST_BENDS = 64


def snap_cells(cells: Sequence[CoverageCell], snap_m: float) -> tuple[CoverageCell, ...]:
    """Bring unmatched vertices and edges within a tolerance together.

    Units: ``snap_m`` m, taken at the cells' middle latitude. SRID: 4326. A cell that would become invalid keeps its
    shape, and so does everything when a vertex is off the grid.
    Cost: that of the proof, per round, plus a search tree of the unmatched vertices.
    """
    now = tuple(cells)
    for _ in range(_ROUNDS):
        after = _round(now, snap_m)
        if after is None:
            break
        now = after
    return now


def _round(cells: Sequence[CoverageCell], snap_m: float) -> tuple[CoverageCell, ...] | None:
    shapes = np.array([cell.boundary for cell in cells], dtype=object)
    if not len(shapes) or not shapely.is_valid(shapes).all():
        return None
    table = edge_table(shapely.orient_polygons(shapes, exterior_cw=False))
    if table is None or table.left_out:
        return None
    loose, edges = _loose(cells, table)
    if not len(loose):
        return None
    scale = _scale(table)
    target = _targets(cells, table, loose, scale, snap_m)
    bends = _bends(table, edges, loose, target, scale, snap_m)
    moved = {number: int(goal) for number, goal in zip(loose.tolist(), target.tolist(), strict=True) if goal != number}
    if not moved and not bends:
        return None
    touched = _touched(table, moved, bends)
    if not touched:
        return None
    number_of = {(x, y): number for number, (x, y) in enumerate(table.vertices.tolist())}
    follow = _follower(table, number_of, moved, bends)
    found, any_changed = list(cells), False
    for index in touched:
        boundary = _rebuilt(cells[index].boundary, follow)
        if boundary is not None and not shapely.equals_identical(boundary, cells[index].boundary):
            found[index], any_changed = replace(cells[index], boundary=boundary), True
    return tuple(found) if any_changed else None


def _loose(cells: Sequence[CoverageCell], table: EdgeTable) -> tuple[Ints, set[tuple[int, int]]]:
    """Vertices and edges that do not cancel in some family; above level 1 every outline is loose."""
    by_code = {cell.code: index for index, cell in enumerate(cells)}
    number_of: dict[int | None, int] = {}
    child_of = np.full(len(cells), -1, dtype=np.int64)
    parent_of = np.full(len(cells), -1, dtype=np.int64)
    for index, cell in enumerate(cells):
        parent = None if cell.parent is None else by_code.get(cell.parent, -1)
        if parent == -1:
            continue
        child_of[index] = number_of.setdefault(parent, len(number_of))
        if parent is not None:
            parent_of[parent] = child_of[index]
    left = residues(table, child_of, parent_of)
    edges: set[tuple[int, int]] = set()
    for residue in left.values():
        edges |= set(zip(residue.begin.tolist(), residue.end.tolist(), strict=True))
    return np.array(sorted({end for edge in edges for end in edge}), dtype=np.int64), edges


def _scale(table: EdgeTable) -> Any:
    """Metres per grid unit, east and north. Units: m."""
    middle = float(table.vertices[:, 1].mean()) / GRID_PER_DEGREE
    north = _METRES_PER_DEGREE / GRID_PER_DEGREE
    return np.array([north * np.cos(np.radians(min(abs(middle), 89.0))), north])


def _targets(cells: Sequence[CoverageCell], table: EdgeTable, loose: Ints, scale: Any, snap_m: float) -> Ints:
    """Where each loose vertex goes: to the most senior one in reach (highest level, then smallest code), or nowhere."""
    rank_of_cell = np.argsort(np.argsort([f"{cell.level}/{cell.code}" for cell in cells]))
    rank = np.full(len(table.vertices), len(cells), dtype=np.int64)
    np.minimum.at(rank, table.begin, rank_of_cell[table.owner])
    order = loose[np.lexsort((loose, rank[loose]))]
    tree = cKDTree(table.vertices[order] * scale)
    near = tree.query_ball_point(table.vertices[order] * scale, snap_m)
    target = np.full(len(order), -1, dtype=np.int64)
    for place in range(len(order)):
        if target[place] >= 0:
            continue
        target[place] = order[place]
        for other in near[place]:
            if target[other] < 0:
                target[other] = order[place]
    goal = dict(zip(order.tolist(), target.tolist(), strict=True))
    return np.array([goal[number] for number in loose.tolist()], dtype=np.int64)


def _bends(
    table: EdgeTable, edges: set[tuple[int, int]], loose: Ints, target: Ints, scale: Any, snap_m: float
) -> dict[tuple[int, int], list[int]]:
    """By loose edge, the vertices in reach that it must take up, from its smaller end to its larger one."""
    nodes = np.unique(target)
    points = shapely.points(table.vertices[nodes] * scale)
    pairs = sorted(edges)
    ends = table.vertices[np.array(pairs)] * scale
    lines = shapely.linestrings(ends)
    tree = shapely.STRtree(points)
    line, point = tree.query(lines, predicate="dwithin", distance=snap_m)
    goal = dict(zip(loose.tolist(), target.tolist(), strict=True))
    found: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
    along = shapely.line_locate_point(np.asarray(lines)[line], np.asarray(points)[point])
    for number, place, node in zip(line.tolist(), along.tolist(), nodes[point].tolist(), strict=True):
        first, last = pairs[number]
        if node in (first, last, goal.get(first), goal.get(last)):
            continue
        # On the very line it changes nothing, and the proof cancels along lines.
        if goal.get(first) != first or goal.get(last) != last or not _on_line(table.vertices, first, last, node):
            found[pairs[number]].append((place, node))
    return {edge: [node for _, node in sorted(bent)][:_MOST_BENDS] for edge, bent in found.items()}


def _on_line(vertices: Ints, first: int, last: int, node: int) -> bool:
    (x0, y0), (x1, y1), (x, y) = (vertices[each].tolist() for each in (first, last, node))
    return bool((x1 - x0) * (y - y0) == (y1 - y0) * (x - x0))


def _touched(table: EdgeTable, moved: dict[int, int], bends: dict[tuple[int, int], list[int]]) -> list[int]:
    ends = np.array(sorted(moved), dtype=np.int64)
    hit = np.isin(table.begin, ends) | np.isin(table.end, ends)
    count = np.int64(len(table.vertices))
    keys = np.array([low * int(count) + high for low, high in bends], dtype=np.int64)
    hit |= np.isin(np.minimum(table.begin, table.end) * count + np.maximum(table.begin, table.end), keys)
    return [int(each) for each in np.unique(table.owner[hit])]


def _follower(
    table: EdgeTable,
    number_of: dict[tuple[int, int], int],
    moved: dict[int, int],
    bends: dict[tuple[int, int], list[int]],
) -> Callable[[Any], list[tuple[float, float]]]:
    places = table.vertices

    def follow(ring: Any) -> list[tuple[float, float]]:
        grid = np.rint(np.asarray(ring) * GRID_PER_DEGREE).astype(np.int64).tolist()
        numbers = [number_of[x, y] for x, y in grid]
        path: list[int] = []
        for first, last in itertools.pairwise(numbers):
            path.append(moved.get(first, first))
            between = bends.get((min(first, last), max(first, last)), [])
            path += between if first < last else between[::-1]
        path.append(path[0])
        slim = [number for place, number in enumerate(path) if place == 0 or number != path[place - 1]]
        return [(x / GRID_PER_DEGREE, y / GRID_PER_DEGREE) for x, y in places[slim].tolist()]

    return follow


def _rebuilt(boundary: BaseGeometry, follow: Callable[[Any], list[tuple[float, float]]]) -> BaseGeometry | None:
    polygons = []
    for part in shapely.get_parts(boundary):
        rings = [follow(ring.coords) for ring in (part.exterior, *part.interiors)]
        whole = [ring for ring in rings if len(ring) > 3]
        if len(rings[0]) > 3:
            polygons.append(shapely.Polygon(whole[0], whole[1:]))
    built = shapely.MultiPolygon(polygons)
    if built.is_empty or not built.is_valid:
        return None
    return shapely.MultiPolygon(shapely.get_parts(shapely.orient_polygons(built, exterior_cw=False)).tolist())
