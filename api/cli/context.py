"""The database of a command: the server named by ``GRIDWARD_DATABASE_URL``, else the embedded cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from api import migrations
from api.cli.data_dir import (
    NEEDED_FOR_NEW,
    NEEDED_TO_RUN,
    check_room,
    make,
    read_state,
    resolve_data_dir,
    shared_use,
    write_state,
)
from api.settings import Settings
from geo.errors import GridwardError, UnavailableError
from geo.storage.cluster import Cluster
from geo.storage.durability import check_durability
from geo.storage.engine import create_engine, dsn

DATABASE: Final = "gridward"


class PendingMigrationError(GridwardError):
    """The named server's schema is older than this program."""

    def __init__(self, *, found: str | None, needed: str) -> None:
        super().__init__("migration.pending", found=found or "–", needed=needed)


def cluster_of(data_dir: Path) -> Cluster:
    """Return the embedded cluster of a data directory."""
    return Cluster(data_dir / "postgres")


def _silent(_step: str) -> None:
    return


@contextmanager
def open_database(
    data_dir: Path | None = None, *, migrate: bool | None = None, tell: Callable[[str], None] = _silent
) -> Iterator[str]:
    """Give the URL of a database that is running and has this program's schema.

    Parameters
    ----------
    data_dir
        Of the embedded cluster; not looked at when ``GRIDWARD_DATABASE_URL`` names a server.
    migrate
        Bring the schema up to date. By default only the embedded database is: a server of yours is migrated by
        `gridward migrate`, when you say so.
    tell
        Called with ``cluster`` and ``migrate`` before these steps.

    Raises
    ------
    GridwardError
        The cause by name: cluster, newer data, pending migration, unsafe settings, server not reached.
    """
    external = Settings().database_url
    if external:
        yield _use_external(external, migrate=bool(migrate), tell=tell)
        return
    place = resolve_data_dir(data_dir)
    make(place)
    state = read_state(place)
    check_room(place, needed_mb=NEEDED_FOR_NEW if state is None else NEEDED_TO_RUN)
    cluster = cluster_of(place)
    with shared_use(place) as last_one:
        try:
            if not cluster.is_running:
                tell("cluster")
            cluster.start()
            if not cluster.has_database(DATABASE):
                cluster.create_database(DATABASE)
            url = cluster.url(DATABASE)
            if migrate is not False:
                if migrations.current(url) != migrations.head():
                    tell("migrate")
                migrations.upgrade(url)
                write_state(place)
            yield url
        finally:
            # Also when we have only adopted it: its starter is gone, or it would still hold the lock.
            if last_one:
                cluster.stop()


def _use_external(url: str, *, migrate: bool, tell: Callable[[str], None]) -> str:
    try:
        with psycopg.connect(dsn(url), connect_timeout=10) as connection:
            check_durability(connection)
        found = migrations.current(url)
    except psycopg.OperationalError as error:
        raise UnavailableError("storage.unreachable", reason=str(error).strip().splitlines()[-1]) from error
    if found == migrations.head():
        return url
    if migrate:
        tell("migrate")
        migrations.upgrade(url)
        return url
    if found is not None and not migrations.is_known(found):
        raise migrations.NewerSchemaError(revision=found)
    raise PendingMigrationError(found=found, needed=migrations.head())


@asynccontextmanager
async def engine_for_command(
    data_dir: Path | None = None, *, statement_timeout_s: float = 0.0, pool_size: int = 4
) -> AsyncIterator[AsyncEngine]:
    """Give an engine on the command's database; starts the embedded cluster when it is needed and not running.

    Parameters
    ----------
    statement_timeout_s
        0 sets no limit: imports run longer than any request may.
    """
    with open_database(data_dir) as url:
        engine = create_engine(url, pool_size=pool_size, statement_timeout_s=statement_timeout_s, name="command")
        try:
            yield engine
        finally:
            await engine.dispose()
