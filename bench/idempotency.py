"""The same report fifty times at once: one case, and the same bytes for everybody."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson
import psycopg

from api.accounts.keys import create_key
from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench._raw_http import Connection
from bench.fuzz import serving
from bench.profile import Profile
from bench.report import Result
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit

_COPIES: Final = 50
_PATIENCE_S: Final = 60.0


@dataclass(slots=True)
class _Answers:
    """What the copies of the requests heard."""

    digests: dict[int, set[bytes]] = field(default_factory=dict)
    statuses: dict[int, int] = field(default_factory=dict)
    created: dict[int, int] = field(default_factory=dict)
    #: Answered 503 and sent again.
    away: int = 0


@benchmark
def idempotency(profile: Profile) -> Iterator[Result]:
    """Send each key's request fifty times in parallel, half of them by the ticket alone; count cases and answers."""
    keys = 1000 if profile.full else 60
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        api_key = asyncio.run(_prepare(url, profile))
        with serving(url) as address:
            begun = time.perf_counter()
            answers = asyncio.run(_send(int(address.rpartition(":")[2]), api_key, keys, profile.seed))
            seconds = time.perf_counter() - begun
        with psycopg.connect(dsn(url)) as connection:
            row = connection.execute(
                "SELECT count(*), count(DISTINCT ticket) FROM dispatch.dispatch_case WHERE channel_code = 'copies'"
            ).fetchone()
    assert row is not None
    tries = keys * _COPIES
    load = f"{tries:,} requests on {_COPIES} connections, {tries / seconds:,.0f}/s, {answers.away} times 503"
    yield Result.none_of("idempotency-cases-too-many-or-few", abs(row[0] - keys) + row[0] - row[1], tries, note=load)
    differing = sum(len(digests) - 1 for digests in answers.digests.values())
    yield Result.none_of("idempotency-answers-that-differ", differing, tries)
    # By the ticket alone the first answer is 201 and every further one 200; with the key all are the first one's 201.
    odd = sum(answers.created[number] != (1 if number % 2 else _COPIES) for number in answers.created)
    odd += len(answers.statuses)
    yield Result.none_of("idempotency-wrong-statuses", odd, tries)


async def _prepare(url: str, profile: Profile) -> str:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    try:
        await load_demo(engine, seed=profile.seed, scale=0.002)
        async with write_unit(engine) as unit:
            return await create_key(unit, "copies")
    finally:
        await engine.dispose()


async def _send(port: int, key: str, keys: int, seed: int) -> _Answers:
    rng = random.Random(seed)
    bodies = [
        orjson.dumps(
            {
                "ticket": f"C-{number}",
                "text": "路口有一堆建筑垃圾",
                "category": "P0101",
                "lon": round(rng.uniform(113.61, 113.63), 7),
                "lat": round(rng.uniform(34.75, 34.76), 7),
                "coord_sys": "wgs84",
            }
        )
        for number in range(keys)
    ]
    answers = _Answers(
        digests={number: set() for number in range(keys)}, created=dict.fromkeys(range(keys), 0), statuses={}
    )
    await asyncio.gather(*(_copy(port, key, bodies, answers) for _ in range(_COPIES)))
    return answers


async def _copy(port: int, key: str, bodies: list[bytes], answers: _Answers) -> None:
    """Send every request once, all copies at about the same time; come back while the first one is running."""
    connection = await Connection.open(port, key)
    for number, body in enumerate(bodies):
        headers = {} if number % 2 else {"Idempotency_Key": f"key-{number}"}
        until = time.monotonic() + _PATIENCE_S
        while True:
            status, said = await connection.ask("POST", "/v1/reports", body, **headers)
            if status not in (409, 503) or time.monotonic() > until:
                break
            answers.away += status == 503
            # What a machine with too much to do asks for is to come back with the same request.
            await asyncio.sleep(0.01 if status == 409 else 1.0)
        if status not in (200, 201):
            answers.statuses[number] = status
        answers.created[number] += status == 201
        answers.digests[number].add(hashlib.sha256(said).digest())
    connection.close()
