"""The embedded cluster: a private PostgreSQL + PostGIS in a directory, reached through a unix socket only.

The server is a daemon of its own: when our process is killed it keeps running, and the next `Cluster.start` on the same
directory adopts it. A throw-away cluster (tests, benchmarks) dies with the process that started it instead.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import psycopg
from psycopg import sql

from geo.storage.cluster_errors import (
    ClusterDirectoryError,
    ClusterSpaceError,
    ClusterStartError,
    ClusterStopError,
    UnsafeSettingsError,
)
from geo.storage.durability import check_durability
from geo.storage.postgres import (
    ENVIRONMENT,
    SERVER_SETTINGS,
    as_server,
    find_postgres,
    has_setting,
    memory_settings,
    postgres_of,
    run_as_server,
    server_identity,
)

__all__ = ["Cluster", "check_durability", "find_postgres"]

PORT: Final = 5432  # only part of the socket's file name; nothing listens on the network
SUPERUSER: Final = "gridward"
START_S: Final = 60
STOP_S: Final = 60
BURIAL_S: Final = 15
NEEDED_MB: Final = 300  # what a fresh cluster takes with its first WAL segments
# sun_path holds 108 bytes including the terminating zero; the server appends "/.s.PGSQL.5432".
SOCKET_PATH_MAX: Final = 107 - len("/.s.PGSQL.5432")
_HOMELESS: Final = Path("/var/lib/gridward")

_SETTINGS: Final = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "'%m [%p] %q%a '",
}
_THROW_AWAY: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "8GB",
    "wal_compression": "off",
}


class _Running(NamedTuple):
    pid: int
    sockets: Path


class Cluster:
    """One cluster in one directory.

    Parameters
    ----------
    data_dir
        PostgreSQL's own directory; made when it is missing. When the server's account cannot reach it (root's home is
        closed to everybody else), the files go to ``/var/lib/gridward`` and a link stands at this place.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The server's log file, beside the data, so that it survives a failed first start."""
        return self.data_dir.with_name(f"{self.data_dir.name}.log")

    @property
    def is_running(self) -> bool:
        """True when a server holds this directory and has opened its socket, whoever started it."""
        running = self._find_running()
        return running is not None and (running.sockets / f".s.PGSQL.{PORT}").exists()

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one database of the running cluster."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={quote(str(self._sockets()), safe='')}&port={PORT}"

    def start(self, *, throw_away: bool = False) -> bool:
        """Start the server, or adopt the one that already runs here.

        Parameters
        ----------
        throw_away
            For tests and benchmarks only: no flushing to disk, and the server ends when this process does.

        Returns
        -------
        bool
            True when this call started it.

        Raises
        ------
        ClusterError
            A subclass per cause: no PostgreSQL, other version, no room, unusable directory, unsafe settings, refusal.
        """
        with self._exclusive():
            started = self._find_running() is None
            if started:
                self._await_burial()
                self._prepare(throw_away=throw_away)
                self._launch(throw_away=throw_away)
            # An adopted server may still be replaying its log after a power cut.
            self._await_ready()
            if not throw_away:
                self._refuse_unsafe(started=started)
        return started

    def stop(self) -> None:
        """Stop the server, whoever started it: sessions end, what was committed is kept. Harmless when stopped."""
        with self._exclusive():
            self._stop()

    def create_database(self, name: str, template: str | None = None) -> None:
        """Create a database, from ``template`` when given (nobody may be connected to the template)."""
        # A server that never flushes copies whole files; one that does would have to make two checkpoints for it.
        strategy = sql.SQL("" if self._child is None else " STRATEGY FILE_COPY")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}{}").format(
            sql.Identifier(name), sql.Identifier(template or "template0"), strategy
        )
        with self._administer() as connection:
            connection.execute(statement)

    def drop_database(self, name: str) -> None:
        """Drop a database and end the sessions in it; harmless when there is none of that name."""
        with self._administer() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def has_database(self, name: str) -> bool:
        """Tell whether a database of that name exists."""
        with self._administer() as connection:
            return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    # -- start ---------------------------------------------------------------------------------------------------------

    def _prepare(self, *, throw_away: bool) -> None:
        self._home()
        version_file = self.data_dir / "PG_VERSION"
        if not version_file.exists():
            self._initialise(throw_away=throw_away)
        settings = {**SERVER_SETTINGS, **_SETTINGS, **memory_settings(), **(_THROW_AWAY if throw_away else {})}
        if not throw_away and not has_setting(self.data_dir, "wal_compression", settings["wal_compression"]):
            settings["wal_compression"] = "on"  # a server built without it compresses in its own, slower way
        settings["unix_socket_directories"] = f"'{self._make_sockets()}'"
        lines = ["# Written at every start; put your own settings into postgresql.auto.conf (ALTER SYSTEM)."]
        lines += [f"{name} = {value}" for name, value in sorted(settings.items())]
        path = self.data_dir / "gridward.conf"
        try:
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        except OSError as error:
            raise ClusterDirectoryError(directory=self.data_dir, reason=error.strerror or str(error)) from error
        self._own(path)

    def _home(self) -> None:
        """Make the directory where the server's account can reach it, and check that it is ours to use."""
        try:
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            if not self.data_dir.exists():
                if self.data_dir.is_symlink():
                    raise ClusterDirectoryError(directory=self.data_dir, reason=f"-> {self.data_dir.readlink()}")
                if server_identity() is not None and not _is_open_to_all(self.data_dir.parent.resolve()):
                    _HOMELESS.mkdir(parents=True, exist_ok=True)
                    _HOMELESS.chmod(0o755)
                    self.data_dir.symlink_to(tempfile.mkdtemp(prefix="cluster-", dir=_HOMELESS))
                else:
                    self.data_dir.mkdir(mode=0o700)
            entries = {path.name for path in self.data_dir.iterdir()}
        except OSError as error:
            raise ClusterDirectoryError(directory=self.data_dir, reason=error.strerror or str(error)) from error
        if entries and "PG_VERSION" not in entries:
            # Never initdb over, and never delete, what we have not made.
            raise ClusterDirectoryError(directory=self.data_dir, reason=", ".join(sorted(entries)[:5]))
        self._own(self.data_dir.resolve())

    def _initialise(self, *, throw_away: bool) -> None:
        free_mb = shutil.disk_usage(self.data_dir).free // 1024**2
        if free_mb < NEEDED_MB:
            raise ClusterSpaceError(directory=self.data_dir, free_mb=free_mb, needed_mb=NEEDED_MB)
        command = [str(find_postgres() / "initdb"), "-D", str(self.data_dir.resolve()), "-U", SUPERUSER]
        # Byte order for codes (the tie rule of the lookup depends on it), Unicode for upper and lower case.
        command += ["--encoding=UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--locale=C.UTF-8", "--data-checksums"]
        # The socket's directory is 0700: who can reach it is the server's account or root, and needs no password.
        command += ["--auth-local=trust", "--auth-host=reject"]
        if throw_away:
            command.append("--no-sync")
        done = run_as_server(command)
        if done.returncode != 0:
            for entry in self.data_dir.iterdir():  # initdb's own cleaning fails when the disk is full
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            self.log.write_text(done.stdout, encoding="utf-8")
            raise ClusterStartError(reason=_last_words(self.log), log=self.log)
        with (self.data_dir / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write("\ninclude_if_exists = 'gridward.conf'\n")

    def _launch(self, *, throw_away: bool) -> None:
        binaries = postgres_of(self.data_dir)
        directory = str(self.data_dir.resolve())
        self.log.touch()
        self._own(self.log)
        if throw_away:
            with self.log.open("ab") as log:
                self._child = subprocess.Popen(  # noqa: S603 - our own command, no shell
                    as_server([str(binaries / "postgres"), "-D", directory], die_with_parent=True),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                    env=ENVIRONMENT,
                    start_new_session=True,
                )
            return
        # The log is opened by us and handed over, because the server's account may not reach the folder it lies in.
        with self.log.open("ab") as log:
            done = subprocess.run(  # noqa: S603 - our own command, no shell
                as_server([str(binaries / "pg_ctl"), "start", "-D", directory, "-w", "-t", str(START_S), "-s"]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env=ENVIRONMENT,
                check=False,
                start_new_session=True,
            )
        if done.returncode != 0:
            raise ClusterStartError(reason=_last_words(self.log), log=self.log)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self._child is not None and self._child.poll() is not None:
                break
            if self.is_running:
                with suppress(psycopg.OperationalError), self._administer():
                    return
            time.sleep(0.02)
        raise ClusterStartError(reason=_last_words(self.log), log=self.log)

    def _await_burial(self) -> None:
        """Wait while a killed server is dying or a zombie: to the next server its number still looks alive."""
        deadline = time.monotonic() + BURIAL_S
        while time.monotonic() < deadline:
            try:
                pid = int((self.data_dir / "postmaster.pid").read_text(encoding="utf-8").split()[0])
                # A process that has given back its memory, but not its number, has no command line any more.
                if Path(f"/proc/{pid}/cmdline").read_bytes():
                    return
            except (OSError, ValueError, IndexError):
                return
            time.sleep(0.05)

    def _refuse_unsafe(self, *, started: bool) -> None:
        try:
            with self._administer() as connection:
                check_durability(connection)
        except UnsafeSettingsError:
            if started:
                self._stop()
            raise

    # -- stop ----------------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        running = self._find_running()
        if running is None:
            return
        os.kill(running.pid, signal.SIGINT)  # "fast": open transactions are rolled back, then a checkpoint
        deadline = time.monotonic() + STOP_S
        while self._find_running() is not None or (self._child is not None and self._child.poll() is None):
            if time.monotonic() > deadline:
                raise ClusterStopError(reason=_last_words(self.log), log=self.log)
            time.sleep(0.02)
        if self._child is not None:
            self._child.wait()
            self._child = None
        self._forget_sockets(running.sockets)

    # -- sockets -------------------------------------------------------------------------------------------------------

    def _find_running(self) -> _Running | None:
        """Read ``postmaster.pid``: lines are pid, directory, start time, port, socket directory, address, state."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            pid = int(lines[0])
            name = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
        except (OSError, ValueError, IndexError):
            return None
        # A number left behind by a power cut may belong to somebody else by now.
        if not name.endswith(b"postgres") or len(lines) < 5 or not lines[4]:
            return None
        return _Running(pid=pid, sockets=Path(lines[4]))

    def _sockets(self) -> Path:
        running = self._find_running()
        if running is None:
            raise ClusterStartError(reason=_last_words(self.log), log=self.log)
        return running.sockets

    def _make_sockets(self) -> Path:
        inside = self.data_dir.resolve() / "sockets"
        if len(os.fsencode(inside)) <= SOCKET_PATH_MAX and "'" not in str(inside) and "," not in str(inside):
            inside.mkdir(mode=0o700, exist_ok=True)
            self._own(inside)
            return inside
        short = Path(tempfile.mkdtemp(prefix="gridward-", dir="/tmp"))
        self._own(short)
        return short

    def _forget_sockets(self, directory: Path) -> None:
        if directory.parent == Path("/tmp") and directory.name.startswith("gridward-"):  # noqa: S108
            shutil.rmtree(directory, ignore_errors=True)

    # -- helpers -------------------------------------------------------------------------------------------------------

    def _own(self, path: Path) -> None:
        identity = server_identity()
        if identity is not None:
            os.chown(path, *identity)

    @contextmanager
    def _administer(self) -> Iterator[psycopg.Connection[Any]]:
        connection = psycopg.connect(
            host=str(self._sockets()), port=PORT, user=SUPERUSER, dbname="postgres", autocommit=True, connect_timeout=5
        )
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Let one process at a time start or stop this cluster; the kernel frees the lock when its holder dies."""
        lock = self.data_dir.with_name(f".{self.data_dir.name}.lock")
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
            file = lock.open("a")
        except OSError as error:
            raise ClusterDirectoryError(directory=self.data_dir, reason=error.strerror or str(error)) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_open_to_all(directory: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (directory, *directory.parents))


def _last_words(log: Path, lines: int = 3) -> str:
    """Return the server's complaints of its last attempt, else the log's last lines."""
    try:
        words = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        return ""
    # Sessions that came too early say FATAL as well; the server's own complaints are what counts.
    complaints = [
        line
        for line in words[-20:]
        if any(
            mark in line for mark in (" LOG:  syntax", " LOG:  invalid", "FATAL", "PANIC", "error:", "DETAIL", "HINT")
        )
        and "starting up" not in line
    ]
    return " | ".join((complaints or words)[-lines:])
