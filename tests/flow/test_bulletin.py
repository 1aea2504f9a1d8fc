"""The monthly bulletin of the demo district: the same numbers in every form, small ones closed."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import openpyxl  # type: ignore[import-untyped]
import pytest
from docx import Document

from api import printing
from api.accounts.keys import create_key
from api.app import create_app
from api.settings import Settings
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit
from maps.rates.bulletin import rank_rising
from tests.flow.conftest import ALL_SCOPES, Client

LAST_MONTH = (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).strftime("%Y-%m")


@pytest.fixture
async def demo(demo_database: str) -> AsyncIterator[Client]:
    engine = create_engine(demo_database, name="test")
    async with write_unit(engine) as unit:
        key = await create_key(unit, "patrol", ALL_SCOPES)
    await engine.dispose()
    app = create_app(Settings(database_url=demo_database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://gridward.test",
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "zh-CN"},
            timeout=60,
        ) as client,
    ):
        yield client


async def test_every_form_says_the_same(demo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await demo.get(f"/v1/bulletins/{LAST_MONTH}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    parts = {part["key"]: part for part in body["sections"]}
    assert list(parts) == ["headline", "rising", "sites", "departments", "communities", "level"]
    assert parts["rising"]["rows"]
    assert parts["level"]["rows"]
    # Rates are the ones of the table of rates.
    first = f"{LAST_MONTH}-01"
    last = (datetime.fromisoformat(first) + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    for one in body["rates"]:
        table = (await demo.get(f"/v1/rates?from={first}&to={last:%Y-%m-%d}&by=total&rate={one['code']}")).json()[
            "total"
        ]["rates"][one["code"]]
        assert (one["numerator"], one["denominator"]) == (table["numerator"], table["denominator"])
    word = Document(io.BytesIO((await demo.get(f"/v1/bulletins/{LAST_MONTH}/file?form=docx")).content))
    filled = [part for part in body["sections"] if part["rows"]]
    assert len(word.tables) == len(filled)
    for table, part in zip(word.tables, filled, strict=True):
        assert [cell.text for cell in table.rows[0].cells] == part["columns"]
        assert [row.cells[0].text for row in table.rows[1:]] == [row[0] for row in part["rows"]]
    book = openpyxl.load_workbook(io.BytesIO((await demo.get(f"/v1/bulletins/{LAST_MONTH}/file?form=xlsx")).content))
    sheet = book.worksheets[0]
    assert [sheet.cell(6 + k, 2).value for k in range(len(body["rates"]))] == [r["numerator"] for r in body["rates"]]
    page = (await demo.get(f"/maps/bulletin?month={LAST_MONTH}")).text
    for part in filled:
        assert part["title"] in page
    for row in parts["rising"]["rows"]:
        assert row[2] >= 5
        assert row[3] == "<5" or row[3] == 0 or row[3] >= 5
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(printing, "find_spec", lambda _: None)
    refused = await demo.get(f"/v1/bulletins/{LAST_MONTH}/file?form=pdf")
    assert (refused.status_code, refused.json()["code"]) == (503, "printing.no_printer")
    for wrong, status in (("2026-13", 400), ("2199-01", 409), ("x" * 60, 400)):
        assert (await demo.get(f"/v1/bulletins/{wrong}")).status_code == status
    assert (await demo.get(f"/v1/bulletins/{LAST_MONTH}/file?form=exe")).status_code == 400
    page = await demo.get("/maps/bulletin?month=%3Cscript%3E", headers={"Accept": "text/html"})
    assert page.status_code == 422
    assert "<script>" not in page.text.split("<main", 1)[-1]


async def test_paper_is_a_pdf(demo: Client) -> None:
    answer = await demo.get(f"/v1/bulletins/{LAST_MONTH}/file?form=pdf")
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"%PDF-")


def test_nobody_can_tell_small_counts_of_the_month_before() -> None:
    shown = [rank_rising([("a", "A", 9, before)]) for before in (1, 2, 3, 4)]
    assert all(each == shown[0] for each in shown)
    assert rank_rising([("a", "A", 4, 0), ("b", "B", 9, 9)]) == []
