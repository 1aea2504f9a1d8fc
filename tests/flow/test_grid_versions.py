"""Grid versions through the door: drafts, operations, comparison, effect, activation now and later, hand-over once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.handover import hand_over
from dispatch.queries import responsible_at
from dispatch.worker import LogNotifier, relay
from geo.locating import locate
from geo.lookup.holder import PATIENCE_S
from geo.storage.drafts import copy_version
from geo.storage.engine import dsn
from geo.storage.grid_versions import activate, create_draft, find_active, get_version
from geo.storage.taking_effect import HEADWAY
from geo.storage.uow import read_unit, write_unit
from tests.builders import EAST, INSIDE, JURISDICTION, WEST, person_id, report

Client = httpx.AsyncClient
W1, W3, E1, E2 = f"{WEST}001", f"{WEST}003", f"{EAST}001", f"{EAST}002"
#: From south to north through the western half of cell W1; INSIDE lies east of it.
LINE = [[113.605, 34.73], [113.606, 34.77]]
SPLIT = {
    "operation": "split",
    "cell": W1,
    "line": LINE,
    "into": [{"code": f"{WEST}011", "name_zh": "西"}, {"code": f"{WEST}012", "name_zh": "东"}],
}


async def one(engine: AsyncEngine, query: str) -> Any:
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        row = await (await driver.execute(query)).fetchone()
        assert row is not None
        return row[0]


async def draft(client: Client, **body: Any) -> int:
    answer = await client.post("/v1/grid/versions", json=body)
    assert answer.status_code == 201, answer.text
    number: int = answer.json()["number"]
    return number


async def operate(client: Client, number: int, body: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/grid/versions/{number}/operations", json=body, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def appoint(engine: AsyncEngine, cell: str, name: str) -> None:
    """Give a new cell a head."""
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute(
            "INSERT INTO dispatch.person (id, jurisdiction, name) VALUES (%s, %s, %s)",
            (person_id(name), JURISDICTION, name),
        )
        await driver.execute(
            "WITH p AS (INSERT INTO dispatch.post (jurisdiction, kind, cell_code, title_zh, title_en, valid_from)"
            " VALUES (%s, 'grid_head', %s, '新', 'New head', '2020-01-01') RETURNING id)"
            " INSERT INTO dispatch.appointment (post_id, person_id, valid_from) SELECT id, %s, '2020-01-01' FROM p",
            (JURISDICTION, cell, person_id(name)),
        )


async def work(engine: AsyncEngine) -> int:
    """Run the worker's hand-over until nothing is left."""
    total = 0
    while True:
        async with write_unit(engine) as unit:
            taken = await hand_over(unit, batch=2)
        if not taken:
            return total
        total += taken


async def test_a_draft_is_a_copy_that_is_redrawn_compared_and_discarded(client: Client, engine: AsyncEngine) -> None:
    number = await draft(client, name="二〇二六")
    made = await operate(client, number, SPLIT)
    assert [cell["properties"]["code"] for cell in made["cells"]] == [f"{WEST}011", f"{WEST}012"]
    assert made["removed"] == [{"code": W1, "name": "Cell 001"}]
    assert made["revision"] == 1
    assert sum(row["share"] for row in made["lineage"]) == pytest.approx(1, abs=1e-5)

    shown = (await client.get(f"/v1/grid/versions/{number}")).json()
    assert (shown["status"], shown["based_on"], shown["revision"]) == ("draft", 1, 1)
    assert shown["cells"] == {"1": 1, "2": 2, "3": 5}
    assert [version["number"] for version in (await client.get("/v1/grid/versions")).json()["versions"]] == [2, 1]

    found = (await client.get(f"/v1/grid/versions/1/compare/{number}", params={"geometry": True})).json()
    assert [cell["code"] for cell in found["added"]] == [f"{WEST}011", f"{WEST}012"]
    assert [cell["code"] for cell in found["removed"]] == [W1]
    assert found["redrawn"] == found["renamed"] == found["reparented"] == []
    report_ = (await client.get(f"/v1/grid/versions/{number}/coverage")).json()
    assert report_["coverage"]["is_proven"]
    lineage = (await client.get(f"/v1/grid/versions/{number}/lineage")).json()["lineage"]
    assert {row["from"] for row in lineage} == {W1}

    features = (await client.get(f"/v1/grid/versions/{number}/cells", params={"level": 3})).json()["features"]
    assert len(features) == 5
    assert (await client.delete(f"/v1/grid/versions/{number}")).status_code == 204
    assert (await client.get(f"/v1/grid/versions/{number}")).status_code == 404
    assert await one(engine, "SELECT count(*) FROM geo.cell") == 7


async def test_every_operation_through_the_door(client: Client) -> None:
    number = await draft(client)
    await operate(client, number, SPLIT)
    moved = {
        "operation": "move_boundary",
        "cells": [W3, f"{EAST}001"],
        "line": [[113.62, 34.76], [113.625, 34.77], [113.62, 34.78]],
    }
    await operate(client, number, moved)
    await operate(client, number, {"operation": "merge", "cells": [f"{WEST}011", f"{WEST}012"], "into": {"code": W1}})
    await operate(client, number, {"operation": "edit", "cell": W1, "set": {"name_zh": "改名", "population": 7}})
    await operate(client, number, {"operation": "reassign", "cell": W1, "parent": EAST})
    await operate(client, number, {"operation": "retire", "cell": E2, "to": f"{EAST}001"})
    found = (await client.get(f"/v1/grid/versions/1/compare/{number}")).json()
    assert [(row["code"], row["from_parent"], row["to_parent"]) for row in found["reparented"]] == [(W1, WEST, EAST)]
    assert [row["code"] for row in found["renamed"]] == [W1]
    assert [row["code"] for row in found["removed"]] == [E2]
    assert {row["code"] for row in found["redrawn"]} == {WEST, EAST, W3, f"{EAST}001"}
    assert (await client.get(f"/v1/grid/versions/{number}/coverage")).json()["coverage"]["is_proven"]


async def test_a_grid_from_nothing(client: Client) -> None:
    number = await draft(client, based_on=None, name="empty", code_system="free")
    ring = [[114.0, 35.0], [114.01, 35.0], [114.012, 35.013], [114.0, 35.01], [114.0, 35.0]]
    await operate(client, number, {"operation": "add", "into": {"code": "A"}, "boundary": [ring]})
    await operate(client, number, {"operation": "add", "into": {"code": "A1"}, "parent": "A"})
    split = {
        "operation": "split",
        "cell": "A1",
        "line": [[113.9, 35.004], [114.1, 35.007]],
        "into": [{"code": "A1"}, {"code": "A2"}],
    }
    assert (await operate(client, number, split))["below"] == 1
    assert (await client.get(f"/v1/grid/versions/{number}/coverage")).json()["coverage"]["is_proven"]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({**SPLIT, "cell": "nope"}, 400, "geo.redraw_cell_unknown", "/cell"),
        ({**SPLIT, "line": [[0, 0], [1, 1]]}, 400, "geo.redraw_line_misses", "/line"),
        ({**SPLIT, "line": [[113.61, 34.75], [113.7, 34.75]]}, 400, "geo.redraw_line_ends_inside", "/line/0"),
        ({**SPLIT, "into": [{"code": "X"}, {"code": "Y"}]}, 400, "geo.code_not_digits", "/into"),
        ({**SPLIT, "into": [{"code": E2}, {"code": W1}]}, 400, "geo.redraw_code_taken", "/into/0/code"),
        ({**SPLIT, "line": [[113.61, 34.75]]}, 422, "request.invalid", None),
        ({"operation": "explode"}, 422, "request.invalid", None),
        ({"operation": "add", "into": {"code": "410102009"}}, 400, "geo.redraw_bad_polygon", "/boundary"),
        ([], 422, "request.invalid", None),
    ],
)
async def test_refusals_name_the_field_and_change_nothing(
    client: Client, engine: AsyncEngine, body: Any, status: int, code: str, pointer: str | None
) -> None:
    number = await draft(client)
    answer = await client.post(f"/v1/grid/versions/{number}/operations", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert await one(engine, "SELECT max(revision) FROM geo.grid_version") == 0


async def test_nothing_is_edited_in_a_published_version(client: Client, engine: AsyncEngine) -> None:
    for answer in (
        await client.post("/v1/grid/versions/1/operations", json=SPLIT),
        await client.delete("/v1/grid/versions/1"),
        await client.post("/v1/grid/versions/1/activate", json={}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "geo.version_not_draft")
    for statement in (
        "UPDATE geo.grid_version SET status = 'draft', valid_from = NULL WHERE number = 1",
        "DELETE FROM geo.grid_version WHERE number = 1",
        "UPDATE geo.grid_version SET valid_from = now() WHERE number = 1",
        "DELETE FROM geo.cell",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            async with write_unit(engine) as unit:
                await (await unit.driver()).execute(statement)


async def test_two_drawers_of_one_draft_do_not_overwrite_each_other(client: Client) -> None:
    number = await draft(client)
    await operate(client, number, SPLIT)
    late = await client.post(f"/v1/grid/versions/{number}/operations", json=SPLIT, headers={"If-Match": '"0"'})
    assert (late.status_code, late.json()["code"]) == (412, "geo.draft_changed")
    shown = await operate(client, number, {"operation": "retire", "cell": f"{WEST}011", "to": W3}, dry_run=True)
    assert shown["dry_run"]
    assert (await client.get(f"/v1/grid/versions/{number}")).json()["revision"] == 1


async def test_scopes(client: Client, make_key: Any) -> None:
    key = await make_key("other")
    for answer in (
        await client.get("/v1/grid/versions", headers={"Authorization": f"Bearer {key}"}),
        await client.post("/v1/grid/versions", json={}, headers={"Authorization": f"Bearer {key}"}),
    ):
        assert answer.status_code == 403


async def _send(client: Client, ticket: str, position: tuple[float, float] = INSIDE) -> str:
    answer = await client.post("/v1/reports", json=report(ticket=ticket, lon=position[0], lat=position[1]))
    assert answer.status_code == 201, answer.text
    case: str = answer.json()["case"]
    return case


async def test_activation_hands_open_cases_over_once(client: Client, engine: AsyncEngine) -> None:
    moved, handled = await _send(client, "T-1"), await _send(client, "T-2")
    untouched = await _send(client, "T-3", (113.63, 34.77))
    for move in ("acknowledge", "report_back"):
        version = (await client.get(f"/v1/cases/{handled}")).json()["version"]
        done = await client.post(
            f"/v1/cases/{handled}/moves", json={"move": move, "result": "好"}, headers={"If-Match": f'"{version}"'}
        )
        assert done.status_code == 200, done.text
    number = await draft(client)
    await operate(client, number, SPLIT)
    await appoint(engine, f"{WEST}012", "new-head")
    effect = (await client.get(f"/v1/grid/versions/{number}/effect")).json()
    assert (effect["count"], effect["handed_over"]) == (2, 1)
    by_case = {row["case"]: row for row in effect["cases"]}
    assert by_case[moved]["cell"] == {"before": W1, "after": f"{WEST}012"}
    assert by_case[moved]["parent"] == {"before": WEST, "after": WEST}
    assert by_case[moved]["head"]["after"] == "New head new-head"
    assert (by_case[moved]["handed_over"], by_case[handled]["handed_over"]) == (True, False)

    before = (await client.get(f"/v1/cases/{moved}")).json()
    activated = await client.post(f"/v1/grid/versions/{number}/activate", json={})
    assert (activated.status_code, activated.json()["status"]) == (200, "active")
    assert (await client.get("/v1/grid/versions/1")).json()["status"] == "retired"
    await work(engine)
    assert await work(engine) == 0, "a second pass finds nothing"
    after = (await client.get(f"/v1/cases/{moved}")).json()
    assert [event["type"] for event in after["events"]] == ["case.dispatched.v1", "case.handed_over.v1"]
    assert after["head"]["name"] == "new-head"
    assert "New head" in after["events"][1]["text"]
    assert (after["chain"], after["due_at"], after["status"]) == (before["chain"], before["due_at"], "dispatched")
    for same in (handled, untouched):
        types = [event["type"] for event in (await client.get(f"/v1/cases/{same}")).json()["events"]]
        assert "case.handed_over.v1" not in types
    async with write_unit(engine) as unit:
        await relay(unit, (LogNotifier(),), batch=50, most_attempts=3)
    told = "SELECT count(*) FROM dispatch.notification AS n JOIN dispatch.case_event AS e ON e.id = n.event_id"
    assert (
        await one(engine, f"{told} WHERE e.type = 'case.handed_over.v1' AND n.person_id = '{person_id('new-head')}'")
        == 1
    )

    answer = (await client.get("/v1/locate", params={"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84"})).json()
    assert answer["chain"][-1]["code"] == f"{WEST}012"
    assert (await client.get(f"/v1/cases/{await _send(client, 'T-9')}")).json()["head"]["name"] == "new-head"


async def test_two_workers_hand_each_case_over_once(client: Client, engine: AsyncEngine) -> None:
    for ticket in range(12):
        await _send(client, f"T-{ticket}")
    number = await draft(client)
    await operate(client, number, SPLIT)
    await appoint(engine, f"{WEST}012", "new-head")
    assert (await client.post(f"/v1/grid/versions/{number}/activate", json={})).status_code == 200
    await asyncio.gather(*(work(engine) for _ in range(3)))
    await work(engine)
    assert await one(engine, "SELECT count(*) FROM dispatch.case_event WHERE type = 'case.handed_over.v1'") == 12


async def test_a_scheduled_version_takes_effect_by_itself(client: Client, engine: AsyncEngine, database: str) -> None:
    case = await _send(client, "T-1")
    number = await draft(client)
    await operate(client, number, SPLIT)
    await appoint(engine, f"{WEST}012", "new-head")
    at = datetime.now(UTC) + timedelta(seconds=4)
    scheduled = await client.post(f"/v1/grid/versions/{number}/activate", json={"from": at.isoformat()})
    assert (scheduled.status_code, scheduled.json()["status"]) == (200, "scheduled"), scheduled.text
    await work(engine)
    assert (await client.get(f"/v1/cases/{case}")).json()["head"]["name"] != "new-head"
    old = (await client.get("/v1/locate", params={"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84"})).json()
    assert old["chain"][-1]["code"] == W1
    async with await psycopg.AsyncConnection.connect(dsn(database), autocommit=True) as listener:
        await listener.execute("LISTEN gridward_grid")
        await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()) + 0.2)
        await work(engine)
        told = [notice.payload async for notice in listener.notifies(timeout=2, stop_after=1)]
    assert told == [JURISDICTION]
    assert (await client.get(f"/v1/cases/{case}")).json()["head"]["name"] == "new-head"
    assert (await client.get(f"/v1/grid/versions/{number}")).json()["status"] == "active"
    new = (await client.get("/v1/locate", params={"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84"})).json()
    assert new["chain"][-1]["code"] == f"{WEST}012"
    async with read_unit(engine) as unit:
        before = await locate(unit, JURISDICTION, *INSIDE, at=at - timedelta(milliseconds=1))
        then = await locate(unit, JURISDICTION, *INSIDE, at=at)
    assert (before.path[-1], then.path[-1]) == (W1, f"{WEST}012")


async def test_a_version_about_to_begin_is_not_withdrawn_and_a_near_instant_is_moved(client: Client) -> None:
    """Processes that have heard of it would answer by it: what follows another begins `HEADWAY` ahead or later."""
    number = await draft(client)
    asked = datetime.now(UTC) + timedelta(seconds=0.4)
    made = (await client.post(f"/v1/grid/versions/{number}/activate", json={"from": asked.isoformat()})).json()
    assert made["status"] == "scheduled"
    assert asked + timedelta(seconds=0.5) < datetime.fromisoformat(made["valid_from"]) < asked + timedelta(seconds=30)
    late = await client.post(f"/v1/grid/versions/{number}/withdraw")
    assert late.status_code == 409
    assert late.json()["code"] in ("geo.version_begins", "geo.version_not_scheduled")
    assert timedelta(seconds=2 * PATIENCE_S) <= HEADWAY


async def test_a_scheduled_version_may_be_withdrawn(client: Client, engine: AsyncEngine) -> None:
    number = await draft(client)
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    await client.post(f"/v1/grid/versions/{number}/activate", json={"from": later})
    assert (await client.get("/v1/grid/versions/1")).json()["valid_until"] is not None
    assert (await client.post(f"/v1/grid/versions/{number}/withdraw")).json()["status"] == "draft"
    first = (await client.get("/v1/grid/versions/1")).json()
    assert (first["status"], first["valid_until"]) == ("active", None)
    again = await client.post(f"/v1/grid/versions/{number}/withdraw")
    assert again.json()["code"] == "geo.version_not_scheduled"


async def test_an_activation_before_a_scheduled_one_ends_where_that_begins(client: Client, engine: AsyncEngine) -> None:
    scheduled, sooner = await draft(client), await draft(client)
    later = datetime.now(UTC) + timedelta(days=3)
    await client.post(f"/v1/grid/versions/{scheduled}/activate", json={"from": later.isoformat()})
    clash = await client.post(f"/v1/grid/versions/{sooner}/activate", json={"from": later.isoformat()})
    assert (clash.status_code, clash.json()["code"]) == (409, "geo.version_overlaps")
    done = (await client.post(f"/v1/grid/versions/{sooner}/activate", json={})).json()
    assert datetime.fromisoformat(done["valid_until"]) == later
    async with read_unit(engine) as unit:
        assert (await find_active(unit, JURISDICTION, later)).number == scheduled  # type: ignore[union-attr]


async def test_two_activations_at_once_leave_no_gap_and_no_overlap(client: Client, engine: AsyncEngine) -> None:
    numbers = [await draft(client) for _ in range(3)]
    answers = await asyncio.gather(*(client.post(f"/v1/grid/versions/{n}/activate", json={}) for n in numbers))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    again = await asyncio.gather(*(client.post(f"/v1/grid/versions/{n}/activate", json={}) for n in numbers))
    assert {answer.json()["code"] for answer in again} == {"geo.version_not_draft"}
    gaps = (
        "SELECT count(*) FROM (SELECT valid_from, lag(valid_until) OVER (ORDER BY valid_from) AS before"
        " FROM geo.grid_version) AS v WHERE before <> valid_from"
    )
    assert await one(engine, gaps) == 0
    assert await one(engine, "SELECT count(*) FROM geo.grid_version WHERE valid_until IS NULL") == 1


async def test_the_past_is_not_rewritten(client: Client) -> None:
    number = await draft(client)
    answer = await client.post(f"/v1/grid/versions/{number}/activate", json={"from": "2025-01-01T00:00:00Z"})
    assert (answer.status_code, answer.json()["code"]) == (409, "geo.version_rewrites")
    naive = await client.post(f"/v1/grid/versions/{number}/activate", json={"from": "2027-01-01T00:00:00"})
    assert naive.status_code == 422


async def test_as_of_answers_cell_and_head_of_that_time(client: Client, engine: AsyncEngine) -> None:
    """Versions, posts and appointments each answer for their own time (storage level)."""
    march = datetime(2026, 3, 1, 6, tzinfo=UTC)
    async with write_unit(engine) as unit:
        first = await find_active(unit, JURISDICTION)
        assert first is not None
        second = await create_draft(unit, JURISDICTION, name="", code_system="cn15", source="", based_on=first.id)
        await copy_version(unit, first.id, second.id)
        driver = await unit.driver()
        await driver.execute(
            "UPDATE geo.cell SET code = %s, path[3] = %s WHERE version_id = %s AND code = %s",
            (f"{WEST}008", f"{WEST}008", second.id, W1),
        )
        await activate(unit, second.id, at=march)
        await driver.execute("UPDATE dispatch.post SET valid_until = %s WHERE cell_code = %s", (march, W1))
    async with read_unit(engine) as unit:
        before = await locate(unit, JURISDICTION, *INSIDE, at=march - timedelta(seconds=1))
        after = await locate(unit, JURISDICTION, *INSIDE, at=march)
        assert (before.path[-1], after.path[-1]) == (W1, f"{WEST}008")
        assert before.version is not None
        assert before.version.number == 1
        assert (await get_version(unit, JURISDICTION, 1)).status.value == "retired"
        assert await find_active(unit, JURISDICTION, datetime(2019, 1, 1, tzinfo=UTC)) is None
        ladder = await responsible_at(unit, JURISDICTION, before.path, march - timedelta(seconds=1))
        assert (ladder[0].cell_code, ladder[0].person_name) == (W1, f"A-{W1}")
        later = await responsible_at(unit, JURISDICTION, after.path, march)
        assert (later[0].cell_code, later[0].person_name) == (WEST, f"A-{WEST}")
