"""Single sign-on against a provider that is a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.app import create_app
from api.settings import Settings
from tests.builders import District
from tests.flow.oidc_provider import CLIENT_ID, CLIENT_SECRET
from tests.signing import browser, make_person

ROOT = Path(__file__).resolve().parents[2]
ADMINISTRATOR = NewGrant(role=Role.ADMINISTRATOR)


@pytest.fixture
def issuer() -> Iterator[str]:
    """Run the provider."""
    command = [sys.executable, "-m", "tests.flow.oidc_provider", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
        process.terminate()


@pytest.fixture
async def app(district: District, database: str, issuer: str, engine: AsyncEngine) -> AsyncIterator[FastAPI]:
    await make_person(engine, "wang", ADMINISTRATOR)
    settings = Settings(
        database_url=database,
        oidc_issuer=issuer,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=SecretStr(CLIENT_SECRET),
        oidc_name="Office ID",
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


async def _switch(issuer: str, **to: object) -> None:
    async with httpx.AsyncClient() as client:
        (await client.get(f"{issuer}/switch", params={"to": json.dumps(to)})).raise_for_status()


async def _walk(client: httpx.AsyncClient, path: str = "/sign-in/oidc") -> httpx.Response:
    """Go to the provider and come back, as a browser does."""
    there = await client.get(path)
    assert there.status_code == 303, there.text
    async with httpx.AsyncClient() as elsewhere:
        back = await elsewhere.get(there.headers["location"])
    assert back.status_code == 302, back.text
    address = back.headers["location"]
    assert address.startswith("http://127.0.0.1:8311/sign-in/oidc/callback?")
    return await client.get(address.removeprefix("http://127.0.0.1:8311"))


async def test_the_way_there_and_back(app: FastAPI, issuer: str, engine: AsyncEngine) -> None:
    async with browser(app) as client:
        assert "Sign in with Office ID" in (await client.get("/sign-in")).text
        answer = await _walk(client, "/sign-in/oidc?next=/maps/heat")
        assert (answer.status_code, answer.headers["location"]) == (303, "/maps/heat"), answer.text
        assert (await client.get("/v1/inboxes")).status_code == 200
    # Linked for good by the subject: another name there changes nothing, another person there is another person.
    await _switch(issuer, user={"sub": "u-1", "preferred_username": "renamed"})
    async with browser(app) as client:
        assert (await _walk(client)).status_code == 303
    await _switch(issuer, user={"sub": "u-2", "preferred_username": "wang"})
    async with browser(app) as client:
        answer = await _walk(client)
        assert answer.status_code == 403
        assert "there is no account" in answer.text
    await _switch(issuer, user={"sub": "u-3", "preferred_username": "nobody"})
    async with browser(app) as client:
        assert (await _walk(client)).status_code == 403
        assert (await client.get("/v1/inboxes")).status_code == 401


@pytest.mark.parametrize("fault", ["nonce", "aud", "exp", "key", "none", "denied", "mix-up"])
async def test_what_a_false_provider_or_thief_tries(app: FastAPI, issuer: str, fault: str) -> None:
    await _switch(issuer, fault=fault)
    async with browser(app) as client:
        answer = await _walk(client)
        assert answer.status_code == 401, answer.text
        assert "Single sign-on failed" in answer.text
        assert "gridward_session" not in client.cookies


async def test_an_answer_belongs_to_the_browser_that_asked(app: FastAPI, issuer: str) -> None:
    async with browser(app) as one, browser(app) as other:
        there = await one.get("/sign-in/oidc")
        async with httpx.AsyncClient() as elsewhere:
            back = (await elsewhere.get(there.headers["location"])).headers["location"]
        address = back.removeprefix("http://127.0.0.1:8311")
        assert (await other.get(address)).status_code == 401, "no cookie of a beginning"
        await other.get("/sign-in/oidc")
        assert (await other.get(address)).status_code == 401, "the state of another beginning"
        assert (await one.get(address)).status_code == 303
        assert (await one.get(address)).status_code == 401, "a code counts once"


async def test_a_provider_that_is_away_or_not_what_it_says(app: FastAPI, issuer: str, database: str) -> None:
    await _switch(issuer, fault="issuer")
    async with browser(app) as client:
        assert (await client.get("/sign-in/oidc")).status_code == 401
    away = create_app(Settings(database_url=database, oidc_issuer="http://127.0.0.1:9", oidc_client_id="x"))
    async with away.router.lifespan_context(away), browser(away) as client:
        assert (await client.get("/sign-in/oidc")).status_code == 401
    off = create_app(Settings(database_url=database))
    async with off.router.lifespan_context(off), browser(off) as client:
        assert (await client.get("/sign-in/oidc")).status_code == 404
