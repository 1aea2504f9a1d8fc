"""Wiring: what one process holds, made once and handed to the routes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import psycopg
from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.doorkeeper import Doorkeeper
from api.accounts.key_ring import KeyRing
from api.accounts.oidc import SingleSignOn
from api.accounts.watching import Watchtower
from api.audit.watched import note_change
from api.geocoding import open_geocoder
from api.idempotency import forget_debts
from api.identity_key import IdentityVault
from api.live import LivePlacer, open_live
from api.planning import open_facts
from api.reporting import ReportDesk, real_now
from api.sandbox.clock import sandbox_now
from api.settings import Settings
from api.stream import Broadcaster
from dispatch.collecting import CollectingWriter
from dispatch.intake import PreparedReport, Receipt
from dispatch.queries import load_reference, read_stamp
from dispatch.reference import Reference, ReferenceCache
from dispatch.storage.intake import INTAKE, write_reports
from geo.errors import BadInputError, ForbiddenError
from geo.storage.engine import create_engine, unavailable
from geo.storage.pipeline import StatementPipeline
from geo.storage.uow import AREA_ROLE, NOBODY, ReadUnit, StatementUnits, Viewer, WriteUnit, read_unit, write_unit
from maps.facts.keeping import FactKeeper


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What the routes need.

    ``engine`` is for callers: without a viewer its transactions see no case at all. ``control`` has the service's own
    rights, for what is nobody's request: accounts, keys, reference data.
    """

    settings: Settings
    #: Its cases are rehearsals, on clocks that can be advanced (decision 0031).
    in_sandbox: bool
    engine: AsyncEngine
    control: AsyncEngine
    doorkeeper: Doorkeeper
    watchtower: Watchtower
    single_sign_on: SingleSignOn
    reference: ReferenceCache
    keys: KeyRing
    intake: CollectingWriter
    live: LivePlacer
    broadcaster: Broadcaster
    desk: ReportDesk
    vault: IdentityVault
    facts: FactKeeper


@asynccontextmanager
async def open_container(settings: Settings, *, in_sandbox: bool = False) -> AsyncIterator[Container]:
    """Build the container, run its background parts, and close it in reverse order."""
    engine = create_engine(
        settings.database_url,
        pool_size=settings.pool_size,
        pool_timeout_s=settings.pool_timeout_s,
        statement_timeout_s=settings.statement_timeout_s,
        role=AREA_ROLE,
    )
    # Reports are written with the service's rights, whose policies are the constant true: they cost nothing.
    service = create_engine(
        settings.database_url,
        pool_size=max(4, settings.pool_size // 2),
        pool_timeout_s=settings.pool_timeout_s,
        statement_timeout_s=settings.statement_timeout_s,
        name="desk",
    )
    # Lines are kept open between statements. In the pool of the others they would be missing for good: every request
    # with an Idempotency-Key, a photo or a rehearsal would wait for them and be told to come back.
    most_lines = settings.intake_writers + 2
    writing = create_engine(
        settings.database_url,
        pool_size=most_lines + 1,  # the pipeline's
        pool_timeout_s=settings.pool_timeout_s,
        statement_timeout_s=settings.statement_timeout_s,
        name="intake",
        ping=False,  # `write` repeats itself: a ticket makes one case, however often it is written
    )

    # Keys, reference data and the feed are read while a request already holds a connection of the main pool. From the
    # same pool that would be a deadlock as soon as every connection waits for one more; they have two of their own.
    control = create_engine(settings.database_url, pool_size=2, name="control")

    async def load() -> Reference:
        async with read_unit(control, snapshot=True) as unit:
            return await load_reference(unit)

    async def stamp() -> str:
        async with read_unit(control) as unit:
            return await read_stamp(unit)

    lines = StatementUnits(writing, most=most_lines, patience_s=settings.pool_timeout_s, checks_keys=True)
    pipeline = StatementPipeline(writing, INTAKE, checks_keys=True)

    async def write(reports: Sequence[PreparedReport]) -> list[Receipt | BadInputError]:
        # Phases and reporters are rows of their own, so they need a transaction; the rest is one guarded statement.
        has_more = any(report.phases or report.reporter for report in reports)
        # A part of a batch takes as long as many single reports, and would let them wait behind it.
        run = None if has_more or len(reports) > settings.intake_collect else pipeline.run
        for is_last in (False, True):
            try:
                placement = await live.place(reports)
                async with write_unit(service) if has_more else lines.lend() as unit:
                    outcomes = await write_reports(unit, reports, placement, run)
            except Exception as error:
                away = unavailable(error)
                if away is None:
                    raise
                if is_last or away.code != "storage.unavailable":
                    raise away from error
            else:
                broadcaster.stir()
                return outcomes
        raise AssertionError

    intake = CollectingWriter(
        write, writers=settings.intake_writers, most=settings.intake_collect, backlog=settings.intake_backlog
    )
    reference = ReferenceCache(load, stamp)
    broadcaster = Broadcaster(control, settings.database_url)
    keys = KeyRing(control)
    vault = IdentityVault(settings)
    doorkeeper = Doorkeeper(settings, control, keys)
    watchtower = Watchtower(doorkeeper, broadcaster.nudge)
    try:
        async with (
            open_live(settings, control) as live,
            open_geocoder(settings) as geocoder,
            open_facts(settings) as facts,
        ):
            await intake.start()
            broadcaster.start()
            watchtower.start()
            try:
                yield Container(
                    settings=settings,
                    in_sandbox=in_sandbox,
                    engine=engine,
                    control=control,
                    doorkeeper=doorkeeper,
                    watchtower=watchtower,
                    single_sign_on=SingleSignOn(settings),
                    reference=reference,
                    keys=keys,
                    intake=intake,
                    live=live,
                    broadcaster=broadcaster,
                    facts=facts,
                    vault=vault,
                    desk=ReportDesk(
                        engine=service,
                        jurisdiction=settings.jurisdiction,
                        reference=reference,
                        live=live,
                        writer=intake,
                        vault=vault,
                        geocoder=geocoder,
                        clock=partial(sandbox_now, control) if in_sandbox else real_now,
                    ),
                )
            finally:
                await intake.stop()
                await watchtower.stop()
                await broadcaster.stop()
                await keys.stop()
                await forget_debts(service)
    finally:
        await engine.dispose()
        await pipeline.aclose()
        await lines.aclose()
        await writing.dispose()
        await service.dispose()
        await control.dispose()


def container_of(request: Request) -> Container:
    """The process's container."""
    container: Container = request.app.state.container
    return container


async def viewer_of(request: Request) -> Viewer:
    """The eyes of a request's transactions: its caller's, or nobody's."""
    caller = await container_of(request).doorkeeper.find(request)
    return caller.viewer if caller is not None else NOBODY


async def get_read_unit(
    request: Request, container: Annotated[Container, Depends(container_of)]
) -> AsyncIterator[ReadUnit]:
    """A read-only transaction for this request, which sees what its caller may see."""
    async with read_unit(container.engine, viewer=await viewer_of(request)) as unit:
        yield unit


async def get_counting_unit(
    request: Request, container: Annotated[Container, Depends(container_of)]
) -> AsyncIterator[ReadUnit]:
    """A read-only transaction that sees what its caller may count, which is more than they may look at.

    Only for answers that give counts in steps to whoever does not count exactly (`Caller.counts_exactly`).
    """
    caller = await container.doorkeeper.find(request)
    viewer = caller.counting_viewer if caller is not None else NOBODY
    async with read_unit(container.engine, viewer=viewer) as unit:
        yield unit


async def get_write_unit(
    request: Request, container: Annotated[Container, Depends(container_of)]
) -> AsyncIterator[WriteUnit]:
    """The transaction of this request; commits when the handler has returned and *before* the response is sent."""
    async with write_unit(container.engine, viewer=await viewer_of(request)) as unit:
        yield unit
        await note_change(request, unit, await container.doorkeeper.find(request))


async def get_office_read_unit(
    request: Request, container: Annotated[Container, Depends(container_of)]
) -> AsyncIterator[ReadUnit]:
    """A read-only transaction for people, posts and departments: an administrator of an area sees that area's."""
    caller = await container.doorkeeper.find(request)
    async with read_unit(container.engine, viewer=caller.office_viewer if caller is not None else NOBODY) as unit:
        yield unit


async def get_office_write_unit(
    request: Request, container: Annotated[Container, Depends(container_of)]
) -> AsyncIterator[WriteUnit]:
    """The transaction of a request that changes them; what lies outside the caller's area the database refuses."""
    caller = await container.doorkeeper.find(request)
    async with write_unit(container.engine, viewer=caller.office_viewer if caller is not None else NOBODY) as unit:
        try:
            yield unit
        except psycopg.errors.InsufficientPrivilege as error:
            raise ForbiddenError("access.beyond_area") from error
        await note_change(request, unit, caller)


# scope="function" is what makes the commit happen before the response: with the default scope the caller would read
# 201 even when a deferred constraint then fails at commit (decision 0001; tests/flow/test_commit_before_answer.py).
Reading = Annotated[ReadUnit, Depends(get_read_unit, scope="function")]
Counting = Annotated[ReadUnit, Depends(get_counting_unit, scope="function")]
Writing = Annotated[WriteUnit, Depends(get_write_unit, scope="function")]
OfficeReading = Annotated[ReadUnit, Depends(get_office_read_unit, scope="function")]
OfficeWriting = Annotated[WriteUnit, Depends(get_office_write_unit, scope="function")]
Wired = Annotated[Container, Depends(container_of)]
