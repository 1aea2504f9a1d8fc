"""One request, command or job is one transaction, and only the unit of work commits it (decision 0001)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NewType

from psycopg import AsyncConnection as DriverConnection
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A transaction in progress. Handlers take it as an argument and never commit."""

    connection: AsyncConnection

    async def driver(self) -> DriverConnection[Any]:
        """Return the psycopg connection of this very transaction, for COPY and for named ``.sql`` files."""
        raw = await self.connection.get_raw_connection()
        driver: DriverConnection[Any] = raw.driver_connection  # type: ignore[assignment]
        return driver


# Two types, so that a reading handler cannot be given the right to write, nor a writer a read-only snapshot.
ReadUnit = NewType("ReadUnit", Unit)
WriteUnit = NewType("WriteUnit", Unit)


@asynccontextmanager
async def write_unit(engine: AsyncEngine) -> AsyncIterator[WriteUnit]:
    """Open a READ COMMITTED transaction; commit when the block ends, roll back when it raises."""
    async with engine.begin() as connection:
        yield WriteUnit(Unit(connection=connection))


@asynccontextmanager
async def read_unit(engine: AsyncEngine, *, snapshot: bool = False) -> AsyncIterator[ReadUnit]:
    """Open a READ ONLY transaction.

    Parameters
    ----------
    snapshot
        REPEATABLE READ: several statements see one instant (a page whose numbers must agree with each other).
    """
    async with engine.connect() as connection:
        mode = "REPEATABLE READ" if snapshot else "READ COMMITTED"
        await connection.execute(text(f"SET TRANSACTION ISOLATION LEVEL {mode} READ ONLY"))
        yield ReadUnit(Unit(connection=connection))
        await connection.rollback()


@asynccontextmanager
async def statement_unit(engine: AsyncEngine) -> AsyncIterator[ReadUnit]:
    """Lend a connection for exactly one reading statement, which is a transaction by itself.

    Spares the round trips that open, set and end a transaction: where a statement takes a millisecond they cost more
    than it does. Nothing else about it is different; two statements would see two instants.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        yield ReadUnit(Unit(connection=connection))
