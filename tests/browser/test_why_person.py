"""The panel says why it is this person: from the point to the post, as it was decided."""

from __future__ import annotations

from typing import Any

import psycopg
from playwright.sync_api import expect

from geo.storage.engine import dsn
from tests.browser.conftest import Site
from tests.browser.test_console import ready, report


def test_the_panel_unfolds_the_way_from_point_to_person(site: Site, database: str, open_page: Any, keep: Any) -> None:
    with psycopg.connect(dsn(database), autocommit=True) as connection:
        connection.execute("INSERT INTO dispatch.department VALUES ('cleaning', '环境卫生所', 'Sanitation')")
        connection.execute(
            "INSERT INTO dispatch.routing (jurisdiction, category_code, department_code, mode, valid_from)"
            " SELECT code, 'E01', 'cleaning', 'assist', now() - interval '1 day' FROM geo.jurisdiction"
        )
        connection.execute(
            "INSERT INTO dispatch.leave (person_id, starts_at, ends_at) SELECT a.person_id, now() - interval '1 day',"
            " now() + interval '1 day' FROM dispatch.appointment AS a JOIN dispatch.post AS p ON p.id = a.post_id"
            " WHERE p.rank = 'A' AND length(p.cell_code) = 15"
        )
    page = ready(open_page())
    case = report(site, "WHY-1")["case"]
    row = page.locator(f'[data-case="{case}"]').first
    row.click()
    panel = page.locator("#panel")
    summary = panel.get_by_text("为什么是此人？")
    expect(summary).to_be_visible()
    summary.click()
    steps = panel.locator(".why-steps li")
    expect(steps.nth(0)).to_contain_text("WGS84")
    expect(panel.locator(".why-steps")).to_contain_text("环境卫生所协办")
    expect(panel.locator(".why-steps")).to_contain_text("请假至")
    expect(steps.last).to_contain_text("派给")
    # What lies near is answered after the case and draws the panel anew.
    expect(panel).to_contain_text("同一地点没有未结的同类案件")
    expect(steps.last, "an answer that comes later leaves it open").to_be_visible()
    steps.last.scroll_into_view_if_needed()
    keep(page, "console-why-person")


def test_what_is_unfolded_stays_so_when_the_panel_is_drawn_anew(site: Site, open_page: Any) -> None:
    """Also when that happens in the very moment of the click."""
    page = ready(open_page())
    case = report(site, "WHY-2")["case"]
    page.locator(f'[data-case="{case}"]').first.click()
    panel = page.locator("#panel")
    expect(panel).to_contain_text("同一地点没有未结的同类案件")  # the last answer there is
    page.evaluate(
        """(ref) => {
          for (const line of document.querySelectorAll("#panel details.why > summary")) line.click();
          document.querySelector(`[data-case="${ref}"]`).click();
        }""",
        case,
    )
    expect(panel.locator("details.why[open]")).to_have_count(2)
    expect(panel.locator(".why-ledger li").first).to_be_visible()
    expect(panel.locator(".why-steps li").first).to_be_visible()
    panel.get_by_text("为什么是这个时间？").click()
    expect(panel.locator("details.why[open]")).to_have_count(1)
    page.locator(f'[data-case="{case}"]').first.click()
    expect(panel.locator("details.why[open]")).to_have_count(1)
