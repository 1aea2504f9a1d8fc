"""Live streams: what they hold, what becomes of a reader that comes back, and of one that does not read."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import orjson
import psycopg

from api.accounts.keys import create_key
from api.accounts.roles import Scope
from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench._raw_http import Connection, Stream, stalled
from bench.fuzz import serving
from bench.profile import Profile
from bench.report import Result
from geo.storage.engine import create_engine, dsn
from geo.storage.uow import write_unit

_READERS: Final = 20
_STALLED: Final = 3
#: Enough bytes to fill what the system buffers for a reader that does not read.
_FLOOD: Final = 9000
_HELD: Final = (
    "SELECT count(*) FILTER (WHERE state <> 'idle'), count(*) FROM pg_stat_activity"
    " WHERE application_name IN ('gridward-api', 'gridward-control', 'gridward-intake')"
    " AND datname = current_database()"
)


@dataclass(slots=True)
class _Seen:
    """Ids that one reader has seen, over all its connections."""

    ids: list[str] = field(default_factory=list)
    reconnects: int = 0


@benchmark
def streams(profile: Profile) -> Iterator[Result]:
    """Open 500 streams; reconnect again and again with Last-Event-ID under reports; stop reading."""
    reconnects = 1000 if profile.full else 200
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        key = asyncio.run(_prepare(url, profile))
        with serving(url) as address:
            port = int(address.rpartition(":")[2])
            held = asyncio.run(_hold(port, key, url, 500))
            yield Result.none_of("streams-pool-connections", held, 500, note="500 streams open on one process")
            missed, repeated, events, came_back = asyncio.run(_come_back(port, key, reconnects, profile.seed))
            note = f"{came_back:,} reconnects, {events:,} events"
            yield Result.none_of("streams-missed", missed, events * _READERS, note=note)
            yield Result.none_of("streams-repeated", repeated, events * _READERS, note=note)
            cut_s = asyncio.run(_stall(port, key))
            yield Result.at_most("streams-stalled-cut", cut_s, "s", 30.0, note="27 s, and the look once a second")


async def _prepare(url: str, profile: Profile) -> str:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, statement_timeout_s=600)
    try:
        await load_demo(engine, seed=profile.seed, scale=0.002)
        async with write_unit(engine) as unit:
            return await create_key(unit, "streams", (Scope.REPORTS_CREATE, Scope.CASES_READ, Scope.CASES_READ_ALL))
    finally:
        await engine.dispose()


async def _hold(port: int, key: str, url: str, count: int) -> int:
    """How many connections streams hold: those at work or in a transaction while all is quiet, and any new ones."""
    connection = await Connection.open(port, key)
    await asyncio.gather(*(connection.ask("GET", "/v1/cases") for _ in range(1)))
    async with await psycopg.AsyncConnection.connect(dsn(url), autocommit=True) as looking:
        before = await (await looking.execute(_HELD)).fetchone()
        opened = [await Stream.open(port, key) for _ in range(count)]
        await asyncio.sleep(2.0)
        most = 0
        for _ in range(20):
            row = await (await looking.execute(_HELD)).fetchone()
            assert row is not None
            assert before is not None
            # Once a second the one reader of the feed looks; a stream that held a connection would be there each time.
            most = max(most, row[1] - before[1] - 2)
            await asyncio.sleep(0.05)
        rows = [await (await looking.execute(_HELD)).fetchone() for _ in range(20)]
        always = min(row[0] for row in rows if row is not None)
        # And everybody else is served meanwhile.
        status, _ = await connection.ask("GET", "/v1/cases")
    for stream in opened:
        stream.close()
    connection.close()
    return int(max(0, most) + always + (status != 200))


async def _come_back(port: int, key: str, reconnects: int, seed: int) -> tuple[int, int, int, int]:
    over = asyncio.Event()
    seen = [_Seen() for _ in range(_READERS)]
    first = await Connection.open(port, key)
    readers = [
        asyncio.create_task(_read(port, key, one, over, random.Random(seed + number), reconnects // _READERS))
        for number, one in enumerate(seen)
    ]
    await asyncio.sleep(1.0)
    expected = [await _report(first, f"R-{number}") for number in range(400)]
    # Readers still have to come back as often as promised: reports go on until they have.
    number = 400
    while any(one.reconnects < reconnects // _READERS for one in seen):
        expected.append(await _report(first, f"R-{number}"))
        number += 1
        await asyncio.sleep(0.01)
    until = time.monotonic() + 20
    while any(len(set(one.ids)) < len(expected) for one in seen) and time.monotonic() < until:
        await asyncio.sleep(0.1)
    over.set()
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    first.close()
    missed = sum(max(0, len(expected) - len(set(one.ids))) for one in seen)
    repeated = sum(len(one.ids) - len(set(one.ids)) for one in seen)
    return missed, repeated, len(expected), sum(one.reconnects for one in seen)


async def _read(port: int, key: str, seen: _Seen, over: asyncio.Event, rng: random.Random, most: int) -> None:
    """Read a few events, hang up in the middle, and come back with the last one's id."""
    while not over.is_set():
        stream = await Stream.open(port, key, seen.ids[-1] if seen.ids else "")
        left = rng.randint(1, 12) if seen.reconnects < most else 10**9
        with contextlib.suppress(ConnectionError):
            async for event in stream.ids():
                if event in seen.ids[-1:]:
                    continue  # where a new stream says that it begins
                seen.ids.append(event)
                left -= 1
                if not left:
                    break
        stream.close()
        seen.reconnects += 1


async def _report(connection: Connection, ticket: str) -> str:
    body = {"ticket": ticket, "text": "井盖缺失" * 40, "category": "P0101", "lon": 113.62, "lat": 34.75}
    status, said = await connection.ask("POST", "/v1/reports", orjson.dumps(body | {"coord_sys": "wgs84"}))
    if status != 201:
        raise RuntimeError(said.decode())
    return str(orjson.loads(said)["case"])


async def _stall(port: int, key: str) -> float:
    """Seconds from the last event, when its buffers are full, to the cut of a stream that nobody reads."""
    deaf = [stalled(port, key) for _ in range(_STALLED)]
    await asyncio.sleep(0.5)
    connection = await Connection.open(port, key)
    for number in range(0, _FLOOD, 1000):
        reports = [
            {"ticket": f"F-{number + one}", "text": "井盖缺失" * 100, "category": "P0101", "lon": 113.62, "lat": 34.75}
            | {"coord_sys": "wgs84"}
            for one in range(1000)
        ]
        status, said = await connection.ask("POST", "/v1/reports:batch", orjson.dumps({"reports": reports}))
        if status >= 300:
            raise RuntimeError(said[:300].decode())
    begun = time.monotonic()
    connection.close()
    cut = [await asyncio.to_thread(_until_cut, one) for one in deaf]
    return max(cut) - begun


def _until_cut(deaf: object) -> float:
    """The instant at which the server hung up. It resets the connection: what was sent is not waited for."""
    import socket
    import struct

    assert isinstance(deaf, socket.socket)
    while time.monotonic():
        # tcpi_state is the first byte; 1 is ESTABLISHED. Reading would be what this client does not do.
        state = struct.unpack("B", deaf.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1))[0]
        if state != 1:
            break
        time.sleep(0.2)
    deaf.close()
    return time.monotonic()
