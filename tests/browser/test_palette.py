"""The palette: moves, cells and coordinates by typing; shaded cells; limits counted down in working time."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

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
    # What nobody has is said, and Escape gives the page back.
    page.keyboard.press("Control+k")
    page.keyboard.type("zzzz")
    expect(page.locator(".palette-none")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_shaded_cells_and_working_time(site: Site, open_page: Any) -> None:
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
