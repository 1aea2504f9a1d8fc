"""Conversion of positions: against gcoord's table, there and back, outside China, and bad input."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geo.coordinates import (
    CHINA_BOX,
    CoordSys,
    check_position,
    convert,
    from_wgs84,
    is_in_china_box,
    snap_to_grid,
    to_grid,
    to_wgs84,
)
from geo.errors import GridwardError

METRE_DEG = 1 / 111_320
TABLE = Path(__file__).parent / "data" / "gcoord_1_0_7.csv"
ROOT = Path(__file__).resolve().parents[2]
WGS84, CGCS2000, GCJ02, BD09 = CoordSys

# The mainland and the islands; a margin keeps the shifted pair inside the box, where the way back starts.
china_lon = st.floats(73.0, 136.0)
china_lat = st.floats(2.0, 54.5)


def oracle_rows() -> list[dict[str, float]]:
    """Values of gcoord 1.0.7, made once with Node (seeded positions all over China)."""
    with TABLE.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize(("source", "target"), [(WGS84, GCJ02), (WGS84, BD09), (GCJ02, BD09)])
def test_forward_equals_gcoord(source: CoordSys, target: CoordSys) -> None:
    rows = oracle_rows()
    assert len(rows) == 160
    for row in rows:
        lon, lat = convert(row["lon"], row["lat"], source, target)
        assert lon == pytest.approx(row[f"{source}_{target}_lon"], abs=1e-6 * METRE_DEG)
        assert lat == pytest.approx(row[f"{source}_{target}_lat"], abs=1e-6 * METRE_DEG)


@pytest.mark.parametrize(("source", "target", "within_m"), [(GCJ02, WGS84, 0.2), (BD09, GCJ02, 1.0)])
def test_inverse_lies_within_the_error_of_gcoord(source: CoordSys, target: CoordSys, within_m: float) -> None:
    """Gcoord stops at 1e-6° (GCJ-02) and does not iterate at all (BD-09); ours closes, so they differ by its error."""
    for row in oracle_rows():
        lon, lat = convert(row["lon"], row["lat"], source, target)
        assert lon == pytest.approx(row[f"{source}_{target}_lon"], abs=within_m * METRE_DEG)
        assert lat == pytest.approx(row[f"{source}_{target}_lat"], abs=within_m * METRE_DEG)


@pytest.mark.parametrize("source", CoordSys)
@pytest.mark.parametrize("target", CoordSys)
@given(lon=china_lon, lat=china_lat)
@example(lon=105.0, lat=35.0)
@example(lon=math.nextafter(105.0, 106.0), lat=math.nextafter(35.0, 34.0))
@example(lon=104.99999999999, lat=35.00000000001)
@example(lon=113.665, lat=34.786)
def test_there_and_back_closes_within_a_micrometre(source: CoordSys, target: CoordSys, lon: float, lat: float) -> None:
    back = convert(*convert(lon, lat, source, target), target, source)
    assert back == pytest.approx((lon, lat), abs=1e-6 * METRE_DEG)


def test_there_and_back_on_a_million_positions() -> None:
    rng = np.random.default_rng(20260301)
    lon, lat = rng.uniform(73.0, 136.0, 250_000), rng.uniform(2.0, 54.5, 250_000)
    for coord_sys in (GCJ02, BD09):
        there = from_wgs84(lon, lat, coord_sys)
        back = to_wgs84(*there, coord_sys)
        assert np.abs(back[0] - lon).max() < 1e-6 * METRE_DEG
        assert np.abs(back[1] - lat).max() < 1e-6 * METRE_DEG


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
@example(lon=CHINA_BOX[0], lat=CHINA_BOX[1])
@example(lon=math.nextafter(CHINA_BOX[2], 180.0), lat=30.0)
def test_outside_china_nothing_moves(lon: float, lat: float) -> None:
    for target in (GCJ02, BD09):
        moved = from_wgs84(lon, lat, target)
        back = to_wgs84(lon, lat, target)
        if is_in_china_box(lon, lat):
            assert moved != (lon, lat)
        else:
            assert moved == (lon, lat)
            assert back == (lon, lat)


@given(st.lists(st.tuples(st.floats(-180, 180), st.floats(-90, 90)), min_size=0, max_size=20))
def test_arrays_agree_with_numbers(pairs: list[tuple[float, float]]) -> None:
    lon, lat = np.array([p[0] for p in pairs], dtype=float), np.array([p[1] for p in pairs], dtype=float)
    for source in CoordSys:
        for target in CoordSys:
            many = convert(lon, lat, source, target)
            for index, (one_lon, one_lat) in enumerate(pairs):
                one = convert(one_lon, one_lat, source, target)
                assert (many[0][index], many[1][index]) == pytest.approx(one, abs=1e-7 * METRE_DEG)


def test_cgcs2000_is_wgs84_here_and_arrays_are_not_changed_in_place() -> None:
    assert convert(113.6, 34.7, CGCS2000, WGS84) == (113.6, 34.7)
    lon = np.array([113.6])
    convert(lon, np.array([34.7]), WGS84, BD09)
    assert lon[0] == 113.6


def test_the_shift_at_zhengzhou_is_the_published_568_m() -> None:
    lon, lat = from_wgs84(113.665, 34.786, GCJ02)
    east_m = (lon - 113.665) * 111_320 * math.cos(math.radians(34.786))
    north_m = (lat - 34.786) * 110_940
    assert 550 < math.hypot(east_m, north_m) < 580


@pytest.mark.parametrize(
    ("lon", "lat", "code"),
    [
        (math.nan, 34.7, "geo.coordinate_not_finite"),
        (113.6, math.inf, "geo.coordinate_not_finite"),
        (-math.inf, 34.7, "geo.coordinate_not_finite"),
        (180.0000001, 34.7, "geo.longitude_out_of_range"),
        (-1e308, 34.7, "geo.longitude_out_of_range"),
        (0.5, 90.0000001, "geo.latitude_out_of_range"),
        (8.5, -91.0, "geo.latitude_out_of_range"),
        (34.754, 113.617, "geo.axes_swapped"),
        (43.8, 87.6, "geo.axes_swapped"),
    ],
)
def test_bad_positions_are_named(lon: float, lat: float, code: str) -> None:
    with pytest.raises(GridwardError) as caught:
        check_position(lon, lat)
    assert caught.value.code == code
    json.dumps(caught.value.params, allow_nan=False)


@pytest.mark.parametrize(("lon", "lat"), [(113.6, 34.7), (8.54, 47.37), (-180.0, -90.0), (180.0, 90.0), (-74.0, 40.7)])
def test_good_positions_pass(lon: float, lat: float) -> None:
    check_position(lon, lat)


@given(st.integers(-1_800_000_000, 1_800_000_000))
def test_grid_numbers_are_the_nearest_doubles_of_their_decimals(units: int) -> None:
    degrees = units / 10_000_000
    assert snap_to_grid(degrees) == degrees == float(f"{units}e-7")
    assert int(to_grid(degrees)) == units
    assert float(snap_to_grid(np.array([degrees]))[0]) == degrees


@given(st.floats(-180, 180))
def test_snapping_moves_by_half_a_unit_at_most_and_once(degrees: float) -> None:
    snapped = snap_to_grid(degrees)
    assert abs(snapped - degrees) <= 0.5000001e-7
    assert snap_to_grid(snapped) == snapped


def test_live_gcoord_agrees_where_it_is_installed() -> None:
    """The frozen table is gcoord 1.0.7; where Node and the package are there, the installed version is asked too."""
    node, package = shutil.which("node"), ROOT / "node_modules" / "gcoord"
    if node is None or not package.is_dir():
        assert TABLE.is_file()
        return
    script = (
        "const g=require('gcoord');const p=JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(p.map(x=>[g.transform(x,g.WGS84,g.GCJ02),g.transform(x,g.WGS84,g.BD09)])))"
    )
    rng = np.random.default_rng(7)
    points = np.column_stack([rng.uniform(73, 135, 2000), rng.uniform(3, 54, 2000)])
    done = subprocess.run(
        [node, "-e", script], input=json.dumps(points.tolist()), cwd=ROOT, capture_output=True, text=True, check=True
    )
    theirs = np.array(json.loads(done.stdout))
    for column, target in enumerate((GCJ02, BD09)):
        ours = np.column_stack(from_wgs84(points[:, 0], points[:, 1], target))
        assert np.abs(ours - theirs[:, column]).max() < 1e-6 * METRE_DEG
