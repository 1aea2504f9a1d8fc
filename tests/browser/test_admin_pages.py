"""Every administration page in a real browser: opens, reads well to everybody, and runs nothing that was typed."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.admin.frame import MENU
from tests.browser.conftest import Site
from tests.browser.field_office import add_person
from tests.browser.test_grid_page import serious
from tests.signing import PASSWORD

HOSTILE = "</script><script>alert(1)</script>`${1}`\\\u2028\u202e\"'<img src=x onerror=alert(1)>"


def _sign_in(page: Page) -> None:
    page.fill("#login", "chen")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")


def _detail(page: Page, path: str) -> str | None:
    """The first page below a list."""
    found = page.locator(f'main a[href^="{path}/"]')
    return found.first.get_attribute("href") if found.count() else None


def test_every_page_opens_is_readable_and_runs_nothing(site: Site, open_page: Any, database: str, keep: Any) -> None:
    add_person(database, "chen", NewGrant(role=Role.ADMINISTRATOR))

    # Without any script: links, folds and forms are all there is.
    plain = open_page("/sign-in?next=/admin", java_script_enabled=False)
    _sign_in(plain)
    expect(plain.locator("h1")).to_have_text("人员")
    plain.locator("summary", has_text="添加人员").click()
    plain.fill("#add-name", HOSTILE[:78])
    plain.fill("#add-staff_number", "??")
    open_page.faults.allow.append("422 (Unprocessable")
    plain.click("#add-form button")
    expect(plain.locator("[aria-invalid]")).to_have_count(1)
    expect(plain.locator("#add-name")).to_have_value(HOSTILE[:78])
    keep(plain, "admin-people-fault-zh")
    plain.fill("#add-staff_number", "N-1")
    plain.click("#add-form button")
    expect(plain.locator("h1")).to_contain_text("alert(1)")
    plain.locator("summary", has_text="登记请假").click()
    plain.fill("#leave-starts_at", "2030-01-01T08:00")
    plain.fill("#leave-ends_at", "2030-01-05T08:00")
    plain.fill("#leave-reason", HOSTILE)
    plain.click("#leave-form button")
    expect(plain.locator("main")).to_contain_text("2030-01-01 08:00")
    plain.context.close()

    page = open_page("/sign-in?next=/grid", locale="en-US", width=1280, color_scheme="dark")
    _sign_in(page)
    page.get_by_role("link", name="Administration").click()
    expect(page.locator("h1")).to_have_text("People")
    paths = [item.path for _, items in MENU for item in items]
    opened = 0
    for path in paths:
        page.goto(site.url + path)
        below = _detail(page, path)
        for address in (path, *((below,) if below else ())):
            if address != path:
                page.goto(site.url + address)
            expect(page.locator("h1")).to_be_visible()
            page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
            # Details are made of the parts of the lists: the slow look is for each list and its forms.
            assert address != path or serious(page) == [], address
            for width in (1280, 390):
                page.set_viewport_size({"width": width, "height": 844})
                wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert wide <= 0, f"{address} is {wide} px too wide at {width}"
            opened += 1
    assert opened > len(paths)
    keep(page, "admin-last-phone-en-dark")
