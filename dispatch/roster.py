"""Who answers where, kept in memory: posts of cells with their holders and their leave, as intervals.

The order of the ladder is the SQL function ``dispatch.responsible_ladder``; `Roster.ladder` composes the same from what
it holds, and a test keeps both equal. Intervals are kept, not answers, so that an appointment or a leave that begins at
noon acts at noon. What has changed since the roster's `snapshot` is found by the log ``dispatch.duty_change``; whoever
writes passes the snapshot along and has it checked in the writing statement.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dispatch.intervals import FAR_FUTURE, FAR_PAST
from dispatch.posts import Rung
from dispatch.responsible import Holding, Post, constant_around, department_rungs, rungs_of
from dispatch.routing import Route, RouteTable

__all__ = ["CellPosts", "Changes", "Holding", "Post", "Roster", "department_key"]

_REACH_BACK = timedelta(minutes=5)
"""Entries hold no intervals that ended long before they were read; questions about the past go to SQL."""
_MOST_CELLS = 400_000


@dataclass(slots=True)
class CellPosts:
    """The posts of one cell or one department, and the rungs they make now.

    ``persons`` are all who appear, active or not: a change of any of them makes the entry worthless.
    """

    posts: tuple[Post, ...]
    persons: frozenset[UUID]
    level: int = 0
    since: datetime = FAR_FUTURE
    until: datetime = FAR_FUTURE
    rungs: tuple[Rung, ...] = ()

    def rungs_at(self, level: int, code: str, at: datetime) -> tuple[Rung, ...]:
        """Rungs of the cell in the order A, B; made again only when an interval begins or ends."""
        if not (self.since <= at < self.until and self.level == level):
            self.since, self.until = constant_around(self.posts, at)
            self.level = level
            self.rungs = rungs_of(self.posts, level, code, at)
        return self.rungs


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the log says since a snapshot. ``snapshot`` is what it was read with."""

    snapshot: str
    cells: frozenset[str] = frozenset()
    persons: frozenset[UUID] = frozenset()
    is_everything: bool = False


@dataclass(slots=True)
class Roster:
    """The posts of the cells asked for, forgotten when they change.

    Parameters
    ----------
    load
        Reads the posts of cells and departments (`department_key`) from the database; a code without any post is
        answered with an empty entry.
    load_routes
        Reads the matrix of departments; without it the roster knows the territory only.
    patience_s
        Without a look at the log for this long nothing is answered from memory. With it, a change is at most this old
        when it acts on a question; a report is guarded by the snapshot besides and never late.
    """

    load: Callable[[Sequence[str]], Awaitable[Mapping[str, CellPosts]]]
    load_routes: Callable[[], Awaitable[RouteTable]] | None = None
    patience_s: float = 1.0
    snapshot: str = ""
    #: Counts how often something was forgotten; whoever fills the roster ahead knows by it when to look again.
    forgotten: int = 0
    _cells: dict[str, CellPosts] = field(default_factory=dict)
    _routes: RouteTable | None = None
    _looked_at: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __len__(self) -> int:
        return len(self._cells)

    def answers(self, at: datetime) -> bool:
        """Whether what is held here, and whatever was made of it, may be used for an instant."""
        return time.monotonic() - self._looked_at <= self.patience_s and at >= datetime.now(UTC) - _REACH_BACK

    def ladder(self, path: Sequence[str], at: datetime) -> tuple[Rung, ...] | None:
        """The ladder of a cell (given by its path of codes) at an instant; None when SQL has to be asked.

        Cost: a few microseconds.
        """
        if not self.answers(at):
            return None
        rungs: list[Rung] = []
        for level in range(len(path), 0, -1):
            code = path[level - 1]
            entry = self._cells.get(code)
            if entry is None:
                return None
            rungs += entry.rungs_at(level, code, at)
        return tuple(rungs)

    def route(self, path: Sequence[str], category: str, at: datetime) -> Route | None:
        """The department of a category in a cell; only after `ensure_routes`, which says whether that is known."""
        return self._routes.find(path, category, at) if self._routes is not None else None

    def led_ladder(self, path: Sequence[str], department: str | None, at: datetime) -> tuple[Rung, ...] | None:
        """The ladder of a cell with the handlers of a leading department before it; None when SQL has to be asked."""
        ladder = self.ladder(path, at)
        if ladder is None or department is None:
            return ladder
        entry = self._cells.get(department_key(department))
        return None if entry is None else (*department_rungs(entry.posts, department, path, at), *ladder)

    def constant_around(self, path: Sequence[str], department: str | None, at: datetime) -> tuple[datetime, datetime]:
        """The stretch around an instant in which a ladder stays as it is, as long as nothing is forgotten.

        Only when `led_ladder` has just answered for the instant. Boundary: ``[from, until)``.
        """
        stretches = [(entry.since, entry.until) for code in path if (entry := self._cells.get(code)) is not None]
        if department is not None and (handlers := self._cells.get(department_key(department))) is not None:
            stretches.append(constant_around(handlers.posts, at))
        since = max((since for since, _ in stretches), default=FAR_PAST)
        return since, min((until for _, until in stretches), default=FAR_FUTURE)

    @property
    def knows_routes(self) -> bool:
        """Whether `route` can be asked."""
        return self._routes is not None

    async def ensure_routes(self) -> bool:
        """Load the matrix if it is not known; say whether it is now."""
        if self._routes is None and self.load_routes is not None:
            async with self._lock:
                # Whoever waited for the lock finds what the first one loaded.
                if self.snapshot and not self.knows_routes:
                    self._routes = await self.load_routes()
        return self.knows_routes

    async def ensure(self, codes: Iterable[str]) -> None:
        """Load what is missing of some cells. Cost: nothing, or one query for all of them."""
        if all(code in self._cells for code in codes):
            return
        # Loading and forgetting take turns: an entry read before a change must not be kept after it.
        async with self._lock:
            missing = [code for code in dict.fromkeys(codes) if code not in self._cells]
            if missing and self.snapshot:
                if len(self._cells) + len(missing) > _MOST_CELLS:
                    self._cells.clear()
                self._cells.update(await self.load(missing))

    async def fill(self, codes: Sequence[str], *, at_once: int = 250, pause_s: float = 0.01) -> None:
        """Load cells ahead of their first question, in small steps so that questions meanwhile do not wait long."""
        for start in range(0, min(len(codes), _MOST_CELLS // 2), at_once):
            step = codes[start : start + at_once]
            if any(code not in self._cells for code in step):
                await self.ensure(step)
                await asyncio.sleep(pause_s)
            else:
                await asyncio.sleep(0)

    async def look(self, read: Callable[[str], Awaitable[Changes]]) -> None:
        """Read the log and forget what has changed.

        Parameters
        ----------
        read
            Gives the changes since a snapshot; an empty one asks for the present snapshot.
        """
        async with self._lock:
            # Before the question: what is read is at least as new as that.
            asked_at = time.monotonic()
            changes = await read(self.snapshot)
            if changes.is_everything:
                self._cells.clear()
                self._routes = None
            if changes.is_everything or changes.cells or changes.persons:
                self.forgotten += 1
            for code in changes.cells:
                self._cells.pop(code, None)
            if changes.persons:
                touched = [code for code, entry in self._cells.items() if entry.persons & changes.persons]
                for code in touched:
                    del self._cells[code]
            self.snapshot = changes.snapshot
            self._looked_at = asked_at


def department_key(code: str) -> str:
    """The name under which a department's handlers have their entry, and changes of them are noted."""
    return "@" + code
