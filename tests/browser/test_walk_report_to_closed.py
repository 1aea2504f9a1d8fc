"""ARCHITECTURE.md's walk, executed: a hotline's POST becomes a dot on the live map and ends on the heat-map.

Real PostGIS, a real server process, the worker's own functions, and the pages in Chromium.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from playwright.sync_api import Page, expect

from dispatch.states import CaseState
from dispatch.worker import LogNotifier, relay
from dispatch.workflow import replay
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit
from tests.browser.conftest import Site
from tests.browser.test_console import ink, ready, report


def relay_once(database: str) -> int:
    """Run the worker's relay once, outside the loop that the synchronous Playwright keeps in this thread."""

    async def run() -> int:
        engine = create_engine(database, name="walk")
        try:
            async with write_unit(engine) as unit:
                return await relay(unit, (LogNotifier(),), batch=10, most_attempts=3)
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


def press_move(page: Page, name: str, said: str = "") -> None:
    """Press a move's button in the case panel, and say what it asks for."""
    page.locator(f"#panel [data-move={name}]").click()
    if said:
        page.locator("#panel .move-form textarea").fill(said)
        page.locator("#panel .move-form .button-primary").click()


def test_from_post_to_the_heat_map(site: Site, database: str, open_page: Any, keep: Any) -> None:
    # A dispatcher's page is open before anything happens.
    page = ready(open_page("/"))
    expect(page.locator(".row")).to_have_count(0)

    # 1–5: POST → located, head chosen, dispatched, committed, answered.
    receipt = report(site, "walk-1", "路边垃圾满溢，影响通行")
    case = receipt["case"]
    assert receipt["status"] == "dispatched"
    assert len(receipt["chain"]) == 3
    assert receipt["head"]["why_code"] == "primary_on_duty"
    assert receipt["due_at"]

    # 6: the dot on the live map, and the row beside it, without a reload.
    row = page.locator(f"#row-{case}")
    expect(row).to_be_visible(timeout=5000)
    page.wait_for_function("document.querySelector('.pane-points canvas') !== null")
    assert ink(page, ".pane-points") > 50
    keep(page, "walk-1-dispatched")

    # 7: the head is told, once.
    assert relay_once(database) == 1
    with psycopg.connect(dsn(database)) as connection:
        told = connection.execute("SELECT body_key FROM dispatch.notification").fetchall()
    assert told == [("notice.dispatched",)]

    # 8: acknowledged, handled — on the page, through If-Match.
    row.click()
    press_move(page, "acknowledge")
    expect(page.locator("#panel")).to_contain_text("处置中")
    press_move(page, "report_back", "已清运，地面冲洗干净")
    expect(page.locator("#panel .timeline")).to_contain_text("已清运")
    keep(page, "walk-2-handled")

    # 10: closed; the row leaves the desk.
    press_move(page, "close")
    expect(row).to_have_count(0)
    keep(page, "walk-3-closed")
    with psycopg.connect(dsn(database)) as connection:
        kept = connection.execute(
            "SELECT state, is_on_time, closed_level, next_rung_at FROM dispatch.dispatch_case WHERE ref = %s", (case,)
        ).fetchone()
        acts = connection.execute("SELECT moves FROM dispatch.case_event ORDER BY seq").fetchall()
    assert kept == ("closed", True, 3, None)
    assert replay(moves for (moves,) in acts) is CaseState.CLOSED

    # 11: on the heat-map. One case is too few to be shown as a number, five are enough.
    for number in range(2, 6):
        report(site, f"walk-{number}")
    heat = open_page("/maps/heat?level=3")
    frame = next(frame for frame in heat.frames if "/maps/heat/frame" in frame.url)
    frame.wait_for_selector(".gw-legend span")
    first = heat.locator("#table tbody tr").first
    expect(first).to_contain_text(receipt["chain"][-1]["name"])
    expect(first).to_contain_text("5")
    keep(heat, "walk-4-heat")
