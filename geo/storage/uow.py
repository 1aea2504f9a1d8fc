"""One request, command or job is one transaction, and only the unit of work commits it (decision 0001).

A transaction for a caller runs as one of two roles that own nothing, with the caller's areas as settings: the policies
of the tables decide by them what exists (decision 0029). A connection of the requests' pool that nobody has given a
viewer sees no case at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NewType

import psycopg
from psycopg import AsyncConnection as DriverConnection
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from geo.errors import UnavailableError

#: Sees what the settings of its transaction allow; without any, nothing.
AREA_ROLE: Final = "gridward_area"
#: Sees every case: its policies are constants, which the planner drops.
DESK_ROLE: Final = "gridward_desk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Through whose eyes a transaction looks.

    Attributes
    ----------
    role
        Role of the database that the transaction takes on.
    settings
        Name behind ``gridward.`` → words; what they mean, the policies of each floor's tables say.
    """

    role: str
    settings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def statements(self) -> sql.Composed:
        """The statements that put the transaction behind these eyes, as one text: one round trip."""
        parts: list[sql.Composable] = [sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.role))]
        parts += [
            sql.SQL("SET LOCAL {} = {}").format(sql.Identifier("gridward", name), sql.Literal(array_literal(words)))
            for name, words in self.settings.items()
        ]
        return sql.SQL("; ").join(parts)


NOBODY: Final = Viewer(role=AREA_ROLE)
EVERYBODY: Final = Viewer(role=DESK_ROLE)


def array_literal(words: tuple[str, ...]) -> str:
    """Write words as PostgreSQL's text form of an array.

    Examples
    --------
    >>> array_literal(("410102001", 'a "b" c'))
    '{"410102001","a \\\\"b\\\\" c"}'
    """
    quoted = (word.replace("\\", "\\\\").replace('"', '\\"') for word in words)
    return "{" + ",".join(f'"{word}"' for word in quoted) + "}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A transaction in progress. Handlers take it as an argument and never commit."""

    connection: AsyncConnection
    #: The driver's connection when somebody has asked for it already; to ask costs as much as a small statement.
    known_driver: DriverConnection[Any] | None = None

    async def driver(self) -> DriverConnection[Any]:
        """Return the psycopg connection of this very transaction, for COPY and for named ``.sql`` files."""
        if self.known_driver is not None:
            return self.known_driver
        raw = await self.connection.get_raw_connection()
        driver: DriverConnection[Any] = raw.driver_connection  # type: ignore[assignment]
        return driver


# Two types, so that a reading handler cannot be given the right to write, nor a writer a read-only snapshot.
ReadUnit = NewType("ReadUnit", Unit)
WriteUnit = NewType("WriteUnit", Unit)


@asynccontextmanager
async def write_unit(engine: AsyncEngine, *, viewer: Viewer | None = None) -> AsyncIterator[WriteUnit]:
    """Open a READ COMMITTED transaction; commit when the block ends, roll back when it raises.

    Parameters
    ----------
    viewer
        Through whose eyes; None leaves the role that the engine connects with.
    """
    async with engine.begin() as connection:
        unit = Unit(connection=connection)
        if viewer is not None:
            driver = await unit.driver()
            await driver.execute(viewer.statements(), prepare=False)
        yield WriteUnit(unit)


@asynccontextmanager
async def read_unit(
    engine: AsyncEngine, *, snapshot: bool = False, viewer: Viewer | None = None
) -> AsyncIterator[ReadUnit]:
    """Open a READ ONLY transaction.

    Parameters
    ----------
    snapshot
        REPEATABLE READ: several statements see one instant (a page whose numbers must agree with each other).
    viewer
        Through whose eyes; None leaves the role that the engine connects with.
    """
    async with engine.connect() as connection, connection.begin() as transaction:
        unit = Unit(connection=connection)
        mode = sql.SQL("REPEATABLE READ" if snapshot else "READ COMMITTED")
        begin: sql.Composed = sql.SQL("SET TRANSACTION ISOLATION LEVEL {} READ ONLY").format(mode)
        if viewer is not None:
            begin = sql.SQL("; ").join([begin, viewer.statements()])
        driver = await unit.driver()
        # Several statements in one text and one round trip: that is possible only unprepared.
        await driver.execute(begin, prepare=False)
        yield ReadUnit(unit)
        await transaction.rollback()


async def act_as_service(unit: WriteUnit) -> None:
    """From here on the transaction acts with the service's own rights.

    Notes
    -----
    For what follows from an act that was looked at and allowed with the caller's rights: a case that is dispatched
    out of its actor's sight must be written all the same, and so must the other case it is merged into.
    """
    driver = await unit.driver()
    await driver.execute("SET LOCAL ROLE NONE")


class StatementUnits:
    """Lends connections for writing by statements each of which is a transaction by itself, and keeps them at hand.

    Spares the round trips that begin and end a transaction, and the pool's work for each. Only for a write that is one
    statement and checks for itself whatever must hold; the engine's own rights, no caller's.

    Parameters
    ----------
    engine
        Of its own: what is kept here is missing in the engine's pool.
    most
        Connections at most; whoever comes when all are lent waits.
    patience_s
        How long; then ``storage.busy``.
    checks_keys
        Whether the statement itself looks up all that its rows refer to. Then foreign keys need not ask again for every
        row, and a line does without them where it is allowed to (decision 0042).
    """

    def __init__(self, engine: AsyncEngine, *, most: int, patience_s: float, checks_keys: bool = False) -> None:
        self._engine = engine
        self._checks_keys = checks_keys
        self._idle: list[WriteUnit] = []
        self._free = asyncio.Semaphore(most)
        self._patience_s = patience_s

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[WriteUnit]:
        """Lend one; after an error it is thrown away, for nobody knows what state it is in.

        Raises
        ------
        UnavailableError
            ``storage.busy``.
        """
        if self._free.locked():
            try:
                await asyncio.wait_for(self._free.acquire(), self._patience_s)
            except TimeoutError:
                raise UnavailableError("storage.busy") from None
        else:
            await self._free.acquire()
        try:
            unit = self._idle.pop() if self._idle else await open_line(self._engine, checks_keys=self._checks_keys)
            try:
                yield unit
            except BaseException:
                await give_up(unit)
                raise
            self._idle.append(unit)
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Give them back to the engine."""
        while self._idle:
            unit = self._idle.pop()
            if self._checks_keys:  # its foreign keys are off
                await give_up(unit)
            else:
                await unit.connection.close()


async def open_line(engine: AsyncEngine, *, checks_keys: bool) -> WriteUnit:
    """Take a connection for the same few statements, each a transaction by itself, for as long as it lives.

    Parameters
    ----------
    checks_keys
        As for `StatementUnits`: with it the connection may not go back to the engine, see `give_up`.
    """
    connection = await engine.connect()
    try:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        driver = await Unit(connection=connection).driver()
        # Should the planner come to think that a plan for each execution were cheaper, to make it would cost as much as
        # to run it.
        await driver.execute("SET plan_cache_mode = force_generic_plan", prepare=False)
        if checks_keys:
            # A login that may not do this has its keys checked twice, which costs time and nothing else.
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                await driver.execute("SET session_replication_role = replica", prepare=False)
    except BaseException:
        await give_up(WriteUnit(Unit(connection=connection)))
        raise
    return WriteUnit(Unit(connection=connection, known_driver=driver))


async def give_up(unit: WriteUnit) -> None:
    """Throw the connection of a line away: nobody else may be lent what it was set to, or left in."""
    await unit.connection.invalidate()
    await unit.connection.close()


@asynccontextmanager
async def statement_unit(engine: AsyncEngine) -> AsyncIterator[ReadUnit]:
    """Lend a connection for exactly one reading statement, which is a transaction by itself.

    Spares the round trips that open, set and end a transaction: where a statement takes a millisecond they cost more
    than it does. Nothing else about it is different; two statements would see two instants.
    """
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        yield ReadUnit(Unit(connection=connection))
