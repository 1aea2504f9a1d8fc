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
            "options": f"-c statement_timeout={int(statement_timeout_s * 1000)} -c timezone=UTC"
            " -c idle_in_transaction_session_timeout=60000 -c lock_timeout=5000" + (f" -c role={role}" if role else ""),
        },
    )

    @event.listens_for(engine.sync_engine, "connect")
    def _prepare_early(dbapi_connection: Any, _record: Any) -> None:
        # The hot statements are few and repeated on every connection: prepare them on the second run, not the fifth.
        dbapi_connection.driver_connection.prepare_threshold = 1

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
