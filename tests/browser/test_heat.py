"""The planner's heat-map in Chromium: every layer draws, nothing foreign is asked for, hostile names stay names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Frame, Page, expect

from geo.storage.engine import dsn
from tests.browser.conftest import Site
from tests.browser.district import CITY, SOUTH, STEP, WEST
from tests.browser.hostile_texts import HOSTILE
from tests.browser.test_console import report

#: Cases per level 3 cell, from west to east in the southern row.
COUNTS = (12, 7, 2, 3, 5)


@pytest.fixture
def filled(site: Site, database: str) -> Site:
    """Report clustered cases, and give the class they belong to a name that would like to be more than a name."""
    with psycopg.connect(dsn(database)) as connection:
        connection.execute("UPDATE dispatch.category SET name_zh = %s WHERE code = 'E0101'", ("".join(HOSTILE),))
        connection.execute("UPDATE geo.jurisdiction SET name_zh = %s WHERE code = %s", ("".join(HOSTILE), CITY))
    for cell, count in enumerate(COUNTS):
        for number in range(count):
            lon, lat = WEST + (cell + 0.5) * STEP + number * 2e-5, SOUTH + 0.5 * STEP
            report(site, f"{cell}-{number}", lon=lon, lat=lat)
    return site


def drawn(page: Page) -> Frame:
    """Wait until the map has drawn its legend, the last thing it does."""
    frame = next(frame for frame in page.frames if "/maps/heat/frame" in frame.url)
    frame.wait_for_selector(".gw-legend span")
    page.wait_for_timeout(300)
    return frame


def ink(frame: Frame, selector: str) -> int:
    """Count the different colours on a canvas."""
    return int(
        frame.evaluate(
            """selector => {
                const canvas = document.querySelector(selector);
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                const seen = new Set();
                for (let i = 0; i < data.length; i += 4) {
                    if (data[i + 3] > 200) seen.add(data.slice(i, i + 3).join());
                }
                return seen.size;
            }""",
            selector,
        )
    )


def choose(frame: Frame, name: str) -> None:
    """Press one button of the layer switch."""
    frame.get_by_role("radio", name=name).check()
    frame.page.wait_for_timeout(300)


def test_every_layer_draws_and_the_table_talks_with_the_map(filled: Site, open_page: Any, keep: Any) -> None:
    page = open_page("/maps/heat?level=3&category=E0101")
    frame = drawn(page)
    assert ink(frame, ".leaflet-overlay-pane canvas") > 3
    assert ink(frame, ".leaflet-gw-edges-pane canvas") > 0
    expect(frame.locator(".gw-legend")).to_contain_text("少于 5 件")
    expect(page.locator("h1")).to_contain_text("近 30 天")
    rows = page.locator("#table tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("12")
    keep(page, "heat-cells-zh")
    # From the table to the map, and back.
    rows.first.hover()
    page.wait_for_timeout(200)
    rows.nth(1).get_by_role("button").click()
    page.wait_for_timeout(500)
    box = frame.locator(".leaflet-container").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 6)
    expect(frame.locator(".leaflet-tooltip")).to_contain_text("件")
    expect(page.locator("tr[data-marked]")).to_have_count(1)
    choose(frame, "密度")
    expect(frame.locator("img.leaflet-image-layer")).to_have_attribute("src", _data("image/png"))
    expect(frame.locator(".gw-legend")).to_contain_text("核密度")
    keep(page, "heat-density-zh")
    choose(frame, "热力")
    assert frame.locator("canvas.leaflet-heatmap-layer").count() == 1
    expect(frame.locator(".gw-legend")).to_contain_text("大致疏密")
    keep(page, "heat-heat-zh")
    assert "alert(1)" in page.locator("h1").inner_text()


def _data(kind: str) -> re.Pattern[str]:
    return re.compile(f"^data:{kind}")


def test_english_and_dark(filled: Site, open_page: Any, keep: Any) -> None:
    page = open_page("/maps/heat?level=2", locale="en-US", color_scheme="dark", width=1920, height=1080)
    frame = drawn(page)
    expect(page.locator("h1")).to_contain_text("Last 30 days")
    expect(frame.locator(".gw-legend")).to_contain_text("The lighter, the more cases")
    keep(page, "heat-cells-en-dark")
    page.locator("[data-toggle-theme]").click()
    expect(frame.locator(".gw-legend")).to_contain_text("The darker, the more cases")
    page.locator("select[name=level]").select_option("1")
    page.wait_for_url("**/maps/heat?*level=1*")
    expect(page.locator("select[name=level]")).to_have_value("1")


def test_nobody_finds_a_map_where_there_are_no_cases(site: Site, open_page: Any) -> None:
    page = open_page("/maps/heat")
    frame = drawn(page)
    expect(page.locator("h1")).to_contain_text("没有案件")
    expect(page.locator(".none")).to_be_visible()
    assert frame.locator(".leaflet-control-layers-base label").count() == 1


def test_a_wrong_address_is_explained(site: Site, open_page: Any) -> None:
    open_page.faults.allow.append("422")
    page = open_page("/maps/heat?from=2026-13-01&level=9")
    expect(page.locator(".faults li")).to_have_count(2)


def test_the_single_file_works_without_any_server(filled: Site, open_page: Any, tmp_path: Path) -> None:
    open_page.faults.allow.append("file://")
    page = open_page("/maps/heat?level=3")
    address = page.locator(".acts a[href*='form=html']").get_attribute("href")
    assert address is not None
    text = page.request.get(filled.url + address).text()
    assert len(text.encode()) < 600_000
    file = tmp_path / "heat.html"
    file.write_text(text, encoding="utf-8")
    page.goto(file.as_uri())
    page.wait_for_selector(".gw-legend span")
    page.wait_for_timeout(300)
    assert ink(page.main_frame, ".leaflet-overlay-pane canvas") > 3
    choose(page.main_frame, "密度")
    expect(page.locator("img.leaflet-image-layer")).to_have_attribute("src", _data("image/png"))


def test_on_paper_the_cells_are_outlines_and_come_back_to_the_screen(
    filled: Site, open_page: Any, tmp_path: Path
) -> None:
    page = open_page("/maps/heat?level=3")
    frame = drawn(page)
    page.pdf(path=tmp_path / "heat.pdf", prefer_css_page_size=True)
    assert (tmp_path / "heat.pdf").read_bytes().count(b"/Type /Page\n") <= 2
    page.wait_for_timeout(400)
    assert frame.locator(".gw-paper").count() == 0
    assert ink(frame, ".leaflet-overlay-pane canvas") > 3
    page.emulate_media(media="print")
    page.wait_for_timeout(200)
    assert frame.locator(".gw-paper path").count() > 16
