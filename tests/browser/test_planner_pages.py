"""Every planner's page in Chromium, in both languages: no script fails, and the controls of the maps do something."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.district import SOUTH, STEP, WEST
from tests.browser.test_console import report
from tests.browser.test_grid_page import serious


@pytest.fixture
def filled(site: Site) -> Site:
    """Report seven cases into a cell."""
    for number in range(7):
        report(site, f"n{number}", lon=WEST + 0.5 * STEP + number * 2e-5, lat=SOUTH + 0.5 * STEP)
    return site


def test_no_page_fails_and_the_slider_goes_back_in_time(filled: Site, open_page: Any) -> None:
    paths = ("/maps/cells", "/maps/compare", "/maps/places", "/maps/rates", "/maps/bulletin", "/maps/shares", "/style")
    for place, path in enumerate(paths):
        page = open_page(f"{path}?lang=en", color_scheme=("light", "dark")[place % 2])
        expect(page.locator("h1").first).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert serious(page) == [], path
        page.close()
    page = open_page("/maps/time?lang=zh-CN")
    assert serious(page) == []
    frame = page.frame_locator("iframe#map")
    slider = frame.locator(".gw-slider input[type=range]")
    expect(slider).to_be_visible()
    words = frame.locator(".gw-slider output")
    last = words.inner_text()
    slider.press("ArrowLeft")
    expect(words).not_to_have_text(last)
    page.close()
    page = open_page("/maps/cells?lang=zh-CN&layers=category")
    expect(page.frame_locator("iframe#map").locator(".gw-variants select")).to_be_visible()
