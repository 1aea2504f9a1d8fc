"""The wall's numbers: the same as everybody's, without anybody in them, for a key that opens nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import psycopg

from api.accounts.keys import NewKey, Scope, issue_key
from geo.storage.engine import dsn
from geo.storage.uow import write_unit
from tests.builders import EAST, WEST, report
from tests.flow.conftest import Client


async def test_the_walls_numbers_are_those_of_rates_and_inboxes(
    client: Client, database: str, make_key: Callable[..., Awaitable[str]]
) -> None:
    refs = [(await client.post("/v1/reports", json=report(ticket=f"W{n}"))).json()["case"] for n in range(6)]
    await client.post("/v1/reports", json=report(ticket="E", lon=113.63, lat=34.75))
    await client.post("/v1/reports", json=report(ticket="O", lon=113.2, lat=34.2))
    for place, move in enumerate(("acknowledge", "report_back", "close")):
        for ref in refs[: 3 - place]:
            done = await client.post(
                f"/v1/cases/{ref}/moves", json={"move": move, "result": "x"}, headers={"If-Match": f'"{place + 1}"'}
            )
            assert done.status_code in {200, 409}, done.text
    with psycopg.connect(dsn(database), autocommit=True) as connection:
        connection.execute(
            "UPDATE dispatch.dispatch_case SET due_at = now() - interval '90 minutes', warn_at = now() - interval '2 h'"
            " WHERE ref = ANY (%s)",
            (refs[4:],),
        )
    wall = (await client.get("/v1/wall")).json()
    rates = (await client.get("/v1/rates", params={"from": wall["day"], "to": wall["day"], "by": "total"})).json()
    for rate in wall["rates"]:
        asked = {"from": wall["day"], "to": wall["day"], "by": "total", "rate": rate["code"]}
        total = (await client.get("/v1/rates", params=asked)).json()["total"]["rates"][rate["code"]]
        assert {name: rate[name] for name in ("numerator", "denominator", "percent")} == {
            name: total[name] for name in ("numerator", "denominator", "percent")
        }
    assert rates["total"]["rates"]["solved"]["denominator"] == 8
    inboxes = (await client.get("/v1/inboxes")).json()["counts"]
    assert wall["now"]["open"] == inboxes["all"]
    assert wall["now"]["to_dispatch"] == inboxes["to_dispatch"] + inboxes["out_of_grid"] == 1
    lights = [case["light"] for case in (await client.get("/v1/cases?status=open")).json()["cases"]]
    assert wall["now"]["overdue"] == lights.count("red") == 2
    assert [one["case"] for one in wall["overdue"]] == sorted(refs[4:])
    assert sum(rung["count"] for rung in wall["ladder"]) == 2
    assert wall["places"][0]["code"] == WEST
    assert {place["code"] for place in wall["places"]} == {WEST, EAST, ""}
    assert sum(place["open"] for place in wall["places"]) == len(lights)
    assert wall["cells"][f"{WEST}001"]["light"] == "red"
    cells = (await client.get("/v1/wall/cells")).json()
    assert cells["level"] == 3
    assert cells["grid"] == wall["grid"]


async def test_nobody_is_in_them_and_the_key_opens_nothing_else(
    client: Client, database: str, make_key: Callable[..., Awaitable[str]]
) -> None:
    words = {"text": "王芳投诉 13800000000", "address": "建设路 7 号 3 单元"}
    made = (await client.post("/v1/reports", json=report(ticket="SECRET-1", **words))).json()
    wall_key = {"Authorization": f"Bearer {await make_key('wall', (Scope.WALL_READ,))}"}
    answer = await client.get("/v1/wall", headers=wall_key)
    assert answer.status_code == 200
    assert answer.json()["now"]["open"] == 1, "counts of everything, not of its own channel"
    for said in ("王芳", "1380", "建设路", "SECRET-1", made["head"]["name"]):
        assert said not in answer.text
    ref = made["case"]
    for path in (
        "/v1/cases",
        f"/v1/cases/{ref}",
        "/v1/inboxes",
        "/v1/stream",
        "/v1/rates",
        "/v1/cells",
        "/v1/field/day",
    ):
        refused = await client.get(path, headers=wall_key)
        assert refused.status_code == 403, path
        assert ref not in refused.text
    moved = await client.post(f"/v1/cases/{ref}/moves", json={"move": "urge"}, headers=wall_key | {"If-Match": '"1"'})
    assert moved.status_code == 403
    plain = {"Authorization": f"Bearer {await make_key('hotline2', (Scope.REPORTS_CREATE,))}"}
    assert (await client.get("/v1/wall", headers=plain)).status_code == 403


async def test_a_walls_key_keeps_to_its_area(client: Client, engine: object) -> None:
    await client.post("/v1/reports", json=report(ticket="W"))
    await client.post("/v1/reports", json=report(ticket="E", lon=113.63, lat=34.75))
    async with write_unit(engine) as unit:  # type: ignore[arg-type]
        key = await issue_key(unit, NewKey(channel="wall", scopes=(Scope.WALL_READ,), cells=(EAST,)), by="test")
    wall = (await client.get("/v1/wall", headers={"Authorization": f"Bearer {key}"})).json()
    assert wall["now"]["open"] == 1
    assert [place["code"] for place in wall["places"]] == [EAST]
    assert wall["rates"][0]["denominator"] == 1
