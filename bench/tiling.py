"""Invented grids for measuring and testing: irregular cells that tile exactly, in three nested levels.

The cells of a lattice with displaced corners and crooked sides. Neighbours share every vertex, level-2 and level-1
cells are made of the very same sides, and all vertices lie on the 1e-7° grid. They keep to a coarser step inside it, so
that slanting edges pass through grid points and a point can lie exactly on an edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from geo.coordinates import GRID_PER_DEGREE
from geo.lookup import CellBoundary

_COARSE = 12
"""Vertices are multiples of this many grid units; their edges pass through 11 grid points or more."""
_BENDS = 2
_WEST, _SOUTH = 113.4, 34.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """A lattice of ``columns`` × ``rows`` deepest cells.

    Units: ``east`` and ``north`` are the lattice's sides in 1e-7°. Shape: ``(…, 2 + bends, 2)``.
    """

    columns: int
    rows: int
    block: int
    east: npt.NDArray[np.int64]
    north: npt.NDArray[np.int64]

    def ring(self, column: int, row: int, width: int, height: int) -> npt.NDArray[np.int64]:
        """Closed anticlockwise ring around a block of the lattice."""
        south = self.east[row, column : column + width, :-1].reshape(-1, 2)
        right = self.north[row : row + height, column + width, :-1].reshape(-1, 2)
        top = self.east[row + height, column : column + width, 1:].reshape(-1, 2)[::-1]
        left = self.north[row : row + height, column, 1:].reshape(-1, 2)[::-1]
        ring = np.concatenate([south, right, top, left])
        return np.concatenate([ring, ring[:1]])

    def cells(self) -> Iterator[CellBoundary]:
        """Cells of level 1, 2 and 3, with codes that begin with their parent's."""
        cell_id = 0
        ids: dict[str, int] = {}
        for level, side in ((1, self.block**2), (2, self.block), (3, 1)):
            for row in range(0, self.rows, side):
                for column in range(0, self.columns, side):
                    code = self._code(level, column, row)
                    parent = code[: -4 if level > 1 else 0]
                    cell_id += 1
                    ids[code] = cell_id
                    ring = self.ring(column, row, min(side, self.columns - column), min(side, self.rows - row))
                    polygon = shapely.Polygon(ring / GRID_PER_DEGREE)
                    yield CellBoundary(
                        cell_id=cell_id,
                        level=level,
                        code=code,
                        parent_id=ids[parent] if parent else None,
                        boundary=shapely.MultiPolygon([polygon]),
                    )

    def _code(self, level: int, column: int, row: int) -> str:
        code = ""
        for side in (self.block**2, self.block, 1)[:level]:
            across = -(-self.columns // side)
            # Not in the lattice's order: the tie rule must not agree with the order of making by chance.
            code += f"{(row // side * across + column // side) * 7919 % 1_000_003 % 10_000:04d}" if side > 1 else ""
            if side == 1:
                code += f"{column % self.block * self.block + self.block - 1 - row % self.block:04d}"
        return code

    def points(self, rng: np.random.Generator, count: int, on_edges: int) -> npt.NDArray[np.int64]:
        """Grid points all over the extent and a little outside; the last ``on_edges`` lie on vertices and edges."""
        low = np.minimum(self.east.min(axis=(0, 1, 2)), self.north.min(axis=(0, 1, 2)))
        high = np.maximum(self.east.max(axis=(0, 1, 2)), self.north.max(axis=(0, 1, 2)))
        margin = (high - low) // 100
        free = rng.integers(low - margin, high + margin, size=(count - on_edges, 2))
        return np.concatenate([free, self.edge_points(rng, on_edges)])

    def edge_points(self, rng: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
        """Points exactly on edges: one third vertices, the rest between two of them."""
        segments = np.concatenate(
            [
                np.stack([sides[..., :-1, :], sides[..., 1:, :]], axis=-2).reshape(-1, 2, 2)
                for sides in (self.east, self.north)
            ]
        )
        chosen = segments[rng.integers(len(segments), size=count)]
        steps = np.gcd(*(chosen[:, 1] - chosen[:, 0]).T)
        at = np.where(rng.random(count) < 1 / 3, 0, rng.integers(0, steps + 1))
        found: npt.NDArray[np.int64] = chosen[:, 0] + (chosen[:, 1] - chosen[:, 0]) // steps[:, None] * at[:, None]
        return found


def make_tiling(columns: int, rows: int, *, block: int = 5, size_deg: float = 0.0024, seed: int = 20261121) -> Tiling:
    """Make a lattice of cells about ``size_deg`` wide (a level-3 cell is some 200 m)."""
    rng = np.random.default_rng(seed)
    size = int(size_deg * GRID_PER_DEGREE)
    shape = (rows + 1, columns + 1, 2)
    corner = np.stack(np.meshgrid(np.arange(columns + 1), np.arange(rows + 1)), axis=-1) * size
    corner = corner + (rng.uniform(-0.2, 0.2, shape) * size).astype(np.int64)
    # One street in ten is straight: edges exactly along a meridian or parallel are the everyday case of a tie.
    corner[::10, :, 1] = np.arange(0, rows + 1, 10)[:, None] * size
    corner[:, ::10, 0] = np.arange(0, columns + 1, 10)[None, :] * size
    corner += (int(_WEST * GRID_PER_DEGREE), int(_SOUTH * GRID_PER_DEGREE))
    east = _sides(corner[:, :-1], corner[:, 1:], rng, size)
    north = _sides(corner[:-1], corner[1:], rng, size)
    east[::10, ..., 1] = east[::10, :, :1, 1]
    north[:, ::10, :, 0] = north[:, ::10, :1, 0]
    return Tiling(columns=columns, rows=rows, block=block, east=east, north=north)


def _sides(
    begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64], rng: np.random.Generator, size: int
) -> npt.NDArray[np.int64]:
    share = np.linspace(0.0, 1.0, 2 + _BENDS)[:, None]
    bend = rng.uniform(-0.06, 0.06, (*begin.shape[:2], 2 + _BENDS, 2)) * size
    bend[:, :, (0, -1)] = 0.0
    side = begin[:, :, None] * (1 - share) + end[:, :, None] * share + bend
    return np.round(side / _COARSE).astype(np.int64) * _COARSE
