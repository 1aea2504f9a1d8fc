"""Who reported: kept apart, sealed, masked, told apart by a key, and never part of what others read."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.uow import AREA_ROLE, DESK_ROLE, Viewer, read_unit
from tests.builders import report
from tests.flow.conftest import Client

ZHANG = {"name": "张三丰", "phone": "138 1234 5678", "follow_up": True}


def by(ticket: str, reporter: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return report(ticket=ticket, reporter=ZHANG if reporter is None else reporter, **more)


async def rows(engine: AsyncEngine, query: str) -> list[Any]:
    async with engine.connect() as connection:
        return [tuple(row) for row in (await connection.execute(text(query))).all()]


async def test_a_reporter_is_sealed_and_stands_beside_the_case(client: Client, engine: AsyncEngine) -> None:
    answer = await client.post("/v1/reports", json=by("P-1"))
    assert answer.status_code == 201, answer.text
    assert "张" not in answer.text
    assert "5678" not in answer.text
    (kept,) = await rows(engine, "SELECT sealed, name_masked, phone_masked, wants_follow_up FROM reporter.identity")
    assert kept[1:] == ("张**", "138****5678", True)
    assert "张三丰".encode() not in kept[0]
    assert b"13812345678" not in kept[0]


async def test_the_same_ticket_with_another_reporter_is_another_report(client: Client) -> None:
    first = await client.post("/v1/reports", json=by("P-1"))
    again = await client.post("/v1/reports", json=by("P-1"))
    assert (again.status_code, again.content) == (200, first.content)
    other = await client.post("/v1/reports", json=by("P-1", ZHANG | {"phone": "13812345679"}))
    assert other.status_code == 422
    assert (await client.post("/v1/reports", json=report(ticket="P-1"))).status_code == 422


async def test_one_voice_is_told_from_many(client: Client, engine: AsyncEngine) -> None:
    batch = [
        by("V-1"),
        by("V-2", {"phone": "+86 13812345678", "anonymous": True}),
        by("V-3", {"name": "李四", "phone": "13900000000"}),
        report(ticket="V-4"),
        by("V-5", {"name": "只有姓名"}),
    ]
    answer = await client.post("/v1/reports:batch", json={"reports": batch})
    assert answer.json()["taken"] == 5, answer.text
    keys = await rows(engine, "SELECT reporter_key FROM dispatch.dispatch_case ORDER BY ticket")
    first, second, third, fourth, fifth = (row[0] for row in keys)
    assert first == second != third
    assert fourth is None
    assert fifth is None
    anonymous = await rows(engine, "SELECT sealed, name_masked, phone_masked FROM reporter.identity WHERE is_anonymous")
    assert anonymous == [(None, "", "")]


async def test_faults_name_the_field_and_repeat_nothing(client: Client) -> None:
    wrong = {"name": "x" * 81, "phone": "13812345678"}
    assert (await client.post("/v1/reports", json=by("F-1", wrong))).json()["errors"][0]["pointer"] == "/reporter/name"
    wrong = {"phone": "call 13812345678", "email": "nobody", "follow_up": True, "anonymous": True}
    answer = await client.post("/v1/reports", json=by("F-2", wrong))
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/reporter/phone",
        "/reporter/email",
        "/reporter/follow_up",
    ]
    assert "13812345678" not in answer.text


@pytest.mark.parametrize("role", [AREA_ROLE, DESK_ROLE, "gridward_service"])
async def test_no_ordinary_role_can_read_the_store(client: Client, engine: AsyncEngine, role: str) -> None:
    await client.post("/v1/reports", json=by("R-1"))
    async with read_unit(engine, viewer=Viewer(role=role)) as unit:
        driver = await unit.driver()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await driver.execute("SELECT FROM dispatch.dispatch_case JOIN reporter.identity ON case_id = id")
