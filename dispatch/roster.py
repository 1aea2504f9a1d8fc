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

from dispatch.posts import Rung

__all__ = ["CellPosts", "Changes", "Holding", "Post", "Roster"]

_REACH_BACK = timedelta(minutes=5)
"""Entries hold no intervals that ended long before they were read; questions about the past go to SQL."""
_MOST_CELLS = 400_000
_FAR_FUTURE = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody holds a post from an instant until another (exclusive). ``leave`` are their absences."""

    since: datetime
    until: datetime
    person_id: UUID | None
    person_name: str | None
    leave: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True, slots=True)
class Post:
    """A grid head's post with its holders."""

    rank: str
    post_id: int
    title_zh: str
    title_en: str
    since: datetime
    until: datetime
    holdings: tuple[Holding, ...]


@dataclass(slots=True)
class CellPosts:
    """The posts of one cell, and the rungs they make now.

    ``persons`` are all who appear, active or not: a change of any of them makes the entry worthless.
    """

    posts: tuple[Post, ...]
    persons: frozenset[UUID]
    level: int = 0
    since: datetime = _FAR_FUTURE
    until: datetime = _FAR_FUTURE
    rungs: tuple[Rung, ...] = ()

    def rungs_at(self, level: int, code: str, at: datetime) -> tuple[Rung, ...]:
        """Rungs of the cell in the order A, B; made again only when an interval begins or ends."""
        if not (self.since <= at < self.until and self.level == level):
            self.since, self.until = _constant_around(self.posts, at)
            self.level = level
            self.rungs = tuple(_rung(post, level, code, at) for post in self.posts if post.since <= at < post.until)
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
        Reads the posts of cells from the database; a code without any post is answered with an empty entry.
    patience_s
        Without a look at the log for this long nothing is answered from memory. With it, a change is at most this old
        when it acts on a question; a report is guarded by the snapshot besides and never late.
    """

    load: Callable[[Sequence[str]], Awaitable[Mapping[str, CellPosts]]]
    patience_s: float = 1.0
    snapshot: str = ""
    _cells: dict[str, CellPosts] = field(default_factory=dict)
    _looked_at: float = float("-inf")
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __len__(self) -> int:
        return len(self._cells)

    def ladder(self, path: Sequence[str], at: datetime) -> tuple[Rung, ...] | None:
        """The ladder of a cell (given by its path of codes) at an instant; None when SQL has to be asked.

        Cost: a few microseconds.
        """
        if time.monotonic() - self._looked_at > self.patience_s or at < datetime.now(UTC) - _REACH_BACK:
            return None
        rungs: list[Rung] = []
        for level in range(len(path), 0, -1):
            code = path[level - 1]
            entry = self._cells.get(code)
            if entry is None:
                return None
            rungs += entry.rungs_at(level, code, at)
        return tuple(rungs)

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

    async def look(self, read: Callable[[str], Awaitable[Changes]]) -> None:
        """Read the log and forget what has changed.

        Parameters
        ----------
        read
            Gives the changes since a snapshot; an empty one asks for the present snapshot.
        """
        async with self._lock:
            changes = await read(self.snapshot)
            if changes.is_everything:
                self._cells.clear()
            for code in changes.cells:
                self._cells.pop(code, None)
            if changes.persons:
                touched = [code for code, entry in self._cells.items() if entry.persons & changes.persons]
                for code in touched:
                    del self._cells[code]
            self.snapshot = changes.snapshot
            self._looked_at = time.monotonic()


def _rung(post: Post, level: int, code: str, at: datetime) -> Rung:
    held = next((holding for holding in post.holdings if holding.since <= at < holding.until), None)
    away = max((ends for starts, ends in held.leave if starts <= at < ends), default=None) if held else None
    person = held.person_id if held else None
    return Rung(
        level=level,
        cell_code=code,
        rank=post.rank,
        post_id=post.post_id,
        title_zh=post.title_zh,
        title_en=post.title_en,
        person_id=person,
        person_name=held.person_name if held and person else None,
        leave_until=away,
        is_available=person is not None and away is None,
    )


def _constant_around(posts: Sequence[Post], at: datetime) -> tuple[datetime, datetime]:
    """The stretch around an instant in which no interval begins or ends."""
    marks = [mark for post in posts for mark in (post.since, post.until)]
    for post in posts:
        for holding in post.holdings:
            marks += [holding.since, holding.until, *(mark for stay in holding.leave for mark in stay)]
    before = max((mark for mark in marks if mark <= at), default=datetime.min.replace(tzinfo=UTC))
    return before, min((mark for mark in marks if mark > at), default=_FAR_FUTURE)
