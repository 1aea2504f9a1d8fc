"""`gridward up`: everything on one machine, with one command, and stopped by one Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import psycopg
import typer
from sqlalchemy.exc import DBAPIError

from api import migrations
from api.cli.context import cluster_of, open_database
from api.cli.data_dir import (
    NEEDED_FOR_DEMO,
    DataDirError,
    Demo,
    check_room,
    make,
    only_one,
    read_state,
    resolve_data_dir,
    write_state,
)
from api.cli.speech import say, t
from api.cli.supervising import Child, ProcessError, await_ready, base_url, check_port
from api.settings import Settings
from geo.storage.cluster import Cluster

_RESTART_S: Final = 0.5
#: A child that ends this often within this many seconds will not get better by being started again.
_MOST_ENDS: Final = 5
_ENDS_WITHIN_S: Final = 30.0


def up(
    host: Annotated[str | None, typer.Option("--host", help=t("cli.option.host"))] = None,
    port: Annotated[int | None, typer.Option("--port", min=1, max=65535, help=t("cli.option.port"))] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help=t("cli.option.data_dir"))] = None,
    empty: Annotated[bool, typer.Option("--empty", help=t("cli.option.empty"))] = False,
    no_worker: Annotated[bool, typer.Option("--no-worker", help=t("cli.option.no_worker"))] = False,
) -> None:
    """Start the database, the API and the worker; on the first start load the demo district."""
    settings = Settings()
    chosen_host, chosen_port = host or settings.host, port or settings.port
    place = resolve_data_dir(data_dir)
    try:
        _run(settings, place, chosen_host, chosen_port, empty=empty, with_worker=not no_worker)
    except KeyboardInterrupt:
        say(t("cli.up.stopped"))


def _run(settings: Settings, place: Path, host: str, port: int, *, empty: bool, with_worker: bool) -> None:
    check_port(host, port)
    make(place)
    with only_one(place), ExitStack() as stack:
        demo = _wanted_demo(settings, place, empty=empty)
        if demo is not Demo.NONE and demo is not Demo.LOADED and not settings.database_url:
            check_room(place, needed_mb=NEEDED_FOR_DEMO)
        url = stack.enter_context(
            _told_stop(open_database(place, migrate=True, tell=lambda step: say(t(f"cli.up.{step}"))))
        )
        if demo is Demo.UNDECIDED or demo is Demo.LOADING:
            _load_demo(url, place, remember=not settings.database_url)
        elif not settings.database_url:
            write_state(place, demo=demo)
        # The children find the same files, wherever --data-dir has put them.
        environment = {"GRIDWARD_DATABASE_URL": url, "GRIDWARD_DATA_DIR": str(place)}
        logs = place / "logs"
        logs.mkdir(exist_ok=True)
        api = Child("serve", ["--host", host, "--port", str(port)], environment, logs / "api.log")
        helper = Child("worker", [], environment, logs / "worker.log") if with_worker else None
        children = [child for child in (api, helper) if child is not None]
        stack.callback(_stop, children)
        for child in children:
            child.start()
        await_ready(api, host, port)
        say(t("cli.up.ready", url=base_url(host, port)))
        _watch(children, None if settings.database_url else cluster_of(place))


def _wanted_demo(settings: Settings, place: Path, *, empty: bool) -> Demo:
    """Decide about the demo district: on the very first start only, and begun again if that one was interrupted."""
    if settings.database_url:
        # Somebody's own server: only when nothing of ours has ever been in it.
        fresh = not empty and migrations.current(settings.database_url) is None
        return Demo.UNDECIDED if fresh else Demo.NONE
    state = read_state(place)
    if state is None or state.demo is Demo.UNDECIDED:
        return Demo.NONE if empty else Demo.UNDECIDED
    return Demo.NONE if state.demo is Demo.LOADING and empty else state.demo


def _load_demo(url: str, place: Path, *, remember: bool) -> None:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    from api.demo.load import load_demo
    from geo.storage.engine import create_engine

    if remember:
        write_state(place, demo=Demo.LOADING)
    say(t("cli.up.demo"))
    columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns) as bar:
        tasks: dict[str, int] = {}

        def progress(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(t(f"demo.step.{step}"), total=total)
            bar.update(tasks[step], completed=done, total=total)  # type: ignore[arg-type]

        async def load() -> None:
            engine = create_engine(url, pool_size=2, statement_timeout_s=0, name="demo")
            try:
                await load_demo(engine, progress=progress)
            finally:
                await engine.dispose()

        try:
            asyncio.run(load())
        except DBAPIError as error:
            if isinstance(error.orig, psycopg.errors.DiskFull):
                raise _disk_full(place) from error
            raise
        except psycopg.errors.DiskFull as error:
            raise _disk_full(place) from error
    if remember:
        write_state(place, demo=Demo.LOADED)


def _disk_full(place: Path) -> DataDirError:
    return DataDirError("cluster.no_space", directory=str(place), free_mb=0, needed_mb=NEEDED_FOR_DEMO)


@contextmanager
def _told_stop(database: contextlib.AbstractContextManager[str]) -> Iterator[str]:
    """From the moment the stop begins, a second Ctrl-C must not leave half of it running."""
    with database as url:
        try:
            yield url
        finally:
            _ignore_signals()


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _stop(children: list[Child]) -> None:
    _ignore_signals()
    say(t("cli.up.stopping"))
    for child in children:  # the API first: nothing new comes in while the worker finishes its pass
        child.stop()


def _watch(children: list[Child], cluster: Cluster | None) -> None:
    """Stay until Ctrl-C. What ends by itself is started again: the office must not need somebody who notices.

    Raises
    ------
    ProcessError
        ``process.ended`` when a child ends again and again: then starting it once more would only hide the reason.
    """
    ends: dict[str, deque[float]] = {child.name: deque(maxlen=_MOST_ENDS) for child in children}
    while True:
        time.sleep(0.25)
        if cluster is not None and not cluster.is_running:
            say(t("cli.up.database_again", log=cluster.log), to_error=True)
            cluster.start()
        for child in children:
            if not child.has_ended:
                continue
            times = ends[child.name]
            times.append(time.monotonic())
            if len(times) == _MOST_ENDS and times[-1] - times[0] < _ENDS_WITHIN_S:
                raise ProcessError("process.ended", name=child.name, log=str(child.log), words=child.last_words())
            say(t("cli.up.process_again", name=child.name, log=child.log), to_error=True)
            time.sleep(_RESTART_S)
            child.start()
