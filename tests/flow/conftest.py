"""The running service for flow tests: the real application in this process, over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import DEFAULT_SCOPES, Scope, create_key
from api.app import create_app
from api.settings import Settings
from geo.storage.cluster import Cluster
from geo.storage.engine import create_engine
from geo.storage.uow import write_unit
from tests.builders import District, build_district

Client = httpx.AsyncClient
ALL_SCOPES = tuple(Scope)


@pytest.fixture(scope="session")
def district_template(cluster: Cluster, template: str) -> str:
    """Build the small district once."""
    name = "gridward_flow_district"
    cluster.create_database(name, template)

    async def build() -> None:
        engine = create_engine(cluster.url(name), name="test")
        try:
            await build_district(engine, District())
        finally:
            await engine.dispose()

    # On a thread and a loop of its own: the session's loop is running when an async test asks for this.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, build()).result()
    return name


@pytest.fixture
def district(database: str) -> District:
    """Tell what is in the test's database: it is a copy of the small district's."""
    del database
    return District()


@pytest.fixture
def make_key(engine: AsyncEngine) -> Callable[..., Awaitable[str]]:
    """Give a function that makes keys."""

    async def make(channel: str = "hotline", scopes: tuple[Scope, ...] = DEFAULT_SCOPES) -> str:
        async with write_unit(engine) as unit:
            return await create_key(unit, channel, scopes)

    return make


@pytest.fixture
async def client(district: District, database: str, make_key: Callable[..., Awaitable[str]]) -> AsyncIterator[Client]:
    """Give a client with a key that may do everything, speaking to the application in this process."""
    key = await make_key(scopes=ALL_SCOPES)
    app = create_app(Settings(database_url=database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://gridward.test",
            headers={"Authorization": f"Bearer {key}", "Accept-Language": "en"},
            timeout=30,
        ) as client,
    ):
        yield client
