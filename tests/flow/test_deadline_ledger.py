"""Deadlines that explain themselves over HTTP: of a case, after approvals, and before dispatch."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.builders import report
from tests.flow.conftest import Client


def at(value: str) -> datetime:
    return datetime.fromisoformat(value)


def tiles(body: dict[str, Any]) -> bool:
    """Whether the stretches tile the time from start to the explained end."""
    edges = [body["start_at"], *(stretch["ends_at"] for stretch in body["ledger"])]
    return all(stretch["begins_at"] == edge for stretch, edge in zip(body["ledger"], edges, strict=False))


async def test_the_ledger_of_a_case_counts_to_its_limit(client: Client) -> None:
    created = (await client.post("/v1/reports", json=report())).json()
    body = (await client.get(f"{created['status_url']}/deadline")).json()
    assert body["limit"] == {"value": "4", "unit": "urgent_hour", "text": "4 urgent hours"}
    assert (body["counted_s"], body["agrees"], body["approvals"]) == (4 * 3600, True, [])
    assert body["due_at"] == created["due_at"] == body["ledger"][-1]["ends_at"]
    assert tiles(body)


async def test_extension_and_pause_stand_in_the_ledger(client: Client) -> None:
    case = (await client.post("/v1/reports", json=report())).json() | {"version": 1}
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    for name, body in (
        ("acknowledge", {}),
        ("request_extension", {"reason": "r"}),
        ("approve_extension", {}),
        ("request_suspend", {"reason": "r", "until": until}),
        ("approve_suspend", {}),
    ):
        headers = {"If-Match": f'"{case["version"]}"'}
        answer = await client.post(f"/v1/cases/{case['case']}/moves", json={"move": name, **body}, headers=headers)
        assert answer.status_code == 200, answer.text
        case = answer.json()
    ledger = (await client.get(f"{case['status_url']}/deadline")).json()
    assert [approval["kind"] for approval in ledger["approvals"]] == ["extension", "pause"]
    assert [stretch["kind"] for stretch in ledger["ledger"]] == ["counted", "pause", "counted"]
    assert (ledger["counted_s"], ledger["agrees"], ledger["due_at"]) == (8 * 3600, True, case["due_at"])
    assert tiles(ledger)
    light = (await client.get(case["status_url"])).json()
    assert at(light["warn_at"]) <= at(light["due_at"])


async def test_a_changed_limit_does_not_move_a_case_and_is_told(client: Client, engine: AsyncEngine) -> None:
    created = (await client.post("/v1/reports", json=report())).json()
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE dispatch.category_condition SET limit_value = 1 WHERE category_code = 'E0110'")
        )
    from api.container import Container

    container: Container = client._transport.app.state.container  # type: ignore[attr-defined]
    container.reference._copy = None
    body = (await client.get(f"{created['status_url']}/deadline")).json()
    assert (body["agrees"], body["due_at"], body["limit"]["value"]) == (True, created["due_at"], "4")


async def test_a_case_without_clock_has_no_ledger(client: Client) -> None:
    created = (await client.post("/v1/reports", json=report(category="P0102"))).json()
    answer = await client.get(f"{created['status_url']}/deadline")
    assert (answer.status_code, answer.json()["code"]) == (409, "dispatch.no_deadline")
    assert (await client.get("/v1/cases/20260101-9999999/deadline")).status_code == 404


async def test_preview_over_the_spring_festival(client: Client) -> None:
    asked = {"category": "P0102", "condition": 2, "dispatched_at": "2026-02-14T16:00:00+08:00"}
    body = (await client.post("/v1/deadlines:preview", json=asked)).json()
    assert at(body["due_at"]) == at("2026-02-24T10:00:00+08:00")
    assert {stretch["text"] for stretch in body["ledger"]} >= {"Spring Festival", "night"}
    assert sum(stretch["counted_s"] for stretch in body["ledger"]) == body["counted_s"] == 4 * 3600
    assert tiles(body)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"category": "X"}, 400, "dispatch.unknown_category"),
        ({"category": "P0102"}, 400, "dispatch.condition_required"),
        ({"category": "P0102", "condition": 9}, 400, "dispatch.condition_required"),
        ({"category": "E0110", "channel": "nobody"}, 400, "dispatch.unknown_channel"),
        ({"category": "E0110", "dispatched_at": "9999-12-31T00:00:00Z"}, 400, "calendar.beyond_horizon"),
        ({"category": "E0110", "dispatched_at": "2026-01-01T00:00:00"}, 422, None),
    ],
)
async def test_bad_previews_are_named(client: Client, asked: dict[str, Any], status: int, code: str | None) -> None:
    answer = await client.post("/v1/deadlines:preview", json=asked)
    assert answer.status_code == status
    assert code is None or answer.json()["code"] == code
