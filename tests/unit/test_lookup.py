"""The in-memory index against exact brute force: every way to ask, every awkward shape."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

from bench.tiling import make_tiling
from geo.errors import GridwardError
from geo.lookup import CellBoundary, CellIndex, Kernel
from geo.lookup.index import default_kernel

UNIT = 1e-7


def cell(code: str, boundary: BaseGeometry, *, level: int = 1, parent: CellBoundary | None = None) -> CellBoundary:
    """A cell whose boundary is given in grid units. The id is made from the code, so codes are unique in a test."""
    return CellBoundary(
        cell_id=1000 + sum(ord(letter) * 131**place for place, letter in enumerate(code)),
        level=level,
        code=code,
        parent_id=parent.cell_id if parent else None,
        boundary=shapely.transform(boundary, lambda pairs: np.rint(pairs) / 1e7),
    )


Segment = tuple[tuple[int, int], tuple[int, int]]


def segments(boundary: BaseGeometry) -> list[Segment]:
    found: list[Segment] = []
    for ring in shapely.get_rings(shapely.get_parts(boundary)):
        found += pairwise([(round(lon * 1e7), round(lat * 1e7)) for lon, lat in ring.coords])
    return found


def covers(boundary: list[Segment], x: int, y: int) -> bool:
    """Exact cover test in unbounded integers, written differently from the index: even-odd over the whole boundary."""
    inside = False
    for (ax, ay), (bx, by) in boundary:
        turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if turn == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
            return True
        if (ay > y) != (by > y) and (turn > 0) == (by > ay):
            inside = not inside
    return inside


def brute(cells: Sequence[tuple[CellBoundary, list[Segment]]], x: int, y: int) -> str | None:
    """The rule edge-1, word for word: deepest level first, then the smallest code."""
    found = [c for c, boundary in cells if covers(boundary, x, y)]
    return min(found, key=lambda c: (-c.level, c.code)).code if found else None


def ask_all_ways(index: CellIndex, points: Sequence[tuple[int, int]]) -> list[str | None]:
    """Ask one by one, in NumPy and compiled; they must agree."""
    lon, lat = np.array([x / 1e7 for x, _ in points]), np.array([y / 1e7 for _, y in points])
    single = [index.find(x, y) for x, y in zip(lon.tolist(), lat.tolist(), strict=True)]
    for kernel in Kernel:
        assert index.find_many(lon, lat, kernel=kernel).tolist() == single
    return [index.codes[number] if number >= 0 else None for number in single]


def check(cells: Sequence[CellBoundary], points: Sequence[tuple[int, int]]) -> CellIndex:
    index = CellIndex.build(1, cells)
    answers = ask_all_ways(index, points)
    plain = [(c, segments(c.boundary)) for c in cells]
    for (x, y), answer in zip(points, answers, strict=True):
        assert answer == brute(plain, x, y), (x, y)
    return index


def grid_points(low: int, high: int) -> list[tuple[int, int]]:
    return [(x, y) for x in range(low, high) for y in range(low, high)]


def test_edges_and_corners_of_four_squares_go_to_the_smallest_code() -> None:
    squares = [
        cell("D", box(0, 0, 4, 4)),
        cell("C", box(4, 0, 8, 4)),
        cell("B", box(0, 4, 4, 8)),
        cell("A", box(4, 4, 8, 8)),
    ]
    index = check(squares, grid_points(-2, 11))
    assert index.codes[index.find(4 * UNIT, 4 * UNIT)] == "A"
    assert index.codes[index.find(4 * UNIT, 0)] == "C"
    assert index.codes[index.find(0, 4 * UNIT)] == "B"


def test_a_hole_is_outside_but_its_edge_is_not() -> None:
    ring = Polygon([(0, 0), (10, 0), (10, 10), (0, 10)], [[(3, 3), (3, 7), (7, 6), (6, 3)]])
    index = check([cell("A", ring)], grid_points(-1, 12))
    assert index.find(5 * UNIT, 5 * UNIT) == -1
    assert index.find(3 * UNIT, 5 * UNIT) == 0


def test_an_exclusive_cell_fills_the_hole_of_another() -> None:
    around = Polygon([(0, 0), (10, 0), (10, 10), (0, 10)], [[(3, 3), (3, 7), (7, 6), (6, 3)]])
    mall = Polygon([(3, 3), (3, 7), (7, 6), (6, 3)])
    check([cell("B", around), cell("A", mall)], grid_points(-1, 12))
    check([cell("A", around), cell("B", mall)], grid_points(-1, 12))


def test_islands_touching_in_a_point_and_winding_either_way() -> None:
    islands = MultiPolygon([Polygon([(0, 0), (0, 5), (5, 5)]), Polygon([(5, 5), (9, 6), (9, 9)]), box(11, 0, 12, 1)])
    check([cell("A", islands), cell("B", Polygon([(0, 0), (5, 5), (5, 0)]))], grid_points(-1, 14))


def test_branches_of_unequal_depth() -> None:
    top = cell("1", box(0, 0, 16, 8))
    left = cell("1L", box(0, 0, 8, 8), level=2, parent=top)  # has children
    right = cell("1R", box(8, 0, 16, 8), level=2, parent=top)  # has none
    leaves = [cell(f"1L{n}", box(0, 4 * n, 8, 4 * n + 4), level=3, parent=left) for n in range(2)]
    index = check([top, left, right, *leaves], grid_points(-1, 18))
    number = index.find(8 * UNIT, 4 * UNIT)
    assert [index.codes[step] for step in index.chain(number)] == ["1", "1L", "1L0"]
    assert [index.codes[step] for step in index.chain(index.find(9 * UNIT, 4 * UNIT))] == ["1", "1R"]
    assert index.chain(-1) == []


def test_where_children_leave_a_gap_the_parent_answers() -> None:
    top = cell("1", box(0, 0, 16, 16))
    middle = [
        cell("1a", box(0, 0, 16, 9), level=2, parent=top),
        cell("1b", box(0, 9, 16, 16), level=2, parent=top),
    ]
    leaf = cell("1a1", Polygon([(1, 1), (15, 2), (7, 8)]), level=3, parent=middle[0])
    index = check([top, *middle, leaf], grid_points(-1, 18))
    assert index.codes[index.find(0, 0)] == "1a"


def test_overlaps_and_children_outside_their_parent_still_follow_the_rule() -> None:
    top = cell("1", box(0, 0, 10, 10))
    cells = [
        top,
        cell("1b", Polygon([(0, 0), (9, 1), (8, 8), (1, 7)]), level=2, parent=top),
        cell("1a", Polygon([(5, 5), (14, 6), (13, 13), (4, 12)]), level=2, parent=top),
        cell("1c", Polygon([(2, 2), (7, 3), (6, 9)]), level=2, parent=top),
    ]
    check(cells, grid_points(-1, 16))


def test_a_vertex_more_on_one_side_of_a_shared_edge() -> None:
    check(
        [
            cell("B", Polygon([(0, 0), (12, 0), (12, 6), (0, 3)])),
            cell("A", Polygon([(0, 3), (4, 4), (8, 5), (12, 6), (12, 12), (0, 12)])),
        ],
        grid_points(-1, 14),
    )


def test_nothing_and_no_position() -> None:
    empty = CellIndex.build(3, [])
    assert len(empty) == 0
    assert empty.version_id == 3
    assert ask_all_ways(empty, [(0, 0), (5, 5)]) == [None, None]
    assert empty.find_many([], []).tolist() == []
    index = CellIndex.build(1, [cell("A", box(0, 0, 9, 9))])
    odd = [math.nan, math.inf, -math.inf, 1e300, 181.0, 0.0]
    for kernel in Kernel:
        assert index.find_many(odd, [0.0] * 6, kernel=kernel).tolist() == [-1] * 5 + [0]
    assert [index.find(lon, 0.0) for lon in odd] == [-1] * 5 + [0]
    assert index.find(0.0, math.nan) == -1


def test_boundaries_may_come_as_wkb_and_vertices_off_the_grid_are_counted() -> None:
    plain = cell("A", box(0, 0, 9, 9))
    wkb = CellBoundary(cell_id=1, level=1, code="A", parent_id=None, boundary=shapely.to_wkb(plain.boundary))
    assert CellIndex.build(1, [wkb]).find(9 * UNIT, 9 * UNIT) == 0
    off = CellBoundary(cell_id=1, level=1, code="A", parent_id=None, boundary=box(0, 0, 9.04e-7, 9e-7))
    assert CellIndex.build(1, [off]).off_grid_vertices > 0
    assert CellIndex.build(1, [plain]).off_grid_vertices == 0


def test_an_extent_without_safe_integers_is_refused() -> None:
    wide = CellBoundary(cell_id=1, level=1, code="A", parent_id=None, boundary=box(-60, -10, 60, 10))
    with pytest.raises(GridwardError) as caught:
        CellIndex.build(1, [wide])
    assert caught.value.code == "geo.extent_too_wide"


def test_the_widest_extent_does_not_overflow() -> None:
    corner = (1 << 30) - 1
    points = [(0, 0), (corner, corner), (corner, 0), (corner // 2, corner // 2), (corner // 2 + 1, corner // 2), (1, 2)]
    check(
        [
            cell("B", Polygon([(0, 0), (corner, 0), (corner, corner)])),
            cell("A", Polygon([(0, 0), (corner, corner), (0, corner)])),
        ],
        points,
    )


def test_codes_are_ordered_by_code_point() -> None:
    """PostgreSQL compares with collation C: capitals before small letters, ASCII before Chinese."""
    shapes = {code: box(0, 0, 5, 5) for code in ("a", "B", "街", "9", "10")}
    index = CellIndex.build(1, [cell(code, shape) for code, shape in shapes.items()])
    assert index.codes == ["10", "9", "B", "a", "街"]
    assert index.codes[index.find(UNIT, UNIT)] == "10"


def test_an_exact_tiling_of_three_levels_and_its_chains() -> None:
    tiling = make_tiling(14, 11, block=3, size_deg=0.00002)
    cells = list(tiling.cells())
    assert all(shapely.is_valid([c.boundary for c in cells]))
    rng = np.random.default_rng(5)
    points = [(int(x), int(y)) for x, y in tiling.points(rng, 600, 250)]
    index = check(cells, points)
    assert "_whole" not in index.__dict__, "a clean tiling never needs the slow exact test"
    assert index.off_grid_vertices == 0
    by_code = {c.code: c for c in cells}
    for x, y in points[:100]:
        number = index.find(x / 1e7, y / 1e7)
        chain = [index.codes[step] for step in index.chain(number)]
        assert [by_code[code].level for code in chain] == list(range(1, len(chain) + 1))
        assert all(code.startswith(above) for above, code in pairwise(chain))
        assert number < 0 or index.number_of(index.cell_ids[number]) == number


def test_a_batch_larger_than_one_piece_and_from_many_threads() -> None:
    tiling = make_tiling(20, 20)
    index = CellIndex.build(1, tiling.cells())
    pairs = tiling.points(np.random.default_rng(1), 150_000, 20_000) / 1e7
    expected = index.find_many(pairs[:, 0], pairs[:, 1], kernel=Kernel.NUMPY)
    answers: list[bool] = []

    def ask() -> None:
        index.warm_up()
        answers.append(bool((index.find_many(pairs[:, 0], pairs[:, 1]) == expected).all()))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 4
    assert default_kernel() is Kernel.COMPILED


SMALL = st.integers(0, 24)


@st.composite
def jagged(draw: st.DrawFn) -> BaseGeometry:
    """A valid polygon or multipolygon with small integer vertices, perhaps with holes."""
    corners = draw(st.lists(st.tuples(SMALL, SMALL), min_size=3, max_size=9, unique=True))
    shape = shapely.make_valid(Polygon(corners))
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon"]
    rounded = shapely.set_precision(shapely.union_all(parts), 1.0)
    kept = [part for part in shapely.get_parts(rounded) if part.geom_type == "Polygon" and part.area > 0]
    return MultiPolygon(kept) if kept else box(0, 0, 1, 1)


@settings(max_examples=80, deadline=None)
@given(shapes=st.lists(st.tuples(jagged(), st.integers(1, 3)), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_any_shapes_at_any_levels_equal_brute_force(shapes: list[tuple[BaseGeometry, int]], seed: int) -> None:
    """Even nonsense (overlaps, children elsewhere than their parents) follows the rule on every grid point."""
    cells: list[CellBoundary] = []
    for number, (shape, level) in enumerate(sorted(shapes, key=lambda pair: pair[1])):
        parents = [c for c in cells if c.level == level - 1]
        code = "zyxwv"[(number + seed) % 5] + str(number)
        cells.append(cell(code, shape, level=level, parent=parents[seed % len(parents)] if parents else None))
    rng = np.random.default_rng(seed)
    check(cells, [(int(x), int(y)) for x, y in rng.integers(-1, 26, size=(100, 2))])


@settings(max_examples=25, deadline=None)
@given(sites=st.lists(st.tuples(SMALL, SMALL), min_size=3, max_size=12, unique=True))
def test_delaunay_tilings_equal_brute_force(sites: list[tuple[int, int]]) -> None:
    """Triangles share every edge: each grid point lies in one, on the edge of two, or at the corner of many."""
    triangles = shapely.get_parts(shapely.delaunay_triangles(shapely.MultiPoint(sites)))
    if len(triangles):
        check([cell(f"{n:02d}", triangle) for n, triangle in enumerate(triangles)], grid_points(0, 25))
