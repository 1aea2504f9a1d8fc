"""The proof by edges: in integers, a family tiles exactly when its directed edges cancel.

Let f be the sum of the children's indicator functions less the parent's. Its gradient lives on the edges alone; if
every directed edge of a child is met by its reverse in a sibling, or by the same edge of the parent, the gradient is
zero, so f is constant, and because f is zero far away it is zero everywhere: no gap, no overlap, nothing outside. That
holds for holes, several parts and any number of neighbours, needs no overlay, and on the 1e-7° grid it is exact
(decision 0020).

Edges need not be cut alike: where one neighbour has a vertex in the middle of the other's straight edge, the edges
cancel along their common line.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geo.coordinates import GRID_PER_DEGREE, to_grid

Ints = npt.NDArray[np.int64]
Shapes = npt.NDArray[np.object_]
_EXTENT = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeTable:
    """All directed edges of all cells, as numbers of vertices.

    Shape: ``vertices`` (v, 2), grid units; ``begin``, ``end``, ``owner`` (e,): vertex, vertex, index of the cell.
    ``left_out`` are the cells with a vertex off the grid, whose edges are not here and prove nothing. Outer rings run
    anticlockwise and holes clockwise, so the cell lies on the left of each of its edges.
    """

    vertices: Ints
    begin: Ints
    end: Ints
    owner: Ints
    left_out: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """What is left of a family after everything cancelled.

    Shape: (n,) each; ``begin`` and ``end`` are vertices, ``net`` says how often the edge is left in that direction.
    """

    begin: Ints
    end: Ints
    net: Ints


def edge_table(shapes: Shapes, without: frozenset[int] = frozenset()) -> EdgeTable | None:
    """Number vertices and edges of valid, wound boundaries.

    SRID: 4326. Units: grid of 1e-7°. Cost: two sorts of all vertices.

    Parameters
    ----------
    without
        Cells to leave out: what had to be made valid is not what the file says.

    Returns
    -------
    EdgeTable or None
        None when there is nothing to number, or the extent is too large for one machine word.
    """
    parts, part_cell = shapely.get_parts(shapes, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    pairs, ring = shapely.get_coordinates(rings, return_index=True)
    cell = part_cell[ring_part[ring]]
    grid = to_grid(pairs)
    off = np.zeros(len(shapes), dtype=bool)
    off[cell[(grid / GRID_PER_DEGREE != pairs).any(axis=1)]] = True
    off[list(without)] = True
    used = ~off[cell]
    grid, ring, cell = grid[used], ring[used], cell[used]
    if not len(grid):
        return None
    low = grid.min(axis=0)
    moved = grid - low
    if int(moved.max()) >= _EXTENT:
        return None
    packed, vertex = np.unique(moved[:, 0] * _EXTENT + moved[:, 1], return_inverse=True)
    vertices = np.column_stack((packed // _EXTENT, packed % _EXTENT)) + low
    inside = np.flatnonzero(ring[:-1] == ring[1:])
    begin, end = vertex[inside], vertex[inside + 1]
    kept = begin != end
    return EdgeTable(
        vertices=vertices,
        begin=begin[kept],
        end=end[kept],
        owner=cell[inside][kept].astype(np.int64),
        left_out=frozenset(np.flatnonzero(off).tolist()),
    )


def residues(table: EdgeTable, child_of: Ints, parent_of: Ints) -> dict[int, Residue]:
    """Cancel all families at once.

    Parameters
    ----------
    child_of, parent_of
        Shape: (cells,). Number of the family that a cell is a child of, and of the one it is the parent of; -1: none.

    Returns
    -------
    dict
        By family, what is left; a family that is not there cancels completely and therefore tiles exactly.
    """
    as_child, as_parent = child_of[table.owner], parent_of[table.owner]
    in_child, in_parent = as_child >= 0, as_parent >= 0
    family = np.concatenate((as_child[in_child], as_parent[in_parent]))
    begin = np.concatenate((table.begin[in_child], table.end[in_parent]))
    end = np.concatenate((table.end[in_child], table.begin[in_parent]))
    low, high = np.minimum(begin, end), np.maximum(begin, end)
    count = np.int64(len(table.vertices))
    edges, edge = np.unique(low * count + high, return_inverse=True)
    keys, place = np.unique(family * np.int64(len(edges)) + edge, return_inverse=True)
    net = np.bincount(place, weights=np.where(begin < end, 1.0, -1.0), minlength=len(keys)).astype(np.int64)
    left = np.flatnonzero(net)
    families, edge_left, net_left = keys[left] // len(edges), edges[keys[left] % len(edges)], net[left]
    found: dict[int, Residue] = {}
    starts = np.flatnonzero(np.r_[True, families[1:] != families[:-1]]) if len(left) else np.empty(0, dtype=np.int64)
    for first, last in zip(starts, np.r_[starts[1:], len(left)], strict=True):
        here = slice(first, last)
        rest = _along_lines(
            table.vertices, Residue(begin=edge_left[here] // count, end=edge_left[here] % count, net=net_left[here])
        )
        if rest is not None:
            found[int(families[first])] = rest
    return found


def _along_lines(vertices: Ints, residue: Residue) -> Residue | None:
    """Cancel what lies on one straight line though it is cut differently; None when nothing is left.

    Python's integers: products of two coordinates leave 64 bits.
    """
    by_line: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    begins, ends = vertices[residue.begin].tolist(), vertices[residue.end].tolist()
    for number, ((x0, y0), (x1, y1)) in enumerate(zip(begins, ends, strict=True)):
        dx, dy = x1 - x0, y1 - y0
        common = math.gcd(dx, dy) * (-1 if dx < 0 or (dx == 0 and dy < 0) else 1)
        dx, dy = dx // common, dy // common
        by_line[dx, dy, x0 * dy - y0 * dx].append(number)
    left: list[int] = []
    for (dx, dy, _), numbers in by_line.items():
        change: dict[int, int] = defaultdict(int)
        for number in numbers:
            net = int(residue.net[number])
            change[begins[number][0] * dx + begins[number][1] * dy] += net
            change[ends[number][0] * dx + ends[number][1] * dy] -= net
        if any(change.values()):
            left += numbers
    if not left:
        return None
    chosen = np.array(sorted(left))
    return Residue(begin=residue.begin[chosen], end=residue.end[chosen], net=residue.net[chosen])


def owners_of(table: EdgeTable, residue: Residue, members: Sequence[int]) -> set[int]:
    """Which of some cells have an edge that was left over."""
    count = np.int64(len(table.vertices))
    keys = np.minimum(residue.begin, residue.end) * count + np.maximum(residue.begin, residue.end)
    mine = np.isin(table.owner, np.asarray(members))
    begin, end = table.begin[mine], table.end[mine]
    here = np.isin(np.minimum(begin, end) * count + np.maximum(begin, end), keys)
    return {int(each) for each in np.unique(table.owner[mine][here])}
