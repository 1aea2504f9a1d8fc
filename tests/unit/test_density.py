"""Kernel density against the plain sum over all cases, and its picture on the web map's plane."""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from maps.classes import make_ramp
from maps.density import Density, draw_bands, estimate_density, project_points, threshold_of

Floats = npt.NDArray[np.float64]
SRID = 4547  # CGCS2000 / 3-degree Gauss-Krüger CM 114E: Zhengzhou


def by_brute_force(density: Density, x_m: Floats, y_m: Floats, weights: Floats) -> Floats:
    rows, columns = density.per_km2.shape
    gx = density.west_m + np.arange(columns) * density.step_m
    gy = density.south_m + np.arange(rows) * density.step_m
    h = density.bandwidth_m
    along_x = np.exp(-(((gx[None] - x_m[:, None]) / h) ** 2) / 2)
    along_y = np.exp(-(((gy[None] - y_m[:, None]) / h) ** 2) / 2)
    total: Floats = (weights[:, None] * along_y).T @ along_x * (1e6 / (2 * math.pi * h * h))
    return total


@settings(max_examples=40, deadline=None)
@given(
    places=st.lists(st.tuples(st.floats(-900, 900), st.floats(-900, 900), st.integers(1, 9)), min_size=1, max_size=40),
    bandwidth_m=st.sampled_from([80.0, 200.0, 333.3]),
)
def test_equal_to_brute_force_to_a_millionth_of_the_peak(
    places: list[tuple[float, float, int]], bandwidth_m: float
) -> None:
    x_m = np.array([x for x, _, _ in places]) + 458_000.7
    y_m = np.array([y for _, y, _ in places]) + 3_846_000.3
    weights = np.array([float(count) for _, _, count in places])
    density = estimate_density(x_m, y_m, weights, bandwidth_m=bandwidth_m)
    exact = by_brute_force(density, x_m, y_m, weights)
    assert np.abs(density.per_km2 - exact).max() <= 1e-6 * exact.max()


def test_wherever_in_its_square_a_single_case_lies() -> None:
    """The worst that can be: nothing averages out, and the peak is the case's own."""
    for x in np.linspace(-25, 25, 9):
        for y in np.linspace(-25, 25, 9):
            density = estimate_density(np.array([x]), np.array([y]), bandwidth_m=200)
            exact = by_brute_force(density, np.array([x]), np.array([y]), np.ones(1))
            assert np.abs(density.per_km2 - exact).max() <= 4e-7 * exact.max()


def test_fifty_thousand_places_too() -> None:
    random = np.random.default_rng(11)
    x_m, y_m = random.normal(0, 900, (2, 50_000))
    density = estimate_density(x_m, y_m, bandwidth_m=200)
    exact = by_brute_force(density, x_m, y_m, np.ones(50_000))
    assert np.abs(density.per_km2 - exact).max() <= 1e-6 * exact.max()


def test_the_surface_holds_all_cases() -> None:
    random = np.random.default_rng(5)
    x_m, y_m = random.uniform(-500, 500, (2, 400))
    density = estimate_density(x_m, y_m, bandwidth_m=150)
    # Three bandwidths around the outermost places hold all but about a thousandth.
    assert density.per_km2.sum() * density.step_m**2 / 1e6 == pytest.approx(400, rel=3e-3)


def test_one_place_peaks_at_the_threshold_of_its_cases() -> None:
    density = estimate_density(np.zeros(1), np.zeros(1), np.array([5.0]), bandwidth_m=200)
    assert density.peak_per_km2 == pytest.approx(threshold_of(5, bandwidth_m=200))
    assert threshold_of(5, bandwidth_m=200) == pytest.approx(19.894, abs=1e-3)


def test_grids_of_different_filters_lie_over_each_other() -> None:
    one = estimate_density(np.array([17.0]), np.array([3.0]), bandwidth_m=200)
    other = estimate_density(np.array([917.3]), np.array([-403.9]), bandwidth_m=200)
    assert (one.west_m - other.west_m) % one.step_m == 0
    assert (one.south_m - other.south_m) % one.step_m == 0


def test_no_places_no_surface() -> None:
    empty = np.empty(0)
    assert estimate_density(empty, empty, bandwidth_m=200).peak_per_km2 == 0
    assert project_points(empty, empty, srid=SRID)[0].size == 0


@pytest.mark.parametrize(
    ("x_m", "weight", "bandwidth_m", "message"),
    [
        (float("nan"), 1.0, 200.0, "finite"),
        (0.0, -1.0, 200.0, "negative"),
        (0.0, 1.0, 0.0, "positive"),
        (1e7, 1.0, 200.0, "too far apart"),
    ],
)
def test_nonsense_is_refused(x_m: float, weight: float, bandwidth_m: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimate_density(np.array([0.0, x_m]), np.array([0.0, x_m]), np.array([1.0, weight]), bandwidth_m=bandwidth_m)


def test_the_picture_lies_where_the_cases_are() -> None:
    lon, lat = np.array([113.62, 113.66]), np.array([34.74, 34.78])
    x_m, y_m = project_points(lon, lat, srid=SRID)
    density = estimate_density(x_m, y_m, np.array([50.0, 50.0]), bandwidth_m=200)
    picture = draw_bands(density, (100.0, density.peak_per_km2 * 0.98), srid=SRID, pixels=900)
    rows, columns = picture.indices.shape

    def mercator(latitude: float) -> float:
        return math.asinh(math.tan(math.radians(latitude)))

    found = set()
    for row, column in np.argwhere(picture.indices == 2):
        at_lon = picture.west + (column + 0.5) / columns * (picture.east - picture.west)
        north, south = mercator(picture.north), mercator(picture.south)
        at_lat = math.degrees(math.atan(math.sinh(north - (row + 0.5) / rows * (north - south))))
        away = np.hypot((lon - at_lon) * 91_400, (lat - at_lat) * 110_900)
        assert away.min() < 60  # the top two per cent reach 0.2 bandwidths = 40 m, and a pixel is 9 m
        found.add(int(away.argmin()))
    assert found == {0, 1}


def test_the_picture_is_a_small_png_with_a_clear_ground() -> None:
    x_m, y_m = project_points(np.array([113.62]), np.array([34.74]), srid=SRID)
    density = estimate_density(x_m, y_m, np.array([40.0]), bandwidth_m=200)
    (png,) = draw_bands(density, (20.0, 50.0, 100.0), srid=SRID).to_pngs([make_ramp(3)], alpha=215)
    assert len(png) < 20_000
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    middle, corner = image.getpixel((image.width // 2, image.height // 2)), image.getpixel((0, 0))
    assert isinstance(middle, tuple)
    assert isinstance(corner, tuple)
    assert f"#{middle[0]:02x}{middle[1]:02x}{middle[2]:02x}" == make_ramp(3)[2]
    assert (middle[3], corner[3]) == (215, 0)
