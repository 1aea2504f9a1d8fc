"""The dispatcher's page in Chromium, on a real server and a real database."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.district import SOUTH, STEP, WEST

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


def report(
    site: Site, ticket: str, text: str = "路边垃圾满溢", lon: float = 0, lat: float = 0, **more: Any
) -> dict[str, Any]:
    """POST one report, as a hotline does."""
    x, y = (lon, lat) if lon else site.district.inside
    body = {"ticket": ticket, "text": text, "category": "E0101", "lon": x, "lat": y, "coord_sys": "wgs84", **more}
    return post(site, "/v1/reports", body)


def post(site: Site, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    """POST JSON with the channel's key."""
    request = urllib.request.Request(
        site.url + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {site.district.key}", **headers},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


def ready(page: Page) -> Page:
    """Wait until cells and cases are on the page and the stream is open."""
    page.wait_for_selector("html[data-ready]", timeout=15_000)
    expect(page.locator("#live")).to_have_attribute("data-state", "on")
    return page


def ink(page: Page, pane: str) -> int:
    """Count the pixels that a canvas of the map has drawn."""
    return int(
        page.evaluate(
            """pane => { const c = document.querySelector(pane + " canvas");
            const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
            let n = 0; for (let i = 3; i < d.length; i += 4) if (d[i]) n += 1; return n; }""",
            pane,
        )
    )


def test_cells_and_cases_are_drawn(site: Site, open_page: Any, keep: Any) -> None:
    for number in range(12):
        x, y = WEST + STEP * (0.3 + number % 8), SOUTH + STEP * (0.4 + number % 2)
        report(site, f"t{number}", lon=x, lat=y)
    report(site, "out", lon=site.district.outside[0], lat=site.district.outside[1])
    page = ready(open_page("/"))
    expect(page.locator(".row")).to_have_count(13)
    expect(page.locator("#inbox-all .inbox-count")).to_have_text("13")
    expect(page.locator("#inbox-out_of_grid .inbox-count")).to_have_text("1")
    assert ink(page, ".pane-cells") > 2000
    assert ink(page, ".pane-points") > 1000
    assert ink(page, ".pane-names") > 500
    asked = page.evaluate("performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)")
    assert any(path.startswith("/tiles/cells-2/") for path in asked), "cells come as tiles of their level"
    assert "/v1/cells" not in asked
    page.locator("#inbox-out_of_grid").click()
    expect(page.locator(".row")).to_have_count(1)
    keep(page, "console-zh-light")


def test_a_new_case_appears_without_reload(site: Site, open_page: Any, keep: Any) -> None:
    page = ready(open_page("/"))
    expect(page.locator("#list-state")).to_contain_text("没有在办案件")
    keep(page, "console-empty")
    page.evaluate("window.isSamePage = true")
    case = report(site, "live-1")["case"]
    expect(page.locator(f"#row-{case}")).to_be_visible(timeout=2000)
    expect(page.locator("#announce")).to_contain_text("新案件")
    expect(page.locator(".arrival")).to_have_count(1)
    ring, field = page.locator(".arrival").bounding_box(), page.locator("#map").bounding_box()
    assert ring is not None
    assert field is not None
    (x, y) = sign_positions(page)[0]
    assert abs(ring["x"] + ring["width"] / 2 - field["x"] - x) < 3, "the ring stands around its sign"
    assert abs(ring["y"] + ring["height"] / 2 - field["y"] - y) < 3
    assert page.evaluate("window.isSamePage")
    keep(page, "console-arrival")


def test_queue_map_and_panel_stay_in_step(site: Site, open_page: Any, keep: Any) -> None:
    cases = [report(site, f"s{n}", lon=WEST + STEP * (0.5 + n), lat=SOUTH + STEP / 2)["case"] for n in range(4)]
    page = ready(open_page("/"))
    page.keyboard.press("j")
    first = page.locator('.row[aria-selected="true"]')
    expect(first).to_have_count(1)
    # Its sign stands in the middle of the map, which the address names.
    page.wait_for_url("**at=**")
    _, lat, lon = re.split("[/]|%2F", re.findall(r"at=([^&]+)", page.url)[0])
    spot = page.request.get(f"{site.url}/v1/cases/{first.get_attribute('data-case')}").json()["location"]
    assert abs(float(lon) - spot["lon"]) < STEP / 20
    assert abs(float(lat) - spot["lat"]) < STEP / 20
    page.keyboard.press("Enter")
    expect(page.locator("#panel .timeline li").first).to_be_visible()
    expect(page.locator("#panel")).to_be_focused()
    expect(page.locator("#panel .holder")).to_have_count(2)
    keep(page, "console-panel")
    # The reverse: a click on a sign selects its row. The sign stands where Leaflet projects the case's position.
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator('.row[aria-selected="true"]')).to_have_count(0)
    field = page.locator("#map").bounding_box()
    assert field is not None
    found = sign_positions(page)
    assert len(found) == len(cases)
    # Also where the queue's filters leave it out: what is selected is listed.
    page.locator("#inbox-returned").click()
    expect(page.locator(".row")).to_have_count(0)
    page.mouse.click(field["x"] + found[0][0], field["y"] + found[0][1])
    expect(page.locator('.row[aria-selected="true"]')).to_have_count(1)
    expect(page.locator("#panel .panel-number")).to_contain_text("#")
    page.wait_for_url("**case=**")


def serious(page: Page) -> list[Any]:
    """Return what axe-core finds, serious and worse."""
    # It comes from node_modules, past the page's own policy: evaluate() runs it as the browser's driver does.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "async () => (await axe.run()).violations.map(v => [v.impact, v.id, v.nodes.map(n => n.html)])"
    )
    return [one for one in found if one[0] in {"serious", "critical"}]


def sign_positions(page: Page) -> list[tuple[float, float]]:
    """Find the signs on the points' canvas: centres of its connected blots, in the map's pixels."""
    found = page.evaluate(
        """() => {
        const c = document.querySelector(".pane-points canvas");
        const box = c.getBoundingClientRect(), at = document.querySelector("#map").getBoundingClientRect();
        const w = c.width, h = c.height, r = w / box.width;
        const d = c.getContext("2d").getImageData(0, 0, w, h).data, seen = new Uint8Array(w * h), out = [];
        for (let s = 0; s < w * h; s += 1) {
          if (seen[s] || !d[s * 4 + 3]) continue;
          const stack = [s];
          let n = 0, sx = 0, sy = 0;
          seen[s] = 1;
          while (stack.length) {
            const p = stack.pop(), x = p % w;
            n += 1; sx += x; sy += (p - x) / w;
            for (const q of [p - 1, p + 1, p - w, p + w]) {
              if (q >= 0 && q < w * h && !seen[q] && d[q * 4 + 3]) { seen[q] = 1; stack.push(q); }
            }
          }
          if (n > 40) out.push([sx / n / r + box.x - at.x, sy / n / r + box.y - at.y]);
        }
        return out; }"""
    )
    return [(float(x), float(y)) for x, y in found]


def test_moves_are_made_on_the_version_seen(site: Site, open_page: Any, keep: Any) -> None:
    case = report(site, "m1")["case"]
    page = ready(open_page(f"/?case={case}"))
    expect(page.locator("#panel .panel-number")).to_contain_text(case)
    # Somebody else is faster: the page's next move must not be carried out on what it showed.
    page.route("**/v1/stream", lambda route: route.abort())
    seen = page.request.get(f"{site.url}/v1/cases/{case}").json()
    assert seen["moves"][0] == "acknowledge"
    answer = page.request.post(
        f"{site.url}/v1/cases/{case}/moves",
        data={"move": "return", "reason": "不在本网格"},
        headers={"If-Match": f'"{seen["version"]}"'},
    )
    assert answer.ok, answer.text()
    open_page.faults.allow += ["412", "409", "ERR_FAILED"]
    expect(page.locator('#panel [data-move="re_dispatch"]')).to_be_visible(timeout=3000)
    page.locator('#panel [data-move="re_dispatch"]').click()
    expect(page.locator("#panel .note-note")).to_contain_text("重新派遣已完成")
    page.locator('#panel [data-move="acknowledge"]').click()
    page.locator('#panel [data-move="report_back"]').click()
    page.keyboard.type("已清理")
    page.locator("#panel .move-form .button-primary").click()
    expect(page.locator("#panel .timeline-what").first).to_contain_text("反馈")
    keep(page, "console-moves")


def test_a_conflict_is_told_and_nothing_is_lost(site: Site, open_page: Any, keep: Any) -> None:
    case = report(site, "c1")["case"]
    page = ready(open_page(f"/?case={case}"))
    expect(page.locator("#panel [data-move=return]")).to_be_visible()
    page.keyboard.press("r")
    page.keyboard.type("不是我的网格")
    open_page.faults.allow += ["412", "409"]
    # The answer that says "too late" is made by the server; only the version that the page sends is turned back.
    page.route("**/moves", lambda route: route.continue_(headers={**route.request.headers, "if-match": '"0"'}))
    page.locator("#panel .move-form .button-primary").click()
    expect(page.locator("#panel [role=alert]")).to_contain_text("没有执行")
    expect(page.locator("#panel textarea")).to_have_value("不是我的网格")
    keep(page, "console-conflict")


def test_language_switches_with_one_click(site: Site, open_page: Any, keep: Any) -> None:
    report(site, "l1")
    page = ready(open_page("/"))
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.locator("#language").click()
    ready(page)
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#inbox-all")).to_contain_text("All")
    text = page.locator("body").inner_text()
    assert not re.search(r"console\.|\{[a-z_]+\}", text)
    keep(page, "console-en-light")
    page.locator("[data-toggle-theme]").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    keep(page, "console-en-dark")


def test_who_covers_this_point(site: Site, open_page: Any, keep: Any) -> None:
    page = ready(open_page("/"))
    box = page.locator("#map").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.42, box["y"] + box["height"] * 0.5)
    expect(page.locator(".who .chain li")).to_have_count(3)
    expect(page.locator(".who .holder")).to_have_count(2)
    keep(page, "console-who")
    page.keyboard.press("Escape")
    expect(page.locator(".who")).to_have_count(0)
    # The same without a mouse: the border is moved, the map walks, the cross asks.
    page.locator("#splitter").press("End")
    expect(page.locator("#splitter")).to_have_attribute("aria-valuenow", "640")
    centre = page.url
    page.locator("#map").press("Shift+ArrowRight")
    page.keyboard.press("+")
    expect(page.locator(".map-cross")).to_be_visible()
    page.wait_for_url(lambda url: url != centre)
    page.keyboard.press("Enter")
    expect(page.locator(".who .chain li")).to_have_count(3)


def test_a_lost_connection_is_shown_and_made_good(site: Site, open_page: Any, keep: Any) -> None:
    page = ready(open_page("/"))
    open_page.faults.allow += ["ERR_FAILED", "ERR_INTERNET_DISCONNECTED", "Failed to load resource"]
    page.context.set_offline(True)
    page.evaluate("document.querySelector('#lost-retry').click()")
    expect(page.locator("#lost")).to_be_visible(timeout=8000)
    keep(page, "console-lost")
    case = report(site, "while-away")["case"]
    page.context.set_offline(False)
    # Not with the mouse: the page may notice by itself, and take the button away before the hand is there.
    page.evaluate("document.querySelector('#lost-retry').click()")
    expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator(f"#row-{case}")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_accessibility_findings(site: Site, open_page: Any, scheme: str) -> None:
    case = report(site, "a1")["case"]
    page = ready(open_page(f"/?case={case}", color_scheme=scheme))
    expect(page.locator("#panel .timeline li").first).to_be_visible()
    assert serious(page) == []
