"""Addresses as people write them, and which place they mean."""

from __future__ import annotations

import json

import pytest

from geo.coordinates import CoordSys, to_wgs84
from geo.errors import BadInputError, InvalidRequestError
from geo.gazetteer.addresses import fold, parse_address, terms
from geo.gazetteer.importing import read_places
from geo.gazetteer.places import Place, PlaceKind, Precision, choose, keys_of, rank


def place(number: int, name: str, kind: PlaceKind = PlaceKind.ESTATE, aliases: tuple[str, ...] = ()) -> Place:
    return Place(
        id=number,
        source_id=str(number),
        kind=kind,
        name_zh=name,
        name_en="",
        aliases=aliases,
        keys=keys_of([name, *aliases]),
        lon=113.6 + number / 1000,
        lat=34.75,
        radius_m=40.0,
    )


PLACES = [
    place(1, "锦绣小区", aliases=("老纺织厂家属院",)),
    place(2, "锦绣小区3号楼", PlaceKind.BUILDING),
    place(3, "建设路与桐柏路交叉口", PlaceKind.CROSSING),
    place(4, "建设路", PlaceKind.ROAD),
    place(5, "建设路123号院", PlaceKind.COURTYARD),
    place(6, "幸福里"),
    place(7, "幸福里"),
    place(8, "二七广场", PlaceKind.LANDMARK),
]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("建设路１２３號院", "建设路123号院"),
        ("建设路一百二十三号院", "建设路123号院"),
        ("建设路一二三号院", "建设路123号院"),
        ("郑州市中原区建设路123号院", "建设路123号院"),
        ("桐柏路建设路路口", "建设路与桐柏路交叉口"),
        ("桐柏路/建设路", "建设路桐柏路口"),
        ("二七廣場", "二七广场"),
        ("锦绣小区 3 号楼", "锦绣小区三号楼"),
    ],
)
def test_two_ways_of_writing_are_one_address(one: str, other: str) -> None:
    assert parse_address(one).key == parse_address(other).key


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("锦绣小区", 1),
        ("林山寨街道锦绣小区5号楼2单元501室", 1),
        ("锦绣小区三号楼2单元", 2),
        ("老纺织厂家属院", 1),
        ("桐柏路建设路口西北角", 3),
        ("建设路１２３號院南门", 5),
        ("二七广场", 8),
    ],
)
def test_an_address_beyond_doubt_names_its_place(words: str, expected: int) -> None:
    chosen = choose(rank(parse_address(words), PLACES))
    assert chosen is not None
    assert chosen.place.id == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("锦绣小区对面", "beside it, not in it"),
        ("锦绣小区往东50米", "fifty metres away"),
        ("建设路", "a whole road"),
        ("建设路125号", "the number is not known, only the road"),
        ("幸福里", "two places of one name"),
        ("锦绣花园小区", "only similar"),
        ("火星基地", "nothing like it"),
        ("锦绣小区医院", "something named after it"),
    ],
)
def test_in_doubt_nothing_is_chosen(words: str, why: str) -> None:
    assert choose(rank(parse_address(words), PLACES)) is None, why


def test_what_is_similar_is_offered_with_its_precision() -> None:
    found = rank(parse_address("锦绣花园"), PLACES)
    assert found[0].place.id in {1, 2}
    assert found[0].precision is Precision.SIMILAR
    assert rank(parse_address("建设路125号"), PLACES)[0].precision is Precision.WIDE


@pytest.mark.parametrize("text", ["", "   ", "号" * 1000, "\U0001f600" * 50, "（）", "x|y", "与", "路口", "十" * 400])
def test_odd_words_do_no_harm(text: str) -> None:
    address = parse_address(text)
    rank(address, PLACES)
    terms(address.key or "x")
    assert len(fold(text)) <= 4000


def test_a_csv_of_an_office_is_read_whatever_its_columns_are_called() -> None:
    text = "编号,名称,类型,经度,纬度,别名\n1,锦绣小区,小区,113.61,34.75,纺织厂院；老院\n"
    for data in (text.encode("utf-8-sig"), text.encode("gb18030")):
        (record,) = read_places(data, coord_sys=CoordSys.GCJ02)
        assert (record.kind, record.aliases) == (PlaceKind.ESTATE, ("纺织厂院", "老院"))
        lon, lat = to_wgs84(113.61, 34.75, CoordSys.GCJ02)
        assert (record.lon, record.lat) == pytest.approx((lon, lat), abs=1e-7)


def test_an_area_says_how_far_it_reaches() -> None:
    ring = [[113.61, 34.75], [113.612, 34.75], [113.612, 34.751], [113.61, 34.751], [113.61, 34.75]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"name": "锦绣小区", "kind": "estate"},
    }
    data = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    (record,) = read_places(data, coord_sys=CoordSys.WGS84)
    assert 90 < record.radius_m < 120


def test_all_wrong_rows_are_named_at_once() -> None:
    rows = [
        "名称,类型,经度,纬度",
        ",小区,113.6,34.7",
        "甲,飞船,113.6,34.7",
        "乙,小区,34.7,113.6",
        "丙,小区,x,34.7",
        "丁,小区,113,34",
    ]
    text = "\n".join(rows)
    with pytest.raises(InvalidRequestError) as caught:
        read_places(text.encode(), coord_sys=CoordSys.WGS84)
    found = [(fault.code, fault.pointer) for fault in caught.value.faults]
    assert found == [
        ("place.bad_name", "/0/name"),
        ("place.bad_kind", "/1/kind"),
        ("geo.axes_swapped", "/2/lon"),
        ("place.bad_position", "/3/lon"),
    ]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"{}", b"\xff\xfe\x00", b"a,b\n1,2\n", b'{"features":[1,null,{"geometry":{"type":"Point"}}]}']
)
def test_nonsense_is_refused_with_a_name(data: bytes) -> None:
    with pytest.raises(BadInputError) as caught:
        read_places(data, coord_sys=CoordSys.WGS84)
    assert caught.value.code.startswith(("place.", "request."))
