"""Coloured cells over the demo district: columns and database say the same, small counts stay hidden, files agree."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import create_key
from api.app import create_app
from api.settings import Settings
from dispatch.hotspots import MeasureFilter, measure_by_cell
from geo.storage.engine import create_engine
from geo.storage.uow import read_unit, write_unit
from maps.facts.asking import Asked, Grid
from maps.facts.keeping import FactKeeper
from maps.measures import Measure
from maps.own_files import check_no_foreign
from tests.builders import JURISDICTION, report
from tests.flow.conftest import ALL_SCOPES, Client

ZONE = ZoneInfo("Asia/Shanghai")
TODAY = datetime.now(ZONE).date()
YEAR = f"from={TODAY - timedelta(days=365)}&to={TODAY}"


@pytest.fixture
async def demo_engine(demo_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(demo_database, name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def demo(demo_database: str, demo_engine: AsyncEngine) -> AsyncIterator[Client]:
    async with write_unit(demo_engine) as unit:
        key = await create_key(unit, "patrol", ALL_SCOPES)
    app = create_app(Settings(database_url=demo_database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://gridward.test",
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "en"},
            timeout=30,
        ) as client,
    ):
        yield client


async def test_columns_and_policies_measure_the_same(demo_engine: AsyncEngine) -> None:
    """Who sees everything is answered from the columns, everybody else by the database; the numbers are the same."""
    store = await FactKeeper(demo_engine, JURISDICTION, None).current()
    async with read_unit(demo_engine) as unit:
        version = (await unit.connection.execute(text("SELECT max(id) FROM geo.grid_version"))).scalar_one()
        now = (await unit.connection.execute(text("SELECT now()"))).scalar_one()
        last = now.astimezone(ZONE).date()
        for days, level, words in (
            (400, 3, {}),
            (30, 2, {"channels": ("patrol",)}),
            (90, 1, {"categories": ("E0101", "E0401"), "states": ("closed",)}),
            (200, 3, {"ledgers": ("three_illegals",)}),
        ):
            first = last - timedelta(days=days)
            chosen = MeasureFilter(
                jurisdiction=JURISDICTION,
                version_id=version,
                reported_from=datetime.combine(first, datetime.min.time(), ZONE).astimezone(UTC),
                reported_until=datetime.combine(last + timedelta(days=1), datetime.min.time(), ZONE).astimezone(UTC),
                **words,
            )
            theirs = await measure_by_cell(unit.connection, chosen, level=level, as_of=now)
            asked = Asked(from_on=first, to_on=last, **{name: frozenset(word) for name, word in words.items()})
            ours = store.by_cell(asked, Grid(version_id=version, level=level), as_of=now, with_handling=True)
            assert ours.out_of_grid == (theirs["-out_of_grid"].cases if "-out_of_grid" in theirs else 0)
            for k, code in enumerate(ours.codes):
                found = theirs.get(code)
                if found is None:
                    assert ours.cases[k] == 0
                    continue
                assert (ours.cases[k], ours.decided[k], ours.late[k]) == (found.cases, found.decided, found.late)
                assert ours.handled[k] == found.handled
                assert found.median_minutes is None or ours.median_minutes[k] == found.median_minutes


async def test_every_measure_has_a_page_a_map_and_files(demo: Client) -> None:
    for measure in Measure:
        query = f"{YEAR}&measure={measure.value}"
        page = await demo.get(f"/maps/cells?{query}")
        assert page.status_code == 200, page.text
        address = re.search(r'src="(/maps/cells/frame\?[^"]*)" sandbox="allow-scripts"', page.text)
        assert address is not None
        frame = await demo.get(address.group(1).replace("&amp;", "&"))
        assert frame.status_code == 200
        check_no_foreign(frame.text)
        assert frame.headers["content-security-policy"].endswith("sandbox allow-scripts")
        single = await demo.get(f"/maps/cells/frame?{query}&inline=1")
        assert "/static/" not in single.text
        lines = list(csv.reader(io.StringIO((await demo.get(f"/maps/cells/file?{query}")).content.decode("utf-8-sig"))))
        features = json.loads((await demo.get(f"/maps/cells/file?{query}&form=geojson")).content)["features"]
        assert len(lines) - 1 == len(features) == 228
        for line, feature in zip(lines[1:], features, strict=True):
            value = feature["properties"][measure.value]
            assert line[0] == feature["id"]
            assert (line[3] == "") == (value is None)
            if value is not None:
                assert float(line[3]) == pytest.approx(value, rel=1e-5)
            assert feature["geometry"]["type"] == "MultiPolygon"


async def test_small_counts_are_in_no_file(demo: Client, demo_engine: AsyncEngine) -> None:
    query = f"{YEAR}&measure=count&category=E05&level=3"
    async with read_unit(demo_engine) as unit:
        rows = await unit.connection.execute(
            text(
                "SELECT cell_path[3], count(*) FROM dispatch.dispatch_case WHERE located_how = 'covers'"
                " AND state NOT IN ('voided', 'declined', 'merged') AND category_code LIKE 'E05%' GROUP BY 1"
            )
        )
        true = {row[0]: row[1] for row in rows}
    small = {code for code, cases in true.items() if cases < 5}
    assert small
    features = json.loads((await demo.get(f"/maps/cells/file?{query}&form=geojson")).content)["features"]
    hidden = {each["id"] for each in features if each["properties"]["cases"] is None}
    assert small <= hidden
    told = sum(each["properties"]["cases"] or 0 for each in features)
    assert sum(true.values()) - told >= 5 or not small
    frame = (await demo.get(f"/maps/cells/frame?{query}")).text
    counts = json.loads(re.search(r'"counts":(\[[^\]]*\])', frame).group(1))  # type: ignore[union-attr]
    codes = [each["id"] for each in features]
    assert all(counts[codes.index(code)] < 0 for code in small)


async def test_why_a_cell_is_red(demo: Client) -> None:
    page = await demo.get(f"/maps/cells?{YEAR}&measure=hot_spots")
    assert "Benjamini" in page.text
    why = re.search(r'href="\?([^"]*cell=[^"#]*)#why"', page.text)
    assert why is not None
    panel = (await demo.get(f"/maps/cells?{why.group(1).replace('&amp;', '&')}")).text
    for words in ("Why ", "Neighbours: ", "two-sided", "random maps", "not why"):
        assert words in panel, words
    for weights in ("nearest", "distance"):
        assert (await demo.get(f"/maps/cells?{YEAR}&measure=hot_spots&weights={weights}")).status_code == 200
    few = await demo.get(f"/maps/cells?{YEAR}&measure=hot_spots&level=1")
    assert "fewer than 30 cells" in few.text


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("from=2026-02-30", ["maps.bad_date"]),
        ("measure=luck&weights=love&level=9", ["maps.unknown_level", "maps.unknown_measure", "maps.unknown_weights"]),
        (
            "category=Z&channel=Z&ledger=Z&state=Z&cell=Z",
            [f"maps.unknown_{each}" for each in ("category", "channel", "ledger", "state", "cell")],
        ),
    ],
)
async def test_every_wrong_part_is_named_at_once(client: Client, query: str, codes: list[str]) -> None:
    for path in ("/maps/cells", "/maps/cells/frame", "/maps/cells/file"):
        answer = await client.get(f"{path}?{query}")
        assert answer.status_code == 422
        assert [error["code"] for error in answer.json()["errors"]] == codes
    assert (await client.get("/maps/cells/file?form=exe")).status_code == 400


async def test_a_new_report_is_on_the_map_at_once_and_hostile_names_stay_text(
    client: Client, engine: AsyncEngine, make_key: Callable[..., Awaitable[str]]
) -> None:
    for number in range(6):
        assert (await client.post("/v1/reports", json=report(ticket=f"h{number}"))).status_code == 201
        page = await client.get("/maps/cells?level=1")
        shown = "&lt;5" if number < 4 else str(number + 1)
        assert f"{shown} cases in" in page.text
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("UPDATE dispatch.category SET name_zh = :name, name_en = :name"),
            {"name": "{{ 7*7 }}<img src=x onerror=hurt()>"},
        )
    for path in ("/maps/cells", "/maps/cells?measure=hot_spots", "/maps/cells/frame"):
        found = (await client.get(path)).text
        assert "<img src=x" not in found
        assert "49<img" not in found
    key = await make_key(scopes=())
    assert (await client.get("/maps/cells", headers={"Authorization": f"Bearer {key}"})).status_code == 403
