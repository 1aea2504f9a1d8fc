"""200 acts without a network, a server killed in the middle, a sign-in that ends: none lost, none doubled."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from playwright.sync_api import Browser, Page, expect

from geo.storage.engine import dsn
from tests.browser.field_office import Office, sign_in
from tests.browser.test_console import report

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


def _delivered(office: Office) -> int:
    ((count,),) = office.rows("SELECT count(*) FROM api.idempotency_key WHERE status = 200 AND channel_code = 'field'")
    return int(count)


def _until(condition: Any, what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def _again(page: Page) -> None:
    page.evaluate("window.dispatchEvent(new Event('online'))")


def test_two_hundred_acts_without_a_network(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(15)
    server, before = office.server, _delivered(office)
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="zh-CN")
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: report(site, f"O-{number}"), range(CASES)))
        sign_in(context, server.url, login)
        page = context.new_page()
        page.goto(f"{server.url}/field")
        page.get_by_role("button", name="网格内").click()
        expect(page.locator(".case-row")).to_have_count(CASES)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")

        context.set_offline(True)
        # Where people fill something in, news do not disturb them: the list is not drawn two hundred times.
        page.locator('[data-tab="record"]').click()
        lon, lat = site.district.inside
        acts = _DO.replace("PLACE_LON", str(lon)).replace("PLACE_LAT", str(lat))
        assert page.evaluate(acts, [CASES, RECORDS]) == ACTS
        page.close()

        # The page was closed and there is no network: phone and browser bring both page and acts back.
        page = context.new_page()
        page.goto(f"{server.url}/field#outbox")
        expect(page.locator("#waiting")).to_have_text(str(ACTS))
        expect(page.locator("#net")).to_have_attribute("data-state", "offline")
        keep(page, "field-offline-outbox")

        context.set_offline(False)
        second = context.new_page()
        second.goto(f"{server.url}/field")
        _again(page)
        _until(lambda: _delivered(office) - before >= ACTS // 4, "nothing is delivered")
        server.kill()
        with psycopg.connect(dsn(office.database), autocommit=True) as connection:
            connection.execute("UPDATE api.session SET ended_at = now()")
        assert _delivered(office) - before < ACTS, "the server was to die in the middle"
        server.start()
        _again(page)
        expect(page.locator("#net")).to_have_attribute("data-state", "signed_out", timeout=20_000)
        expect(page.locator("#net a")).to_be_visible()
        second.close()
        sign_in(context, server.url, login)
        # Two deliverers at once, and every answer of the first half is asked for once more.
        twin = context.new_page()
        twin.goto(f"{server.url}/field#outbox")
        _again(page)
        expect(page.locator("#waiting")).to_be_hidden(timeout=90_000)
        keep(page, "field-delivered")
    finally:
        context.close()
    assert errors == []
    _check(office, login, before)


def _check(office: Office, login: str, before: int) -> None:
    assert _delivered(office) - before == ACTS
    ((person,),) = office.rows("SELECT person_id::text FROM api.account WHERE login = %s", login)
    mine = "FROM dispatch.case_event WHERE actor_kind = 'person' AND actor_id = %s"
    assert dict(office.rows(f"SELECT type, count(*) {mine} GROUP BY type", person)) == {
        "case.acknowledged.v1": CASES,
        "case.handled.v1": CASES,
        "case.self_handled.v1": RECORDS,
    }
    handled = f"{mine} AND type = 'case.handled.v1'"
    assert office.rows(f"SELECT count(DISTINCT case_id) {handled}", person) == [(CASES,)]
    recorded = f"SELECT case_id {mine} AND type = 'case.self_handled.v1'"
    assert office.rows(
        f"SELECT count(*), count(DISTINCT text) FROM dispatch.dispatch_case WHERE id IN ({recorded})", person
    ) == [(RECORDS, RECORDS)]
    said = {row[0] for row in office.rows(f"SELECT payload ->> 'result' {handled}", person)}
    assert said == {f"第 {number} 件" for number in range(CASES)}
    photos = f"FROM dispatch.case_photo WHERE case_id IN (SELECT case_id {handled})"
    assert office.rows(f"SELECT count(*), count(DISTINCT case_id) {photos}", person) == [(CASES // 5, CASES // 5)]
