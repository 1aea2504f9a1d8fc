"""The proof after each change: what tiled before tiles exactly afterwards, and nothing got worse."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.coverage import CoverageCell, FindingKind, check_coverage
from geo.errors import BadInputError
from geo.redraw.patch import DraftCell, Patch

Area = Callable[[BaseGeometry], float]
_SLACK_M2 = 1e-6


def prove(patch: Patch, area_m2: Area) -> None:
    """Check every changed boundary and every family that the patch holds completely.

    Raises
    ------
    BadInputError
        ``geo.redraw_too_fine`` when rounding to the grid would break a ring or the tiling: the line passes closer to
        an existing vertex or edge than the grid can tell apart. Nobody can do that by hand; a computed line can.
    """
    changed = _changed(patch)
    shapes = np.array([cell.shape for cell in changed], dtype=object)
    for at in np.flatnonzero(~shapely.is_valid(shapes)).tolist():
        raise _too_fine(patch, changed[at])
    families = {cell.parent for cell in changed} | {cell.code for cell in changed if patch.children(cell.code)}
    families |= {cell.parent for code, cell in patch.before.items() if code not in patch.cells}
    for parent in sorted(families, key=lambda code: code or ""):
        if parent is not None and (parent not in patch.cells or not _is_whole(patch, parent)):
            continue
        after = _error_of(patch, patch.cells, parent, area_m2)
        if after > 0 and after > _error_of(patch, patch.before, parent, area_m2) + _SLACK_M2:
            raise _too_fine(patch, patch.cells[parent] if parent is not None else changed[0])


def given_up(patch: Patch) -> BadInputError:
    """The refusal of a change that GEOS could not follow: its rings had come too close to each other on the grid."""
    changed = _changed(patch) or list(patch.cells.values())
    return _too_fine(patch, next((cell for cell in changed if not cell.shape.is_valid), changed[0]))


def _changed(patch: Patch) -> list[DraftCell]:
    return [cell for code, cell in patch.cells.items() if cell.shape is not _shape_before(patch, code)]


def _is_whole(patch: Patch, parent: str) -> bool:
    # A family made by this very operation is here by construction.
    return patch.whole is None or parent in patch.whole or parent not in patch.before


def _shape_before(patch: Patch, code: str) -> BaseGeometry | None:
    known = patch.before.get(code)
    return known.shape if known is not None else None


def _error_of(patch: Patch, cells: dict[str, DraftCell], parent: str | None, area_m2: Area) -> float:
    """How much a family fails to tile: 0 when it is proven. Units: m², and a trifle for edges that do not match."""
    children = [cell for cell in cells.values() if cell.parent == parent]
    if not children or (parent is not None and parent not in cells):
        return 0.0
    family = [_coverage_cell(patch, cell, 1 if parent is None else 2, parent) for cell in children]
    if parent is not None:
        family.append(_coverage_cell(patch, cells[parent], 1, None))
    # Gaps and slits between level-1 cells may lie outside the patch; overlaps among those here are always wrong.
    report = check_coverage(family, area_m2, tolerance_m2=0.0)
    wrong = [
        finding
        for finding in report.findings
        if finding.breaks_tiling and (parent is not None or finding.kind not in _BEYOND_THE_PATCH)
    ]
    return sum(finding.area_m2 for finding in wrong) + _SLACK_M2 * 2 * len(wrong)


_BEYOND_THE_PATCH = frozenset({FindingKind.GAP, FindingKind.OPEN_SLIT})


def _coverage_cell(patch: Patch, cell: DraftCell, level: int, parent: str | None) -> CoverageCell:
    return CoverageCell(code=cell.code, level=level, parent=parent, boundary=patch.shape_in_degrees(cell.shape))


def _too_fine(patch: Patch, cell: DraftCell) -> BadInputError:
    centre: Iterable[float] = shapely.get_coordinates(shapely.point_on_surface(cell.shape))[0].tolist()
    lon, lat = patch.to_degrees(tuple(centre))
    return BadInputError("geo.redraw_too_fine", pointer="", cell=cell.code, lon=lon, lat=lat)


__all__ = ["given_up", "prove"]
