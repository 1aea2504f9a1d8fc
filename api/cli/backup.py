"""`gridward backup FILE` and `gridward restore FILE`."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import psycopg
import typer
from psycopg import sql

from api.audit.trail import Kind, record, verify
from api.backups import FILES, SCHEMAS, Manifest, fill, make_backup, open_backup
from api.cli.context import DATABASE, cluster_of, open_database
from api.cli.data_dir import make, resolve_data_dir, shared_use, write_state
from api.cli.speech import say, t
from api.retention import parse_head
from api.sandbox.database import exists, url_of
from api.settings import Settings
from geo.errors import ConflictError, UnavailableError
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import read_unit, write_unit

_OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


def backup(
    file: Annotated[Path, typer.Argument(help=t("backup.help.file"))],
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help=t("cli.option.data_dir"))] = None,
) -> None:
    """Write database and keys into one file, while everything runs."""
    place = resolve_data_dir(data_dir)
    with open_database(data_dir) as url:
        manifest = make_backup(url, file.absolute(), place)
        asyncio.run(_note(url, Kind.BACKED_UP, manifest))
        has_sandbox = exists(url_of(url, Settings().sandbox_database_url))
    size_mb = -(-file.stat().st_size // 1_000_000)
    say(t("backup.made", file=str(file), size_mb=size_mb, **_counts(manifest)))
    if Settings().identity_key.get_secret_value():
        say(t("backup.key_in_setting"))
    if has_sandbox:
        say(t("backup.without_sandbox"))


def restore(
    file: Annotated[Path, typer.Argument(help=t("backup.help.from"))],
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help=t("cli.option.data_dir"))] = None,
    yes: Annotated[bool, typer.Option("--yes", help=t("backup.help.yes"))] = False,
) -> None:
    """Put a backup in the place of the database. What is there is kept until the restored one has been checked."""
    place = resolve_data_dir(data_dir)
    make(place)
    with open_backup(file, place) as (manifest, unpacked):
        say(t("backup.begins", made_at=manifest.made_at, **_counts(manifest)))
        if url := Settings().database_url:
            _empty_server(url, yes=yes)
            fill(url, unpacked, manifest)
            asyncio.run(_prove(url, manifest))
        else:
            _swap(place, unpacked, manifest, yes=yes)
        _place_files(place, unpacked)
    say(t("backup.restored", **_counts(manifest)))


def _swap(place: Path, unpacked: Path, manifest: Manifest, *, yes: bool) -> None:
    """Fill a new database beside the old one and change their names when it is proven."""
    cluster = cluster_of(place)
    fresh, old = f"{DATABASE}_restored", f"{DATABASE}_before"
    with shared_use(place) as last_one:
        try:
            cluster.start()
            exists = cluster.has_database(DATABASE)
            if exists and not yes:
                with psycopg.connect(dsn(cluster.url(DATABASE))) as connection:
                    if not _is_empty(connection):
                        raise ConflictError("backup.not_empty", directory=str(place))
            _refuse_in_use(cluster.url("postgres"), DATABASE)
            cluster.drop_database(fresh)
            cluster.create_database(fresh)
            try:
                fill(cluster.url(fresh), unpacked, manifest)
                asyncio.run(_prove(cluster.url(fresh), manifest))
            except BaseException:
                cluster.drop_database(fresh)
                raise
            cluster.drop_database(old)
            with psycopg.connect(dsn(cluster.url("postgres"))) as connection:  # both names in one transaction
                if exists:
                    _refuse_in_use(cluster.url("postgres"), DATABASE)
                    _rename(connection, DATABASE, old)
                _rename(connection, fresh, DATABASE)
            cluster.drop_database(old)
            write_state(place)
        finally:
            if last_one:
                cluster.stop()


def _rename(connection: psycopg.Connection[Any], name: str, to: str) -> None:
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(name), sql.Identifier(to)))


def _refuse_in_use(url: str, database: str) -> None:
    with psycopg.connect(dsn(url)) as connection:
        row = connection.execute(_OTHERS, (database,)).fetchone()
    if row is not None and row[0]:
        raise ConflictError("backup.in_use", sessions=row[0])


def _empty_server(url: str, *, yes: bool) -> None:
    """A server of yours: its database must be empty, or emptying it be wished."""
    try:
        with psycopg.connect(dsn(url), connect_timeout=10) as connection:
            if _is_empty(connection):
                return
            if not yes:
                raise ConflictError("backup.not_empty", directory=connection.info.dbname)
            row = connection.execute(_OTHERS, (connection.info.dbname,)).fetchone()
            if row is not None and row[0]:
                raise ConflictError("backup.in_use", sessions=row[0])
            for schema in SCHEMAS:
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
            connection.execute("DROP TABLE IF EXISTS public.alembic_version")
    except psycopg.OperationalError as error:
        raise UnavailableError("storage.unreachable", reason=str(error).strip().splitlines()[-1]) from error


def _is_empty(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = ANY (%s)", (list(SCHEMAS),)).fetchone()
    return row is not None and row[0] == 0


async def _prove(url: str, manifest: Manifest) -> None:
    """The trail is whole and ends where it ended; the service answers that it is ready."""
    from api.app import create_app

    engine = create_engine(url, pool_size=2, statement_timeout_s=0, name="restore")
    try:
        known = [head] if (head := parse_head(manifest.audit_head)) else []
        async with read_unit(engine, snapshot=True) as unit:
            _, finding = await verify(unit, known)
        if finding is not None:
            raise UnavailableError("backup.differs", what="audit", was=manifest.audit_head, now=finding.code)
        app = create_app(Settings().model_copy(update={"database_url": url}))
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client,
        ):
            ready = await client.get("/readyz")
        if ready.status_code != 200:
            raise UnavailableError("backup.differs", what="readyz", was="200", now=str(ready.status_code))
        async with write_unit(engine) as unit:
            await record(unit, Kind.RESTORED, manifest.made_at, head=manifest.audit_head)
    finally:
        await engine.dispose()


async def _note(url: str, kind: Kind, manifest: Manifest) -> None:
    engine = create_engine(url, pool_size=1, name="backup")
    try:
        async with write_unit(engine) as unit:
            await record(unit, kind, manifest.made_at, head=manifest.audit_head)
    finally:
        await engine.dispose()


def _place_files(place: Path, unpacked: Path) -> None:
    """Put the key where it is looked for; another key that lies there is kept beside it, never lost."""
    for name in FILES:
        source, target = unpacked / name, place / name
        if not source.is_file():
            continue
        if target.is_file() and target.read_bytes() != source.read_bytes():
            target.rename(place / f"{name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        shutil.copyfile(source, target)
        with suppress(OSError):
            target.chmod(0o600)


def _counts(manifest: Manifest) -> dict[str, Any]:
    return {
        "cases": manifest.rows.get("dispatch.dispatch_case", 0),
        "rows": sum(manifest.rows.values()),
        "head": manifest.audit_head.partition(":")[0] or "0",
    }
