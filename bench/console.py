"""``bench console``: the dispatcher's page in Chromium with 5,000 open cases and 20 events a second."""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import time
from collections.abc import Iterator
from typing import Final

import psycopg
from playwright.sync_api import CDPSession, Page, sync_playwright

from bench import benchmark
from bench._console_day import COUNT, HOURS, Day, weigh
from bench._console_office import Office
from bench._intake_stage import prepare_stage, serving
from bench.profile import Profile
from bench.report import Result

_CASES: Final = 5000
_PER_S: Final = 20
#: Addresses that are typed, half of them crossings.
_ADDRESSES: Final = 40
_SPOTS: Final = """
SELECT ST_X(spot), ST_Y(spot)
  FROM (SELECT ST_PointOnSurface(boundary) AS spot FROM geo.cell WHERE level = 3 ORDER BY code LIMIT %s) AS inside
"""
_NAMES: Final = """
SELECT name_zh
  FROM (SELECT name_zh, kind, row_number() OVER (PARTITION BY kind = 'crossing' ORDER BY md5(name_zh)) AS nth
          FROM geo.place AS p
         WHERE NOT EXISTS (SELECT FROM geo.place AS o WHERE o.id <> p.id AND o.keys && p.keys)) AS one
 WHERE nth <= %s
"""
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
# Typed in one go and confirmed at once, before anything has been asked for: from Enter to the frame in which chain and
# posts stand beside the place. Nobody types an address in less than half a second: so long the map has for its tiles.
_ADDRESS: Final = """async (addresses) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  const press = (on, key) => on.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
  const field = document.getElementById("palette-input");
  const took = [];
  for (const address of addresses) {
    press(document.body, "Escape");
    await new Promise((done) => setTimeout(done, 500));
    press(document.body, "w");
    field.value = address;
    field.dispatchEvent(new Event("input", {bubbles: true}));
    await frame();
    const begun = performance.now();
    press(field, "Enter");
    const isAnswered = () =>
      document.querySelector(".who-place")?.textContent === address && document.querySelector(".who-body .chain");
    do {
      await frame();
      if (performance.now() - begun > 20_000) throw new Error(`nobody answers for ${address}`);
    } while (!isAnswered());
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
            office = Office(site=site, stage=stage, chance=chance)
            office.keep_open(_CASES)
            addresses = _addresses(office, url)
            browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
            profile.versions["chromium"] = browser.version
            page = browser.new_page(viewport={"width": 1366, "height": 768}, locale="zh-CN")
            begun = time.monotonic()
            page.goto(site, wait_until="commit")
            page.wait_for_selector(".row", timeout=60_000)
            painted_s = time.monotonic() - begun
            page.wait_for_selector("html[data-ready]", timeout=60_000)
            page.wait_for_function(f"(count) => {COUNT} === count", arg=_CASES, timeout=60_000)
            yield Result.at_most("console.first_rows", painted_s, "s", 1.5, note=f"{_CASES:,} open cases, 1366 × 768")
            took = page.evaluate(_SELECT, 100)
            note = f"median {statistics.median(took):.0f} ms of 100 selections by key"
            yield Result.at_most("console.selection.p99", sorted(took)[98], "ms", 100, note=note)
            asked = page.evaluate(_WHO, 40)
            note = f"median {statistics.median(asked):.0f} ms of {len(asked)} clicks on the map, answers shown"
            yield Result.at_most("console.who_covers.p95", sorted(asked)[int(len(asked) * 0.95)], "ms", 200, note=note)
            typed = page.evaluate(_ADDRESS, addresses)
            note = f"median {statistics.median(typed):.0f} ms of {len(typed)} typed addresses, from Enter to the answer"
            yield Result.at_most(
                "console.who_covers_address.p95", sorted(typed)[int(len(typed) * 0.95)], "ms", 200, note=note
            )
            page.keyboard.press("Escape")
            frames = _pan(page)
            note = (
                f"{len(frames)} frames while the map is dragged, p95 {sorted(frames)[int(len(frames) * 0.95)]:.0f} ms"
            )
            yield Result.at_most("console.pan.median", statistics.median(frames), "ms", 33, note=note)
            yield from _events(page, office, seconds=120 if profile.full else 20)
            page.context.close()
            if profile.full:
                yield _ten_hours(Day(browser=browser, office=office, open_cases=_CASES, chance=chance))
            browser.close()


def _ten_hours(day: Day) -> Result:
    day.run()
    note = (
        f"{day.events:,} events in {HOURS} hours, {_CASES:,} open at every reading: heap at the beginning and by the "
        f"hour {', '.join(f'{mb:.1f}' for mb in day.heap_mb)} MB; nodes {day.nodes[0]:,} to {day.nodes[-1]:,}; "
        f"listeners {day.listeners[0]:,} to {day.listeners[-1]:,}"
    )
    return Result.at_most("console.heap.ten_hours", day.growth_percent, "%", 10, note=note)


def _addresses(office: Office, url: str) -> list[str]:
    """Estates and house numbers of the demo's gazetteer, and as many crossings, which are brought in as a file."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        spots = connection.execute(_SPOTS, (_ADDRESSES // 2,)).fetchall()
        office.bring_places("id,名称,类型,经度,纬度\n" + "".join(
            f"x{n},规划{n}路与勘测{n}路交叉口,路口,{lon},{lat}\n" for n, (lon, lat) in enumerate(spots)
        ))  # fmt: skip
        return [name for (name,) in connection.execute(_NAMES, (_ADDRESSES // 2,))]


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


def _events(page: Page, office: Office, *, seconds: int) -> Iterator[Result]:
    session = page.context.new_cdp_session(page)
    page.evaluate(_WATCH)
    # The page, its caches and every way by which a case comes and goes are used first: what is compared is how it grows
    # from there, with exactly as many cases open before and after.
    settled = _CASES + len(_stream(office, 5))
    page.wait_for_function("(most) => window.benchSeen.at(-1)[0] >= most", arg=settled, timeout=30_000)
    office.end(settled - _CASES)
    before = _weigh_settled(page, session)
    page.evaluate("() => { window.benchSeen = window.benchSeen.slice(-1); }")
    sent = _stream(office, seconds)
    page.wait_for_function("(most) => window.benchSeen.at(-1)[0] >= most", arg=_CASES + len(sent), timeout=30_000)
    seen = page.evaluate("() => { cancelAnimationFrame(window.benchWatch); return window.benchSeen; }")
    late = []
    for number, at in enumerate(sent, start=_CASES + 1):
        shown = next(when for count, when in seen if count >= number)
        late.append(max(0.0, shown / 1000 - at))
    note = f"median {statistics.median(late) * 1000:.0f} ms from answer to frame; {len(sent)} reports at {_PER_S}/s"
    yield Result.at_most("console.event.p99", sorted(late)[int(len(late) * 0.99)], "s", 2.0, note=note)
    page.evaluate("() => { delete window.benchSeen; }")
    office.end(len(sent))
    grown = (_weigh_settled(page, session) - before) / before
    note = f"from {before / 1e6:.1f} MB; {len(sent)} cases came and {len(sent)} ended, {_CASES:,} open at both readings"
    yield Result.at_most("console.heap.growth", 100 * grown, "%", 10, note=note)


def _weigh_settled(page: Page, session: CDPSession) -> float:
    page.wait_for_function(f"(count) => {COUNT} === count", arg=_CASES, timeout=60_000)
    # Marks of arrivals fade, badges are asked for.
    page.wait_for_timeout(8000)
    return weigh(session)


def _stream(office: Office, seconds: int) -> list[float]:
    begun = time.monotonic()
    answered = []
    for number in range(seconds * _PER_S):
        time.sleep(max(0.0, begun + number / _PER_S - time.monotonic()))
        office.open_one()
        answered.append(time.time())
    return answered
