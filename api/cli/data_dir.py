"""The data directory: who uses it, what it was made with, and whether there is room."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from api.cli.version import gridward_version
from api.migrations import head, is_known
from api.settings import Settings
from geo.errors import GridwardError

_STATE: Final = "gridward.json"
# Units: MB. The demo takes 700 MB of tables, and its WAL about as much again until the next checkpoint.
NEEDED_FOR_DEMO: Final = 3000
NEEDED_FOR_NEW: Final = 600
NEEDED_TO_RUN: Final = 150


class DataDirError(GridwardError):
    """The data directory cannot be used; the code says why."""


class Demo(StrEnum):
    """What has become of the demo district in this data directory."""

    UNDECIDED = "undecided"
    NONE = "none"
    LOADING = "loading"
    LOADED = "loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What `gridward.json` remembers between starts."""

    version: str
    schema: str
    demo: Demo = Demo.UNDECIDED


def project_root() -> Path | None:
    """Return the source tree, or None when Gridward is installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").is_file() else None


def resolve_data_dir(given: Path | None = None) -> Path:
    """Return the directory to use: the option, else the setting, else ``data`` in the source tree (or where we stand).

    The default does not depend on the caller's folder, or a start from elsewhere would begin a second, empty desk.
    """
    settings = Settings()
    if given is not None:
        return given.absolute()
    root = project_root()
    if "data_dir" in settings.model_fields_set or root is None:
        return settings.data_dir.absolute()
    return root / settings.data_dir


def read_state(data_dir: Path) -> State | None:
    """Return what was remembered, or None for a new directory.

    Raises
    ------
    DataDirError
        ``data_dir.newer``: a newer Gridward has migrated it; ``data_dir.damaged``: the file cannot be read.
    """
    path = data_dir / _STATE
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataDirError("data_dir.unusable", directory=str(data_dir), reason=error.strerror) from error
    try:
        state = msgspec.json.decode(raw, type=State)
    except msgspec.DecodeError as error:
        raise DataDirError("data_dir.damaged", file=str(path), reason=str(error)) from error
    if not is_known(state.schema):
        raise DataDirError(
            "data_dir.newer",
            directory=str(data_dir),
            found=state.version,
            here=gridward_version(),
            revision=state.schema,
        )
    return state


def write_state(data_dir: Path, *, demo: Demo | None = None) -> State:
    """Remember this program's version and schema (and the demo's fate) in one step, so that no half file is left."""
    before = read_state(data_dir) or State(version="", schema=head())
    state = replace(before, version=gridward_version(), schema=head(), demo=before.demo if demo is None else demo)
    partial = data_dir / f"{_STATE}.partial"
    with partial.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(asdict(state))) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(data_dir / _STATE)
    return state


def make(data_dir: Path) -> None:
    """Make the directory, or say why not."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        if not os.access(data_dir, os.W_OK | os.X_OK):
            raise PermissionError(13, os.strerror(13))
    except OSError as error:
        raise DataDirError("data_dir.unusable", directory=str(data_dir), reason=error.strerror) from error


def check_room(data_dir: Path, *, needed_mb: int) -> None:
    """Refuse to begin what the disk cannot hold."""
    place = data_dir
    while not place.exists():
        place = place.parent
    free_mb = shutil.disk_usage(place).free // 1024**2
    if free_mb < needed_mb:
        raise DataDirError("cluster.no_space", directory=str(data_dir), free_mb=free_mb, needed_mb=needed_mb)


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the directory for one `up`; a second one is told who has it."""
    path = data_dir / "up.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise DataDirError("data_dir.in_use", directory=str(data_dir), pid=file.read().strip() or "?") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def shared_use(data_dir: Path) -> Iterator[LastOne]:
    """Count the processes that use the embedded cluster, so that the last one to leave stops it.

    The kernel frees a lock when its holder dies, so a killed process is not counted for ever.
    """
    with (data_dir / "use.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # waits while somebody else is stopping the cluster
        yield LastOne(fd=file.fileno())


@dataclass(frozen=True, slots=True, kw_only=True)
class LastOne:
    """Answers whether anybody else still uses the directory."""

    fd: int

    def __bool__(self) -> bool:
        """True when nobody else does; newcomers then wait until our lock is gone."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
