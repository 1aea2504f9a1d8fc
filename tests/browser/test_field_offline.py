"""200 acts without a network, a server killed in the middle, a sign-in that ends: none lost, none doubled."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
from playwright.sync_api import Browser, Page, expect

from api.accounts.people import NewGrant
from api.accounts.roles import Role
from geo.storage.engine import dsn
from tests.browser import district
from tests.browser.field_office import MortalServer, add_person, sign_in

CELL = f"{district.CITY}001001001"
CASES, RECORDS = 70, 60
ACTS = 2 * CASES + RECORDS
assert ACTS == 200

_DO = """async ([cases, records]) => {
  const { desk, enqueue } = await import("/static/field/desk.js");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 40;
  const photo = async (n) => {
    canvas.getContext("2d").fillStyle = `hsl(${n * 5} 80% 50%)`;
    canvas.getContext("2d").fillRect(0, 0, 40, 40);
    return new Promise((done) => canvas.toBlob(done, "image/jpeg"));
  };
  const mine = desk.day.cases.slice(0, cases);
  for (const [n, one] of mine.entries()) {
    await enqueue({ kind: "move", case: one.case, move: "acknowledge" }, { title: "签收", one });
    const photos = n % 5 ? [] : [await photo(n)];
    const deed = { kind: "move", case: one.case, move: "report_back", result: `第 ${n} 件` };
    await enqueue(deed, { title: "报结", one, photos });
  }
  for (let n = 0; n < records; n += 1) {
    const position = { lon: PLACE_LON, lat: PLACE_LAT, coord_sys: "wgs84" };
    await enqueue({ kind: "self_handled", category: "E0101", text: `记录 ${n}`, position }, { title: "自处置" });
  }
  return desk.entries.filter((entry) => entry.state === "waiting").length;
}"""


def _report(url: str, key: str, ticket: str, at: tuple[float, float]) -> None:
    body = {
        "ticket": ticket,
        "text": "路边垃圾满溢",
        "category": "E0101",
        "lon": at[0],
        "lat": at[1],
        "coord_sys": "wgs84",
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{url}/v1/reports", data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=20):
        pass


def _delivered(database: str) -> int:
    with psycopg.connect(dsn(database)) as connection:
        row = connection.execute("SELECT count(*) FROM api.idempotency_key WHERE status = 200").fetchone()
    return int(row[0]) if row else 0


def _until(condition: Any, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def _again(page: Page) -> None:
    page.evaluate("window.dispatchEvent(new Event('online'))")


def test_two_hundred_acts_without_a_network(browser: Browser, database: str, tmp_path: Path, keep: Any) -> None:
    built = district.build(database)
    add_person(database, "walker", NewGrant(role=Role.GRID_HEAD, cell=CELL))
    server = MortalServer(database, tmp_path)
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    try:
        server.start()
        for number in range(CASES):
            _report(server.url, built.key, f"F-{number}", built.inside)
        sign_in(context, server.url, "walker")
        page = context.new_page()
        page.goto(f"{server.url}/field")
        expect(page.locator(".case-row")).to_have_count(CASES)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")

        server.kill()
        place = _DO.replace("PLACE_LON", str(built.inside[0])).replace("PLACE_LAT", str(built.inside[1]))
        assert page.evaluate(place, [CASES, RECORDS]) == ACTS
        page.close()

        # The page was closed and there is no server: phone and browser bring both page and acts back.
        page = context.new_page()
        page.goto(f"{server.url}/field#outbox")
        expect(page.locator("#waiting")).to_have_text(str(ACTS))
        expect(page.locator("#net")).to_have_attribute("data-state", "offline")
        keep(page, "field-offline-outbox")

        server.start()
        second = context.new_page()
        second.goto(f"{server.url}/field")
        _again(page)
        _until(lambda: _delivered(database) >= ACTS // 4, "nothing is delivered")
        server.kill()
        with psycopg.connect(dsn(database), autocommit=True) as connection:
            connection.execute("UPDATE api.session SET ended_at = now()")
        assert _delivered(database) < ACTS, "the server was to die in the middle"
        server.start()
        _again(page)
        expect(page.locator("#net")).to_have_attribute("data-state", "signed_out", timeout=20_000)
        expect(page.locator("#net a")).to_be_visible()
        second.close()
        sign_in(context, server.url, "walker")
        # Two deliverers at once, and every answer of the first half is asked for once more.
        twin = context.new_page()
        twin.goto(f"{server.url}/field#outbox")
        _again(page)
        expect(page.locator("#waiting")).to_be_hidden(timeout=90_000)
        keep(page, "field-delivered")
    finally:
        context.close()
        server.kill()
    assert errors == []
    _check(database)


def _check(database: str) -> None:
    with psycopg.connect(dsn(database)) as connection:

        def rows(query: str) -> Any:
            return connection.execute(query).fetchall()

        assert _delivered(database) == ACTS
        acts = dict(rows("SELECT type, count(*) FROM dispatch.case_event WHERE actor_kind = 'person' GROUP BY type"))
        assert acts == {"case.acknowledged.v1": CASES, "case.handled.v1": CASES, "case.self_handled.v1": RECORDS}
        assert rows("SELECT count(DISTINCT case_id) FROM dispatch.case_event WHERE type = 'case.handled.v1'") == [
            (CASES,)
        ]
        assert rows(
            "SELECT count(*), count(DISTINCT text) FROM dispatch.dispatch_case WHERE channel_code = 'field'"
        ) == [(RECORDS, RECORDS)]
        said = {
            row[0]
            for row in rows("SELECT payload ->> 'result' FROM dispatch.case_event WHERE type = 'case.handled.v1'")
        }
        assert said == {f"第 {number} 件" for number in range(CASES)}
        assert rows("SELECT count(*), count(DISTINCT case_id) FROM dispatch.case_photo") == [(CASES // 5, CASES // 5)]
