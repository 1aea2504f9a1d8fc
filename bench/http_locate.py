"""``bench http_locate``: `GET /v1/locate` over HTTP against a constant answered by the same server, and its p99."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
import urllib.request
from collections.abc import Iterator

import psycopg

from api.accounts.keys import create_key
from api.accounts.roles import Scope
from api.migrations import upgrade
from bench import benchmark
from bench._grid_rows import load_grid
from bench._http_load import Plan, send
from bench._intake_stage import serving
from bench.profile import Profile
from bench.report import Result
from bench.tiling import Tiling, make_tiling
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit

_JURISDICTION = "410100"
_CLIENTS = 16
_STEADY_PER_S = 100.0
#: Two posts with a holder each for every cell of the deepest level, one for those above.
_HEADS = """
WITH posts AS (
  INSERT INTO dispatch.post (jurisdiction, kind, rank, cell_code, title_zh, title_en, valid_from)
  SELECT %(jurisdiction)s, 'grid_head', r.rank, c.code, '网格长', 'Head', now()
    FROM geo.cell AS c CROSS JOIN (VALUES ('A'), ('B')) AS r (rank) WHERE c.level = 3 OR r.rank = 'A'
  RETURNING id),
persons AS (
  INSERT INTO dispatch.person (id, jurisdiction, name)
  SELECT gen_random_uuid(), %(jurisdiction)s, '第' || n || '人'
    FROM generate_series(1, (SELECT count(*) FROM posts)) AS n
  RETURNING id)
INSERT INTO dispatch.appointment (post_id, person_id, valid_from)
SELECT p.id, h.id, now() FROM (SELECT id, row_number() OVER () AS n FROM posts) AS p
  JOIN (SELECT id, row_number() OVER () AS n FROM persons) AS h USING (n)
"""


@benchmark
def http_locate(profile: Profile) -> Iterator[Result]:
    """Measure the rate beside the constant's, in turn, and the latency at a steady rate."""
    side = 261 if profile.full else 120
    tiling = make_tiling(side, side, seed=profile.seed)
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        key, cells = asyncio.run(_prepare(url, tiling))
        with psycopg.connect(dsn(url)) as connection:
            row = connection.execute("SELECT current_setting('server_version'), postgis_lib_version()").fetchone()
            assert row is not None
            profile.versions.update(postgresql=str(row[0]), postgis=str(row[1]))
        with serving("bench._locate_app", url) as port:
            held_s = _await_held(port, cells)
            plan = _plan(profile, tiling, port, key)
            sides = {"locate": plan.get, "constant": "/constant"}
            rates: dict[str, list[float]] = {name: [] for name in sides}
            for round_ in range(profile.rounds + 1):
                for name, path in sides.items():
                    plan.get, plan.seed = path, profile.seed + round_
                    outcome = send(plan)
                    if round_:  # the first round warms both up
                        rates[name].append(outcome.acknowledged / outcome.seconds)
            plan.get, plan.rate_per_s, plan.seconds = sides["locate"], _STEADY_PER_S, 30.0 if profile.full else 8.0
            steady = send(plan)
            plan.get = sides["constant"]
            beside = send(plan)
    note = f"{cells:,} cells with their heads held in memory {held_s:.1f} s after the start; {_CLIENTS} connections"
    yield Result.times_baseline(
        f"http_locate.rate.{cells}",
        statistics.median(rates["locate"]),
        "GET/s",
        baseline=statistics.median(rates["constant"]),
        at_least=0.6,
        note=note,
    )
    p50, p99 = (statistics.quantiles(steady.latencies_ms, n=100)[place] for place in (49, 98))
    constant_p99 = statistics.quantiles(beside.latencies_ms, n=100)[98]
    note = f"p50 {p50:.1f} ms; {steady.acknowledged} requests at a steady {_STEADY_PER_S:.0f}/s"
    note += f"; the constant's p99 {constant_p99:.1f} ms"
    yield Result.at_most(f"http_locate.p99.{cells}", p99, "ms", 5.0, note=note)


def _plan(profile: Profile, tiling: Tiling, port: int, key: str) -> Plan:
    vertices = tiling.ring(0, 0, tiling.columns, tiling.rows) / 1e7
    (west, south), (east, north) = vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()
    inset = 0.002  # inside the outermost cells, where everything is covered
    return Plan(
        port=port,
        key=key,
        prefix="",
        clients=_CLIENTS,
        seconds=6.0 if profile.full else 3.0,
        seed=profile.seed,
        box=(west + inset, south + inset, east - inset, north - inset),
        categories=[],
        get="/v1/locate?lon={lon}&lat={lat}&coord_sys=wgs84",
    )


async def _prepare(url: str, tiling: Tiling) -> tuple[str, int]:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    await load_grid(engine, _JURISDICTION, tiling)
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute(_HEADS, {"jurisdiction": _JURISDICTION})
        key = await create_key(unit, "bench", (Scope.LOCATE,))
        row = await (await driver.execute("SELECT count(*) FROM geo.cell")).fetchone()
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.exec_driver_sql("ANALYZE")
    await engine.dispose()
    assert row is not None
    return key, row[0]


def _await_held(port: int, cells: int) -> float:
    begun = time.monotonic()
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/held", timeout=10) as answer:
            if json.load(answer)["cells"] >= cells:
                return time.monotonic() - begun
        if time.monotonic() > begun + 120:
            raise RuntimeError("the roster was not filled")
        time.sleep(0.2)
