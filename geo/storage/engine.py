"""The connection pool: one engine per process, bounded, with time-outs that end before the caller's patience."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from geo.errors import UnavailableError

APPLICATION_NAME = "gridward"
#: A server that has not even ended a statement so long after its time was over has stopped answering. Units: seconds.
_MARGIN_S = 5.0


class PatientConnection(psycopg.AsyncConnection[Any]):
    """A connection that is given up when the server says nothing any more: frozen, or cut off without a word.

    PostgreSQL's own time-outs need a server that runs; a pool whose connections wait for one that does not would let
    every caller wait with them.
    """

    patience_s: float | None = None

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:  # noqa: ASYNC109
        """Wait for what a statement brings, until the connection's patience ends."""
        if timeout is not None or self.patience_s is None:
            return await super().wait(gen, interval, timeout)
        while True:
            try:
                return await super().wait(gen, interval, self.patience_s)
            except psycopg.errors._WaitTimeout:
                # Who listens for notices is not waiting for an answer.
                if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server does not answer") from None


def create_engine(
    url: str,
    *,
    pool_size: int = 8,
    pool_timeout_s: float = 5.0,
    statement_timeout_s: float = 15.0,
    name: str = "api",
    role: str | None = None,
    ping: bool = True,
) -> AsyncEngine:
    """Make the process's engine.

    Parameters
    ----------
    url
        ``postgresql://…`` or ``postgresql+psycopg://…``; both mean psycopg 3.
    pool_size
        Connections held at most; there is no overflow, so a burst waits instead of multiplying connections.
    pool_timeout_s
        How long a request waits for a connection before it is told to come back (503).
    statement_timeout_s
        PostgreSQL ends a statement that runs longer. Bulk work opens its own engine with a larger one.
    role
        Role that every connection takes on at once; None keeps the login's own rights.
    ping
        Look before each use whether the connection still lives; without it the user repeats what failed for that.
    """
    target = make_url(url).set(drivername="postgresql+psycopg")
    engine = create_async_engine(
        target,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=pool_timeout_s,
        # A pooled connection may have died with its server; one cheap ping is the price for a clean first request.
        pool_pre_ping=ping,
        pool_reset_on_return="rollback",
        connect_args={
            "application_name": f"{APPLICATION_NAME}-{name}",
            "connect_timeout": 5,
            "async_creator_fn": PatientConnection.connect,
            # Our statements are short: to compile one costs more than to run it, whatever the planner thinks of them.
            "options": f"-c statement_timeout={int(statement_timeout_s * 1000)} -c timezone=UTC -c jit=off"
            " -c idle_in_transaction_session_timeout=60000 -c lock_timeout=5000" + (f" -c role={role}" if role else ""),
        },
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare_early(dbapi_connection: Any, _record: Any) -> None:
        # The hot statements are few and repeated on every connection: prepare them on the second run, not the fifth.
        connection: PatientConnection = dbapi_connection.driver_connection
        connection.prepare_threshold = 1
        connection.patience_s = statement_timeout_s + _MARGIN_S if statement_timeout_s else None

    return engine


def dsn(url: str) -> str:
    """Return the libpq form of a URL, for psycopg and command-line tools."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def unavailable(error: BaseException) -> UnavailableError | None:
    """Translate "the database is away or too busy" into the one error the door answers with 503.

    Returns
    -------
    UnavailableError or None
        None when the error means something else (a bug, a constraint).
    """
    if isinstance(error, PoolTimeoutError):
        return UnavailableError("storage.busy")
    if isinstance(error, DBAPIError) and error.orig is not None:
        inner = error.orig
        if isinstance(inner, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
            return UnavailableError("storage.busy")
        if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
            return UnavailableError("storage.unavailable")
    if isinstance(error, psycopg.OperationalError):
        return UnavailableError("storage.unavailable")
    if isinstance(error, ConnectionError | asyncio.TimeoutError):
        return UnavailableError("storage.unavailable")
    return None
