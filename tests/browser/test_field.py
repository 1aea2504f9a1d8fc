"""The field page with eyes and fingers: a case in few taps, no overwrite, trouble in words, a frame of a city's app."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser, Response, expect

from api.accounts.keys import Scope
from api.accounts.roles import Role
from tests.browser.conftest import Faults, _watch
from tests.browser.field_office import PHONE, Office, add_key, phone, picture, sign_in
from tests.browser.test_console import post, report
from tests.browser.test_grid_page import serious

HOSTILE = (
    "<img src=x onerror=alert(1)></script><script>alert(2)</script> ` ${alert(3)} \\ \u2028 \u202eabc {{7*7}} ' \" --"
)


def test_a_case_from_the_list_to_reported_back(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(0)
    ref = report(site, "F1", text=HOSTILE, address=HOSTILE)["case"]
    report(site, "F2")
    with phone(browser, site, Faults(), login) as page:
        expect(page.locator(".case-row")).to_have_count(2)
        page.get_by_role("button", name="网格内 2").click()
        keep(page, "field-cases")
        assert serious(page) == []
        page.locator(f'a[href*="{ref}"]').click()
        expect(page.locator(".case-text")).to_contain_text("<img src=x onerror=alert(1)>")
        expect(page.locator(".events li")).to_have_count(1)
        keep(page, "field-case")
        assert serious(page) == []
        page.get_by_role("button", name="签收").click()
        # One tap, and the next step is there.
        page.get_by_role("button", name="反馈", exact=True).click()
        page.locator("#photo-input").set_input_files({"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture()})
        expect(page.locator(".sheet .photo-list img")).to_have_count(1)
        page.fill("#sheet-words", HOSTILE)
        page.get_by_role("button", name="附上位置").click()
        expect(page.locator(".sheet .position .hint")).to_contain_text("12 米")
        keep(page, "field-report-back")
        assert serious(page) == []
        page.get_by_role("button", name="发送").click()
        page.locator('[data-tab="outbox"]').click()
        expect(page.locator(".entry.is-done")).to_have_count(2)
        expect(page.locator(".entry-said").first).to_contain_text("${alert(3)}")
        assert serious(page) == []
        for tab in ("map", "record"):
            page.locator(f'[data-tab="{tab}"]').click()
            expect(page.locator(".drawing svg").first).to_be_visible()
            keep(page, f"field-{tab}")
            assert serious(page) == []
        page.locator("#me").click()
        expect(page.locator("#me-facts")).to_contain_text("Walker0")
    case = " JOIN dispatch.dispatch_case AS c ON c.id = case_id WHERE c.ref = %s"
    ((payload,),) = office.rows(
        f"SELECT e.payload FROM dispatch.case_event AS e {case} AND e.type = 'case.handled.v1'", ref
    )
    assert payload["result"] == HOSTILE.strip()
    assert payload["reported_from"]["distance_m"] < 30
    assert office.rows(f"SELECT width, height, p.kind FROM dispatch.case_photo AS p {case}", ref) == [
        (2048, 819, "after")
    ]


def test_the_first_load_is_small_and_asks_nobody_else(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(1)
    for number in range(30):
        report(site, f"L{number}")
    context = browser.new_context(viewport=PHONE, locale="en-US", color_scheme="dark")
    faults, answers, loaded = Faults(), list[Response](), list[int]()
    try:
        sign_in(context, site.url, login)
        page = context.new_page()
        _watch(page, site, faults)
        page.on("response", lambda answer: answers.append(answer))
        wire = context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.loadingFinished", lambda done: loaded.append(int(done["encodedDataLength"])))
        page.goto(f"{site.url}/field", wait_until="networkidle")
        expect(page.locator(".case-row")).to_have_count(30)
        keep(page, "field-en-dark")
        bodies = [answer.body() for answer in answers if answer.status == 200]
    finally:
        context.close()
    faults.check()
    packed = sum(loaded)
    print(f"first load: {len(bodies)} answers, {sum(map(len, bodies))} bytes, {packed} over the wire, headers included")
    assert not any("leaflet" in answer.url for answer in answers)
    assert len(loaded) >= len(bodies)
    assert packed <= 150_000
    assert sum(map(len, bodies)) <= 300_000


def test_inside_a_citys_app(office: Office, browser: Browser, keep: Any) -> None:
    """Another origin, a frame, a token behind the #: no cookie anywhere, and a browser that keeps nothing in frames."""
    login, site = office.cell(2, Role.GRID_WORKER)
    key = add_key(office.database, "app", Scope.FIELD_TOKENS)
    ref = report(site, "E1")["case"]
    token = post(site, "/v1/field/tokens", {"login": login}, Authorization=f"Bearer {key}")["token"]

    class Parent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'<!doctype html><title>app</title><iframe src="{site.url}/field#token={token}"'
            body += ' width="390" height="800"></iframe>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    port = int(office.app.rsplit(":", 1)[1])
    parent = ThreadingHTTPServer(("127.0.0.1", port), Parent)
    threading.Thread(target=parent.serve_forever, daemon=True).start()
    context = browser.new_context(viewport={"width": 420, "height": 860}, locale="zh-CN")
    # What browsers do that give nothing of their own to frames of other sites.
    context.add_init_script(
        """for (const name of ["indexedDB", "sessionStorage", "localStorage"])
        Object.defineProperty(globalThis, name, { get() { throw new DOMException("denied", "SecurityError"); } });
        Object.defineProperty(navigator, "locks", { value: {
          request: () => Promise.reject(new DOMException("denied", "SecurityError")) } });"""
    )
    try:
        page = context.new_page()
        page.goto(f"{office.app}/app")
        frame = page.frame_locator("iframe")
        expect(frame.locator(".kind")).to_have_count(2)
        expect(frame.locator(".note")).to_contain_text("不让本页保存内容")
        frame.locator(".kind").nth(1).click()
        frame.locator(".case-row").click()
        expect(frame.locator(".case-head")).to_contain_text(ref)
        keep(page, "field-embedded")
        inner = page.frames[1]
        assert "token" not in inner.url
        # Nothing can be kept here, and still an act arrives.
        answer = inner.evaluate(
            """async ref => { const { desk, enqueue } = await import("/static/field/desk.js");
            await enqueue({ kind: "photos", case: ref }, { title: "x", photos: [] });
            return desk.entries.map(one => one.state); }""",
            ref,
        )
        assert answer == ["waiting"]
        frame.locator('[data-tab="outbox"]').click()
        # A photo without a photo is refused in words: it has been to the service and back.
        expect(frame.locator(".entry.is-refused")).to_be_visible()
        assert [cookie for cookie in context.cookies() if cookie["name"] != "gridward_lang"] == []
        other = context.new_page()
        # A page has loaded when its frames have, or have been refused.
        other.goto(f"http://127.0.0.1:{port}/app")
        assert other.frames[1].locator("#stage").count() == 0, "an origin that nobody has named shows nothing"
    finally:
        context.close()
        parent.shutdown()
        parent.server_close()


def test_what_changed_meanwhile_is_shown_and_not_overwritten(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(3)
    ref = report(site, "C1")["case"]
    desk = add_key(office.database, "desk", Scope.CASES_READ, Scope.CASES_READ_ALL, Scope.CASES_MOVE)
    faults = Faults(allow=["412", "ERR_INTERNET_DISCONNECTED", "Failed to load resource"])
    with phone(browser, site, faults, login, color_scheme="dark", locale="en-US") as page:
        page.get_by_role("button", name="In my cells 1").click()
        page.locator(".case-row").click()
        page.context.set_offline(True)
        page.get_by_role("button", name="Acknowledge").click()
        expect(page.locator("#waiting")).to_have_text("1")
        # The next step is there without a network, and is not offered twice.
        page.get_by_role("button", name="Report back", exact=True).click()
        page.get_by_role("button", name="Send").click()
        expect(page.locator("#waiting")).to_have_text("2")
        page.locator(".case-row").click()
        expect(page.locator(".actions .primary")).to_have_count(0)
        post(site, f"/v1/cases/{ref}/moves", {"move": "urge"}, **{"If-Match": '"1"', "Authorization": f"Bearer {desk}"})
        page.context.set_offline(False)
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.locator('[data-tab="cases"]').click()
        page.locator("a.note").click()
        entry = page.locator(".entry.is-conflict")
        expect(entry).to_contain_text("The case has changed; nothing was overwritten")
        expect(entry.locator(".events")).to_contain_text("Urge")
        keep(page, "field-conflict")
        assert serious(page) == []
        expect(page.locator(".entry.is-waiting")).to_have_count(1)
        entry.get_by_role("button", name="Do it on the case as it is now").click()
        # What waited behind it goes on behind its successor.
        expect(page.locator(".entry.is-done")).to_have_count(2)
    done = "SELECT type FROM dispatch.case_event JOIN dispatch.dispatch_case AS c ON c.id = case_id WHERE c.ref = %s"
    types = [row[0] for row in office.rows(done, ref)]
    assert types.count("case.acknowledged.v1") == types.count("case.handled.v1") == 1


def test_a_return_shows_the_point_against_the_polygon(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(4)
    ref = report(site, "R1")["case"]
    with phone(browser, site, Faults(), login) as page:
        page.locator('[data-tab="map"]').click()
        expect(page.locator(".drawing path.edge").first).to_be_attached()
        page.locator('[data-tab="cases"]').click()
        page.get_by_role("button", name="网格内 1").click()
        page.locator(".case-row").click()
        page.get_by_text("其他操作").click()
        page.get_by_role("button", name="回退", exact=True).click()
        expect(page.locator(".verdict")).to_contain_text("之内")
        page.get_by_role("button", name="发送").click()
        expect(page.locator(".sheet .problem")).to_have_text("请写明理由")
        box = page.locator(".sheet .drawing > svg").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 6, box["y"] + box["height"] / 2)
        expect(page.locator(".verdict")).to_contain_text("之外")
        page.fill("#sheet-words", "不在本网格")
        keep(page, "field-return")
        assert serious(page) == []
        page.get_by_role("button", name="发送").click()
        page.locator('[data-tab="outbox"]').click()
        expect(page.locator(".entry.is-done")).to_contain_text("依据")
    query = "SELECT relation, point_from FROM dispatch.case_return JOIN dispatch.dispatch_case AS c ON c.id = case_id"
    assert office.rows(f"{query} WHERE c.ref = %s", ref) == [("outside", "given")]
