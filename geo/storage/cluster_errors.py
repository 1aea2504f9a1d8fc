"""What can go wrong with the embedded cluster, one class per cause that a person can act on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from geo.errors import GridwardError


class ClusterError(GridwardError):
    """The embedded PostgreSQL cluster cannot be used."""


class PostgresMissingError(ClusterError):
    """No PostgreSQL with PostGIS is installed, or not of the version the data needs."""

    def __init__(self, *, major: int | None = None) -> None:
        if major is None:
            super().__init__("cluster.postgres_missing")
        else:
            super().__init__("cluster.postgres_version_missing", version=major)


class ClusterStartError(ClusterError):
    """PostgreSQL refused to start; its own last words are part of the message."""

    def __init__(self, *, reason: str, log: Path) -> None:
        super().__init__("cluster.start_failed", reason=reason, log=str(log))


class ClusterStopError(ClusterError):
    """PostgreSQL did not stop in time."""

    def __init__(self, *, reason: str, log: Path) -> None:
        super().__init__("cluster.stop_failed", reason=reason, log=str(log))


class ClusterDirectoryError(ClusterError):
    """The data directory holds something else, or cannot be written."""

    def __init__(self, *, directory: Path, reason: str) -> None:
        super().__init__("cluster.directory_unusable", directory=str(directory), reason=reason)


class ClusterSpaceError(ClusterError):
    """Too little room on the disk to begin."""

    def __init__(self, *, directory: Path, free_mb: int, needed_mb: int) -> None:
        super().__init__("cluster.no_space", directory=str(directory), free_mb=free_mb, needed_mb=needed_mb)


class UnsafeSettingsError(ClusterError):
    """The server may forget what it has acknowledged; Gridward promises never to."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = dict(settings)
        listed = ", ".join(f"{name} = {value}" for name, value in sorted(settings.items()))
        super().__init__("cluster.unsafe_settings", settings=listed)
