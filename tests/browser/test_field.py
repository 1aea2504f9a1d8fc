"""The field page with eyes and fingers: a case in few taps, no overwrite, a frame of a city's app."""

from __future__ import annotations

import gzip
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from PIL import Image
from playwright.sync_api import Browser, Page, Response, expect

from api.accounts.keys import Scope
from api.accounts.people import NewGrant
from api.accounts.roles import Role
from geo.storage.engine import dsn
from tests.browser import district
from tests.browser.conftest import Faults, Site, _watch
from tests.browser.field_office import MortalServer, add_key, add_person, sign_in
from tests.browser.test_console import post, report
from tests.browser.test_grid_page import serious

CELL = f"{district.CITY}001001001"
HOSTILE = (
    "<img src=x onerror=alert(1)></script><script>alert(2)</script> ` ${alert(3)} \\ \u2028 \u202eabc {{7*7}} ' \" --"
)
PHONE = {"width": 390, "height": 844}


@contextmanager
def phone(browser: Browser, site: Site, faults: Faults, login: str = "walker", **options: Any) -> Iterator[Page]:
    """A phone whose owner is signed in."""
    chosen = {"viewport": PHONE, "locale": "zh-CN", "has_touch": True, "device_scale_factor": 2, **options}
    lon, lat = site.district.inside
    context = browser.new_context(
        geolocation={"longitude": lon + 0.0002, "latitude": lat, "accuracy": 12}, permissions=["geolocation"], **chosen
    )
    try:
        sign_in(context, site.url, login)
        page = context.new_page()
        _watch(page, site, faults)
        page.goto(f"{site.url}/field")
        expect(page.locator("#net")).to_have_attribute("data-state", "live")
        yield page
    finally:
        context.close()
    faults.check()


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3000, 1200), "green").save(out, "JPEG")
    return out.getvalue()


def test_a_case_from_the_list_to_reported_back(site: Site, database: str, browser: Browser, keep: Any) -> None:
    add_person(database, "walker", NewGrant(role=Role.GRID_HEAD, cell=CELL))
    ref = report(site, "F1", text=HOSTILE, address=HOSTILE)["case"]
    report(site, "F2")
    with phone(browser, site, Faults()) as page:
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
        expect(page.locator("#me-facts")).to_contain_text("Walker")
    with psycopg.connect(dsn(database)) as connection:
        (payload,) = connection.execute(
            "SELECT e.payload FROM dispatch.case_event AS e JOIN dispatch.dispatch_case AS c ON c.id = e.case_id"
            " WHERE c.ref = %s AND e.type = 'case.handled.v1'",
            (ref,),
        ).fetchone() or (None,)
        assert payload["result"] == HOSTILE.strip()
        assert payload["reported_from"]["distance_m"] < 30
        assert connection.execute("SELECT width, height, kind FROM dispatch.case_photo").fetchall() == [
            (2048, 819, "after")
        ]


def test_the_first_load_is_small_and_asks_nobody_else(site: Site, database: str, browser: Browser, keep: Any) -> None:
    add_person(database, "walker", NewGrant(role=Role.GRID_HEAD, cell=CELL))
    for number in range(30):
        report(site, f"F{number}")
    context = browser.new_context(viewport=PHONE, locale="en-US", color_scheme="dark")
    faults, answers = Faults(), list[Response]()
    try:
        sign_in(context, site.url, "walker")
        page = context.new_page()
        _watch(page, site, faults)
        page.on("response", lambda answer: answers.append(answer))
        page.goto(f"{site.url}/field", wait_until="networkidle")
        expect(page.locator(".case-row")).to_have_count(30)
        keep(page, "field-en-dark")
        bodies = [answer.body() for answer in answers if answer.status == 200]
    finally:
        context.close()
    faults.check()
    packed = sum(len(gzip.compress(body)) for body in bodies)
    print(f"first load: {len(bodies)} answers, {sum(map(len, bodies))} bytes, {packed} compressed")
    assert not any("leaflet" in answer.url for answer in answers)
    assert packed <= 150_000
    assert sum(map(len, bodies)) <= 300_000


def test_inside_a_citys_app(browser: Browser, database: str, tmp_path: Path, keep: Any) -> None:
    """Another origin, a frame, a token behind the #: no cookie anywhere."""
    built = district.build(database)
    add_person(database, "walker", NewGrant(role=Role.GRID_WORKER, cell=CELL))
    key = add_key(database, "app", Scope.FIELD_TOKENS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # Another site, not only another port: cookies of a site are shared between its ports.
    app = f"http://localhost:{port}"
    server = MortalServer(database, tmp_path, GRIDWARD_EMBED_ORIGINS=app)
    server.start()
    site = Site(url=server.url, district=built)
    report(site, "F1")
    token = post(site, "/v1/field/tokens", {"login": "walker"}, Authorization=f"Bearer {key}")["token"]

    class Parent(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f'<!doctype html><title>app</title><iframe src="{server.url}/field#token={token}"'
            body += ' width="390" height="800"></iframe>'
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    parent = ThreadingHTTPServer(("127.0.0.1", port), Parent)
    threading.Thread(target=parent.serve_forever, daemon=True).start()
    context = browser.new_context(viewport={"width": 420, "height": 860}, locale="zh-CN")
    try:
        page = context.new_page()
        page.goto(f"{app}/app")
        frame = page.frame_locator("iframe")
        expect(frame.locator(".kind")).to_have_count(2)
        frame.locator(".kind").nth(1).click()
        expect(frame.locator(".case-row")).to_have_count(1)
        keep(page, "field-embedded")
        inner = page.frames[1]
        assert "token" not in inner.url
        assert [cookie for cookie in context.cookies() if cookie["name"] != "gridward_lang"] == []
        other = context.new_page()
        other.goto(f"http://127.0.0.1:{port}/app")
        other.wait_for_timeout(300)
        assert other.frames[1].locator("#stage").count() == 0, "an origin that nobody has named shows nothing"
    finally:
        context.close()
        parent.shutdown()
        parent.server_close()
        server.kill()
