"""Who passes: keys, scopes, and this very machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.settings import Settings
from tests.builders import District, report
from tests.flow.conftest import Client


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Bearer gw_00000000_x", "Basic eDp5", "Bearer gw_é_x", "Bearer " + "g" * 999]
)
async def test_without_a_valid_key_nobody_reports(client: Client, header: str) -> None:
    answer = await client.post("/v1/reports", json=report(), headers={"Authorization": header.encode()})
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["www-authenticate"]


async def test_a_key_is_kept_as_a_digest_only(engine: AsyncEngine, district: District, make_key: Any) -> None:
    key = await make_key()
    async with engine.connect() as connection:
        row = (await connection.execute(text("SELECT k::text FROM api.api_key AS k"))).scalar_one()
    assert key.split("_", 2)[2] not in row
    assert key.split("_")[1] in row


async def test_a_revoked_key_stops_within_a_second(client: Client, engine: AsyncEngine) -> None:
    assert (await client.get("/v1/cases")).status_code == 200
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE api.api_key SET revoked_at = now()"))
    await asyncio.sleep(1.05)
    assert (await client.get("/v1/cases")).status_code == 401


@pytest.fixture
async def guest(district: District, database: str) -> Any:
    """Give a function that asks without a key, from an address, for a host."""
    app = create_app(Settings(database_url=database))

    async def ask(method: str, path: str, *, peer: str, host: str, headers: dict[str, str] | None = None) -> int:
        transport = httpx.ASGITransport(app=app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return (await client.request(method, path, headers=headers)).status_code

    async with app.router.lifespan_context(app):
        yield ask


Ask = Callable[..., Awaitable[int]]


@pytest.mark.parametrize(
    ("peer", "host", "headers", "status"),
    [
        ("127.0.0.1", "127.0.0.1:8311", {}, 200),
        ("127.0.0.1", "localhost:8311", {}, 200),
        ("127.0.0.1", "evil.example", {}, 401),  # DNS rebinding
        ("192.0.2.7", "127.0.0.1:8311", {}, 401),
        ("127.0.0.1", "127.0.0.1:8311", {"X-Forwarded-For": "192.0.2.7"}, 401),
        ("127.0.0.1", "127.0.0.1:8311", {"Origin": "http://evil.example"}, 200),  # reading; CORS hides the answer
    ],
)
async def test_this_machine_may_read_without_a_key(
    guest: Ask, peer: str, host: str, headers: dict[str, str], status: int
) -> None:
    assert await guest("GET", "/v1/cases", peer=peer, host=host, headers=headers) == status


@pytest.mark.parametrize(("origin", "status"), [("http://evil.example", 401), ("http://127.0.0.1:8311", 422)])
async def test_other_sites_forms_cannot_move_cases(guest: Ask, origin: str, status: int) -> None:
    headers = {"Origin": origin, "Host": "127.0.0.1:8311"}
    answered = await guest("POST", "/v1/cases/x/moves", peer="127.0.0.1", host="127.0.0.1:8311", headers=headers)
    assert answered == status


async def test_even_this_machine_needs_a_key_to_report(guest: Ask) -> None:
    assert await guest("POST", "/v1/reports", peer="127.0.0.1", host="127.0.0.1") == 401


async def test_more_moves_at_once_than_connections_do_not_wait_for_each_other(client: Client) -> None:
    """Every request holds a connection while its key is looked up: from one pool that would be a deadlock."""
    cases = [(await client.post("/v1/reports", json=report(ticket=f"T-{n}"))).json() for n in range(24)]
    await asyncio.sleep(1.1)  # the remembered key is too old now, so the next look-ups go to the database
    headers = {"If-Match": '"1"'}
    async with asyncio.timeout(4):
        answers = await asyncio.gather(
            *(
                client.post(f"{case['status_url']}/moves", json={"move": "acknowledge"}, headers=headers)
                for case in cases
            )
        )
    assert {answer.status_code for answer in answers} == {200}


async def test_a_channel_made_while_the_service_runs_may_report_at_once(client: Client, make_key: Any) -> None:
    await client.post("/v1/reports", json=report())
    key = await make_key(channel="brand-new")
    headers = {"Authorization": f"Bearer {key}"}
    answer = await client.post("/v1/reports", json=report(), headers=headers)
    assert answer.status_code == 201, answer.text
