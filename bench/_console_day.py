"""Ten hours at the dispatcher's desk, pressed together: what the page keeps of a day of cases and reconnects.

What is measured is growth, so everything else is held still. At every reading exactly as many cases are open as at the
first, the page shows the same (the whole map, all cases, nothing searched, marked or selected, the light theme), no
request is under way and the marks of arrivals have faded. Before the first reading two hours of the same work pass, in
which every part of the page is used, every cache is filled, the page's scripts are compiled, and every open case is
replaced by one that came over the stream: only then are the tables of the page as large as they stay. (A list of
thousands shares its equal words and instants, single events do not; and a table that has once lost half its rows stays
twice as wide.)

Twenty events a second would be 720,000 in ten hours. One server beside a browser on two cores carries some 400 moves a
second, so that alone would take half an hour; a day carries some 25,000, all over the real doors, and settling as many
again. In the ten hours every case is replaced once more: what a case leaves behind would be seen. The page gets them
in bursts of hundreds a second, more than it is ever asked to bear.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, CDPSession, Page, Request

from bench._console_office import Office

HOURS: Final = 10
SETTLING_HOURS: Final = 2
#: The page's clock leaps by a quarter of an hour: each leap is a computer that slept, so the stream is opened anew and
#: every open case is read again, forty times in the ten hours.
QUARTERS: Final = 4
#: Per quarter so many cases are reported, acknowledged, reported back and closed; so many others are urged.
TURNOVER: Final = 160
URGED: Final = 60
#: Long enough for rings and marks of arrivals to fade, and for the badges of new cases to be asked for. Units: seconds.
_FADING: Final = 8

_ZONE: Final = ZoneInfo("Asia/Shanghai")
COUNT: Final = "Number(document.querySelector('#inbox-all .inbox-count').textContent.replace(/\\D/g, ''))"


def weigh(session: CDPSession) -> float:
    """What the page's scripts keep, after everything that nobody needs is collected. Units: bytes."""
    for _ in range(5):
        session.send("HeapProfiler.collectGarbage")
    usage: dict[str, float] = session.send("Runtime.getHeapUsage")
    return usage["usedSize"]


@dataclass(kw_only=True)
class Day:
    """A page on a clock of its own.

    Attributes
    ----------
    heap_mb, nodes, listeners
        At the end of settling and of each hour.
    events
        Made in the hours that are measured.
    """

    browser: Browser
    office: Office
    open_cases: int
    chance: random.Random
    heap_mb: list[float] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    listeners: list[int] = field(default_factory=list)
    events: int = 0
    _asking: int = 0
    _reading: int = 0
    _reads: int = 0

    def run(self) -> None:
        """Live through the day; what each hour leaves behind is in the lists afterwards."""
        self.office.keep_open(self.open_cases)
        context = self.browser.new_context(viewport={"width": 1366, "height": 768}, locale="zh-CN")
        page = context.new_page()
        # The evening before: midnight passes, and with it every "today" and "tomorrow" of the page.
        page.clock.install(time=datetime.now(_ZONE).replace(hour=18, minute=0, second=0) + timedelta(days=1))
        page.on("request", self._begins)
        page.on("requestfinished", self._ends)
        page.on("requestfailed", self._ends)
        page.goto(self.office.site)
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        session = context.new_cdp_session(page)
        for hour in range(-SETTLING_HOURS, HOURS):
            if hour == 0:
                self._weigh(page, session)
                self.events = -self.office.events
            turnover = TURNOVER if hour >= 0 else self.open_cases // (SETTLING_HOURS * QUARTERS)
            for quarter in range(QUARTERS):
                self.office.open_many(turnover)
                self.office.end(turnover)
                self.office.urge(URGED)
                self._work(page, hour * QUARTERS + quarter)
                self._reads = 0
                page.clock.fast_forward("15:00")
                self._catch_up(page)
            if hour >= 0:
                self._weigh(page, session)
        self.events += self.office.events
        context.close()

    @property
    def growth_percent(self) -> float:
        """Growth of the heap from the first reading to the last."""
        return 100 * (self.heap_mb[-1] - self.heap_mb[0]) / self.heap_mb[0]

    def _work(self, page: Page, turn: int) -> None:
        """What somebody does in a quarter of an hour: walk, open, look, pan, switch, search, mark, ask."""
        press = page.keyboard.press
        for key in ("j", "j", "j", "Enter", "j", "j", "k", "j", "Escape", "x", "j", "Shift+X", "Escape"):
            press(key)
        press("g")
        press(str(1 + turn % 5))
        press("j")
        press("g")
        press("5")
        box = page.locator("#map").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + self.chance.uniform(-160, 160), y + self.chance.uniform(-120, 120), steps=8)
        page.mouse.up()
        page.mouse.wheel(0, -240 if turn % 2 else 240)
        page.locator("#search").fill(("垃圾", "路", "B1", "E0101")[turn % 4])
        page.locator("#search").fill("")
        page.mouse.click(x, y)
        press("Escape")
        press("?")
        press("Escape")
        for _ in range(2):
            page.locator("[data-toggle-theme]").click()
        page.locator("#list").focus()

    def _catch_up(self, page: Page) -> None:
        """Wait until the page has read every open case anew and shows as many as before."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            page.wait_for_timeout(100)
            is_up = page.locator("#live").get_attribute("data-state") == "on"
            if is_up and self._reads > 0 and self._reading == 0 and page.evaluate(COUNT) == self.open_cases:
                return
        raise RuntimeError(f"the page shows {page.evaluate(COUNT)} open cases, there are {self.open_cases}")

    def _begins(self, request: Request) -> None:
        # The stream never ends.
        self._asking += not request.url.endswith("/v1/stream")
        self._reading += "/v1/cases?" in request.url

    def _ends(self, request: Request) -> None:
        self._asking -= not request.url.endswith("/v1/stream")
        self._reading -= "/v1/cases?" in request.url
        self._reads += "/v1/cases?" in request.url

    def _weigh(self, page: Page, session: CDPSession) -> None:
        """Bring the page into the one state in which it is read, and read it."""
        for key in ("Escape", "Escape", "Escape", "g", "5"):
            page.keyboard.press(key)
        page.locator("button.whole").click()
        page.evaluate('() => { document.getElementById("list").scrollTop = 0; }')
        page.mouse.move(2, 2)
        for _ in range(_FADING):
            page.clock.run_for(1000)
            page.wait_for_timeout(100)
        until = time.monotonic() + 120
        while self._asking or page.evaluate(COUNT) != self.open_cases:
            if time.monotonic() > until:
                raise RuntimeError(f"{self._asking} requests are under way, {page.evaluate(COUNT)} cases are shown")
            page.wait_for_timeout(100)
        heap = weigh(session) / 1e6
        counters: dict[str, Any] = session.send("Memory.getDOMCounters")
        self.heap_mb.append(heap)
        self.nodes.append(counters["nodes"])
        self.listeners.append(counters["jsEventListeners"])
        said = f"heap {heap:.2f} MB, {counters['nodes']:,} nodes, {counters['jsEventListeners']:,} listeners"
        print(f"  hour {len(self.heap_mb) - 1:2}: {said}", file=sys.stderr, flush=True)
