"""The administrator's grid page in Chromium, on a real server and a real database."""

from __future__ import annotations

import re
import time
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from geo.storage.engine import dsn
from tests.browser.conftest import Site
from tests.browser.district import SOUTH, STEP, WEST
from tests.browser.hostile_texts import HOSTILE
from tests.browser.test_console import ink, report
from tests.browser.test_console import serious as serious

FIRST = "410102001001001"
SECOND = "410102001001002"
NEXT = "410102001001005"
#: Joins ``geo.cell AS c`` with the draft that a test has made, ``geo.grid_version AS v``.
OF_DRAFT = "WHERE v.id = c.version_id AND v.number = 2"


def ready(page: Page) -> Page:
    """Wait until versions and cells are on the page."""
    page.set_default_timeout(10_000)
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#pane")).not_to_have_attribute("aria-busy", "true")
    return page


def sql(database: str, statement: str, *values: Any) -> list[Any]:
    """Run one statement beside the server and return its rows."""
    with psycopg.connect(dsn(database)) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def draft(page: Page) -> Page:
    """Start a draft from the version that is open; the page then shows its redraw tab."""
    page.get_by_role("button", name="以此版起草新版").click()
    page.wait_for_url(re.compile(r"/grid/versions/2\?tab=redraw"))
    expect(page.locator(".version")).to_have_count(2)
    return ready(page)


def choose(page: Page, code: str) -> dict[str, float]:
    """Choose a cell in the panel's list and return where it is on the screen."""
    page.locator("#pane select").first.select_option(code)
    box = page.locator("path.look-selected").bounding_box()
    assert box is not None
    return {"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]}


def draw(page: Page, *points: tuple[float, float]) -> None:
    """Click the points of a line; the last one twice."""
    for x, y in points[:-1]:
        page.mouse.click(x, y)
        page.wait_for_timeout(350)
    page.mouse.dblclick(*points[-1])


def draw_across(page: Page, box: dict[str, float]) -> None:
    """Draw a line through the middle of a box, from west of it to east of it."""
    middle = box["y"] + box["height"] / 2
    draw(page, (box["x"] - 30, middle), (box["x"] + box["width"] + 30, middle + 4))


def tab(page: Page, name: str) -> Locator:
    """Open a tab of the panel and return the panel."""
    page.get_by_role("tab", name=name).click()
    pane = page.locator("#pane")
    expect(pane).not_to_have_attribute("aria-busy", "true")
    return pane


def test_versions_are_listed_and_drawn(site: Site, open_page: Any, keep: Any) -> None:
    page = open_page("/")
    page.get_by_role("link", name="网格管理").click()
    ready(page)
    version = page.locator(".version")
    expect(version).to_have_count(1)
    expect(version).to_have_attribute("aria-current", "page")
    expect(version).to_contain_text("第 1 版")
    expect(version).to_contain_text("生效中")
    expect(version).to_contain_text(re.compile(r"街道.2 · 社区网格.4 · 单元网格.16"))
    expect(page.get_by_role("tab")).to_have_count(3)
    assert ink(page, ".pane-cells") > 2000
    field = page.locator("#map").bounding_box()
    assert field is not None
    page.mouse.click(field["x"] + field["width"] * 0.3, field["y"] + field["height"] * 0.53)
    expect(page.locator("#pane")).to_contain_text("楼院")
    keep(page, "grid-overview-zh")
    # The level that is worked on decides what a click selects.
    page.get_by_role("radio", name="街道").check()
    page.mouse.click(field["x"] + field["width"] * 0.3, field["y"] + field["height"] * 0.53)
    expect(page.locator("#pane")).to_contain_text("测试西街道")
    page.get_by_role("link", name="派遣台").click()
    expect(page.locator("#queue")).to_be_visible()


def test_coverage_is_listed_worst_first_and_drawn(site: Site, database: str, open_page: Any, keep: Any) -> None:
    page = ready(open_page("/grid?tab=coverage"))
    expect(page.locator("#pane")).to_contain_text("没有问题 ✓")
    keep(page, "grid-coverage-proven")
    tab(page, "概况")
    draft(page)
    # A strip of one cell is given to nobody, and another reaches into its neighbour.
    for code, east in (("410102001001003", -0.3), (FIRST, 0.1)):
        sql(
            database,
            "UPDATE geo.cell AS c SET boundary = ST_Multi(ST_SnapToGrid(ST_MakeEnvelope(ST_XMin(c.boundary),"
            " ST_YMin(c.boundary), ST_XMax(c.boundary) + %s, ST_YMax(c.boundary), 4326), 1e-7))"
            f" FROM geo.grid_version AS v {OF_DRAFT} AND code = %s",
            east * STEP,
            code,
        )
    sql(database, "UPDATE geo.grid_version SET revision = 1 WHERE number = 2")
    page.goto(site.url + "/grid/versions/2?tab=coverage")
    ready(page)
    rows = page.locator(".finding")
    expect(rows.first).to_contain_text("缝隙")
    expect(rows.first).to_contain_text("错误")
    expect(rows.first).to_contain_text("平方米")
    expect(page.locator(".classes")).to_contain_text("重叠")
    areas = [float(text.split()[0].replace(",", "")) for text in page.locator(".finding-area").all_inner_texts()]
    assert areas == sorted(areas, reverse=True)
    assert len(areas) == 2
    shapes = page.locator(".leaflet-marks-pane path.look")
    assert shapes.count() == len(areas)
    # Told apart by pattern, not by colour alone.
    fills = {shapes.nth(n).get_attribute("fill") for n in range(shapes.count())}
    assert len(fills) == 2
    assert all(fill and fill.startswith("url(#fill-") for fill in fills)
    expect(page.locator("#legend")).to_contain_text("重叠")
    keep(page, "grid-coverage-zh")
    before = page.locator("path.look-gap").first.bounding_box()
    rows.first.click()
    after = page.locator("path.look-gap").first.bounding_box()
    assert before is not None
    assert after is not None
    assert after["height"] > before["height"] * 1.5, "a click zooms to the place"
    expect(rows.first).to_have_attribute("data-chosen", "")
    keep(page, "grid-coverage-zoomed")
    # With errors it becomes valid only for a reason, which is kept.
    open_page.faults.allow.append("status of 409")
    pane = tab(page, "启用")
    page.get_by_role("button", name="下一步").click()
    page.locator("[data-activate]").click()
    expect(pane.locator(".field-fault").locator("visible=true")).to_have_count(1)
    keep(page, "grid-activation-refused")
    page.get_by_label("带着问题启用的理由").fill("汛期临时划分，下月改正")
    page.locator("[data-activate]").click()
    expect(page.locator(".version").first).to_contain_text("生效中")
    kept = sql(database, "SELECT kind, reason FROM geo.accepted_finding ORDER BY kind")
    assert kept == [("gap", "汛期临时划分，下月改正"), ("overlap", "汛期临时划分，下月改正")]


def test_a_split_is_previewed_applied_compared_and_activated(
    site: Site, database: str, open_page: Any, keep: Any
) -> None:
    # South of the line, in the part that gets a new code.
    case = report(site, "g1", lon=WEST + STEP / 2, lat=SOUTH + STEP * 0.2)["case"]
    page = draft(ready(open_page("/grid")))
    box = choose(page, FIRST)
    page.get_by_role("button", name="划分", exact=True).click()
    draw_across(page, box)
    expect(page.locator(".preview")).to_contain_text(NEXT)
    expect(page.locator("path.look-first, path.look-second")).to_have_count(2)
    keep(page, "grid-split-preview")
    cells = f"SELECT count(*) FROM geo.cell AS c, geo.grid_version AS v {OF_DRAFT} AND level = 3"
    assert sql(database, cells) == [(16,)], "a preview writes nothing"
    page.get_by_label("中文名称").nth(1).fill("新划分的楼院")
    page.get_by_role("button", name="预览", exact=True).click()
    page.locator("[data-apply]").click()
    expect(page.locator(".version").first).to_contain_text(re.compile("单元网格.17"))
    assert sql(database, cells) == [(17,)]
    names = f"SELECT name_zh FROM geo.cell AS c, geo.grid_version AS v {OF_DRAFT} AND code = %s"
    assert sql(database, names, NEXT) == [("新划分的楼院",)]
    expect(tab(page, "覆盖检查")).to_contain_text("没有问题 ✓")

    def late(route: Route) -> None:
        time.sleep(0.6)  # longer than a pane waits before it says that it is waiting
        route.continue_()

    page.route("**/compare/**", late)
    pane = tab(page, "比较")
    expect(pane).to_contain_text("新增 1")
    expect(pane.locator(".pane-wait")).to_have_count(0)
    expect(pane).to_contain_text("重划 1")
    expect(pane).to_contain_text("新划分的楼院")
    assert page.locator("path.look-added").count() == 1
    keep(page, "grid-compare-zh")
    pane = tab(page, "启用")
    expect(pane).to_contain_text(case)
    keep(page, "grid-effect-zh")
    page.get_by_role("button", name="下一步").click()
    expect(pane).to_contain_text("立即生效")
    page.locator("[data-activate]").click()
    expect(page.locator(".version").first).to_contain_text("生效中")
    expect(page.locator(".version").nth(1)).to_contain_text("已停用")
    assert sql(database, "SELECT number, status FROM geo.grid_version WHERE valid_until IS NULL") == [(2, "published")]
    expect(page.get_by_role("tab")).to_have_count(3)


def test_merge_move_reassign_retire_rename_and_discard(site: Site, database: str, open_page: Any, keep: Any) -> None:
    page = draft(ready(open_page("/grid")))
    pane = page.locator("#pane")

    def apply(done: int) -> None:
        expect(page.locator("[data-apply]")).to_be_visible()
        page.locator("[data-apply]").click()
        expect(pane).to_contain_text(f"已改动 {done} 次")

    choose(page, FIRST)
    page.get_by_role("button", name="合并", exact=True).click()
    page.get_by_label("与哪个邻格合并").select_option(SECOND)
    apply(1)
    count = f"SELECT count(*) FROM geo.cell AS c, geo.grid_version AS v {OF_DRAFT} AND code = %s"
    assert sql(database, count, SECOND) == [(0,)]

    box = choose(page, "410102001001003")
    page.get_by_role("button", name="移动边界", exact=True).click()
    page.get_by_label("与哪个邻格之间").select_option("410102001001004")
    west, top = box["x"] + box["width"] * 0.7, box["y"]
    draw(page, (west, top - 30), (west, top + box["height"] + 30))
    keep(page, "grid-move-boundary")
    apply(2)
    area = "SELECT area_m2 FROM geo.cell JOIN geo.grid_version v ON v.id = version_id WHERE code = %s ORDER BY v.number"
    (before,), (after,) = sql(database, area, "410102001001003")
    assert after < before * 0.8

    choose(page, "410102001001004")
    page.get_by_role("button", name="改上级", exact=True).click()
    page.get_by_label("新的上级").select_option("410102001002")
    apply(3)
    path = f"SELECT path[2] FROM geo.cell AS c, geo.grid_version AS v {OF_DRAFT} AND code = %s"
    assert sql(database, path, "410102001001004") == [("410102001002",)]

    choose(page, "410102002002004")
    page.get_by_role("button", name="撤销网格", exact=True).click()
    page.get_by_label("范围归入").select_option("410102002002003")
    apply(4)
    assert sql(database, count, "410102002002004") == [(0,)]

    choose(page, "410102002002001")
    page.get_by_role("button", name="改名称编码", exact=True).click()
    page.get_by_label("中文名称").fill("改了名的楼院")
    page.get_by_role("button", name="预览", exact=True).click()
    apply(5)
    page.get_by_role("button", name="退回最后一次改动").click()
    expect(pane).to_contain_text("已改动 4 次")

    pane = tab(page, "比较")
    expect(pane).to_contain_text("改上级 1")
    expect(pane).not_to_contain_text("改名 1")
    expect(pane).to_contain_text("撤销 2")
    keep(page, "grid-compare-all")
    pane = tab(page, "概况")
    page.get_by_role("button", name="丢弃草稿…").click()
    expect(pane).to_contain_text("丢弃后不能恢复")
    page.get_by_role("button", name="丢弃", exact=True).click()
    expect(page.locator(".version")).to_have_count(1)
    assert sql(database, "SELECT count(*) FROM geo.grid_version") == [(1,)]


def test_a_version_is_scheduled_in_local_time_and_withdrawn(
    site: Site, database: str, open_page: Any, keep: Any
) -> None:
    page = draft(ready(open_page("/grid", timezone_id="America/New_York")))
    pane = tab(page, "启用")
    page.get_by_role("radio", name="从指定时刻起").check()
    page.get_by_role("button", name="下一步").click()
    expect(pane.locator(".form-fault")).to_contain_text("请填写生效时刻")
    page.get_by_label("生效时刻").fill("2035-01-01T08:30")
    page.get_by_role("button", name="下一步").click()
    expect(pane).to_contain_text("2035 年 1 月 1 日 8:30")
    page.locator("[data-activate]").click()
    expect(page.locator(".version").first).to_contain_text("待生效")
    keep(page, "grid-scheduled")
    # Typed as time of the district, wherever the browser stands.
    since = "SELECT valid_from = '2035-01-01 00:30Z' FROM geo.grid_version WHERE number = 2"
    assert sql(database, since) == [(True,)]
    page.get_by_role("button", name="撤回为草稿").click()
    expect(page.locator(".version").first).to_contain_text("草稿")
    assert sql(database, "SELECT status FROM geo.grid_version WHERE number = 2") == [("draft",)]


def test_a_refused_line_is_told_in_its_form(site: Site, open_page: Any, keep: Any) -> None:
    open_page.faults.allow.append("status of 4")
    page = draft(ready(open_page("/grid")))
    box = choose(page, FIRST)
    page.get_by_role("button", name="划分", exact=True).click()
    # Ends in the middle of the cell.
    middle = box["y"] + box["height"] / 2
    draw(page, (box["x"] - 30, middle), (box["x"] + box["width"] / 2, middle))
    expect(page.locator("#fault-line")).to_be_visible()
    expect(page.locator("#fault-line")).to_be_in_viewport()
    expect(page.locator("[data-apply]")).to_have_count(0)
    keep(page, "grid-split-refused")
    # A code that is taken is told beside its field.
    page.get_by_role("button", name="重新画线").click()
    draw_across(page, box)
    expect(page.locator(".preview")).to_be_visible()
    page.get_by_label("编码").nth(1).fill(SECOND)
    page.get_by_role("button", name="预览", exact=True).click()
    expect(page.locator('#pane input[aria-invalid="true"]')).to_have_value(SECOND)
    keep(page, "grid-code-taken")


def test_a_line_is_drawn_with_the_keyboard_alone(site: Site, open_page: Any) -> None:
    page = draft(ready(open_page("/grid")))
    choose(page, FIRST)
    page.get_by_role("button", name="划分", exact=True).press("Enter")
    expect(page.locator("#map")).to_be_focused()
    # The map stands centred on the cell: west out of it, a point, east across it, a point.
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    for _ in range(18):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("[data-apply]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".version").first).to_contain_text(re.compile("单元网格.17"))


def test_hostile_names_are_only_text(site: Site, database: str, open_page: Any, keep: Any) -> None:
    page = draft(ready(open_page("/grid")))
    sql(
        database,
        f"UPDATE geo.cell AS c SET name_zh = (%s::text[])[1 + c.id %% 6] FROM geo.grid_version AS v {OF_DRAFT}",
        list(HOSTILE),
    )
    # The revision, too: the cells' entity tag holds it, and a browser may keep what has the same tag.
    sql(
        database,
        "UPDATE geo.grid_version SET name = %s, source = %s, revision = 1 WHERE number = 2",
        *HOSTILE[:2],
    )
    for name in ("overview", "coverage", "compare", "redraw", "activate"):
        page.goto(f"{site.url}/grid/versions/2?tab={name}")
        ready(page)
        if name == "redraw":
            choose(page, FIRST)
            page.get_by_role("button", name="合并", exact=True).click()
            page.get_by_label("与哪个邻格合并").select_option(SECOND)
            expect(page.locator(".preview")).to_be_visible()
        keep(page, f"grid-hostile-{name}")
    page.goto(f"{site.url}/grid/versions/2?tab=redraw")
    ready(page)
    assert "alert" in page.locator("#pane select").first.inner_text()
    assert page.locator("main script, main img:not(.leaflet-tile), main b").count() == 0


def test_empty_failed_and_unknown_are_told(site: Site, open_page: Any, keep: Any) -> None:
    open_page.faults.allow += ["status of 503", "Failed to load resource"]
    page = open_page("/healthz")
    page.route("**/v1/grid/versions", lambda route: route.fulfill(json={"versions": []}))
    page.goto(site.url + "/grid")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#version-state")).to_contain_text("还没有网格版本")
    keep(page, "grid-empty")
    page.unroute("**/v1/grid/versions")
    page.route("**/v1/grid/versions/*/coverage", lambda route: route.fulfill(status=503, json={"detail": "正忙"}))
    page.goto(site.url + "/grid?tab=coverage")
    ready(page)
    expect(page.locator("#pane [role=alert]")).to_contain_text("正忙")
    keep(page, "grid-coverage-failed")
    page.unroute("**/v1/grid/versions/*/coverage")
    page.get_by_role("button", name="重试").click()
    expect(page.locator("#pane")).to_contain_text("没有问题 ✓")
    page.goto(site.url + "/grid/versions/99")
    page.wait_for_selector("html[data-ready]")
    expect(page.locator("#map-state")).to_contain_text("没有第 99 版")
    keep(page, "grid-unknown-version")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_english_both_themes_and_no_serious_accessibility_findings(
    site: Site, open_page: Any, keep: Any, scheme: str
) -> None:
    page = draft(ready(open_page("/grid", color_scheme=scheme)))
    box = choose(page, FIRST)
    page.get_by_role("button", name="划分", exact=True).click()
    draw_across(page, box)
    expect(page.locator(".preview")).to_be_visible()
    assert serious(page) == []
    keep(page, f"grid-redraw-{scheme}")
    page.locator("#language").click()
    page.wait_for_url("**lang=en**")
    ready(page)
    for name in ("Overview", "Coverage", "Compare", "Activate"):
        tab(page, name)
        assert serious(page) == []
        keep(page, f"grid-{name.lower()}-en-{scheme}")
