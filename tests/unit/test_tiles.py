"""Tiles as arithmetic: addresses, bands, levels, and outlines simplified together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import shapely

from bench.tiling import make_tiling
from geo.errors import BadInputError
from geo.tiles import (
    BANDS,
    MOST_ZOOM,
    LevelExtent,
    band_of,
    first_zoom,
    has_details,
    is_dense,
    levels_at,
    parse_address,
    simplify_together,
    spatial_order,
    tiles_of,
    to_mercator,
)

TILING = make_tiling(24, 20)


def extent(level: int, width_m: float, cells: int = 1000) -> LevelExtent:
    return LevelExtent(
        level=level, cells=cells, mean_area_m2=width_m**2, west=113.4, south=34.6, east=113.9, north=34.9
    )


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (("x", "0", "0"), "tiles.not_a_number"),
        (("-1", "0", "0"), "tiles.not_a_number"),
        (("1.0", "0", "0"), "tiles.not_a_number"),
        (("１", "0", "0"), "tiles.not_a_number"),
        (("", "0", "0"), "tiles.not_a_number"),
        (("1", "9" * 400, "0"), "tiles.not_a_number"),
        (("23", "0", "0"), "tiles.bad_zoom"),
        (("2", "4", "0"), "tiles.out_of_range"),
        (("2", "0", "4"), "tiles.out_of_range"),
        (("0", "0", "1"), "tiles.out_of_range"),
    ],
)
def test_a_bad_address_has_a_name(address: tuple[str, str, str], code: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_address(*address)
    assert caught.value.code == code


def test_every_zoom_has_one_band_and_bands_grow_finer() -> None:
    assert [band_of(zoom).number for zoom in range(MOST_ZOOM + 1)] == sorted(
        band.number for band in BANDS for _ in range(band.least_zoom, band.most_zoom + 1)
    )
    assert all(far.tolerance_m > near.tolerance_m for far, near in itertools.pairwise(BANDS))
    assert band_of(14).tolerance_m == 0.0


def test_projection_agrees_with_proj() -> None:
    from pyproj import Transformer

    points = shapely.points([[113.6, 34.7], [-179.9, -80.0], [0.0, 0.0], [180.0, 85.0]])
    ours = shapely.get_coordinates(to_mercator(points))
    theirs = np.column_stack(
        Transformer.from_crs(4326, 3857, always_xy=True).transform(*shapely.get_coordinates(points).T)
    )
    assert np.abs(ours - theirs).max() < 1e-6


@pytest.mark.parametrize("band", BANDS, ids=lambda band: f"band{band.number}")
@pytest.mark.parametrize("level", [1, 2, 3])
def test_shared_edges_stay_shared(level: int, band: object) -> None:
    """Also after rounding to the tile's units, which is where slits would open."""
    shapes = to_mercator([cell.boundary for cell in TILING.cells() if cell.level == level])
    made = simplify_together(shapes, band)  # type: ignore[arg-type]
    assert len(made) == len(shapes)
    assert not shapely.is_empty(made).any()
    assert shapely.coverage_is_valid(made)
    assert {shape.geom_type for shape in made} == {"MultiPolygon"}
    assert all(not part.exterior.is_ccw for shape in made for part in shape.geoms), "clockwise, for y pointing down"
    # Nothing is added or lost beyond the outermost edge, and that one moves by less than the tolerance says.
    before, after = shapely.coverage_union_all(shapes), shapely.coverage_union_all(made)
    assert shapely.hausdorff_distance(before.boundary, after.boundary) <= 3 * band.tolerance_m + 1e-6  # type: ignore[attr-defined]


def test_a_hole_and_an_enclave_stay_what_they_are() -> None:
    around = shapely.Polygon(shapely.box(0, 0, 10_000, 10_000).exterior, [shapely.box(4000, 4000, 5000, 5000).exterior])
    inside = shapely.box(4000, 4000, 5000, 5000)
    made = simplify_together(np.array([around, inside]), BANDS[0])
    assert shapely.coverage_is_valid(made)
    assert made[0].area == around.area
    assert made[0].geoms[0].interiors[0].is_ccw


def test_overlapping_cells_do_not_break_it() -> None:
    made = simplify_together(np.array([shapely.box(0, 0, 900, 900), shapely.box(500, 500, 1500, 1500)]), BANDS[1])
    assert shapely.is_valid(made).all()


def test_neighbours_stand_near_each_other() -> None:
    shapes = to_mercator([cell.boundary for cell in TILING.cells() if cell.level == 3])
    rng = np.random.default_rng(1)
    centres = shapely.get_coordinates(shapely.centroid(shapes))

    def walk(order: np.ndarray) -> float:
        return float(np.linalg.norm(np.diff(centres[order], axis=0), axis=1).sum())

    order = spatial_order(shapes)
    assert sorted(order) == list(range(len(shapes)))
    assert walk(order) < walk(rng.permutation(len(shapes))) / 4
    assert list(spatial_order(shapes[:1])) == [0]


def test_levels_come_in_from_above() -> None:
    extents = {1: extent(1, 5000), 2: extent(2, 1000), 3: extent(3, 200)}
    shown = [levels_at(zoom, extents) for zoom in range(MOST_ZOOM + 1)]
    assert shown[0] == (1,)
    assert shown[11] == (1, 2)
    assert shown[13] == (1, 2, 3)
    assert all(set(far) <= set(near) for far, near in itertools.pairwise(shown))
    assert levels_at(5, {}) == ()
    # A second level whose cells happen to be larger than the first's waits for nobody.
    assert levels_at(14, {1: extent(1, 100), 2: extent(2, 5000)}) == (1, 2)


def test_what_is_dense_and_what_is_labelled() -> None:
    city = extent(3, 200, cells=70_818)
    assert first_zoom(city) == 10
    assert is_dense(city, 10)
    assert not is_dense(city, 12)
    assert not is_dense(extent(3, 200, cells=900), 0)
    assert not has_details(city, 10)
    assert has_details(city, 13)
    assert first_zoom(extent(1, 0.0)) == MOST_ZOOM


def test_tiles_of_an_extent() -> None:
    assert [str(tile) for tile in tiles_of(extent(1, 100), 0)] == ["0/0/0"]
    assert len(list(tiles_of(extent(1, 100), 10))) == 4
    world = LevelExtent(level=1, cells=1, mean_area_m2=1.0, west=-180.0, south=-90.0, east=180.0, north=90.0)
    assert len(list(tiles_of(world, 2))) == 16
