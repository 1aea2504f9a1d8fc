"""Whom a rung tells: the place it names, or the next level when nobody is there, with the empty places on record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from dispatch.escalation import Target
from dispatch.posts import Rung

__all__ = ["Seat", "Told", "Whereabouts", "find_told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A post that is not a grid head's, with its holder if one is there: leader, department, shift leader."""

    post_id: int
    kind: str
    cell_code: str | None
    department_code: str | None
    title_zh: str
    title_en: str
    person_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a clock stands: its cells from the top, the heads who answer for them, its owner, its department.

    A leg of joint work is owned in its department; ``lead`` is who owns the case that it is a part of.
    """

    path: tuple[str, ...]
    heads: tuple[Rung, ...]
    owner_post_id: int | None
    owner_person_id: UUID | None
    department: str | None = None
    is_leg: bool = False
    lead_post_id: int | None = None
    lead_person_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told. ``target`` is the place in which they were found; ``empty`` the places before it without anybody.

    A place is written ``owner``, ``lead``, ``head:<cell>``, ``department:<code>``, ``shift_leader:<cell>``,
    ``leader:<cell>``; a dash stands for "none known".
    """

    target: Target | None
    person_id: UUID | None
    post_id: int | None
    title_zh: str
    title_en: str
    empty: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    label: str
    target: Target
    post_id: int | None = None
    person_id: UUID | None = None
    title_zh: str = ""
    title_en: str = ""


#: Where the search goes on when a place is empty: always upwards.
_NEXT: Final = {
    Target.OWNER: Target.PARENT_HEAD,
    Target.PARENT_HEAD: Target.LEADER,
    Target.DEPARTMENT_HEAD: Target.LEADER,
    Target.SHIFT_LEADER: Target.LEADER,
    Target.LEADER: Target.TOP_HEAD,
}


def find_told(target: Target, where: Whereabouts, seats: Sequence[Seat]) -> Told:
    """The person whom a rung tells.

    A leg climbs in its own line first: a vacant handler's reminder goes to the department's head. Its parent is
    whoever leads the joint work, for they have to sign it off and cannot report the case back without it.
    A level-1 grid head is the subdistrict's leader where no post of a leader is set up; where one is set up and vacant
    that is an empty place, and the head is told instead.
    """
    empty: list[str] = []
    step: Target | None = target
    while step is not None:
        for place in _PLACES[step](where, seats):
            if place.person_id is not None:
                return Told(
                    target=place.target,
                    person_id=place.person_id,
                    post_id=place.post_id,
                    title_zh=place.title_zh,
                    title_en=place.title_en,
                    empty=tuple(dict.fromkeys(empty)),
                )
            empty.append(place.label)
        step = Target.DEPARTMENT_HEAD if step is Target.OWNER and where.is_leg else _NEXT.get(step)
    return Told(target=None, person_id=None, post_id=None, title_zh="", title_en="", empty=tuple(dict.fromkeys(empty)))


def _owner(where: Whereabouts, seats: Sequence[Seat]) -> Iterator[_Place]:
    yield _of_post("owner", Target.OWNER, where.owner_post_id, where.owner_person_id, where, seats)


def _of_post(
    label: str,
    target: Target,
    post_id: int | None,
    person_id: UUID | None,
    where: Whereabouts,
    seats: Sequence[Seat],
) -> _Place:
    titles = {rung.post_id: (rung.title_zh, rung.title_en) for rung in where.heads}
    titles |= {seat.post_id: (seat.title_zh, seat.title_en) for seat in seats}
    zh, en = titles.get(post_id or 0, ("", ""))
    return _Place(label=label, target=target, post_id=post_id, person_id=person_id, title_zh=zh, title_en=en)


def _above(where: Whereabouts, seats: Sequence[Seat]) -> Iterator[_Place]:
    own = len(where.path) + 1
    if where.is_leg:
        yield _of_post("lead", Target.PARENT_HEAD, where.lead_post_id, where.lead_person_id, where, seats)
        level = own
    else:
        # A department's handler stands below the cell's own head: that head is the first who hears of it.
        level = next((rung.level for rung in where.heads if rung.post_id == where.owner_post_id), own)
    for above in range(min(level, own) - 1, 0, -1):
        yield _head(where, above, Target.PARENT_HEAD)


def _top(where: Whereabouts, _: Sequence[Seat]) -> Iterator[_Place]:
    yield _head(where, 1, Target.TOP_HEAD)


def _head(where: Whereabouts, level: int, target: Target) -> _Place:
    label = f"head:{where.path[level - 1] if level <= len(where.path) else '–'}"
    rung = next((one for one in where.heads if one.level == level and one.is_available), None)
    if rung is None:
        return _Place(label=label, target=target)
    return _Place(
        label=label,
        target=target,
        post_id=rung.post_id,
        person_id=rung.person_id,
        title_zh=rung.title_zh,
        title_en=rung.title_en,
    )


def _department(where: Whereabouts, seats: Sequence[Seat]) -> Iterator[_Place]:
    label = f"department:{where.department or '–'}"
    # The head of a department is its leader; a department without such a post is answered for by its handlers.
    own = [seat for seat in seats if where.department and seat.department_code == where.department]
    own.sort(key=lambda seat: (seat.kind != "leader", seat.post_id))
    yield from _first(own, label, Target.DEPARTMENT_HEAD)


def _leader(where: Whereabouts, seats: Sequence[Seat]) -> Iterator[_Place]:
    own = _of_subdistrict(where, seats, "leader")
    if own:
        yield from _first(own, f"leader:{where.path[0] if where.path else '–'}", Target.LEADER)
    else:
        yield from _top(where, seats)


def _shift(where: Whereabouts, seats: Sequence[Seat]) -> Iterator[_Place]:
    label = f"shift_leader:{where.path[0] if where.path else '–'}"
    yield from _first(_of_subdistrict(where, seats, "shift_leader"), label, Target.SHIFT_LEADER)


def _of_subdistrict(where: Whereabouts, seats: Sequence[Seat], kind: str) -> list[Seat]:
    """Posts of the case's own subdistrict, then of the whole jurisdiction."""
    found = [
        seat
        for seat in seats
        if seat.kind == kind
        and seat.department_code is None
        and (seat.cell_code is None or seat.cell_code in where.path[:1])
    ]
    return sorted(found, key=lambda seat: (seat.cell_code is None, seat.post_id))


def _first(seats: Sequence[Seat], label: str, target: Target) -> Iterator[_Place]:
    held = next((seat for seat in seats if seat.person_id is not None), None)
    if held is None:
        yield _Place(label=label, target=target)
    else:
        yield _Place(
            label=label,
            target=target,
            post_id=held.post_id,
            person_id=held.person_id,
            title_zh=held.title_zh,
            title_en=held.title_en,
        )


_PLACES: Final = {
    Target.OWNER: _owner,
    Target.PARENT_HEAD: _above,
    Target.TOP_HEAD: _top,
    Target.DEPARTMENT_HEAD: _department,
    Target.SHIFT_LEADER: _shift,
    Target.LEADER: _leader,
}
