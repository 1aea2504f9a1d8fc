"""The collecting writer: concurrent reports share one statement and one commit.

While a statement runs, new reports wait in a bounded queue in which the channels take turns; the next statement takes
them together. With one report at a time there is nothing to wait for, so nothing is delayed. Under a burst a statement
takes half of all that are on their way, no more, and a second one begins only when the other half waits for it, or
after some milliseconds: collections grow instead of multiplying, and while the one half is written, the other is read,
prepared and answered. (Were all taken that wait, everybody would soon go in step: database and process would each be
idle while the other works.) Both halves are on one line, where the server works them through in turn
(`geo.storage.pipeline`). A report is answered only after the commit that holds it. When a collection fails because
one row is bad, its halves are tried until the bad one is alone, so it hurts nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from dispatch.fair_queue import FairQueue
from dispatch.intake import PreparedReport, Receipt
from geo.errors import BadInputError, GridwardError, UnavailableError

log = structlog.get_logger("gridward.intake")

_GATHER_S = 0.004
_FORGOTTEN = 0.95
"""What is left, with each statement, of the memory of how many were on their way at once."""

_FEW = 4
"""So many share a statement even when that is more than half: to begin one costs as much as some reports."""

Write = Callable[[Sequence[PreparedReport]], Awaitable[list[Receipt | BadInputError]]]


@dataclass(slots=True)
class _Waiting:
    report: PreparedReport
    answer: asyncio.Future[Receipt]


class CollectingWriter:
    """Collect reports and write them together.

    Parameters
    ----------
    write
        Writes a collection in one transaction and returns one outcome per report, in order.
    writers
        Statements in flight at most; two keep the next collection ready while one commits.
    most
        Reports per statement at most: bounds the transaction's time, and with it the wait of the last one.
    backlog
        Reports waiting at most; beyond it the caller is told to come back (``storage.busy``) instead of queueing
        longer than its own patience. Channels take turns, and each may hold its part of the backlog.
    """

    def __init__(self, write: Write, *, writers: int = 2, most: int = 128, backlog: int = 2048) -> None:
        self._write = write
        self._most = most
        # A channel that floods must not keep the others waiting behind it.
        self._queue: FairQueue[_Waiting] = FairQueue(lambda waiting: waiting.report.channel, backlog)
        self._writers = writers
        self._tasks: list[asyncio.Task[None]] = []
        #: Held by whoever chooses the next collection: two at once would take half of it each.
        self._turn = asyncio.Lock()
        self._busy = 0
        #: Reports handed in and not answered; and how many that was lately.
        self._unanswered = 0
        self._load = 0.0
        #: Something has happened for which whoever gathers need not wait any longer.
        self._is_time = asyncio.Event()

    async def start(self) -> None:
        """Begin to write."""
        self._tasks = [asyncio.create_task(self._run(), name=f"intake-{n}") for n in range(self._writers)]

    async def stop(self) -> None:
        """Write what is waiting, then end: an accepted connection gets its answer."""
        await self._queue.join()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def submit(self, report: PreparedReport) -> Receipt:
        """Write one report and return its receipt after the commit.

        Raises
        ------
        UnavailableError
            ``storage.busy`` when the backlog is full.
        BadInputError
            ``dispatch.ticket_reused``.
        """
        waiting = _Waiting(report, asyncio.get_running_loop().create_future())
        try:
            self._queue.put_nowait(waiting)
        except asyncio.QueueFull:
            raise UnavailableError("storage.busy") from None
        self._unanswered += 1
        self._load = max(self._load, self._unanswered)
        if self._queue.qsize() >= self._enough():
            self._is_time.set()
        try:
            return await waiting.answer
        finally:
            self._unanswered -= 1

    async def write_many(self, reports: Sequence[PreparedReport]) -> list[Receipt | GridwardError]:
        """Write reports that came together in one transaction, past the queue; one outcome for each, in order.

        When the collection fails because one is bad, its halves are tried, until the bad one is alone. A half that
        meets a database that has gone away says so for itself: the other may be written.
        """
        try:
            return list(await self._write(reports))
        except GridwardError as error:
            if len(reports) == 1 or isinstance(error, UnavailableError):
                return [error] * len(reports)
        except Exception:
            if len(reports) == 1:
                # Whatever it is about this one, the others have nothing to do with it.
                log.exception("report_not_written")
                return [UnavailableError("storage.unavailable")]
        half = len(reports) // 2
        return [*await self.write_many(reports[:half]), *await self.write_many(reports[half:])]

    async def _run(self) -> None:
        while True:
            async with self._turn:
                batch = await self._collect()
                self._busy += 1
            try:
                await self._settle(batch)
            finally:
                self._busy -= 1
                self._is_time.set()
                for _ in batch:
                    self._queue.task_done()

    async def _collect(self) -> list[_Waiting]:
        batch = [await self._queue.get()]
        if self._busy:
            # Another statement is on its way, so there is load: what comes in the meantime shares this one.
            await self._gather()
        else:
            # One turn of the loop lets the requests that are already readable join this collection.
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.QueueEmpty):
            most = max(self._share(), _FEW)
            while len(batch) < most:
                batch.append(self._queue.get_nowait())
        self._load = max(self._unanswered, self._load * _FORGOTTEN)
        return batch

    async def _gather(self) -> None:
        """Wait until another statement is done, or until there is enough for one, but not for long."""
        if self._queue.qsize() >= self._enough():
            return
        self._is_time.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_S):
                await self._is_time.wait()

    def _enough(self) -> int:
        """How many must wait, besides the first, for a statement of their own."""
        return self._share() - 1

    def _share(self) -> int:
        """How many of those lately on their way belong to one statement."""
        return min(self._most, int(self._load / self._writers))

    async def _settle(self, batch: list[_Waiting]) -> None:
        try:
            outcomes = await self._write([waiting.report for waiting in batch])
        except Exception as error:  # whatever went wrong belongs to the reports, not to the writer
            if len(batch) == 1 or isinstance(error, UnavailableError):
                for waiting in batch:
                    _fail(waiting, error)
            else:
                half = len(batch) // 2
                await self._settle(batch[:half])
                await self._settle(batch[half:])
            return
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, BadInputError):
                _fail(waiting, outcome)
            elif not waiting.answer.done():
                waiting.answer.set_result(outcome)


def _fail(waiting: _Waiting, error: Exception) -> None:
    # A caller that hung up has cancelled its future; its report is written all the same.
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
