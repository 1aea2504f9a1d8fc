"""Where PostgreSQL is on this machine, what it is set to, how much memory it may take, and as whom it runs."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

from geo.storage.cluster_errors import PostgresMissingError

BINARIES: Final = Path("/usr/lib/postgresql")
EXTENSIONS: Final = Path("/usr/share/postgresql")
SERVER_USER: Final = "postgres"
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}

SERVER_SETTINGS: Final = {
    "max_wal_size": "4GB",
    # Used files of the log are kept for the next burst: to make one, 16 MB of zeros, holds up everybody who commits.
    "min_wal_size": "1GB",
    # After a checkpoint whole pages are logged. Compressed they are less to flush, and lz4 costs next to nothing.
    "wal_compression": "lz4",
    "random_page_cost": "1.1",
    "track_io_timing": "on",
    "log_min_duration_statement": "2000",
}
"""What a server should be set to that Gridward is served by: the embedded one, docker-compose.yml, docs/install.md."""


def list_postgres() -> dict[int, Path]:
    """Return the ``bin`` folders of every installed PostgreSQL that has PostGIS, by major version."""
    found: dict[int, Path] = {}
    for binary in BINARIES.glob("*/bin/postgres"):
        version = binary.parent.parent.name
        control = EXTENSIONS / version / "extension" / "postgis.control"
        if re.fullmatch(r"\d+", version) and control.is_file() and os.access(binary, os.X_OK):
            found[int(version)] = binary.parent
    return found


def find_postgres(major: int | None = None) -> Path:
    """Return the ``bin`` folder of the newest PostgreSQL that has PostGIS.

    Parameters
    ----------
    major
        Only this version: a cluster's files can be read by the version that made them and by no other.

    Raises
    ------
    PostgresMissingError
        Nothing fits. The server alone is not enough; its PostGIS package must be there for the same version.
    """
    found = list_postgres()
    if major is None and found:
        return found[max(found)]
    if major is not None and major in found:
        return found[major]
    raise PostgresMissingError(major=major)


def postgres_of(data_dir: Path) -> Path:
    """Return the ``bin`` folder of the version that made a server's files. Errors: as `find_postgres`."""
    return find_postgres(int((data_dir / "PG_VERSION").read_text(encoding="ascii").strip()))


@lru_cache(maxsize=1)
def server_identity() -> tuple[int, int] | None:
    """Return (uid, gid) the server must run as, or None when that is simply us.

    PostgreSQL refuses to run as root, so root hands over to the account that Debian's package made.
    """
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(SERVER_USER)
        group = grp.getgrnam(SERVER_USER)
    except KeyError:
        raise PostgresMissingError from None
    return account.pw_uid, group.gr_gid


def as_server(command: list[str], *, die_with_parent: bool = False) -> list[str]:
    """Prefix a command so that it runs as the server's account (and, for a throw-away cluster, ends with us)."""
    identity = server_identity()
    setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
    prefix: list[str] = []
    if identity is not None:
        prefix += [f"--reuid={identity[0]}", f"--regid={identity[1]}", "--init-groups"]
    if die_with_parent:
        prefix.append("--pdeathsig=QUIT")
    return [setpriv, *prefix, "--", *command] if prefix else command


def run_as_server(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's tools to its end; what it says is in ``stdout``."""
    return subprocess.run(  # noqa: S603 - our own command, no shell
        as_server(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        env=ENVIRONMENT,
        check=False,
    )


def has_setting(data_dir: Path, name: str, value: str) -> bool:
    """Tell whether the server of a directory, which need not run, can be set so. Cost: some 20 ms."""
    server = str(postgres_of(data_dir) / "postgres")
    return run_as_server([server, "-D", str(data_dir.resolve()), "-c", f"{name}={value}", "-C", name]).returncode == 0


def memory_settings(total_bytes: int | None = None) -> dict[str, str]:
    """Return memory settings for a machine that the API and the worker share with the server.

    Units: the result is in PostgreSQL's MB notation.

    Examples
    --------
    >>> memory_settings(2 * 1024**3)["shared_buffers"]
    '409MB'
    >>> memory_settings(512 * 1024**3)["shared_buffers"]
    '2048MB'
    """
    if total_bytes is None:
        total_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    total_mb = total_bytes // 1024**2
    settings = {
        # A fifth, because it cannot be given back; a city's year of cases fits into 2 GB many times.
        "shared_buffers": f"{min(max(total_mb // 5, 64), 2048)}MB",
        "effective_cache_size": f"{max(total_mb // 2, 128)}MB",
        "maintenance_work_mem": f"{min(max(total_mb // 16, 64), 512)}MB",
        "work_mem": f"{min(max(total_mb // 256, 4), 32)}MB",
    }
    shared_memory = Path("/dev/shm")  # noqa: S108 - only its size is looked at
    # A container often has 64 MB there, and a parallel query would then die with "No space left on device".
    if not shared_memory.is_dir() or shutil.disk_usage(shared_memory).total < 256 * 1024**2:
        settings["dynamic_shared_memory_type"] = "mmap"
    return settings
