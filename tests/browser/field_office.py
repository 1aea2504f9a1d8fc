"""For tests of the field page and the wall: an office with people, phones, and a server that may die and come back."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect

from api.accounts.keys import NewKey, Scope, issue_key
from api.accounts.people import NewGrant
from api.accounts.roles import Role
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit
from tests.browser import district
from tests.browser.conftest import Faults, Site, _watch
from tests.browser.district import SOUTH, STEP, WEST
from tests.browser.nursery import Server
from tests.signing import PASSWORD, make_person

PHONE = {"width": 390, "height": 844}


def add_person(database: str, login: str, *grants: NewGrant) -> None:
    """Make an account. In a thread of its own: Playwright keeps an event loop running in this one."""

    async def work() -> None:
        engine = create_engine(database, name="test")
        try:
            await make_person(engine, login, *grants, jurisdiction=district.CITY)
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(work())).result()


def add_key(database: str, channel: str, *scopes: Scope) -> str:
    """Make a key and return its text."""

    async def work() -> str:
        engine = create_engine(database, name="test")
        try:
            async with write_unit(engine) as unit:
                return await issue_key(unit, NewKey(channel=channel, scopes=scopes), by="test")
        finally:
            await engine.dispose()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def sign_in(context: BrowserContext, url: str, login: str) -> None:
    """Fill in the form of the sign-in page."""
    page = context.new_page()
    page.goto(f"{url}/sign-in?next=/field")
    sign_in_here(page, login)
    page.wait_for_url(f"{url}/field")
    page.close()


def sign_in_here(page: Page, login: str) -> None:
    """Fill in the form of the sign-in page that is open, and wait for the page behind it."""
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.click("button[type=submit]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """One server for many tests; every test has a cell and a person of its own. ``app`` may show it in a frame."""

    site: Site
    database: str
    app: str
    server: Server

    def cell(self, number: int, role: Role = Role.GRID_HEAD) -> tuple[str, Site]:
        """Make the person of a cell; return the login and the site as seen from there."""
        first, second, third = number // 8, number // 4 % 2, number % 4
        code = f"{district.CITY}{first + 1:03d}{second + 1:03d}{third + 1:03d}"
        add_person(self.database, f"walker{number}", NewGrant(role=role, cell=code))
        at = (WEST + (4 * first + 2 * second + third % 2 + 0.5) * STEP, SOUTH + (third // 2 + 0.5) * STEP)
        return f"walker{number}", replace(self.site, district=replace(self.site.district, inside=at))

    def rows(self, query: str, *values: Any) -> list[Any]:
        """What the database says."""
        with psycopg.connect(dsn(self.database)) as connection:
            return connection.execute(query, values).fetchall()


@contextmanager
def phone(browser: Browser, site: Site, faults: Faults, login: str, **options: Any) -> Iterator[Page]:
    """A phone whose owner is signed in."""
    chosen = {"viewport": PHONE, "locale": "zh-CN", "has_touch": True, "device_scale_factor": 2, **options}
    lon, lat = site.district.inside
    context = browser.new_context(
        geolocation={"longitude": lon + 0.0002, "latitude": lat, "accuracy": 12}, permissions=["geolocation"], **chosen
    )
    try:
        sign_in(context, site.url, login)
        page = context.new_page()
        _watch(page, site, faults)
        page.goto(f"{site.url}/field")
        expect(page.locator("#net")).to_have_attribute("data-state", "live")
        yield page
    finally:
        context.close()
    faults.check()


def picture() -> bytes:
    """A photo larger than what is kept of it."""
    out = io.BytesIO()
    Image.new("RGB", (3000, 1200), "green").save(out, "JPEG")
    return out.getvalue()
