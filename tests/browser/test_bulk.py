"""Many cases at once: marks by key, mouse and box; one act with its outcomes, and one way back."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.district import SOUTH, STEP, WEST
from tests.browser.test_console import ready, report


def test_marks_by_key_and_by_mouse_and_urging_many(site: Site, open_page: Any) -> None:
    for number in range(6):
        report(site, f"m{number}", lon=WEST + STEP * (0.3 + number), lat=SOUTH + STEP * 0.4)
    page = ready(open_page("/?lang=en"))
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(page.locator(".row-marked")).to_have_count(3)
    page.locator(".row").nth(4).click(modifiers=["Control"])
    expect(page.locator(".row-marked")).to_have_count(4)
    page.locator("[data-act=urge]").click()
    expect(page.locator("#bulk")).to_contain_text("Preview: Urge (4)")
    expect(page.locator(".bulk-foreseen")).to_contain_text("Grid head")
    # Looking is not doing: back, and once more by key.
    page.keyboard.press("Escape")
    expect(page.locator(".row-marked")).to_have_count(4)
    page.keyboard.press("p")
    expect(page.locator("[data-act=confirm]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".bulk-note")).to_contain_text("4 done")
    expect(page.locator(".row-marked")).to_have_count(0)
    page.keyboard.press("z")
    expect(page.locator(".bulk-note")).to_contain_text("4 taken back")
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()


def test_what_was_accepted_is_taken_back(site: Site, open_page: Any) -> None:
    for number in range(3):
        report(site, f"o{number}", lon=site.district.outside[0] + number / 1000, lat=site.district.outside[1])
    page = ready(open_page("/?lang=en&inbox=out_of_grid"))
    page.keyboard.press("j")
    page.keyboard.press("x")
    for _ in range(2):
        page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    page.keyboard.press("a")
    expect(page.locator("[data-act=confirm]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".row-left", has_text="Accepted")).to_have_count(3)
    page.keyboard.press("z")
    expect(page.locator(".bulk-note")).to_contain_text("3 taken back")
    expect(page.locator(".row-left", has_text="Reported")).to_have_count(3)


def test_a_box_on_the_map_marks_and_asks_nothing(site: Site, open_page: Any) -> None:
    for number in range(4):
        report(site, f"b{number}", lon=WEST + STEP * (0.3 + number), lat=SOUTH + STEP * 0.4)
    page = ready(open_page("/"))
    box = page.locator("#map").bounding_box()
    assert box
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 4, box["y"] + 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 80, box["y"] + box["height"] - 80, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    expect(page.locator(".row-marked")).to_have_count(4)
    expect(page.locator(".who")).to_have_count(0)
    # What a box on the map marks is framed on the map, in the accent of the page.
    framed = page.evaluate(
        """async () => {
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        const canvas = document.querySelector(".pane-points canvas");
        const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0;
        for (let at = 0; at < pixels.length; at += 4) {
          if (Math.abs(pixels[at] - 14) < 9 && Math.abs(pixels[at + 1] - 110) < 9 && pixels[at + 3] > 200) count += 1;
        }
        return count; }"""
    )
    assert framed > 4 * 60
