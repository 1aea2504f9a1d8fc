"""What can go wrong in a street: said in words by the field page, and nothing lost."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import Faults
from tests.browser.field_office import Office, phone, picture, sign_in
from tests.browser.test_console import report

_LATER_CLOCK = """const Real = Date; const ahead = 3 * 3600e3 + 60e3;
globalThis.Date = class extends Real {
  constructor(...parts) { if (parts.length) super(...parts); else super(Real.now() + ahead); }
  static now() { return Real.now() + ahead; }
};"""
# Pauses of seconds are noted and cut short.
_HURRY = """() => {
  window.pauses = [];
  const real = window.setTimeout;
  window.setTimeout = (act, wait, ...rest) => {
    const isLong = wait >= 1000 && wait < 60_000;
    if (isLong) window.pauses.push(wait);
    return real(act, isLong ? 10 : wait, ...rest);
  };
}"""
_DO_ANOTHER = """async () => {
  const { desk, enqueue } = await import("/static/field/desk.js");
  const { deed } = desk.entries.find((entry) => entry.state === "refused");
  await enqueue({ ...deed, result: "后来的" }, { title: "后来的", seen: 1 });
}"""
_ORDER_THEN_DROP = """async () => {
  const { desk, discard } = await import("/static/field/desk.js");
  const waiting = desk.entries.filter((entry) => entry.state === "waiting");
  await discard(waiting.find((entry) => entry.title === "后来的"));
  return waiting.map((entry) => entry.deed.result);
}"""


def test_trouble_is_said_in_words_and_nothing_is_lost(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(5)
    first, second = (report(site, f"T{number}")["case"] for number in range(2))
    net = {"answer": (503, {"Retry-After": "120"}, "{}"), "only": ""}
    asked: list[str] = []
    again = "window.dispatchEvent(new Event('online'))"

    def answer(route: Route) -> None:
        asked.append((route.request.post_data_buffer or b"").decode(errors="replace"))
        if not net["answer"] or net["only"] not in asked[-1]:
            route.continue_()
            return
        status, headers, body = net["answer"]
        route.fulfill(status=status, headers={"Content-Type": "application/problem+json", **headers}, body=body)

    faults = Faults(allow=["Failed to load resource", "Service Worker registration blocked"])
    # Without its worker: what the page asks for is answered by this test.
    with phone(browser, site, faults, login, service_workers="block") as page:
        page.route("**/v1/field/actions", answer)
        line, waiting = page.locator("#net"), page.locator("#waiting")
        page.get_by_role("button", name="网格内 2").click()
        for place, ref in enumerate((first, second)):
            page.locator(f'a[href*="{ref}"]').click()
            page.get_by_role("button", name="签收").click()
            expect(waiting).to_have_text(str(place + 1))
            page.locator('[data-tab="cases"]').click()
        expect(line).to_have_attribute("data-state", "crowded")
        expect(line).to_contain_text("系统繁忙")
        assert len(asked) == 1, "a service that asks for patience is left alone"
        page.locator('[data-tab="outbox"]').click()
        net["answer"] = (200, {"Content-Type": "text/html"}, "<h1>Welcome to Free WiFi</h1>")
        page.get_by_role("button", name="立即发送").click()
        expect(line).to_have_attribute("data-state", "portal")
        # One act that the service stumbles over does not hold up the others.
        net |= {"answer": (500, {}, json.dumps({"code": "http.500", "detail": "系统内部错误"})), "only": first}
        page.evaluate(again)
        expect(waiting).to_have_text("1")
        expect(page.locator(".entry.is-waiting .problem")).to_contain_text("会再试：系统内部错误")
        keep(page, "field-trouble")
        # A failing act is sent again after pauses that grow, though the day is read well in between.
        page.evaluate(_HURRY)
        page.evaluate(again)
        page.wait_for_function("() => window.pauses.length >= 6")
        pauses = page.evaluate("window.pauses.slice(0, 6)")
        assert (pauses, pauses[-1]) == (sorted(pauses), 40_000)
        net["answer"] = None
        page.evaluate(again)
        expect(waiting).to_be_hidden()
        # A photo that is refused can be taken out, and the words are still there.
        net |= {"answer": (413, {}, json.dumps({"code": "photo.too_large", "detail": "照片过大"})), "only": ""}
        page.goto(f"{site.url}/field#case/{second}")
        page.get_by_role("button", name="反馈", exact=True).click()
        page.locator("#album-input").set_input_files(
            [
                {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": picture()},
                {"name": "b.heic", "mimeType": "image/heic", "buffer": b"not a picture"},
            ]
        )
        expect(page.locator(".sheet .problem")).to_contain_text("其他内容都还在")
        page.fill("#sheet-words", "已清理干净")
        page.evaluate("() => { navigator.geolocation.getCurrentPosition = (_, denied) => denied({ code: 1 }); }")
        page.get_by_role("button", name="附上位置").click()
        expect(page.locator(".sheet .position .hint")).to_contain_text("可以不附位置")
        page.get_by_role("button", name="发送", exact=True).click()
        page.locator("a.note", has_text="1 项操作没有送成").click()
        expect(page.locator(".entry.is-refused")).to_contain_text("照片过大")
        # A gateway before the service refuses by a page of its own: that is said in our words.
        net["answer"] = (413, {"Content-Type": "text/html"}, "<h1>413 Request Entity Too Large</h1>")
        page.get_by_role("button", name="改好再发").click()
        expect(page.locator("#sheet-words")).to_have_value("已清理干净")
        page.get_by_role("button", name="发送", exact=True).click()
        page.locator('[data-tab="outbox"]').click()
        expect(page.locator(".entry.is-refused")).to_contain_text("照片太大，网络中途拒收")
        # What was done after it stays after it, whenever it is mended.
        page.evaluate(_DO_ANOTHER)
        net["answer"] = (503, {"Retry-After": "1"}, "{}")
        page.get_by_role("button", name="改好再发").click()
        page.get_by_role("button", name="去掉照片 1").click()
        page.get_by_role("button", name="发送", exact=True).click()
        page.locator('[data-tab="outbox"]').click()
        expect(page.locator(".entry.is-waiting")).to_have_count(2)
        assert page.evaluate(_ORDER_THEN_DROP) == ["已清理干净", "后来的"]
        net["answer"] = None
        page.evaluate(again)
        expect(page.locator(".entry.is-done")).to_have_count(3)
        # A phone that is full: the act lives in the page until it is delivered, and the page says so.
        net |= {"answer": (503, {"Retry-After": "120"}, "{}"), "only": "self_handled"}
        page.evaluate(
            """() => { for (const name of ["add", "put"]) IDBObjectStore.prototype[name] = () => {
            throw new DOMException("full", "QuotaExceededError"); }; }"""
        )
        page.locator('[data-tab="record"]').click()
        page.locator("#record-category").select_option("E0101")
        page.fill("#record-text", "顺手清理")
        page.locator(".record .drawing > svg").click(position={"x": 150, "y": 150})
        page.get_by_role("button", name="发送", exact=True).click()
        expect(page.locator(".entry.is-waiting .note")).to_contain_text("关闭本页会丢失")
        page.locator('[data-tab="cases"]').click()
        expect(page.locator("p.note")).to_contain_text("手机存储已满")
        keep(page, "field-full")
        page.locator('[data-tab="outbox"]').click()
        net["answer"] = None
        page.get_by_role("button", name="立即发送").click()
        expect(waiting).to_be_hidden()
    ((made,),) = office.rows("SELECT count(*) FROM dispatch.dispatch_case WHERE text = '顺手清理'")
    assert made == 1


def test_a_wrong_clock_a_denied_position_and_an_ended_sign_in(office: Office, browser: Browser, keep: Any) -> None:
    login, site = office.cell(6)
    report(site, "K1")
    faults = Faults(allow=["Failed to load resource"])
    with phone(browser, site, faults, login) as page:
        page.get_by_role("button", name="网格内 1").click()
        counted = page.locator(".row-top strong")
        expect(counted).to_contain_text("工作时")
        left = counted.inner_text()
        page.context.add_init_script(_LATER_CLOCK)
        page.reload()
        expect(page.locator(".note")).to_contain_text("手机时钟快了 3 时")
        page.get_by_role("button", name="网格内 1").click()
        expect(counted).to_contain_text("工作时")
        now = counted.inner_text()
        assert left.split("时")[0] == now.split("时")[0], (left, now)
        keep(page, "field-clock")
        page.context.clear_cookies()
        page.locator(".case-row").click()
        page.get_by_role("button", name="签收").click()
        expect(page.locator("#net")).to_have_attribute("data-state", "signed_out", timeout=10_000)
        expect(page.locator("#net")).to_contain_text("操作已保存在本机")
        sign_in(page.context, site.url, login)
        page.reload()
        expect(page.locator("#waiting")).to_be_hidden()
        # Whoever gives the phone away leaves nothing to read on it.
        page.route("**/sign-out", lambda route: route.abort())
        page.locator("#me").click()
        page.get_by_role("button", name="退出登录").click()
        # Nobody believes to be signed out who is not.
        expect(page.locator("#toast")).to_contain_text("还没有退出")
        expect(page.locator("#net")).to_have_attribute("data-state", "live", timeout=10_000)
        page.unroute("**/sign-out")
        page.locator("#me").click()
        page.get_by_role("button", name="退出登录").click()
        page.wait_for_url(re.compile(r"/sign-in\?next="))
        page.goto(f"{site.url}/field")
        expect(page.locator("#net")).to_have_attribute("data-state", "signed_out")
        assert page.locator(".case-row").count() == 0
