"""Three hundred texts in everything that the field page shows and takes: none comes alive, and the page still works."""

from __future__ import annotations

from itertools import cycle
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Faults
from tests.browser.field_office import Office, phone
from tests.browser.hostile_texts import MANY
from tests.browser.test_console import report

#: Whatever is not ours: a part that a text has made.
_ALIEN = (
    "script:not([src]):not([type='application/json']), iframe, a[href^='javascript'], [onload], [onerror], [onfocus]"
)


def _is_sound(page: Page) -> None:
    assert page.locator(_ALIEN).count() == 0


def test_three_hundred_texts(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(7)
    ref = report(site, "H1")["case"]
    faults = Faults(allow=["Failed to load resource", "Service Worker registration blocked"])
    with phone(browser, site, faults, login, service_workers="block") as page:
        day = page.evaluate("async () => (await fetch('/v1/field/day')).json()")
        words = cycle(MANY)
        (one,) = day["cases"]
        # Every case says five of them: all that comes from reports, tables and names.
        day["cases"] = [one] + [
            one
            | {"case": f"20260101-{number:07d}", "text": text, "address": next(words), "head": next(words)}
            | {"place": [next(words)], "category": {"code": "E0101", "name": next(words)}}
            for number, text in enumerate(MANY)
        ]
        day["person"]["name"] = MANY[0]
        cells = page.evaluate("async () => (await fetch('/v1/field/cells')).json()")
        for cell, text in zip(cells["cells"], MANY, strict=False):
            cell["name"] = text
        page.route("**/v1/field/day", lambda route: route.fulfill(json=day))
        page.route("**/v1/field/cells", lambda route: route.fulfill(json=cells))
        page.route(
            "**/v1/field/actions", lambda route: route.fulfill(status=503, json={}, headers={"Retry-After": "99"})
        )
        page.reload()
        page.get_by_role("button", name="网格内 301").click()
        expect(page.locator(".case-row")).to_have_count(301)
        shown = page.locator(".row-text").all_text_contents()
        assert shown[1:] == list(MANY), "as it was written, letter by letter"
        _is_sound(page)
        # All that people type, the way the forms take it: kept on the phone and shown in the outbox.
        page.locator('[data-tab="record"]').click()
        page.evaluate(
            """async texts => { const { desk, enqueue } = await import("/static/field/desk.js");
            const one = desk.day.cases[0];
            for (const text of texts) await enqueue({ kind: "move", case: one.case, move: "report_back", result: text },
                { title: text, one }); }""",
            list(MANY),
        )
        for tab in ("map", "record", "outbox"):
            page.locator(f'[data-tab="{tab}"]').click()
            expect(page.locator("#stage > *").first).to_be_visible()
            _is_sound(page)
        expect(page.locator(".entry")).to_have_count(300)
        assert page.locator(".entry-said").all_text_contents() == list(reversed(MANY))
        page.locator('[data-tab="record"]').click()
        for text in MANY[::150]:
            page.fill("#record-text", text)
            page.fill("#record-address", text)
            page.locator("#record-category").select_option("E0101")
            page.locator(".record .drawing > svg").click(position={"x": 150, "y": 150})
            page.get_by_role("button", name="发送").click()
            expect(page.locator(".entry-said").first).to_have_text(text)
            page.locator('[data-tab="record"]').click()
        page.goto(f"{site.url}/field#case/{ref}")
        expect(page.locator(".case-head")).to_contain_text(ref)
        _is_sound(page)
