"""The wall display: every picture on both grounds, nobody in it; its service dies, its key ends, it never grows."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from playwright.sync_api import Browser, Page, Route, expect

from api.accounts.keys import Scope
from geo.storage.engine import dsn
from tests.browser.conftest import Faults, _watch
from tests.browser.field_office import Office, add_key
from tests.browser.hostile_texts import MANY
from tests.browser.test_console import report
from tests.browser.test_grid_page import serious

#: The turn whose picture is drawn when something is measured: one row in every table.
RESTING = 1
SCENES = ("map", "lights", "ladder", "overdue", "today")
_FITS = "document.documentElement.scrollHeight <= innerHeight && document.documentElement.scrollWidth <= innerWidth"
_SMALLEST = """() => Math.min(...[...document.querySelectorAll("body *")]
  .filter(e => e.checkVisibility() && !e.closest("svg"))
  .filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()))
  .map(e => parseFloat(getComputedStyle(e).fontSize)))"""


def test_every_picture_on_both_grounds_and_nobody_in_it(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(8)
    made = report(site, "CANARY-77", text="王芳投诉 13800000000", address="建设路 7 号 3 单元")
    with psycopg.connect(dsn(office.database), autocommit=True) as connection:
        late = (
            "UPDATE dispatch.dispatch_case SET due_at = now() - interval '90 minutes', warn_at = now() - interval '2 h'"
        )
        connection.execute(f"{late} WHERE ref = %s", (made["case"],))
    key = add_key(office.database, "wall", Scope.WALL_READ)
    faults = Faults()
    for width, height, locale, theme in ((1920, 1080, "zh-CN", "dark"), (3840, 2160, "en-US", "light")):
        context = browser.new_context(viewport={"width": width, "height": height}, locale=locale)
        page = context.new_page()
        _watch(page, site, faults)
        page.goto(f"{site.url}/wall?turn=0&theme={theme}#key={key}")
        expect(page.locator("#state")).to_have_attribute("data-state", "live")
        for place, scene in enumerate(SCENES):
            page.locator("#dots button").nth(place).click()
            expect(page.locator(f'[data-scene="{scene}"]')).to_be_visible()
            assert page.evaluate(_FITS), scene
            assert page.evaluate(_SMALLEST) >= 28 * height / 1080 - 0.5, scene
            if theme == "dark" or scene in {"lights", "overdue"}:
                assert serious(page) == [], scene
            text = page.content()
            for said in ("王芳", "1380", "建设路", "CANARY", made["head"]["name"], login):
                assert said not in text, (scene, said)
            if scene == "overdue":
                expect(page.locator("#overdue tbody tr")).not_to_have_count(0)
                assert made["case"] in text
        keep(page, f"wall-{width}")
        context.close()
    faults.check()


def _until(page: Page, state: str) -> None:
    """Let the page's clock run until its line says so."""
    for _ in range(100):
        page.clock.run_for(1000)
        if page.locator("#state").get_attribute("data-state") == state:
            return
        page.wait_for_timeout(50)
    expect(page.locator("#state")).to_have_attribute("data-state", state)


def test_it_outlives_its_service_and_ends_with_its_key(office: Office, browser: Browser) -> None:
    key = add_key(office.database, "wall", Scope.WALL_READ)
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="zh-CN")
    try:
        page = context.new_page()
        page.clock.install()
        page.goto(f"{office.site.url}/wall?every=2#key={key}")
        _until(page, "live")
        office.server.kill()
        page.clock.run_for(60_000)
        expect(page.locator("#state-text")).to_contain_text("正在重连")
        _until(page, "stale")
        expect(page.locator("#board")).to_be_visible()
        page.clock.run_for(600_000)
        _until(page, "old")
        office.server.start()
        _until(page, "live")
        # The key is exchanged by another address of the same page; then the old one may end.
        second = add_key(office.database, "wall", Scope.WALL_READ)
        page.evaluate("key => { location.hash = `key=${key}`; }", second)
        with psycopg.connect(dsn(office.database), autocommit=True) as connection:
            revoke = "UPDATE api.api_key SET revoked_at = now() WHERE prefix = %s"
            connection.execute(revoke, (key.split("_")[1],))
            page.wait_for_timeout(1100)  # as long as a process remembers a key
            for _ in range(3):
                page.clock.run_for(2000)
                page.wait_for_timeout(100)
            expect(page.locator("#board")).to_be_visible()
            connection.execute(revoke, (second.split("_")[1],))
        _until(page, "closed")
        expect(page.locator("#closed-word")).to_have_text("此大屏的钥匙无效或已收回")
        expect(page.locator("#board")).to_be_hidden()
    finally:
        context.close()


def test_it_hangs_for_a_day_with_hostile_names_and_does_not_grow(office: Office, browser: Browser) -> None:
    key = add_key(office.database, "wall", Scope.WALL_READ)
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="zh-CN")
    faults, asked, resting = Faults(), 0, False
    page = context.new_page()
    _watch(page, office.site, faults)

    def answer(route: Route) -> None:
        nonlocal asked
        wall = json.loads(real)
        # What is compared is one and the same picture; which picture an interval ends with is chance.
        turn_of = RESTING if resting else asked
        named = [MANY[(turn_of * 3 + place) % len(MANY)] for place in range(3)]
        wall["place"] = named[0]
        wall["now"] = dict.fromkeys(wall["now"], turn_of * 7 % 901)
        lights = {"red": turn_of % 5, "yellow": 2}
        wall["places"] = [{"name": named[1], "open": 9, "lights": lights}] * (turn_of % 10)
        late = {"case": named[0], "category": named[1], "place": named[2], "due_at": wall["as_of"]}
        wall["overdue"] = [late] * (turn_of % 8)
        wall["ladder"] = [{"code": "x", "name": named[2], "count": turn_of}] * (turn_of % 6)
        cell = cells[turn_of % len(cells)]
        wall["cells"] = {cell: {"open": turn_of % 30, "light": ("red", "yellow", "supervised", "green")[turn_of % 4]}}
        wall["arrivals"] = [{"case": "x", "cells": [cell], "at": f"2027-01-01T00:00:{turn_of:06d}"}]
        asked += 1
        route.fulfill(json=wall)

    try:
        headers = {"Authorization": f"Bearer {key}"}
        real = context.request.get(f"{office.site.url}/v1/wall", headers=headers).text()
        outlines = context.request.get(f"{office.site.url}/v1/wall/cells", headers=headers).json()
        cells = [cell["code"] for cell in outlines["cells"] if cell["level"] == outlines["level"]]
        for cell, text in zip(outlines["cells"], MANY, strict=False):
            cell["name"] = text
        page.route("**/v1/wall", answer)
        page.route("**/v1/wall/cells", lambda route: route.fulfill(json=outlines))
        page.clock.install()
        page.goto(f"{office.site.url}/wall?every=600#key={key}")
        _until(page, "live")
        session = context.new_cdp_session(page)
        session.send("Performance.enable")

        def size() -> dict[str, float]:
            nonlocal resting
            resting = True
            turn(1)
            for kind in ("#places tbody tr", "#overdue tr", "#ladder li"):
                expect(page.locator(kind)).to_have_count(RESTING)
            resting = False
            session.send("HeapProfiler.collectGarbage")
            found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
            return {name: found[name] for name in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}

        def turn(times: int) -> None:
            for _ in range(times):
                last = asked
                page.clock.fast_forward(600_000)
                while asked == last:
                    page.wait_for_timeout(5)
                # Drawn before the clock goes on: an answer under way would run out of the page's patience.
                expect(page.locator("#now-open")).to_have_text(str((RESTING if resting else last) * 7 % 901))

        turn(40)
        before = size()
        turn(110)
        after = size()
        assert asked >= 150, "a day and an hour of ten minutes each"
        print(f"{asked} answers, {before} → {after}")
        assert after["Nodes"] <= before["Nodes"] * 1.1
        assert after["JSEventListeners"] <= before["JSEventListeners"] + 2
        assert after["JSHeapUsedSize"] <= before["JSHeapUsedSize"] * 1.1
        assert page.locator("main script, main img, main b b, main iframe").count() == 0
    finally:
        context.close()
    faults.check()
