"""Emerging hot spots, near repeats, repeat sites, who finds what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from maps.hotspots.emerging import Pattern, Trend, classify, find_emerging, mann_kendall
from maps.hotspots.gi_star import Null
from maps.hotspots.near_repeats import TooManyPairsError, expected_pairs, knox, poisson_tail
from maps.hotspots.neighbours import contiguous
from maps.hotspots.sites import find_repeat_sites, split_by_finder, wilson
from tests.unit.hotspots.test_hot_spots import squares

RISING = Trend(score=40, deviation=10, z=3.9, p=0.0001)
FALLING = Trend(score=-40, deviation=10, z=-3.9, p=0.0001)
LEVEL = Trend(score=1, deviation=10, z=0.0, p=1.0)


@given(st.lists(st.integers(0, 6), min_size=3, max_size=30).filter(lambda each: len(set(each)) > 1))
@settings(max_examples=80, deadline=None)
def test_mann_kendall_is_kendalls_score(series: list[int]) -> None:
    """Kendall's tau-b of a series against time has the same score, and its denominator undoes the ties."""
    n = len(series)
    ties = np.unique(series, return_counts=True)[1]
    pairs = n * (n - 1) / 2
    tau = mann_kendall(series).score / np.sqrt(pairs * (pairs - (ties * (ties - 1) / 2).sum()))
    assert tau == pytest.approx(kendalltau(range(n), series).statistic, abs=1e-12)


def test_mann_kendall_as_published() -> None:
    """EPA QA/G-9 (2006), the example of five months: eight pairs rise, two fall, S = 6."""
    assert mann_kendall([5, 6, 11, 8, 10]).score == 6


def test_mann_kendall_of_nothing_and_of_one_value() -> None:
    assert mann_kendall([]).p == 1.0
    assert mann_kendall([4, 4, 4, 4]).z == 0.0
    assert mann_kendall([1, float("nan"), 2, 3]).score == 3


@pytest.mark.parametrize(
    ("signs", "trend", "pattern"),
    [
        ([0] * 9 + [1], LEVEL, Pattern.NEW),
        ([0] * 7 + [1] * 3, LEVEL, Pattern.CONSECUTIVE),
        ([1] * 10, RISING, Pattern.INTENSIFYING),
        ([1] * 10, LEVEL, Pattern.PERSISTENT),
        ([0] + [1] * 9, FALLING, Pattern.DIMINISHING),
        ([0, 1, 0, 0, 1, 1, 0, 0, 0, 1], LEVEL, Pattern.SPORADIC),
        ([0, -1, 0, 0, 1, 1, 0, 0, 0, 1], LEVEL, Pattern.OSCILLATING),
        ([1] * 9 + [0], RISING, Pattern.HISTORICAL),
        ([0, 1, 1, 1, 0, 0, 0, 0, 0, 0], RISING, Pattern.NONE),
        ([0] * 10, RISING, Pattern.NONE),
        ([-1] + [0] * 8 + [1], LEVEL, Pattern.OSCILLATING),
        ([-1] * 9 + [1], LEVEL, Pattern.OSCILLATING),
    ],
)
def test_every_pattern_hot_and_cold(signs: list[int], trend: Trend, pattern: Pattern) -> None:
    assert classify(signs, trend)[0] is pattern
    mirrored = Trend(score=-trend.score, deviation=trend.deviation, z=-trend.z, p=trend.p)
    named, is_hot = classify([-each for each in signs], mirrored)
    assert named is pattern
    if pattern is not Pattern.NONE:
        assert is_hot is False


def test_emerging_from_counts() -> None:
    neighbours = contiguous(squares(14, 14))
    block = [14 * row + column for row in (5, 6, 7) for column in (5, 6, 7)]
    counts = np.random.default_rng(8).poisson(6, (12, 196)).astype(float)
    always, last = counts.copy(), counts.copy()
    always[:, block] += 40
    last[11, block] += 40
    lasting = find_emerging(always, neighbours, permutations=9_999, seed=5)
    new = find_emerging(last, neighbours, permutations=9_999, seed=5)
    assert lasting is not None
    assert new is not None
    steady = {Pattern.PERSISTENT, Pattern.INTENSIFYING, Pattern.DIMINISHING}
    assert all(lasting[k].pattern in steady and lasting[k].hot_steps >= 11 for k in block)
    assert all(new[k].pattern is Pattern.NEW and new[k].is_hot for k in block)
    assert find_emerging(always[:9], neighbours) is None
    assert find_emerging(counts[:, :25], contiguous(squares(5, 5)), null=Null.ANALYTIC) is None


def test_knoxs_own_table() -> None:
    """Knox (1964): 96 cases of childhood leukaemia, 25 pairs close in space, 152 in time, five in both."""
    expected = expected_pairs(25, 152, 96 * 95 // 2)
    assert round(expected, 2) == 0.83
    assert poisson_tail(5, expected) < 0.002


def test_knox_counts_pairs_like_a_double_loop() -> None:
    rng = np.random.default_rng(6)
    x_m, y_m, day = rng.uniform(0, 800, 60), rng.uniform(0, 800, 60), rng.uniform(0, 60, 60)
    x_m[:2], y_m[:2] = 100.0, 100.0
    found = knox(x_m, y_m, day, permutations=99, seed=1)
    table = np.zeros((5, 4), dtype=int)
    for i in range(60):
        for j in range(i):
            apart, between = np.hypot(x_m[i] - x_m[j], y_m[i] - y_m[j]), abs(day[i] - day[j])
            if apart <= 400 and between <= 28:
                table[0 if apart == 0 else int(np.ceil(apart / 100)), max(0, int(np.ceil(between / 7)) - 1)] += 1
    assert (found.observed == table).all()


def test_near_repeats_are_found_and_chance_is_not() -> None:
    rng = np.random.default_rng(9)
    x_m, y_m, day = rng.uniform(0, 3000, 150), rng.uniform(0, 3000, 150), rng.uniform(0, 200, 150)
    chance = knox(x_m, y_m, day, seed=2)
    near = knox(np.r_[x_m, x_m[:60] + 30], np.r_[y_m, y_m[:60]], np.r_[day, day[:60] + rng.uniform(0, 5, 60)], seed=2)
    assert near.p[1, 0] <= 0.002
    assert near.ratio[1, 0] > 2
    assert chance.p.min() > 0.002
    assert np.isfinite(chance.expected).all()


def test_knox_of_none_and_of_too_many() -> None:
    none = np.empty(0)
    assert knox(none, none, none, permutations=9).observed.sum() == 0
    same = np.zeros(3000)
    with pytest.raises(TooManyPairsError):
        knox(same, same, same)


def test_hours_fall_into_their_band_and_many_pairs_are_told_before_they_are_made() -> None:
    # Exactly seven days apart, in hours that are no whole binary fractions of a day.
    for hour in range(24):
        week = knox(np.zeros(2), np.zeros(2), np.array([hour / 24, 7 + hour / 24]), permutations=1)
        assert week.observed[0].tolist() == [1, 0, 0, 0]
    rng = np.random.default_rng(4)
    x_m, y_m = (50.0 * rng.integers(0, 8, (2, 90))).astype(np.float64)
    apart = np.hypot(x_m[:, None] - x_m, y_m[:, None] - y_m)
    close = int((apart <= 100).sum() - 90) // 2
    times = rng.uniform(0, 9, 90)
    knox(x_m, y_m, times, distances_m=(100.0,), permutations=1, most_pairs=close)
    with pytest.raises(TooManyPairsError, match=f"^{close} "):
        knox(x_m, y_m, times, distances_m=(100.0,), permutations=1, most_pairs=close - 1)


def test_repeat_sites_need_cases_and_days() -> None:
    site = np.array([1] * 6 + [2] * 6 + [3] * 4)
    category = np.zeros(16, dtype=int)
    day = np.array([1, 3, 5, 5, 9, 20] + [4] * 6 + [1, 2, 3, 4])
    (only,) = find_repeat_sites(site, category, day, fewest_cases=2)
    assert (only.site, only.cases, only.days, only.first_day, only.last_day, only.median_gap) == (1, 6, 5, 1, 20, 3.0)
    assert find_repeat_sites(site[:0], category[:0], day[:0]) == []


def test_who_finds_what() -> None:
    few, many, none = split_by_finder(np.array([10, 400, 0]), np.array([90, 100, 0]))
    assert few.share == 0.1
    assert few.z is not None
    assert few.z < -5
    assert many.p is not None
    assert many.p < 0.01
    assert none.share is None
    assert none.p is None
    assert split_by_finder(np.array([3]), np.array([0]))[0].z is None
    assert wilson(0, 10)[0] == 0.0
