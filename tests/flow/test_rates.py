"""Rates over the demo district: the same number by every way, equal to a count in Python, with the exact cases."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import openpyxl  # type: ignore[import-untyped]
import pytest
from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.settings import Settings
from dispatch.evaluation import Dimension, Part, Rate
from dispatch.freezing import freeze_month, list_frozen, read_frozen
from dispatch.rates import RateFilter, count_rates, list_rate_cases
from geo.errors import ConflictError, NotFoundError
from geo.storage.engine import create_engine
from geo.storage.uow import read_unit, write_unit
from maps.figures import format_ratio
from tests.builders import JURISDICTION, report
from tests.flow.conftest import ALL_SCOPES, Client

ZONE = ZoneInfo("Asia/Shanghai")
PERIOD = "from=2020-01-01&to=2029-01-01"


@pytest.fixture
async def demo_engine(demo_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(demo_database, name="test")
    yield engine
    await engine.dispose()


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the oracle knows of a case."""

    state: str
    reported_at: datetime
    accepted_at: datetime | None
    filed_at: datetime | None
    dispatched_at: datetime | None
    handled_at: datetime | None
    closed_at: datetime | None
    due_at: datetime | None
    is_on_time: bool | None
    is_exempt: bool
    rework_count: int
    return_count: int
    extension_count: int
    closed_level: int | None
    cell_path: list[str]
    category_code: str
    channel_code: str
    ledgers: list[str]
    department_code: str | None
    owner_person_id: Any


def count_in_python(row: Row, rate: Rate, start: datetime, end: datetime, now: datetime) -> tuple[bool, bool]:
    """Say whether a case is below and above the line, in the words of the definitions; no shared code with them."""

    def inside(at: datetime | None) -> bool:
        return at is not None and start <= at < end

    real = row.state not in {"voided", "merged"}
    ahead_closed = inside(row.closed_at) and row.due_at is not None and row.closed_at < row.due_at  # type: ignore[operator]
    ahead_handled = inside(row.handled_at) and row.due_at is not None and row.handled_at < row.due_at  # type: ignore[operator]
    to_close = real and (inside(row.due_at) or ahead_closed)
    to_handle = real and (inside(row.due_at) or ahead_handled)
    closed, handled = row.state == "closed", row.handled_at is not None
    on_time = bool(row.is_on_time) or row.is_exempt
    filed = real and inside(row.filed_at)
    below, above = {
        Rate.SOLVED: (real and row.state != "declined" and inside(row.reported_at), closed),
        Rate.CLOSURE: (to_close, closed),
        Rate.ON_TIME_CLOSURE: (to_close, closed and on_time),
        Rate.HANDLING: (to_handle, handled),
        Rate.ON_TIME_HANDLING: (to_handle, handled and on_time),
        Rate.REWORK: (to_close, row.rework_count > 0),
        Rate.EXTENSION: (to_handle, row.extension_count > 0),
        Rate.OVERDUE: (
            to_handle,
            not handled and row.due_at is not None and row.due_at < now and row.state not in {"closed", "suspended"},
        ),
        Rate.RIGHT_DISPATCH: (filed, row.dispatched_at is not None and row.return_count == 0),
        Rate.FILING: (real and inside(row.accepted_at), row.filed_at is not None),
        Rate.PUBLIC: (filed, row.channel_code not in {"patrol", "camera"}),
        Rate.CLOSED_AT_LEVEL: (
            closed and inside(row.closed_at) and bool(row.closed_level) and bool(row.cell_path),
            row.closed_level == len(row.cell_path),
        ),
    }[rate]
    return below, below and above


COUNTED_RATES = tuple(rate for rate in Rate if rate not in {Rate.SATISFACTION, Rate.REDO, Rate.ON_TIME_DISPATCH})


async def test_a_thousand_numbers_equal_a_count_in_python(demo_engine: AsyncEngine) -> None:
    rng = random.Random(7)
    async with read_unit(demo_engine, snapshot=True) as unit:
        driver = await unit.driver()
        names = ", ".join(field.name for field in fields(Row))
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(f"SELECT {names} FROM dispatch.dispatch_case")
            cases = [Row(**row) for row in await cursor.fetchall()]
            await cursor.execute("SELECT now()")
            now = (await cursor.fetchone() or {})["now"]
        compared = 0
        while compared < 1000:
            first = now.astimezone(ZONE).date() - timedelta(days=rng.randrange(380))
            start = datetime.combine(first, time.min, ZONE).astimezone(UTC)
            end = start + timedelta(days=rng.randrange(1, 120))
            sample = rng.choice(cases)
            asked = RateFilter(
                jurisdiction=JURISDICTION,
                period_from=start,
                period_until=end,
                categories=rng.choice([None, (sample.category_code,), ("E0101", "E0401")]),
                channels=rng.choice([None, (sample.channel_code,)]),
                ledgers=rng.choice([None, None, ("three_illegals", "ledger_issue")]),
                area=rng.choice([None, tuple(sample.cell_path[:1]) or None, tuple(sample.cell_path[-1:]) or None]),
            )
            dimension = rng.choice(list(Dimension))
            table = await count_rates(unit, asked, dimension, COUNTED_RATES)
            expected: dict[str, dict[Rate, list[int]]] = {}
            for case in cases:
                if (
                    (asked.categories and case.category_code not in asked.categories)
                    or (asked.channels and case.channel_code not in asked.channels)
                    or (asked.ledgers and not set(asked.ledgers) & set(case.ledgers))
                    or (asked.area and not set(asked.area) & set(case.cell_path))
                ):
                    continue
                for key in keys_of(case, dimension):
                    for rate in COUNTED_RATES:
                        below, above = count_in_python(case, rate, start, end, now)
                        if below:
                            row = expected.setdefault(key, {r: [0, 0] for r in COUNTED_RATES})
                            row[rate][0] += above
                            row[rate][1] += 1
            found = {row.key: {rate: list(counts) for rate, counts in row.counts.items()} for row in table.rows}
            assert found == expected, (asked, dimension)
            compared += sum(len(row) for row in found.values()) or len(COUNTED_RATES)


def keys_of(case: Row, dimension: Dimension) -> list[str]:
    if dimension.value.startswith("level"):
        depth = int(dimension.value[-1])
        return [case.cell_path[depth - 1] if len(case.cell_path) >= depth else ""]
    return {
        Dimension.TOTAL: [""],
        Dimension.DEPARTMENT: [case.department_code or ""],
        Dimension.HEAD: [str(case.owner_person_id or "")],
        Dimension.MAJOR: [case.category_code[:3]],
        Dimension.CATEGORY: [case.category_code],
        Dimension.CHANNEL: [case.channel_code],
        Dimension.LEDGER: sorted(set(case.ledgers)),
    }[dimension]


async def test_the_cases_are_exactly_the_number(demo_engine: AsyncEngine) -> None:
    now = datetime.now(UTC)
    asked = RateFilter(jurisdiction=JURISDICTION, period_from=now - timedelta(days=90), period_until=now)
    async with read_unit(demo_engine, snapshot=True) as unit:
        for rate in Rate:
            table = await count_rates(unit, asked, Dimension.CHANNEL, [rate])
            for row in table.rows[:2]:
                above, below = row.counts[rate]
                sizes = {}
                for part in Part:
                    refs: list[str] = []
                    cursor = None
                    while True:
                        page = await list_rate_cases(
                            unit, asked, Dimension.CHANNEL, row.key, rate, part, limit=300, cursor=cursor
                        )
                        refs += [case.ref for case in page.cases]
                        if (cursor := page.next) is None:
                            break
                    assert len(refs) == len(set(refs))
                    sizes[part] = len(refs)
                assert sizes == {Part.NUMERATOR: above, Part.DENOMINATOR: below, Part.MISSING: below - above}


@pytest.fixture
async def demo_client(
    demo_database: str, demo_engine: AsyncEngine, make_demo_key: Callable[[], Awaitable[str]]
) -> AsyncIterator[Client]:
    app = create_app(Settings(database_url=demo_database))
    key = await make_demo_key()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://gridward.test",
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "zh-CN"},
            timeout=30,
        ) as client,
    ):
        yield client


@pytest.fixture
def make_demo_key(demo_engine: AsyncEngine) -> Callable[[], Awaitable[str]]:
    from api.accounts.keys import create_key

    async def make() -> str:
        async with write_unit(demo_engine) as unit:
            return await create_key(unit, "patrol", ALL_SCOPES)

    return make


async def test_api_page_csv_and_xlsx_say_the_same(demo_client: Client) -> None:
    query = f"{PERIOD}&by=ledger&rate=solved&rate=closure"
    answer = await demo_client.get(f"/v1/rates?{query}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    page = (await demo_client.get(f"/maps/rates?{query}")).text
    lines = list(
        csv.reader(io.StringIO((await demo_client.get(f"/maps/rates/file?{query}")).content.decode("utf-8-sig")))
    )
    sheet = openpyxl.load_workbook(
        io.BytesIO((await demo_client.get(f"/maps/rates/file?{query}&form=xlsx")).content)
    ).worksheets[0]
    by_key = {line[1]: line for line in lines[1:]}
    in_sheet = {row[1].value or "": [cell.value for cell in row] for row in sheet.iter_rows(min_row=4)}
    for row in [body["total"], *body["rows"]]:
        for place, code in enumerate(("solved", "closure")):
            figure = row["rates"][code]
            above, below, percent = figure["numerator"], figure["denominator"], figure["percent"]
            assert percent == (format_ratio(above, below, scale=100) or None)
            assert by_key[row["key"]][2 + 3 * place : 5 + 3 * place] == [percent or "", str(above), str(below)]
            assert in_sheet[row["key"]][3 + 3 * place : 5 + 3 * place] == [above, below]
            assert f">{above:,}</a> / " in page
            cases = (await demo_client.get(figure["missing_url"] + "&limit=1000")).json()["cases"]
            assert len(cases) == min(1000, below - above)
    worst = (await demo_client.get(f"/v1/rates?{PERIOD}&by=ledger&rate=solved")).json()["worst"]
    assert worst is None or worst["rates"]["solved"]["denominator"] >= 20
    listed = await demo_client.get(f"/maps/rates/cases?{PERIOD}&by=ledger&rate=solved&part=missing&key=three_illegals")
    assert listed.status_code == 200
    assert "/?case=" in listed.text
    printed = await demo_client.get("/maps/rates/printed")
    assert "98.94 %" in printed.text
    assert "11,934–12,054" in printed.text


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("from=x&to=2026-02-30", ["maps.bad_date", "maps.bad_date"]),
        ("from=2026-03-02&to=2026-03-01", ["maps.date_order"]),
        ("by=planet&rate=luck&rate=solved", ["rates.unknown_dimension", "rates.unknown_rate"]),
        ("category=Z9&channel=Z9&ledger=Z9", ["maps.unknown_category", "maps.unknown_channel", "maps.unknown_ledger"]),
        ("department=Z9&cell=%00", ["maps.unknown_department", "maps.unknown_cell"]),
    ],
)
async def test_every_wrong_part_is_named_at_once(client: Client, query: str, codes: list[str]) -> None:
    for path in ("/v1/rates", "/maps/rates", "/v1/rates/solved/cases", "/maps/rates/file"):
        if path.endswith("cases") and "rate=" in query:
            continue
        answer = await client.get(f"{path}?{query}")
        assert answer.status_code == 422, (path, answer.text)
        assert [error["code"] for error in answer.json()["errors"]] == codes
    page = await client.get(f"/maps/rates?{query}", headers={"Accept": "text/html"})
    assert page.status_code == 422
    assert page.text.count('<li class="typed">') == len(codes)


async def test_refusals_and_empty_tables(client: Client, make_key: Callable[..., Awaitable[str]]) -> None:
    assert (await client.get("/v1/rates")).json()["rows"] == []
    assert (await client.get("/maps/rates")).status_code == 200
    assert (await client.get("/maps/rates/printed")).status_code == 200
    assert (await client.get("/v1/rates/luck/cases")).status_code == 422
    for query, code in (
        ("part=some", "rates.unknown_part"),
        ("key=%00", "rates.unknown_key"),
        ("cursor=zzz", "dispatch.bad_cursor"),
    ):
        answer = await client.get(f"/v1/rates/solved/cases?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await client.get("/maps/rates/file?form=pdf")).json()["code"] == "rates.unknown_form"
    key = await make_key(scopes=())
    assert (await client.get("/v1/rates", headers={"Authorization": f"Bearer {key}"})).status_code == 403


async def test_hostile_names_stay_text(client: Client, engine: AsyncEngine) -> None:
    await client.post("/v1/reports", json=report(ticket="h"))
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("UPDATE dispatch.channel SET name_zh = :name, name_en = :name"),
            {"name": "=1+1<script>hurt()</script>"},
        )
    page = await client.get("/maps/rates?by=channel")
    assert "<script>hurt" not in page.text
    assert "&lt;script&gt;hurt" in page.text
    file = await client.get("/maps/rates/file?by=channel")
    assert "'=1+1" in file.text


async def test_a_frozen_month_stays(demo_engine: AsyncEngine, demo_client: Client) -> None:
    now = datetime.now(ZONE)
    month = (now.replace(day=1) - timedelta(days=1)).date().replace(day=1)
    async with write_unit(demo_engine) as unit:
        assert await freeze_month(unit, JURISDICTION, "Asia/Shanghai", month) > 100
    name = month.strftime("%Y-%m")
    last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    live = (await demo_client.get(f"/v1/rates?from={month}&to={last}&by=channel")).json()
    frozen = (await demo_client.get(f"/v1/rates/months/{name}?by=channel")).json()
    assert frozen["total"]["rates"]["solved"]["numerator"] == live["total"]["rates"]["solved"]["numerator"]
    async with write_unit(demo_engine) as unit:
        await unit.connection.execute(text("UPDATE dispatch.dispatch_case SET state = 'voided' WHERE state = 'closed'"))
    again = (await demo_client.get(f"/v1/rates/months/{name}?by=channel")).json()
    assert again == frozen
    after = (await demo_client.get(f"/v1/rates?from={month}&to={last}&by=channel")).json()
    assert after["total"]["rates"]["solved"]["numerator"] == 0
    assert [each["month"] for each in (await demo_client.get("/v1/rates/months")).json()["months"]] == [name]
    missing = await demo_client.get("/v1/rates/months/2001-01")
    assert (missing.status_code, missing.json()["code"]) == (404, "rates.not_frozen")
    assert (await demo_client.get("/v1/rates/months/x")).status_code == 400
    with pytest.raises(ConflictError):
        async with write_unit(demo_engine) as unit:
            await freeze_month(unit, JURISDICTION, "Asia/Shanghai", month)
    with pytest.raises(ConflictError):
        async with write_unit(demo_engine) as unit:
            await freeze_month(unit, JURISDICTION, "Asia/Shanghai", date(now.year, now.month, 1))
    for statement in ("UPDATE dispatch.frozen_rate SET numerator = 0", "DELETE FROM dispatch.frozen_month"):
        with pytest.raises(DBAPIError):
            async with write_unit(demo_engine) as unit:
                await unit.connection.execute(text(statement))
    async with read_unit(demo_engine) as unit:
        assert [each.month for each in await list_frozen(unit, JURISDICTION)] == [month]
        with pytest.raises(NotFoundError):
            await read_frozen(unit, JURISDICTION, date(2001, 1, 1), Dimension.TOTAL, [Rate.SOLVED])
