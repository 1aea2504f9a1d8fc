"""Backup and restore: the whole database and the key of the reporters in one file, and a restore that is checked.

The file is a tar of a manifest, PostgreSQL's own archive, and the small files of the data directory without which the
database tells less. The manifest says what was there: rows per table, the head of the audit trail, a digest over the
digests of all photos; a restore is done when the restored database says the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from msgspec import Struct
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api import migrations
from api.cli.version import gridward_version
from api.identity_key import KEY_FILE
from api.retention import HEADS_FILE
from geo.errors import BadInputError, ConflictError, UnavailableError
from geo.storage.engine import dsn
from geo.storage.postgres import find_postgres

__all__ = ["FILES", "SCHEMAS", "Manifest", "describe", "fill", "make_backup", "make_roles", "open_backup"]

FORMAT: Final = 1
SCHEMAS: Final = ("geo", "dispatch", "api", "reporter", "audit")
ROLES: Final = ("gridward_service", "gridward_desk", "gridward_area", "gridward_reporter", "gridward_backup")
#: What lies beside the database and belongs to it.
FILES: Final = (KEY_FILE, HEADS_FILE)
_MANIFEST: Final = "manifest.json"
_DUMP: Final = "database.dump"
_WHOLE_S: Final = 6 * 3600


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: int
    made_at: str
    gridward: str
    schema: str
    postgres: str
    rows: dict[str, int]
    audit_head: str
    photos: str
    #: SHA-256 of the members of the file.
    members: dict[str, str] = {}


def describe(connection: psycopg.Connection[Any]) -> Manifest:
    """What a database holds, in one instant if the transaction is one."""
    connection.execute("SET LOCAL statement_timeout = 0")
    tables = connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1, 2",
        (list(SCHEMAS),),
    ).fetchall()
    rows = {}
    for schema, table in tables:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        rows[f"{schema}.{table}"] = _one(connection, query)
    head = connection.execute("SELECT number, digest FROM audit.record ORDER BY number DESC LIMIT 1").fetchone()
    photos = hashlib.sha256()
    for digest in connection.execute("SELECT sha256(image) FROM dispatch.case_photo ORDER BY id"):
        photos.update(digest[0])
    return Manifest(
        format=FORMAT,
        made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        gridward=gridward_version(),
        schema=str(_one(connection, sql.SQL("SELECT version_num FROM alembic_version"))),
        postgres=str(connection.info.server_version // 10000),
        rows=rows,
        audit_head=f"{head[0]}:{bytes(head[1]).hex()}" if head else "",
        photos=photos.hexdigest(),
    )


def make_backup(url: str, file: Path, place: Path) -> Manifest:
    """Write a backup; all of it is of one instant, and nothing has to be stopped for it.

    Raises
    ------
    ConflictError
        ``backup.exists``.
    UnavailableError
        ``backup.needs_bypass``, ``backup.failed`` with what PostgreSQL says.
    """
    if file.exists():
        raise ConflictError("backup.exists", file=str(file))
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".gridward-backup-", dir=file.parent) as scratch:
        dump = Path(scratch) / _DUMP
        with psycopg.connect(dsn(url), connect_timeout=10) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            role = _reading_role(connection)
            if role is not None:
                connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            snapshot = _one(connection, sql.SQL("SELECT pg_export_snapshot()"))
            options = ["--format=custom", "--compress=3", f"--snapshot={snapshot}", f"--file={dump}", "--no-sync"]
            _run("pg_dump", [*options, *([f"--role={role}"] if role else [])], url)
            manifest = describe(connection)
        members = {_DUMP: dump} | {name: place / name for name in FILES if (place / name).is_file()}
        manifest = msgspec.structs.replace(manifest, members={name: _digest(path) for name, path in members.items()})
        about = Path(scratch) / _MANIFEST
        about.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        partial = Path(scratch) / "backup.tar"
        # Names, numbers and the key that opens them: for its owner only.
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            with tarfile.open(fileobj=out, mode="w") as tar:
                for name, path in {_MANIFEST: about, **members}.items():
                    tar.add(path, arcname=name, filter=_nobodys)
            out.flush()
            os.fsync(out.fileno())
        partial.rename(file)
    return manifest


@contextmanager
def open_backup(file: Path, scratch_in: Path) -> Iterator[tuple[Manifest, Path]]:
    """Unpack a backup and check it; gives what it holds and the folder with its members.

    Raises
    ------
    BadInputError
        ``backup.not_one``, ``backup.damaged``, ``backup.newer``.
    """
    with tempfile.TemporaryDirectory(prefix=".gridward-restore-", dir=scratch_in) as scratch:
        place = Path(scratch)
        try:
            with tarfile.open(file) as tar:
                # Our own names only, whatever paths the file says.
                for name in (_MANIFEST, _DUMP, *FILES):
                    # Contents only, never a link or a mode; ``filter="data"`` is missing from Debian 12's own Python.
                    if name in tar.getnames() and (content := tar.extractfile(name)) is not None:
                        with content, (place / name).open("xb") as out:
                            shutil.copyfileobj(content, out)
            manifest = msgspec.json.decode((place / _MANIFEST).read_bytes(), type=Manifest)
        except (OSError, tarfile.TarError, EOFError, KeyError, msgspec.MsgspecError) as error:
            raise BadInputError("backup.not_one", file=str(file), reason=type(error).__name__) from error
        if manifest.format > FORMAT or not migrations.is_known(manifest.schema):
            raise BadInputError("backup.newer", made_by=manifest.gridward, schema=manifest.schema)
        for name, digest in manifest.members.items():
            if name not in (_DUMP, *FILES) or not (place / name).is_file() or _digest(place / name) != digest:
                raise BadInputError("backup.damaged", file=str(file), member=name)
        yield manifest, place


def fill(url: str, place: Path, manifest: Manifest) -> None:
    """Fill an empty database from an unpacked backup, check that it holds what it held, and bring it up to date.

    Raises
    ------
    UnavailableError
        ``backup.failed``, ``backup.differs`` naming what.
    """
    with psycopg.connect(dsn(url), connect_timeout=10, autocommit=True) as connection:
        make_roles(connection)
    _run("pg_restore", ["--no-owner", "--no-comments", "--exit-on-error", "--jobs=2", str(place / _DUMP)], url)
    with psycopg.connect(dsn(url), connect_timeout=10) as connection:
        role = _reading_role(connection)
        if role is not None:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        found = describe(connection)
    for what in ("schema", "rows", "audit_head", "photos"):
        was, now = getattr(manifest, what), getattr(found, what)
        if was != now:
            raise UnavailableError("backup.differs", what=what, was=_short(was, now), now=_short(now, was))
    migrations.upgrade(url)
    with psycopg.connect(dsn(url), connect_timeout=10) as connection:
        # What an archive does not carry: rights on functions of extensions.
        connection.execute("SELECT api.protect()")
        connection.execute("ANALYZE")


def make_roles(connection: psycopg.Connection[Any]) -> None:
    """Make the roles that policies and rights speak of; they belong to the server, so no archive carries them."""
    for role in ROLES:
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
        try:
            if known is None:
                connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role)))
            member = connection.execute("SELECT pg_has_role(current_user, %s, 'MEMBER')", (role,)).fetchone()
            if member is None or not member[0]:
                connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(role)))
        except psycopg.errors.DuplicateObject:
            continue
        except psycopg.errors.InsufficientPrivilege as error:
            raise UnavailableError("backup.no_roles", roles=", ".join(ROLES)) from error


def _reading_role(connection: psycopg.Connection[Any]) -> str | None:
    """Who reads everything: the login where policies do not hold for it, else the role made for it."""
    row = connection.execute(
        "SELECT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user),"
        " coalesce((SELECT rolbypassrls AND pg_has_role(current_user, oid, 'MEMBER') FROM pg_roles"
        " WHERE rolname = 'gridward_backup'), false)"
    ).fetchone()
    assert row is not None
    if row[0]:
        return None
    if not row[1]:
        raise UnavailableError("backup.needs_bypass")
    return "gridward_backup"


def _run(tool: str, options: Sequence[str], url: str) -> None:
    about = conninfo_to_dict(dsn(url))
    secret = about.pop("password", None)
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | ({"PGPASSWORD": str(secret)} if secret else {})
    command = [
        str(find_postgres() / tool),
        f"--dbname={make_conninfo(**{name: str(value) for name, value in about.items()})}",
        *options,
    ]
    done = subprocess.run(  # noqa: S603 - our own command, no shell
        command, env=environment, capture_output=True, text=True, timeout=_WHOLE_S, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise UnavailableError("backup.failed", tool=tool, reason=(lines or ["?"])[0][:300])


def _one(connection: psycopg.Connection[Any], query: sql.SQL | sql.Composed) -> Any:
    row = connection.execute(query).fetchone()
    return row[0] if row is not None else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _short(one: Any, other: Any) -> str:
    """What is different, not all of it."""
    if isinstance(one, dict) and isinstance(other, dict):
        return ", ".join(f"{key} {value}" for key, value in one.items() if other.get(key) != value)[:300] or "–"
    return str(one)[:80]
