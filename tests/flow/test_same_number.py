"""The same number everywhere: columns of the maps, SQL of the tables, API and file, on random filters.

Cases reported in a period and neither voided, merged nor declined are the map's count and the denominator of "solved".
"""

from __future__ import annotations

import csv
import io
import os
import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import create_key
from api.app import create_app
from api.settings import Settings
from dispatch.evaluation import Cells, Dimension, Rate
from dispatch.rates import RateFilter, count_rates
from geo.storage.engine import create_engine
from geo.storage.grid_versions import find_active
from geo.storage.uow import read_unit, write_unit
from maps.facts.asking import Asked, Grid
from maps.facts.keeping import FactKeeper
from tests.builders import JURISDICTION
from tests.flow.conftest import ALL_SCOPES

ZONE = ZoneInfo("Asia/Shanghai")
#: A thousand with GRIDWARD_THOROUGH=1; every run draws the same ones.
FILTERS = 1000 if os.environ.get("GRIDWARD_THOROUGH") else 60


@pytest.fixture
async def demo_engine(demo_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(demo_database, name="test")
    yield engine
    await engine.dispose()


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, ZONE).astimezone(UTC)


async def test_columns_and_tables_count_the_same_on_random_filters(demo_engine: AsyncEngine) -> None:
    store = await FactKeeper(demo_engine, JURISDICTION, None).current()
    words, chance = store.words, random.Random(41)
    levels = {1: Dimension.LEVEL_1, 2: Dimension.LEVEL_2, 3: Dimension.LEVEL_3}
    minor = [code for code, parent in zip(words.categories, words.parents, strict=True) if parent]
    compared = 0
    async with read_unit(demo_engine, snapshot=True) as unit:
        version = await find_active(unit, JURISDICTION)
        assert version is not None
        for _ in range(FILTERS):
            first = datetime.now(ZONE).date() - timedelta(days=chance.randrange(420))
            last = first + timedelta(days=chance.randrange(120))
            kinds = chance.choice([None, chance.sample(minor, 1), chance.sample(minor, 4)])
            channels = chance.choice([None, None, chance.sample(words.channels, 2)])
            ledgers = chance.choice([None, None, [chance.choice(words.ledgers)]])
            level = chance.choice((1, 2, 3))
            asked = Asked(
                from_on=first,
                to_on=last,
                categories=None if kinds is None else frozenset(kinds),
                channels=None if channels is None else frozenset(channels),
                ledgers=None if ledgers is None else frozenset(ledgers),
            )
            chosen = RateFilter(
                jurisdiction=JURISDICTION,
                period_from=_midnight(first),
                period_until=_midnight(last + timedelta(days=1)),
                categories=None if kinds is None else tuple(kinds),
                channels=None if channels is None else tuple(channels),
                ledgers=None if ledgers is None else tuple(ledgers),
                cells=Cells.OWN_DAY,
                drawing=version.id,
            )
            ours = store.by_cell(asked, Grid(version_id=version.id, level=level), as_of=datetime.now(UTC))
            table = await count_rates(unit, chosen, levels[level], [Rate.SOLVED])
            theirs = {
                row.key: row.counts[Rate.SOLVED][1] for row in table.rows if row.key and row.counts[Rate.SOLVED][1]
            }
            assert {c: n for c, n in zip(ours.codes, ours.cases.tolist(), strict=True) if n} == theirs, asked
            assert store.count(asked) == table.total.counts[Rate.SOLVED][1], asked
            compared += 1 + len(theirs)
    assert compared > FILTERS


async def test_api_file_and_statistics_say_the_same(demo_database: str, demo_engine: AsyncEngine) -> None:
    async with write_unit(demo_engine) as unit:
        key = await create_key(unit, "patrol", ALL_SCOPES)
    app, chance = create_app(Settings(database_url=demo_database)), random.Random(6)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://gridward.test",
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "en"},
            timeout=60,
        ) as client,
    ):
        for _ in range(FILTERS // 10):
            last = datetime.now(ZONE).date() - timedelta(days=chance.randrange(200))
            first = last - timedelta(days=chance.randrange(1, 200))
            level = chance.choice((2, 3))
            query = f"from={first}&to={last}" + chance.choice(["", "&category=E04", "&channel=patrol"])
            answer = await client.get(f"/v1/rates?{query}&by=level_{level}&rate=solved")
            assert answer.status_code == 200, answer.text
            rates = answer.json()
            table = {row["key"]: row["rates"]["solved"]["denominator"] for row in rates["rows"]}
            text = (await client.get(f"/maps/rates/file?{query}&by=level_{level}&rate=solved")).content
            lines = list(csv.reader(io.StringIO(text.decode("utf-8-sig"))))
            assert {line[1]: int(line[4]) for line in lines[2:]} == table
            sheet = (await client.get(f"/maps/cells/file?{query}&level={level}&form=csv")).content.decode("utf-8-sig")
            for line in csv.reader(io.StringIO(sheet)):
                if len(line) > 2 and line[2].isdigit():
                    assert table.get(line[0], 0) == int(line[2]), (query, line)
            drawn = (await client.get(f"/maps/cells/file?{query}&level={level}&form=geojson")).json()["features"]
            for feature in drawn:
                if feature["properties"]["cases"] is not None:
                    assert table.get(feature["id"], 0) == feature["properties"]["cases"], (query, feature["id"])
            spots = (await client.get(f"/v1/hotspots?{query}&level={level}&null=analytic")).json()
            for cell in spots["cells"]:
                if cell["cases"] is not None:
                    assert table.get(cell["code"], 0) == cell["cases"], (query, cell)
        today = datetime.now(ZONE).date()
        wall = {rate["code"]: rate for rate in (await client.get("/v1/wall")).json()["rates"]}
        for code, shown in wall.items():
            rates = (await client.get(f"/v1/rates?from={today}&to={today}&by=total&rate={code}")).json()
            told = rates["total"]["rates"][code]
            assert (shown["numerator"], shown["denominator"]) == (told["numerator"], told["denominator"])
