"""Thirty mixed cases handled without a mouse, the focus never lost; the other keys of the desk."""

from __future__ import annotations

from typing import Any

import psycopg
from playwright.sync_api import Page, expect

from geo.storage.engine import dsn
from tests.browser.conftest import Site
from tests.browser.district import CITY, SOUTH, STEP, WEST
from tests.browser.test_console import ready, report

# What a dispatcher presses after J, what the page says when it is done, and the state that must come of it.
SEND = "Control+Enter"
KEYS: dict[str, tuple[tuple[tuple[tuple[str, ...], str], ...], str]] = {
    "outside": (((("1",), "Dispatch"),), "dispatched"),
    "accept": (((("a",), "Accept"),), "accepted"),
    "desk": (((("d",), "Dispatch"),), "dispatched"),
    "returned": (((("d",), "Dispatch again"),), "dispatched"),
    "merge": (((("m",), "Merge"),), "merged"),
    "urge": (((("p",), "Urge"),), "dispatched"),
    "giveback": (((("r", "text:not our street", SEND), "Return"),), "returned"),
    "suspend": (
        ((("s", "text:waits for spring", SEND), "Request suspension"), (("s",), "Approve suspension")),
        "suspended",
    ),
    "close": (((("c",), "Close"),), "closed"),
}
COUNTS = {"outside": 6, "accept": 3, "desk": 6, "returned": 4, "merge": 3, "urge": 2, "giveback": 2, "suspend": 2}
PREPARED = {
    "returned": ({"move": "dispatch"}, {"move": "return", "reason": "elsewhere"}),
    "urge": ({"move": "dispatch"},),
    "giveback": ({"move": "dispatch"},),
    "suspend": ({"move": "dispatch"}, {"move": "acknowledge"}),
    "close": ({"move": "dispatch"}, {"move": "acknowledge"}, {"move": "report_back", "result": "done"}),
}


def test_thirty_mixed_cases_without_a_mouse(site: Site, database: str, open_page: Any, keep: Any) -> None:
    with psycopg.connect(dsn(database), autocommit=True) as connection:
        # This office looks at everything itself.
        connection.execute(
            "INSERT INTO dispatch.profile (jurisdiction, cell_code, line, dispatches_itself)"
            " VALUES (%s, '', 'short', false)",
            (CITY,),
        )
    page = open_page("/?lang=en")
    plan = _prepare(site, page)
    assert len(plan) == 30
    page.goto(f"{site.url}/?lang=en")
    ready(page)
    assert _focus(page) == "list"
    keys: dict[str, int] = {}
    step, before = "j", None
    for _ in range(120):
        if len(keys) == len(plan):
            break
        _press(page, step)
        ref = page.locator(".row[aria-selected=true]").get_attribute("data-case")
        assert ref is not None
        if ref in keys:
            # At the end of the list: back up, to what has changed its place meanwhile.
            step = "k" if ref == before else step
            before = ref
            continue
        keys[ref] = 1
        for pressed, said in KEYS[plan[ref]][0]:
            for key in pressed:
                if key.startswith("text:"):
                    expect(page.locator(".move-form textarea").first).to_be_focused()
                    page.keyboard.insert_text(key.removeprefix("text:"))
                    continue
                _press(page, key)
                keys[ref] += 1
            expect(page.locator("#panel .note-note")).to_contain_text(ref)
            expect(page.locator("#panel .note-note")).to_contain_text(said)
    assert set(keys) == set(plan)
    assert max(keys.values()) <= 4, keys
    keep(page, "console-keyboard")
    for ref, kind in plan.items():
        seen = page.request.get(f"{site.url}/v1/cases/{ref}").json()
        assert seen["status"] == KEYS[kind][1], (kind, seen["status"])


def test_the_other_keys_and_where_the_focus_is(site: Site, open_page: Any) -> None:
    report(site, "k1", lon=WEST + STEP * 0.3, lat=SOUTH + STEP * 0.4)
    page = ready(open_page("/?lang=en"))
    _press(page, "?")
    expect(page.locator("#keys")).to_be_visible()
    for key in ("D", "M", "R", "U", "/", "?", "Ctrl-K"):
        expect(page.locator("#keys kbd", has_text=key).first).to_be_visible()
    _press(page, "Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.insert_text("rubbish-no-such")
    page.keyboard.press("Escape")
    assert _focus(page) == "list"
    page.locator("#list-state button").press("Enter")
    # Whoever chose an inbox walks on in its list, and Enter opens the case.
    page.locator("#inbox-all").press("Enter")
    _press(page, "j")
    assert _focus(page) == "list"
    _press(page, "Enter")
    assert _focus(page) == "panel"
    _press(page, "Escape")
    _press(page, "u")
    expect(page.locator(".move-form textarea")).to_be_focused()
    _press(page, "Escape")
    expect(page.locator(".move-form")).to_have_count(0)
    assert _focus(page) == "panel"
    # Who gets it can be chosen; what is left open follows from the rules.
    _press(page, "r")
    page.keyboard.insert_text("not ours")
    _press(page, SEND)
    expect(page.locator("#panel [data-move=re_dispatch]")).to_be_visible()
    _press(page, "Shift+D")
    expect(page.locator(".move-form select").first).to_be_focused()
    _press(page, SEND)
    expect(page.locator("#panel .note-note")).to_contain_text("Dispatch again")
    _press(page, "Escape")
    assert _focus(page) == "list"


def _prepare(site: Site, page: Page) -> dict[str, str]:
    """Make the cases; numbers by kind. Those to be merged lie beside one that the desk dispatches."""
    plan: dict[str, str] = {}
    spots = iter([(WEST + STEP * (0.3 + 0.6 * (n % 12)), SOUTH + STEP * (0.4 + 1.1 * (n // 12))) for n in range(24)])
    desk: list[tuple[float, float]] = []
    for kind, count in {**COUNTS, "close": 2}.items():
        for number in range(count):
            if kind in {"outside", "accept"}:
                lon, lat = WEST - STEP * (1 + number), SOUTH - STEP * (1 if kind == "outside" else 3)
            elif kind == "merge":
                lon, lat = desk[number][0] + 0.0001, desk[number][1]
            else:
                lon, lat = next(spots)
            if kind == "desk":
                desk.append((lon, lat))
            ref = report(site, f"{kind}-{number}", lon=lon, lat=lat)["case"]
            plan[ref] = kind
            version = 1
            for body in PREPARED.get(kind, ()):
                answer = page.request.post(
                    f"{site.url}/v1/cases/{ref}/moves", data=body, headers={"If-Match": f'"{version}"'}
                )
                assert answer.ok, answer.text()
                version = answer.json()["version"]
    return plan


def _press(page: Page, key: str) -> None:
    page.keyboard.press(key)
    assert page.evaluate("document.activeElement !== document.body && document.activeElement !== null"), f"focus: {key}"


def _focus(page: Page) -> str:
    return str(page.evaluate("document.activeElement.id"))
