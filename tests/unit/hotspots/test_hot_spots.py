"""Hot spots: what chance means, how often chance maps show anything, and why a cell is red."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from maps.hotspots.draws import conditional_tails, draw_cells, total_tails
from maps.hotspots.explaining import Caution, explain
from maps.hotspots.gi_star import Null, find_hot_spots
from maps.hotspots.neighbours import Neighbours, contiguous, nearest, within
from maps.hotspots.significance import Tone, adjust_fdr, grade


def squares(columns: int, rows: int) -> list[shapely.Geometry]:
    side = 0.002
    return [
        shapely.box(113 + i * side, 34 + j * side, 113 + (i + 1) * side, 34 + (j + 1) * side)
        for j in range(rows)
        for i in range(columns)
    ]


@pytest.fixture(scope="module")
def lattice() -> Neighbours:
    return contiguous(squares(12, 12))


def test_neighbours_share_an_edge_not_a_corner(lattice: Neighbours) -> None:
    assert lattice.of(0).tolist() == [1, 12]
    assert lattice.of(13).tolist() == [1, 12, 14, 25]
    assert np.bincount(lattice.cardinalities).tolist() == [0, 0, 4, 40, 100]


def test_edges_that_neighbours_cut_differently_still_make_neighbours() -> None:
    tall = shapely.box(0, 0, 1, 2)
    low, high, apart = shapely.box(1, 0, 2, 1), shapely.box(1, 1, 2, 2), shapely.box(2.1, 0, 3, 1)
    slanted = shapely.Polygon([(0, 2), (1, 2), (2, 2), (1, 3.3333333)])
    assert [contiguous([tall, low, high, apart, slanted]).of(k).tolist() for k in range(5)] == [
        [1, 2, 4],
        [0, 2],
        [0, 1, 4],
        [],
        [0, 2],
    ]


def test_a_cell_in_the_hole_of_another_is_its_neighbour() -> None:
    inner = shapely.box(1, 1, 2, 2)
    outer = shapely.Polygon(shapely.box(0, 0, 3, 3).exterior, [inner.exterior.coords])
    assert contiguous([outer, inner]).cardinalities.tolist() == [1, 1]


def test_nothing_and_one_cell() -> None:
    assert len(contiguous([])) == 0
    assert contiguous([shapely.box(0, 0, 1, 1)]).cardinalities.tolist() == [0]
    with pytest.raises(ValueError, match="k must be"):
        nearest(np.array([1.0, 2.0]), np.array([1.0, 2.0]), k=2)


def test_equally_distant_cells_are_taken_in_order() -> None:
    x_m, y_m = np.array([0.0, 1, -1, 0, 0]), np.array([0.0, 0, 0, 1, -1])
    assert nearest(x_m, y_m, k=2).of(0).tolist() == [1, 2]
    assert within(x_m, y_m, distance_m=1.0).of(0).tolist() == [1, 2, 3, 4]


def test_draws_hold_different_cells_and_all_equally_often() -> None:
    for n, size in ((9, 6), (40, 3), (200, 40)):
        drawn = draw_cells(n, size, draws=20_000, seed=1)
        assert drawn.shape == (20_000, size)
        assert all(len(set(row)) == size for row in drawn[:500].tolist())
        for column in (0, size - 1):
            counts = np.bincount(drawn[:, column], minlength=n)
            assert ((counts - 20_000 / n) ** 2 / (20_000 / n)).sum() < n + 5 * np.sqrt(2 * n)
    assert (draw_cells(50, 4, draws=10, seed=3) == draw_cells(50, 4, draws=10, seed=3)).all()


def test_both_nulls_are_exact_for_every_subset() -> None:
    """Nine cells are few enough to list every arrangement."""
    values = np.array([1.0, 2, 2, 3, 5, 8, 13, 1, 4])
    terms = np.array([3, 2, 4, 3, 1, 2, 3, 0, 4])
    sums = np.array([12.0, 7, 20, 9, 8, 3, 6, 0, 30])
    draws = 60_000
    total = total_tails(values, sums, terms, draws=draws, seed=4)
    conditional = conditional_tails(values, sums, terms, draws=draws, seed=4)
    for cell in range(9):
        every = [sum(some) for some in combinations(values, int(terms[cell]))]
        others = [sum(some) for some in combinations(np.delete(values, cell), int(terms[cell]))]
        for tails, listed in ((total, every), (conditional, others)):
            high = np.mean(np.array(listed) >= sums[cell] - 1e-9)
            low = np.mean(np.array(listed) <= sums[cell] + 1e-9)
            assert abs(tails.at_least[cell] / draws - high) < 0.01
            assert abs(tails.at_most[cell] / draws - low) < 0.01


def test_benjamini_and_hochberg_as_published() -> None:
    """Their example of 15 tests (1995, page 295): four are significant at 5 %, by Bonferroni only three."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    p += [0.7590, 1.0000]
    assert int((adjust_fdr(np.array(p)) <= 0.05).sum()) == 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_false_discovery_rate_equals_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(adjust_fdr(np.array(p)), false_discovery_control(p), atol=1e-12)


def test_untested_cells_are_no_tests() -> None:
    q = adjust_fdr(np.array([np.nan, 0.01, np.nan, 0.5]))
    assert np.isnan(q[[0, 2]]).all()
    assert q[1] == pytest.approx(0.02)


def test_the_palest_tone_never_stands_alone() -> None:
    high = np.array([True, True, False])
    assert grade(np.array([0.08, 0.2, 0.09]), high).tolist() == [0, 0, 0]
    assert grade(np.array([0.08, 0.03, 0.005]), high).tolist() == [Tone.HOT_90, Tone.HOT_95, Tone.COLD_99]


def test_chance_colours_few_maps(lattice: Neighbours) -> None:
    """300 maps here, 1,000 in ``bench maps``: 5 % and the noise of 300."""
    rng = np.random.default_rng(11)
    coloured = sum(
        bool(find_hot_spots(rng.poisson(3, 144).astype(float), lattice, seed=k, permutations=9_999).tones.any())
        for k in range(300)
    )
    assert coloured <= 300 * 0.05 + 3 * np.sqrt(300 * 0.05 * 0.95)


def test_a_planted_spot_is_found_and_explained(lattice: Neighbours) -> None:
    values = np.random.default_rng(2).poisson(5, 144).astype(float)
    planted = [52, 53, 64, 65]
    values[planted] += 40
    found = find_hot_spots(values, lattice, seed=1)
    assert (found.tones[planted] == Tone.HOT_99).all()
    codes = [f"c{k:03}" for k in range(144)]
    reason = explain(52, values, codes, lattice, found)
    assert reason.terms == 1 + len(reason.neighbours) == 5
    assert reason.sum == values[52] + sum(each.value for each in reason.neighbours)
    assert reason.neighbours[0].value >= reason.neighbours[-1].value
    assert reason.expected == pytest.approx(5 * values.mean())
    assert reason.p is not None
    assert reason.p < 0.001
    assert reason.cautions == (Caution.NOT_A_CAUSE, Caution.COUNTS_NOT_RISK)
    quiet = int(np.flatnonzero(found.tones == 0)[0])
    assert explain(quiet, values, codes, lattice, found).cautions == (Caution.NOT_SAFE,)


def test_a_lone_peak_is_no_cluster_and_says_so(lattice: Neighbours) -> None:
    """Every arrangement of the map has the peak somewhere, and five of 144 cells reach it: p = 2 × 5/144."""
    values = np.full(144, 5.0)
    values[66] = 400
    found = find_hot_spots(values, lattice, seed=1)
    assert found.p[66] == pytest.approx(2 * 5 / 144, abs=0.01)
    assert find_hot_spots(values, lattice, null=Null.ANALYTIC).tones[66] > 0
    codes = [str(k) for k in range(144)]
    assert explain(66, values, codes, lattice, found).cautions == (Caution.LONE_PEAK, Caution.NOT_SAFE)


def test_a_quiet_cell_among_busy_ones_says_so(lattice: Neighbours) -> None:
    values = np.random.default_rng(2).poisson(5, 144).astype(float)
    around = [40, 41, 42, 52, 54, 64, 65, 66]
    values[around] += 60
    values[53] = 0
    found = find_hot_spots(values, lattice, seed=1)
    assert found.tones[53] > 0
    assert Caution.NEIGHBOURS_MAKE_IT in explain(53, values, [str(k) for k in range(144)], lattice, found).cautions


def test_few_cells_and_equal_values_are_not_tested() -> None:
    small = contiguous(squares(5, 5))
    values = np.zeros(25)
    values[12] = 100
    found = find_hot_spots(values, small)
    assert found.too_few
    assert not found.tones.any()
    assert np.isnan(found.z).all()
    assert explain(12, values, [str(k) for k in range(25)], small, found).cautions == (Caution.NOT_TESTED,)
    even = find_hot_spots(np.full(144, 3.0), contiguous(squares(12, 12)))
    assert even.too_few
    assert not even.tones.any()


def test_bad_values_are_refused(lattice: Neighbours) -> None:
    with pytest.raises(ValueError, match="one value per cell"):
        find_hot_spots(np.zeros(3), lattice)
    with pytest.raises(ValueError, match="finite"):
        find_hot_spots(np.full(144, np.nan), lattice)
