"""Codes of cells at the doors: systems, checks, the next free ones; and nobody's system is made up."""

from __future__ import annotations

from tests.builders import WEST
from tests.flow.conftest import Client

PLACES = [{"key": "east", "lon": 113.7, "lat": 34.7}, {"key": "north", "lon": 113.6, "lat": 34.8}]


async def test_systems_checks_and_the_next_codes(client: Client) -> None:
    systems = (await client.get("/v1/grid/code-systems")).json()["code_systems"]
    digits = {one["name"]: one["digits"].get("3") for one in systems}
    assert digits == {"free": None, "cn14": 14, "cn15": 15, "cn16": 16, "cn20": 20}

    codes = [
        {"code": WEST, "level": 2, "parent": WEST[:9]},
        {"code": "４10102001001", "level": 2},
        {"code": f"{WEST}1", "level": 3, "parent": WEST},
        {"code": "410102999001", "level": 2, "parent": "410102001"},
        {"code": "410102000", "level": 1},
    ]
    asked = {"code_system": "cn15", "codes": codes}
    answer = await client.post("/v1/grid/codes:check", json=asked, headers={"Accept-Language": "en"})
    wrong = [(one["pointer"], one["code"]) for one in answer.json()["wrong"]]
    assert wrong == [
        ("/codes/1/code", "geo.code_not_digits"),
        ("/codes/2/code", "geo.code_length"),
        ("/codes/3/code", "geo.code_not_under_parent"),
        ("/codes/4/code", "geo.code_zero_segment"),
    ]
    assert "410102001" in answer.json()["wrong"][2]["detail"]

    # A code that only an earlier version had is not given again, and west comes before east.
    number = (await client.post("/v1/grid/versions", json={})).json()["number"]
    edit = {"operation": "edit", "cell": f"{WEST}001", "set": {"code": f"{WEST}041"}}
    assert (await client.post(f"/v1/grid/versions/{number}/operations", json=edit)).status_code == 200
    answer = await client.post("/v1/grid/versions/1/codes:next", json={"parent": WEST, "places": PLACES})
    given = {one["key"]: one["code"] for one in answer.json()["codes"]}
    assert given == {"north": f"{WEST}042", "east": f"{WEST}043"}
    refused = await client.post("/v1/grid/versions/1/codes:next", json={"parent": "4101", "places": PLACES})
    assert (refused.status_code, refused.json()["code"]) == (400, "geo.code_no_parent")
    assert refused.json()["params"]["lengths"] == "6, 9, 12"
    # A row without height would be infinitely many.
    flat = {"parent": WEST, "places": PLACES, "row_deg": 5e-324}
    assert (await client.post("/v1/grid/versions/1/codes:next", json=flat)).status_code == 422


async def test_a_draft_has_a_code_system_that_is_known(client: Client) -> None:
    unknown = await client.post("/v1/grid/versions", json={"based_on": None, "code_system": "gb15"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "geo.code_system_unknown")
    assert unknown.json()["errors"][0]["pointer"] == "/code_system"
    other = await client.post("/v1/grid/versions", json={"code_system": "cn16"})
    assert other.json()["code_system"] == "cn16"
    refused = await client.post(f"/v1/grid/versions/{other.json()['number']}/activate")
    assert (refused.status_code, refused.json()["params"]["classes"]) == (409, ["code"])
