"""Escalation: every rung exactly once, however the workers die, whatever their clocks say; and never after the close.

Real workers on a real cluster. They are killed with -9 in the middle of their work, their clocks are up to ten minutes
wrong, and the whole service is away for six hours. Nothing here is compared with a baseline: the promise is zero.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog

from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench._escalation_races import Races, race
from bench.profile import Profile
from bench.report import Result
from dispatch.auditor import LEFT, UNARMED
from dispatch.storage.statements import statement
from geo.storage.engine import create_engine, dsn

_SKEW_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    """How much. Units: seconds."""

    workers: int
    deadlines: int
    window_s: float
    kills: int
    outage: int
    races: int
    open_cases: int


_FULL = _Size(workers=8, deadlines=20_000, window_s=120.0, kills=50, outage=4_000, races=10_000, open_cases=1_000_000)
_QUICK = _Size(workers=4, deadlines=1_500, window_s=8.0, kills=6, outage=200, races=250, open_cases=20_000)

#: Cases as the intake leaves them, owned by real heads of real cells; ``due_at`` and ``began_at`` are expressions.
_CASES = """
WITH models AS (
  SELECT row_number() OVER () AS place, count(*) OVER () AS of, c.*
    FROM (SELECT * FROM dispatch.dispatch_case
           WHERE origin = 'demo' AND owner_post_id IS NOT NULL AND located_how = 'covers' LIMIT 300) AS c),
made AS (
  INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, channel_code, ticket, category_code, condition_number,
         location, grid_version_id, cell_id, cell_path, located_how, state, reported_at, dispatched_at, acknowledged_at,
         due_at, owner_post_id, owner_person_id, owner_ladder)
  SELECT gen_random_uuid(), m.jurisdiction, %(prefix)s || n, k.code, %(prefix)s || n, %(category)s, %(number)s,
         m.location, m.grid_version_id, m.cell_id, m.cell_path, m.located_how, 'handling', t.began_at, t.began_at,
         t.began_at, t.due_at, m.owner_post_id, m.owner_person_id, m.owner_ladder
    FROM generate_series(1, %(count)s) AS n
    JOIN models AS m ON m.place = 1 + n %% m.of
    CROSS JOIN (SELECT code FROM dispatch.channel WHERE start_rule = 'dispatch' ORDER BY code LIMIT 1) AS k
    CROSS JOIN LATERAL (SELECT now() + make_interval(secs => %(first_s)s + n * %(step_s)s) AS due_at,
                               now() + make_interval(secs => %(began_s)s) AS began_at) AS t
  RETURNING id, state, dispatched_at)
INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)
SELECT id, 1, 'case.acknowledged.v1', '{report,accept,file,dispatch,acknowledge}', state, dispatched_at, 'system'
  FROM made
"""
_FIRED = """
SELECT count(*) FILTER (WHERE e.fired IS NULL) AS missed,
       count(*) FILTER (WHERE e.fired > 1 OR v.told <> e.fired) AS twice,
       coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY e.late_s), 0) AS p99,
       coalesce(max(e.late_s), 0) AS longest
  FROM dispatch.dispatch_case AS c
  LEFT JOIN LATERAL (SELECT count(*) AS fired, max(extract(epoch FROM fired_at - planned_at))::float8 AS late_s
                       FROM dispatch.escalation WHERE case_id = c.id AND rung = 'due' HAVING count(*) > 0) AS e ON true
  LEFT JOIN LATERAL (SELECT count(*) AS told FROM dispatch.case_event
                      WHERE case_id = c.id AND type = 'case.escalated.v1' AND payload ->> 'rung' = 'due') AS v ON true
 WHERE c.ref LIKE %(like)s
"""
#: Independent of our own plan: urgent hours run evenly, so half and four fifths are plain arithmetic.
_OWED = """
SELECT count(*) AS owed,
       count(*) FILTER (WHERE e.rung IS NULL OR abs(extract(epoch FROM e.planned_at - r.at)) > 1e-3) AS missed
  FROM dispatch.dispatch_case AS c
  CROSS JOIN LATERAL (VALUES ('half', c.dispatched_at + (c.due_at - c.dispatched_at) * 0.5),
                             ('four_fifths', c.dispatched_at + (c.due_at - c.dispatched_at) * 0.8),
                             ('due', c.due_at)) AS r (rung, at)
  LEFT JOIN dispatch.escalation AS e ON e.case_id = c.id AND e.rung = r.rung
 WHERE c.ref LIKE 'O%%' AND r.at <= now()
"""


@benchmark
def escalation(profile: Profile) -> Iterator[Result]:
    """Measure misses, doubles and lateness under fire; an outage; races against the close; the queries."""
    size = _FULL if profile.full else _QUICK
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # Lateness is measured over commits that reach the disk.
    with profile.cluster(durable=True) as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        asyncio.run(_prepare(url, profile))
        with psycopg.connect(dsn(url), autocommit=True) as connection:
            profile.versions.update(_versions(connection))
            category, number = _urgent(connection)
            made = {"category": category, "number": number}
            yield from _outage(connection, url, size, made)
            yield from _under_fire(connection, url, size, made, profile.seed)
            yield from _races(connection, url, size, made, profile.seed)
            yield from _queries(connection, size, made)


async def _prepare(url: str, profile: Profile) -> None:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    await load_demo(engine, seed=profile.seed, scale=0.02)
    await engine.dispose()


def _urgent(connection: psycopg.Connection[Any]) -> tuple[str, int]:
    row = connection.execute(
        "SELECT category_code, number FROM dispatch.category_condition WHERE limit_unit = 'urgent_hour'"
        " AND category_code NOT LIKE 'E05%' ORDER BY category_code, number LIMIT 1"
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _make(
    connection: psycopg.Connection[Any], made: dict[str, Any], prefix: str, count: int, *, began_s: float,
    first_s: float, step_s: float,
) -> None:  # fmt: skip
    times = {"began_s": began_s, "first_s": first_s, "step_s": step_s}
    connection.execute(_CASES, {**made, **times, "prefix": prefix, "count": count})


# -- six hours away ----------------------------------------------------------------------------------------------------


def _outage(connection: psycopg.Connection[Any], url: str, size: _Size, made: dict[str, Any]) -> Iterator[Result]:
    """Everything that came due while nobody worked fires when somebody does."""
    six_hours_s = 6 * 3600.0
    _make(connection, made, "O", size.outage, began_s=-8 * 3600, first_s=-six_hours_s, step_s=six_hours_s / size.outage)
    # As the sweep would have left them before the lights went out: the first reminder is next.
    connection.execute(
        "UPDATE dispatch.dispatch_case SET next_rung_at = now() - interval '7 hours' WHERE ref LIKE 'O%'"
    )
    with _workers(url, 2):
        _wait(connection, "SELECT count(*) FROM dispatch.dispatch_case WHERE ref LIKE 'O%' AND next_rung_at <= now()")
        row = connection.execute(_OWED).fetchone()
    assert row is not None
    owed, missed = row
    yield Result.none_of("escalation-after-6h-outage", missed, owed, note="rungs owed when the service came back")


# -- killed, skewed ----------------------------------------------------------------------------------------------------


def _under_fire(
    connection: psycopg.Connection[Any], url: str, size: _Size, made: dict[str, Any], seed: int
) -> Iterator[Result]:
    # One rung per case: what is measured is the rush at the deadline, not the reminders before it.
    connection.execute(
        "WITH made AS (INSERT INTO dispatch.ladder (jurisdiction, effective_from, made_by)"
        " SELECT code, now(), 'bench' FROM geo.jurisdiction RETURNING id)"
        " INSERT INTO dispatch.ladder_rung (ladder_id, code, position, basis, target)"
        " SELECT id, 'due', 1, 'after_due', 'parent_head' FROM made"
    )
    # Looking at all of them for the first time is work too; no deadline may fall into it.
    lead_s = 2.0 + size.deadlines / 600
    _make(connection, made, "F", size.deadlines, began_s=0.0, first_s=lead_s, step_s=size.window_s / size.deadlines)
    chance = random.Random(seed)
    begun = time.monotonic()
    with _workers(url, size.workers, chance) as crew:
        for kill in range(size.kills):
            at = begun + lead_s + (kill + 0.5) * size.window_s / size.kills
            time.sleep(max(0.0, at - time.monotonic()))
            crew.kill(chance.randrange(size.workers))
        time.sleep(max(0.0, begun + lead_s + size.window_s - time.monotonic()))
        _wait(connection, "SELECT count(*) FROM dispatch.dispatch_case WHERE ref LIKE 'F%' AND NOT ladder_done")
    row = connection.execute(_FIRED, {"like": "F%"}).fetchone()
    assert row is not None
    missed, twice, p99, longest = row
    note = f"{size.workers} workers, {crew.killed} kills -9, clocks ±{_SKEW_S / 60:g} min"
    yield Result.none_of("escalation-missed", missed, size.deadlines, note=note)
    yield Result.none_of("escalation-double", twice, size.deadlines, note=note)
    yield Result.at_most("escalation-late-p99", p99, "s", 5.0, note=f"longest {longest:.2f} s")


def _work(url: str, offset_s: float, batch: int) -> None:
    # Here and not above: the module sets the clocks of its whole process wrong.
    from bench._skewed_worker import run_worker

    run_worker(url, offset_s, batch)


class _Crew:
    """Workers that are replaced when they are killed; every other clock is fast, the others slow."""

    def __init__(self, url: str, chance: random.Random | None) -> None:
        self._url, self._chance = url, chance
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["bench._skewed_worker"])
        self._hands: list[Any] = []
        self.killed = 0

    def start(self, count: int) -> None:
        for _ in range(count):
            self._hands.append(self._hire())

    def _hire(self) -> Any:
        offset_s = self._chance.choice((-1, 1)) * self._chance.uniform(0, _SKEW_S) if self._chance else 0.0
        hand = self._context.Process(target=_work, args=(self._url, offset_s, 100), daemon=True)
        hand.start()
        return hand

    def kill(self, place: int) -> None:
        self._hands[place].kill()
        self._hands[place].join()
        self._hands[place] = self._hire()
        self.killed += 1

    def stop(self) -> None:
        for hand in self._hands:
            hand.terminate()
        for hand in self._hands:
            hand.join(20)
            if hand.is_alive():
                hand.kill()
                hand.join()


@contextmanager
def _workers(url: str, count: int, chance: random.Random | None = None) -> Iterator[_Crew]:
    crew = _Crew(url, chance)
    try:
        crew.start(count)
        yield crew
    finally:
        crew.stop()


def _wait(connection: psycopg.Connection[Any], query: str, most_s: float = 90.0) -> None:
    """Wait until a count is zero; what is left then is counted by the figures."""
    until = time.monotonic() + most_s
    while time.monotonic() < until:
        row = connection.execute(query).fetchone()
        if row is not None and row[0] == 0:
            return
        time.sleep(0.25)


# -- close against fire ------------------------------------------------------------------------------------------------


def _races(
    connection: psycopg.Connection[Any], url: str, size: _Size, made: dict[str, Any], seed: int
) -> Iterator[Result]:
    races = Races(url=url, prefix="R", count=size.races, lead_s=2.0, step_s=0.02, seed=seed)
    _make(connection, made, races.prefix, races.count, began_s=0.0, first_s=races.lead_s, step_s=races.step_s)
    found = asyncio.run(race(races))
    yield Result.none_of(
        "escalation-fired-after-close",
        found.after_close,
        found.closed,
        note=f"{found.fired_first} fired before the closing commit, {found.never} never",
    )


# -- the queries -------------------------------------------------------------------------------------------------------


def _queries(connection: psycopg.Connection[Any], size: _Size, made: dict[str, Any]) -> Iterator[Result]:
    """Sweep and auditor with so many cases on the ladder, a few hundred of them due."""
    chunk = 100_000
    for start in range(0, size.open_cases, chunk):
        count = min(chunk, size.open_cases - start)
        _make(connection, made, f"Q{start}-", count, began_s=0.0, first_s=3600.0, step_s=1.0)
        connection.execute(
            "UPDATE dispatch.dispatch_case SET next_rung_at = due_at WHERE ref LIKE %s", (f"Q{start}-%",)
        )
    connection.execute("UPDATE dispatch.dispatch_case SET next_rung_at = now() WHERE ref ~ '^Q0-[1-4]?[0-9]{1,2}$'")
    connection.execute("VACUUM (ANALYZE) dispatch.dispatch_case")
    row = connection.execute("SELECT count(*) FROM dispatch.dispatch_case WHERE ref LIKE 'Q%'").fetchone()
    assert row is not None
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        "sweep": (statement("sweep"), {"batch": 200}),
        "auditor-left": (LEFT, {"late_s": 60.0}),
        "auditor-unarmed": (UNARMED, {}),
        "auditor-walk": (statement("audit"), {"after": "80000000-0000-0000-0000-000000000000", "batch": 500}),
    }
    for name, (query, values) in asked.items():
        taken = []
        for _ in range(9):
            with connection.transaction(force_rollback=True):
                begun = time.perf_counter()
                connection.execute(query, values).fetchall()
                taken.append(time.perf_counter() - begun)
        note = f"median of 9, {row[0]:,} open cases"
        yield Result.at_most(f"escalation-{name}", statistics.median(taken) * 1000, "ms", 50.0, note=note)


def _versions(connection: psycopg.Connection[Any]) -> dict[str, str]:
    row = connection.execute("SELECT current_setting('server_version'), postgis_lib_version()").fetchone()
    assert row is not None
    return {"postgresql": row[0], "postgis": row[1]}
