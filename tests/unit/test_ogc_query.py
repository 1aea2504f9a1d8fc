"""The query of the OGC door, by the letter of the standard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.ogc_query import DEFAULT_LIMIT, MOST_LIMIT, OgcQueryError, make_cursor, parse_items, parse_only

ZONE = "Asia/Shanghai"


def faults(*pairs: tuple[str, str], queryables: tuple[str, ...] = ("kind",)) -> list[str]:
    with pytest.raises(OgcQueryError) as caught:
        parse_items(pairs, queryables, ZONE)
    return [fault.code for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        (("limit", "0"), "ogc.bad_limit"),
        (("limit", "-1"), "ogc.bad_limit"),
        (("limit", "1.5"), "ogc.bad_limit"),
        (("limit", "ten"), "ogc.bad_limit"),
        (("limit", ""), "ogc.bad_limit"),
        (("limit", "１０"), "ogc.bad_limit"),
        (("limit", "9" * 300), "ogc.bad_limit"),
        (("bbox", ""), "ogc.bad_bbox"),
        (("bbox", "1,2,3"), "ogc.bad_bbox"),
        (("bbox", "1,2,3,4,5"), "ogc.bad_bbox"),
        (("bbox", "a,2,3,4"), "ogc.bad_bbox"),
        (("bbox", "nan,2,3,4"), "ogc.bad_bbox"),
        (("bbox", "1,2,inf,4"), "ogc.bad_bbox"),
        (("bbox", "1,40,3,4"), "ogc.bad_bbox"),
        (("bbox", "1,2,181,4"), "ogc.bad_bbox"),
        (("bbox", "1,-91,3,4"), "ogc.bad_bbox"),
        (("bbox", "1,2,9,3,4,5"), "ogc.bad_bbox"),
        (("datetime", ""), "ogc.bad_datetime"),
        (("datetime", "yesterday"), "ogc.bad_datetime"),
        (("datetime", "2026-13-01T00:00:00Z"), "ogc.bad_datetime"),
        (("datetime", "2026-01-01T00:00:00"), "ogc.bad_datetime"),
        (("datetime", "2026-W01-1"), "ogc.bad_datetime"),
        (("datetime", "2026-02-01/2026-01-01"), "ogc.bad_datetime"),
        (("datetime", "2026-01-01/2026-02-01/2026-03-01"), "ogc.bad_datetime"),
        (("datetime", ".."), "ogc.bad_datetime"),
        (("datetime", "0001-01-01T00:00:00+14:00"), "ogc.bad_datetime"),
        (("cursor", "é"), "ogc.bad_cursor"),
        (("cursor", "a"), "ogc.bad_cursor"),
        (("f", "html"), "ogc.bad_form"),
        (("kind", "\x00"), "ogc.bad_value"),
        (("kind", "x" * 401), "ogc.bad_value"),
        (("colour", "red"), "ogc.unknown_parameter"),
        (("bbox-crs", "http://www.opengis.net/def/crs/EPSG/0/4326"), "ogc.unknown_parameter"),
        (("LIMIT", "1"), "ogc.unknown_parameter"),
    ],
)
def test_a_bad_parameter_is_named(pair: tuple[str, str], code: str) -> None:
    assert faults(pair) == [code]


def test_all_faults_come_at_once() -> None:
    found = faults(("limit", "x"), ("bbox", "x"), ("datetime", "x"), ("colour", "x"), ("f", "x"), ("f", "json"))
    assert sorted(found) == [
        "ogc.bad_bbox",
        "ogc.bad_datetime",
        "ogc.bad_form",
        "ogc.bad_limit",
        "ogc.repeated",
        "ogc.unknown_parameter",
    ]


def test_defaults_and_the_largest_page() -> None:
    query = parse_items([("f", "geojson"), ("lang", "en")], (), ZONE)
    assert (query.limit, query.boxes, query.span, query.after, query.equal) == (DEFAULT_LIMIT, (), None, None, {})
    assert parse_items([("limit", "10001")], (), ZONE).limit == MOST_LIMIT, "too large is not an error (§7.15.2)"
    parse_only([("f", "json")])
    with pytest.raises(OgcQueryError):
        parse_only([("limit", "1")])


def test_boxes() -> None:
    def boxes(text: str) -> tuple[tuple[float, ...], ...]:
        return parse_items([("bbox", text)], (), ZONE).boxes

    assert boxes("113.6,34.7,113.7,34.8") == ((113.6, 34.7, 113.7, 34.8),)
    assert boxes("113.6,34.7,-10,113.7,34.8,900") == ((113.6, 34.7, 113.7, 34.8),), "heights do not matter"
    assert boxes("177,-20,-178,-16") == ((177, -20, 180, -16), (-180, -20, -178, -16))
    assert boxes("1,2,1,2") == ((1, 2, 1, 2),)


def test_times() -> None:
    def span(text: str) -> object:
        return parse_items([("datetime", text)], (), ZONE).span

    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert span("2026-03-01T12:00:00Z") == (noon, noon)
    assert span("2026-03-01t20:00:00 08:00") == (noon, noon), "a plus sign that was not encoded"
    assert span("2026-03-01T12:00:00Z/..") == (noon, None)
    assert span("/2026-03-01T12:00:00Z") == (None, noon)
    assert span("../..") == (None, None)
    day = datetime(2026, 2, 28, 16, tzinfo=UTC)
    assert span("2026-03-01") == (day, day + timedelta(days=1) - timedelta(microseconds=1))
    assert span("2026-03-01/2026-03-01") == span("2026-03-01")
    assert span("2016-12-31T23:59:60Z") == (datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC),) * 2


def test_a_cursor_comes_back() -> None:
    assert parse_items([("cursor", make_cursor(3, "410102001|é"))], (), ZONE).after == "3|410102001|é"


def test_values_of_properties() -> None:
    assert parse_items([("kind", "micro")], ("kind", "code"), ZONE).equal == {"kind": "micro"}
