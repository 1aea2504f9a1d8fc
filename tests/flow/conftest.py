"""The running service for flow tests: the real application in this process, over a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import DEFAULT_SCOPES, Scope, create_key
from api.app import create_app
from api.settings import Settings
from geo.storage.uow import write_unit
from tests.builders import District, build_district

Client = httpx.AsyncClient
ALL_SCOPES = tuple(Scope)


@pytest.fixture
async def district(engine: AsyncEngine) -> District:
    """Build the small district."""
    built = District()
    await build_district(engine, built)
    return built


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
