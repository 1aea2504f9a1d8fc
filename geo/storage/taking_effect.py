"""When a grid version begins that is activated for now: far enough ahead that nobody answers from the one before.

A process answers from memory only while what it was told is younger than `geo.lookup.holder.PATIENCE_S`. Where one
version follows another, the change is committed at least `HEADWAY` less the commit's own time before its instant, which
is longer. So at the instant every process has been told, or asks SQL (decision 0024).
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.uow import ReadUnit, WriteUnit, read_unit

__all__ = ["HEADWAY", "await_effect", "find_beginning", "may_be_withdrawn"]

HEADWAY: Final = timedelta(seconds=1.6)
"""From the statement that names the instant to the instant; twice the patience of a process."""
# Longer before the next statement or the commit, and the server takes it back; the rest is for the commit itself.
_COMMIT_WITHIN: Final = "SET LOCAL idle_in_transaction_session_timeout = '600ms'"
_SOONEST: Final = """
SELECT clock_timestamp() + :headway AS soonest, now() AS at_once, max(valid_from) AS latest,
       coalesce(bool_or(valid_until IS NULL OR valid_until > clock_timestamp()), false) AS follows
  FROM geo.grid_version
 WHERE jurisdiction = :jurisdiction AND status = 'published' AND valid_from <= clock_timestamp() + :headway
"""
_LEFT: Final = "SELECT extract(epoch FROM CAST(:since AS timestamptz) - clock_timestamp())::float8"
_AFTER: Final = timedelta(microseconds=1)
#: Clocks of processes are taken as one when they differ by less (`geo.lookup.holder`). Units: seconds.
_CLOCKS_S: Final = 0.06


async def find_beginning(unit: WriteUnit, jurisdiction: str, at: datetime | None) -> datetime:
    """When a version activated in this transaction begins, which must end soon.

    Parameters
    ----------
    at
        The instant asked for; None means as soon as possible. One too near is moved to the nearest that is right.
    """
    row = (await unit.connection.execute(text(_SOONEST), {"headway": HEADWAY, "jurisdiction": jurisdiction})).one()
    soonest, at_once, latest, follows = row
    if follows and (at is None or at > at_once):
        await unit.connection.execute(text(_COMMIT_WITHIN))
    if at is not None and (at <= at_once or at >= soonest or not follows):
        return at
    # Where no version is valid nobody has anything to answer from, and asks SQL: it may begin at once.
    earliest: datetime = soonest if follows else at_once
    # Another activation for now may be ahead still, or have begun after this transaction did.
    return max(earliest, latest + _AFTER) if latest is not None else earliest


async def may_be_withdrawn(unit: WriteUnit, begins: datetime | None) -> bool:
    """Whether every process hears of a withdrawal in this transaction, which must end soon, before the instant."""
    await unit.connection.execute(text(_COMMIT_WITHIN))
    return begins is None or await _left(unit, begins) > HEADWAY.total_seconds()


async def await_effect(engine: AsyncEngine, begins: datetime | None) -> None:
    """Wait until a version that was activated for now has begun; one scheduled for later is not waited for.

    Cost: at most `HEADWAY`.
    """
    async with read_unit(engine) as unit:
        left = await _left(unit, begins) if begins is not None else 0.0
    if 0 < left <= 2 * HEADWAY.total_seconds():
        await asyncio.sleep(left + _CLOCKS_S)


async def _left(unit: ReadUnit | WriteUnit, begins: datetime) -> float:
    left: float = await unit.connection.scalar(text(_LEFT), {"since": begins})
    return left
