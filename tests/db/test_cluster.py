"""The embedded cluster: start, adopt, refuse, stop; on real PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from geo.storage.cluster import SOCKET_PATH_MAX, Cluster, check_durability, find_postgres
from geo.storage.cluster_errors import (
    ClusterDirectoryError,
    ClusterSpaceError,
    ClusterStartError,
    PostgresMissingError,
    UnsafeSettingsError,
)
from geo.storage.engine import dsn
from geo.storage.postgres import SERVER_SETTINGS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def durable(scratch_dir: Path) -> Iterator[Cluster]:
    """Give one cluster with real settings for the whole module; a test may leave it stopped."""
    cluster = Cluster(scratch_dir / "durable")
    yield cluster
    cluster.stop()


def test_throw_away_cluster_has_postgis_on_a_private_socket(cluster: Cluster, shared_database: str) -> None:
    """PostGIS answers, and nothing listens on the network."""
    with psycopg.connect(dsn(shared_database)) as connection:
        row = connection.execute("SELECT postgis_version(), current_setting('listen_addresses')").fetchone()
        assert row is not None
        assert row[0].startswith("3.")
        assert row[1] == ""
        sockets = connection.execute("SELECT current_setting('unix_socket_directories')").fetchone()
    assert sockets is not None
    assert Path(sockets[0]).stat().st_mode & 0o077 == 0
    assert cluster.is_running


def test_start_is_repeatable_and_data_survive_a_stop(durable: Cluster) -> None:
    """A second start adopts; after stop and start the database is still there."""
    assert durable.start() is True
    assert durable.start() is False
    durable.create_database("kept")
    durable.stop()
    assert not durable.is_running
    durable.stop()
    assert durable.start() is True
    assert durable.has_database("kept")
    durable.drop_database("kept")
    durable.drop_database("kept")
    assert not durable.has_database("kept")


def test_next_start_adopts_the_cluster_of_a_killed_process(durable: Cluster) -> None:
    """kill -9 of the starter leaves a server that is found, used and stopped by the next one."""
    durable.stop()
    code = (
        "import sys, time; from pathlib import Path; from geo.storage.cluster import Cluster\n"
        "print(Cluster(Path(sys.argv[1])).start(), flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code, str(durable.data_dir)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    with starter.stdout:
        assert starter.stdout.readline() == "True\n"
        starter.send_signal(signal.SIGKILL)
        starter.wait()
    assert durable.start() is False
    durable.stop()
    assert not durable.is_running


def test_throw_away_cluster_dies_with_its_process(scratch_dir: Path) -> None:
    """A killed test run leaves no server behind."""
    directory = scratch_dir / "orphan"
    code = (
        "import os, sys; from pathlib import Path; from geo.storage.cluster import Cluster\n"
        "Cluster(Path(sys.argv[1])).start(throw_away=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(directory)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    pid = (
        int((directory / "postmaster.pid").read_text().splitlines()[0])
        if (directory / "postmaster.pid").exists()
        else 0
    )
    deadline = time.monotonic() + 10
    while pid and _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not pid or not _is_alive(pid)


def _is_alive(pid: int) -> bool:
    try:
        return b"postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_server_ends_with_our_own_stop_after_a_crash_of_the_server(durable: Cluster) -> None:
    """A server that was killed leaves a stale pid file; the next start repairs and runs."""
    durable.start()
    pid = int((durable.data_dir / "postmaster.pid").read_text().splitlines()[0])
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not durable.is_running
    assert durable.start() is True


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_unsafe_settings_are_refused_by_name(durable: Cluster, name: str) -> None:
    """Each of the three settings stops the start, and the server that was started for it."""
    durable.start()
    with psycopg.connect(dsn(durable.url("postgres")), autocommit=True) as connection:
        check_durability(connection)
        connection.execute(f"ALTER SYSTEM SET {name} = off")
    durable.stop()
    with pytest.raises(UnsafeSettingsError) as caught:
        durable.start()
    assert caught.value.settings == {name: "off"}
    assert caught.value.code == "cluster.unsafe_settings"
    assert not durable.is_running
    (durable.data_dir / "postgresql.auto.conf").write_text("")


def test_what_the_server_was_not_built_with_does_not_keep_it_from_starting(
    durable: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages in the log are compressed as asked for; where the server cannot, in its own way."""

    def compression() -> str:
        durable.stop()
        durable.start()
        with psycopg.connect(dsn(durable.url("postgres"))) as connection:
            row = connection.execute("SELECT current_setting('wal_compression')").fetchone()
        assert row is not None
        return str(row[0])

    durable.start()
    assert compression() == SERVER_SETTINGS["wal_compression"]
    monkeypatch.setitem(SERVER_SETTINGS, "wal_compression", "never-heard-of")
    assert compression() == "pglz"


def test_durability_sees_a_setting_of_the_database(durable: Cluster) -> None:
    """ALTER DATABASE … SET is as unsafe as the server's own file."""
    durable.start()
    durable.create_database("hasty")
    with psycopg.connect(dsn(durable.url("postgres")), autocommit=True) as connection:
        connection.execute("ALTER DATABASE hasty SET synchronous_commit = off")
        check_durability(connection)
    with psycopg.connect(dsn(durable.url("hasty"))) as connection, pytest.raises(UnsafeSettingsError):
        check_durability(connection)
    durable.drop_database("hasty")


def test_long_path_falls_back_to_a_short_socket_directory(scratch_dir: Path) -> None:
    """The kernel allows 107 bytes for a socket's path; Chinese folder names count three each."""
    directory = scratch_dir / ("网格" * 20) / "cluster"
    assert len(os.fsencode(directory)) > SOCKET_PATH_MAX
    cluster = Cluster(directory)
    cluster.start(throw_away=True)
    running = (directory / "postmaster.pid").read_text().splitlines()
    sockets = Path(running[4])
    assert sockets.parent == Path("/tmp")
    assert sockets.stat().st_mode & 0o077 == 0
    cluster.create_database("works")
    cluster.stop()
    assert not sockets.exists()


def test_foreign_files_are_never_touched(scratch_dir: Path) -> None:
    """A folder that holds something else is refused, and still holds it afterwards."""
    directory = scratch_dir / "photos"
    directory.mkdir()
    (directory / "holiday.jpg").write_text("keep me")
    with pytest.raises(ClusterDirectoryError):
        Cluster(directory).start()
    assert (directory / "holiday.jpg").read_text() == "keep me"


def test_data_of_another_version_name_that_version(scratch_dir: Path) -> None:
    """PostgreSQL 99 is not installed: say so, do not initialise anew."""
    directory = scratch_dir / "future"
    directory.mkdir()
    (directory / "PG_VERSION").write_text("99\n")
    with pytest.raises(PostgresMissingError) as caught:
        Cluster(directory).start()
    assert caught.value.params == {"version": 99}


def test_broken_settings_show_the_servers_own_words(scratch_dir: Path) -> None:
    """A start that PostgreSQL refuses carries its reason and the log's place."""
    directory = scratch_dir / "broken"
    cluster = Cluster(directory)
    cluster.start(throw_away=True)
    cluster.stop()
    (directory / "postgresql.auto.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(ClusterStartError) as caught:
        cluster.start()
    assert "shared_buffers" in caught.value.params["reason"]
    assert not cluster.is_running


def test_too_little_room_is_said_before_anything_is_written(scratch_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is nearly full is named with both numbers."""
    monkeypatch.setattr("geo.storage.cluster.NEEDED_MB", 10**9)
    directory = scratch_dir / "cramped"
    with pytest.raises(ClusterSpaceError):
        Cluster(directory).start()
    assert list(directory.iterdir()) == []


def test_find_postgres_wants_postgis_of_the_same_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer server without PostGIS loses against an older one that has it."""
    for version in ("15", "17"):
        binary = tmp_path / "bin" / version / "bin" / "postgres"
        binary.parent.mkdir(parents=True)
        binary.touch(mode=0o755)
    control = tmp_path / "share" / "15" / "extension" / "postgis.control"
    control.parent.mkdir(parents=True)
    control.touch()
    monkeypatch.setattr("geo.storage.postgres.BINARIES", tmp_path / "bin")
    monkeypatch.setattr("geo.storage.postgres.EXTENSIONS", tmp_path / "share")
    assert find_postgres() == tmp_path / "bin" / "15" / "bin"
    with pytest.raises(PostgresMissingError):
        find_postgres(17)
