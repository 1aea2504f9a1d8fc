"""From a file to a ready plan of cells, or to the full list of its faults. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import shapely
from shapely import Point
from shapely.geometry.base import BaseGeometry

from geo.codes import CODE_SYSTEMS, CodeProblem, CodeSystem, find_problem, problem_facts
from geo.coordinates import GRID_PER_DEGREE, CoordSys
from geo.coverage import (
    DEFAULT_SLIVER_WIDTH_M,
    DEFAULT_SNAP_M,
    DEFAULT_TOLERANCE_M2,
    CoverageCell,
    CoverageReport,
    RepairProposal,
    check_coverage,
    propose_repairs,
)
from geo.importing.attributes import CellAttributes, LevelRule, read_attributes
from geo.importing.faults import Fault, FaultCode, FileRefusedError, Note, NoteCode, refuse
from geo.importing.features import RawFile
from geo.importing.frames import choose_frame
from geo.importing.measures import area_m2, label_points
from geo.importing.reading import read_features
from geo.importing.shapes import check_shapes
from geo.importing.tree import ParentRule, RootedCell, ShapedCell, dissolve, root
from geo.lookup.edges import WIDEST


class RepairWish(StrEnum):
    """Whether repairs are left alone, shown, or made; never made without being shown."""

    NONE = "none"
    SHOW = "show"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellImportOptions:
    """What the user declares about a file of cells."""

    mapping: Mapping[str, str]
    coord_sys: CoordSys | None = None
    crs: str | None = None
    levels: LevelRule = field(default_factory=LevelRule)
    parents: ParentRule = ParentRule.NONE
    dissolve: Mapping[int, int] = field(default_factory=dict)
    layer: str | None = None
    encoding: str | None = None
    code_system: str = "free"
    tolerance_m2: float = DEFAULT_TOLERANCE_M2
    sliver_width_m: float = DEFAULT_SLIVER_WIDTH_M
    snap_m: float = DEFAULT_SNAP_M
    repairs: RepairWish = RepairWish.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCell:
    """A cell ready to be stored.

    Units: ``area_m2`` m² on the ellipsoid. SRID: 4326. Shape: ``boundary`` MultiPolygon, ``label_point`` inside it.
    """

    attributes: CellAttributes
    path: tuple[str, ...]
    boundary: BaseGeometry
    label_point: Point
    area_m2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPlan:
    """The outcome of reading and checking: either ``cells`` (parents first) or ``faults``, never both.

    ``repairs`` is what could be repaired, if that was asked; ``cells`` hold it only when it was accepted.
    """

    file: str
    driver: str
    layer: str | None
    encoding: str | None
    frame: str
    features: int
    cells: Sequence[PlannedCell]
    coverage: CoverageReport | None
    faults: Sequence[Fault]
    notes: Sequence[Note]
    repairs: RepairProposal | None = None


def plan_cells(
    path: Path, options: CellImportOptions, *, progress: Callable[[str, int, int], None] | None = None
) -> GridPlan:
    """Read a file of cells and check all of it; nothing is written anywhere.

    Parameters
    ----------
    progress
        Called as ``progress(stage, done, total)``; stages: ``read``, ``shapes``, ``coverage``.

    Notes
    -----
    All faults are collected, feature by feature, so that a file is mended in one go; only when the features themselves
    are sound is the tree looked at. Cost: 20,000 cells of ten vertices in about 3 s.
    """
    tell = progress or (lambda _stage, _done, _total: None)
    empty = GridPlan(
        file=path.name,
        driver="",
        layer=options.layer,
        encoding=None,
        frame="",
        features=0,
        cells=(),
        coverage=None,
        faults=(),
        notes=(),
    )
    try:
        tell("read", 0, 1)
        file = read_features(path, layer=options.layer, encoding=options.encoding)
        tell("read", 1, 1)
        return _plan(empty, file, options, tell)
    except FileRefusedError as refused:
        return replace(empty, faults=(refused.fault,))


def _plan(
    empty: GridPlan, file: RawFile, options: CellImportOptions, tell: Callable[[str, int, int], None]
) -> GridPlan:
    frame, frame_notes = choose_frame(options.coord_sys, options.crs, file)
    attributes, attribute_faults = read_attributes(file.features, file.columns, options.mapping, options.levels)
    shapes = check_shapes(file.features, frame)
    tell("shapes", len(file.features), len(file.features))
    notes = [*file.notes, *frame_notes, *shapes.notes]
    faults = [*file.faults, *attribute_faults, *shapes.faults]
    found = replace(
        empty,
        driver=file.driver,
        layer=file.layer,
        encoding=file.encoding,
        frame=frame.name,
        features=len(file.features),
    )
    if not faults:
        cells = [ShapedCell(attributes=each, boundary=shapes.boundaries[each.number or 0]) for each in attributes]
        faults += [*_repeated_shapes(cells), *_too_wide(cells)]
        cells, dissolve_notes = dissolve(cells, options.dissolve)
        notes += dissolve_notes
        rooted, tree_faults = root(cells, _parent_rule(options, cells), options.dissolve)
        faults += tree_faults
        faults += _code_faults(rooted, CODE_SYSTEMS[options.code_system])
    if faults:
        faults.sort(key=lambda fault: (fault.feature or 0, fault.code))
        return replace(found, faults=tuple(faults), notes=tuple(notes))
    nameless = [each.attributes.number for each in rooted if not (each.attributes.name_zh or each.attributes.name_en)]
    if nameless:
        numbers = tuple(number for number in nameless if number is not None)
        notes.append(Note(code=NoteCode.NAME_FROM_CODE, count=len(nameless), features=numbers))
    coverage = _coverage(rooted, options, tell)
    repairs = None
    if options.repairs is not RepairWish.NONE:
        repairs = propose_repairs(
            _comparable(rooted),
            area_m2,
            snap_m=options.snap_m,
            tolerance_m2=options.tolerance_m2,
            sliver_width_m=options.sliver_width_m,
            before=coverage,
        )
        if options.repairs is RepairWish.ACCEPT and repairs.repairs:
            rooted = [replace(each, boundary=cell.boundary) for each, cell in zip(rooted, repairs.cells, strict=True)]
            coverage = repairs.after
            notes.append(Note(code=NoteCode.REPAIRED, count=len(repairs.repairs)))
    return replace(found, cells=_measure(rooted), coverage=coverage, notes=tuple(notes), repairs=repairs)


def _parent_rule(options: CellImportOptions, cells: Sequence[ShapedCell]) -> ParentRule:
    if options.parents is not ParentRule.NONE:
        return options.parents
    if "parent" in options.mapping:
        return ParentRule.COLUMN
    made = set(options.dissolve.values())
    if any(cell.attributes.level > 1 and cell.attributes.level - 1 not in made for cell in cells):
        raise refuse(FaultCode.OPTION_CONFLICT, first="--parent-by-code", second="--map parent=…")
    return ParentRule.NONE


def _repeated_shapes(cells: Sequence[ShapedCell]) -> list[Fault]:
    """Two cells of one level with one and the same boundary: a copy that got another code."""
    first_of: dict[tuple[int, bytes], CellAttributes] = {}
    faults = []
    for cell in cells:
        key = (cell.attributes.level, shapely.to_wkb(shapely.normalize(cell.boundary)))
        first = first_of.setdefault(key, cell.attributes)
        if first is not cell.attributes:
            params: dict[str, str | int | float] = {"value": cell.attributes.code, "first": first.number or 0}
            faults.append(Fault(code=FaultCode.DUPLICATE_SHAPE, feature=cell.attributes.number, params=params))
    return faults


def _too_wide(cells: Sequence[ShapedCell]) -> list[Fault]:
    """What spans more than the lookup can hold: a shape across the 180° meridian, a longitude that lost its sign."""
    bounds = shapely.bounds([cell.boundary for cell in cells])
    limit = WIDEST / GRID_PER_DEGREE
    spans = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    wrong = np.flatnonzero(spans > limit)
    if not len(wrong):
        low, high = bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0)
        if (high - low).max() <= limit:
            return []
        # Together too wide: those that lie far from where most are.
        far = np.abs(bounds - np.median(bounds, axis=0)).max(axis=1)
        wrong = np.flatnonzero(far > far.max() / 2)
        spans = np.full(len(cells), (high - low).max())
    return [
        Fault(
            code=FaultCode.TOO_WIDE,
            feature=cells[place].attributes.number,
            position=(float(bounds[place, 0]), float(bounds[place, 1])),
            params={"span": round(float(spans[place]), 1), "limit": round(limit)},
        )
        for place in wrong.tolist()
    ]


def _code_faults(rooted: Sequence[RootedCell], system: CodeSystem) -> list[Fault]:
    faults = []
    for each in rooted:
        code, level = each.attributes.code, each.attributes.level
        problem = find_problem(system, code, level, each.parent)
        if problem is not None:
            is_parent = problem is CodeProblem.NOT_UNDER_PARENT
            name = FaultCode.CODE_NOT_UNDER_PARENT if is_parent else FaultCode.CODE_SYSTEM
            params = problem_facts(system, code, level, each.parent)
            faults.append(Fault(code=name, feature=each.attributes.number, params=params))
    return faults


def _comparable(rooted: Sequence[RootedCell]) -> list[CoverageCell]:
    return [
        CoverageCell(code=each.attributes.code, level=each.attributes.level, parent=each.parent, boundary=each.boundary)
        for each in rooted
    ]


def _coverage(
    rooted: Sequence[RootedCell], options: CellImportOptions, tell: Callable[[str, int, int], None]
) -> CoverageReport:
    families = len({each.parent for each in rooted})
    return check_coverage(
        _comparable(rooted),
        area_m2,
        tolerance_m2=options.tolerance_m2,
        sliver_width_m=options.sliver_width_m,
        progress=lambda done: tell("coverage", done, families),
    )


def _measure(rooted: Sequence[RootedCell]) -> tuple[PlannedCell, ...]:
    labels = label_points([each.boundary for each in rooted])
    return tuple(
        PlannedCell(
            attributes=each.attributes,
            path=each.path,
            boundary=each.boundary,
            label_point=label,
            area_m2=area_m2(each.boundary),
        )
        for each, label in zip(rooted, labels, strict=True)
    )
