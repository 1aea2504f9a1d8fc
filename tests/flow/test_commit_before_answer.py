"""The answer is sent after the commit: a constraint that fails *at commit* must not have been answered with 201."""

from __future__ import annotations

import httpx
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.container import Writing
from api.settings import Settings

_SETUP = (
    "CREATE TABLE parent (id int PRIMARY KEY)",
    "CREATE TABLE child (parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
)


def _with_route(app: FastAPI) -> FastAPI:
    @app.post("/orphan", status_code=201)
    async def orphan(unit: Writing) -> dict[str, str]:
        await unit.connection.execute(text("INSERT INTO child VALUES (1)"))
        return {"status": "created"}

    return app


async def test_a_failed_commit_is_never_answered_with_success(engine: AsyncEngine, database: str) -> None:
    async with engine.begin() as connection:
        for statement in _SETUP:
            await connection.execute(text(statement))
    app = _with_route(create_app(Settings(database_url=database)))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://t") as client,
    ):
        answer = await client.post("/orphan")
    assert answer.status_code == 500
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM child"))).scalar() == 0
