"""Who answers at an instant, from posts with their holders, leave and shifts as intervals. Pure.

The same order as the SQL function ``dispatch.duty_ladder``: a department that leads, then the cell, then its parents;
rank A before B; of a shared post every holder. `dispatch.roster` keeps such posts in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dispatch.intervals import stretch_around
from dispatch.posts import Rung
from dispatch.shifts import ALWAYS, Rota

__all__ = ["Holding", "Post", "constant_around", "department_rungs", "rungs_of"]


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
    """A post with its holders, in the order in which they were appointed, and its shifts.

    ``cell_code`` is of a department's post: the part of the territory it is for; None is all of it.
    """

    rank: str
    post_id: int
    title_zh: str
    title_en: str
    since: datetime
    until: datetime
    holdings: tuple[Holding, ...]
    rota: Rota = ALWAYS
    cell_code: str | None = None


def rungs_of(
    posts: Iterable[Post], level: int, cell_code: str, at: datetime, *, department: str = ""
) -> tuple[Rung, ...]:
    """Rungs that the valid posts among some make at an instant, in the posts' order."""
    return tuple(
        _rung(post, held, level, cell_code, at, department)
        for post in posts
        if post.since <= at < post.until
        for held in _holdings(post, at)
    )


def department_rungs(posts: Sequence[Post], department: str, path: Sequence[str], at: datetime) -> tuple[Rung, ...]:
    """Rungs of a department for a cell (given by its path of codes): its post for the deepest cell first.

    They stand at the level of the cell: who is above them is who is above its head.
    """
    depth = {code: place for place, code in enumerate(path, start=1)}
    chosen = sorted(
        (post for post in posts if post.cell_code is None or post.cell_code in depth),
        key=lambda post: (-depth.get(post.cell_code or "", 0), post.rank, post.post_id),
    )
    return rungs_of(chosen, max(len(path), 1), "", at, department=department)


def constant_around(posts: Sequence[Post], at: datetime) -> tuple[datetime, datetime]:
    """The stretch around an instant in which nothing begins or ends. Boundary: ``[from, until)``."""
    marks = [mark for post in posts for mark in (post.since, post.until)]
    for post in posts:
        for holding in post.holdings:
            marks += [holding.since, holding.until, *(mark for stay in holding.leave for mark in stay)]
        marks += post.rota.marks([held.person_id for held in post.holdings if held.person_id is not None], at)
    return stretch_around(marks, at)


def _holdings(post: Post, at: datetime) -> Sequence[Holding | None]:
    return [held for held in post.holdings if held.since <= at < held.until] or [None]


def _rung(post: Post, held: Holding | None, level: int, code: str, at: datetime, department: str) -> Rung:
    away = max((ends for starts, ends in held.leave if starts <= at < ends), default=None) if held else None
    person = held.person_id if held else None
    off = person is not None and not post.rota.is_on(person, at)
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
        is_available=person is not None and away is None and not off,
        is_off_shift=off,
        department=department,
    )
