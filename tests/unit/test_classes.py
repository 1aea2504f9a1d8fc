"""Class breaks and the ramp."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from maps.classes import ClassMethod, lightness_of, make_breaks, make_ramp, nice_ladder

COUNTS = st.lists(st.integers(0, 500), min_size=1, max_size=60)


def variance_inside(values: list[int], uppers: tuple[float, ...]) -> float:
    groups: dict[int, list[int]] = {}
    for value in values:
        groups.setdefault(int(np.searchsorted(uppers, value)), []).append(value)
    return sum(float(np.var(group)) * len(group) for group in groups.values())


@given(values=COUNTS, classes=st.integers(2, 7), method=st.sampled_from(ClassMethod))
def test_every_value_lies_in_its_class_and_no_class_is_empty(
    values: list[int], classes: int, method: ClassMethod
) -> None:
    breaks = make_breaks(values, classes=classes, method=method)
    assert 1 <= len(breaks) <= min(classes, len(set(values)))
    found = {breaks.index_of(value) for value in values}
    assert found == set(range(len(breaks)))
    for value in values:
        index = breaks.index_of(value)
        assert breaks.lowers[index] <= value <= breaks.uppers[index]
    ends = [*itertools.chain.from_iterable(zip(breaks.lowers, breaks.uppers, strict=True))]
    assert ends == sorted(ends)


@given(values=st.lists(st.integers(0, 40), min_size=4, max_size=9, unique=True), classes=st.integers(2, 3))
def test_jenks_is_the_best_of_all_divisions(values: list[int], classes: int) -> None:
    breaks = make_breaks(values, classes=classes, method=ClassMethod.JENKS)
    ordered = sorted(values)
    best = min(
        variance_inside(values, (*(float(ordered[cut - 1]) for cut in cuts), float(ordered[-1])))
        for cuts in itertools.combinations(range(1, len(ordered)), classes - 1)
    )
    assert variance_inside(values, breaks.uppers) == pytest.approx(best, abs=1e-6)


def test_quantile_and_equal_are_what_they_say() -> None:
    values = list(range(1, 101))
    assert make_breaks(values, classes=5, method=ClassMethod.QUANTILE).uppers == (20, 40, 60, 80, 100)
    assert make_breaks([0, 1, 2, 3, 100], classes=4, method=ClassMethod.EQUAL).uppers == (3, 100)


def test_many_different_values_are_still_divided_well() -> None:
    values = np.concatenate([np.arange(2000.0), np.arange(10_000.0, 12_000.0), np.arange(50_000.0, 52_000.0)])
    assert make_breaks(values, classes=3).uppers == (1999, 11_999, 51_999)


def test_nothing_has_no_classes_and_nonsense_is_refused() -> None:
    assert len(make_breaks([])) == 0
    with pytest.raises(ValueError, match="finite"):
        make_breaks([1.0, float("nan")])
    with pytest.raises(ValueError, match="2 to 7"):
        make_breaks([1.0], classes=8)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("classes", [2, 3, 4, 5, 6, 7])
def test_steps_of_lightness_are_equal_and_run_away_from_the_paper(classes: int, dark: bool) -> None:
    lightness = [lightness_of(colour) for colour in make_ramp(classes, dark=dark)]
    steps = np.diff(lightness) if dark else -np.diff(lightness)
    assert steps.min() > 8
    assert steps.max() - steps.min() < 0.8


def test_one_class_has_a_middle_tone() -> None:
    assert 40 < lightness_of(make_ramp(1)[0]) < 70


@given(top=st.floats(1e-3, 1e6), steps=st.integers(1, 7), floor=st.floats(0, 1e4))
def test_the_ladder_is_round_ascending_and_inside(top: float, steps: int, floor: float) -> None:
    ladder = nice_ladder(top, steps=steps, floor=floor)
    assert len(ladder) <= steps
    assert list(ladder) == sorted(set(ladder))
    assert all(floor <= number <= top for number in ladder)
    assert all(f"{number:e}"[0] in "125" for number in ladder)
