"""Offered repairs on the grid page: seen on the map first, chosen, applied, taken back."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.test_grid_page import FIRST, OF_DRAFT, draft, ready, serious, sql, tab

NORTH = "410102001001003"


def test_repairs_are_shown_before_they_are_made(site: Site, database: str, open_page: Any, keep: Any) -> None:
    page = draft(ready(open_page("/grid")))
    # Some 18 cm of nobody's land along the eastern side of one cell, and of the cell north of it.
    for code in (FIRST, NORTH):
        sql(
            database,
            "UPDATE geo.cell AS c SET boundary = ST_Multi(ST_SnapToGrid(ST_MakeEnvelope(ST_XMin(c.boundary),"
            " ST_YMin(c.boundary), ST_XMax(c.boundary) - 2e-6, ST_YMax(c.boundary), 4326), 1e-7))"
            f" FROM geo.grid_version AS v {OF_DRAFT} AND code = %s",
            code,
        )
    sql(database, "UPDATE geo.grid_version SET revision = 1 WHERE number = 2")
    page.goto(site.url + "/grid/versions/2?tab=coverage")
    ready(page)
    shapes = f"SELECT code, boundary::text FROM geo.cell AS c, geo.grid_version AS v {OF_DRAFT} ORDER BY 1"
    drawn = sql(database, shapes)
    page.get_by_role("button", name="查看可修复项").click()
    rows = page.locator(".repair")
    expect(rows.first).to_contain_text("平方米")
    expect(page.locator(".repairs")).to_contain_text("项可修复")
    # One sliver beside both, for the one with the longer border.
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text(NORTH)
    assert page.locator("path.look-added").count() >= 1, "the land that changes hands is on the map"
    rows.first.get_by_role("button", name="在地图上看").click()
    keep(page, "grid-repairs-zh")
    assert serious(page) == []
    assert sql(database, shapes) == drawn, "looking changes nothing"
    for box in page.locator(".repair input").all():
        box.uncheck()
    expect(page.locator("[data-apply-repairs]")).to_be_disabled()
    for box in page.locator(".repair input").all():
        box.check()
    page.locator("[data-apply-repairs]").click()
    expect(page.locator("#pane")).to_contain_text(re.compile("没有问题 ✓|发现 0 处问题"))
    pane = tab(page, "调整")
    expect(pane).to_contain_text("修复")
    page.locator("[data-undo]").click()
    expect(page.locator("#pane")).to_contain_text("已改动 0 次")
    assert sql(database, shapes) == drawn


def test_on_a_phone_everything_is_reached_by_scrolling_down_only(site: Site, open_page: Any, keep: Any) -> None:
    page = open_page("/grid")
    page.set_viewport_size({"width": 390, "height": 844})
    ready(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    tops = [page.locator(part).bounding_box()["y"] for part in ("#versions", "#map", "#work")]
    assert tops == sorted(tops), "in the order they are read"
    # On a small map the hint lies over what is drawn on: clicks are the map's.
    expect(page.locator("#map-hint")).to_have_css("pointer-events", "none")
    page.locator("#work").get_by_role("tab", name="覆盖检查").click()
    expect(page.locator("#pane")).to_contain_text("没有问题")
    keep(page, "grid-phone-zh")
