"""Redrawing a draft: each operation, what it refuses, and any sequence of them keeps every level an exact tiling."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon, box

from geo.coverage import CoverageCell, check_coverage
from geo.errors import BadInputError
from geo.importing.measures import area_m2
from geo.redraw.applying import apply
from geo.redraw.operations import Add, Edit, Merge, MoveBoundary, NewCell, Operation, Reassign, Retire, Split
from geo.redraw.patch import DraftCell, Patch, as_multi, rings
from geo.redraw.vertices import insert_everywhere

ORIGIN = (1136000000, 347400000)
STEP = 20_000


def cell(
    code: str, parent: str | None, shape: Polygon | MultiPolygon, path: tuple[str, ...], **facts: Any
) -> DraftCell:
    return DraftCell(code=code, level=len(path), parent=parent, path=path, shape=as_multi(shape), **facts)


def district() -> Patch:
    """L with W (W1 south, W2 north) and E (E1 south, E2 north); each quarter is 0.002° square.

    L, W and E have no vertex where their children's corners meet their edges, as hand-drawn parents have none.
    """
    cells = [
        cell("L", None, box(0, 0, 2 * STEP, 2 * STEP), ("L",)),
        cell("W", "L", box(0, 0, STEP, 2 * STEP), ("L", "W")),
        cell("E", "L", box(STEP, 0, 2 * STEP, 2 * STEP), ("L", "E")),
        cell("W1", "W", box(0, 0, STEP, STEP), ("L", "W", "W1"), population=10),
        cell("W2", "W", box(0, STEP, STEP, 2 * STEP), ("L", "W", "W2"), population=20),
        cell("E1", "E", box(STEP, 0, 2 * STEP, STEP), ("L", "E", "E1")),
        cell("E2", "E", box(STEP, STEP, 2 * STEP, 2 * STEP), ("L", "E", "E2"), population=5),
    ]
    return Patch(origin=ORIGIN, cells={one.code: one for one in cells})


def at(x: float, y: float) -> tuple[float, float]:
    """Position of a point given in grid units from the origin."""
    return ((ORIGIN[0] + x) / 1e7, (ORIGIN[1] + y) / 1e7)


def line(*points: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return tuple(at(*point) for point in points)


def new(code: str, **facts: Any) -> NewCell:
    return NewCell(code=code, **facts)


def proven(patch: Patch) -> bool:
    found = check_coverage(
        [
            CoverageCell(code=one.code, level=one.level, parent=one.parent, boundary=patch.shape_in_degrees(one.shape))
            for one in patch.cells.values()
        ],
        area_m2,
        tolerance_m2=0.0,
        # What is a sliver to a district is half of one of the tiny cells here.
        sliver_width_m=0.0,
    )
    return found.is_proven


def twice_area(shape: MultiPolygon) -> int:
    """Exact, in whole numbers."""
    total = 0
    for ring in rings(shape):
        x, y = ring[:, 0].tolist(), ring[:, 1].tolist()
        total += sum(x[i] * y[i + 1] - x[i + 1] * y[i] for i in range(len(x) - 1))
    return total


def refusal(patch: Patch, operation: Operation) -> tuple[str, str | None]:
    with pytest.raises(BadInputError) as caught:
        apply(patch, operation, area_m2)
    return caught.value.code, caught.value.pointer


SPLIT_W1 = Split(cell="W1", line=line((-10, 7001), (20_010, 13_000)), into=(new("W1a"), new("W1b")))


def test_a_split_gives_its_new_corners_to_neighbours_and_parents() -> None:
    patch = district()
    lineage = apply(patch, SPLIT_W1, area_m2)
    assert set(patch.cells) == {"L", "W", "E", "W1a", "W1b", "W2", "E1", "E2"}
    assert proven(patch)
    shares = {row.to_code: row.share for row in lineage}
    assert sum(shares.values()) == pytest.approx(1)
    assert {row.from_code for row in lineage} == {"W1"}
    # To the left of a line drawn eastwards is the north.
    assert patch.cells["W1a"].shape.centroid.y > patch.cells["W1b"].shape.centroid.y
    corner = (STEP, 12_997)
    for code in ("W1a", "W1b", "E1", "W", "E"):
        assert corner in set(map(tuple, shapely.get_coordinates(patch.cells[code].shape).astype(int).tolist())), code
    assert patch.cells["W1a"].path == ("L", "W", "W1a")
    assert sum(twice_area(patch.cells[code].shape) for code in ("W1a", "W1b")) == 2 * STEP**2


def test_a_split_may_keep_the_old_code_and_through_corners_makes_no_new_ones() -> None:
    patch = district()
    apply(patch, Split(cell="W1", line=line((0, 0), (STEP, STEP)), into=(new("W1"), new("W9"))), area_m2)
    assert len(shapely.get_coordinates(patch.cells["W1"].shape)) == 4
    assert patch.cells["E1"].shape is patch.before["E1"].shape
    assert proven(patch)


def test_a_line_with_bends_that_leaves_and_comes_back_cuts_all_the_same() -> None:
    patch = district()
    bends = line((-500, 5000), (5000, 9000), (10_000, -3000), (15_000, 9000), (25_000, 6000))
    apply(patch, Split(cell="W1", line=bends, into=(new("N"), new("S"))), area_m2)
    assert len(patch.cells["S"].shape.geoms) == 2
    assert proven(patch)


@pytest.mark.parametrize(
    ("points", "code", "pointer"),
    [
        (((-10, -10), (-5, 30_000)), "geo.redraw_line_misses", "/line"),
        (((0, 0), (0, STEP)), "geo.redraw_line_misses", "/line"),
        (((5, 5), (5, 5)), "geo.redraw_line_misses", "/line"),
        (((5000, 5000), (25_000, 6000)), "geo.redraw_line_ends_inside", "/line/0"),
        (((-5, 5000), (6000, 6000)), "geo.redraw_line_ends_inside", "/line/1"),
        (
            ((-5, 5000), (15_000, 5000), (15_000, 9000), (5000, 9000), (5000, -10)),
            "geo.redraw_line_crosses_itself",
            "/line",
        ),
    ],
)
def test_lines_that_do_not_cut(points: Any, code: str, pointer: str) -> None:
    operation = Split(cell="W1", line=line(*points), into=(new("A"), new("B")))
    assert refusal(district(), operation) == (code, pointer)


def test_an_end_inside_is_named_with_its_position() -> None:
    operation = Split(cell="W1", line=line((5000, 5000), (25_000, 6000)), into=(new("A"), new("B")))
    with pytest.raises(BadInputError) as caught:
        apply(district(), operation, area_m2)
    assert (caught.value.params["lon"], caught.value.params["lat"]) == at(5000, 5000)


def test_a_divided_cell_is_split_by_its_children() -> None:
    patch = district()
    operation = Split(cell="W", into=(new("Wa", children=("W1",)), new("Wb", children=("W2",))))
    apply(patch, operation, area_m2)
    assert patch.cells["W1"].path == ("L", "Wa", "W1")
    assert proven(patch)


@pytest.mark.parametrize(
    ("operation", "refused"),
    [
        (Split(cell="X", into=(new("A"), new("B"))), ("geo.redraw_cell_unknown", "/cell")),
        (Split(cell="W1", into=(new("A"), new("E1"))), ("geo.redraw_code_taken", "/into/1/code")),
        (Split(cell="W1", into=(new("A"), new("A"))), ("geo.redraw_code_taken", "/into/1/code")),
        (Split(cell="W", line=line((0, 5), (9, 5)), into=(new("A"), new("B"))), ("geo.redraw_has_children", "/line")),
        (
            Split(cell="W", into=(new("A", children=("W1",)), new("B", children=("E1",)))),
            ("geo.redraw_not_a_child", "/into/1/children/0"),
        ),
        (
            Split(cell="W", into=(new("A", children=("W1", "W2")), new("B"))),
            ("geo.redraw_children_missing", "/into/1/children"),
        ),
        (Merge(cells=("W1", "E1"), into=new("A")), ("geo.redraw_different_parents", "/cells/1")),
        (Merge(cells=("W1", "W2"), into=new("E1")), ("geo.redraw_code_taken", "/into/code")),
        (Merge(cells=("W1", "W1"), into=new("A")), ("geo.redraw_same_cell", "/cells")),
        (MoveBoundary(cells=("W1", "E2"), line=line((0, 5), (9, 5))), ("geo.redraw_not_neighbours", "/cells")),
        (MoveBoundary(cells=("W1", "E"), line=line((0, 5), (9, 5))), ("geo.redraw_different_levels", "/cells")),
        (MoveBoundary(cells=("W", "E"), line=line((0, 5), (9, 5))), ("geo.redraw_has_children", "/cells/0")),
        (Reassign(cell="W1", parent="W"), ("geo.redraw_same_cell", "/parent")),
        (Reassign(cell="W1", parent="L"), ("geo.redraw_parent_level", "/parent")),
        (Retire(cell="W1", to="E2"), ("geo.redraw_not_neighbours", "/to")),
        (Edit(cell="W1", changes={"code": "E1"}), ("geo.redraw_code_taken", "/set/code")),
        (Add(into=new("W3"), parent="W"), ("geo.redraw_has_children", "/parent")),
        (
            Add(into=new("M"), rings=(line((0, 0), (9, 9), (0, 9), (9, 0), (0, 0)),)),
            ("geo.redraw_bad_polygon", "/boundary"),
        ),
        (
            Add(into=new("M"), rings=(line((-9, 0), (9, 0), (9, 9), (-9, 9), (-9, 0)),)),
            ("geo.redraw_overlaps", "/boundary"),
        ),
    ],
)
def test_what_cannot_be_done_is_named(operation: Operation, refused: tuple[str, str]) -> None:
    assert refusal(district(), operation) == refused


def test_merge_adds_what_is_known_and_keeps_the_common_outline() -> None:
    patch = district()
    lineage = apply(patch, Merge(cells=("W1", "W2"), into=new("W1", name_zh="合")), area_m2)
    assert patch.cells["W1"].population == 30
    assert patch.cells["W1"].id == patch.before["W1"].id
    assert patch.cells["W1"].shape.equals(patch.cells["W"].shape)
    assert {(row.from_code, row.to_code, row.share) for row in lineage} == {("W1", "W1", 1.0), ("W2", "W1", 1.0)}
    apply(patch := district(), Merge(cells=("E1", "E2"), into=new("E9")), area_m2)
    assert patch.cells["E9"].population is None, "a sum with an unknown part is unknown"
    assert proven(patch)


def test_a_boundary_between_two_parents_moves_with_both() -> None:
    patch = district()
    moved = MoveBoundary(cells=("W1", "E1"), line=line((STEP, 0), (23_333, 9001), (STEP, STEP)))
    lineage = {(row.from_code, row.to_code): row.share for row in apply(patch, moved, area_m2)}
    assert proven(patch)
    assert twice_area(patch.cells["L"].shape) == 2 * (2 * STEP) ** 2
    assert lineage["E1", "W1"] == pytest.approx(3333 / STEP / 2, rel=1e-3)
    assert lineage["E", "W"] == pytest.approx(lineage["E1", "W1"] / 2)
    assert lineage["W1", "W1"] == 1.0


def test_reassign_and_retire_move_area_between_parents() -> None:
    patch = district()
    lineage = {
        (row.from_code, row.to_code): row.share for row in apply(patch, Reassign(cell="W1", parent="E"), area_m2)
    }
    assert lineage == {("W1", "W1"): 1.0, ("W", "W"): 0.5, ("W", "E"): 0.5, ("E", "E"): 1.0}
    assert patch.cells["W1"].path == ("L", "E", "W1")
    assert proven(patch)
    patch = Patch(origin=ORIGIN, cells=patch.cells)
    apply(patch, Retire(cell="W1", to="E1"), area_m2)
    assert proven(patch)
    patch = Patch(origin=ORIGIN, cells=patch.cells)
    assert refusal(patch, Reassign(cell="W2", parent="E")) == ("geo.redraw_parent_empty", "/cell")


def test_retiring_a_divided_cell_hands_its_children_over() -> None:
    patch = district()
    apply(patch, Retire(cell="E", to="W"), area_m2)
    assert patch.cells["E2"].path == ("L", "W", "E2")
    assert proven(patch)


def test_half_the_globe_is_no_cell() -> None:
    globe = ((-170.0, -80.0), (170.0, -80.0), (170.0, 80.0), (-170.0, 80.0), (-170.0, -80.0))
    found = refusal(Patch(origin=ORIGIN, cells={}), Add(into=new("1"), rings=(globe,)))
    assert found == ("geo.redraw_bad_polygon", "/boundary")


def test_a_grid_can_grow_from_nothing() -> None:
    patch = Patch(origin=ORIGIN, cells={})
    outline = line((0, 0), (40_001, 313), (39_000, 41_000), (-777, 39_001), (0, 0))
    apply(patch, Add(into=new("1"), rings=(outline,)), area_m2)
    patch = Patch(origin=ORIGIN, cells=patch.cells)
    apply(patch, Add(into=new("11"), parent="1"), area_m2)
    patch = Patch(origin=ORIGIN, cells=patch.cells)
    apply(patch, Split(cell="11", line=line((-900, 17_007), (50_000, 23_456)), into=(new("11"), new("12"))), area_m2)
    assert proven(patch)
    assert patch.cells["12"].path == ("1", "12")


def _random_operation(patch: Patch, dice: random.Random, number: int) -> Operation:
    low = [one for one in patch.cells.values() if one.level == 3]
    one = dice.choice(low)
    west, south, east, north = (int(v) for v in one.shape.bounds)
    others = [other for other in low if other.code != one.code and other.shape.intersection(one.shape).length > 0]
    choice = dice.random()
    ends = [(dice.randint(west - 50, east + 50), side) for side in (south - 50, north + 50)]
    if dice.random() < 0.5:
        ends = [(side, dice.randint(south - 50, north + 50)) for side in (west - 50, east + 50)]
    if choice < 0.45 or not others:
        middle = [(dice.randint(west, east), dice.randint(south, north))] if dice.random() < 0.4 else []
        points = line(ends[0], *middle, ends[1])
        return Split(cell=one.code, line=points, into=(new(f"a{number}"), new(f"b{number}")))
    other = dice.choice(others)
    if choice < 0.6:
        return Retire(cell=one.code, to=other.code)
    if choice < 0.8:
        corners = shapely.get_coordinates(one.shape.intersection(other.shape)).astype(int).tolist()
        bend = (dice.randint(west, east), dice.randint(south, north))
        return MoveBoundary(
            cells=(one.code, other.code),
            line=line((corners[0][0], corners[0][1]), bend, (corners[-1][0], corners[-1][1])),
        )
    if choice < 0.9 and one.parent != other.parent and other.parent is not None:
        return Reassign(cell=one.code, parent=other.parent)
    if choice < 0.95:
        return Edit(cell=one.code, changes={"code": f"c{number}", "name_zh": "改"})
    return Merge(cells=(one.code, other.code), into=new(f"d{number}"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(seed=963, scale=0.002)  # a moved boundary whose rings GEOS cannot put together again
@given(seed=st.integers(0, 2**32), scale=st.sampled_from([1.0, 0.05, 0.002]))
def test_any_sequence_of_operations_keeps_an_exact_tiling(seed: int, scale: float) -> None:
    """Also on cells of 40 by 40 grid points (half a metre), where every line passes close to every corner."""
    dice = random.Random(seed)
    start = district()
    turn = np.array([[0.83, -0.41], [0.37, 0.91]]) * scale
    cells = {
        code: cell(code, one.parent, shapely.transform(one.shape, lambda pairs: np.rint(pairs @ turn.T)), one.path)
        for code, one in start.cells.items()
    }
    corners = {(int(x), int(y)) for one in cells.values() for x, y in shapely.get_coordinates(one.shape).tolist()}

    patch = Patch(origin=ORIGIN, cells=cells)
    insert_everywhere(patch, corners)
    assert proven(patch)
    whole = twice_area(patch.cells["L"].shape)
    outline = shapely.length(patch.cells["L"].shape)
    refused, named = 0, True
    for number in range(14):
        patch = Patch(origin=ORIGIN, cells=dict(patch.cells))
        attempt = Patch(origin=ORIGIN, cells=dict(patch.cells))
        try:
            lineage = apply(attempt, _random_operation(patch, dice, number), area_m2)
        except BadInputError as error:
            refused += error.code == "geo.redraw_too_fine"
            named &= error.code.startswith("geo.redraw_")
            continue
        patch = attempt
        assert proven(patch)
        assert all(0 < row.share <= 1 for row in lineage)
        for parent in ("L", "W", "E"):
            if parent in patch.cells:
                children = patch.children(parent)
                assert sum(twice_area(child.shape) for child in children) == twice_area(patch.cells[parent].shape)
        # The outline itself may follow a new corner to the nearest grid point: less than one unit aside.
        assert abs(twice_area(patch.cells["L"].shape) - whole) <= 2 * outline
    assert named
    if scale == 1.0:
        # Of cells of some hundred metres a random line hardly ever comes within a grid unit of a corner: once in 700.
        assert refused <= 2
