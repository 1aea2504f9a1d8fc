"""Repairs that are offered, never made in silence: snap to the neighbour, give a sliver to its longest neighbour.

A proposal holds before and after; whoever asked decides. All levels are mended together: a vertex moves in every cell
that has it, and an edge is bent in every cell that has it, so that what matched before still matches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import shapely
from shapely.geometry.base import BaseGeometry

from geo.coordinates import GRID_PER_DEGREE, snap_to_grid
from geo.coverage.check import check_coverage
from geo.coverage.findings import (
    DEFAULT_SLIVER_WIDTH_M,
    DEFAULT_TOLERANCE_M2,
    CoverageCell,
    CoverageReport,
    Finding,
    FindingKind,
)
from geo.coverage.overlay import Area, areal
from geo.coverage.snapping import snap_cells

DEFAULT_SNAP_M = 0.5
_ROUNDS = 6


class RepairKind(StrEnum):
    """What is done to a cell."""

    SNAP = "snap"
    ASSIGN_SLIVER = "assign_sliver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One cell before and after.

    Parameters
    ----------
    moved_m2
        Units: m². Area gained plus area lost.
    """

    kind: RepairKind
    code: str
    before: BaseGeometry
    after: BaseGeometry
    moved_m2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairProposal:
    """What would be changed, and the report before and after it.

    ``cells`` are all cells in their order, with the proposed boundaries. Shape: MultiPolygon on the 1e-7° grid.
    """

    repairs: tuple[Repair, ...]
    cells: tuple[CoverageCell, ...]
    before: CoverageReport
    after: CoverageReport

    @property
    def is_better(self) -> bool:
        """Whether fewer findings that break the tiling are left."""
        return _broken(self.after) < _broken(self.before)


def propose_repairs(
    cells: Sequence[CoverageCell],
    area_m2: Area,
    *,
    snap_m: float = DEFAULT_SNAP_M,
    tolerance_m2: float = DEFAULT_TOLERANCE_M2,
    sliver_width_m: float = DEFAULT_SLIVER_WIDTH_M,
    before: CoverageReport | None = None,
) -> RepairProposal:
    """Say what snapping and giving slivers away would change; nothing is changed.

    Only vertices whose edges do not match are moved, by no more than ``snap_m``; only gaps and overlaps that are
    slivers (`Finding.is_sliver`) change their owner. Everything larger is a decision about land and stays as it is.

    Parameters
    ----------
    snap_m
        Units: m. Tolerance of snapping.
    before
        The report, if it is already there.

    Examples
    --------
    Two cells that miss each other by 5 cm meet after the repair; the eastern vertex moves to the western one.

    >>> import shapely
    >>> west = CoverageCell(code="1", level=1, parent=None, boundary=shapely.box(113.6, 34.7, 113.61, 34.71))
    >>> east = CoverageCell(code="2", level=1, parent=None, boundary=shapely.box(113.6100005, 34.7, 113.62, 34.71))
    >>> found = propose_repairs([west, east], lambda shape: shape.area * 1e10)
    >>> [(repair.kind.value, repair.code) for repair in found.repairs]
    [('snap', '2')]
    """
    check = partial(check_coverage, area_m2=area_m2, tolerance_m2=tolerance_m2, sliver_width_m=sliver_width_m)
    report = before or check(cells)
    snapped = snap_cells(cells, snap_m)
    now = list(snapped)
    after = check(now)
    given: set[str] = set()
    for _ in range(_ROUNDS):
        changed = _give_slivers_away(now, after)
        if not changed:
            break
        given |= {now[index].code for index in changed}
        for index, boundary in changed.items():
            now[index] = replace(now[index], boundary=boundary)
        # A piece that was added brings its own vertices; its neighbours must learn them.
        now = list(snap_cells(now, snap_m))
        after = check(now)
    repairs = []
    for old, new in zip(cells, now, strict=True):
        if shapely.equals(old.boundary, new.boundary) and shapely.equals_identical(
            shapely.normalize(old.boundary), shapely.normalize(new.boundary)
        ):
            continue
        moved = areal(shapely.symmetric_difference(shapely.make_valid(old.boundary), new.boundary))
        kind = RepairKind.ASSIGN_SLIVER if new.code in given else RepairKind.SNAP
        area = 0.0 if moved.is_empty else area_m2(moved)
        repairs.append(Repair(kind=kind, code=new.code, before=old.boundary, after=new.boundary, moved_m2=area))
    repairs.sort(key=lambda repair: (-repair.moved_m2, repair.code))
    return RepairProposal(repairs=tuple(repairs), cells=tuple(now), before=report, after=after)


def _give_slivers_away(cells: Sequence[CoverageCell], report: CoverageReport) -> dict[int, BaseGeometry]:
    """New boundaries by index; highest level first, because a parent that grows opens a gap among its children."""
    index_of = {cell.code: index for index, cell in enumerate(cells)}
    children: dict[str | None, list[int]] = defaultdict(list)
    for index, cell in enumerate(cells):
        children[cell.parent].append(index)
    slivers = [finding for finding in report.findings if finding.is_sliver and finding.kind in _GIVEN]
    levels = [min(cells[index].level for index in children[finding.parent]) for finding in slivers]
    changed: dict[int, BaseGeometry] = {}
    for finding, level in zip(slivers, levels, strict=True):
        if level != min(levels):
            continue
        for index, shape in _changes(cells, finding, index_of, children[finding.parent]):
            base = changed.get(index, cells[index].boundary)
            joined = shapely.union(base, finding.where) if shape else shapely.difference(base, finding.where)
            clean = _on_grid(joined)
            if clean is not None:
                changed[index] = clean
    return changed


_GIVEN = frozenset({FindingKind.GAP, FindingKind.OPEN_SLIT, FindingKind.OVERLAP, FindingKind.OUTSIDE})


def _changes(
    cells: Sequence[CoverageCell], finding: Finding, index_of: dict[str, int], family: Sequence[int]
) -> list[tuple[int, bool]]:
    """Which cells gain (True) or lose the sliver."""
    if finding.kind is FindingKind.OUTSIDE:
        return [(index_of[finding.cells[0]], False)]
    rim = shapely.boundary(finding.where)
    if finding.kind is FindingKind.OVERLAP:
        keeper = max(finding.cells, key=lambda code: (_shared(cells[index_of[code]].boundary, rim), code))
        return [(index_of[code], False) for code in finding.cells if code != keeper]
    near = [index for index in family if shapely.intersects(cells[index].boundary, finding.where)]
    if not near:
        return []
    longest = max(near, key=lambda index: (_shared(cells[index].boundary, rim), cells[index].code))
    return [(longest, True)]


def _shared(boundary: BaseGeometry, rim: BaseGeometry) -> float:
    # A sliver's vertices are rounded, so it only almost lies on its neighbour.
    return float(shapely.intersection(shapely.buffer(boundary, 3 / GRID_PER_DEGREE), rim).length)


def _on_grid(shape: BaseGeometry) -> BaseGeometry | None:
    snapped = areal(shapely.make_valid(shapely.remove_repeated_points(shapely.transform(shape, snap_to_grid), 0)))
    if snapped.is_empty:
        return None
    return shapely.MultiPolygon(shapely.get_parts(shapely.orient_polygons(snapped, exterior_cw=False)).tolist())


def _broken(report: CoverageReport) -> int:
    return report.below_tolerance + sum(finding.breaks_tiling for finding in report.findings)
