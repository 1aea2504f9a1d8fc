"""Ten hours at the dispatcher's desk, pressed together: what the page keeps of a day of cases and reconnects."""

from __future__ import annotations

import json
import random
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from playwright.sync_api import Browser, CDPSession, Page, Request

HOURS: Final = 10
#: The page's clock leaps by a quarter of an hour: each leap is a computer that slept, so the stream is opened anew and
#: every open case is read again, forty times in the ten hours.
QUARTERS: Final = 4
#: Per quarter: so many cases are reported, acknowledged, reported back and closed, so that the open set stays as it is.
TURNOVER: Final = 40
URGED: Final = 20
EVENTS_PER_HOUR: Final = QUARTERS * (4 * TURNOVER + URGED)

_ZONE: Final = ZoneInfo("Asia/Shanghai")
_COUNT: Final = "Number(document.querySelector('#inbox-all .inbox-count').textContent.replace(/\\D/g, ''))"


@dataclass(kw_only=True)
class Day:
    """A page on a clock of its own, and the office around it.

    Parameters
    ----------
    report
        Makes the body of a report with a ticket of the given name.
    """

    browser: Browser
    site: str
    key: str
    report: Callable[[str], dict[str, Any]]
    chance: random.Random
    heap_mb: list[float] = field(default_factory=list)
    nodes: list[int] = field(default_factory=list)
    listeners: list[int] = field(default_factory=list)
    _open: deque[tuple[str, int, str]] = field(default_factory=deque)
    _open_cases: int = 0
    _reading: int = 0
    _reads: int = 0

    def run(self) -> None:
        """Live through the day; what each hour leaves behind is in the lists afterwards."""
        context = self.browser.new_context(viewport={"width": 1366, "height": 768}, locale="zh-CN")
        page = context.new_page()
        # The evening before: midnight passes, and with it every "today" and "tomorrow" of the page.
        page.clock.install(time=datetime.now(_ZONE).replace(hour=18, minute=0, second=0) + timedelta(days=1))
        page.goto(self.site)
        page.wait_for_selector("html[data-ready]", timeout=120_000)
        session = context.new_cdp_session(page)
        page.on("request", self._begins)
        page.on("requestfinished", self._ends)
        page.on("requestfailed", self._ends)
        self._turn_over("first", opens=2 * TURNOVER, closes=0)
        page.wait_for_timeout(3000)
        self._open_cases = page.evaluate(_COUNT)
        # What is compared is hour 1 and hour 10: by the end of the first every part of the page has been used.
        for hour in range(1, HOURS + 1):
            for quarter in range(QUARTERS):
                self._turn_over(f"{hour}-{quarter}", opens=TURNOVER, closes=TURNOVER)
                self._work(page, hour * QUARTERS + quarter)
                page.clock.fast_forward("15:00")
                self._catch_up(page)
            self._weigh(session, hour)
        context.close()

    @property
    def growth_percent(self) -> float:
        """Growth of the heap from the end of the first hour to the end of the last."""
        return 100 * (self.heap_mb[-1] - self.heap_mb[0]) / self.heap_mb[0]

    def _turn_over(self, name: str, *, opens: int, closes: int) -> None:
        made = self._send("/v1/reports:batch", {"reports": [self.report(f"D{name}-{n}") for n in range(opens)]})
        if closes:
            leaving = [self._open.popleft() for _ in range(closes)]
            under_way = [(ref, version) for ref, version, status in leaving if status == "dispatched"]
            for move, more in (("acknowledge", {}), ("report_back", {"result": "已清运"}), ("close", {})):
                under_way = self._move(move, under_way, **more)
            # Those that fell beside the grid.
            outside = [(ref, version) for ref, version, status in leaving if status != "dispatched"]
            self._move("decline", outside, reason="不在辖区")
            staying = [self._open.popleft() for _ in range(URGED)]
            urged = self._move("urge", [(ref, version) for ref, version, _ in staying])
            self._open.extend(
                (ref, version, status) for (ref, version), (*_, status) in zip(urged, staying, strict=True)
            )
        self._open.extend((one["receipt"]["case"], 1, one["receipt"]["status"]) for one in made["results"])

    def _move(self, move: str, cases: list[tuple[str, int]], **more: Any) -> list[tuple[str, int]]:
        if not cases:
            return []
        seen = [{"case": ref, "version": version} for ref, version in cases]
        answer = self._send("/v1/cases/moves:bulk", {"move": move, "cases": seen, **more})
        refused = [one for one in answer["results"] if one["status"] != 200]
        if refused:
            raise RuntimeError(f"{move}: {refused[0]}")
        return [(one["case"], one["version"]) for one in answer["results"]]

    def _send(self, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        if path.startswith("/v1/reports"):
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(self.site + path, data=json.dumps(body).encode(), headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

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
        page.locator("#search").fill(("垃圾", "路", "B1", "")[turn % 4])
        page.locator("#search").fill("")
        page.mouse.click(x, y)
        press("Escape")
        press("?")
        press("Escape")
        if turn % 4 == 0:
            page.locator("[data-toggle-theme]").click()
        page.locator("#list").focus()

    def _catch_up(self, page: Page) -> None:
        """Wait until the page has read every open case anew and shows as many as before."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            page.wait_for_timeout(250)
            is_up = page.locator("#live").get_attribute("data-state") == "on"
            if is_up and self._reads > 0 and self._reading == 0 and page.evaluate(_COUNT) == self._open_cases:
                self._reads = 0
                return
        raise RuntimeError(f"the page shows {page.evaluate(_COUNT)} open cases, there are {self._open_cases}")

    def _begins(self, request: Request) -> None:
        self._reading += "/v1/cases?" in request.url

    def _ends(self, request: Request) -> None:
        if "/v1/cases?" in request.url:
            self._reading -= 1
            self._reads += 1

    def _weigh(self, session: CDPSession, hour: int) -> None:
        for _ in range(3):
            session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        counters = session.send("Memory.getDOMCounters")
        self.heap_mb.append(heap)
        self.nodes.append(counters["nodes"])
        self.listeners.append(counters["jsEventListeners"])
        said = f"heap {heap:.2f} MB, {counters['nodes']:,} nodes, {counters['jsEventListeners']:,} listeners"
        print(f"  hour {hour:2}: {said}", file=sys.stderr, flush=True)
