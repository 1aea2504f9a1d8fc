"""Accounts for tests: people with roles, and clients that are signed in as them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.people import NewGrant, add_grant, add_person
from geo.storage.uow import write_unit
from tests.builders import JURISDICTION

PASSWORD = "tram bell orchard nine"
HOME = "http://127.0.0.1:8311"


async def make_person(
    engine: AsyncEngine, login: str, *grants: NewGrant, password: str = PASSWORD, jurisdiction: str = JURISDICTION
) -> None:
    """Make an account with roles."""
    async with write_unit(engine) as unit:
        account = await add_person(unit, jurisdiction=jurisdiction, login=login, name=login.title(), password=password)
        for grant in grants:
            await add_grant(unit, account, grant, jurisdiction=jurisdiction, by="test")


@asynccontextmanager
async def browser(
    app: FastAPI, *, peer: str = "127.0.0.1", base_url: str = HOME, accept: str = "application/json"
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client with cookies that asks like a browser of this machine."""
    transport = httpx.ASGITransport(app=app, client=(peer, 50000))
    headers = {"Accept": accept, "Accept-Language": "en"}
    async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers, timeout=30) as client:
        yield client


async def sign_in(client: httpx.AsyncClient, login: str, password: str = PASSWORD, **form: str) -> httpx.Response:
    """Fill in the form of the sign-in page."""
    return await client.post("/sign-in", data={"login": login, "password": password, **form})


@asynccontextmanager
async def signed_in(app: FastAPI, login: str, password: str = PASSWORD) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that is signed in."""
    async with browser(app) as client:
        answer = await sign_in(client, login, password)
        assert answer.status_code == 303, answer.text
        yield client


def refs_of(body: dict[str, Sequence[dict[str, str]]]) -> set[str]:
    """Numbers of the cases of a list."""
    return {case["case"] for case in body["cases"]}
