"""Slits between cells that run out to the rim of the grid: enclosed by nobody, so no hole and no gap in any parent.

A closing finds them: the outline is widened by half the width of a sliver and narrowed again, and what has grown
together was narrower than that. With mitred corners everything else comes back as it was, notches of the drawing
itself included; of what did grow together only pieces between two different cells count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.coordinates import GRID_PER_DEGREE
from geo.coverage.edges import Shapes
from geo.coverage.findings import Finding, FindingKind
from geo.coverage.overlay import Measures

_M_PER_DEGREE = 111_320.0
#: A notch sharper than 6° is taken for a slit.
_MITRE = 20.0
#: Offsetting a line rounds by a hundredth of the distance; what is thinner than that is no finding. Units: metres.
_ROUNDING_M = 0.003
#: How near a cell lies to a slit that it borders. Units: degrees.
_BESIDE = 3 / GRID_PER_DEGREE
#: One cell with more of the rim than this has a notch of its own, drawn so.
_OWN_NOTCH = 0.8


def open_slits(whole: BaseGeometry, cells: Shapes, codes: Sequence[str], measures: Measures) -> list[Finding]:
    """Return what lies between two cells, is thinner than a sliver and open to the outside.

    Parameters
    ----------
    whole
        The union of all cells. SRID: 4326.
    cells, codes
        The childless cells, one of which may border a slit within its parent. Shape: (n,).
    """
    width = measures.sliver_width_m
    if width <= 0 or len(cells) < 2 or whole.is_empty:
        return []
    narrow = _grown_together(whole, width)
    if not len(narrow):
        return []
    tree = shapely.STRtree(cells)
    found: list[Finding] = []
    for part in narrow:
        between = tuple(sorted(codes[place] for place in _between(part, cells, tree)))
        finding = measures.finding(FindingKind.OPEN_SLIT, None, between, part) if len(between) > 1 else None
        if finding is not None:
            found.append(finding)
    return found


def _grown_together(whole: BaseGeometry, width_m: float) -> Shapes:
    # Only the rim: what is enclosed is a hole, and told as such.
    rims = shapely.union_all(shapely.polygons(shapely.get_exterior_ring(shapely.get_parts(whole))))
    middle = shapely.get_coordinates(shapely.envelope(rims)).mean(axis=0)
    # Metres as the middle of the city has them: a width is wanted, not a place.
    scale = np.array([_M_PER_DEGREE * np.cos(np.radians(middle[1])), _M_PER_DEGREE])
    rim = shapely.transform(rims, lambda pairs: (pairs - middle) * scale)
    closed = _offset(_offset(rim, width_m / 2), -width_m / 2)
    # The two outlines run along each other within a rounding; what is thicker than that grew together.
    thick = shapely.get_parts(shapely.difference(closed, _offset(rim, _ROUNDING_M)))
    near = [_offset(part, 2 * _ROUNDING_M) for part in thick if part.area > 0]
    grown = [shapely.difference(shapely.intersection(part, closed), rim) for part in near]
    pieces = [max(shapely.get_parts(part), key=lambda piece: piece.area) for part in grown if not part.is_empty]
    back = [shapely.transform(piece, lambda pairs: pairs / scale + middle) for piece in pieces]
    return np.array(back, dtype=object)


def _offset(shape: BaseGeometry, distance_m: float) -> BaseGeometry:
    return shapely.buffer(shape, distance_m, join_style="mitre", mitre_limit=_MITRE)


def _between(part: BaseGeometry, cells: Shapes, tree: shapely.STRtree) -> list[int]:
    """Cells on the rim of a slit; none when it is one cell's own notch."""
    rim = shapely.boundary(part)
    beside = tree.query(part, predicate="dwithin", distance=_BESIDE)
    shared = shapely.length(shapely.intersection(shapely.buffer(cells[beside], _BESIDE), rim))
    bordering = shared > 4 * _BESIDE
    if not bordering.any() or shared.max() > _OWN_NOTCH * shared.sum():
        return []
    return [int(place) for place in beside[bordering]]
