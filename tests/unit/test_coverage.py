"""The coverage proof: exact where edges match, areas where they do not, and repairs that are only offered."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.tiling import make_tiling
from geo.coordinates import GRID_PER_DEGREE, snap_to_grid
from geo.coverage import (
    CoverageCell,
    CoverageReport,
    FindingKind,
    Severity,
    check_coverage,
    coverage_geojson,
    propose_repairs,
)
from geo.importing.measures import area_m2

UNIT = 1 / GRID_PER_DEGREE
METRE = 100 * UNIT  # about 1.1 m north, 0.9 m east


@cache
def lattice() -> tuple[CoverageCell, ...]:
    """Two subdistricts, irregular, three levels, exact."""
    found = list(make_tiling(8, 4, block=2).cells())
    code_of = {cell.cell_id: cell.code for cell in found}
    return tuple(
        CoverageCell(code=cell.code, level=cell.level, parent=code_of.get(cell.parent_id or 0), boundary=cell.boundary)
        for cell in found
    )


def with_shape(index: int, boundary: Any) -> list[CoverageCell]:
    cells = list(lattice())
    cells[index] = replace(cells[index], boundary=boundary)
    return cells


def box(code: str, *bounds: float, parent: str | None = None, level: int | None = None) -> CoverageCell:
    shape = shapely.transform(shapely.box(*bounds), snap_to_grid)
    return CoverageCell(code=code, level=level or (1 if parent is None else 2), parent=parent, boundary=shape)


def kinds(report: CoverageReport) -> list[str]:
    return [finding.kind.value for finding in report.findings]


LEAVES = [index for index, cell in enumerate(lattice()) if cell.level == 3]


def test_an_exact_grid_is_proven_by_edges_alone() -> None:
    report = check_coverage(lattice(), area_m2)
    assert report.is_proven
    assert report.proven_by_edges == report.families == 11
    assert report.findings == ()


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_moved_vertex_escapes(data: st.DataObject) -> None:
    """One unit of the grid is 1 cm: whatever vertex of a leaf moves, its family is refuted and the others hold."""
    index = data.draw(st.sampled_from(LEAVES))
    cell = lattice()[index]
    ring = shapely.get_coordinates(cell.boundary)[:-1]
    place = data.draw(st.integers(0, len(ring) - 1))
    step = data.draw(st.tuples(st.integers(-40_000, 40_000), st.integers(-40_000, 40_000)).filter(any))
    moved = ring.copy()
    moved[place] = snap_to_grid(moved[place] + np.array(step) * UNIT)
    shape = shapely.Polygon(moved)
    report = check_coverage(with_shape(index, shapely.MultiPolygon([shape])), area_m2)
    if shape.is_valid and shapely.symmetric_difference(shape, cell.boundary).area == 0:
        assert report.is_proven  # the vertex slid along a straight side
        return
    assert not report.is_proven
    assert report.proven_by_edges == report.families - 1
    if not shape.is_valid:
        assert FindingKind.INVALID_RING in report.counts
    assert {finding.parent for finding in report.findings} <= {cell.parent}


@given(rows=st.lists(st.integers(1, 9_999), min_size=1, max_size=6, unique=True), tilt=st.integers(-3, 3))
@settings(max_examples=50, deadline=None)
def test_neighbours_may_cut_their_common_edge_differently(rows: Sequence[int], tilt: int) -> None:
    """The parent's long side has no vertex where its children meet; on the line they cancel all the same."""
    height = 10_000
    cuts = [0, *sorted(rows), height]
    start = np.array([1_136_000_000, 347_000_000])

    def quad(low: int, high: int) -> Any:
        corners = [(tilt * low, low), (20_000 + tilt * low, low), (20_000 + tilt * high, high), (tilt * high, high)]
        return shapely.Polygon((np.array(corners) + start) / GRID_PER_DEGREE)

    whole = CoverageCell(code="1", level=1, parent=None, boundary=quad(0, height))
    strips = [
        CoverageCell(code=f"1{number}", level=2, parent="1", boundary=quad(low, high))
        for number, (low, high) in enumerate(itertools.pairwise(cuts))
    ]
    report = check_coverage([whole, *strips], area_m2)
    assert report.is_proven
    assert report.proven_by_edges == 2


def test_worst_comes_first_and_slivers_after_land() -> None:
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61, 34.71, parent="1"),
        # 30 cm too far east, and a block short in the north
        box("12", 113.61 + 0.3 * METRE, 34.70, 113.62, 34.709, parent="1"),
    ]
    report = check_coverage(cells, area_m2)
    assert [(each.kind, each.severity, each.is_sliver) for each in report.findings] == [
        (FindingKind.GAP, Severity.ERROR, False)
    ]  # the strip hangs together with the block: one gap
    cells[2] = box("12", 113.61 + 0.3 * METRE, 34.70, 113.62, 34.71, parent="1")
    cells.append(box("13", 113.615, 34.70, 113.6151, 34.71, parent="1"))
    report = check_coverage(cells, area_m2)
    assert [(each.kind, each.severity) for each in report.findings] == [
        (FindingKind.OVERLAP, Severity.ERROR),
        (FindingKind.GAP, Severity.WARNING),
    ]
    assert report.findings[0].cells == ("12", "13")
    assert report.findings[0].area_m2 == pytest.approx(area_m2(cells[3].boundary), rel=1e-9)
    assert report.findings[1].width_m == pytest.approx(0.27, abs=0.05)
    assert report.slivers == 1


def test_tolerances_are_the_callers() -> None:
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61, 34.71, parent="1"),
        box("12", 113.61 + UNIT, 34.70, 113.62, 34.71, parent="1"),
    ]
    assert check_coverage(cells, area_m2).findings[0].is_sliver
    assert not check_coverage(cells, area_m2, sliver_width_m=0.0).findings[0].is_sliver
    counted = check_coverage(cells, area_m2, tolerance_m2=100.0)
    assert (counted.findings, counted.below_tolerance, counted.is_proven) == ((), 1, False)


def test_a_child_that_belongs_to_nobody_and_a_code_that_is_there_twice() -> None:
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61, 34.71, parent="1"),
        box("12", 113.61, 34.70, 113.62, 34.71, parent="1"),
        box("21", 113.60, 34.80, 113.61, 34.81, parent="2"),
        box("111", 113.60, 34.70, 113.61, 34.71, parent="1", level=3),
    ]
    report = check_coverage(cells, area_m2)
    assert sorted((each.kind.value, each.cells) for each in report.findings) == [
        ("orphan", ("111",)),
        ("orphan", ("21",)),
    ]
    report = check_coverage([*cells[:3], cells[2]], area_m2)
    assert sorted(set(kinds(report))) == ["duplicate_code", "overlap"]


def test_an_invalid_ring_is_named_with_its_place_and_its_family_still_looked_at() -> None:
    bow_tie = shapely.Polygon([(113.60, 34.70), (113.61, 34.71), (113.61, 34.70), (113.60, 34.71)])
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        CoverageCell(code="11", level=2, parent="1", boundary=bow_tie),
        box("12", 113.61, 34.70, 113.62, 34.71, parent="1"),
    ]
    report = check_coverage(cells, area_m2)
    ring = next(each for each in report.findings if each.kind is FindingKind.INVALID_RING)
    assert (round(ring.where.x, 9), round(ring.where.y, 9), ring.reason) == (113.605, 34.705, "Self-intersection")
    assert report.area_of(FindingKind.GAP) == pytest.approx(area_m2(cells[2].boundary) / 2, rel=1e-3)


def test_wrong_winding_is_accepted_and_said() -> None:
    index = LEAVES[3]
    cell = lattice()[index]
    report = check_coverage(with_shape(index, shapely.reverse(cell.boundary)), area_m2)
    assert report.is_proven
    assert report.rewound == (cell.code,)


def test_a_hole_among_level_one_cells_is_somebody_elses_but_a_slit_is_not() -> None:
    around = shapely.difference(shapely.box(113.6, 34.7, 113.63, 34.73), shapely.box(113.61, 34.71, 113.62, 34.72))
    ring = CoverageCell(code="1", level=1, parent=None, boundary=shapely.MultiPolygon([around]))
    report = check_coverage([ring], area_m2)
    assert kinds(report) == ["hole"]
    assert report.is_proven
    filling = box("2", 113.61 + 0.3 * METRE, 34.71, 113.62, 34.72)
    report = check_coverage([ring, filling], area_m2)
    assert kinds(report) == ["gap"]
    assert report.findings[0].is_sliver
    assert not report.is_proven


def _split_by(slit_m: float) -> list[CoverageCell]:
    """Two townships; from half their height up the eastern one keeps away from the western one."""
    away = 113.61 + slit_m / 0.914 * METRE
    return [
        box("1", 113.6, 34.7, 113.61, 34.71),
        box("2", 113.61, 34.7, 113.62, 34.705),
        box("3", away, 34.705, 113.62, 34.71),
    ]


@pytest.mark.parametrize(("slit_m", "width_m", "found"), [
    (0.3, 0.5, True), (0.02, 0.5, True), (0.45, 0.5, True), (0.8, 0.5, False), (0.8, 1.0, True), (0.3, 0.1, False),
    (0.3, 0.0, False), (0.0, 0.5, False),
])  # fmt: skip
def test_a_slit_that_runs_out_to_the_rim_is_told_by_the_width_of_a_sliver(
    slit_m: float, width_m: float, found: bool
) -> None:
    report = check_coverage(_split_by(slit_m), area_m2, sliver_width_m=width_m)
    assert kinds(report) == ["open_slit"] * found
    assert report.is_proven is not found
    for finding in report.findings:
        assert finding.severity is Severity.WARNING
        assert {"1", "3"} <= set(finding.cells)
        # Two units of the grid are 18 mm, not 20.
        assert finding.area_m2 == pytest.approx(slit_m * 554.8, rel=0.1)
        # Across a parallel a degree is shorter than the mean that the width is taken by.
        assert finding.width_m == pytest.approx(slit_m, rel=0.15)
        assert finding.where.within(shapely.box(113.60999, 34.70499, 113.61001, 34.71001))
    large = check_coverage(_split_by(slit_m), area_m2, sliver_width_m=width_m, tolerance_m2=1000.0)
    assert (large.findings, large.below_tolerance) == ((), int(found))


def test_a_slit_between_children_of_a_parent_joined_from_them_is_told_and_closed_by_an_offered_repair() -> None:
    """The parent has the slit itself, so it is no gap in it."""
    cells = [replace(cell, code=f"1{cell.code}", level=2, parent="1") for cell in _split_by(0.3)]
    joined = shapely.transform(shapely.union_all([cell.boundary for cell in cells], grid_size=UNIT), snap_to_grid)
    whole = CoverageCell(
        code="1", level=1, parent=None, boundary=shapely.MultiPolygon(shapely.get_parts(joined).tolist())
    )
    report = check_coverage([whole, *cells], area_m2)
    assert kinds(report) == ["open_slit"]
    assert {"11", "13"} <= set(report.findings[0].cells)
    proposal = propose_repairs([whole, *cells], area_m2)
    assert proposal.is_better
    assert proposal.after.is_proven


def test_a_notch_of_one_cell_and_a_corner_between_two_are_no_slits() -> None:
    notched = shapely.difference(
        shapely.box(113.6, 34.7, 113.61, 34.71), shapely.box(113.605, 34.705, 113.605 + 0.3 * METRE, 34.72)
    )
    wedge = shapely.Polygon([(113.61, 34.7), (113.62, 34.7), (113.62, 34.71), (113.612, 34.71)])
    cells = [
        CoverageCell(code="1", level=1, parent=None, boundary=shapely.transform(notched, snap_to_grid)),
        CoverageCell(code="2", level=1, parent=None, boundary=shapely.transform(wedge, snap_to_grid)),
    ]
    assert check_coverage(cells, area_m2).is_proven


def test_a_cell_that_lies_over_many_at_level_one_is_found_though_they_match() -> None:
    cells = [
        box(f"{row}{column}", 113.6 + column / 100, 34.7 + row / 100, 113.61 + column / 100, 34.71 + row / 100)
        for row in range(6)
        for column in range(6)
    ]
    assert check_coverage(cells, area_m2).is_proven
    inside = box("X", 113.625, 34.725, 113.635, 34.735)
    report = check_coverage([*cells, inside], area_m2)
    assert kinds(report) == ["overlap"] * 4
    assert report.area_of(FindingKind.OVERLAP) == pytest.approx(area_m2(inside.boundary), rel=1e-9)


def test_cells_off_the_grid_are_compared_by_area() -> None:
    third = 113.6 + 1 / 300
    cells = [
        CoverageCell(code="1", level=1, parent=None, boundary=shapely.box(113.6, 34.7, 113.61, 34.71)),
        CoverageCell(code="11", level=2, parent="1", boundary=shapely.box(113.6, 34.7, third, 34.71)),
        CoverageCell(code="12", level=2, parent="1", boundary=shapely.box(third, 34.7, 113.61, 34.71)),
    ]
    report = check_coverage(cells, area_m2)
    assert (report.proven_by_edges, kinds(report), report.is_proven) == (1, [], True)  # level 1 is on the grid
    report = check_coverage(cells[:2], area_m2)
    assert kinds(report) == ["gap"]


def test_a_cell_without_children_among_divided_ones_is_mentioned() -> None:
    cells = [
        box("1", 113.60, 34.70, 113.61, 34.71),
        box("2", 113.61, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61, 34.71, parent="1"),
    ]
    report = check_coverage(cells, area_m2)
    assert [(each.kind, each.cells, each.severity) for each in report.findings] == [
        (FindingKind.UNDIVIDED, ("2",), Severity.NOTICE)
    ]
    assert report.is_proven


def test_nothing_to_prove() -> None:
    report = check_coverage([], area_m2)
    assert (report.families, report.is_proven) == (0, True)


def test_geojson_names_class_severity_area_and_box() -> None:
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61, 34.71, parent="1"),
    ]
    document = coverage_geojson(check_coverage(cells, area_m2), lambda finding: f"say {finding.kind}")
    feature = json.loads(json.dumps(document))["features"][0]
    assert feature["bbox"] == [113.61, 34.7, 113.62, 34.71]
    assert feature["properties"]["area_m2"] == pytest.approx(area_m2(shapely.box(*feature["bbox"])), abs=1e-3)
    assert {key: feature["properties"][key] for key in ("class", "severity", "parent", "cells", "sentence")} == {
        "class": "gap",
        "severity": "error",
        "parent": "1",
        "cells": [],
        "sentence": "say gap",
    }
    assert shapely.geometry.shape(feature["geometry"]).equals(shapely.box(*feature["bbox"]))
    assert document["coverage"]["by_class"]["gap"]["count"] == 1


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_snapping_mends_small_slips_on_all_levels(data: st.DataObject) -> None:
    """Every vertex of some leaves is off by up to 15 cm; afterwards the grid is exact and nothing moved further."""
    chosen = data.draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=4, unique=True))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    cells = list(lattice())
    for index in chosen:
        ring = shapely.get_coordinates(cells[index].boundary)[:-1]
        slip = rng.integers(-15, 16, ring.shape) * UNIT
        boundary = shapely.MultiPolygon([shapely.Polygon(snap_to_grid(ring + slip))])
        cells[index] = replace(cells[index], boundary=boundary)
    proposal = propose_repairs(cells, area_m2, snap_m=0.5)
    assert proposal.after.is_proven
    for old, new in zip(lattice(), proposal.cells, strict=True):
        assert shapely.hausdorff_distance(old.boundary, new.boundary) < 0.6 * METRE
    assert check_coverage(cells, area_m2).is_proven == proposal.before.is_proven


def test_what_is_exact_is_left_alone() -> None:
    proposal = propose_repairs(lattice(), area_m2)
    assert proposal.repairs == ()
    assert proposal.cells == lattice()
    assert not proposal.is_better


def test_a_sliver_goes_to_the_neighbour_with_the_longest_border() -> None:
    wide = 0.4 * METRE
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61, 34.71, parent="1"),
        box("12", 113.61 + wide, 34.70, 113.62, 34.705, parent="1"),
        box("13", 113.61 + wide, 34.705, 113.62, 34.71, parent="1"),
    ]
    proposal = propose_repairs(cells, area_m2, snap_m=0.05)
    assert [(repair.kind.value, repair.code) for repair in proposal.repairs] == [("assign_sliver", "11")]
    assert proposal.after.is_proven
    assert proposal.repairs[0].moved_m2 == pytest.approx(proposal.before.findings[0].area_m2, rel=1e-6)


def test_land_is_never_given_away() -> None:
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61, 34.71, parent="1"),
        box("12", 113.611, 34.70, 113.62, 34.71, parent="1"),
    ]
    proposal = propose_repairs(cells, area_m2)
    assert proposal.repairs == ()
    assert kinds(proposal.after) == ["gap"]


def test_an_overlapping_sliver_is_taken_from_one_of_two() -> None:
    cells = [
        box("1", 113.60, 34.70, 113.62, 34.71),
        box("11", 113.60, 34.70, 113.61 + 0.4 * METRE, 34.71, parent="1"),
        box("12", 113.61, 34.70, 113.62, 34.71, parent="1"),
        box("121", 113.61, 34.70, 113.62, 34.71, parent="12", level=3),
    ]
    proposal = propose_repairs(cells, area_m2, snap_m=0.02)
    assert proposal.before.counts[FindingKind.OVERLAP] == 1
    assert proposal.after.counts[FindingKind.OVERLAP] == 0
    assert proposal.after.is_proven


def test_an_island_in_a_hole_is_no_part_of_it() -> None:
    around = shapely.difference(shapely.box(113.6, 34.7, 113.63, 34.73), shapely.box(113.61, 34.71, 113.62, 34.72))
    lake = CoverageCell(code="1", level=1, parent=None, boundary=shapely.MultiPolygon([around]))
    island = box("2", 113.614, 34.714, 113.616, 34.716)
    report = check_coverage([lake, island], area_m2)
    assert kinds(report) == ["hole"]
    assert report.findings[0].area_m2 == pytest.approx(
        area_m2(shapely.box(113.61, 34.71, 113.62, 34.72)) - area_m2(island.boundary), rel=1e-6
    )
