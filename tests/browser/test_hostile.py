"""Three hundred hostile texts in every field of the console: none runs, and the page goes on working."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.district import SOUTH, STEP, WEST
from tests.browser.hostile_texts import MANY
from tests.browser.test_console import post, ready

# Into every field of the forms that are open, every text, as if typed.
TYPE_ALL = """(texts) => {
  const fields = [...document.querySelectorAll("#panel form, dialog[open] form")].flatMap((form) =>
    [...form.querySelectorAll("textarea, input:not([type]), input[type=text]")]);
  for (const field of fields) for (const text of texts) {
    field.value = text;
    field.dispatchEvent(new Event("input", {bubbles: true}));
  }
  return fields.length;
}"""


def test_hostile_texts_are_only_texts(site: Site, open_page: Any, keep: Any) -> None:
    assert len(MANY) == 300
    reports = [
        {
            "ticket": f"h{n}",
            "text": text,
            "address": text[:200],
            "category": "E0101",
            "lon": WEST + STEP * (0.2 + n % 38 * 0.2),
            "lat": SOUTH + STEP * (0.2 + n % 9 * 0.2),
            "coord_sys": "wgs84",
            "reporter": {"name": text[:60].strip() or "x"},
        }
        for n, text in enumerate(MANY)
    ]
    made = [one["receipt"]["case"] for one in post(site, "/v1/reports:batch", {"reports": reports})["results"]]
    page = open_page("/?lang=en")
    for n, ref in enumerate(made[:60]):
        answer = page.request.post(
            f"{site.url}/v1/cases/{ref}/moves",
            data={"move": "supervise", "reason": MANY[-n - 1]},
            headers={"If-Match": '"1"'},
        )
        assert answer.ok, answer.text()
    # What the handlers say, a result and a reason for each form that the next one reads.
    for n, ref in enumerate(made[200:212]):
        for version, body in enumerate(
            (
                {"move": "acknowledge"},
                {"move": "report_back", "result": MANY[n]},
                {"move": "check_fail", "reason": MANY[n + 20]},
            ),
            start=1,
        ):
            answer = page.request.post(
                f"{site.url}/v1/cases/{ref}/moves", data=body, headers={"If-Match": f'"{version}"'}
            )
            assert answer.ok, answer.text()
    for n in range(0, 300, 10):
        name, note = quote(MANY[n][:60].strip(), safe=""), "\n".join(MANY[n : n + 10])
        assert page.request.put(f"{site.url}/v1/views/{name}", data={"query": f"q={quote(MANY[n])}"}).ok
        assert page.request.post(f"{site.url}/v1/shift-notes", data={"text": note}).ok
    page.goto(f"{site.url}/?lang=en&q={quote(MANY[3])}&inbox={quote(MANY[1])}&shade={quote(MANY[2])}")
    ready(page)
    assert page.locator("#search").input_value() == MANY[3]
    page.locator("#search").fill("")
    expect(page.locator("#inbox-all .inbox-count")).to_have_text("300")
    # Every row, then every text in the search field and in the palette, as if typed.
    page.evaluate(
        """async (texts) => {
          const frame = () => new Promise((done) => requestAnimationFrame(done));
          const list = document.querySelector("#list");
          for (let top = 0; top < list.scrollHeight; top += list.clientHeight) { list.scrollTop = top; await frame(); }
          const type = (field, text) => {
            field.value = text;
            field.dispatchEvent(new Event("input", {bubbles: true}));
          };
          for (const text of texts) type(document.querySelector("#search"), text);
          type(document.querySelector("#search"), "");
          document.querySelector("#palette-open").click();
          for (const text of texts) type(document.querySelector("#palette-input"), text);
          type(document.querySelector("#palette-input"), "view");
          await frame();
        }""",
        MANY,
    )
    page.keyboard.press("Escape")
    page.goto(f"{site.url}/?lang=en&case={made[0]}")
    ready(page)
    for _ in range(12):
        expect(page.locator("#panel .timeline li").first).to_be_visible()
        page.keyboard.press("j")
    # Into the fields that people write in: a reason, another case's number, a note.
    page.keyboard.press("Escape")
    page.goto(f"{site.url}/?lang=en&case={made[100]}")
    ready(page)
    page.locator("#panel [data-move=escalate_now]").click()
    page.locator(".move-form textarea").fill(MANY[45][:400])
    page.keyboard.press("Control+Enter")
    expect(page.locator("#panel .timeline-text").first).to_contain_text("alert(45)")
    # Every field of every form that a case under way offers, and of the name of a view.
    page.goto(f"{site.url}/?lang=en&case={made[200]}")
    ready(page)
    expect(page.locator("#panel .timeline-text").first).to_contain_text("alert(20)")
    typed = 0
    for move in ("report_back", "request_suspend", "supervise", "escalate_now"):
        page.locator(f"#panel [data-move={move}]").click()
        expect(page.locator("#panel .move-form textarea").first).to_be_focused()
        typed += page.evaluate(TYPE_ALL, MANY)
        page.keyboard.press("Escape")
    expect(page.locator("#panel .reporter")).to_be_visible()
    page.goto(f"{site.url}/?lang=en&case={made[100]}")
    ready(page)
    page.keyboard.press("Control+k")
    page.keyboard.insert_text("save")
    page.keyboard.press("Enter")
    typed += page.evaluate(TYPE_ALL, MANY)
    page.keyboard.press("Escape")
    assert typed == 5
    page.keyboard.press("n")
    expect(page.locator(".notes-list li")).to_have_count(10)
    assert page.evaluate(TYPE_ALL, MANY) == 1
    page.locator("#notes textarea").fill("\n".join(MANY[:60])[:4000])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".notes-list li")).to_have_count(11)
    page.keyboard.press("Escape")
    strange = "#panel, #list, #notes, #palette"
    assert (
        page.locator(", ".join(f":is({strange}) {tag}" for tag in ("script", "iframe", "object", "base"))).count() == 0
    )
    assert page.locator("#list img, #panel img, #notes img, #palette img").count() == 0
    page.keyboard.press("j")
    expect(page.locator(".row[aria-selected=true]")).to_have_count(1)
    keep(page, "console-hostile")
