"""Lists as programs and offices read them: filters, words, pages, tags, files, and how much memory a file takes."""

from __future__ import annotations

import csv
import io
import itertools
import json
import tracemalloc
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.case_sheet import case_sheet
from api.formats import Form
from api.sheets import file_answer
from dispatch.case_views import CaseFilter, CaseView
from dispatch.lights import light
from dispatch.queries import list_cases, stream_cases
from dispatch.states import CaseState, Light
from dispatch.words import read_words
from geo.storage.uow import EVERYBODY, read_unit, write_unit
from tests.builders import EAST, INSIDE, L1, WEST, report
from tests.flow.conftest import Client

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BOX = f"POLYGON(({INSIDE[0] - 0.001} 34.7,{INSIDE[0] + 0.001} 34.7,{INSIDE[0]} 34.8,{INSIDE[0] - 0.001} 34.7))"


async def send(client: Client, *reports: dict[str, Any]) -> list[str]:
    refs = []
    for number, one in enumerate(reports):
        answer = await client.post("/v1/reports", json=report(**({"ticket": f"R-{number}"} | one)))
        assert answer.status_code == 201, answer.text
        refs.append(answer.json()["case"])
    return refs


async def refs_of(client: Client, **params: Any) -> list[str]:
    answer = await client.get("/v1/cases", params=params)
    assert answer.status_code == 200, answer.text
    return [case["case"] for case in answer.json()["cases"]]


def table(content: bytes) -> list[dict[str, str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


async def test_words_are_found_before_and_after_the_worker_read_them(client: Client, engine: AsyncEngine) -> None:
    refs = await send(
        client,
        {"text": "锦绣小区南门井盖缺失", "address": "建设路ＡＢＣ大厦"},
        {"text": "盖子旁边的井水", "address": "Jianshe Road"},
        {"text": "100%_路灯\\不亮'; --"},
    )
    questions: list[tuple[str, list[str]]] = [
        ("井盖", refs[:1]),
        ("井", [refs[1], refs[0]]),
        ("井盖 建设路", refs[:1]),
        ("abc大厦", refs[:1]),
        ("jianshe road", refs[1:2]),
        ("100%_", refs[2:]),
        ("\\不亮'; --", refs[2:]),
        ("%", refs[2:]),
        (refs[1], refs[1:2]),
        ("R-0", refs[:1]),
        ("没有这样的字", []),
        ("   ", refs[::-1]),
    ]
    for is_read in (False, True):
        if is_read:
            async with write_unit(engine) as unit:
                assert await read_words(unit) == 3
                assert await read_words(unit) == 0
            async with engine.connect() as connection:
                kept = await connection.execute(text("SELECT count(*) FROM dispatch.case_words"))
                assert kept.scalar_one() == 3
        for words, found in questions:
            assert await refs_of(client, q=words) == found, (words, is_read)
    # Written before, committed after the worker has looked: it must not be lost between index and rest.
    async with engine.connect() as late:
        transaction = await late.begin()
        await late.execute(text("SELECT pg_current_xact_id()"))
        (newest,) = await send(client, {"ticket": "late", "text": "迟到的龙潭井盖"})
        async with write_unit(engine) as unit:
            assert await read_words(unit) == 0
        assert await refs_of(client, q="龙潭") == [newest]
        await transaction.rollback()
    async with write_unit(engine) as unit:
        assert await read_words(unit) == 1
    assert await refs_of(client, q="龙潭") == [newest]


async def test_the_index_answers_the_question_about_words(client: Client, engine: AsyncEngine) -> None:
    await send(client, {"text": "龙潭路井盖缺失"})
    async with write_unit(engine) as unit:
        await read_words(unit)
        driver = await unit.driver()
        await driver.execute(
            "INSERT INTO dispatch.case_words (case_id, terms) SELECT c.id, dispatch.word_terms('路灯不亮' || n)"
            " FROM generate_series(1, 1) AS n, dispatch.dispatch_case AS c ON CONFLICT (case_id) DO NOTHING"
        )
        await driver.execute("SET LOCAL enable_seqscan = off")
        plan = await driver.execute(
            "EXPLAIN SELECT w.case_id FROM dispatch.case_words AS w WHERE w.terms @> dispatch.word_terms('井盖')"
        )
        lines = " ".join(row[0] for row in await plan.fetchall())
    assert "ix_case_words_terms" in lines


async def test_filters_of_cases(client: Client, engine: AsyncEngine) -> None:
    refs = await send(
        client,
        {},
        {"category": "P0102", "condition": 1},
        {"lon": 113.63, "lat": 34.75},
    )
    assert await refs_of(client, cell=WEST) == [refs[1], refs[0]]
    assert await refs_of(client, cell=f"{EAST}002") == [refs[2]]
    assert await refs_of(client, category="E01") == [refs[2], refs[0]]
    assert await refs_of(client, within=BOX) == [refs[1], refs[0]]
    ring = [[113.6, 34.7], [113.62, 34.7], [113.62, 34.8], [113.6, 34.8], [113.6, 34.7]]
    assert await refs_of(client, within=json.dumps({"type": "Polygon", "coordinates": [ring]})) == [refs[1], refs[0]]
    assert await refs_of(client, bbox="113.625,34.7,113.64,34.8") == [refs[2]]
    assert await refs_of(client, light="green") == refs[::-1]
    tomorrow = {"from": "2199-01-01"}
    assert await refs_of(client, **tomorrow) == []
    for wrong, code in (
        ({"within": "POINT(1 1)"}, "request.not_a_polygon"),
        ({"within": "POLYGON((0 0,1 1"}, "request.not_a_polygon"),
        ({"within": "{}"}, "request.not_a_polygon"),
        ({"within": "POLYGON((0 0,2 2,2 0,0 2,0 0))"}, "request.bad_polygon"),
        ({"within": "POLYGON((0 0,0 999,1 999,0 0))"}, "request.bad_polygon"),
        ({"light": "pink"}, "request.not_one_of"),
        ({"from": "2026-01-01T00:00:00"}, "request.not_a_time"),
    ):
        answer = await client.get("/v1/cases", params=wrong)
        assert answer.status_code == 422, wrong
        assert [fault["code"] for fault in answer.json()["errors"]] == [code]
    assert (await client.get("/v1/cases", params={"q": "\x00"})).status_code == 422


async def test_lights_in_sql_equal_the_rule(client: Client, engine: AsyncEngine) -> None:
    hours = (None, -1, 1)
    kinds = list(itertools.product(CaseState, hours, hours, (None, 1)))
    (first,) = await send(client, {})
    async with engine.begin() as connection:
        await connection.execute(text("SET session_replication_role = replica"))
        columns = [
            row[0]
            for row in await connection.execute(
                text(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'dispatch'"
                    " AND table_name = 'dispatch_case' AND is_generated = 'NEVER' AND column_name NOT IN"
                    " ('id', 'ref', 'ticket', 'state', 'due_at', 'warn_at', 'supervised_until', 'suspended_until')"
                )
            )
        ]
        same = ", ".join(columns)
        constraints = await connection.execute(
            text(
                "SELECT conname FROM pg_constraint WHERE contype = 'c'"
                " AND conrelid = 'dispatch.dispatch_case'::regclass"
            )
        )
        for (name,) in constraints.fetchall():
            await connection.execute(text(f'ALTER TABLE dispatch.dispatch_case DROP CONSTRAINT "{name}"'))
        for number, (state, due, warn, supervised) in enumerate(kinds):
            await connection.execute(
                text(
                    f"INSERT INTO dispatch.dispatch_case ({same}, id, ref, ticket, state, due_at, warn_at,"
                    f" supervised_until) SELECT {same}, gen_random_uuid(), :ref, :ref, :state,"
                    " now() + :due * interval '1 hour', now() + :warn * interval '1 hour',"
                    " now() + :supervised * interval '1 hour' FROM dispatch.dispatch_case WHERE ref = :first"
                ),
                {
                    "ref": f"L-{number}",
                    "state": state,
                    "due": due,
                    "warn": warn,
                    "supervised": supervised,
                    "first": first,
                },
            )
    seen = 0
    async with read_unit(engine, viewer=EVERYBODY) as unit:
        for colour in Light:
            page = await list_cases(unit, CaseFilter(light=colour), limit=1000)
            seen += len(page.cases)
            for case in page.cases:
                known = light(
                    case.state,
                    due_at=case.due_at,
                    warn_at=case.warn_at,
                    as_of=page.as_of,
                    is_supervised=case.supervised_until is not None,
                )
                assert known is colour
    assert seen == len(kinds) + 1


async def test_pages_links_and_tags(client: Client) -> None:
    refs = await send(client, {}, {}, {})
    first = await client.get("/v1/cases", params={"limit": 2, "category": "E01"})
    assert [case["case"] for case in first.json()["cases"]] == [refs[2], refs[1]]
    assert first.links["next"]["url"].startswith("http://gridward.test/v1/cases?limit=2&category=E01&cursor=")
    last = await client.get(first.links["next"]["url"])
    assert [case["case"] for case in last.json()["cases"]] == refs[:1]
    assert "next" not in last.links
    for path in ("/v1/cases", f"/v1/cases/{refs[0]}", "/v1/events", "/v1/rates", "/v1/cells", "/v1/cells.csv"):
        tag = (await client.get(path)).headers["etag"]
        again = await client.get(path, headers={"If-None-Match": f'"other", {tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), path
        english = await client.get(path, headers={"If-None-Match": '"other"'})
        assert english.status_code == 200
    seen = (await client.get(f"/v1/cases/{refs[0]}")).headers["etag"]
    moved = await client.post(f"/v1/cases/{refs[0]}/moves", json={"move": "acknowledge"}, headers={"If-Match": seen})
    assert moved.status_code == 200, moved.text
    fresh = await client.get(f"/v1/cases/{refs[0]}", headers={"If-None-Match": seen})
    assert (fresh.status_code, fresh.json()["status"]) == (200, "handling")
    assert (await client.get("/v1/cases", headers={"If-None-Match": first.headers["etag"]})).status_code == 200


async def test_events_are_filtered_and_linked(client: Client) -> None:
    refs = await send(client, {}, {"category": "P0102", "condition": 1}, {"lon": 113.63, "lat": 34.75})

    async def cases(**params: str) -> list[str]:
        answer = await client.get("/v1/events", params=params)
        assert answer.status_code == 200, answer.text
        assert answer.links["next"]["url"].partition("after=")[2] == answer.json()["next"]
        return [event["case"] for event in answer.json()["events"]]

    assert await cases() == refs
    assert await cases(cell=EAST) == refs[2:]
    assert await cases(category="E01") == [refs[0], refs[2]]
    assert await cases(case=refs[1]) == refs[1:2]
    assert await cases(**{"from": "2199-01-01"}) == []
    assert await cases(**{"from": "2020-01-01", "to": "2198-01-01T00:00:00+08:00"}) == refs
    assert (await client.get("/v1/events?from=soon")).json()["errors"][0]["pointer"] == "/from"
    rows = table((await client.get("/v1/events.csv?heads=codes")).content)
    assert [row["case"] for row in rows] == refs
    assert rows[0]["type"] == "case.dispatched.v1"
    places = (await client.get("/v1/events.geojson", params={"cell": WEST})).json()["features"]
    assert [place["properties"]["case"] for place in places] == refs[:2]


@pytest.mark.parametrize("way", ["suffix", "accept"])
async def test_files_by_suffix_and_by_accept(client: Client, way: str) -> None:
    refs = await send(
        client, {"text": '=HYPERLINK("http://a.test")', "address": "@SUM(1)"}, {"text": '逗号,引号"\n换行'}
    )

    async def ask(form: str, media: str) -> Any:
        path = f"/v1/cases.{form}?heads=codes" if way == "suffix" else "/v1/cases"
        answer = await client.get(path, headers={"Accept": f"{media};q=0.9, text/html;q=0.1"})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith(media)
        return answer

    rows = table((await ask("csv", "text/csv")).content)
    assert [row["case"] for row in rows] == refs[::-1]
    assert rows[1]["text"] == '\'=HYPERLINK("http://a.test")'
    assert rows[1]["address"] == "'@SUM(1)"
    assert rows[0]["text"] == '逗号,引号"\n换行'
    assert (rows[0]["lon"], rows[0]["status"], rows[0]["is_on_time"]) == ("113.61", "dispatched", "")
    assert datetime.fromisoformat(rows[0]["reported_at"]).tzinfo == UTC
    book = openpyxl.load_workbook(io.BytesIO((await ask("xlsx", XLSX)).content))
    page = list(book["cases"].iter_rows(values_only=True))
    column = page[0].index("text")
    assert [line[column] for line in page[1:]] == ['逗号,引号"\n换行', '=HYPERLINK("http://a.test")']
    assert book["cases"].cell(3, column + 1).data_type == "s"
    assert isinstance(page[1][page[0].index("reported_at")], datetime)
    features = (await ask("geojson", "application/geo+json")).json()
    assert features["type"] == "FeatureCollection"
    assert [feature["id"] for feature in features["features"]] == refs[::-1]
    assert features["features"][0]["geometry"]["coordinates"] == list(INSIDE)


async def test_files_for_people_and_of_other_lists(client: Client) -> None:
    await send(client, {})
    answer = await client.get("/v1/cases.csv?lang=zh-CN")
    (row,) = table(answer.content)
    assert (row["状态"], row["类别"], row["网格"]) == ("待签收", "暴露垃圾", "网格001")
    assert datetime.strptime(row["上报时间"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=ZoneInfo("Asia/Shanghai"))
    assert answer.headers["content-disposition"].endswith('.csv"')
    assert table((await client.get("/v1/cases.csv?cell=nowhere")).content) == []
    assert (await client.get("/v1/cases.geojson?cell=nowhere")).json()["features"] == []
    assert (await client.get("/v1/cases.xlsx?cell=nowhere")).status_code == 200
    cells = table((await client.get("/v1/cells.csv", params={"cell": WEST})).content)
    assert [row["Code"] for row in cells] == [WEST, f"{WEST}001", f"{WEST}003"]
    inside = (
        await client.get("/v1/cells.geojson", params={"level": 3, "bbox": "113.601,34.741,113.602,34.742"})
    ).json()
    assert [feature["id"] for feature in inside["features"]] == [f"{WEST}001"]
    assert (await client.get("/v1/cells", params={"bbox": "1,2,3"})).status_code == 422
    assert len((await client.get("/v1/cells")).json()["features"]) == 7
    assert (await client.get("/v1/cells", params={"cell": L1, "level": 1})).json()["features"][0]["id"] == L1
    rates = table((await client.get("/v1/rates.csv")).content)
    assert rates
    assert (await client.get("/v1/rates.xlsx")).headers["content-type"] == XLSX
    for path in ("/v1/cases.pdf", "/v1/rates.geojson"):
        assert (await client.get(path)).status_code in {404, 422}
    assert (await client.get("/v1/cases.csv?from=never")).status_code == 422


async def test_a_file_takes_the_memory_of_a_batch(client: Client, engine: AsyncEngine) -> None:
    (first,) = await send(client, {"text": "路" * 4000})
    async with engine.begin() as connection:
        columns = [
            row[0]
            for row in await connection.execute(
                text(
                    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'dispatch'"
                    " AND table_name = 'dispatch_case' AND is_generated = 'NEVER'"
                    " AND column_name NOT IN ('id', 'ref', 'ticket')"
                )
            )
        ]
        same = ", ".join(columns)
        await connection.execute(
            text(
                f"INSERT INTO dispatch.dispatch_case ({same}, id, ref, ticket) SELECT {same}, gen_random_uuid(),"
                " 'M-' || n, 'M-' || n FROM dispatch.dispatch_case, generate_series(1, 1500) AS n WHERE ref = :first"
            ),
            {"first": first},
        )
    sheet = case_sheet("en", ZoneInfo("Asia/Shanghai"), for_programs=False)

    async def batches() -> AsyncGenerator[Sequence[CaseView], None]:
        async with read_unit(engine, viewer=EVERYBODY) as unit:
            async for batch in stream_cases(unit, CaseFilter(), batch=50):
                yield batch

    for form in (Form.CSV, Form.GEOJSON, Form.XLSX):
        tracemalloc.start()
        answer = await file_answer(form, sheet, batches(), locale="en")
        size = 0
        async for part in answer.body_iterator:  # type: ignore[attr-defined]
            size += len(part)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if form is not Form.XLSX:
            assert size > 1500 * 4000 * 3
        # All rows at once are 18 MB of text, besides everything else; what is held does not grow with their number.
        assert peak < 12_000_000, (form, peak)


async def test_cells_come_in_pages(client: Client) -> None:
    whole = [cell["id"] for cell in (await client.get("/v1/cells")).json()["features"]]
    assert len(whole) > 4
    for accept in ("application/geo+json", "text/csv"):
        found: list[str] = []
        link = "/v1/cells?limit=3"
        while link:
            page = await client.get(link, headers={"Accept": accept})
            if accept == "text/csv":
                found += [row.split(",")[1] for row in page.text.splitlines()[1:]]
            else:
                found += [cell["id"] for cell in page.json()["features"]]
            link = page.links.get("next", {}).get("url", "")
            assert not link or "version=1" in link
        assert found == whole
    last = await client.get("/v1/cells", params={"limit": len(whole)})
    assert "link" not in last.headers
    known = await client.get("/v1/cells?limit=3", headers={"If-None-Match": last.headers["etag"]})
    assert known.status_code == 200
    wrong = await client.get("/v1/cells?limit=0&cursor=x")
    assert {fault["pointer"] for fault in wrong.json()["errors"]} == {"/limit", "/cursor"}
