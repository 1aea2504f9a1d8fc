"""Before areas are compared: rings, winding, codes and parents, and who belongs to which family."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from geo.coverage.edges import Shapes
from geo.coverage.findings import CoverageCell, Finding, FindingKind
from geo.coverage.overlay import Area


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """Cells that can be compared.

    Parameters
    ----------
    shapes
        Valid and wound: outer rings anticlockwise. Shape: (cells,).
    mended
        Indices of cells that were invalid; their shape here only serves to measure.
    families
        By index of the parent (None above level 1), the indices of its children.
    """

    shapes: Shapes
    codes: Sequence[str]
    mended: frozenset[int]
    rewound: tuple[str, ...]
    families: Mapping[int | None, Sequence[int]]
    findings: Sequence[Finding]


def structure(cells: Sequence[CoverageCell], area_m2: Area) -> Sound:
    """Check rings, codes and parents, and wind all rings alike."""
    findings: list[Finding] = []

    def tell(kind: FindingKind, cell: CoverageCell, where: BaseGeometry, reason: str = "") -> None:
        area = area_m2(cell.boundary) if kind is not FindingKind.INVALID_RING else 0.0
        findings.append(
            Finding(kind=kind, parent=cell.parent, cells=(cell.code,), area_m2=area, where=where, reason=reason)
        )

    shapes = np.array([cell.boundary for cell in cells], dtype=object)
    valid = shapely.is_valid(shapes)
    mended = frozenset(np.flatnonzero(~valid).tolist())
    for index in sorted(mended):
        reason, where = _reason(shapes[index])
        tell(FindingKind.INVALID_RING, cells[index], where, reason)
        shapes[index] = shapely.make_valid(shapes[index])
    wound = shapely.orient_polygons(shapes, exterior_cw=False) if len(shapes) else shapes
    turned = ~shapely.equals_identical(wound, shapes) & valid if len(shapes) else np.zeros(0, dtype=bool)
    rewound = tuple(cells[index].code for index in np.flatnonzero(turned).tolist())

    by_code: dict[str, int] = {}
    for index, cell in enumerate(cells):
        if by_code.setdefault(cell.code, index) != index:
            tell(FindingKind.DUPLICATE_CODE, cell, cell.boundary)
    families: dict[int | None, list[int]] = defaultdict(list)
    for index, cell in enumerate(cells):
        parent = None if cell.parent is None else by_code.get(cell.parent)
        fits = cell.level == 1 if cell.parent is None else parent is not None and cells[parent].level == cell.level - 1
        if fits:
            families[parent].append(index)
        else:
            tell(FindingKind.ORPHAN, cell, cell.boundary)
    _undivided(cells, families, tell)
    return Sound(
        shapes=wound,
        codes=[cell.code for cell in cells],
        mended=mended,
        rewound=rewound,
        families=families,
        findings=findings,
    )


def _undivided(
    cells: Sequence[CoverageCell],
    families: Mapping[int | None, Sequence[int]],
    tell: Callable[[FindingKind, CoverageCell, BaseGeometry], None],
) -> None:
    divided = {cells[parent].level for parent in families if parent is not None}
    for index, cell in enumerate(cells):
        if cell.level in divided and index not in families:
            tell(FindingKind.UNDIVIDED, cell, cell.boundary)


def _reason(shape: BaseGeometry) -> tuple[str, BaseGeometry]:
    text = shapely.is_valid_reason(shape)
    reason, _, place = text.partition("[")
    numbers = place.rstrip("]").split()[:2]
    try:
        where: BaseGeometry = shapely.Point(float(numbers[0]), float(numbers[1]))
    except (ValueError, IndexError):
        where = shapely.point_on_surface(shape)
    return reason.strip(), where
