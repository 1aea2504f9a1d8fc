"""The application: routes, errors, static files, limits — put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

import maps
from api import errors
from api.accounts.rates import RateHeaders
from api.audit.exports import ExportRecords
from api.container import open_container
from api.described import describe
from api.limits import BodyLimit, SecurityHeaders, answer_head
from api.packing import PackedPages
from api.plain_questions import PlainQuestions
from api.plain_reports import PlainReports
from api.plain_tiles import PlainTiles
from api.routes import (
    account_page,
    accounts,
    admin,
    audit,
    briefs,
    calendars,
    cases,
    category_import,
    channels,
    contacts,
    coverage,
    departments,
    desk,
    desk_cells,
    events,
    exports,
    field,
    gazetteer,
    grid,
    grid_codes,
    grid_pages,
    grid_repairs,
    handling_limits,
    health,
    hotspots,
    joint,
    keys,
    ladders,
    locating,
    map_shares,
    office_rules,
    ogc,
    open311,
    operations,
    pages,
    parked,
    photos,
    places,
    planner,
    planner_more,
    rates,
    rates_bulletin,
    rates_pages,
    repeats,
    report_batches,
    reporters,
    reports,
    sandbox,
    signing_in,
    single_sign_on,
    stream,
    style_pages,
    tiles,
    wall,
    webhooks,
    working_time,
)
from api.sandbox.gate import SandboxGate, is_for_sandbox
from api.settings import Settings

DESCRIPTION = """\
Grid management: which cell and which responsible grid head covers a report, its dispatch, its clocks.

Errors are `application/problem+json` with a stable `code`, JSON pointers, and a sentence in the caller's language
(`Accept-Language: zh-CN` or `en`).
"""


class Application(FastAPI):
    """The framework's application with a short way before it."""

    short_way: ASGIApp | None = None
    sandbox: SandboxGate | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await answer_head(self, scope, receive, send)
            return
        if self.sandbox is not None and scope["type"] == "http" and is_for_sandbox(scope):
            await self.sandbox(scope, receive, send)
            return
        await (self.short_way or self.long_way)(scope, receive, send)

    async def long_way(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request with everything the framework does."""
        await super().__call__(scope, receive, send)


def create_app(settings: Settings | None = None, *, in_sandbox: bool = False) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings
        None reads the environment (``GRIDWARD_*``).
    in_sandbox
        The application over the sandbox's database, which the office's own one passes requests on to.
    """
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_container(chosen, in_sandbox=in_sandbox) as container:
            app.state.container = container
            try:
                yield
            finally:
                if isinstance(app, Application) and app.sandbox is not None:
                    await app.sandbox.aclose()

    app = Application(
        title="Gridward 网格守望",
        version=health.gridward_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        root_path=chosen.root_path,
        # The built-in documentation pages load scripts from elsewhere; the document itself is served.
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    for module in (
        reports,
        report_batches,
        photos,
        field,
        wall,
        cases,
        joint,
        calendars,
        handling_limits,
        operations,
        repeats,
        office_rules,
        category_import,
        locating,
        places,
        gazetteer,
        coverage,
        events,
        exports,
        webhooks,
        sandbox,
        ladders,
        briefs,
        parked,
        contacts,
        stream,
        ogc,
        open311,
        tiles,
        health,
        planner,
        map_shares,
        planner_more,
        hotspots,
        rates,
        rates_bulletin,
        rates_pages,
        pages,
        style_pages,
        grid,
        grid_codes,
        grid_repairs,
        grid_pages,
        channels,
        departments,
        signing_in,
        single_sign_on,
        account_page,
        accounts,
        admin,
        keys,
        working_time,
        desk,
        desk_cells,
        reporters,
        audit,
    ):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=Path(maps.__file__).parent / "static"), name="static")
    errors.install(app)
    app.add_middleware(ExportRecords)
    app.add_middleware(PlainQuestions)
    app.add_middleware(PlainTiles)
    app.add_middleware(RateHeaders)
    app.add_middleware(PackedPages)
    app.add_middleware(SecurityHeaders, over_https=chosen.over_https)
    app.add_middleware(BodyLimit, most_bytes=chosen.max_body_bytes, most_upload_bytes=chosen.max_upload_bytes)
    describe(app)
    if not in_sandbox:
        app.sandbox = SandboxGate(chosen, lambda inside: create_app(inside, in_sandbox=True))
    app.short_way = PlainReports(app, app.long_way, most_bytes=chosen.max_body_bytes)
    return app
