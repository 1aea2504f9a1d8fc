"""The demo map tiles exactly, at every level, and carries the published numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from shapely import STRtree
from shapely.geometry import Point, Polygon

from api.demo.geometry import SCALE, DemoCell, District, GridPoint, build_district, dissolve, ellipsoid_area_m2
from api.demo.places import SUBDISTRICTS

LEVELS = (1, 2, 3)


@pytest.fixture(scope="module")
def district() -> District:
    return build_district()


def edges_of(cell: DemoCell) -> list[tuple[GridPoint, GridPoint]]:
    return list(pairwise((*cell.ring, cell.ring[0])))


def doubled_area(cell: DemoCell) -> int:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in edges_of(cell))


def children_of(district: District, cell: DemoCell) -> list[DemoCell]:
    return [c for c in district.cells if c.parent == cell.code]


def test_numbers_of_the_published_grids(district: District) -> None:
    count = Counter((c.code[:9], c.level) for c in district.cells)
    assert {code: (count[code, 2], count[code, 3]) for code, _ in count} == {
        "410102001": (15, 51),  # 林山寨 1/15/51
        "410102002": (9, 30),  # 建设路
        "410102004": (11, 41),
        "410104003": (11, 40),  # 南关, 11 communities
        "410105008": (15, 66),  # 文化路, 66 B posts at level 3
    }


def test_density_of_nanguan_prints_as_published(district: District) -> None:
    cell = next(c for c in district.cells if c.code == "410104003")
    assert cell.population == 57_914 + 22_918
    assert round(cell.area_m2 / 1e6, 2) == 1.73
    assert round(cell.population / (cell.area_m2 / 1e6)) == 46_724


def test_linshanzhai_has_twelve_communities_in_fifteen_cells(district: District) -> None:
    names = [c.name_zh for c in district.cells if c.level == 2 and c.parent == "410102001"]
    assert len(names) == 15
    assert len({name.split("社区")[0] for name in names}) == 12


def test_codes_nest_and_count_without_gap(district: District) -> None:
    known = {c.code for c in district.cells}
    assert len(known) == len(district.cells)
    for cell in district.cells:
        assert len(cell.code) == {1: 9, 2: 12, 3: 15}[cell.level]
        assert cell.path[-1] == cell.code
        assert len(cell.path) == cell.level
        assert cell.parent in known or cell.level == 1
    for cell in district.cells:
        numbers = [int(c.code[len(cell.code) :]) for c in children_of(district, cell)]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_single_row_is_numbered_from_west_to_east(district: District) -> None:
    for parent in district.of_level(2):
        children = children_of(district, parent)
        for a, b in pairwise(children):
            side_by_side = abs(a.label[1] - b.label[1]) < 3_000
            assert not side_by_side or a.label[0] < b.label[0]


@pytest.mark.parametrize("level", LEVELS)
def test_rings_are_simple_and_counter_clockwise(district: District, level: int) -> None:
    for cell in district.of_level(level):
        assert Polygon(cell.ring).is_valid
        assert doubled_area(cell) > 0
        assert len(set(cell.ring)) == len(cell.ring)


@pytest.mark.parametrize("level", LEVELS)
def test_no_gap_and_no_overlap_edge_by_edge(district: District, level: int) -> None:
    """Each edge occurs once, or twice in opposite directions; what remains unpaired is the level's outer boundary."""
    directed = Counter(edge for cell in district.of_level(level) for edge in edges_of(cell))
    assert set(directed.values()) == {1}
    outer = {(a, b) for a, b in directed if (b, a) not in directed}
    coarse = {edge for cell in district.of_level(1) for edge in edges_of(cell)}
    assert outer == {(a, b) for a, b in coarse if (b, a) not in coarse}


def test_children_tile_their_parent_exactly(district: District) -> None:
    for parent in (c for c in district.cells if c.level < 3):
        children = children_of(district, parent)
        # In integers there is no tolerance to choose.
        assert sum(map(doubled_area, children)) == doubled_area(parent)
        assert sum(c.area_m2 for c in children) == pytest.approx(parent.area_m2, rel=1e-9)
        assert sum(c.population for c in children) == parent.population
        inner = [edge for child in children for edge in edges_of(child)]
        assert {(a, b) for a, b in inner if (b, a) not in set(inner)} == set(edges_of(parent))


def test_a_parent_keeps_every_corner_of_its_children(district: District) -> None:
    """T-junctions included: a vertex on the parent's boundary is a vertex of the parent."""
    for parent in (c for c in district.cells if c.level < 3):
        border = Polygon(parent.ring).exterior
        corners = set(parent.ring)
        for child in children_of(district, parent):
            for point in set(child.ring) - corners:
                assert border.distance(Point(point)) > 0


def test_no_foreign_vertex_lies_on_an_edge(district: District) -> None:
    """Between two neighbours no corner of one hides inside an edge of the other."""
    leaves = district.of_level(3)
    at: dict[GridPoint, int] = defaultdict(int)
    for cell in leaves:
        for point in cell.ring:
            at[point] += 1
    tree = STRtree([Polygon(c.ring) for c in leaves])
    for point, cells in at.items():
        touching = tree.query(Point(point), predicate="intersects")
        assert len(touching) == cells


def test_shared_border_of_two_subdistricts(district: District) -> None:
    west, east = (next(c for c in district.cells if c.code == code) for code in ("410102004", "410102002"))
    shared = set(edges_of(west)) & {(b, a) for a, b in edges_of(east)}
    assert len(shared) > 10


def test_blocks_have_the_size_of_city_blocks(district: District) -> None:
    widths = sorted(c.area_m2**0.5 for c in district.of_level(3))
    assert widths[0] > 160
    assert widths[-1] < 260
    assert widths[-1] / widths[0] > 1.2, "real blocks are not all alike"


def test_centres_are_within_a_kilometre_of_the_real_ones(district: District) -> None:
    places = {
        "410102002": (113.617, 34.754),
        "410102001": (113.636, 34.741),
        "410102004": (113.600, 34.753),
        "410105008": (113.665, 34.786),
        "410104003": (113.672, 34.741),
    }
    for spec in SUBDISTRICTS:
        cell = next(c for c in district.cells if c.code == spec.code)
        lon, lat = cell.label[0] / SCALE, cell.label[1] / SCALE
        assert abs(lon - places[spec.code][0]) < 0.0055
        assert abs(lat - places[spec.code][1]) < 0.0045


def test_streets_run_along_cell_edges(district: District) -> None:
    edges = {frozenset(edge) for cell in district.of_level(3) for edge in edges_of(cell)}
    along = {frozenset(edge) for street in district.streets for edge in pairwise(street.line)}
    assert along == edges
    assert len({street.name_zh for street in district.streets}) == len(district.streets)


def test_hot_spots_lie_in_their_cell(district: District) -> None:
    cells = {c.code: Polygon(c.ring) for c in district.of_level(3)}
    assert all(cells[spot.cell].contains(Point(spot.at)) for spot in district.spots)
    assert {spot.kind for spot in district.spots} >= {"market", "school", "station", "construction"}


def test_same_seed_same_map(district: District) -> None:
    build_district.cache_clear()
    assert build_district() == district


def test_dissolve_refuses_what_is_not_one_piece() -> None:
    assert dissolve([(0, 1, 2), (2, 1, 3)]) == (0, 1, 3, 2)
    with pytest.raises(ValueError, match="one piece"):
        dissolve([(0, 1, 2), (5, 6, 7)])
    with pytest.raises(ValueError, match="corner"):
        dissolve([(0, 1, 2), (2, 3, 4)])


def test_area_of_a_small_square() -> None:
    side = 10_000  # 0.001 degree
    assert ellipsoid_area_m2([(0, 0), (side, 0), (side, side), (0, side)]) == pytest.approx(12_309, rel=1e-3)
