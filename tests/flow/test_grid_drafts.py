"""Changes of a draft taken back one by one; what activation refuses, and how it says so."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.uow import write_unit
from tests.builders import EAST, L1
from tests.flow.conftest import Client
from tests.flow.test_grid_versions import E1, E2, W1, draft, one, operate


async def content(engine: AsyncEngine, number: int) -> list[str]:
    """Everything about a version's cells and lineage, row ids included."""
    query = (
        "SELECT c::text FROM geo.cell AS c JOIN geo.grid_version AS v ON v.id = c.version_id WHERE v.number = :number"
        " UNION ALL SELECT l::text FROM geo.cell_lineage AS l JOIN geo.grid_version AS v ON v.id = l.version_id"
        " WHERE v.number = :number ORDER BY 1"
    )
    async with engine.connect() as connection:
        return list((await connection.execute(text(query), {"number": number})).scalars())


async def test_changes_are_taken_back_one_by_one(client: Client, engine: AsyncEngine) -> None:
    """Every operation, then back the same way: after each step the draft is what it was, to the byte."""
    number = await draft(client)
    path = f"/v1/grid/versions/{number}"
    operations: list[dict[str, Any]] = [
        {
            "operation": "split",
            "cell": E1,
            "line": [[113.625, 34.755], [113.635, 34.785]],
            "into": [{"code": E1}, {"code": f"{EAST}009"}],
        },
        {"operation": "edit", "cell": f"{EAST}009", "set": {"code": f"{EAST}008", "name_zh": "新网格"}},
        {"operation": "move_boundary", "cells": [E1, E2], "line": [[113.615, 34.758], [113.645, 34.761]]},
        {"operation": "merge", "cells": [E1, f"{EAST}008"], "into": {"code": f"{EAST}009", "name_en": "Merged"}},
        {"operation": "retire", "cell": E2, "to": f"{EAST}009"},
        {"operation": "edit", "cell": EAST, "set": {"code": f"{L1}007"}},
    ]
    seen = []
    for operation in operations:
        seen.append(await content(engine, number))
        answer = await client.post(f"{path}/operations", json=operation)
        assert answer.status_code == 200, (operation, answer.text)
        assert await content(engine, number) != seen[-1]
    for left, operation in reversed(list(enumerate(operations))):
        undone = await client.post(f"{path}/undo")
        assert undone.status_code == 200, undone.text
        assert undone.json()["undone"] == {"revision": left + 1, "operation": operation["operation"]}
        assert undone.json()["undoable"] == left
        assert await content(engine, number) == seen[left]
    nothing = await client.post(f"{path}/undo")
    assert (nothing.status_code, nothing.json()["code"]) == (409, "geo.nothing_to_undo")
    assert (await client.get(f"{path}/lineage")).json()["undoable"] == 0
    stale = await client.post(f"{path}/undo", headers={"If-Match": '"3"'})
    assert stale.status_code == 412
    again = await client.post(f"{path}/operations", json=operations[0])
    assert again.status_code == 200, again.text
    published = await client.post("/v1/grid/versions/1/undo")
    assert (published.status_code, published.json()["code"]) == (409, "geo.version_not_draft")


async def test_a_code_that_left_its_parent_needs_another_code_or_a_reason(client: Client) -> None:
    """Reassigned, a cell keeps its code; activation names it, and takes a new code."""
    number = await draft(client)
    path = f"/v1/grid/versions/{number}"
    await operate(client, number, {"operation": "reassign", "cell": W1, "parent": EAST})
    refused = (await client.post(f"{path}/activate", json={})).json()
    assert (refused["code"], refused["params"]["classes"]) == ("geo.coverage_errors", ["code"])
    (cause,) = refused["errors"]
    assert (cause["code"], cause["pointer"]) == ("geo.code_not_under_parent", "/accept/code")
    assert W1 in cause["detail"]
    seen = (await client.get(f"{path}/coverage")).json()
    assert seen["coverage"]["is_proven"]
    assert seen["codes"] == {
        "count": 1,
        "faults": [{"cell": W1, "code": cause["code"], "detail": cause["detail"]}],
    }
    await operate(client, number, {"operation": "edit", "cell": W1, "set": {"code": f"{EAST}003"}})
    assert (await client.get(f"{path}/coverage")).json()["codes"] == {"count": 0, "faults": []}
    assert (await client.post(f"{path}/activate", json={})).status_code == 200


async def test_errors_of_the_coverage_are_accepted_by_class_and_reason_only(
    client: Client, engine: AsyncEngine
) -> None:
    number = await draft(client)
    async with write_unit(engine) as unit:
        await (await unit.driver()).execute(
            "DELETE FROM geo.cell WHERE code = %s AND version_id = (SELECT id FROM geo.grid_version WHERE number = %s)",
            (E2, number),
        )
    path = f"/v1/grid/versions/{number}/activate"
    refused = await client.post(path, json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "geo.coverage_errors")
    assert refused.json()["params"]["classes"] == ["gap"]
    (gap,) = refused.json()["errors"]
    assert (gap["code"], gap["pointer"]) == ("coverage.gap", "/accept/gap")
    assert f"of {E2[:12]} are in none of its cells, at 113.6" in gap["detail"]
    chinese = (await client.post(path, json={}, headers={"Accept-Language": "zh-CN"})).json()
    assert "缝隙" in chinese["detail"]
    assert "gap" not in chinese["detail"]
    assert "不属于任何下级网格" in chinese["errors"][0]["detail"]
    assert (await client.post(path, json={"accept": {"gap": "  "}})).status_code == 409
    other = await client.post(path, json={"accept": {"gap": "river", "overlap": "?"}})
    assert other.json()["code"] == "geo.unknown_finding_class"
    done = await client.post(path, json={"accept": {"gap": "河面不归网格"}})
    assert done.status_code == 200, done.text
    assert await one(engine, "SELECT kind || ':' || reason FROM geo.accepted_finding") == "gap:河面不归网格"


async def test_a_fault_of_an_operation_is_named_where_it_stands(client: Client) -> None:
    path = f"/v1/grid/versions/{await draft(client)}/operations"
    codes = [{"code": "1"}, {"code": 2}]
    cases: list[tuple[object, str, str]] = [
        ({"operation": "nope"}, "/operation", "request.not_one_of"),
        ({"operation": 7}, "/operation", "request.not_one_of"),
        ({"cell": W1}, "/operation", "request.missing"),
        ({"operation": "retire", "cell": W1}, "/to", "request.missing"),
        ({"operation": "retire", "cell": W1, "to": E1, "into": E1}, "/into", "request.unknown_field"),
        ({"operation": "split", "cell": W1, "into": codes}, "/into/1/code", "request.not_text"),
    ]
    for body, pointer, code in cases:
        for language in ("zh-CN", "en"):
            answer = await client.post(path, json=body, headers={"Accept-Language": language})
            assert answer.status_code == 422
            (fault,) = answer.json()["errors"]
            assert (fault["pointer"], fault["code"]) == (pointer, code)
            if code == "request.not_one_of":
                assert "'retire'" in fault["detail"]
