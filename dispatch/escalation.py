"""The ladder of escalation (逐级问责) as data: which rungs there are, when each is planned, and whom it tells.

A rung is planned by a share of the limit, by a time after the deadline, or at once; every instant is counted in the
case's own working time. Each fires exactly once per (case, rung, epoch of its clock): the primary key of
``dispatch.escalation`` is the promise, the sweep (`dispatch/ladder_sweep.py`) merely tries. A later deadline by
approval (extension, suspension, reopening, a calendar table that arrives) begins a new epoch.

Boundary: a rung is due at its very instant. Boundary: what was planned before an epoch began and fired in an earlier
one is not owed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Limit, LimitUnit, Pause, add, elapsed
from dispatch.states import HANDLING_STATES, CaseState

__all__ = [
    "CLIMBING_STATES",
    "DEFAULT_LADDERS",
    "Basis",
    "EndsWith",
    "EscalationRung",
    "Ladder",
    "LadderRung",
    "Planned",
    "RungClock",
    "Scope",
    "Target",
    "find_ladder",
    "is_still_due",
    "owed",
    "plan_rungs",
]

#: The handling clock runs, so the ladder does. The SQL of the indexes and of the trigger lists the same states.
CLIMBING_STATES: Final = HANDLING_STATES
_MICROSECONDS_AN_HOUR: Final = 3_600_000_000
_AT_DUE: Final = Limit(value=0, unit=LimitUnit.URGENT_HOUR)


class EscalationRung(StrEnum):
    """Rungs that code names; all others are data."""

    DUE = "due"
    NOW = "now"
    """Told at once, by hand, past all levels."""


class Basis(StrEnum):
    """From what a rung's instant is counted."""

    AT_ONCE = "at_once"
    """With dispatch: grave cases."""
    SHARE = "share"
    """When a share of the limit is used up: reminders."""
    AFTER_DUE = "after_due"
    """A time after the deadline; zero is the deadline itself."""


class Target(StrEnum):
    """Whom a rung tells. Levels may be skipped: a rung may go straight to the leader."""

    OWNER = "owner"
    PARENT_HEAD = "parent_head"
    TOP_HEAD = "top_head"
    DEPARTMENT_HEAD = "department_head"
    SHIFT_LEADER = "shift_leader"
    LEADER = "leader"


class EndsWith(StrEnum):
    """What ends a rung that has not fired. Whatever ends the case itself (close, void, merge) ends every rung."""

    HANDLED = "handled"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderRung:
    """One step. ``share`` belongs to SHARE; ``after`` to AFTER_DUE. ``in_bulletin``: named in the bulletin (通报)."""

    code: str
    basis: Basis
    target: Target
    share: Decimal = Decimal(0)
    after: Limit = _AT_DUE
    ends_with: EndsWith = EndsWith.HANDLED
    in_bulletin: bool = False
    name_zh: str = ""
    name_en: str = ""

    def name(self, locale: str) -> str:
        """Name in the caller's language; the code when the office gave none."""
        return (self.name_en if locale == "en" else self.name_zh) or self.name_zh or self.code


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """For which cases a ladder is meant; empty means "any".

    ``jurisdiction`` empty is the ladder shipped with the software; ``cell_code`` is a subdistrict, as with profiles;
    ``category`` a minor or a major class.
    """

    jurisdiction: str = ""
    cell_code: str = ""
    category: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A version of a ladder: in force for clocks that begin at or after ``effective_from``.

    A version without rungs withdraws its scope: the next more general ladder applies again.
    """

    id: int
    scope: Scope
    effective_from: datetime
    rungs: tuple[LadderRung, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RungClock:
    """A case's handling clock as the ladder sees it.

    ``began_at`` is when the case was dispatched (or reopened), ``start_at`` from when its limit counts, ``due_at`` the
    deadline in force; ``since`` is when the present epoch of the ladder began, None for the first.
    """

    began_at: datetime
    start_at: datetime
    due_at: datetime
    unit: LimitUnit
    pauses: tuple[Pause, ...] = ()
    since: datetime | None = None
    is_live: bool = True
    """An imported case's past is history: what was planned before it came is not made up for."""
    is_acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A rung and its instant."""

    rung: LadderRung
    at: datetime


_WORKING_DAY = LimitUnit.WORKING_DAY
_ORDINARY: Final = (
    LadderRung(code="half", basis=Basis.SHARE, share=Decimal("0.5"), target=Target.OWNER,
               name_zh="用时过半提醒", name_en="Reminder: half of the limit is used"),
    LadderRung(code="four_fifths", basis=Basis.SHARE, share=Decimal("0.8"), target=Target.OWNER,
               name_zh="用时八成提醒", name_en="Reminder: four fifths of the limit are used"),
    LadderRung(code="due", basis=Basis.AFTER_DUE, target=Target.PARENT_HEAD,
               name_zh="到期上报上级网格长", name_en="Overdue: the parent cell's head"),
    LadderRung(code="due_1d", basis=Basis.AFTER_DUE, after=Limit(value=1, unit=_WORKING_DAY),
               target=Target.DEPARTMENT_HEAD, name_zh="超期一个工作日，部门负责人",
               name_en="One working day overdue: the department's head"),
    LadderRung(code="due_5d", basis=Basis.AFTER_DUE, after=Limit(value=5, unit=_WORKING_DAY), target=Target.LEADER,
               in_bulletin=True, name_zh="超期五个工作日，街道领导并通报",
               name_en="Five working days overdue: the subdistrict's leader, and the bulletin"),
)  # fmt: skip
_GRAVE: Final = LadderRung(
    code="grave",
    basis=Basis.AT_ONCE,
    target=Target.LEADER,
    name_zh="重大事件直报",
    name_en="Grave: straight to the top",
)

#: What is shipped, as the migration seeds it; also what applies where the table is empty. Scope's category → rungs.
DEFAULT_LADDERS: Final[Mapping[str, tuple[LadderRung, ...]]] = {"": _ORDINARY, "E05": (_GRAVE, *_ORDINARY)}


def is_still_due(state: CaseState) -> bool:
    """Whether a rung may still fire: never after the case was handled, closed or otherwise ended."""
    return state in CLIMBING_STATES


def find_ladder(
    ladders: Iterable[Ladder],
    *,
    jurisdiction: str,
    path: Sequence[str],
    category: str,
    parent: str | None,
    at: datetime,
) -> Ladder | None:
    """The ladder for a case whose clock began at an instant.

    The closer class wins before the closer place: an office's own ladder for everything does not undo what is laid
    down for emergencies. Within a scope the newest version in force at ``at`` counts.
    """
    newest: dict[Scope, Ladder] = {}
    for ladder in ladders:
        known = newest.get(ladder.scope)
        if ladder.effective_from <= at and (known is None or _order(known) < _order(ladder)):
            newest[ladder.scope] = ladder
    places = [(jurisdiction, code) for code in path[:1]] + [(jurisdiction, ""), ("", "")]
    for wanted in dict.fromkeys((category, parent or "", "")):
        for code, cell in places:
            found = newest.get(Scope(jurisdiction=code, cell_code=cell, category=wanted))
            if found is not None and found.rungs:
                return found
    return None


def _order(ladder: Ladder) -> tuple[datetime, int]:
    return ladder.effective_from, ladder.id


def plan_rungs(rungs: Iterable[LadderRung], clock: RungClock, calendar: WorkingCalendar) -> tuple[Planned, ...]:
    """When each rung is due, in order of time.

    The deadline in force is what counts, not the catalogue's limit of today; shares are shares of the counted time
    from start to deadline, so that an extended limit's half is the half of what was given in all.

    Raises
    ------
    BadInputError
        ``calendar.beyond_horizon``.
    """
    planned = [Planned(rung=rung, at=_instant(rung, clock, calendar)) for rung in rungs]
    return tuple(sorted(planned, key=lambda one: one.at))


def _instant(rung: LadderRung, clock: RungClock, calendar: WorkingCalendar) -> datetime:
    match rung.basis:
        case Basis.AT_ONCE:
            return clock.began_at
        case Basis.AFTER_DUE:
            return add(calendar, clock.due_at, rung.after, clock.pauses).due_at
        case Basis.SHARE:
            if clock.due_at <= clock.start_at:
                return clock.due_at
            counted = elapsed(calendar, clock.start_at, clock.due_at, clock.unit, clock.pauses)
            share = _counted(counted, clock.unit).times(rung.share)
            return min(add(calendar, clock.start_at, share, clock.pauses).due_at, clock.due_at)


def _counted(span: timedelta, unit: LimitUnit) -> Limit:
    # Hours carry the microsecond exactly: the unit's own value could not.
    hours = Decimal(span // timedelta(microseconds=1)) / _MICROSECONDS_AN_HOUR
    return Limit(value=hours, unit=LimitUnit.WORKING_HOUR if unit.is_working else LimitUnit.URGENT_HOUR)


def owed(
    planned: Iterable[Planned], clock: RungClock, fired: frozenset[str], fired_before: frozenset[str]
) -> tuple[Planned, ...]:
    """The rungs that still have to fire, in order of time.

    Parameters
    ----------
    fired, fired_before
        Codes that have fired in this epoch, and in earlier ones.
    """
    return tuple(one for one in planned if one.rung.code not in fired and not _is_settled(one, clock, fired_before))


def _is_settled(one: Planned, clock: RungClock, fired_before: frozenset[str]) -> bool:
    if one.rung.ends_with is EndsWith.ACKNOWLEDGED and clock.is_acknowledged:
        return True
    if clock.since is None or one.at >= clock.since:
        return False
    # A rung that an outage kept from firing in the old epoch is still owed; one that has fired is not repeated.
    return not clock.is_live or one.rung.code in fired_before
