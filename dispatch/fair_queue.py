"""A bounded queue that is fair between lines: each waiting line gives one thing in turn, and none fills it alone."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["FairQueue"]

T = TypeVar("T")


class FairQueue(asyncio.Queue[T], Generic[T]):
    """A queue of lines.

    Parameters
    ----------
    line_of
        The line that a thing stands in.
    maxsize
        Things that wait at most while one line waits. With more lines each may hold its part of it and no more, so a
        line that floods is refused while the others still get in.
    """

    def __init__(self, line_of: Callable[[T], str], maxsize: int) -> None:
        self._line_of = line_of
        self._most = maxsize
        self._lines: dict[str, deque[T]] = {}
        self._count = 0
        super().__init__()

    def qsize(self) -> int:
        """How many wait."""
        return self._count

    def empty(self) -> bool:
        """Whether nothing waits."""
        return self._count == 0

    def put_nowait(self, item: T) -> None:
        """Let a thing wait in its line.

        Raises
        ------
        asyncio.QueueFull
            Its line holds its part already.
        """
        line = self._line_of(item)
        waiting = self._lines.get(line, ())
        if len(waiting) >= self._most // (len(self._lines) + (line not in self._lines)):
            raise asyncio.QueueFull
        super().put_nowait(item)

    def _put(self, item: T) -> None:
        self._lines.setdefault(self._line_of(item), deque()).append(item)
        self._count += 1

    def _get(self) -> T:
        # A dictionary keeps its order: the first line gives one and goes to the end.
        line, waiting = next(iter(self._lines.items()))
        item = waiting.popleft()
        del self._lines[line]
        if waiting:
            self._lines[line] = waiting
        self._count -= 1
        return item
