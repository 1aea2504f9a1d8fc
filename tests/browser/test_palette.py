"""The palette: moves, cells and coordinates by typing; shaded cells; limits counted down in working time."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from playwright.sync_api import expect

from geo.storage.engine import dsn
from tests.browser.conftest import Site
from tests.browser.district import SOUTH, STEP, WEST
from tests.browser.test_console import ready, report


def test_everything_by_typing(site: Site, open_page: Any) -> None:
    lon, lat = WEST + STEP * 0.3, SOUTH + STEP * 0.4
    made = report(site, "p1", lon=lon, lat=lat)
    page = ready(open_page("/?lang=en"))
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-input")).to_be_focused()
    page.keyboard.type(made["case"])
    expect(page.locator(".palette-row[aria-selected=true]")).to_contain_text(made["case"])
    page.keyboard.press("Enter")
    expect(page.locator("#panel")).to_be_visible()
    expect(page.locator("#panel [data-move=acknowledge]")).to_be_visible()
    # A move of the case that is open, by its name.
    page.keyboard.press("Control+k")
    page.keyboard.type("acknowledge")
    page.keyboard.press("Enter")
    expect(page.locator("#panel .note-note")).to_be_visible()
    # Coordinates in any order, in any system: WGS84 first, the others below it.
    page.keyboard.press("w")
    page.keyboard.type(f"{lat}, {lon}")
    expect(page.locator(".palette-row")).to_have_count(3)
    page.keyboard.press("Enter")
    expect(page.locator(".who .chain")).to_be_visible()
    expect(page.locator(".who-point")).to_contain_text(f"{lon:.4f}")
    page.keyboard.press("Escape")
    # The words beside them say whose map they come from; degrees, minutes and seconds are read, too.
    for typed, first in (("百度 113.6717,34.7974", "BD-09"), ("34°47'34.6\"N 113°39'32.6\"E", "WGS84")):
        page.keyboard.press("w")
        page.keyboard.insert_text(typed)
        expect(page.locator(".palette-row[aria-selected=true] .palette-detail")).to_contain_text(first)
        expect(page.locator(".palette-row[aria-selected=true]")).to_contain_text(re.compile("113[.]6[57].*34[.]79"))
        page.keyboard.press("Escape")
    # A cell by its code or a part of its name: the service knows them all, the page only those in sight.
    for words in ("410102001001001", "1-01 楼院"):
        page.keyboard.press("Control+k")
        page.keyboard.insert_text(words)
        expect(page.locator(".palette-row[aria-selected=true]")).to_contain_text("410102001001001")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"[?&]at=1[78]"))
    assert page.request.get(f"{site.url}/v1/cells:search?q=%25").json()["cells"] == []
    # What nobody has is said, and Escape gives the page back.
    page.keyboard.press("Control+k")
    page.keyboard.type("zzzz")
    expect(page.locator(".palette-none")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_shaded_cells_and_working_time(site: Site, database: str, open_page: Any) -> None:
    for number in range(3):
        report(site, f"s{number}", lon=WEST + STEP * 0.3, lat=SOUTH + STEP * 0.4)
    page = ready(open_page("/?lang=en&shade=open"))
    expect(page.locator(".legend-shade")).to_contain_text("Open per cell")
    page.keyboard.press("Control+k")
    page.keyboard.type("no shading")
    page.keyboard.press("Enter")
    expect(page.locator(".legend-shade")).to_have_count(0)
    page.wait_for_url(lambda url: "shade" not in url)
    limit = page.request.get(f"{site.url}/v1/cases?inbox=all").json()["cases"][0]["limit"]
    said = page.locator(".row-left").first.inner_text()
    words = {"working_hour": "work h", "working_day": "work"}
    assert words.get(limit["unit"], "") in said, (limit, said)
    # Who is on duty: first everybody, then a cell with its B post only, and one with nobody.
    assert page.request.get(f"{site.url}/v1/cells:coverage").json()["cells"] == []
    with psycopg.connect(dsn(database), autocommit=True) as connection:
        connection.execute(
            "UPDATE dispatch.appointment SET valid_until = now() WHERE post_id IN (SELECT id FROM dispatch.post"
            " WHERE cell_code = '410102001001002' OR cell_code = '410102001001001' AND rank = 'A')"
        )
    gaps = page.request.get(f"{site.url}/v1/cells:coverage").json()["cells"]
    assert [(one["chain"][-1]["code"][-1], one["gap"]) for one in gaps] == [("1", "backup"), ("2", "nobody")]
    page.keyboard.press("Control+k")
    page.keyboard.type("on duty")
    page.keyboard.press("Enter")
    expect(page.locator(".legend-shade")).to_contain_text("B post only")
