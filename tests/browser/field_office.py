"""For tests of the field page: people who sign in, and a server that can be killed and started again on its port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from playwright.sync_api import BrowserContext, Page

from api.accounts.keys import NewKey, Scope, issue_key
from api.accounts.people import NewGrant
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit
from tests.browser import district
from tests.signing import PASSWORD, make_person

ROOT = Path(__file__).resolve().parents[2]


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


class MortalServer:
    """A server process that dies without a word, and comes back at the same address."""

    def __init__(self, database: str, folder: Path, **settings: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = folder / "mortal.log"
        self._environment = {
            **os.environ,
            "GRIDWARD_DATABASE_URL": database,
            "GRIDWARD_PORT": str(self.port),
            "GRIDWARD_JURISDICTION": district.CITY,
            "GRIDWARD_DATA_DIR": str(folder / "data"),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(self.port)]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=output, stderr=output)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        raise AssertionError(self._log.read_text(errors="replace"))

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
