"""Wiring: what one process holds, made once and handed to the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import KeyRing
from api.live import LivePlacer, open_live
from api.settings import Settings
from api.stream import Broadcaster
from dispatch.collecting import CollectingWriter
from dispatch.intake import PreparedReport, Receipt
from dispatch.queries import load_reference
from dispatch.reference import Reference, ReferenceCache
from dispatch.storage.intake import write_reports
from geo.errors import BadInputError
from geo.storage.engine import create_engine, unavailable
from geo.storage.uow import ReadUnit, WriteUnit, read_unit, write_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the routes need."""

    settings: Settings
    engine: AsyncEngine
    reference: ReferenceCache
    keys: KeyRing
    intake: CollectingWriter
    live: LivePlacer
    broadcaster: Broadcaster


@asynccontextmanager
async def open_container(settings: Settings) -> AsyncIterator[Container]:
    """Build the container, run its background parts, and close it in reverse order."""
    engine = create_engine(
        settings.database_url,
        pool_size=settings.pool_size,
        pool_timeout_s=settings.pool_timeout_s,
        statement_timeout_s=settings.statement_timeout_s,
    )

    # Keys, reference data and the feed are read while a request already holds a connection of the main pool. From the
    # same pool that would be a deadlock as soon as every connection waits for one more; they have two of their own.
    control = create_engine(settings.database_url, pool_size=2, name="control")

    async def load() -> Reference:
        async with read_unit(control, snapshot=True) as unit:
            return await load_reference(unit)

    async def write(reports: Sequence[PreparedReport]) -> list[Receipt | BadInputError]:
        try:
            placement = await live.place(reports)
            async with write_unit(engine) as unit:
                return await write_reports(unit, reports, placement)
        except Exception as error:
            away = unavailable(error)
            if away is not None:
                raise away from error
            raise

    intake = CollectingWriter(
        write, writers=settings.intake_writers, most=settings.intake_collect, backlog=settings.intake_backlog
    )
    broadcaster = Broadcaster(control, settings.database_url)
    try:
        async with open_live(settings, control) as live:
            await intake.start()
            broadcaster.start()
            try:
                yield Container(
                    settings=settings,
                    engine=engine,
                    reference=ReferenceCache(load),
                    keys=KeyRing(control),
                    intake=intake,
                    live=live,
                    broadcaster=broadcaster,
                )
            finally:
                await intake.stop()
                await broadcaster.stop()
    finally:
        await engine.dispose()
        await control.dispose()


def container_of(request: Request) -> Container:
    """The process's container."""
    container: Container = request.app.state.container
    return container


async def get_read_unit(container: Annotated[Container, Depends(container_of)]) -> AsyncIterator[ReadUnit]:
    """A read-only transaction for this request."""
    async with read_unit(container.engine) as unit:
        yield unit


async def get_write_unit(container: Annotated[Container, Depends(container_of)]) -> AsyncIterator[WriteUnit]:
    """The transaction of this request; commits when the handler has returned and *before* the response is sent."""
    async with write_unit(container.engine) as unit:
        yield unit


# scope="function" is what makes the commit happen before the response: with the default scope the caller would read
# 201 even when a deferred constraint then fails at commit (decision 0001; tests/flow/test_commit_before_answer.py).
Reading = Annotated[ReadUnit, Depends(get_read_unit, scope="function")]
Writing = Annotated[WriteUnit, Depends(get_write_unit, scope="function")]
Wired = Annotated[Container, Depends(container_of)]
