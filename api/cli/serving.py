"""`gridward serve` and `gridward worker`: one process each, as many of each as wanted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Annotated, Final

import typer

from api.cli.context import open_database
from api.cli.logs import configure_logs
from api.cli.speech import say, t
from api.settings import Settings

#: A duty that has given no sign for this long counts as stopped. Units: seconds.
WORKER_PATIENCE_S: Final = 60.0


def serve(
    host: Annotated[str | None, typer.Option("--host", help=t("cli.option.host"))] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help=t("cli.option.port"))] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help=t("cli.option.data_dir"))] = None,
) -> None:
    """Run the API and the pages in this process."""
    from api.serving import make_server

    settings = Settings()
    configure_logs(settings)
    with open_database(data_dir) as url:
        chosen = settings.model_copy(
            update={"database_url": url, "host": host or settings.host, "port": port or settings.port}
        )
        # uvicorn raises the signal again once it has shut down; that is the wished end, and the cluster comes next.
        with contextlib.suppress(KeyboardInterrupt):
            make_server(chosen).run()


def worker(
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help=t("cli.option.data_dir"))] = None,
    check: Annotated[bool, typer.Option("--check", help=t("cli.option.check"))] = False,
) -> None:
    """Run the deadline sweep, the outbox relay and the webhooks in this process."""
    settings = Settings()
    configure_logs(settings)
    with open_database(data_dir) as url:
        if check:
            ages = asyncio.run(_ages(url))
            raise typer.Exit(0 if ages and max(ages.values()) < WORKER_PATIENCE_S else 1)
        asyncio.run(_work(url, settings))
    say(t("cli.worker.stopped"), to_error=True)


async def _ages(url: str) -> dict[str, float]:
    from dispatch.queries import worker_age_s
    from geo.storage.engine import create_engine
    from geo.storage.uow import read_unit

    engine = create_engine(url, pool_size=2, name="check")
    try:
        async with read_unit(engine) as unit:
            return await worker_age_s(unit)
    finally:
        await engine.dispose()


async def _work(url: str, settings: Settings) -> None:
    from api.audit.trail import Actor, acts_as
    from api.grid_duties import grid_duties
    from api.notifying.wiring import notifiers_of
    from api.retention import RetentionDuty
    from api.sandbox.duty import SandboxDuty
    from api.webhooks.duty import webhook_lanes
    from dispatch.clock_duty import ClockDuty
    from dispatch.worker import Worker
    from geo.storage.engine import create_engine

    engine = create_engine(url, pool_size=settings.pool_size, statement_timeout_s=60.0, name="worker")
    sandbox = SandboxDuty(settings, url)
    acts_as(Actor(kind="system", id="worker"))
    further = (
        *webhook_lanes(engine, settings),
        *grid_duties(engine, settings),
        ClockDuty(engine=engine),
        RetentionDuty(engine=engine, settings=settings),
        sandbox,
    )
    duties = Worker(engine, settings, notifiers=notifiers_of(settings), further=further)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, duties.stop)
    try:
        await duties.run()
    finally:
        await sandbox.aclose()
        await engine.dispose()
