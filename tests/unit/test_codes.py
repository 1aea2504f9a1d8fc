"""Code systems as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.codes import (
    CODE_SYSTEMS,
    CodeProblem,
    Place,
    check_code,
    find_problem,
    get_code_system,
    level_of,
    next_codes,
    parent_code,
    split_code,
)
from geo.errors import BadInputError
from maps.i18n import LOCALES, translate

LENGTHS = {"cn14": (9, 12, 14), "cn15": (9, 12, 15), "cn16": (9, 12, 16), "cn20": (15, 18, 20)}

SOUND = [
    ("cn15", "410102001", 1, None),
    ("cn15", "410102001002", 2, "410102001"),
    ("cn15", "410102001002003", 3, "410102001002"),
    ("cn15", "441900003999", 2, "441900003"),  # a city without districts
    ("cn14", "41010200100203", 3, "410102001002"),
    ("cn16", "4101020010020003", 3, "410102001002"),
    ("cn20", "030101410102001", 1, None),
    ("cn20", "030101410102001601", 2, "030101410102001"),  # joined communities count from 601
    ("cn20", "03010141010200160100", 3, "030101410102001601"),  # not divided: 00
    ("cn20", "00000041010200160101", 3, "000000410102001601"),
    ("free", "W-7", 4, "anything"),
    ("free", "", 1, None),
]

WRONG = [
    ("cn15", "", 1, None, CodeProblem.NOT_DIGITS),
    ("cn15", "41010200", 1, None, CodeProblem.LENGTH),
    ("cn15", "4101020011", 1, None, CodeProblem.LENGTH),
    ("cn15", "410102001002", 1, None, CodeProblem.LENGTH),
    ("cn15", "410102001", 2, None, CodeProblem.LENGTH),
    ("cn15", "410102001002", 3, None, CodeProblem.LENGTH),
    ("cn15", "41010200100200", 3, None, CodeProblem.LENGTH),
    ("cn15", "41010200A", 1, None, CodeProblem.NOT_DIGITS),
    ("cn15", "４１０１０２００１", 1, None, CodeProblem.NOT_DIGITS),
    ("cn15", "41010２001", 1, None, CodeProblem.NOT_DIGITS),
    ("cn15", "-10102001", 1, None, CodeProblem.NOT_DIGITS),
    ("cn15", "010102001", 1, None, CodeProblem.DIVISION),
    ("cn15", "410102000", 1, None, CodeProblem.ZERO_SEGMENT),
    ("cn15", "410102001000", 2, None, CodeProblem.ZERO_SEGMENT),
    ("cn15", "410102001002000", 3, None, CodeProblem.ZERO_SEGMENT),
    ("cn15", "410102002001", 2, "410102001", CodeProblem.NOT_UNDER_PARENT),
    ("cn15", "410102001002003", 3, "410102001003", CodeProblem.NOT_UNDER_PARENT),
    ("cn15", "410102001002003", 3, "410102001", CodeProblem.NOT_UNDER_PARENT),
    ("cn15", "410102001002003004", 4, None, CodeProblem.LEVEL),
    ("cn14", "410102001002003", 3, None, CodeProblem.LENGTH),
    ("cn16", "410102001002003", 3, None, CodeProblem.LENGTH),
    ("cn20", "410102001", 1, None, CodeProblem.LENGTH),
    ("cn20", "030101010102001", 1, None, CodeProblem.DIVISION),
    ("cn20", "030101410102001000", 2, None, CodeProblem.ZERO_SEGMENT),
    ("cn20", "03010141010200100202", 3, "030102410102001002", CodeProblem.NOT_UNDER_PARENT),
]


@pytest.mark.parametrize(("system", "code", "level", "parent"), SOUND)
def test_sound_codes(system: str, code: str, level: int, parent: str | None) -> None:
    assert find_problem(CODE_SYSTEMS[system], code, level, parent) is None
    check_code(CODE_SYSTEMS[system], code, level, parent)


@pytest.mark.parametrize(("system", "code", "level", "parent", "problem"), WRONG)
def test_wrong_codes(system: str, code: str, level: int, parent: str | None, problem: CodeProblem) -> None:
    with pytest.raises(BadInputError) as raised:
        check_code(CODE_SYSTEMS[system], code, level, parent)
    assert raised.value.code == problem.value
    for locale in LOCALES:
        assert translate(locale, f"error.{raised.value.code}", **raised.value.params)


@pytest.mark.parametrize(("system", "lengths"), sorted(LENGTHS.items()))
def test_lengths_by_level(system: str, lengths: tuple[int, ...]) -> None:
    found = CODE_SYSTEMS[system]
    assert found.lengths == dict(enumerate(lengths, 1))
    assert [level_of(found, "1" * length) for length in lengths] == [1, 2, 3]
    assert level_of(found, "1" * 7) is None
    assert sum(segment.digits for segment in found.segments) == lengths[-1] == int(system[2:])


@pytest.mark.parametrize("system", sorted(CODE_SYSTEMS))
def test_every_system_says_where_it_comes_from(system: str) -> None:
    found = get_code_system(system)
    assert bool(found.source) == found.has_prefix_rule == bool(found.segments)


def test_unknown_system_is_named() -> None:
    with pytest.raises(BadInputError) as raised:
        get_code_system("cn17")
    assert raised.value.code == "geo.code_system_unknown"
    assert "cn15" in raised.value.params["known"]


@pytest.mark.parametrize(
    ("system", "code", "parent"),
    [
        ("cn15", "410102001002003", "410102001002"),
        ("cn15", "410102001002", "410102001"),
        ("cn15", "410102001", None),
        ("cn15", "4101", None),
        ("cn20", "03010141010200160100", "030101410102001601"),
        ("free", "410102001002", None),
    ],
)
def test_parent_codes(system: str, code: str, parent: str | None) -> None:
    assert parent_code(CODE_SYSTEMS[system], code) == parent


def test_segments_of_twenty_digits() -> None:
    cut = split_code(CODE_SYSTEMS["cn20"], "03010141010200160105")
    assert [(segment.name, digits) for segment, digits in cut.items()] == [
        ("object", "030101"),
        ("county", "410102"),
        ("subdistrict", "001"),
        ("community", "601"),
        ("cell", "05"),
    ]


def at(key: str, lon: float, lat: float) -> Place:
    return Place(key=key, lon=lon, lat=lat)


ORDERS = [
    ("west first", [at("e", 113.62, 34.7), at("w", 113.61, 34.7)], None, "we"),
    ("north first at one longitude", [at("s", 113.61, 34.7), at("n", 113.61, 34.8)], None, "ns"),
    ("west before north", [at("n", 113.62, 34.8), at("s", 113.61, 34.7)], None, "sn"),
    ("same place: smaller key", [at("b", 113.61, 34.7), at("a", 113.61, 34.7)], None, "ab"),
    ("equal on the grid is equal", [at("s", 113.61, 34.7), at("n", 113.61000000001, 34.8)], None, "ns"),
    ("as a page is read", [at("s", 113.61, 34.70), at("e", 113.62, 34.80), at("w", 113.60, 34.799)], 0.01, "wes"),
    ("nobody", [], None, ""),
]


@pytest.mark.parametrize(("name", "places", "row_deg", "order"), ORDERS, ids=[each[0] for each in ORDERS])
def test_order(name: str, places: list[Place], row_deg: float | None, order: str) -> None:
    given = list(next_codes(CODE_SYSTEMS["cn15"], "410102001002", places, row_deg=row_deg))
    assert "".join(place.key for place, _ in given) == order
    assert [code for _, code in given] == [f"410102001002{number:03d}" for number in range(1, len(places) + 1)]


@pytest.mark.parametrize(
    ("system", "parent", "taken", "code"),
    [
        ("cn15", "410102", (), "410102001"),
        ("cn15", "410102001", (), "410102001001"),
        ("cn15", "410102001002", ("410102001002007",), "410102001002008"),
        ("cn15", "410102001002", ("410102001003009", "41010200100200X"), "410102001002001"),
        ("cn14", "410102001002", (), "41010200100201"),
        ("cn16", "410102001002", (), "4101020010020001"),
        ("cn20", "030101410102", (), "030101410102001"),
        ("cn20", "030101410102001601", ("03010141010200160104",), "03010141010200160105"),
        ("free", "W", ("W001",), "W002"),
    ],
)
def test_next_code(system: str, parent: str, taken: tuple[str, ...], code: str) -> None:
    assert [each for _, each in next_codes(CODE_SYSTEMS[system], parent, [at("a", 0, 0)], taken=taken)] == [code]


@pytest.mark.parametrize(
    ("parent", "problem"),
    [
        ("４１０１０２００１００２", "geo.code_not_digits"),
        ("41010200100X", "geo.code_not_digits"),
        ("9999", "geo.code_no_parent"),
        ("410102001002001", "geo.code_no_parent"),
        ("", "geo.code_not_digits"),
    ],
)
def test_nothing_lies_under_what_is_no_parent(parent: str, problem: str) -> None:
    with pytest.raises(BadInputError) as raised:
        list(next_codes(CODE_SYSTEMS["cn15"], parent, [at("a", 0, 0)]))
    assert (raised.value.code, raised.value.pointer) == (problem, "/parent")
    if problem == "geo.code_no_parent":
        assert raised.value.params["lengths"] == "6, 9, 12"


def test_digits_run_out() -> None:
    with pytest.raises(BadInputError) as raised:
        list(next_codes(CODE_SYSTEMS["cn14"], "410102001002", [at("a", 0, 0)], taken=["41010200100299"]))
    assert raised.value.code == "geo.codes_exhausted"
    assert translate("en", "error.geo.codes_exhausted", **raised.value.params)


@pytest.mark.parametrize("parent", ["", "4101", "410102001002003", "41010200X"])
def test_no_code_under_what_is_no_parent(parent: str) -> None:
    with pytest.raises(BadInputError):
        list(next_codes(CODE_SYSTEMS["cn15"], parent, [at("a", 0, 0)]))


@given(
    places=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=40),
    system=st.sampled_from(["cn14", "cn15", "cn16"]),
)
def test_made_codes_are_sound_and_do_not_depend_on_the_order_given(places: list[tuple[int, int]], system: str) -> None:
    cells = [at(f"{number:03d}", 113 + x / 100, 34 + y / 100) for number, (x, y) in enumerate(places)]
    given_codes = {place.key: code for place, code in next_codes(CODE_SYSTEMS[system], "410102001002", cells)}
    back = {place.key: code for place, code in next_codes(CODE_SYSTEMS[system], "410102001002", cells[::-1])}
    assert given_codes == back
    assert len(set(given_codes.values())) == len(cells)
    for code in given_codes.values():
        check_code(CODE_SYSTEMS[system], code, 3, "410102001002")
