"""Coverage: does every level tile its parent ("管理无盲区", no blind spot)?

Pure geometry. A finding says what (gap, overlap, child outside parent), between which cells, where and how large; it
never repairs. Areas are computed by the caller's measure, so that this module knows no ellipsoid and no projection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

DEFAULT_TOLERANCE_M2 = 0.01
"""Smaller findings are counted, not listed: snapping to 1e-7° (11 mm) can open slivers of that size beside a vertex
that the neighbour does not have. Units: m²."""


class FindingKind(StrEnum):
    """What breaks the tiling."""

    GAP = "gap"
    OVERLAP = "overlap"
    OUTSIDE = "outside"
    HOLE = "hole"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCell:
    """A cell as the proof needs it. SRID: any one system for all cells."""

    code: str
    level: int
    parent: str | None
    boundary: BaseGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One place where the tiling breaks.

    Parameters
    ----------
    kind
        ``gap`` (in the parent, in no child), ``overlap`` (in two siblings),
        ``outside`` (in the child, beyond the parent),
        ``hole`` (enclosed by level-1 cells and in none of them: may well belong to somebody else).
    parent
        Code of the parent cell, ``None`` above level 1.
    cells
        Codes of the cells concerned; empty for a gap.
    area_m2
        Units: m².
    where
        The area itself, in the cells' own system.
    """

    kind: FindingKind
    parent: str | None
    cells: tuple[str, ...]
    area_m2: float
    where: BaseGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageReport:
    """Findings, worst first, and how many were too small to list."""

    findings: tuple[Finding, ...]
    below_tolerance: int
    families: int
    tolerance_m2: float

    @property
    def is_proven(self) -> bool:
        """No gap, overlap or child outside at all, however small. Holes above level 1 do not count against it."""
        return not self.below_tolerance and all(finding.kind is FindingKind.HOLE for finding in self.findings)

    def area_of(self, kind: FindingKind) -> float:
        """Sum of the listed areas of a kind. Units: m²."""
        return sum(finding.area_m2 for finding in self.findings if finding.kind is kind)


def check_coverage(
    cells: Sequence[CoverageCell],
    area_m2: Callable[[BaseGeometry], float],
    *,
    tolerance_m2: float = DEFAULT_TOLERANCE_M2,
    progress: Callable[[int], None] | None = None,
) -> CoverageReport:
    """Compare every family (a parent and its children; the level-1 cells among themselves).

    Boundary: shared edges are neither gap nor overlap; only area counts.
    Cost: a family that matches edge by edge is settled without an overlay; others cost one overlay per touching pair.

    Parameters
    ----------
    area_m2
        Measure of an area in the cells' system, in m².
    progress
        Called with the number of families done.

    Examples
    --------
    Two halves tile their parent; half of it alone leaves a gap, and where two share an area they overlap.

    >>> whole = CoverageCell(code="1", level=1, parent=None, boundary=shapely.box(0, 0, 2, 1))
    >>> west = CoverageCell(code="11", level=2, parent="1", boundary=shapely.box(0, 0, 1, 1))
    >>> east = CoverageCell(code="12", level=2, parent="1", boundary=shapely.box(1, 0, 2, 1))
    >>> check_coverage([whole, west, east], lambda shape: shape.area).is_proven
    True
    >>> [(found.kind.value, found.area_m2) for found in check_coverage([whole, west], lambda s: s.area).findings]
    [('gap', 1.0)]
    """
    by_code = {cell.code: cell for cell in cells}
    families: dict[str | None, list[CoverageCell]] = defaultdict(list)
    for cell in cells:
        families[cell.parent].append(cell)
    found: list[Finding] = []
    for done, parent in enumerate(families, 1):
        found += _family(by_code[parent] if parent is not None else None, families[parent], area_m2)
        if progress is not None:
            progress(done)
    listed = [finding for finding in found if finding.area_m2 > tolerance_m2]
    listed.sort(key=lambda finding: (-finding.area_m2, finding.kind, finding.parent or "", finding.cells))
    return CoverageReport(
        findings=tuple(listed),
        below_tolerance=len(found) - len(listed),
        families=len(families),
        tolerance_m2=tolerance_m2,
    )


def _family(
    parent: CoverageCell | None, children: Sequence[CoverageCell], area_m2: Callable[[BaseGeometry], float]
) -> list[Finding]:
    code = parent.code if parent is not None else None
    shapes = np.array([child.boundary for child in children], dtype=object)
    is_matched = bool(shapely.coverage_is_valid(shapes))
    findings: list[Finding] = []

    def add(kind: FindingKind, cells: tuple[str, ...], where: BaseGeometry) -> None:
        area = _areal(where)
        if not area.is_empty:
            findings.append(Finding(kind=kind, parent=code, cells=cells, area_m2=area_m2(area), where=area))

    if not is_matched:
        for first, second in _pairs(shapes):
            names = tuple(sorted((children[first].code, children[second].code)))
            add(FindingKind.OVERLAP, names, shapely.intersection(shapes[first], shapes[second]))
    whole = shapely.coverage_union_all(shapes) if is_matched else shapely.union_all(shapes)
    if parent is None:
        for polygon in shapely.get_parts(whole):
            for hole in polygon.interiors:
                add(FindingKind.HOLE, (), shapely.Polygon(hole))
        return findings
    if shapely.equals(whole, parent.boundary):
        return findings
    for gap in shapely.get_parts(shapely.difference(parent.boundary, whole)):
        add(FindingKind.GAP, (), gap)
    within = shapely.covers(parent.boundary, shapes)
    for index in np.flatnonzero(~within).tolist():
        add(FindingKind.OUTSIDE, (children[index].code,), shapely.difference(shapes[index], parent.boundary))
    return findings


def _pairs(shapes: np.ndarray[tuple[int], np.dtype[np.object_]]) -> list[tuple[int, int]]:
    tree = shapely.STRtree(shapes)
    first, second = tree.query(shapes, predicate="intersects")
    return [(int(a), int(b)) for a, b in zip(first, second, strict=True) if a < b]


def _areal(shape: BaseGeometry) -> BaseGeometry:
    """Keep what has an area: two cells that share an edge intersect in a line, which is as it should be."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 0]
    return shapely.MultiPolygon(parts)
