"""When the service stops, nothing of it goes on: what still ran would hold connections of pools that are closed.

That none of them stays open is looked at after every test (`tests.conftest.database`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from api import idempotency
from api.accounts.keys import Scope
from api.app import create_app
from api.settings import Settings
from tests.builders import District


@pytest.mark.parametrize("instants", [0, 1, 3, 10, 30])
async def test_nothing_goes_on_after_a_stop(
    district: District, database: str, make_key: Callable[..., Awaitable[str]], instants: int
) -> None:
    del district
    key = await make_key(scopes=(Scope.REPORTS_CREATE,))
    prefix = key.split("_")[1]
    before = asyncio.all_tasks()
    app = create_app(Settings(database_url=database))
    async with app.router.lifespan_context(app):
        container = app.state.container
        assert await container.keys.find_caller(key) is not None
        # A key that is looked at ahead of time, one that was changed meanwhile, an answer that is still to be kept.
        container.keys._begin(prefix)
        container.keys.forget(prefix)
        container.keys._begin(prefix)
        door = idempotency._doors.setdefault(container.desk.engine, idempotency._Door())
        door.owe(container.desk.engine, ("hotline", "K"), ("SELECT pg_sleep(5)", {}))
        for _ in range(instants):
            await asyncio.sleep(0)
    assert {task.get_name() for task in asyncio.all_tasks() - before} == set()
