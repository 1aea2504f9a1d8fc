"""Which system do a channel's points speak? Seeded channels, right and wrong, beside a border and far from it."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from dispatch.datum import datum_hints, reading_name
from dispatch.datum_names import CellNames, NamedCell
from geo.coordinates import CoordSys, from_wgs84
from geo.datum import (
    LEAST_PLACES,
    READINGS,
    Confidence,
    DatumReport,
    DatumVerdict,
    Reading,
    judge_readings,
    read_as,
    read_one,
)

#: A subdistrict of 5.5 × 6.7 km at Zhengzhou; the shift is 568 m there.
AREA = shapely.box(113.60, 34.70, 113.66, 34.76)
WGS84, GCJ02, BD09 = CoordSys.WGS84, CoordSys.GCJ02, CoordSys.BD09
Box = tuple[float, float, float, float]
EVERYWHERE: Box = (113.60, 34.70, 113.66, 34.76)
#: A courtyard's width along the western border, and the middle of the area.
BORDER: Box = (113.600, 34.705, 113.602, 34.755)
MIDDLE: Box = (113.62, 34.72, 113.64, 34.74)


def channel(
    rng: np.random.Generator,
    true: CoordSys,
    declared: CoordSys,
    *,
    box: Box = EVERYWHERE,
    count: int = 300,
    stray: float = 0.02,
    swapped: bool = False,
) -> DatumReport:
    """Judge a channel whose points lie in a box, some strays 10 km around, sent in one system, declared in another."""
    lon, lat = rng.uniform(box[0], box[2], count), rng.uniform(box[1], box[3], count)
    out = rng.random(count) < stray
    lon[out], lat[out] = rng.uniform(113.5, 113.76, out.sum()), rng.uniform(34.6, 34.86, out.sum())
    x, y = from_wgs84(lon, lat, true)
    return judge_readings(*((y, x) if swapped else (x, y)), declared, AREA)


@pytest.mark.parametrize("true", [WGS84, GCJ02, BD09])
@pytest.mark.parametrize("declared", [WGS84, GCJ02, BD09])
def test_a_channel_all_over_the_area(true: CoordSys, declared: CoordSys) -> None:
    found = channel(np.random.default_rng(1), true, declared)
    assert found.confidence is Confidence.HIGH
    if true is declared:
        assert (found.verdict, found.suspected) == (DatumVerdict.FITS, ())
    else:
        assert (found.verdict, found.suspected) == (DatumVerdict.SUSPECT, (Reading(system=true),))


def test_cgcs2000_is_wgs84() -> None:
    found = channel(np.random.default_rng(2), WGS84, CoordSys.CGCS2000)
    assert found.verdict is DatumVerdict.FITS


def test_beside_the_border_half_a_kilometre_matters() -> None:
    """The shift goes south-east: read as GCJ-02, points on the western border fall out; only there it is seen."""
    rng = np.random.default_rng(3)
    right = channel(rng, WGS84, WGS84, box=BORDER)
    assert right.verdict is not DatumVerdict.SUSPECT
    wrong = channel(rng, WGS84, GCJ02, box=BORDER)
    assert wrong.verdict is DatumVerdict.SUSPECT
    assert wrong.suspected[0].system in (WGS84, BD09)
    assert wrong.fitting < 10


def test_in_the_middle_nobody_can_tell() -> None:
    found = channel(np.random.default_rng(4), GCJ02, WGS84, box=MIDDLE, stray=0.0)
    assert found.verdict is DatumVerdict.CANNOT_TELL
    assert not next(count for count in found.counts if count.reading == Reading(system=GCJ02)).is_excluded


def test_in_the_middle_a_named_cell_tells() -> None:
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(113.62, 113.64, 120), rng.uniform(34.72, 34.74, 120)
    # 200 m courtyards, named by the address.
    cells = shapely.box(lon - 0.001, lat - 0.001, lon + 0.001, lat + 0.001)
    cells[::3] = None
    found = judge_readings(*from_wgs84(lon, lat, GCJ02), WGS84, AREA, cells)
    assert (found.verdict, found.suspected) == (DatumVerdict.SUSPECT, (Reading(system=GCJ02),))
    assert found.named == 80


def test_swapped_axes() -> None:
    found = channel(np.random.default_rng(6), WGS84, WGS84, swapped=True)
    assert found.verdict is DatumVerdict.SUSPECT
    assert found.suspected == (Reading(system=WGS84, is_swapped=True),)


def test_one_busy_spot_outside_is_one_place() -> None:
    """A thousand reports from beside the border must not outvote the city."""
    rng = np.random.default_rng(7)
    lon = np.concatenate([rng.uniform(113.61, 113.65, 100), 113.6605 + rng.uniform(0, 1e-5, 1000)])
    lat = np.concatenate([rng.uniform(34.71, 34.75, 100), 34.73 + rng.uniform(0, 1e-5, 1000)])
    found = judge_readings(lon, lat, WGS84, AREA)
    assert found.points == 1100
    assert found.places < 110
    as_gcj02 = next(count for count in found.counts if count.reading == Reading(system=GCJ02))
    assert 0 < as_gcj02.only_here <= 2
    assert found.verdict is not DatumVerdict.SUSPECT


def test_few_points_say_nothing() -> None:
    found = channel(np.random.default_rng(8), GCJ02, WGS84, count=LEAST_PLACES - 1)
    assert found.verdict is DatumVerdict.TOO_FEW
    empty = judge_readings(np.array([]), np.array([]), WGS84, AREA)
    assert (empty.verdict, empty.places) == (DatumVerdict.TOO_FEW, 0)


@pytest.mark.parametrize("box", [EVERYWHERE, BORDER, MIDDLE])
@pytest.mark.parametrize("stray", [0.0, 0.02, 0.3])
def test_false_alarms(box: Box, stray: float) -> None:
    """60 honest channels of each kind, small and large: not one is accused."""
    rng = np.random.default_rng(9)
    systems = (WGS84, GCJ02, BD09)
    accused = 0
    for number in range(60):
        system = systems[number % 3]
        found = channel(rng, system, system, box=box, count=int(rng.integers(20, 400)), stray=stray)
        accused += found.verdict is DatumVerdict.SUSPECT
    assert accused == 0


def test_addresses_name_cells() -> None:
    street = NamedCell(code="410102001", path=("410102001",), names=("建设路街道", "建设路"))
    community = NamedCell(code="410102001002", path=("410102001", "410102001002"), names=("汝河社区",))
    twin = NamedCell(code="410102004003", path=("410102004", "410102004003"), names=("汝河社区",))
    names = CellNames.build([street, community])
    assert names.find("建设路街道汝河社区 3 号楼") == "410102001002"
    assert names.find("网格 410102001002 东侧") == "410102001002"
    assert names.find("电话 13800001111") is None
    both = CellNames.build([street, community, twin])
    assert both.find("汝河社区 3 号楼") is None
    assert both.find("建设路街道汝河社区 3 号楼") == "410102001002"
    assert names.find("") is None


@pytest.mark.parametrize("reading", READINGS, ids=reading_name)
def test_one_pair_reads_like_an_array(reading: Reading) -> None:
    """The door reads one pair without arrays and finds the same place, or none where the array has none."""
    for x, y in ((113.66, 34.73), (34.73, 113.66), (-0.0, 91.0), (179.9, -89.0), (181.0, 10.0)):
        lon, lat = (float(each[0]) for each in read_as(np.array([x]), np.array([y]), reading))
        one = read_one(x, y, reading)
        assert (one is None) == bool(np.isnan(lon) or np.isnan(lat))
        assert one is None or one == pytest.approx((lon, lat), abs=1e-11)


def test_hints_at_the_door() -> None:
    """A point outside as declared and inside otherwise; a channel that is known; nothing to say about the rest."""

    def is_inside(lon: float, lat: float) -> bool:
        return bool(AREA.intersects(shapely.Point(lon, lat)))

    raw = (113.6605, 34.7300)
    assert not is_inside(*raw)
    (hint,) = datum_hints(raw, WGS84, {}, is_inside)
    assert hint.code == "datum.point_fits_other"
    assert hint.suspected[0] == "gcj02"
    assert datum_hints((113.63, 34.73), WGS84, {}, is_inside) == []
    assert datum_hints((116.4, 39.9), WGS84, {}, is_inside) == []
    assert datum_hints(None, None, {}, is_inside) == []
    (known,) = datum_hints((113.63, 34.73), CoordSys.CGCS2000, {"wgs84": ["gcj02"]}, is_inside)
    assert (known.code, known.declared, known.suspected) == ("datum.channel_suspect", "cgcs2000", ("gcj02",))
