"""Which cells are neighbours: by a shared edge, by number, or by distance. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from geo.coordinates import GRID_PER_DEGREE, to_grid
from geo.coverage.edges import edge_table

__all__ = ["Kind", "Neighbours", "contiguous", "nearest", "within"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: Two edges that are cut differently touch when they lie within two steps of the stored grid …
_TOUCH_DEG: Final = 2e-7
#: … over at least a metre; less is a corner.
_SHARED_DEG: Final = 1e-5


class Kind(StrEnum):
    """What makes a neighbour."""

    CONTIGUITY = "contiguity"
    NEAREST = "nearest"
    DISTANCE = "distance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """Binary weights; a cell is never its own neighbour here (Gi* adds it by itself).

    Attributes
    ----------
    kind, parameter
        How they were found; ``parameter`` is the number of nearest, or the distance. Units: metres.
    starts, others
        The neighbours of cell i are ``others[starts[i]:starts[i + 1]]``, ascending.
    """

    kind: Kind
    parameter: float | None
    starts: Ints
    others: Ints

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def cardinalities(self) -> Ints:
        """How many neighbours each cell has."""
        return np.diff(self.starts)

    def of(self, cell: int) -> Ints:
        """Return the neighbours of a cell."""
        return self.others[self.starts[cell] : self.starts[cell + 1]]

    def lag(self, values: Floats) -> Floats:
        """Return for each cell the sum over its neighbours. Cost: one pass over the pairs."""
        return np.asarray(self.matrix() @ np.asarray(values, dtype=np.float64))

    def among(self, kept: Ints) -> Neighbours:
        """Return the same weights among some cells only, in their order: neighbours that are left out count no more."""
        part = self.matrix()[kept][:, kept].tocsr()
        part.sort_indices()
        return Neighbours(
            kind=self.kind,
            parameter=self.parameter,
            starts=part.indptr.astype(np.int64),
            others=part.indices.astype(np.int64),
        )

    def matrix(self) -> csr_array:
        """Return the weights as a sparse matrix of ones."""
        n = len(self)
        return csr_array((np.ones(len(self.others)), self.others, self.starts), shape=(n, n))


def contiguous(boundaries: Sequence[shapely.Geometry]) -> Neighbours:
    """Cells that share an edge, however the two have cut it; a corner alone is not enough (rook's case).

    Parameters
    ----------
    boundaries
        Valid areas. SRID: 4326.

    Notes
    -----
    Edges are compared on the stored grid of 1e-7°, so that nothing depends on the last bit. Cost: two sorts of all
    vertices; only what has no exact partner (the outline, and edges that neighbours cut differently) meets a tree.

    Examples
    --------
    Two squares share an edge, the third touches them in a corner only:

    >>> boxes = [shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1), shapely.box(2, 1, 3, 2)]
    >>> contiguous(boxes).cardinalities.tolist()
    [1, 1, 0]
    """
    n = len(boundaries)
    snapped = shapely.transform(np.asarray(boundaries, dtype=object), lambda pairs: to_grid(pairs) / GRID_PER_DEGREE)
    table = edge_table(snapped)
    if table is None:
        return _from_pairs(n, np.empty((0, 2), dtype=np.int64), Kind.CONTIGUITY, None)
    low, high = np.minimum(table.begin, table.end), np.maximum(table.begin, table.end)
    order = np.argsort(low * np.int64(len(table.vertices)) + high, kind="stable")
    low, high, owner = low[order], high[order], table.owner[order]
    first = np.flatnonzero(np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])])
    count = np.diff(np.r_[first, len(low)])
    two = first[count == 2]
    pairs = np.column_stack((owner[two], owner[two + 1]))
    # More than two cells on one edge overlap; each of them touches each other one.
    for start, many in zip(first[count > 2].tolist(), count[count > 2].tolist(), strict=True):
        crowd = owner[start : start + many]
        pairs = np.vstack((pairs, np.column_stack((np.repeat(crowd, many), np.tile(crowd, many)))))
    single = first[count == 1]
    ends = table.vertices[np.column_stack((low[single], high[single]))] / GRID_PER_DEGREE
    return _from_pairs(n, np.vstack((pairs, _cut_differently(ends, owner[single]))), Kind.CONTIGUITY, None)


def _cut_differently(ends: Floats, owner: Ints) -> Ints:
    """Pairs of cells whose lonely edges lie on each other. Shape: ``ends`` (edges, 2, 2)."""
    lines: npt.NDArray[np.object_] = np.asarray(shapely.linestrings(ends), dtype=object)
    tree = shapely.STRtree(list(lines))
    one, other = tree.query(lines, predicate="dwithin", distance=_TOUCH_DEG)
    apart = owner[one] < owner[other]
    one, other = one[apart], other[apart]
    if not len(one):
        return np.empty((0, 2), dtype=np.int64)
    shared = shapely.length(shapely.intersection(shapely.buffer(lines[one], _TOUCH_DEG), lines[other]))
    touching = shared > _SHARED_DEG
    return np.column_stack((owner[one[touching]], owner[other[touching]]))


def nearest(x_m: Floats, y_m: Floats, *, k: int) -> Neighbours:
    """The k nearest other cells of each cell, by the distance of their centres. Units: metres, in a projected system.

    Boundary: of equally distant cells the one that comes first is taken, so the result depends on no tree.

    Raises
    ------
    ValueError
        If there are not k other cells.
    """
    points = np.column_stack((x_m, y_m))
    n = len(points)
    if not 1 <= k < n:
        raise ValueError(f"k must be from 1 to {n - 1}")
    tree = KDTree(points)
    distance, _ = tree.query(points, k=k + 1)
    # A micrometre more than the k-th distance brings in every tie; the order of (distance, number) decides among them.
    found = tree.query_ball_point(points, distance[:, k] + 1e-6)
    others = np.empty((n, k), dtype=np.int64)
    for cell, close in enumerate(found):
        rest = np.array(sorted(set(close) - {cell}), dtype=np.int64)
        away = np.round(np.hypot(*(points[rest] - points[cell]).T), 6)
        others[cell] = np.sort(rest[np.argsort(away, kind="stable")[:k]])
    return Neighbours(
        kind=Kind.NEAREST, parameter=float(k), starts=np.arange(0, n * k + 1, k, dtype=np.int64), others=others.ravel()
    )


def within(x_m: Floats, y_m: Floats, *, distance_m: float) -> Neighbours:
    """All other cells whose centre is at most so far away. Units: metres. Boundary: the distance itself is included."""
    pairs = KDTree(np.column_stack((x_m, y_m))).query_pairs(distance_m, output_type="ndarray")
    return _from_pairs(len(x_m), pairs.astype(np.int64), Kind.DISTANCE, distance_m)


def _from_pairs(n: int, pairs: Ints, kind: Kind, parameter: float | None) -> Neighbours:
    both = np.vstack((pairs, pairs[:, ::-1]))
    both = both[both[:, 0] != both[:, 1]]
    keys = np.unique(both[:, 0] * np.int64(max(n, 1)) + both[:, 1])
    rows, others = keys // max(n, 1), keys % max(n, 1)
    starts = np.searchsorted(rows, np.arange(n + 1))
    return Neighbours(kind=kind, parameter=parameter, starts=starts.astype(np.int64), others=others)
