"""Cell boundaries as directed integer edges with the cell on either side.

The one idea behind the index: walking across an edge leaves the cell on one side and enters the one on the other, so
the cell at a point is the cell at any known place plus what the walk crosses. Each crossing adds ``value(entered) -
value(left)``; addition does not care for order, and integers do not round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from geo.coordinates import GRID_PER_DEGREE, to_grid
from geo.errors import BadInputError

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

NOBODY = -1
"""Stands for "no cell" on a side of an edge and in an answer."""

COUNT_ONE = 1 << 24
"""What one covering cell adds to a sum beside its own number; the high part of a sum counts the covering cells."""

WIDEST = 1 << 30
"""Largest extent in grid units (107°). Within it every product of two differences fits 62 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellBoundary:
    """What the index needs to know of one cell.

    ``boundary`` is a Shapely polygon or multipolygon, or its WKB. SRID: 4326. Boundary: valid, on the 1e-7° grid.
    """

    cell_id: int
    level: int
    code: str
    parent_id: int | None
    boundary: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Edges that run upwards (horizontal ones to the east), with the cell on their left and right.

    Units: 1e-7° from the index's south-west corner. Shape: all arrays of one length.
    """

    ax: Int32s
    ay: Int32s
    bx: Int32s
    by: Int32s
    left: Int32s
    right: Int32s

    def __len__(self) -> int:
        return len(self.ax)

    def take(self, chosen: npt.NDArray[Any]) -> Edges:
        """Select rows by mask or by number."""
        return Edges(
            ax=self.ax[chosen],
            ay=self.ay[chosen],
            bx=self.bx[chosen],
            by=self.by[chosen],
            left=self.left[chosen],
            right=self.right[chosen],
        )

    @classmethod
    def of_rows(cls, rows: Int32s) -> Edges:
        """View a table of six columns as edges."""
        ax, ay, bx, by, left, right = rows.T
        return cls(ax=ax, ay=ay, bx=bx, by=by, left=left, right=right)

    def as_rows(self) -> Int32s:
        """One table of six columns: all of one edge lies in one or two cache lines."""
        return np.column_stack([self.ax, self.ay, self.bx, self.by, self.left, self.right])

    def renumbered(self, numbers: Int32s) -> Edges:
        """Give every cell another number."""
        chain = np.append(numbers, np.int32(NOBODY))  # so that number -1 stays what it is
        return Edges(ax=self.ax, ay=self.ay, bx=self.bx, by=self.by, left=chain[self.left], right=chain[self.right])

    def owner(self) -> Int32s:
        """The one cell of each edge, before `merge_sides`."""
        return np.maximum(self.left, self.right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The rectangle of all cells. Units: ``west``, ``south`` whole 1e-7°; the spans count grid points."""

    west: int
    south: int
    columns: int
    rows: int


def value_of(cell: Int32s) -> Int64s:
    """What a covering cell adds to a sum: one to the count, its number to the rest, nothing for `NOBODY`."""
    wide = cell.astype(np.int64)
    return np.where(wide < 0, 0, wide + COUNT_ONE)


def read_edges(batches: Iterable[Sequence[Any]]) -> tuple[Extent, Edges, int]:
    """Take boundaries apart into upward edges, each with its cell (numbered as they come) on the side of its inside.

    They are read in batches, because Shapely hands out parts and rings as copies, and so that nobody has to hold the
    boundaries of a whole city at once.

    Returns
    -------
    tuple
        The extent, the edges (one owner each), and how many vertices were off the 1e-7° grid and had to be moved.

    Raises
    ------
    BadInputError
        ``geo.extent_too_wide`` when the cells span more than 107°.
    """
    grids: list[Int32s] = []
    rings: list[_Rings] = []
    off_grid = 0
    count = 0
    for boundaries in batches:
        pairs, found = _read_rings(boundaries, count)
        count += len(boundaries)
        grid = to_grid(pairs)
        off_grid += int(np.count_nonzero((grid / GRID_PER_DEGREE != pairs).any(axis=1)))
        grids.append(grid.astype(np.int32))  # 180° fits
        rings.append(found)
    filled = [grid for grid in grids if len(grid)]
    if not filled:
        return Extent(west=0, south=0, columns=0, rows=0), _join([]), off_grid
    low_corner = np.min([grid.min(axis=0) for grid in filled], axis=0)
    high_corner = np.max([grid.max(axis=0) for grid in filled], axis=0)
    columns, rows = (high_corner.astype(np.int64) - low_corner + 1).tolist()
    if max(columns, rows) > WIDEST:
        widest = max(columns, rows) / GRID_PER_DEGREE
        raise BadInputError("geo.extent_too_wide", limit_deg=WIDEST / GRID_PER_DEGREE, found_deg=widest)
    parts = [_ring_edges(grid - low_corner.astype(np.int64), found) for grid, found in zip(grids, rings, strict=True)]
    del grids, filled, rings
    west, south = low_corner.tolist()
    return Extent(west=west, south=south, columns=columns, rows=rows), _join(parts), off_grid


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rings:
    """Ring of each vertex; cell and role of each ring."""

    of_vertex: Int32s
    cell: Int32s
    is_outer: npt.NDArray[np.bool_]


def _read_rings(boundaries: Sequence[Any], first_cell: int) -> tuple[npt.NDArray[np.float64], _Rings]:
    shapes = np.asarray(boundaries, dtype=object)
    if isinstance(shapes[0], bytes | bytearray | memoryview):
        shapes = shapely.from_wkb(shapes)
    parts, cell_of_part = shapely.get_parts(shapes, return_index=True)
    lines, part_of_ring = shapely.get_rings(parts, return_index=True)
    pairs, ring = shapely.get_coordinates(lines, return_index=True)
    return pairs, _Rings(
        of_vertex=ring.astype(np.int32),
        cell=(cell_of_part[part_of_ring] + first_cell).astype(np.int32),
        is_outer=np.diff(part_of_ring, prepend=-1) != 0,
    )


def _ring_edges(grid: Int64s, rings: _Rings) -> Edges:
    """Neighbouring vertices of one ring make an edge; repeated ones make none."""
    x, y = grid[:, 0].astype(np.int32), grid[:, 1].astype(np.int32)
    ring = rings.of_vertex
    joined = ring[1:] == ring[:-1]
    joined &= (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    start = np.flatnonzero(joined)
    cell = rings.cell[ring[start]]
    ax, ay, bx, by = x[start], y[start], x[start + 1], y[start + 1]
    upward = (ay < by) | ((ay == by) & (ax < bx))
    on_left = upward == _inside_left(grid, rings)[ring[start]]
    nobody = np.int32(NOBODY)
    return Edges(
        ax=np.where(upward, ax, bx),
        ay=np.where(upward, ay, by),
        bx=np.where(upward, bx, ax),
        by=np.where(upward, by, ay),
        left=np.where(on_left, cell, nobody),
        right=np.where(on_left, nobody, cell),
    )


def _inside_left(grid: Int64s, rings: _Rings) -> npt.NDArray[np.bool_]:
    """Whether each ring has the inside of its cell on its left, whatever way it is wound."""
    ring = rings.of_vertex
    if not len(ring):
        return np.zeros(0, dtype=bool)
    changes = ring[1:] != ring[:-1]
    first = np.flatnonzero(np.r_[True, changes])
    # Twice the signed area about the ring's first vertex; doubles are enough for its sign.
    local = (grid - grid[first][ring]).astype(np.float64)
    cross = np.zeros(len(grid))
    cross[:-1] = local[:-1, 0] * local[1:, 1] - local[1:, 0] * local[:-1, 1]
    cross[:-1][changes] = 0.0
    anticlockwise = np.add.reduceat(cross, first) > 0
    inside_left: npt.NDArray[np.bool_] = anticlockwise == rings.is_outer
    return inside_left


def _join(parts: Sequence[Edges]) -> Edges:
    none = np.zeros(0, dtype=np.int32)
    return Edges(**{name: np.concatenate([none, *(getattr(part, name) for part in parts)]) for name in Edges.__slots__})


def is_tiled_by_leaves(edges: Edges, parents: Int32s) -> npt.NDArray[np.bool_]:
    """Which cells are exactly the union of the childless cells below them, vertex for vertex.

    Such a cell covers a point if and only if one of those does, and theirs is the smaller number; the lookup can do
    without it. The proof compares boundaries: where the directed edges of the leaves, opposite ones cancelling, leave
    exactly the edges of the cell, both have the same inside. It adds up a 64-bit hash of every edge with its sign
    instead of the edges (chance of a false yes: 2**-64 a cell). Leaves count as tiled.
    """
    signed = _edge_hash(edges)
    signed[edges.left < 0] = ~signed[edges.left < 0] + np.uint64(1)
    own = np.zeros(len(parents), dtype=np.uint64)
    np.add.at(own, edges.owner(), signed)
    is_inner = np.zeros(len(parents), dtype=bool)
    is_inner[parents[parents >= 0]] = True
    tiled = np.ones(len(parents), dtype=bool)
    below: list[int] = np.where(is_inner, np.uint64(0), own).tolist()
    # Children stand before their parents, because deeper levels have the smaller numbers; one that does not is refused.
    for cell, parent in enumerate(parents.tolist()):
        if parent > cell:
            below[parent] = (below[parent] + below[cell]) & 0xFFFFFFFFFFFFFFFF
        elif parent >= 0:
            tiled[parent] = False
    tiled &= np.array(below, dtype=np.uint64) == own
    return tiled


def _edge_hash(edges: Edges) -> npt.NDArray[np.uint64]:
    """Mix the four numbers of an edge into 64 bits (finaliser of splitmix64); arithmetic wraps around on purpose."""
    mixed = np.zeros(len(edges), dtype=np.uint64)
    for part in (edges.ax, edges.ay, edges.bx, edges.by):
        mixed += part.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


def merge_sides(edges: Edges) -> Edges:
    """Join the two copies of an edge that two neighbours share into one with a cell on both sides.

    Only a saving: an edge that stays apart (a vertex more on one side, an overlap) adds up to the same sums.
    """
    if len(edges) < 2:
        return edges
    key = _edge_hash(edges)
    order = np.argsort(key)
    key = key[order]
    same = np.zeros(len(key) + 1, dtype=bool)
    same[1:-1] = key[1:] == key[:-1]
    del key
    # `same[i]`: place i holds what place i - 1 holds. A pair is a run of exactly two with opposite owners.
    place = np.flatnonzero(same[1:-1] & ~same[:-2] & ~same[2:])
    one, other = edges.take(order[place]), edges.take(order[place + 1])
    alike = (one.left < 0) != (other.left < 0)
    for name in ("ax", "ay", "bx", "by"):
        alike &= getattr(one, name) == getattr(other, name)
    first, second = order[place[alike]], order[place[alike] + 1]
    first, second = np.minimum(first, second), np.maximum(first, second)
    left, right = edges.left.copy(), edges.right.copy()
    left[first] = np.maximum(left[first], left[second])
    right[first] = np.maximum(right[first], right[second])
    keep = np.ones(len(edges), dtype=bool)
    keep[second] = False
    return Edges(ax=edges.ax, ay=edges.ay, bx=edges.bx, by=edges.by, left=left, right=right).take(keep)
