"""OGC API – Features through HTTP: documents, filters, pages, access, faults, and two clients that others wrote."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import shapely
import uvicorn
import yaml
from jsonschema import Draft202012Validator
from owslib.ogcapi.features import Features
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.concurrency import run_in_threadpool

from api.accounts.keys import Scope
from api.app import create_app
from api.settings import Settings
from geo.storage.grid_versions import activate, copy_cells, create_draft
from geo.storage.taking_effect import await_effect
from geo.storage.uow import write_unit
from tests.builders import CELLS, EAST, INSIDE, JURISDICTION, L1, OUTSIDE, WEST, District, cell_records, report

Client = httpx.AsyncClient
GEOJSON = "application/geo+json"
ITEMS = "/ogc/collections/cells-3/items"
SCHEMAS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "ogcapi" / "schemas"
QUARTERS = sorted(code for code in CELLS if len(code) == 15)

#: The least that the standard asks of each document, in our words; used where its own schemas are not at hand.
OWN: dict[str, dict[str, Any]] = {
    "landingPage": {"required": ["links"], "properties": {"links": {"type": "array", "minItems": 4}}},
    "confClasses": {"required": ["conformsTo"], "properties": {"conformsTo": {"type": "array", "minItems": 1}}},
    "collections": {"required": ["links", "collections"], "properties": {"collections": {"type": "array"}}},
    "collection": {"required": ["id", "links"], "properties": {"id": {"type": "string"}}},
    "featureCollectionGeoJSON": {
        "required": ["type", "features", "links", "timeStamp"],
        "properties": {"type": {"const": "FeatureCollection"}, "features": {"type": "array"}},
    },
    "featureGeoJSON": {
        "required": ["type", "id", "geometry", "properties", "links"],
        "properties": {"type": {"const": "Feature"}},
    },
    "exception": {"required": ["type", "title", "status", "detail", "code", "description"]},
}


def check(body: Any, name: str) -> Any:
    """Validate against the standard's schema when it is at hand, and against ours always."""
    Draft202012Validator(OWN[name]).validate(body)
    if SCHEMAS.is_dir():
        loaded = {
            path.name: yaml.safe_load(path.read_text(encoding="utf-8").replace("type: null", 'type: "null"'))
            for path in SCHEMAS.glob("*.yaml")
        }
        # The files say `null` where JSON Schema has the word "null"; YAML reads it as nothing.
        registry: Registry[Any] = Registry().with_resources(
            (file, Resource.from_contents(_with_null(schema), default_specification=DRAFT202012))
            for file, schema in loaded.items()
        )
        schema = {"$ref": f"{name}.yaml"}
        Draft202012Validator(schema, registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
            body
        )
    return body


def _with_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _type(each) if key == "type" else _with_null(each) for key, each in value.items()}
    return [_with_null(each) for each in value] if isinstance(value, list) else value


def _type(value: Any) -> Any:
    if isinstance(value, list):
        return ["null" if each is None else each for each in value]
    return _with_null(value) if value is not None else "null"


async def get(client: Client, path: str, name: str, **query: str) -> Any:
    answer = await client.get(path, params=query or None)
    assert answer.status_code == 200, answer.text
    return check(answer.json(), name)


def ids(body: Any) -> list[str]:
    return [feature["id"] for feature in body["features"]]


def rel(body: Any, name: str) -> str | None:
    return next((link["href"] for link in body["links"] if link["rel"] == name), None)


async def test_from_the_landing_page_everything_is_found(client: Client) -> None:
    landing = await get(client, "/ogc", "landingPage")
    assert {link["rel"] for link in landing["links"]} >= {"self", "service-desc", "conformance", "data"}
    for link in landing["links"]:
        answer = await client.get(link["href"])
        assert answer.status_code == 200
    conformance = check((await client.get(rel(landing, "conformance") or "")).json(), "confClasses")
    assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in conformance["conformsTo"]
    document = (await client.get(rel(landing, "service-desc") or "")).json()
    assert document["openapi"].startswith("3.1"), "the class declared is that of OpenAPI 3.1"
    assert "/ogc/collections/{collection}/items" in document["paths"]
    collections = check((await client.get(rel(landing, "data") or "")).json(), "collections")
    assert [each["id"] for each in collections["collections"]] == ["cells-1", "cells-2", "cells-3", "cases"]
    for each in collections["collections"]:
        check(each, "collection")
        alone = await get(client, urlsplit(rel(each, "self") or "").path, "collection")
        assert alone == each
        assert each["extent"]["spatial"]["bbox"] == [[113.6, 34.74, 113.64, 34.78]]
        for link in each["links"]:
            assert (await client.get(link["href"])).status_code == 200, link


async def test_items_are_complete_and_wound_the_right_way(client: Client) -> None:
    body = await get(client, ITEMS, "featureCollectionGeoJSON")
    assert ids(body) == QUARTERS
    assert (body["numberMatched"], body["numberReturned"]) == (4, 4)
    assert body["timeStamp"].endswith("Z")
    assert rel(body, "next") is None
    feature = body["features"][0]
    assert feature["properties"]["name"] == "Cell 001"
    assert feature["properties"]["parent"] == WEST
    assert feature["properties"]["valid_from"] == "2020-01-01T00:00:00Z"
    assert feature["properties"]["valid_until"] is None
    assert feature["bbox"] == [113.6, 34.74, 113.62, 34.76]
    for each in body["features"]:
        shape = shapely.geometry.shape(each["geometry"])
        assert all(part.exterior.is_ccw for part in shape.geoms)
    answer = await client.get(ITEMS)
    assert answer.headers["content-type"] == GEOJSON
    top = await get(client, "/ogc/collections/cells-1/items", "featureCollectionGeoJSON")
    assert ids(top) == [L1]


async def test_one_feature(client: Client) -> None:
    body = await get(client, f"{ITEMS}/{WEST}001", "featureGeoJSON")
    assert body["id"] == f"{WEST}001"
    assert (await client.get(rel(body, "self") or "")).json()["id"] == body["id"]
    assert (await client.get(rel(body, "collection") or "")).json()["id"] == "cells-3"
    for path in (f"{ITEMS}/{WEST}", f"{ITEMS}/nothing", f"{ITEMS}/{WEST}001@9", f"{ITEMS}/a%00b", f"{ITEMS}/x@y"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "ogc.unknown_feature"), path
        check(answer.json(), "exception")


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ("113.605,34.745,113.61,34.75", [f"{WEST}001"]),
        ("113.605,34.745,-100,113.61,34.75,9000", [f"{WEST}001"]),
        ("113.62,34.76,113.62,34.76", QUARTERS),
        ("113.605,34.745,113.635,34.746", [f"{WEST}001", f"{EAST}002"]),
        ("100,30,101,31", []),
        ("-180,-90,180,90", QUARTERS),
        ("113.63,34,-170,35", [f"{EAST}001", f"{EAST}002"]),
        ("179,34,113.605,35", [f"{WEST}001", f"{WEST}003"]),
        ("179,34,-179,35", []),
    ],
)
async def test_boxes(client: Client, box: str, expected: list[str]) -> None:
    body = await get(client, ITEMS, "featureCollectionGeoJSON", bbox=box)
    assert ids(body) == expected
    assert body["numberMatched"] == len(expected)


async def test_pages_follow_each_other_without_gap_or_repeat(client: Client) -> None:
    found: list[str] = []
    url: str | None = f"{ITEMS}?limit=1&bbox=113,34,114,35"
    pages = 0
    while url is not None:
        answer = await client.get(url)
        body = check(answer.json(), "featureCollectionGeoJSON")
        found += ids(body)
        assert body["numberMatched"] == 4
        assert rel(body, "self") == str(answer.url)
        url = rel(body, "next")
        assert (url is not None) == ("link" in answer.headers)
        pages += 1
    assert (found, pages) == (QUARTERS, 4)


async def test_values_of_properties(client: Client) -> None:
    body = await get(client, ITEMS, "featureCollectionGeoJSON", parent=EAST)
    assert ids(body) == [f"{EAST}001", f"{EAST}002"]
    assert ids(await get(client, ITEMS, "featureCollectionGeoJSON", kind="micro")) == []
    assert ids(await get(client, ITEMS, "featureCollectionGeoJSON", code=f"{WEST}003", f="json")) == [f"{WEST}003"]


async def test_time_chooses_the_version(client: Client, engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        draft = await create_draft(unit, JURISDICTION, name="second", code_system="cn15", source="test")
        rows = cell_records({code: box for code, box in CELLS.items() if code != f"{EAST}002"})
        await copy_cells(unit, draft.id, rows, count=len(rows))
        version = await activate(unit, draft.id)
        await create_draft(unit, JURISDICTION, name="third", code_system="cn15", source="test")
    await await_effect(engine, version.valid_from)
    now = [code for code in QUARTERS if code != f"{EAST}002"]
    before = [f"{code}@1" for code in QUARTERS]

    async def at(text: str) -> list[str]:
        return ids(await get(client, ITEMS, "featureCollectionGeoJSON", datetime=text))

    assert ids(await get(client, ITEMS, "featureCollectionGeoJSON")) == now
    assert await at("2024-03-01T00:00:00Z") == before
    assert await at("2024-03-01") == before
    assert await at("2019-12-31T00:00:00Z") == []
    assert await at("../2019-12-31T00:00:00Z") == []
    assert await at("2199-01-01T00:00:00Z/..") == now
    assert await at("2024-03-01T00:00:00Z/..") == before + now
    assert await at("../..") == before + now
    old = await get(client, f"{ITEMS}/{EAST}002@1", "featureGeoJSON")
    assert old["properties"]["version"] == 1
    assert old["properties"]["valid_until"] is not None
    assert (await client.get(f"{ITEMS}/{EAST}002")).status_code == 404
    # A page may end inside one version; the next begins there.
    first = (await client.get(f"{ITEMS}?datetime=../..&limit=3")).json()
    second = (await client.get(rel(first, "next") or "")).json()
    assert ids(first) + ids(second) == (before + now)[:6]


async def test_cases_for_those_who_may_read_them(client: Client, make_key: Callable[..., Awaitable[str]]) -> None:
    for ticket, (lon, lat) in {"a": INSIDE, "b": (113.63, 34.77), "c": OUTSIDE}.items():
        made = await client.post("/v1/reports", json=report(ticket=ticket, lon=lon, lat=lat))
        assert made.status_code == 201
    no_place = await client.post(
        "/v1/reports", json=report(ticket="d", lon=None, lat=None, coord_sys=None, address="x")
    )
    assert no_place.status_code == 201
    path = "/ogc/collections/cases/items"
    body = await get(client, path, "featureCollectionGeoJSON")
    assert (body["numberMatched"], body["numberReturned"]) == (4, 4)
    assert sum(feature["geometry"] is None for feature in body["features"]) == 1
    inside = await get(client, path, "featureCollectionGeoJSON", bbox="113.6,34.74,113.64,34.78")
    assert inside["numberMatched"] == 2
    across = await get(client, path, "featureCollectionGeoJSON", bbox="113.62,34.74,113.6,34.78")
    assert across["numberMatched"] == 2, "all around the world from the east half to the west of the district"
    assert (await get(client, path, "featureCollectionGeoJSON", cell=WEST))["numberMatched"] == 1
    assert (await get(client, path, "featureCollectionGeoJSON", status="closed"))["features"] == []
    day = body["features"][0]["properties"]["reported_at"]
    assert (await get(client, path, "featureCollectionGeoJSON", datetime=day))["numberMatched"] == 1
    assert (await get(client, path, "featureCollectionGeoJSON", datetime=f"../{day}"))["numberMatched"] == 4
    assert (await get(client, path, "featureCollectionGeoJSON", datetime="../2020-01-01"))["features"] == []
    found, url = [], f"{path}?limit=3"
    for _ in range(2):
        page = check((await client.get(url)).json(), "featureCollectionGeoJSON")
        found += ids(page)
        url = rel(page, "next") or ""
    assert url == ""
    assert found == ids(body)
    one = await get(client, f"{path}/{found[0]}", "featureGeoJSON")
    assert one["properties"]["case"] == found[0]
    assert (await client.get(f"{path}/nothing")).status_code == 404

    key = await make_key("other", (Scope.LOCATE, Scope.CASES_READ))
    headers = {"Authorization": f"Bearer {key}"}
    listed = (await client.get("/ogc/collections", headers=headers)).json()["collections"]
    assert [each["id"] for each in listed] == ["cells-1", "cells-2", "cells-3"]
    for hidden in ("/ogc/collections/cases", path, f"{path}/{found[0]}"):
        answer = await client.get(hidden, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "ogc.unknown_collection")
        assert "cases" not in answer.json()["params"]["known"]


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (f"{ITEMS}?colour=red", "ogc.unknown_parameter"),
        (f"{ITEMS}?limit=0", "ogc.bad_limit"),
        (f"{ITEMS}?limit=5&limit=6", "ogc.repeated"),
        (f"{ITEMS}?bbox=1,2,3", "ogc.bad_bbox"),
        (f"{ITEMS}?datetime=now", "ogc.bad_datetime"),
        (f"{ITEMS}?cursor=YWJj", "ogc.bad_cursor"),
        (f"{ITEMS}?f=html", "ogc.bad_form"),
        (f"{ITEMS}?kind=%00", "ogc.bad_value"),
        (f"{ITEMS}/{WEST}001?limit=1", "ogc.unknown_parameter"),
        ("/ogc?x=1", "ogc.unknown_parameter"),
        ("/ogc/conformance?x=1", "ogc.unknown_parameter"),
        ("/ogc/collections?x=1", "ogc.unknown_parameter"),
        ("/ogc/collections/cells-1?x=1", "ogc.unknown_parameter"),
        ("/ogc/collections/cases/items?status=asleep", "ogc.bad_value"),
        ("/ogc/collections/cases/items?cursor=YWJj", "ogc.bad_cursor"),
        ("/ogc/collections/cases/items?kind=micro", "ogc.unknown_parameter"),
    ],
)
async def test_what_is_wrong_is_400_and_named(client: Client, path: str, fault: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 400, answer.text
    body = check(answer.json(), "exception")
    assert body["code"] == "ogc.bad_query"
    assert [each["code"] for each in body["errors"]] == [fault]
    assert body["description"] == body["detail"]


async def test_what_is_not_there_is_404_and_a_key_is_needed(client: Client) -> None:
    for path in ("/ogc/collections/cells-4", "/ogc/collections/cells-4/items", "/ogc/collections/x/items/y"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "ogc.unknown_collection")
        check(answer.json(), "exception")
    refused = await client.get("/ogc", headers={"Authorization": ""})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"]
    check(refused.json(), "exception")


async def test_before_any_grid_there_are_no_cells(database: str, make_key: Callable[..., Awaitable[str]]) -> None:
    key = await make_key(scopes=tuple(Scope))
    app = create_app(Settings(database_url=database))
    transport = httpx.ASGITransport(app=app)
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gridward.test", headers=headers) as client,
    ):
        found = await get(client, "/ogc/collections", "collections")
        assert [each["id"] for each in found["collections"]] == ["cases"]
        assert (await client.get("/tiles/cells/0/0/0.mvt")).status_code == 204
        assert "bounds" not in (await client.get("/tiles/cells.json")).json()


@pytest.fixture
async def address(district: District, database: str) -> AsyncIterator[str]:
    """Serve on a real port of this machine, where no key is needed, for clients that open connections of their own."""
    config = uvicorn.Config(create_app(Settings(database_url=database)), port=0, log_level="warning")
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    await task


async def test_owslib_reads_it(address: str) -> None:
    """PyPI's OWSLib, as scripts use it."""

    def read() -> tuple[list[str], list[str], dict[str, Any]]:
        service = Features(f"{address}/ogc")
        assert "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core" in service.conformance()["conformsTo"]
        items = service.collection_items("cells-3", bbox=[113.605, 34.745, 113.61, 34.75], limit=10)
        return service.feature_collections(), ids(items), service.collection_item("cells-2", WEST)

    names, found, one = await run_in_threadpool(read)
    assert names == ["cells-1", "cells-2", "cells-3", "cases"]
    assert found == [f"{WEST}001"]
    assert one["properties"]["code"] == WEST


async def test_gdal_opens_it(address: str, tmp_path: Path) -> None:
    """Debian's gdal-bin, which is what QGIS reads with; `./gridward test` installs it."""
    assert shutil.which("ogr2ogr"), "gdal-bin is part of the test set-up"
    environment = os.environ | {"GDAL_HTTP_TIMEOUT": "20", "OGR_OAPIF_PAGE_SIZE": "2"}

    def run(*command: str) -> str:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    layers = await run_in_threadpool(run, "ogrinfo", "-q", f"OAPIF:{address}/ogc")
    assert all(name in layers for name in ("cells-1", "cells-2", "cells-3", "cases"))
    target = tmp_path / "cells.geojson"
    await run_in_threadpool(
        run, "ogr2ogr", "-f", "GeoJSON", str(target), f"OAPIF:{address}/ogc", "cells-3", "-oo", "PAGE_SIZE=2"
    )
    found = json.loads(target.read_text(encoding="utf-8"))
    assert sorted(feature["properties"]["code"] for feature in found["features"]) == QUARTERS, "all pages"
    some = tmp_path / "some.geojson"
    box = ("-spat", "113.605", "34.745", "113.61", "34.75")
    await run_in_threadpool(run, "ogr2ogr", "-f", "GeoJSON", *box, str(some), f"OAPIF:{address}/ogc", "cells-3")
    found = json.loads(some.read_text(encoding="utf-8"))
    assert [feature["properties"]["code"] for feature in found["features"]] == [f"{WEST}001"]
