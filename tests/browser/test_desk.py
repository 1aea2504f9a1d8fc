"""Two desks and one case; cases without a cell; the last hours again; notes and views that are kept."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.district import SOUTH, STEP, WEST
from tests.browser.test_console import ready, report


def test_two_desks_see_each_other_and_what_differs(site: Site, open_page: Any) -> None:
    made = report(site, "t1", lon=WEST + STEP * 0.3, lat=SOUTH + STEP * 0.4)
    one = ready(open_page(f"/?lang=en&case={made['case']}"))
    expect(one.locator("#panel [data-move=supervise]")).to_be_visible()
    other = ready(open_page(f"/?lang=en&case={made['case']}"))
    expect(other.locator(".others")).to_contain_text("has this open")
    other.locator("[data-move=supervise]").click()
    expect(one.locator(".others")).to_contain_text("is handling this", timeout=20_000)
    # The other desk goes off line, so that it does not hear of what this one does; then it sends what it wrote.
    other.route("**/v1/stream*", lambda route: route.abort())
    other.locator(".move-form textarea").fill("please look")
    # The page itself is told nothing: the version it holds is an old one when the move arrives.
    held = made["case"]
    moved = one.evaluate(
        """async (ref) => (await fetch(`/v1/cases/${ref}/moves`, {method: "POST", headers: {"Content-Type":
        "application/json", "If-Match": '"1"'}, body: JSON.stringify({move: "acknowledge"})})).status""",
        held,
    )
    assert moved == 200
    expect(other.locator(".panel-number")).to_contain_text("2", timeout=10_000)
    expect(other.locator(".move-form textarea")).to_have_value("please look")


def test_a_move_on_an_old_version_shows_the_difference(site: Site, open_page: Any) -> None:
    made = report(site, "d1", lon=WEST + STEP * 0.3, lat=SOUTH + STEP * 0.4)
    open_page.faults.allow += ["412", "409"]
    page = ready(open_page(f"/?lang=en&case={made['case']}"))
    expect(page.locator("#panel [data-move=acknowledge]")).to_be_visible()

    # Somebody else is faster, and the press comes before the page can have heard of it.
    with page.expect_response(lambda one: one.url.endswith("/moves") and one.status != 200) as answer:
        page.evaluate(
            """async (ref) => {
              await fetch(`/v1/cases/${ref}/moves`, {method: "POST", headers: {"Content-Type": "application/json",
                "If-Match": '"1"'}, body: JSON.stringify({move: "urge"})});
              document.querySelector("#panel [data-move=acknowledge]").click();
            }""",
            made["case"],
        )
    assert answer.value.status in (409, 412)
    expect(page.locator(".note-lines")).to_contain_text("Urge")


def test_a_case_without_a_cell_is_sent_by_one_key(site: Site, open_page: Any) -> None:
    lon, lat = site.district.outside
    report(site, "o1", lon=lon, lat=lat)
    page = ready(open_page("/?lang=en&inbox=out_of_grid"))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator(".nearest-take")).not_to_have_count(0)
    code = page.locator(".nearest-take").first.get_attribute("data-cell")
    page.keyboard.press("1")
    expect(page.locator("#panel .note-note")).to_be_visible()
    assert page.locator(".inbox#inbox-out_of_grid .inbox-count").inner_text() == "0"
    ref = page.request.get(f"{site.url}/v1/cases?status=open").json()["cases"][0]
    assert ref["status"] == "dispatched", (ref, code)


def test_the_last_hours_notes_and_views(site: Site, open_page: Any) -> None:
    for number in range(4):
        report(site, f"r{number}", lon=WEST + STEP * (0.3 + number), lat=SOUTH + STEP * 0.4)
    page = ready(open_page("/?lang=en&inbox=all"))
    page.keyboard.press("]")
    expect(page.locator("#replay")).to_be_visible()
    expect(page.locator(".replay-play")).to_have_text("Pause")
    expect(page.locator(".replay-time")).not_to_contain_text("1970")
    page.locator(".replay-slider").press("End")
    expect(page.locator(".replay-time")).to_contain_text("4 cases")
    # Legend and counts never say the present's numbers beside the signs of another hour.
    expect(page.locator("#legend")).to_contain_text("4")
    page.locator(".replay-slider").press("Home")
    expect(page.locator("#legend")).to_contain_text("map: 0")
    expect(page.locator("#inbox-all .inbox-count")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#replay")).to_be_hidden()
    expect(page.locator("#inbox-all .inbox-count")).to_be_visible()
    expect(page.locator("#legend")).to_contain_text("map: 4")
    page.keyboard.press("Control+k")
    page.keyboard.type("shift notes")
    page.keyboard.press("Enter")
    page.keyboard.type("<b>water</b> in Xiezuo road")
    page.locator("#notes .button-primary").click()
    expect(page.locator(".notes-list li").first).to_contain_text("<b>water</b>")
    page.keyboard.press("Escape")
    page.goto(f"{site.url}/?lang=en&inbox=due_soon&q=rubbish")
    ready(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("save this view")
    page.keyboard.press("Enter")
    page.locator("#notes input").fill("My evening")
    page.locator("#notes .button-primary").click()
    expect(page.locator("#notes")).to_be_hidden()
    page.goto(f"{site.url}/?lang=en")
    ready(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("my evening")
    page.keyboard.press("Enter")
    expect(page.locator("#inbox-due_soon")).to_have_attribute("aria-selected", "true")
    page.wait_for_url("**q=rubbish**")
