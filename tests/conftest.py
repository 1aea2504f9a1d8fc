"""One throw-away PostGIS per run, started only when a test asks for it; flow tests get copies of a migrated template.

============================  ========================================================================================
``connection``, ``uow``       tests/db: a shared migrated database, everything rolled back after the test
``database``                  tests/flow: the URL of a database of the test's own, migrated, with real commits
``demo_database``             the same, with the small demo district loaded
============================  ========================================================================================
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from geo.storage.cluster import Cluster
from geo.storage.engine import PatientConnection, create_engine
from geo.storage.uow import Unit, WriteUnit

TEMPLATE = "gridward_template"
# Tests ask faster than any channel does; those about the limit set their own.
os.environ.setdefault("GRIDWARD_CHANNEL_RATE", "")
# No test leaves a key behind in the source tree.
os.environ.setdefault("GRIDWARD_IDENTITY_KEY", "Z3JpZHdhcmQncyB0ZXN0cywgbm90IGEgc2VjcmV0ISE=")
_numbers = itertools.count(1)
#: All connections of the application that are still there.
_made: WeakSet[PatientConnection] = WeakSet()


@pytest.fixture(scope="session", autouse=True)
def _connections() -> Iterator[None]:
    """Note every connection of the application, so that a test that leaves one open can be told from the others."""
    make = PatientConnection.__init__

    def noted(self: PatientConnection, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        _made.add(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PatientConnection, "__init__", noted)
        yield


@pytest.fixture(scope="session")
def scratch_dir() -> Iterator[Path]:
    """Make a folder that PostgreSQL's account can reach; pytest's own ``tmp_path`` is closed to it when we are root."""
    directory = Path(tempfile.mkdtemp(prefix="gridward-test-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(scratch_dir: Path) -> Iterator[Cluster]:
    """Start the run's PostGIS."""
    cluster = Cluster(scratch_dir / "cluster")
    cluster.start(throw_away=True)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def template(cluster: Cluster) -> str:
    """Migrate a database once; the others are copies of it."""
    from api.migrations import upgrade

    cluster.create_database(TEMPLATE)
    upgrade(cluster.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="session")
def shared_database(cluster: Cluster, template: str) -> str:
    """Return the URL of the database that rolled-back tests share."""
    cluster.create_database("shared", template)
    return cluster.url("shared")


@pytest.fixture
def database(cluster: Cluster, template: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of a migrated database of the test's own.

    A test that works in its package's district gets a copy of one that is built once: building it took longer than most
    tests do.
    """
    if not {"district", "site"}.isdisjoint(request.fixturenames):
        template = request.getfixturevalue("district_template")
    name = f"flow_{os.getpid()}_{next(_numbers)}"
    cluster.create_database(name, template)
    yield cluster.url(name)
    # Forgotten ones would be found by the collector some day, during a test that knows nothing of them.
    left = [one for one in _made if not one.closed and one.info.dbname == name]
    cluster.drop_database(name)
    assert not left, f"connections that nobody has closed: {left}"


@pytest.fixture(scope="session")
def demo_template(cluster: Cluster, template: str) -> str:
    """Load the demo district with a fiftieth of its closed cases, once."""
    from api.demo.load import load_demo

    name = "gridward_demo_template"
    cluster.create_database(name, template)

    async def load() -> None:
        engine = create_engine(cluster.url(name), pool_size=2, statement_timeout_s=0, name="test")
        try:
            await load_demo(engine, scale=0.02)
        finally:
            await engine.dispose()

    # On a thread and a loop of its own: the session's loop is running when an async test asks for this.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, load()).result()
    return name


@pytest.fixture
def demo_database(cluster: Cluster, demo_template: str) -> Iterator[str]:
    """Return the URL of a database of the test's own with the demo district in it."""
    name = f"demo_{os.getpid()}_{next(_numbers)}"
    cluster.create_database(name, demo_template)
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
def empty_database(cluster: Cluster) -> Iterator[str]:
    """Return the URL of a database without any of our tables."""
    name = f"empty_{os.getpid()}_{next(_numbers)}"
    cluster.create_database(name)
    yield cluster.url(name)
    cluster.drop_database(name)


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    """Give an engine on the test's own database."""
    engine = create_engine(database, name="test")
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
async def shared_engine(shared_database: str) -> AsyncIterator[AsyncEngine]:
    """Give an engine on the shared database."""
    engine = create_engine(shared_database, name="test")
    yield engine
    await engine.dispose()


@pytest.fixture
async def connection(shared_engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Give a connection inside a transaction that is rolled back after the test."""
    async with shared_engine.connect() as connection:
        transaction = await connection.begin()
        yield connection
        await transaction.rollback()


@pytest.fixture
def uow(connection: AsyncConnection) -> WriteUnit:
    """Give a writing unit of work that will never be committed."""
    return WriteUnit(Unit(connection=connection))
