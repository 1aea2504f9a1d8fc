"""Intake: acknowledged, durable POST/s with every check on, against pgbench on the same cluster in the same run.

The pgbench baseline ``plain`` locates a point and inserts the case row alone, one report a statement: less work than
ours, which adds head, first event, outbox row and guards.
The ORM baseline is the same write in the usual style (``bench/_orm_intake.py``). A batch is 10,000 reports in one
request, answered when all are written. The steady stream begins when the disk is done with the bursts before it. The
load comes from a process of its own, and everything shares the machine.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator

import psycopg

from bench import benchmark
from bench._intake_stage import Stage, post, prepare_stage, rate_of, serving
from bench.profile import Profile, settle
from bench.report import Result
from geo.storage.cluster import find_postgres
from geo.storage.engine import dsn

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


@benchmark
def intake(profile: Profile) -> Iterator[Result]:
    """Measure rate at 16 and 64 clients, of batches, and latency at a steady 100 POST/s."""
    with profile.cluster(durable=True) as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        stage = asyncio.run(prepare_stage(url, profile))
        with psycopg.connect(dsn(url)) as connection:
            profile.versions.update(_versions(connection))
        with serving("api.cli", url) as port, serving("bench._orm_intake", url) as orm_port:
            rates: dict[str, list[float]] = {}
            # Not counted: statements are prepared and the roster is read with the first reports.
            post(stage, port, "warm", 16, seconds=1.0)
            post(stage, orm_port, "owarm", 16, seconds=1.0)
            for round_ in range(profile.rounds):
                for clients in _CLIENTS:
                    _add(rates, f"plain-{clients}", _pgbench(stage, clients))
                    _add(rates, f"post-{clients}", rate_of(post(stage, port, f"r{round_}c{clients}", clients)))
                _add(rates, "orm-16", rate_of(post(stage, orm_port, f"o{round_}", 16)))
                _add(rates, "batch", _batch(stage, port, f"r{round_}b"))
            with psycopg.connect(dsn(url), autocommit=True) as connection:
                settle(connection)
            steady = post(stage, port, "steady", 16, rate_per_s=100.0, seconds=30.0 if profile.full else 6.0)
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


def _add(rates: dict[str, list[float]], name: str, value: float) -> None:
    rates.setdefault(name, []).append(value)


def _pgbench(stage: Stage, clients: int) -> float:
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


def _batch(stage: Stage, port: int, prefix: str) -> float:
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
