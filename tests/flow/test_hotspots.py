"""Statistics over HTTP on the demo district: methods named, small counts closed, equal to the functions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import create_key
from api.app import create_app
from api.settings import Settings
from dispatch.states import CaseState
from geo.storage.engine import create_engine
from geo.storage.uow import read_unit, write_unit
from maps.facts.asking import Asked, Grid, day_of
from maps.facts.keeping import FactKeeper
from maps.hotspots.sites import find_repeat_sites
from tests.builders import JURISDICTION
from tests.flow.conftest import ALL_SCOPES, Client

EVER = "from=2020-01-01&to=2029-12-30"


@pytest.fixture
async def engine_of_demo(demo_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(demo_database, name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def demo(demo_database: str, engine_of_demo: AsyncEngine) -> AsyncIterator[Client]:
    async with write_unit(engine_of_demo) as unit:
        key = await create_key(unit, "patrol", ALL_SCOPES)
    app = create_app(Settings(database_url=demo_database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://gridward.test",
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "en"},
            timeout=60,
        ) as client,
    ):
        yield client


async def test_every_statistic_names_its_method_and_closes_small_counts(demo: Client) -> None:
    for path in ("", "/moran", "/rates", "/emerging", "/finders"):
        answer = await demo.get(f"/v1/hotspots{path}?{EVER}&category=E04")
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["drawing"]["boundaries"] == "now"
        assert all(each["source"] and each["unit"] and each["means_not"] for each in body["methods"])
        for cell in body["cells"]:
            assert cell.get("cases") is None or cell["cases"] == 0 or cell["cases"] >= 5
    body = (await demo.get(f"/v1/hotspots?{EVER}&null=conditional&permutations=9999&seed=7")).json()
    assert (body["permutations"], body["seed"], body["null"]) == (9999, 7, "conditional")
    again = (await demo.get(f"/v1/hotspots?{EVER}&null=conditional&permutations=9999&seed=7")).json()
    assert again["cells"] == body["cells"]
    few = (await demo.get(f"/v1/hotspots?{EVER}&level=1")).json()
    assert few["too_few_cells"]
    assert not few["is_tested"]
    assert {cell["tone"] for cell in few["cells"]} == {"none"}
    for weights in ("nearest", "distance"):
        body = (await demo.get(f"/v1/hotspots?{EVER}&weights={weights}")).json()
        assert body["weights"]["kind"] == weights
        assert body["weights"]["parameter"]


async def test_why_a_cell_is_red_adds_up(demo: Client) -> None:
    cells = (await demo.get(f"/v1/hotspots?{EVER}")).json()["cells"]
    for cell in cells[:5]:
        why = (await demo.get(f"/v1/hotspots/cells/{cell['code']}?{EVER}")).json()
        assert (why["z"], why["p"], why["q"], why["tone"]) == (cell["z"], cell["p"], cell["q"], cell["tone"])
        assert len(why["neighbours"]) == cell["neighbours"] == why["terms"] - 1
        assert why["does_not_mean"]
        if why["sum"] is not None:
            assert why["sum"] == why["cases"] + sum(each["cases"] for each in why["neighbours"])
    assert (await demo.get(f"/v1/hotspots/cells/nowhere?{EVER}")).status_code == 404


async def test_repeat_sites_near_repeats_and_finders_say_what_the_facts_say(
    demo: Client, engine_of_demo: AsyncEngine
) -> None:
    store = await FactKeeper(engine_of_demo, JURISDICTION, None).current()
    body = (await demo.get(f"/v1/hotspots/repeat-sites?{EVER}&limit=1000")).json()
    async with read_unit(engine_of_demo) as unit:
        version = (await unit.connection.execute(text("SELECT max(id) FROM geo.grid_version"))).scalar_one()
    ever = Asked(from_on=day_of(0), to_on=day_of(65_000))
    places = store.places_and_days(ever, version)
    sites = find_repeat_sites(places["row"] * 2**20 + places["column"], places["category"], places["day"])
    assert body["found"] == len(sites) > 0
    assert [site["cases"] for site in body["sites"][:50]] == [site.cases for site in sites[:50]]
    assert min(site["cases"] for site in body["sites"]) >= 5
    knox = await demo.get("/v1/hotspots/near-repeats?category=E0401")
    assert knox.status_code == 200, knox.text
    assert {"up_to_m", "up_to_days", "observed", "expected", "ratio", "p"} <= set(knox.json()["bands"][0])
    finders = (await demo.get(f"/v1/hotspots/finders?{EVER}")).json()
    whole = store.by_cell(ever, Grid(version_id=version, level=3), as_of=datetime(2026, 1, 1, tzinfo=UTC))
    assert finders["patrol"] + finders["citizen"] == int(whole.cases.sum())


async def test_clusters_hold_every_located_case_at_every_zoom(demo: Client, engine_of_demo: AsyncEngine) -> None:
    states = sorted({s.value for s in CaseState} - {"voided", "declined", "merged"})
    async with read_unit(engine_of_demo) as unit:
        located = (
            await unit.connection.execute(
                text("SELECT count(*) FROM dispatch.dispatch_case WHERE cell_id IS NOT NULL AND state = ANY (:states)"),
                {"states": states},
            )
        ).scalar_one()
    store = await FactKeeper(engine_of_demo, JURISDICTION, None).current()
    ever = Asked(from_on=day_of(0), to_on=day_of(65_535))
    some = Asked(from_on=day_of(0), to_on=day_of(65_535), categories=frozenset({"E04"}))
    for zoom in range(0, 20, 3):
        found = store.clusters(ever, 0, zoom, (113, 34, 114, 35))
        assert int(found.cases.sum()) == located
        mean_column = (found.cases * found.middle_column).sum() / located
        assert abs(mean_column * store.words.side_lon - 113.64) < 0.1
        assert int(store.clusters(some, 0, zoom, (113, 34, 114, 35)).cases.sum()) < located
    answer = await demo.get("/v1/clusters?bbox=113,34,114,35&zoom=12&every=1")
    assert answer.status_code == 200, answer.text
    for feature in answer.json()["features"]:
        cases = feature["properties"]["cases"]
        assert cases is None or cases >= 5
    assert np.all(store.clusters(ever, 0, 15, (0, 0, 1, 1)).cases == 0)


async def test_a_wrong_word_is_named_with_its_field(demo: Client) -> None:
    wrong = {
        "boundaries": "mixed",
        "weights": "queen",
        "null": "none",
        "permutations": "9999999",
        "seed": "-1",
        "level": "9",
        "category": "<script>",
        "from": "2026-99-01",
    }
    for name, word in wrong.items():
        answer = await demo.get("/v1/hotspots", params={name: word})
        assert answer.status_code == 422, name
        assert f"/{name}" in {each["pointer"] for each in answer.json()["errors"]}
    assert (await demo.get("/v1/hotspots?permutations=10")).status_code == 422
    assert (await demo.get("/v1/hotspots/emerging?step=hour")).status_code == 422
    assert (await demo.get("/v1/clusters?bbox=nan,1,2,3&zoom=3")).status_code == 400
    assert (await demo.get("/v1/clusters?bbox=1,2,3&zoom=3")).status_code == 400
