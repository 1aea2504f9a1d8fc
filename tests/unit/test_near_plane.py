"""The nearest cells from the edges around a place: what is dropped changes nothing. Against PostGIS: a flow test."""

from __future__ import annotations

import math
import random

import shapely
from pyproj import Geod

from geo.near_plane import NearCell, NearPlane

LON, LAT = 113.62, 34.75
AROUND_M = 40.0
SPHEROID = Geod(ellps="WGS84")


def cell(number: int, chance: random.Random) -> NearCell:
    """A star with many corners, some hundred metres away."""
    turn, away = chance.uniform(0, math.tau), chance.uniform(0.003, 0.006)
    middle = (LON + away * math.cos(turn), LAT + away * math.sin(turn))
    corners = [
        (middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle))
        for angle in (math.tau * step / 300 for step in range(300))
        for reach in [chance.uniform(0.0008, 0.002)]
    ]
    return NearCell(code=f"{number}", name_zh="格", name_en="", boundary=shapely.Polygon(corners))


def metres(near: NearCell, lon: float, lat: float) -> float:
    """By measuring to very many points of the boundary."""
    points = shapely.get_coordinates(shapely.segmentize(near.boundary.exterior, 0.000002))
    lons, lats = points[:, 0], points[:, 1]
    return float(SPHEROID.inv([lon] * len(lons), [lat] * len(lons), lons, lats)[2].min())


def test_dropped_edges_are_never_the_closest() -> None:
    chance = random.Random(20261122)
    for _ in range(20):
        cells = [cell(number, chance) for number in range(5)]
        few, all_ = NearPlane(LON, LAT, AROUND_M, cells), NearPlane(LON, LAT, 1e6, cells)
        assert len(few._edges) < len(all_._edges) == 5 * 300
        for _ in range(20):
            turn, away = chance.uniform(0, math.tau), chance.uniform(0, AROUND_M / 112_000)
            point = (LON + away * math.cos(turn), LAT + away * math.sin(turn))
            assert few.nearest(*point, 3) == all_.nearest(*point, 3)


def test_distances_are_those_of_the_spheroid() -> None:
    chance = random.Random(7)
    cells = [cell(number, chance) for number in range(4)]
    point = (LON + 0.0001, LAT - 0.0001)
    found = NearPlane(LON, LAT, AROUND_M, cells).nearest(*point, 4)
    assert found is not None
    for one in found:
        assert abs(one["distance_m"] - metres(cells[int(one["code"])], *point)) < 0.06
    assert [one["distance_m"] for one in found] == sorted(one["distance_m"] for one in found)


def test_cells_that_share_the_closest_corner_come_by_their_code() -> None:
    corner = (LON + 0.002, LAT + 0.002)
    right = shapely.Polygon([corner, (corner[0] + 0.001, corner[1]), (corner[0] + 0.001, corner[1] + 0.001)])
    left = shapely.Polygon([(corner[0] + 0.001, corner[1] + 0.001), (corner[0], corner[1] + 0.001), corner])
    for codes in (("1", "2"), ("2", "1")):
        cells = [
            NearCell(code=code, name_zh="", name_en="", boundary=boundary)
            for code, boundary in zip(codes, (right, left), strict=True)
        ]
        found = NearPlane(LON, LAT, AROUND_M, cells).nearest(LON, LAT, 3)
        assert found is not None
        assert [one["code"] for one in found] == ["1", "2"]
        assert found[0]["distance_m"] == found[1]["distance_m"]
