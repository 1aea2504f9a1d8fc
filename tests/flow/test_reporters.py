"""Who reported: kept apart, sealed, masked, told apart by a key, and never part of what others read."""

from __future__ import annotations

import asyncio
import stat
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.identity_key import KEY_FILE, IdentityVault
from api.retention import RetentionDuty
from api.settings import Settings
from dispatch.reporters import Reporter, ReporterKeys
from geo.errors import UnavailableError
from geo.storage.uow import AREA_ROLE, DESK_ROLE, Viewer, read_unit
from tests.builders import report
from tests.flow.conftest import ALL_SCOPES, Client

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


async def test_masked_by_default_and_unmasked_for_a_reason(client: Client, make_key: Any) -> None:
    ref = (await client.post("/v1/reports", json=by("U-1"))).json()["case"]
    shown = (await client.get(f"/v1/cases/{ref}/reporter")).json()
    assert (shown["name"], shown["phone"], shown["known"], shown["may_reveal"]) == ("张**", "138****5678", True, True)
    url = f"/v1/cases/{ref}/reporter:reveal"
    assert (await client.post(url, json={})).status_code == 422
    assert (await client.post(url, json={"reason": "  a "})).status_code == 422
    answer = await client.post(url, json={"reason": "回访张三丰 138 1234 5678，另 13912345678"})
    body = answer.json()
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert (body["name"], body["phone"]) == ("张三丰", "138 1234 5678")
    (record,) = (await client.get("/v1/audit", params={"kind": "reporter"})).json()["records"]
    assert record["number"] == body["record"]
    assert record["subject"] == ref
    assert record["detail"] == {"reason": "回访*** ***，另 139****5678"}
    other = {"Authorization": f"Bearer {await make_key('other')}"}
    assert (await client.get(f"/v1/cases/{ref}/reporter", headers=other)).status_code == 404
    assert (await client.post(url, json={"reason": "curious"}, headers=other)).status_code == 403
    plain = (await client.post("/v1/reports", json=report(ticket="U-2"))).json()["case"]
    assert (await client.get(f"/v1/cases/{plain}/reporter")).json()["known"] is False
    assert (await client.post(f"/v1/cases/{plain}/reporter:reveal", json={"reason": "call back"})).status_code == 404


async def test_nobody_unmasks_by_the_dozen(district: object, database: str, make_key: Any) -> None:
    app = create_app(Settings(database_url=database, reveals_per_hour=2))
    headers = {"Authorization": f"Bearer {await make_key(scopes=ALL_SCOPES)}", "Accept-Language": "en"}
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://gridward.test", headers=headers) as client,
    ):
        ref = (await client.post("/v1/reports", json=by("L-1"))).json()["case"]
        ask = partial(client.post, f"/v1/cases/{ref}/reporter:reveal", json={"reason": "call back"})
        answers = await asyncio.gather(*(ask() for _ in range(5)))
        assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert 3500 < int(refused.headers["retry-after"]) <= 3600


async def test_reporters_are_forgotten_by_their_date(client: Client, engine: AsyncEngine) -> None:
    refs = [(await client.post("/v1/reports", json=by(f"E-{n}"))).json()["case"] for n in range(3)]
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE dispatch.dispatch_case SET state = 'closed', owner_post_id = NULL,"
                " closed_at = now() - make_interval(days => CASE ref WHEN :old THEN 181 ELSE 179 END)"
                " WHERE ref <> :open"
            ),
            {"old": refs[0], "open": refs[2]},
        )
        await connection.execute(text("UPDATE reporter.identity SET received_at = now() - interval '300 days'"))
    duty = RetentionDuty(engine=engine, settings=Settings(), place=Path("/nonexistent"))
    assert await duty.run_once(asyncio.Event()) == 1
    shown = [(await client.get(f"/v1/cases/{ref}/reporter")).json() for ref in refs]
    assert [one["phone"] for one in shown] == ["", "138****5678", "138****5678"]
    assert shown[0]["erased_why"] == "expired"
    keys = await rows(engine, "SELECT reporter_key IS NULL FROM dispatch.dispatch_case ORDER BY ref")
    assert keys == [(True,), (False,), (False,)]
    sealed = await rows(engine, "SELECT count(*) FROM reporter.identity WHERE sealed IS NOT NULL")
    assert sealed == [(2,)]
    assert (await client.get("/v1/audit", params={"kind": "retention"})).json()["records"][0]["detail"] == {
        "deleted": 1
    }


def test_a_sealed_reporter_opens_only_in_its_own_case_and_with_its_own_key() -> None:
    keys, case = ReporterKeys(bytes(32)), uuid4()
    sealed = keys.seal(case, Reporter(name="张三", phone="13812345678"))
    assert sealed.sealed is not None
    assert keys.open(case, sealed.sealed, sealed.key_id).name == "张三"
    for other, key_id, words in (
        (uuid4(), sealed.key_id, sealed.sealed),
        (case, b"12345678", sealed.sealed),
        (case, sealed.key_id, sealed.sealed[:-1] + bytes([sealed.sealed[-1] ^ 1])),
    ):
        with pytest.raises(UnavailableError):
            keys.open(other, words, key_id)
    with pytest.raises(UnavailableError):
        ReporterKeys(bytes([1]) * 32).open(case, sealed.sealed, sealed.key_id)


def test_the_key_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    place = tmp_path / "data"
    settings = Settings(identity_key=SecretStr(""))
    first, second = (IdentityVault(settings, place).keys.key_id for _ in range(2))
    assert first == second
    assert stat.S_IMODE((place / KEY_FILE).stat().st_mode) == 0o600
    assert [file.name for file in place.iterdir()] == [KEY_FILE]
    (place / KEY_FILE).write_text("nonsense")
    with pytest.raises(UnavailableError, match="no_key"):
        _ = IdentityVault(settings, place).keys
