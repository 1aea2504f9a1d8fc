"""The part of a draft that one change looks at, as plain values on the integer grid.

Boundaries are kept in grid units (1e-7°) from the patch's own origin: whole numbers small enough that sums and
products of differences are exact in 64 bits, and that no double between here and GEOS is ever rounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon

from geo.coordinates import GRID_PER_DEGREE
from geo.errors import BadInputError

Point = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftCell:
    """A cell of a draft. Units: ``shape`` in grid units from the patch's origin; shells anticlockwise.

    ``id`` is the row it came from, None when it is new; ``path`` holds the codes from level 1 to the cell.
    """

    code: str
    level: int
    parent: str | None
    path: tuple[str, ...]
    shape: MultiPolygon
    id: int | None = None
    name_zh: str = ""
    name_en: str = ""
    kind: str = "ordinary"
    population: int | None = None
    households: int | None = None


@dataclass(slots=True, kw_only=True)
class Patch:
    """Cells by code as they are now (``cells``) and as they were read (``before``).

    ``whole`` names the cells whose children are all here; None says that of every cell.
    """

    origin: Point
    cells: dict[str, DraftCell]
    whole: frozenset[str] | None = None
    before: dict[str, DraftCell] = field(init=False)

    def __post_init__(self) -> None:
        self.before = dict(self.cells)

    def cell(self, code: str, pointer: str) -> DraftCell:
        """Return a cell.

        Raises
        ------
        BadInputError
            ``geo.redraw_cell_unknown``.
        """
        if code not in self.cells:
            raise BadInputError("geo.redraw_cell_unknown", pointer=pointer, cell=code[:80])
        return self.cells[code]

    def children(self, code: str | None) -> list[DraftCell]:
        """Return the children of a cell, by code; the level-1 cells for None."""
        return sorted((cell for cell in self.cells.values() if cell.parent == code), key=lambda cell: cell.code)

    def ancestors(self, code: str) -> list[str]:
        """Return the codes above a cell, nearest first."""
        found = []
        above = self.cells[code].parent
        while above is not None and above in self.cells:
            found.append(above)
            above = self.cells[above].parent
        return found

    def put(self, cell: DraftCell) -> None:
        """Add or replace a cell; a code that was there before keeps its row."""
        known = self.before.get(cell.code)
        if cell.id is None and known is not None:
            cell = replace(cell, id=known.id)
        self.cells[cell.code] = cell

    def reshape(self, code: str, shape: MultiPolygon) -> None:
        """Give a cell another boundary."""
        self.cells[code] = replace(self.cells[code], shape=shape)

    def renew_paths(self) -> None:
        """Make every path follow the parents as they are now."""
        for code in sorted(self.cells, key=lambda code: self.cells[code].level):
            cell = self.cells[code]
            above = self.cells.get(cell.parent) if cell.parent is not None else None
            path = (*(above.path if above is not None else cell.path[:-1]), code)
            if path != cell.path:
                self.cells[code] = replace(cell, path=path)

    def to_local(self, lon: float, lat: float) -> Point:
        """Return the grid point of a position. SRID: 4326."""
        return (round(lon * GRID_PER_DEGREE) - self.origin[0], round(lat * GRID_PER_DEGREE) - self.origin[1])

    def to_degrees(self, point: Sequence[float]) -> tuple[float, float]:
        """Return the position of a grid point. SRID: 4326."""
        return (
            (round(point[0]) + self.origin[0]) / GRID_PER_DEGREE,
            (round(point[1]) + self.origin[1]) / GRID_PER_DEGREE,
        )

    def shape_in_degrees(self, shape: MultiPolygon) -> MultiPolygon:
        """Return a boundary as it is stored. SRID: 4326."""
        origin = np.array(self.origin, dtype=np.float64)
        moved: MultiPolygon = shapely.transform(shape, lambda pairs: (pairs + origin) / GRID_PER_DEGREE)
        return moved


def local_shape(boundary: MultiPolygon, origin: Point) -> MultiPolygon:
    """Return a stored boundary in grid units from an origin, wound alike. SRID: 4326 in."""
    start = np.array(origin, dtype=np.float64)

    def move(pairs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        moved: npt.NDArray[np.float64] = np.rint(pairs * GRID_PER_DEGREE) - start
        return moved

    return as_multi(shapely.transform(boundary, move))


def as_multi(shape: shapely.geometry.base.BaseGeometry) -> MultiPolygon:
    """Return the polygons of a shape as one MultiPolygon, shells anticlockwise and holes clockwise."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and not part.is_empty]
    wound: MultiPolygon = shapely.orient_polygons(MultiPolygon(parts), exterior_cw=False)
    return wound


def rings(shape: MultiPolygon) -> Iterable[npt.NDArray[np.int64]]:
    """Give the rings of a shape, closed. Shape: (n, 2)."""
    for ring in shapely.get_rings(shapely.get_parts(shape)):
        yield shapely.get_coordinates(ring).astype(np.int64)


def edges(shape: MultiPolygon) -> npt.NDArray[np.int64]:
    """Return all directed edges; the inside lies to the left. Shape: (n, 4)."""
    pieces = [np.hstack((ring[:-1], ring[1:])) for ring in rings(shape)]
    return np.concatenate(pieces) if pieces else np.empty((0, 4), dtype=np.int64)
