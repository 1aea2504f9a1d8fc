"""One statement on one line of its own, with several executions on their way at a time (libpq's pipeline mode).

The server begins the next execution the moment it has done with the one before, whatever this process is busy with
just then; and of two that are on their way the first is answered first, instead of both late (decision 0045).
"""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection as DriverConnection
from psycopg import pq
from psycopg.adapt import Transformer
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.engine import PatientConnection
from geo.storage.uow import WriteUnit, give_up, open_line

__all__ = ["StatementPipeline"]

Row = tuple[Any, ...]
_NAME: Final = b"gridward_pipelined"


class StatementPipeline:
    """Runs a statement that is a transaction by itself, as often at a time as somebody asks for it.

    Parameters
    ----------
    engine
        Where the line comes from; it keeps one connection for as long as it lives.
    text
        The statement, with the server's own placeholders (``$1``). It needs no transaction around it.
    checks_keys
        As for `StatementUnits`.
    """

    def __init__(self, engine: AsyncEngine, text: bytes, *, checks_keys: bool = False) -> None:
        self._engine = engine
        self._text = text
        self._checks_keys = checks_keys
        #: The last one is in use; those before it are over, and answer whom they still owe an answer.
        self._lines: list[_Line] = []
        self._opening = asyncio.Lock()

    async def run(self, parameters: Sequence[str]) -> list[Row]:
        """Execute the statement and return its rows, after the commit.

        Parameters
        ----------
        parameters
            In the text form of their types; no NUL among their letters.

        Raises
        ------
        psycopg.Error
            What the server says of this execution; those beside it have nothing to do with it.
        psycopg.OperationalError
            The line was lost, with everything that was on it: whether it was written, nobody knows.
        """
        if not self._lines or self._lines[-1].is_over:
            async with self._opening:
                if not self._lines or self._lines[-1].is_over:
                    self._lines = [line for line in self._lines if not line.is_gone]
                    self._lines.append(await self._open())
        return await self._lines[-1].run(parameters)

    async def _open(self) -> _Line:
        unit = await open_line(self._engine, checks_keys=self._checks_keys)
        try:
            driver = await unit.driver()
            # Known to the server by a name, so that an execution is three short messages.
            await driver.execute(b"PREPARE " + _NAME + b" AS " + self._text, prepare=False)
            return _Line(unit, driver)
        except BaseException:
            await give_up(unit)
            raise

    async def aclose(self) -> None:
        """End the line; who still waits hears that it was lost."""
        while self._lines:
            line = self._lines.pop()
            line.end(psycopg.OperationalError("the line was closed"))
            await line.leave()


class _Line:
    """A connection in pipeline mode. Nothing but this class may speak on it."""

    def __init__(self, unit: WriteUnit, driver: DriverConnection[Any]) -> None:
        #: Takes no more; who is on it is answered still.
        self.is_over = False
        self._unit = unit
        self._loop = asyncio.get_running_loop()
        self._pgconn = driver.pgconn
        # Reads rows with the driver's own loaders, so that they are what its cursors return.
        self._reader = Transformer(driver)
        self._waiting: deque[asyncio.Future[list[Row]]] = deque()
        #: What the server has said of the first of them.
        self._said: pq.abc.PGresult | None = None
        self._is_writing = False
        self._patience_s = driver.patience_s if isinstance(driver, PatientConnection) else None
        #: Since when the server has been at work on the first. Loop time.
        self._since = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._pgconn.nonblocking = 1
        self._pgconn.enter_pipeline_mode()
        self._socket = self._pgconn.socket
        self._more = select.poll()
        self._more.register(self._socket, select.POLLIN)
        self._loop.add_reader(self._socket, self._read)

    async def run(self, parameters: Sequence[str]) -> list[Row]:
        given = [parameter.encode() for parameter in parameters]
        if any(b"\0" in each for each in given):
            raise psycopg.DataError("PostgreSQL's texts hold no NUL")
        answer: asyncio.Future[list[Row]] = self._loop.create_future()
        try:
            self._pgconn.send_query_prepared(_NAME, given)
            # The end of a transaction; and after an error the server goes on from here.
            self._pgconn.pipeline_sync()
        except psycopg.Error as error:
            self.end(error)
            raise
        if not self._waiting:
            self._begin_watch()
        self._waiting.append(answer)
        self._write()
        return await answer

    def _write(self) -> None:
        """Send what can be sent, the rest as soon as the system takes it."""
        try:
            is_left = bool(self._pgconn.flush())
        except psycopg.Error as error:
            self.end(error)
            return
        if is_left != self._is_writing:
            self._is_writing = is_left
            if is_left:
                self._loop.add_writer(self._socket, self._write)
            else:
                self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        """Take what has come, to its end: of a socket that has failed the loop may speak once and no more."""
        try:
            while True:
                self._pgconn.consume_input()
                self._answer_who_can_be()
                if not self._more.poll(0):
                    break
        except psycopg.Error as error:
            self.end(error)
            return
        if self.is_over and not self._waiting:
            self.end(psycopg.OperationalError("the line was closed"))

    def _answer_who_can_be(self) -> None:
        pgconn = self._pgconn
        while self._waiting and not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                continue  # the end of one execution's results; its sync follows
            if result.status != pq.ExecStatus.PIPELINE_SYNC:
                self._said = result
                continue
            said, self._said = self._said, None
            self._since = self._loop.time()
            self._answer(self._waiting.popleft(), said)

    def _answer(self, answer: asyncio.Future[list[Row]], said: pq.abc.PGresult | None) -> None:
        if answer.done():
            return  # nobody waits for it any more; it is written all the same
        if said is not None and said.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
            try:
                self._reader.set_pgresult(said)
                answer.set_result(self._reader.load_rows(0, said.ntuples, tuple))
            except Exception as error:  # what one execution brought is nothing to those after it
                answer.set_exception(error)
            return
        answer.set_exception(
            psycopg.errors.error_from_result(said) if said is not None else psycopg.OperationalError("no answer")
        )
        # Should the statement itself have gone stale, a new line prepares it anew.
        self.is_over = True

    def _begin_watch(self) -> None:
        self._since = self._loop.time()
        if self._watch is None and self._patience_s is not None:
            self._watch = self._loop.call_later(self._patience_s, self._look)

    def _look(self) -> None:
        """Give the line up when the server is at work on one execution for too long."""
        self._watch = None
        if not self._waiting or self._patience_s is None:
            return
        left = self._since + self._patience_s - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self.end(psycopg.OperationalError("the server does not answer"))

    def end(self, error: psycopg.Error) -> None:
        """Use the line no more. Who still waits on it hears why."""
        self.is_over = True
        if self._leaving is not None:
            return
        # The driver may have closed the socket already, which a selector holds against us, and forgets it all the same.
        with contextlib.suppress(OSError):
            self._loop.remove_reader(self._socket)
        with contextlib.suppress(OSError):
            self._loop.remove_writer(self._socket)
        if self._watch is not None:
            self._watch.cancel()
        self._pgconn.finish()
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(error)
        self._leaving = self._loop.create_task(give_up(self._unit), name="pipeline-leaving")

    @property
    def is_gone(self) -> bool:
        """Whether nothing is left of it."""
        return self._leaving is not None and self._leaving.done()

    async def leave(self) -> None:
        """Wait until the connection that was ended is closed."""
        if self._leaving is not None:
            with contextlib.suppress(Exception):
                await self._leaving
