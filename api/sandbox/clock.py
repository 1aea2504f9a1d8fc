"""Advancing the sandbox's clock: from due instant to due instant, so that each thing happens when it would have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.sight import limited
from dispatch.ladder_sweep import sweep
from dispatch.queries import database_now
from dispatch.stages import run_stages
from dispatch.storage.tables import WATCHED_STAGES
from geo.errors import BadInputError
from geo.storage.uow import Viewer, read_unit, write_unit

__all__ = ["MOST_AHEAD", "Clock", "advance", "channels_due", "open_clock", "read_clock", "run_due", "sandbox_now"]

#: Beyond it calendars have no days. Units: seconds of a year.
MOST_AHEAD: Final = timedelta(days=366)
#: Instants that are visited one by one; what is left then happens at the end of the advance.
_MOST_STEPS: Final = 400
_MOST_EVENTS: Final = 1000
_BATCH: Final = 200
_NEXT: Final = f"""
SELECT least(min(c.next_rung_at), min(c.stage_due_at) FILTER (WHERE {WATCHED_STAGES}))
  FROM dispatch.dispatch_case AS c
 WHERE c.next_rung_at IS NOT NULL OR {WATCHED_STAGES}
"""  # noqa: S608 - constants only
_DUE: Final = f"""
SELECT k.channel FROM sandbox.clock AS k
 WHERE EXISTS (SELECT FROM dispatch.dispatch_case AS c
                WHERE c.channel_code = k.channel
                  AND (c.next_rung_at <= pg_catalog.now() + k.ahead
                       OR {WATCHED_STAGES} AND c.stage_due_at <= pg_catalog.now() + k.ahead))
 ORDER BY k.channel
"""  # noqa: S608 - constants only
_HAPPENED: Final = """
SELECT e.id, e.type, e.occurred_at, c.ref, e.from_state, e.to_state, e.payload ->> 'rung' AS rung,
       e.payload ->> 'told_zh' AS told_zh, e.payload ->> 'told_en' AS told_en
  FROM dispatch.case_event AS e JOIN dispatch.dispatch_case AS c ON c.id = e.case_id
 WHERE e.id > %(after)s ORDER BY e.id LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The clock of a channel in the sandbox, and what happened while it was advanced."""

    channel: str
    now: datetime
    ahead: timedelta
    events: tuple[dict[str, Any], ...] = ()


def _eyes(channel: str) -> Viewer:
    """Sees the channel's cases only; the database's `now()` is the channel's clock through them."""
    return limited(channel=channel).viewer()


async def open_clock(engine: AsyncEngine, channel: str) -> None:
    """Give a channel a clock; one that it has already goes on."""
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute("INSERT INTO sandbox.clock (channel) VALUES (%s) ON CONFLICT DO NOTHING", (channel,))


async def read_clock(engine: AsyncEngine, channel: str) -> Clock:
    """What a channel's clock shows."""
    async with read_unit(engine, viewer=_eyes(channel)) as unit:
        driver = await unit.driver()
        row = await (await driver.execute("SELECT sandbox.now(), sandbox.ahead()")).fetchone()
    assert row is not None
    return Clock(channel=channel, now=row[0], ahead=row[1])


async def sandbox_now(engine: AsyncEngine, channel: str) -> datetime:
    """The instant that a channel's clock shows."""
    return (await read_clock(engine, channel)).now.astimezone(UTC)


async def advance(engine: AsyncEngine, channel: str, until: datetime) -> Clock:
    """Put a channel's clock forward and let everything happen that falls due on the way.

    Parameters
    ----------
    engine
        With the service's own rights, on the sandbox's database.

    Raises
    ------
    BadInputError
        ``sandbox.clock_back``, ``sandbox.clock_too_far``.
    """
    clock = await read_clock(engine, channel)
    if until < clock.now:
        raise BadInputError("sandbox.clock_back", pointer="/to", now=clock.now.isoformat(timespec="seconds"))
    if clock.ahead + (until - clock.now) > MOST_AHEAD:
        raise BadInputError("sandbox.clock_too_far", days=MOST_AHEAD.days)
    last = await _last_event(engine, channel)
    await run_due(engine, channel)
    for _ in range(_MOST_STEPS):
        at = await _next_instant(engine, channel)
        if at is None or at > until:
            break
        await _set(engine, channel, at)
        if not await run_due(engine, channel):
            break  # whatever holds it back, time goes on
    await _set(engine, channel, until)
    await run_due(engine, channel)
    shown = await read_clock(engine, channel)
    events = await _events_after(engine, channel, last)
    return Clock(channel=channel, now=shown.now, ahead=shown.ahead, events=events)


async def run_due(engine: AsyncEngine, channel: str) -> int:
    """Do what the worker does with deadlines and stage clocks, for one channel on its own clock."""
    taken = 0
    for _ in range(_MOST_STEPS):
        async with write_unit(engine, viewer=_eyes(channel)) as unit:
            done = await sweep(unit, batch=_BATCH) + await run_stages(unit, batch=_BATCH)
        taken += done
        if not done:
            break
    return taken


async def channels_due(engine: AsyncEngine) -> list[str]:
    """Channels of which something is due on their own clock."""
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        rows = await driver.execute(_DUE.encode())
        return [row[0] for row in await rows.fetchall()]


async def _set(engine: AsyncEngine, channel: str, at: datetime) -> None:
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute(
            # Never back: two advances at once end at the later one.
            "UPDATE sandbox.clock SET ahead = greatest(ahead, %(at)s - pg_catalog.now()) WHERE channel = %(channel)s",
            {"at": at, "channel": channel},
        )


async def _next_instant(engine: AsyncEngine, channel: str) -> datetime | None:
    async with read_unit(engine, viewer=_eyes(channel)) as unit:
        driver = await unit.driver()
        row = await (await driver.execute(_NEXT.encode())).fetchone()
        now = await database_now(unit)
    assert row is not None
    at: datetime | None = row[0]
    return max(at, now) if at is not None else None


async def _last_event(engine: AsyncEngine, channel: str) -> int:
    async with read_unit(engine, viewer=_eyes(channel)) as unit:
        driver = await unit.driver()
        row = await (await driver.execute("SELECT coalesce(max(id), 0) FROM dispatch.case_event")).fetchone()
    assert row is not None
    number: int = row[0]
    return number


async def _events_after(engine: AsyncEngine, channel: str, after: int) -> tuple[dict[str, Any], ...]:
    async with read_unit(engine, viewer=_eyes(channel)) as unit:
        driver = await unit.driver()
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_HAPPENED, {"after": after, "most": _MOST_EVENTS})
            return tuple(await cursor.fetchall())
