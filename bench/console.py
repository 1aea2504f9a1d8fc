"""``bench console``: the dispatcher's page in Chromium with 5,000 open cases and 20 events a second."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import statistics
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Final

from playwright.sync_api import Page, sync_playwright

from bench import benchmark
from bench._console_day import EVENTS_PER_HOUR, HOURS, Day
from bench._intake_stage import Stage, prepare_stage, serving
from bench.profile import Profile
from bench.report import Result

_CASES: Final = 5000
_PER_S: Final = 20
_BATCH: Final = 1000
_FLAGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

# From the key to the frame in which row, ring and panel show the next case.
_SELECT: Final = """async (times) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  const took = [];
  for (let n = 0; n < times; n += 1) {
    const before = document.querySelector('.row[aria-selected=true]')?.id;
    const begun = performance.now();
    document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "j", bubbles: true}));
    await frame();
    const now = document.querySelector('.row[aria-selected=true]')?.id;
    if (now === before) throw new Error("the selection did not move");
    took.push(performance.now() - begun);
  }
  return took;
}"""
# From the click on the map to the frame in which chain and posts of that place stand beside it.
_WHO: Final = """async (times) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  const ground = document.getElementById("map");
  const box = ground.getBoundingClientRect();
  const took = [];
  for (let n = 0; n < times; n += 1) {
    const at = { clientX: box.left + box.width * (0.3 + 0.4 * ((n * 7) % times) / times),
                 clientY: box.top + box.height * (0.35 + 0.4 * ((n * 11) % times) / times) };
    const begun = performance.now();
    ground.dispatchEvent(new MouseEvent("click", { ...at, bubbles: true, cancelable: true }));
    do await frame(); while (!document.querySelector(".who-body .chain, .who-body .who-out"));
    took.push(performance.now() - begun);
  }
  return took;
}"""
_FRAMES: Final = """() => {
  window.benchFrames = [];
  let last = performance.now();
  const next = (now) => {
    window.benchFrames.push(now - last);
    last = now;
    window.benchTimer = requestAnimationFrame(next);
  };
  window.benchTimer = requestAnimationFrame(next);
}"""
# When each further case is counted in the queue's head, by the clock that the sender uses, too.
_WATCH: Final = """() => {
  window.benchSeen = [];
  let known = 0;
  const look = () => {
    const count = Number(document.querySelector("#inbox-all .inbox-count").textContent.replace(/\\D/g, ""));
    if (count !== known) { window.benchSeen.push([count, Date.now()]); known = count; }
    window.benchWatch = requestAnimationFrame(look);
  };
  look();
}"""


@benchmark
def console(profile: Profile) -> Iterator[Result]:
    """Measure first paint, selection, who covers a point, panning, an event's way to the screen, and memory."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise RuntimeError("chromium is needed: gridward doctor says how to get it")
    chance = random.Random(profile.seed)
    with profile.cluster(durable=True) as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        stage = asyncio.run(prepare_stage(url, profile))
        with serving("api.cli", url) as port, sync_playwright() as playwright:
            site = f"http://127.0.0.1:{port}"
            for first in range(0, _CASES, _BATCH):
                reports = [_report(stage, chance, f"B{first + n}") for n in range(_BATCH)]
                _post(f"{site}/v1/reports:batch", stage.key, {"reports": reports})
            browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
            profile.versions["chromium"] = browser.version
            page = browser.new_page(viewport={"width": 1366, "height": 768}, locale="zh-CN")
            begun = time.monotonic()
            page.goto(site, wait_until="commit")
            page.wait_for_selector(".row", timeout=60_000)
            painted_s = time.monotonic() - begun
            page.wait_for_selector("html[data-ready]", timeout=60_000)
            page.wait_for_function(
                f"document.querySelectorAll('.row').length && "
                f"Number(document.querySelector('#inbox-all .inbox-count').textContent.replace(/\\D/g, '')) >= {_CASES}"
            )
            yield Result.at_most("console.first_rows", painted_s, "s", 1.5, note=f"{_CASES:,} open cases, 1366 × 768")
            took = page.evaluate(_SELECT, 100)
            note = f"median {statistics.median(took):.0f} ms of 100 selections by key"
            yield Result.at_most("console.selection.p99", sorted(took)[98], "ms", 100, note=note)
            asked = page.evaluate(_WHO, 40)
            note = f"median {statistics.median(asked):.0f} ms of {len(asked)} clicks on the map, answers shown"
            yield Result.at_most("console.who_covers.p95", sorted(asked)[int(len(asked) * 0.95)], "ms", 200, note=note)
            page.keyboard.press("Escape")
            frames = _pan(page)
            note = (
                f"{len(frames)} frames while the map is dragged, p95 {sorted(frames)[int(len(frames) * 0.95)]:.0f} ms"
            )
            yield Result.at_most("console.pan.median", statistics.median(frames), "ms", 33, note=note)
            yield from _events(page, site, stage, chance, seconds=120 if profile.full else 20)
            page.context.close()
            if profile.full:
                yield _ten_hours(Day(
                    browser=browser, site=site, key=stage.key, chance=chance,
                    report=lambda ticket: _report(stage, chance, ticket),
                ))  # fmt: skip
            browser.close()


def _ten_hours(day: Day) -> Result:
    day.run()
    note = (
        f"{EVENTS_PER_HOUR} events an hour for {HOURS} hours, the open set stays: heap by the hour "
        f"{', '.join(f'{mb:.1f}' for mb in day.heap_mb)} MB; nodes {day.nodes[0]:,} to {day.nodes[-1]:,}; "
        f"listeners {day.listeners[0]:,} to {day.listeners[-1]:,}"
    )
    return Result.at_most("console.heap.ten_hours", day.growth_percent, "%", 10, note=note)


def _pan(page: Page) -> list[float]:
    box = page.locator("#map").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(_FRAMES)
    for turn in range(4):
        page.mouse.move(x, y)
        page.mouse.down()
        for step in range(30):
            page.mouse.move(x + (4 if turn % 2 else -4) * step, y + 3 * step)
        page.mouse.up()
    frames: list[float] = page.evaluate("() => { cancelAnimationFrame(window.benchTimer); return window.benchFrames; }")
    return frames


def _events(page: Page, site: str, stage: Stage, chance: random.Random, *, seconds: int) -> Iterator[Result]:
    session = page.context.new_cdp_session(page)
    page.evaluate(_WATCH)
    # The page and its caches settle first: what is compared is how it grows from there.
    base = page.evaluate("window.benchSeen.at(-1)[0]") + len(_stream(site, stage, chance, "W", 5))
    page.wait_for_function("(most) => window.benchSeen.at(-1)[0] >= most", arg=base, timeout=30_000)
    before = _heap(session)
    sent = _stream(site, stage, chance, "E", seconds)
    page.wait_for_function("(most) => window.benchSeen.at(-1)[0] >= most", arg=base + len(sent), timeout=30_000)
    seen = page.evaluate("() => { cancelAnimationFrame(window.benchWatch); return window.benchSeen; }")
    late = []
    for number, at in enumerate(sent, start=base + 1):
        shown = next(when for count, when in seen if count >= number)
        late.append(max(0.0, shown / 1000 - at))
    note = f"median {statistics.median(late) * 1000:.0f} ms from answer to frame; {len(sent)} reports at {_PER_S}/s"
    yield Result.at_most("console.event.p99", sorted(late)[int(len(late) * 0.99)], "s", 2.0, note=note)
    grown = (_heap(session) - before) / before
    per_case = f"{len(sent)} more open cases are kept meanwhile: {100 * len(sent) / base:.1f} % more"
    yield Result.at_most("console.heap.growth", 100 * grown, "%", 10, note=per_case)


def _stream(site: str, stage: Stage, chance: random.Random, prefix: str, seconds: int) -> list[float]:
    begun = time.monotonic()
    answered = []
    for number in range(seconds * _PER_S):
        time.sleep(max(0.0, begun + number / _PER_S - time.monotonic()))
        _post(f"{site}/v1/reports", stage.key, _report(stage, chance, f"{prefix}{number}"))
        answered.append(time.time())
    return answered


def _heap(session: Any) -> float:
    session.send("HeapProfiler.collectGarbage")
    usage: dict[str, float] = session.send("Runtime.getHeapUsage")
    return usage["usedSize"]


def _report(stage: Stage, chance: random.Random, ticket: str) -> dict[str, Any]:
    west, south, east, north = stage.box
    place = {"lon": round(chance.uniform(west, east), 6), "lat": round(chance.uniform(south, north), 6)}
    return {"ticket": ticket, "text": "路边垃圾满溢", "category": "E0101", "coord_sys": "wgs84", **place}


def _post(url: str, key: str, body: Any) -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
