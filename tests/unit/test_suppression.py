"""Small counts on planners' maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.planner_counted import Counted, coarse
from dispatch.hotspots import CellMeasure
from maps.bins import HeatSpot, Lattice, merge_small_bins, spread_spots
from maps.measures import CellValue, Measure, paint
from maps.suppression import SMALL_COUNT, Disclosure, coarsen, coarsen_all, decide_disclosure

COUNTS = st.dictionaries(st.text("abcdefgh", min_size=1, max_size=3), st.integers(0, 30), max_size=12)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"a": 9, "b": 0}, ["shown", "none"]),
        # One alone would be the total minus the rest.
        ({"a": 90, "b": 12, "c": 1}, ["shown", "withheld", "small"]),
        # Two with one case each: the remainder 2 gives both away.
        ({"a": 90, "b": 12, "c": 1, "d": 1}, ["shown", "withheld", "small", "small"]),
        ({"a": 90, "b": 12, "c": 3, "d": 4}, ["shown", "shown", "small", "small"]),
        ({"c": 1}, ["small"]),
        ({"a": 4, "b": 5}, ["small", "withheld"]),
    ],
)
def test_the_table(counts: dict[str, int], expected: list[str]) -> None:
    assert [str(each) for each in decide_disclosure(counts).values()] == expected


@given(counts=COUNTS)
def test_the_remainder_never_gives_a_small_count_away(counts: dict[str, int]) -> None:
    decided = decide_disclosure(counts)
    assert list(decided) == list(counts)
    hidden = [counts[code] for code, each in decided.items() if each in (Disclosure.SMALL, Disclosure.WITHHELD)]
    assert all(counts[code] >= 5 for code, each in decided.items() if each is Disclosure.SHOWN)
    if hidden and Disclosure.SHOWN in decided.values():
        assert len(hidden) > 1
        assert sum(hidden) >= 5


SQUARES = st.dictionaries(st.tuples(st.integers(2_600, 2_660), st.integers(700, 740)), st.integers(1, 9), max_size=60)


@given(squares=SQUARES)
def test_no_spot_stands_for_fewer_than_five_and_no_case_is_lost(squares: dict[tuple[int, int], int]) -> None:
    lattice = Lattice.at(34.7, side_m=50)
    spots, left_out = merge_small_bins(lattice.bin(column, row, cases) for (column, row), cases in squares.items())
    assert all(spot.cases >= 5 for spot in spots)
    assert sum(spot.cases for spot in spots) + left_out == sum(squares.values())
    for spot in spots:
        assert 2_592 <= spot.lon / lattice.side_lon <= 2_672
        assert 688 <= spot.lat / lattice.side_lat <= 752


def test_a_large_square_has_its_own_middle() -> None:
    lattice = Lattice.at(34.7, side_m=50)
    spots, _ = merge_small_bins([lattice.bin(4, 8, 3), lattice.bin(5, 9, 3)])
    (spot,) = spots
    assert (spot.cases, round(spot.lon / lattice.side_lon, 6), round(spot.lat / lattice.side_lat, 6)) == (6, 5.0, 9.0)


def test_a_lattice_square_is_fifty_metres() -> None:
    lattice = Lattice.at(47.4, side_m=50)
    assert lattice.side_lon * 111_320 * 0.6769 == pytest.approx(50, rel=2e-3)
    assert lattice.side_lat * 111_132 == pytest.approx(50)


@given(st.integers(0, 400), st.integers(1, 4))
def test_no_pair_of_filters_tells_of_one_to_four_cases(fewer: int, difference: int) -> None:
    """Who knows both answers, and that one filter holds the other, cannot conclude that 1 to 4 cases lie between."""
    shown, wider = coarsen(fewer), coarsen(fewer + difference)
    before = [count for count in range(500) if coarsen(count) == shown]
    after = [count for count in range(500) if coarsen(count) == wider]
    possible = {b - a for a in before for b in after if b >= a}
    if shown == 0:
        # Nothing at all before: then the difference is the second answer itself, and that is withheld as such.
        assert wider == coarsen(difference) == 2
    else:
        assert 0 in possible or max(possible) >= SMALL_COUNT
        assert not possible <= {1, 2, 3, 4}


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_coarse_counts_are_steps_of_five_and_the_same_each_time(counts: list[int]) -> None:
    coarse = coarsen_all(np.array(counts, dtype=np.int64))
    assert coarse.tolist() == [coarsen(count) for count in counts]
    assert all(each == 2 or each % 5 == 0 for each in coarse.tolist())
    assert all(abs(int(each) - count) <= 2 for each, count in zip(coarse, counts, strict=True))
    decided = decide_disclosure({str(k): int(each) for k, each in enumerate(coarse)}, is_coarse=True)
    assert Disclosure.WITHHELD not in decided.values()


def test_a_spread_spot_keeps_its_weight_inside_its_square() -> None:
    lattice = Lattice.at(34.7, side_m=50)
    spot = HeatSpot(lon=113.6, lat=34.7, cases=20, sides=4)
    lon, lat, weight = spread_spots([spot], lattice)
    assert len(lon) == 16
    assert weight.sum() == pytest.approx(20)
    assert abs(lon - 113.6).max() == pytest.approx(1.5 * lattice.side_lon)
    assert abs(lat - 34.7).max() == pytest.approx(1.5 * lattice.side_lat)


@pytest.mark.parametrize(("handled", "value"), [(1, None), (4, None), (5, 1.5)])
def test_a_median_of_few_handled_cases_is_nobodys_own_time(handled: int, value: float | None) -> None:
    """Forty cases in the cell, one of them handled: the median would be what that one took."""
    cell = CellValue(code="a", name="a", population=None, area_m2=1.0, cases=40, handled=handled, median_minutes=90.0)
    assert paint("en", Measure.HANDLING, [cell]).values == (value,)
    measured = CellMeasure(cases=40, decided=40, late=0, handled=handled, median_minutes=90.0)
    told = coarse(
        Counted(cells={"a": measured}, total=40, out_of_grid=0, no_position=0, above_level=0, other_version=0)
    )
    assert (told.cells["a"].median_minutes is None) == (value is None)
