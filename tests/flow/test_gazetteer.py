"""The gazetteer over HTTP: import, search, remove."""

from __future__ import annotations

import pytest

from tests.builders import INSIDE, WEST
from tests.flow.conftest import Client

CSV = (
    "编号,名称,类型,经度,纬度,别名\n"
    f"1,锦绣小区,小区,{INSIDE[0]},{INSIDE[1]},老纺织厂院\n"
    "2,幸福里,楼院,113.615,34.745,\n"
)


@pytest.fixture
async def places(client: Client) -> Client:
    """Give a client with two places in the gazetteer."""
    answer = await client.post("/v1/places:import?coord_sys=wgs84", content=CSV.encode())
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"stored": 2, "removed": 0, "total": 2, "dry_run": False}
    return client


async def test_words_find_places_with_their_cells(places: Client) -> None:
    body = (await places.get("/v1/places", params={"q": "中原区老纺织厂院 3 号楼"})).json()
    assert body["is_sure"]
    assert body["places"][0]["name"] == "锦绣小区"
    assert [cell["code"] for cell in body["places"][0]["chain"]][-1] == f"{WEST}001"
    assert not (await places.get("/v1/places", params={"q": "锦绣"})).json()["is_sure"]
    assert (await places.get("/v1/places", params={"q": "火星"})).json()["places"] == []


async def test_importing_again_changes_and_replacing_removes(places: Client) -> None:
    again = CSV.replace("锦绣小区", "锦绣花园").encode()
    assert (await places.post("/v1/places:import?coord_sys=wgs84", content=again)).json()["total"] == 2
    dry = await places.post("/v1/places:import?coord_sys=wgs84&replace=true&dry_run=true", content=again[:80])
    assert dry.status_code in {200, 422}
    only = "名称,经度,纬度\n锦绣花园,113.61,34.75\n".encode()
    answer = (await places.post("/v1/places:import?coord_sys=wgs84&replace=true", content=only)).json()
    assert (answer["removed"], answer["total"]) == (2, 1)
    found = (await places.get("/v1/places", params={"q": "锦绣花园"})).json()["places"]
    assert (await places.delete(f"/v1/places/{found[0]['id']}")).status_code == 204
    assert (await places.delete(f"/v1/places/{found[0]['id']}")).status_code == 404


async def test_a_file_without_its_coordinate_system_is_refused_with_every_line(client: Client) -> None:
    answer = await client.post("/v1/places:import", content=CSV.encode())
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/0/coord_sys", "/1/coord_sys"]
