"""Planners' maps over the demo district: what each role learns, files, frozen links, what is kept, wrong addresses."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import openpyxl
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import NewKey, create_key, issue_key
from api.accounts.roles import Role, Scope, scopes_of
from api.app import create_app
from api.settings import Settings
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit
from maps.own_files import check_no_foreign
from tests.builders import report
from tests.flow.conftest import ALL_SCOPES, Client

TODAY = datetime.now(ZoneInfo("Asia/Shanghai")).date()
KINDS = ("heat", "cells", "time", "compare", "places")
PLANNER = tuple(scopes_of([Role.PLANNER]))
AREA = "410102001"


def days(first: int, last: int = 0) -> str:
    return f"from={TODAY - timedelta(days=first)}&to={TODAY - timedelta(days=last)}"


class Doors:
    """The service over the demo district, for callers of different rights."""

    def __init__(self, client: Client, engine: AsyncEngine) -> None:
        self.client = client
        self.engine = engine

    async def key(self, scopes: tuple[Scope, ...], *cells: str) -> dict[str, str]:
        async with write_unit(self.engine) as unit:
            new = NewKey(channel="patrol", scopes=scopes, cells=cells)
            made = await issue_key(unit, new, by="test") if cells else await create_key(unit, "patrol", scopes)
        return {"Authorization": f"Bearer {made}"}

    async def get(self, path: str, who: dict[str, str], **headers: str) -> httpx.Response:
        return await self.client.get(path, headers={**who, **headers})

    async def counts(self, query: str, who: dict[str, str]) -> dict[str, int | None]:
        found = await self.get(f"/maps/cells/file?form=geojson&{query}", who)
        assert found.status_code == 200, found.text
        return {each["id"]: each["properties"]["cases"] for each in found.json()["features"]}


@pytest.fixture
async def doors(demo_database: str) -> AsyncIterator[Doors]:
    engine = create_engine(demo_database, name="test")
    app = create_app(Settings(database_url=demo_database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://gridward.test",
            headers={"Accept-Language": "en"},
            timeout=60,
        ) as client,
    ):
        yield Doors(client, engine)
    await engine.dispose()


async def test_two_filters_never_differ_by_a_few_cases_for_a_planner(doors: Doors) -> None:
    """The attack that steps of five are there for, with many pairs of filters of which one holds the other."""
    planner, everything = await doors.key(PLANNER), await doors.key(ALL_SCOPES)
    pairs = [
        (days(30), days(31)),
        (days(30, 1), days(30)),
        (f"{days(60)}&category=E0101", f"{days(60)}&category=E01"),
        (f"{days(60)}&channel=patrol", days(60)),
        (f"{days(60)}&state=closed", days(60)),
        (f"{days(200)}&ledger=three_illegals", days(200)),
        (f"{days(60)}&area={AREA}", days(60)),
    ]
    attacks = 0
    for narrow, wide in pairs:
        for level in (1, 2, 3):
            less, more = [await doors.counts(f"{each}&level={level}", planner) for each in (narrow, wide)]
            exact = [await doors.counts(f"{each}&level={level}", everything) for each in (narrow, wide)]
            for code, count in less.items():
                wider = more[code]
                assert count is None or count % 5 == 0
                assert wider is None or wider % 5 == 0
                if count is not None and wider is not None:
                    assert wider - count == 0 or wider - count >= 5
                    true = [each.get(code) for each in exact]
                    attacks += true[0] is not None and true[1] is not None and 0 < true[1] - true[0] < 5
    assert attacks > 50, "the demo district has pairs that exact counts would give away"


async def test_a_planner_finds_no_case_and_no_number_that_is_not_coarse(doors: Doors) -> None:
    planner = await doors.key(PLANNER)
    async with write_unit(doors.engine) as unit:
        rows = await unit.connection.execute(text("SELECT ref FROM dispatch.dispatch_case ORDER BY reported_at DESC"))
        newest = [row[0] for row in rows.fetchmany(50)]
    for kind in KINDS:
        page = await doors.get(f"/maps/{kind}?{days(390)}", planner)
        frame = await doors.get(f"/maps/{kind}/frame?{days(390)}", planner)
        assert (page.status_code, frame.status_code) == (200, 200)
        assert "steps of 5" in page.text
        assert "/maps/cases" not in page.text
        check_no_foreign(frame.text)
        assert not any(ref in page.text or ref in frame.text for ref in newest)
    for path in ("/maps/cases", "/v1/cases", "/"):
        assert (await doors.get(path, planner)).status_code == 403
    squares = (await doors.get(f"/maps/heat/file?form=bins&{days(390)}", planner)).json()["features"]
    assert squares
    assert all(each["properties"]["cases"] % 5 == 0 for each in squares)
    week = await doors.get(f"/maps/time?{days(390)}", planner)
    numbers = re.findall(r'<td(?: class="t\d")?>([\d,]+)</td>', week.text)
    assert len(numbers) > 20
    assert all(int(number.replace(",", "")) % 5 == 0 for number in numbers)
    lines = list(csv.reader(io.StringIO((await doors.get(f"/maps/time/file?{days(390)}&step=week", planner)).text)))[1:]
    assert {line[3] for line in lines} & {"<5"}
    assert all(line[3] == "<5" or int(line[3]) % 5 == 0 for line in lines)
    sites = (await doors.get(f"/maps/places/file?form=geojson&{days(390)}", planner)).json()["features"]
    assert sites
    assert all(each["properties"]["cases"] % 5 == 0 for each in sites)


async def test_an_area_sees_itself_only_and_counts_as_the_columns_do(doors: Doors) -> None:
    mine, everything = await doors.key(ALL_SCOPES, AREA), await doors.key(ALL_SCOPES)
    for more in ("", "&category=E01&category=P01", "&channel=patrol&state=closed", "&ledger=three_illegals"):
        query = f"{days(90)}&level=3{more}"
        seen = await doors.counts(query, mine)
        theirs = await doors.counts(f"{query}&area={AREA}", everything)
        assert {code: cases for code, cases in seen.items() if code in theirs} == theirs
        assert not any(cases for code, cases in seen.items() if code not in theirs)
    for kind in KINDS:
        first = await doors.get(f"/maps/{kind}/file?{days(20)}&level=3&area={AREA}&form=csv", mine)
        second = await doors.get(f"/maps/{kind}/file?{days(20)}&level=3&area={AREA}&form=csv", everything)
        assert first.status_code == 200, first.text
        assert sorted(first.text.splitlines()) == sorted(second.text.splitlines()), kind
    outside = await doors.get(f"/maps/places?{days(90)}", mine)
    assert "&lt;5 cases lie in no cell" in outside.text or "0 cases lie in no cell" in outside.text


async def test_every_number_leads_to_its_cases(doors: Doors) -> None:
    who = await doors.key(ALL_SCOPES)
    counts = await doors.counts(f"{days(13)}&level=2&category=E01", who)
    code = next(code for code, cases in counts.items() if cases and cases < 150)
    page = await doors.get(f"/maps/cells?{days(13)}&level=2&category=E01", who)
    address = re.search(rf'href="(/maps/cases\?[^"]*cell={code})"', page.text)
    assert address is not None
    found = await doors.get(address.group(1).replace("&amp;", "&"), who)
    assert len(re.findall(r'<tr><th scope="row"[^>]*><a', found.text)) == counts[code]
    week = await doors.get(f"/maps/time?{days(13)}", who)
    cell = re.search(r'<a href="(/maps/cases\?[^"]*weekday=\d+&amp;hour=\d+)">(\d+)</a>', week.text)
    assert cell is not None
    found = await doors.get(cell.group(1).replace("&amp;", "&"), who)
    assert len(re.findall(r'<tr><th scope="row"[^>]*><a', found.text)) == int(cell.group(2))
    # More than one page: each case once.
    seen: list[str] = []
    path: str | None = f"/maps/cases?{days(13)}&lang=en"
    while path and len(seen) < 1000:
        found = await doors.get(path, who)
        seen += re.findall(r'<th scope="row"[^>]*><a href="[^"]*">([^<]*)</a>', found.text)
        following = re.search(r'<a href="(/maps/cases\?[^"]*cursor=[^"]*)"', found.text)
        path = following.group(1).replace("&amp;", "&") if following else None
    assert len(seen) == len(set(seen)) > 400


async def test_a_shared_map_is_frozen_scoped_and_ends(doors: Doors) -> None:
    who, planner = await doors.key(ALL_SCOPES), await doors.key(PLANNER)

    async def share(**asked: Any) -> httpx.Response:
        return await doors.client.post("/maps/shares", json=asked, headers=who)

    query = f"{days(2)}&level=1"
    for kind in KINDS:
        made = await share(kind=kind, query=query, scope="link", days=3)
        assert made.status_code == 201, made.text
        url = made.json()["url"]
        page = await doors.client.get(url)
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "Snapshot" in page.text
        assert "/maps/cases" not in page.text
        frames = re.findall(rf'src="({url}/frame[^"]*)"', page.text)
        assert len(frames) == (2 if kind == "compare" else 1)
        drawn = [await doors.client.get(each) for each in frames]
        assert len({each.text for each in drawn}) == len(frames)
        for frame in drawn:
            check_no_foreign(frame.text)
            assert "sandbox allow-scripts" in frame.headers["content-security-policy"]
    before = page.text
    for number in range(6):
        body = report(ticket=f"share-{number}", lon=113.665, lat=34.786, reported_at=None)
        await doors.client.post("/v1/reports", json={k: v for k, v in body.items() if v is not None}, headers=who)
    assert (await doors.client.get(url)).text == before
    office = (await share(kind="cells", query=query, scope="office", days=1)).json()["url"]
    # Exact numbers: not for those who get steps, nor for nobody in particular.
    assert (await doors.client.get(office)).status_code == 401
    assert (await doors.get(office, planner)).status_code == 404
    assert (await doors.get(office, who)).status_code == 200
    listed = (await doors.get("/maps/shares", who)).json()["shares"]
    first = listed.pop()
    people = {**who, "Accept": "text/html"}
    page = await doors.client.get("/maps/shares?lang=en", headers=people)
    assert page.text.count('<button type="submit" class="link"') == len(listed) + 1
    ended = f"/maps/shares/{first['id']}/end"
    assert (await doors.client.post(ended, headers={**people, "Origin": "https://evil.example"})).status_code == 403
    # Twice is once: the second press of an impatient finger finds it ended.
    for _ in range(2):
        assert (await doors.client.post(ended, headers=people)).headers["location"] == "/maps/shares?done=ended"
    page = await doors.client.get("/maps/shares?lang=en&done=ended", headers=people)
    assert first["id"] not in page.text
    assert "The link has ended." in page.text
    for each in listed:
        assert (await doors.client.delete(f"/maps/shares/{each['id']}", headers=who)).status_code == 204
    assert (await doors.client.get(url)).status_code == 404
    last = (await share(kind="heat", query=query, scope="link", days=1)).json()["url"]
    async with write_unit(doors.engine) as unit:
        await unit.connection.execute(
            text("UPDATE api.map_share SET created_at = now() - interval '2 days', expires_at = now() - interval '1 s'")
        )
    assert (await doors.client.get(last)).status_code == 404
    assert (await doors.client.get("/maps/shared/nothing-like-that")).status_code == 404
    assert (await share(kind="luck", query="", scope="link")).status_code == 400
    assert (await share(kind="heat", query="level=9&from=x", scope="link")).status_code == 422
    assert (await share(kind="heat", scope="world", days=9999)).status_code == 422
    assert (await share(kind="heat", query="a=1&" * 300)).json()["code"] == "maps.too_many_parts"
    foreign = {**who, "Origin": "https://evil.example"}
    answer = await doors.client.post("/maps/shares", json={"kind": "heat"}, headers=foreign)
    assert answer.status_code == 403


async def test_statistics_tell_a_planner_steps_and_no_case(doors: Doors) -> None:
    planner, everything = await doors.key(PLANNER), await doors.key(ALL_SCOPES)
    for path in ("", "/moran", "/rates", "/finders"):
        told = (await doors.get(f"/v1/hotspots{path}?{days(60)}", planner)).json()
        exact = (await doors.get(f"/v1/hotspots{path}?{days(60)}", everything)).json()
        assert told["is_coarse"]
        assert not exact["is_coarse"]
        cases = [cell["cases"] for cell in told["cells"] if cell["cases"] is not None]
        assert cases
        assert all(count % 5 == 0 for count in cases), path
        assert all(each["source"] and each["means_not"] for each in told["methods"])
    for name in ("patrol", "citizen"):
        assert told[name] % 5 == 0
    sites = (await doors.get(f"/v1/hotspots/repeat-sites?{days(200)}", planner)).json()
    assert sites["sites"]
    assert all(s["cases"] % 5 == 0 and s["first_day"] is None and s["median_gap_days"] is None for s in sites["sites"])
    knox = (await doors.get(f"/v1/hotspots/near-repeats?{days(90)}&category=E0401", planner)).json()
    assert all((band["observed"] or 0) % 5 == 0 and band["expected"] % 5 in (0, 2) for band in knox["bands"])
    pairs = await doors.get(f"/maps/places?{days(90)}&category=E0401&near=1&lang=en", planner)
    assert "Pairs of" in pairs.text
    clusters = (await doors.get("/v1/clusters?bbox=113,34,114,35&zoom=15&every=1", planner)).json()
    exact = (await doors.get("/v1/clusters?bbox=113,34,114,35&zoom=15&every=1", everything)).json()
    assert all((each["properties"]["cases"] or 0) % 5 == 0 for each in clusters["features"])
    assert clusters["features"] != exact["features"]
    emerging = (await doors.get(f"/v1/hotspots/emerging?{days(120)}", planner)).json()
    assert emerging["is_tested"]
    why = (await doors.get(f"/v1/hotspots/cells/{told['cells'][0]['code']}?{days(60)}", planner)).json()
    assert why["does_not_mean"]


async def test_every_statistic_of_a_cell_explains_itself(doors: Doors) -> None:
    everything = await doors.key(ALL_SCOPES)
    counts = await doors.counts(f"{days(120)}&level=3", everything)
    busiest = max(counts, key=lambda code: counts[code] or 0)
    for who in (everything, await doors.key(PLANNER)):
        for measure in ("hot_spots", "emerging", "local_moran", "bayes", "patrol"):
            why = (await doors.get(f"/maps/cells?{days(120)}&measure={measure}&cell={busiest}&lang=en", who)).text
            panel = re.search(r'<section class="why".*?</section>', why, re.DOTALL)
            assert panel is not None, measure
            assert panel.group(0).count("<dt>") >= 6
            assert "<li>" in panel.group(0)
            for words in ("Unit: ", "What it does not mean: ", "Source: "):
                assert words in why


async def test_files_in_every_form(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    who = await doors.key(ALL_SCOPES)
    async with write_unit(doors.engine) as unit:
        await unit.connection.execute(text("UPDATE dispatch.category SET name_zh = '=1+1', name_en = '=1+1'"))
    for kind in KINDS:
        query = f"{days(60)}&level=1"
        html = await doors.get(f"/maps/{kind}/file?form=html&{query}", who)
        assert html.status_code == 200
        check_no_foreign(html.text)
        assert "/static/" not in html.text
        plain = await doors.get(f"/maps/{kind}/file?{query}", who)
        assert plain.content.startswith(b"\xef\xbb\xbf")
        for line in csv.reader(io.StringIO(plain.content.decode("utf-8-sig"))):
            assert not any(cell.startswith("=") for cell in line)
        sheet = openpyxl.load_workbook(
            io.BytesIO((await doors.get(f"/maps/{kind}/file?form=xlsx&{query}", who)).content)
        )
        assert all(cell.data_type != "f" for row in sheet.active.iter_rows() for cell in row)  # type: ignore[union-attr]
        wrong = await doors.get(f"/maps/{kind}/file?form=exe&{query}", who)
        assert wrong.status_code == 400
        assert wrong.json()["code"] == "maps.unknown_form"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    none = await doors.get("/maps/heat/file?form=png", who)
    assert none.status_code == 503
    assert "Chromium" in none.json()["detail"]


async def test_a_page_is_kept_until_a_report_comes(doors: Doors) -> None:
    who = await doors.key(ALL_SCOPES)
    for path in (f"/maps/cells?{days(3)}", f"/maps/heat/frame?{days(3)}"):
        for _ in range(2):  # the minute may change in between
            first = await doors.get(path, who)
            again = await doors.get(path, who, **{"If-None-Match": first.headers["etag"]})
            if again.status_code == 304:
                break
        assert again.status_code == 304
        assert "etag" not in (await doors.get(path, await doors.key(PLANNER, AREA))).headers
        planner = await doors.get(path, await doors.key(PLANNER), **{"If-None-Match": first.headers["etag"]})
        assert planner.status_code == 200
    body = report(ticket="kept-1")
    assert (await doors.client.post("/v1/reports", json=body, headers=who)).status_code == 201
    assert (await doors.get(path, who, **{"If-None-Match": first.headers["etag"]})).status_code == 200


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/maps/time?step=hour", "maps.unknown_step"),
        ("/maps/time?step=day&from=2020-01-01&to=2025-01-01", "maps.too_many_steps"),
        ("/maps/compare?from2=2026-02-30", "maps.bad_date"),
        ("/maps/compare?measure=hot_spots", "maps.unknown_measure"),
        ("/maps/compare?category2=Z", "maps.unknown_category"),
        ("/maps/places?area=%00", "maps.unknown_area"),
        ("/maps/cells?layers=x", "maps.unknown_layers"),
        ("/maps/heat?category=E01&category=NO&channel=NO", "maps.unknown_category"),
        ("/maps/heat?" + "&".join(f"category={n}" for n in range(300)), "maps.unknown_category"),
        ("/maps/cases?hour=24", "maps.unknown_hour"),
        ("/maps/cases?weekday=%C2%B3&hour=1", "maps.unknown_weekday"),
        ("/maps/cases?cell=nowhere", "maps.unknown_cell"),
    ],
)
async def test_wrong_parts_are_named(client: Client, path: str, code: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == code
    page = await client.get(path, headers={"Accept": "text/html"})
    assert page.status_code == 422
    assert (await client.get("/maps/cases?cursor=99999999999999999999-x")).status_code == 400
