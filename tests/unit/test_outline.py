"""Packed outlines: exact round trip, shared edges, size."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from maps.outline import COORDINATE_STEP, decode_rings, encode_outlines

PLACE = st.tuples(st.integers(-18_000_000, 18_000_000), st.integers(-9_000_000, 9_000_000))


def tiles(side: int, *, step: float = 0.002, wobble: float = 0.0) -> list[shapely.Polygon]:
    """Square blocks that tile exactly: neighbours share their corners bit for bit."""
    random = np.random.default_rng(7)
    corners = np.stack(np.meshgrid(np.arange(side + 1), np.arange(side + 1)), -1) * step + (113.5, 34.6)
    corners = corners + random.uniform(-wobble, wobble, corners.shape)
    return [
        shapely.Polygon([corners[j, i], corners[j, i + 1], corners[j + 1, i + 1], corners[j + 1, i]])
        for j in range(side)
        for i in range(side)
    ]


@given(places=st.lists(PLACE, min_size=3, max_size=12, unique=True))
def test_a_ring_comes_back_as_it_was(places: list[tuple[int, int]]) -> None:
    ring = [(round(x * COORDINATE_STEP, 5), round(y * COORDINATE_STEP, 5)) for x, y in places]
    encoded = encode_outlines([shapely.Polygon(ring)])
    assert decode_rings(encoded.shapes[0]) == [[ring]]


def test_holes_and_parts_come_back() -> None:
    shape = shapely.MultiPolygon(
        [
            shapely.Polygon([(0, 0), (4, 0), (4, 4), (0, 4)], [[(1, 1), (2, 1), (2, 2)]]),
            shapely.Polygon([(5, 5), (6, 5), (6, 6)]),
        ]
    )
    polygons = decode_rings(encode_outlines([shape]).shapes[0])
    assert [len(rings) for rings in polygons] == [2, 1]
    assert shapely.MultiPolygon([(rings[0], rings[1:]) for rings in polygons]).equals(shape)


def test_shared_edges_stay_shared_also_when_simplified() -> None:
    blocks = tiles(12, wobble=3e-4)
    # Some vertices on every edge, so that there is something to leave out; on the 1e-7° grid, as cells are stored.
    dense = shapely.segmentize(np.array(blocks), 2.5e-4)
    blocks = list(shapely.transform(dense, lambda places: np.round(places, 7)))
    encoded = encode_outlines(blocks, budget_bytes=4500)
    assert encoded.tolerance_m > 0
    drawn = [shapely.Polygon(decode_rings(shape)[0][0]) for shape in encoded.shapes]
    assert all(shape.is_valid for shape in drawn)
    whole = shapely.union_all(drawn)
    assert np.isclose(whole.area, sum(shape.area for shape in drawn), rtol=1e-12)  # no overlap
    assert len(shapely.get_parts(whole)) == 1
    assert not list(shapely.get_parts(whole)[0].interiors)  # no slit


def test_a_cell_never_disappears() -> None:
    tiny = shapely.box(113.6, 34.7, 113.60002, 34.70002)
    large = shapely.segmentize(shapely.box(113.5, 34.6, 113.59, 34.69).buffer(0.001), 1e-4)
    encoded = encode_outlines([tiny, large], budget_bytes=200)
    assert all(encoded.shapes)


def test_nothing_is_nothing() -> None:
    assert encode_outlines([]).is_empty


def test_twenty_thousand_blocks_fit_their_budget() -> None:
    encoded = encode_outlines(tiles(142, wobble=4e-4))
    assert len(encoded.shapes) == 20_164
    assert sum(map(len, encoded.shapes)) <= 700_000
    assert encoded.tolerance_m == 0.0
