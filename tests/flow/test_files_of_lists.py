"""What holds of every file: readers that go away free their place, and nobody reads beyond their area."""

from __future__ import annotations

import contextlib
import io
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import ClientDisconnect

from api.accounts.keys import NewKey, Scope, issue_key
from api.case_sheet import case_sheet
from api.formats import Form
from api.sheets import MOST_EXPORTS, file_answer, one_export
from dispatch.case_views import CaseFilter, CaseView
from dispatch.queries import stream_cases
from dispatch.words import read_words
from geo.storage.uow import EVERYBODY, read_unit, write_unit
from tests.builders import EAST, L1
from tests.flow.conftest import Client
from tests.flow.test_reading_api import BOX, send


async def test_readers_that_go_away_give_their_place_back(client: Client, engine: AsyncEngine) -> None:
    await send(client, {}, {}, {})
    sheet = case_sheet("en", ZoneInfo("Asia/Shanghai"), for_programs=False)
    closed = []

    async def batches() -> AsyncGenerator[Sequence[CaseView], None]:
        try:
            async with (
                one_export(),
                read_unit(engine, viewer=EVERYBODY) as unit,
                aclosing(stream_cases(unit, CaseFilter(), batch=1)) as found,
            ):
                async for batch in found:
                    yield batch
        finally:
            closed.append(True)

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def lost(message: Any) -> None:
        if message.get("body"):
            raise OSError("the reader has gone")

    for number in range(1, 2 * MOST_EXPORTS + 1):
        answer = await file_answer(Form.CSV, sheet, batches(), locale="en")
        with contextlib.suppress(OSError, BaseExceptionGroup, ClientDisconnect):
            await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, gone, lost)
        assert len(closed) == number
    assert (await client.get("/v1/cases.csv")).status_code == 200


async def test_files_words_and_filters_stay_within_the_caller_s_area(client: Client, engine: AsyncEngine) -> None:
    refs = await send(client, {"text": "西边的井盖"}, {"text": "东边的井盖", "lon": 113.63, "lat": 34.75})
    async with write_unit(engine) as unit:
        await read_words(unit)
        scopes = (Scope.CASES_READ, Scope.CASES_READ_ALL)
        key = await issue_key(unit, NewKey(channel="watcher", scopes=scopes, cells=(EAST,)), by="test")
    headers = {"Authorization": f"Bearer {key}"}
    for path in (
        *("/v1/cases.csv", "/v1/cases.geojson", "/v1/events.csv?heads=codes", "/v1/events.geojson", "/v1/events"),
        *(
            "/v1/cases?q=井盖",
            "/v1/cases?q=的",
            "/v1/cases?light=green",
            f"/v1/cases?within={BOX}",
            f"/v1/cases?cell={L1}",
        ),
        f"/v1/cases.csv?q={refs[0]}",
    ):
        told = await client.get(path, headers=headers)
        assert told.status_code == 200, (path, told.text)
        assert refs[0] not in told.text.replace(f"q={refs[0]}", ""), path
        assert (refs[1] in told.text) == ("within" not in path and "csv?q" not in path), path
    book = openpyxl.load_workbook(io.BytesIO((await client.get("/v1/cases.xlsx", headers=headers)).content))
    assert [row[0] for row in book["cases"].iter_rows(min_row=2, values_only=True)] == refs[1:]
