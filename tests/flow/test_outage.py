"""The database goes away under the service: 503 with Retry-After, an unharmed connection, and a return by itself."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from os import environ
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api.migrations import upgrade
from geo.storage.cluster import Cluster
from geo.storage.engine import create_engine, dsn, unavailable

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def own_cluster(scratch_dir: Path) -> Iterator[Cluster]:
    """Give a cluster that this test alone may stop."""
    cluster = Cluster(scratch_dir / "outage")
    cluster.start()
    cluster.create_database("gridward")
    yield cluster
    cluster.stop()


def ask(connection: http.client.HTTPConnection, path: str = "/v1/cases") -> tuple[int, str | None]:
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json", body
        assert json.loads(body)["code"] in {"storage.unavailable", "storage.busy"}
    return answer.status, answer.headers["Retry-After"]


def test_an_outage_is_told_and_heals_by_itself(own_cluster: Cluster) -> None:
    url = own_cluster.url("gridward")
    upgrade(url)
    with psycopg.connect(dsn(url)) as connection:
        connection.execute("INSERT INTO geo.jurisdiction (code) VALUES ('410100')")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(port)],
        cwd=ROOT,
        env=environ | {"GRIDWARD_DATABASE_URL": url},
        stderr=subprocess.DEVNULL,
    )
    try:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        until = time.monotonic() + 30
        while True:
            try:
                assert ask(line)[0] == 200
                break
            except ConnectionError:
                line.close()  # begins anew with the next request
                assert time.monotonic() < until
                assert server.poll() is None
                time.sleep(0.1)
        own_cluster.stop()
        # One keep-alive connection throughout: an outage must not cost the caller its connection.
        assert [ask(line) for _ in range(3)] == [(503, "2")] * 3
        own_cluster.start()
        until = time.monotonic() + 10
        while ask(line)[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert server.poll() is None
        line.close()
    finally:
        server.terminate()
        server.wait(20)


async def test_a_server_that_froze_is_not_waited_for(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geo.storage.engine._MARGIN_S", 0.3)
    engine = create_engine(database, pool_size=1, statement_timeout_s=0.3, name="test")
    try:
        async with engine.connect() as connection:
            backend: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        os.kill(backend, signal.SIGSTOP)
        try:
            begun = time.monotonic()
            # The pool notices by itself, and gives a connection to a backend that lives.
            async with asyncio.timeout(20), engine.connect() as connection:
                assert (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one() != backend
            assert time.monotonic() - begun > 0.5
            async with engine.connect() as connection:
                other: int = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                os.kill(other, signal.SIGSTOP)
                try:
                    with pytest.raises(OperationalError) as caught:
                        await connection.execute(text("SELECT 1"))
                    told = unavailable(caught.value)
                    assert told is not None
                    assert told.code == "storage.unavailable"
                finally:
                    os.kill(other, signal.SIGCONT)
        finally:
            os.kill(backend, signal.SIGCONT)
    finally:
        await engine.dispose()
