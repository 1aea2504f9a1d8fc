"""Who answers for a cell: the ladder of posts, and why the answer is this person.

The order of the ladder is the SQL function ``dispatch.responsible_ladder`` (the cell's A post, its B post, then the
parent's …); this module reads it. The first rung that somebody can take is responsible, and the rungs passed over
are the reason that is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Why(StrEnum):
    """Why this person and not another. Texts: ``why.<value>`` in the catalogues."""

    PRIMARY_ON_DUTY = "primary_on_duty"
    PRIMARY_ON_LEAVE = "primary_on_leave"
    PRIMARY_VACANT = "primary_vacant"
    PRIMARY_OFF_DUTY = "primary_off_duty"
    PRIMARY_NO_ACK = "primary_no_ack"
    PARENT_HEAD = "parent_head"
    PASSED_ON = "passed_on"
    """Whoever was asked before did not acknowledge in time."""
    FALLBACK_OWNER = "fallback_owner"
    DEPARTMENT = "department"
    DEPARTMENT_BACKUP = "department_backup"
    DEPARTMENT_EMPTY = "department_empty"


class Nobody(StrEnum):
    """Why nobody is responsible at an instant. Texts: ``nobody.<value>`` in the catalogues."""

    NO_POST = "no_post"
    ALL_VACANT = "all_vacant"
    NONE_ON_DUTY = "none_on_duty"


class Candidacy(StrEnum):
    """What was found of a candidate. Texts: ``posts.standing.<value>`` in the catalogues."""

    RESPONSIBLE = "responsible"
    STANDS_BY = "stands_by"
    VACANT = "vacant"
    ON_LEAVE = "on_leave"
    OFF_SHIFT = "off_shift"
    NO_ACK = "no_ack"
    SETTLED = "settled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One post on the ladder, with its holder (if any) at the instant asked about.

    ``passed`` is why a case went past somebody who was there: ``no_ack`` or ``settled``. ``department`` is the code of
    the department whose handler this is; such a rung stands at the level of the case's cell and has no cell itself.
    """

    level: int
    cell_code: str
    rank: str
    post_id: int
    title_zh: str
    title_en: str
    person_id: UUID | None
    person_name: str | None
    leave_until: datetime | None
    is_available: bool
    passed: str = ""
    is_off_shift: bool = False
    department: str = ""

    def title(self, locale: str) -> str:
        """Title of the post in the caller's language."""
        return (self.title_en if locale == "en" else self.title_zh) or self.title_zh


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The responsible person: the rung that answers, why, and who was passed over first."""

    rung: Rung
    why: Why
    passed: Rung | None


def parse_ladder(rows: Sequence[Mapping[str, Any]] | None) -> tuple[Rung, ...]:
    """Read the ladder as it comes from SQL or from a stored trace (JSON)."""
    return tuple(
        Rung(
            level=row["level"],
            cell_code=row["cell_code"],
            rank=row["rank"],
            post_id=row["post_id"],
            title_zh=row["title_zh"],
            title_en=row["title_en"],
            person_id=UUID(str(row["person_id"])) if row["person_id"] else None,
            person_name=row["person_name"],
            leave_until=_instant(row["leave_until"]),
            is_available=row["is_available"],
            passed=row.get("passed") or "",
            # Ladders kept before there were shifts and departments lack both.
            is_off_shift=row.get("is_off_shift") or False,
            department=row.get("department") or "",
        )
        for row in rows or ()
    )


def ladder_json(ladder: Sequence[Rung]) -> list[dict[str, Any]]:
    """The ladder as the case keeps it."""
    return [_rung_json(rung, step) for step, rung in enumerate(ladder, start=1)]


def _rung_json(rung: Rung, step: int) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "step": step,
        "level": rung.level,
        "cell_code": rung.cell_code,
        "rank": rung.rank,
        "post_id": rung.post_id,
        "title_zh": rung.title_zh,
        "title_en": rung.title_en,
        "person_id": str(rung.person_id) if rung.person_id else None,
        "person_name": rung.person_name,
        "leave_until": rung.leave_until.isoformat() if rung.leave_until else None,
        "is_available": rung.is_available,
        "passed": rung.passed,
    }
    # Most rungs are neither; a million cases need not say so.
    if rung.is_off_shift:
        kept["is_off_shift"] = True
    if rung.department:
        kept["department"] = rung.department
    return kept


def find_head(ladder: Sequence[Rung]) -> Head | None:
    """The first rung somebody can take, or None when the whole ladder is empty.

    Examples
    --------
    An A post on leave hands over to B, and the answer says so (here with the trace kept in ``passed``):

    >>> from dataclasses import replace
    >>> a = Rung(level=3, cell_code="c", rank="A", post_id=1, title_zh="甲", title_en="A", person_id=None,
    ...          person_name=None, leave_until=None, is_available=False)
    >>> b = replace(a, rank="B", post_id=2, is_available=True)
    >>> find_head([a, b]).why.value
    'primary_vacant'
    """
    for rung in ladder:
        if rung.is_available:
            return Head(rung=rung, why=_why(ladder, rung), passed=None if rung is ladder[0] else ladder[0])
    return None


def why_nobody(ladder: Sequence[Rung]) -> Nobody:
    """Why a ladder without anybody available names nobody.

    Examples
    --------
    >>> why_nobody([]).value
    'no_post'
    """
    if not ladder:
        return Nobody.NO_POST
    return Nobody.ALL_VACANT if all(rung.person_id is None for rung in ladder) else Nobody.NONE_ON_DUTY


def find_backup(ladder: Sequence[Rung], head: Head) -> Rung | None:
    """Who takes over if the head does not answer: the next rung somebody can take."""
    after = ladder[list(ladder).index(head.rung) + 1 :]
    return next((rung for rung in after if rung.is_available), None)


def find_next(ladder: Sequence[Rung], post_id: int | None) -> Rung | None:
    """Who is asked after a post that did not answer: the next rung that somebody can take, never one below."""
    # The last rung of the post: of a shared one several people hold rungs, and it was asked as a whole.
    at = max((index for index, rung in enumerate(ladder) if rung.post_id == post_id), default=-1)
    return next((rung for rung in ladder[at + 1 :] if rung.is_available), None)


def find_top(ladder: Sequence[Rung]) -> Rung | None:
    """The highest head there is: the territorial fallback owner (属地兜底), and who is told of a grave case."""
    available = [rung for rung in ladder if rung.is_available and not rung.department]
    return min(available, key=lambda rung: rung.level) if available else None


def passed_over(ladder: Sequence[Rung], taken: Rung, why: str) -> tuple[Rung, ...]:
    """The ladder with everybody before a rung marked as passed, so that the first available is the one taken."""
    at = list(ladder).index(taken)
    return tuple(
        replace(rung, is_available=False, passed=why) if index < at and rung.is_available else rung
        for index, rung in enumerate(ladder)
    )


def candidates(ladder: Sequence[Rung]) -> tuple[tuple[Rung, Candidacy], ...]:
    """Everybody who was looked at, in order, with what was found; the first who can take it is the answer."""
    head = find_head(ladder)
    return tuple((rung, _candidacy(rung, head)) for rung in ladder)


def _candidacy(rung: Rung, head: Head | None) -> Candidacy:
    if rung.passed:
        return Candidacy(rung.passed)
    if rung.person_id is None:
        return Candidacy.VACANT
    if rung.leave_until is not None:
        return Candidacy.ON_LEAVE
    if rung.is_off_shift:
        return Candidacy.OFF_SHIFT
    return Candidacy.RESPONSIBLE if head is not None and rung is head.rung else Candidacy.STANDS_BY


def _why(ladder: Sequence[Rung], taken: Rung) -> Why:
    first = ladder[0]
    if any(rung.passed == "settled" for rung in ladder):
        return Why.FALLBACK_OWNER
    if taken.department:
        return Why.DEPARTMENT if taken is first else Why.DEPARTMENT_BACKUP
    if taken is first and taken.rank == "A":
        return Why.PRIMARY_ON_DUTY
    was_asked = any(rung.passed == "no_ack" for rung in ladder)
    if first.department:
        return Why.PASSED_ON if was_asked else Why.DEPARTMENT_EMPTY
    if taken.cell_code != first.cell_code:
        return Why.PASSED_ON if was_asked else Why.PARENT_HEAD
    if first.passed == "no_ack":
        return Why.PRIMARY_NO_ACK
    if first.rank == "A" and first.leave_until is not None:
        return Why.PRIMARY_ON_LEAVE
    return Why.PRIMARY_OFF_DUTY if first.rank == "A" and first.is_off_shift else Why.PRIMARY_VACANT


def _instant(value: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value
