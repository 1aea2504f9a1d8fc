"""The rendered map and page: nothing foreign, nothing executed, small, the same for the same input."""

from __future__ import annotations

import html.parser
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import jinja2
import pytest
import shapely

import maps
from maps.bins import Lattice
from maps.findings import Period
from maps.heat import DrawnCell, HeatData, HeatView, frame_html, page_context
from maps.i18n import LOCALES, Locale, catalogue
from maps.outline import encode_outlines
from maps.own_files import ForeignAddressError, check_no_foreign, content_security_policy
from maps.page_parts import Category
from tests.unit.test_outline import tiles

VIEW = HeatView(period=Period(from_on=date(2026, 10, 23), to_on=date(2026, 11, 21)), categories=("E0110",), level=3)
HOSTILE = [
    "</script><script>window.hurt=1</script>",
    "<img src=x onerror=window.hurt=1>",
    "`${window.hurt=1}`",
    "\u2028window.hurt=1\u2029",
    "'\"><svg onload=window.hurt=1>",
    "{{ 7*7 }}{% raw %}",
    "<!--<script>",
    "https://evil.example/x.js",
    "\\u003c/script>",
    "&lt;b&gt;",
    "𠮷野家 👩‍👩‍👧 \u202eabc",
]


def heat_data(names: list[str], *, cases: list[int] | None = None, **overrides: Any) -> HeatData:
    side = next(n for n in range(1, 200) if n * n >= len(names))
    blocks = tiles(side)[: len(names)]
    counts = cases or [5 + 3 * n for n in range(len(names))]
    lattice = Lattice.at(34.6, side_m=50)
    bins = [
        lattice.bin(int(block.centroid.x // lattice.side_lon), int(block.centroid.y // lattice.side_lat), count)
        for block, count in zip(blocks[:4000], counts, strict=False)
    ]
    values: dict[str, Any] = {
        "cells": [
            DrawnCell(code=f"4101020010{n:05d}", name=name, population=800, area_m2=36_000.0, cases=count)
            for n, (name, count) in enumerate(zip(names, counts, strict=True))
        ],
        "outlines": encode_outlines(blocks),
        "parents": [(1, encode_outlines([shapely.union_all(blocks)]), [names[0]])],
        "bins": bins,
        "metric_srid": 4547,
        "before": 120,
        "out_of_grid": 12,
        "no_position": 3,
        "above_level": 0,
        "other_version": 0,
        "as_of": datetime(2026, 11, 21, 1, 30, tzinfo=UTC),
        "today": date(2026, 11, 21),
        "time_zone": "Asia/Shanghai",
        "place": names[0],
        "grid_name": names[-1],
        "categories": [Category(code="E0110", name=names[0], group=names[-1])],
        "levels": (1, 2, 3),
        "choices": {"channel": [("hotline", names[0])], "ledger": [], "state": []},
        "areas": [("410102001", names[0])],
        "lattice": lattice,
        "total": sum(counts),
    }
    return HeatData(**(values | overrides))


def page_html(locale: Locale, view: HeatView, data: HeatData) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(maps.__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("heat.html").render(page_context(locale, view, data))


class Reader(html.parser.HTMLParser):
    """Collects elements and attributes as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("locale", LOCALES)
def test_the_frame_names_no_foreign_address(locale: Locale, inline: bool) -> None:
    text = frame_html(locale, VIEW, heat_data([f"网格 {n}" for n in range(30)]), inline=inline)
    check_no_foreign(text)
    assert set(re.findall(r"https?://[^\"'\s]*", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xhtml",
        "http://www.w3.org/1999/xlink",
    }
    reader = Reader()
    reader.feed(text)
    asked = [attrs.get("src") or attrs.get("href") for tag, attrs in reader.tags if tag in {"script", "link", "img"}]
    assert all(address is None or address.startswith("/static/") for address in asked)
    assert (sum(address is not None for address in asked) == 0) is inline
    assert f'<html lang="{locale}">' in text


@pytest.mark.parametrize("inline", [False, True])
def test_hostile_texts_stay_texts(inline: bool) -> None:
    plain = frame_html("en", VIEW, heat_data(["x"] * len(HOSTILE)), inline=inline)
    text = frame_html("en", VIEW, heat_data(HOSTILE), inline=inline)
    before, after = Reader(), Reader()
    before.feed(plain)
    after.feed(text)
    assert [tag for tag, _ in after.tags] == [tag for tag, _ in before.tags]
    assert "\u2028" not in text
    assert text.count("</script") == plain.count("</script")
    payload = re.search(r"gridward\.cells\((\{.*?\})\);", text)
    assert payload is not None
    packed = json.loads(payload.group(1))
    names, last = [], ""
    for coded in packed["names"]:
        last = last[: int(coded[0], 36)] + coded[1:]
        names.append(last)
    assert names == HOSTILE


@pytest.mark.parametrize("locale", LOCALES)
def test_hostile_texts_stay_texts_in_the_page(locale: Locale) -> None:
    before, after = Reader(), Reader()
    before.feed(page_html(locale, VIEW, heat_data(["x"] * len(HOSTILE))))
    after.feed(page_html(locale, VIEW, heat_data(HOSTILE)))
    assert {tag for tag, _ in after.tags} == {tag for tag, _ in before.tags} | {"span"}
    assert not [name for _, attrs in after.tags for name in attrs if name.startswith("on")]
    addresses = [attrs[name] or "" for _, attrs in after.tags for name in ("src", "href", "action") if name in attrs]
    assert all(address.startswith(("/", "?", "#")) and not address.startswith("//") for address in addresses)


def test_twenty_thousand_cells_fit_one_and_a_half_megabytes() -> None:
    names = [f"建设路 {n // 60}-{n % 60:02d} 单元网格" for n in range(20_000)]
    text = frame_html("zh-CN", VIEW, heat_data(names, cases=[(7 * n) % 1300 for n in range(20_000)]))
    assert len(text.encode()) <= 1_500_000


def test_the_same_input_gives_the_same_page() -> None:
    data = heat_data(["甲", "乙", "丙"])
    assert frame_html("zh-CN", VIEW, data) == frame_html("zh-CN", VIEW, data)


def test_rendering_leaves_folium_as_it_was() -> None:
    import folium
    from folium.plugins import HeatMap

    before = (list(folium.Map.default_js), list(folium.Map.default_css), list(HeatMap.default_js))
    frame_html("en", VIEW, heat_data(["a", "b"]))
    assert (list(folium.Map.default_js), list(folium.Map.default_css), list(HeatMap.default_js)) == before


def test_small_counts_are_nowhere_in_frame_or_page() -> None:
    cases = [40, 41, 42, 43, 3, 2, 44, 0, 45]
    data = heat_data([f"n{n}" for n in range(9)], cases=cases)
    text = frame_html("en", VIEW, data)
    counts = re.search(r'"counts":(\[.*?\])', text)
    assert counts is not None
    assert json.loads(counts.group(1)) == [40, 41, 42, 43, -1, -1, 44, 0, 45]
    assert '"tones":"0123hh4-5"' in text
    page = page_html("en", VIEW, data)
    assert re.search(r">n4</a>, <a [^>]*>n5</a>", page)
    assert not re.search(r"<td[^>]*>\s*[1-4]\s*</td>\s*<td[^>]*>\d+\.\d\d", page)


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("cases", [[0] * 9, [1] * 9, [1] + [0] * 8, [9] * 9])
def test_thin_data_still_make_a_page(locale: Locale, cases: list[int]) -> None:
    data = heat_data([f"n{n}" for n in range(9)], cases=cases, bins=[], before=0)
    check_no_foreign(frame_html(locale, VIEW, data))
    assert "{" not in re.sub(r"<script.*?</script>", "", page_html(locale, VIEW, data), flags=re.DOTALL)


def test_both_languages_say_the_same_things() -> None:
    mine = [{key for key in catalogue(locale) if key.startswith("planner.")} for locale in LOCALES]
    assert mine[0] == mine[1]


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.jsdelivr.net/x.js"></script>',
        "<link href=//cdn.example/x.css>",
        "<style>@import url('//fonts.example/x');</style>",
        "<style>a{background:url(//x.example/p.png)}</style>",
        '<script>fetch("https:\\/\\/x.example")</script>',
        "<script>new WebSocket('wss://x.example')</script>",
        '<a href="HTTP://X.example">',
        "http://www.w3.org.evil.example/",
    ],
)
def test_the_checker_finds_every_kind_of_address(text: str) -> None:
    with pytest.raises(ForeignAddressError):
        check_no_foreign(text)


def test_the_policy_allows_exactly_the_inline_scripts_of_the_page() -> None:
    policy = content_security_policy("<script>a()</script><script src='/static/x.js'></script><script>b()</script>")
    assert policy.count("'sha256-") == 2
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert policy.endswith("sandbox allow-scripts")
