"""A real server process over a database of the test's own, and a page that tolerates nothing.

Every page fixture fails its test on a script error, a message on the console, a violation of the content security
policy, a dialog (hostile text that came alive) or a request to any other host.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)

from geo.storage.cluster import Cluster
from maps import vendor
from tests.browser import district
from tests.browser.nursery import Server

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "tests" / "artefacts"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

# A page waits for its server, and the server for a machine that runs other tests: patience costs only a failing test.
expect.set_options(timeout=20_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running server with its district."""

    url: str
    district: district.District


@dataclass
class Faults:
    """What a page did that it must not do; ``allow`` names texts that a test provokes on purpose."""

    found: list[str] = field(default_factory=list)
    allow: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail with all faults at once."""
        left = [fault for fault in self.found if not any(text in fault for text in self.allow)]
        assert not left, "\n".join(left)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Start Debian's Chromium, headless.

    For this package only: the synchronous Playwright keeps an event loop running in the main thread, in which the
    asynchronous tests of the other packages could not run theirs.
    """
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is missing: apt-get install chromium"
    vendor.prepare()
    with sync_playwright() as playwright:
        yield from _launch(playwright, chromium)


def _launch(playwright: Playwright, chromium: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def built_district(cluster: Cluster, template: str) -> tuple[str, district.District]:
    """Build the district once and name its database."""
    name = "gridward_browser_district"
    cluster.create_database(name, template)
    return name, district.build(cluster.url(name))


@pytest.fixture(scope="session")
def district_template(built_district: tuple[str, district.District]) -> str:
    """Name what the databases of tests with a site are copies of."""
    return built_district[0]


@pytest.fixture
def site(database: str, built_district: tuple[str, district.District], tmp_path: Path) -> Iterator[Site]:
    """Serve the test's database from a process of its own, as in production."""
    server = Server(database, tmp_path, GRIDWARD_JURISDICTION=district.CITY)
    server.start()
    yield Site(url=server.url, district=built_district[1])
    server.stop()


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Any]:
    """Return a function that opens a page: ``open_page("/", locale="en-US", color_scheme="dark")``."""
    contexts: list[BrowserContext] = []
    faults = Faults()

    def opened(path: str = "/", *, width: int = 1366, height: int = 768, locale: str = "zh-CN", **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, locale=locale, **options)
        contexts.append(context)
        page = context.new_page()
        _watch(page, site, faults)
        page.goto(site.url + path)
        return page

    opened.faults = faults  # type: ignore[attr-defined]
    yield opened
    for context in contexts:
        context.close()
    faults.check()


def _watch(page: Page, site: Site, faults: Faults) -> None:
    def said(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            faults.found.append(f"console {message.type}: {message.text}")

    def asked(request: Request) -> None:
        if not request.url.startswith((site.url, "data:", "blob:")):
            faults.found.append(f"foreign request: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: faults.found.append(f"script error: {error}"))
    page.on("request", asked)

    def opened(dialog: Any) -> None:
        faults.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", opened)


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Any:
    """Return a function that keeps a screenshot of a page under ``tests/artefacts``."""
    ARTEFACTS.mkdir(exist_ok=True)

    def kept(page: Page, name: str) -> Path:
        path = ARTEFACTS / f"{name}.png"
        page.screenshot(path=path)
        assert path.stat().st_size > 10_000, f"{request.node.name}: the picture is empty"
        return path

    return kept


@pytest.fixture(scope="package")
def office(cluster: Cluster, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One server for all tests of field page and wall; every test has a cell and a person of its own."""
    # That module takes its types from this one.
    from tests.browser.field_office import Office

    cluster.create_database("field_office", template)
    database = cluster.url("field_office")
    built = district.build(database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Another site, not only another port: cookies of a site are shared between its ports.
    app = f"http://localhost:{port}"
    server = Server(
        database, tmp_path_factory.mktemp("field"), GRIDWARD_JURISDICTION=district.CITY, GRIDWARD_EMBED_ORIGINS=app
    )
    server.start()
    try:
        yield Office(site=Site(url=server.url, district=built), database=database, app=app, server=server)
    finally:
        server.kill()
        cluster.drop_database("field_office")
