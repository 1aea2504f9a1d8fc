"""Intake: acknowledged, durable POST/s with every check on, against pgbench on the same cluster in the same run.

The pgbench baseline ``plain`` locates a point and inserts the case row alone, one report a statement: less work than
ours, which adds head, first event, outbox row and guards.
The ORM baseline is the same write in the usual style (``bench/_orm_intake.py``). A batch is 10,000 reports in one
request, answered when all are written. The load comes from a process of its own, and everything shares the machine.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from api.accounts.keys import create_key
from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench._http_load import Outcome, Plan
from bench.profile import Profile
from bench.report import Result
from geo.storage.cluster import find_postgres
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit

_ROOT = Path(__file__).resolve().parents[1]
_CLIENTS = (16, 64)
_BATCH = 10_000

_PLAIN = """\
\\set lon random(:west, :east)
\\set lat random(:south, :north)
INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, channel_code, ticket, category_code, text, location, raw_x,
  raw_y, coord_sys, grid_version_id, cell_id, cell_path, located_how, state, reported_at)
SELECT gen_random_uuid(), '410100', 'B' || nextval('dispatch.case_number'), 'bench',
       'P-' || nextval('dispatch.case_number'), 'E0101', 'x', p.location, :lon / 1e7, :lat / 1e7, 'wgs84', v.id, c.id,
       coalesce(c.path, '{}'), CASE WHEN c.id IS NULL THEN 'out_of_grid' ELSE 'covers' END, 'reported', now()
  FROM (SELECT ST_SetSRID(ST_MakePoint(:lon / 1e7, :lat / 1e7), 4326) AS location) AS p
  CROSS JOIN LATERAL geo.valid_version('410100', now()) AS v
  LEFT JOIN LATERAL geo.covering_cell(v.id, p.location) AS c ON true;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What all sides share."""

    url: str
    key: str
    box: tuple[float, float, float, float]
    categories: list[str]
    seconds: float
    seed: int


@benchmark
def intake(profile: Profile) -> Iterator[Result]:
    """Measure rate at 16 and 64 clients, of batches, and latency at a steady 100 POST/s."""
    with profile.cluster(durable=True) as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        stage = asyncio.run(_prepare(url, profile))
        with psycopg.connect(dsn(url)) as connection:
            profile.versions.update(_versions(connection))
        with _serving("api.cli", url) as port, _serving("bench._orm_intake", url) as orm_port:
            rates: dict[str, list[float]] = {}
            # Not counted: statements are prepared and the roster is read with the first reports.
            _post(stage, port, "warm", 16, seconds=1.0)
            _post(stage, orm_port, "owarm", 16, seconds=1.0)
            for round_ in range(profile.rounds):
                for clients in _CLIENTS:
                    _add(rates, f"plain-{clients}", _pgbench(stage, clients))
                    _add(rates, f"post-{clients}", _rate(_post(stage, port, f"r{round_}c{clients}", clients)))
                _add(rates, "orm-16", _rate(_post(stage, orm_port, f"o{round_}", 16)))
                _add(rates, "batch", _batch(stage, port, f"r{round_}b"))
            steady = _post(stage, port, "steady", 16, rate_per_s=100.0, seconds=30.0 if profile.full else 6.0)
        medians = {name: statistics.median(values) for name, values in rates.items()}
        for clients in _CLIENTS:
            yield Result.times_baseline(
                f"intake-{clients}-clients",
                medians[f"post-{clients}"],
                "POST/s",
                baseline=medians[f"plain-{clients}"],
                at_least=1.0,
            )
        yield Result.times_baseline(
            "intake-orm", medians["post-16"], "POST/s", baseline=medians["orm-16"], at_least=15.0
        )
        yield Result.at_least("intake-batch", medians["batch"], "reports/s", 10_000, note="10,000 in one request")
        p99 = statistics.quantiles(steady.latencies_ms, n=100)[98]
        yield Result.at_most("intake-p99-at-100-per-s", p99, "ms", 50.0, note=f"{steady.acknowledged} reports")
        yield _nothing_lost(stage.url)


async def _prepare(url: str, profile: Profile) -> _Stage:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    await load_demo(engine, seed=profile.seed, scale=0.02)
    async with write_unit(engine) as unit:
        key = await create_key(unit, "bench")
        driver = await unit.driver()
        row = await (
            await driver.execute(
                "SELECT ST_XMin(e), ST_YMin(e), ST_XMax(e), ST_YMax(e) FROM"
                " (SELECT ST_Extent(boundary) AS e FROM geo.cell WHERE code = '410102001') AS extent"
            )
        ).fetchone()
        rows = await (
            await driver.execute("SELECT DISTINCT category_code FROM dispatch.category_condition WHERE is_default")
        ).fetchall()
    await engine.dispose()
    assert row is not None
    return _Stage(
        url=url,
        key=key,
        box=(row[0], row[1], row[2], row[3]),
        categories=sorted(code for (code,) in rows),
        seconds=10.0 if profile.full else 2.0,
        seed=profile.seed,
    )


def _add(rates: dict[str, list[float]], name: str, value: float) -> None:
    rates.setdefault(name, []).append(value)


def _pgbench(stage: _Stage, clients: int) -> float:
    west, south, east, north = (round(value * 1e7) for value in stage.box)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(_PLAIN)
        file.flush()
        command = [
            str(find_postgres() / "pgbench"), "-n", "-M", "prepared", "-c", str(clients), "-j", "2",
            "-T", str(int(stage.seconds)), "-f", file.name,
            "-D", f"west={west}", "-D", f"south={south}", "-D", f"east={east}", "-D", f"north={north}",
            "--random-seed", str(stage.seed), dsn(stage.url),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=stage.seconds + 60)
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode or found is None or "number of failed transactions: 0" not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    return float(found.group(1))


def _post(
    stage: _Stage, port: int, prefix: str, clients: int, *, rate_per_s: float = 0.0, seconds: float | None = None
) -> Outcome:
    plan = Plan(
        port=port,
        key=stage.key,
        prefix=prefix,
        clients=clients,
        seconds=seconds or stage.seconds,
        seed=stage.seed,
        box=stage.box,
        categories=stage.categories,
        rate_per_s=rate_per_s,
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench._http_load"],
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        cwd=_ROOT,
        timeout=plan.seconds + 90,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    outcome = Outcome(**json.loads(done.stdout))
    if outcome.refused:
        raise RuntimeError(f"{outcome.refused} of {outcome.acknowledged + outcome.refused} reports were refused")
    return outcome


def _batch(stage: _Stage, port: int, prefix: str) -> float:
    """Reports per second of one batch: from the first byte of the request to the last of the answer."""
    rng = random.Random(f"{stage.seed}{prefix}")
    west, south, east, north = stage.box
    reports = [
        {
            "ticket": f"{prefix}-{number}",
            "text": "路口有一堆建筑垃圾，影响通行",
            "category": rng.choice(stage.categories),
            "lon": round(rng.uniform(west, east), 7),
            "lat": round(rng.uniform(south, north), 7),
            "coord_sys": "wgs84",
        }
        for number in range(_BATCH)
    ]
    body = json.dumps({"reports": reports}, ensure_ascii=False).encode()
    headers = {"Authorization": f"Bearer {stage.key}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.connect()
        begun = time.perf_counter()
        connection.request("POST", "/v1/reports:batch", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        took = time.perf_counter() - begun
    finally:
        connection.close()
    if answer.status != 200 or json.loads(said)["taken"] != _BATCH:
        raise RuntimeError(f"a batch was answered with {answer.status}: {said[:200]!r}")
    return _BATCH / took


def _rate(outcome: Outcome) -> float:
    return outcome.acknowledged / outcome.seconds


def _nothing_lost(url: str) -> Result:
    """Every case has its first event and its outbox row (no worker runs here)."""
    with psycopg.connect(dsn(url)) as connection:
        # Without statistics the join below would look through the outbox once for every event.
        connection.execute("ANALYZE dispatch.dispatch_case, dispatch.case_event, dispatch.outbox")
        row = connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE o.id IS NULL) FROM dispatch.dispatch_case AS c"
            " LEFT JOIN dispatch.case_event AS e ON e.case_id = c.id AND e.seq = 1"
            " LEFT JOIN dispatch.outbox AS o ON o.event_id = e.id"
            " WHERE c.channel_code = 'bench' AND c.ticket ~ '^[rso]'"
        ).fetchone()
    assert row is not None
    return Result.none_of("intake-nothing-half-done", row[1], row[0])


def _versions(connection: psycopg.Connection[tuple[object, ...]]) -> dict[str, str]:
    row = connection.execute("SELECT current_setting('server_version'), postgis_lib_version()").fetchone()
    assert row is not None
    return {"postgresql": str(row[0]), "postgis": str(row[1])}


@contextmanager
def _serving(module: str, url: str) -> Iterator[int]:
    """Serve in a process of its own on a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "GRIDWARD_DATABASE_URL": url,
        "GRIDWARD_PORT": str(port),
        "GRIDWARD_LOG_LEVEL": "warning",
        # One channel sends everything here; what is measured is the intake, not the limit of a channel.
        "GRIDWARD_CHANNEL_RATE": "",
    }
    arguments = ["serve"] if module == "api.cli" else []
    server = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=_ROOT, env=environment)
    try:
        _await_port(server, port)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


def _await_port(server: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).read()
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server did not start") from None
            time.sleep(0.1)
        else:
            return
