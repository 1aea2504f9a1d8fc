"""What planners' columns cost the intake: reports over HTTP, in turns with and without a keeper of columns.

The intake is the real one (key, routing, deadline, event, outbox, durable commit), as fast as sixteen clients get
answers. The columns are kept by this process, from the same database and on the same processors.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time

from bench._intake_stage import Stage, post, prepare_stage, rate_of, serving
from bench.profile import Profile
from bench.report import Result
from geo.storage.cluster import Cluster
from geo.storage.engine import create_engine
from maps.facts.keeping import FactKeeper

__all__ = ["facts_cost"]

_JURISDICTION = "410100"
_CLIENTS = 16
_ROUND_S = 1.5
#: How often a process of a busy office brings its columns up to date.
_EVERY_S = 0.5


def facts_cost(profile: Profile, cluster: Cluster) -> Result:
    """Measure on a database of its own in a cluster that flushes as production does."""
    cluster.create_database("intake")
    url = cluster.url("intake")
    stage = asyncio.run(prepare_stage(url, profile))
    with serving("api.cli", url) as port:
        return asyncio.run(_in_turns(profile, stage, port))


async def _in_turns(profile: Profile, stage: Stage, port: int) -> Result:
    engine = create_engine(stage.url, pool_size=2, statement_timeout_s=0, name="bench")
    keeper = FactKeeper(engine, _JURISDICTION, None)

    async def keep() -> None:
        while True:
            await keeper.current()
            await asyncio.sleep(_EVERY_S)

    async def reported(name: str) -> float:
        return rate_of(await asyncio.to_thread(post, stage, port, name, _CLIENTS, seconds=_ROUND_S))

    alone, beside, busy_s = [], [], 0.0
    try:
        await reported("warm")
        for number in range(10 if profile.full else 6):
            alone.append(await reported(f"a{number}"))
            # What the round before wrote is taken over before the clock starts: it is not this round's work.
            await keeper.current()
            used, keeping = time.process_time(), asyncio.create_task(keep())
            beside.append(await reported(f"b{number}"))
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            busy_s += time.process_time() - used
    finally:
        await engine.dispose()
    cost = 100 * (1 - statistics.median(b / a for a, b in zip(alone, beside, strict=True)))
    written = sum(beside) * _ROUND_S
    note = (
        f"{statistics.median(alone):,.0f} POST/s alone, {statistics.median(beside):,.0f} with the columns kept;"
        f" {1e6 * busy_s / written:.0f} µs of this process a report"
    )
    return Result.at_most("maps-intake-cost", max(0.0, cost), "%", 5, note=note)
