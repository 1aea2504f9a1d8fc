"""How a benchmark runs: how much, from which seed, on which cluster, and in which order."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from geo.storage.cluster import Cluster
from geo.storage.engine import dsn

ROUND_S = 0.3
_VERSIONS = "SELECT current_setting('server_version'), postgis_lib_version() || ', GEOS ' || postgis_geos_version()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The size of a run. The same seed makes the same input."""

    full: bool = False
    seed: int = 20261121
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """How often each side is measured."""
        return 5 if self.full else 3

    @contextmanager
    def cluster(self, *, durable: bool = False) -> Iterator[Cluster]:
        """Start a cluster of the run's own, and remove it with its files afterwards.

        Parameters
        ----------
        durable
            With every setting that keeps a committed row through a power cut, as in production, and with the log files
            of a server that has served for a while: both sides of a comparison find them made. Without it the server
            does not flush: right only where nothing written is measured.
        """
        directory = Path(tempfile.mkdtemp(prefix="gridward-bench-"))
        directory.chmod(0o755)  # the server's account must reach it
        cluster = Cluster(directory / "cluster")
        try:
            cluster.start(throw_away=not durable)
            if durable:
                _age(cluster)
            yield cluster
        finally:
            cluster.stop()
            # The cluster may have put its files elsewhere and left a link.
            shutil.rmtree((directory / "cluster").resolve(), ignore_errors=True)
            shutil.rmtree(directory, ignore_errors=True)

    def database(self, cluster: Cluster, name: str = "bench") -> str:
        """Make a database with PostGIS and give back what psycopg connects to."""
        cluster.create_database(name)
        url = cluster.url(name).replace("postgresql+psycopg://", "postgresql://")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION postgis")
            row = connection.execute(
                "SELECT current_setting('server_version'), postgis_lib_version() || ' GEOS ' || postgis_geos_version()"
            ).fetchone()
            assert row is not None
            self.versions.update(postgresql=row[0], postgis=row[1])
        return url

    def interleave(self, sides: Mapping[str, Callable[[], object]]) -> dict[str, float]:
        """Measure all sides in turn, round by round, so that a busy moment of the machine hits them alike.

        Returns
        -------
        dict
            Median seconds of each side. One round before the first is not counted: caches and compilers warm up in it.
            A short side runs several times a round, or the median would be one of three glances.
        """
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for round_ in range(self.rounds + 1):
            for name, side in sides.items():
                until = time.perf_counter() + ROUND_S
                while True:
                    begun = time.perf_counter()
                    side()
                    ended = time.perf_counter()
                    if round_:
                        seconds[name].append(ended - begun)
                    if ended > until:
                        break
        return {name: statistics.median(taken) for name, taken in seconds.items()}


def settle(connection: psycopg.Connection[Any]) -> None:
    """Have everything on the disk that was left to be written, so that what is measured next does not wait for it."""
    connection.execute("CHECKPOINT")


def _age(cluster: Cluster) -> None:
    """Fill as many log files as the server keeps, and let it take them back for use."""
    with psycopg.connect(dsn(cluster.url("postgres")), autocommit=True) as connection:
        files = connection.execute(
            "SELECT sum(CASE name WHEN 'min_wal_size' THEN pg_size_bytes(setting || unit) END)"
            " / sum(CASE name WHEN 'wal_segment_size' THEN setting::bigint END) FROM pg_settings"
        ).fetchone()
        assert files is not None
        for _ in range(int(files[0])):
            # A file in which nothing stands is not left for the next one.
            connection.execute("SELECT pg_logical_emit_message(false, 'gridward', ''), pg_switch_wal()")
        settle(connection)
