"""The coverage proof over HTTP: classes, areas, shapes and sentences, for those who may read the grid."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest
import shapely
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import Scope
from geo.storage.grid_versions import copy_cells, create_draft
from geo.storage.uow import write_unit
from tests.builders import JURISDICTION, cell_records

DAMAGED = {
    "410102001": (113.60, 34.70, 113.62, 34.72),
    "410102001001": (113.60, 34.70, 113.61, 34.72),
    "410102001002": (113.61, 34.70, 113.615, 34.72),
    "410102001003": (113.612, 34.71, 113.618, 34.72),
}
URL = "/v1/grid/versions/{}/coverage"


@pytest.fixture
async def draft(engine: AsyncEngine, client: httpx.AsyncClient) -> int:
    """Add a damaged draft beside the district's active version."""
    async with write_unit(engine) as unit:
        version = await create_draft(unit, JURISDICTION, name="damaged", code_system="cn15", source="test")
        records = cell_records(DAMAGED)
        await copy_cells(unit, version.id, records, count=len(records))
    return version.number


async def test_findings_as_json_in_the_callers_language(client: httpx.AsyncClient, draft: int) -> None:
    found = (await client.get(URL.format(draft))).json()
    assert found["grid_version"]["status"] == "draft"
    assert [each["class"] for each in found["findings"]] == ["gap", "overlap"]
    gap, overlap = found["findings"]
    assert overlap["cells"] == ["410102001002", "410102001003"]
    assert overlap["parent"] == "410102001"
    assert overlap["severity"] == "error"
    assert overlap["bbox"] == [113.612, 34.71, 113.615, 34.72]
    assert overlap["sentence"] == f"410102001002, 410102001003 overlap by {overlap['area_m2']:,.2f} m²"
    assert shapely.geometry.shape(gap["geometry"]).area > 0
    assert found["coverage"]["is_proven"] is False
    chinese = await client.get(URL.format(draft), headers={"Accept-Language": "zh-CN"})
    assert "重叠" in chinese.json()["findings"][1]["sentence"]


async def test_findings_as_geojson_and_by_class(client: httpx.AsyncClient, draft: int) -> None:
    answer = await client.get(
        URL.format(draft), params={"class": "overlap"}, headers={"Accept": "application/geo+json"}
    )
    assert answer.headers["content-type"].startswith("application/geo+json")
    document = answer.json()
    assert [each["properties"]["class"] for each in document["features"]] == ["overlap"]
    assert document["matched"] == 1
    assert document["coverage"]["findings"] == 2
    again = await client.get(
        URL.format(draft),
        params={"class": "overlap"},
        headers={"Accept": "application/geo+json", "If-None-Match": answer.headers["etag"]},
    )
    assert again.status_code == 304
    assert (await client.get(URL.format(draft), params={"limit": 1})).json()["matched"] == 2
    assert (await client.get(URL.format(draft), params={"severity": "notice"})).json()["findings"] == []


async def test_the_active_version_is_proven(client: httpx.AsyncClient) -> None:
    found = (await client.get(URL.format(1))).json()
    assert found["coverage"]["is_proven"] is True
    assert found["coverage"]["proven_by_edges"] == found["coverage"]["families"]


async def test_unknown_versions_values_and_callers_are_refused(
    client: httpx.AsyncClient, make_key: Callable[..., Awaitable[str]]
) -> None:
    assert (await client.get(URL.format(99))).status_code == 404
    assert (await client.get(URL.format(0))).status_code == 422
    assert (await client.get(URL.format(1), params={"class": "nonsense"})).status_code == 422
    key = await make_key(scopes=(Scope.REPORTS_CREATE,))
    refused = await client.get(URL.format(1), headers={"Authorization": f"Bearer {key}"})
    assert refused.status_code == 403
