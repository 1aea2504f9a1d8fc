"""Repeat sites on the dispatcher's page: the badge in the queue, the history in the panel."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.test_console import ready, report


def test_a_repeat_site_has_a_badge_and_its_history(site: Site, open_page: Any, keep: Any) -> None:
    cases = [report(site, f"r{n}")["case"] for n in range(3)]
    page = ready(open_page("/"))
    badge = page.locator(f"#row-{cases[-1]} .badge")
    expect(badge).to_have_text("反复×3", timeout=8000)
    expect(page.locator(f"#row-{cases[0]} .badge")).to_be_hidden()
    last = report(site, "r3")["case"]
    expect(page.locator(f"#row-{last} .badge")).to_have_text("反复×4", timeout=8000)
    page.locator(f"#row-{last}").click()
    expect(page.locator("#panel .repeats-site")).to_contain_text("90 天内第 4 次")
    expect(page.locator("#panel .repeats li")).to_have_count(3)
    keep(page, "console-repeats")
    page.locator("#panel .repeats button").first.click()
    expect(page.locator("#panel .panel-number")).not_to_contain_text(last)


def test_a_ledger_is_shown_by_its_name(site: Site, open_page: Any) -> None:
    case = report(site, "l1", ledgers=["three_illegals"])["case"]
    page = ready(open_page("/"))
    page.locator(f"#row-{case}").click()
    expect(page.locator("#panel .facts")).to_contain_text("三非")
    expect(page.locator("#panel .facts")).not_to_contain_text("three_illegals")
