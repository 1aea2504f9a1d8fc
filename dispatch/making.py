"""The values of an act under way: who asks for what, on which case, and what it changes so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from dispatch.guards import Facts, Request
from dispatch.joint import LegPlan
from dispatch.profiles import Profile
from dispatch.reference import Reference
from dispatch.states import CaseState
from dispatch.workflow import Move, Transition
from geo.coordinates import CoordSys
from geo.storage.uow import WriteUnit

__all__ = ["Act", "Actor", "Elsewhere", "GivenPosition", "MoveRequest", "columns_of", "facts_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: ``kind`` is channel, operator, person or system."""

    kind: str
    id: str = ""

    @property
    def known(self) -> str:
        """The person who acts, if it is a person: a key or the desk's console speaks for many."""
        return self.id if self.kind == "person" else ""

    @property
    def name(self) -> str:
        """As the ledgers keep it."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPosition:
    """Where somebody says that it is. Units: degrees in ``coord_sys``."""

    x: float
    y: float
    coord_sys: CoordSys


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRequest:
    """A move as asked for. ``seen_version`` is what the actor looked at (If-Match).

    ``until`` is the end of a suspension, ``into`` the number of the case that a merged case follows, ``cell`` the code
    of the cell that a dispatcher sends it to, ``legs`` what joint work is split into, ``phase`` the one reported.
    ``said_at`` is when the actor's own clock says that it was done, out there without a network: kept beside the act,
    and without effect on any clock.
    """

    ref: str
    move: Move
    actor: Actor
    seen_version: int
    reason: str = ""
    result: str = ""
    condition: int | None = None
    channel: str | None = None
    until: datetime | None = None
    into: str | None = None
    department: str | None = None
    cell: str | None = None
    position: GivenPosition | None = None
    legs: tuple[LegPlan, ...] = ()
    phase: int | None = None
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A fact for the history of another case (an overlay there)."""

    case_id: UUID
    kind: str
    overlay: str
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Act:
    """One act under way: ``before`` is the row as found, ``case`` as changed so far, ``changes`` what is written.

    ``event_id`` is its place in the history, as soon as it has one.
    """

    unit: WriteUnit
    before: dict[str, Any]
    case: dict[str, Any]
    request: MoveRequest
    reference: Reference
    profile: Profile
    at: datetime
    changes: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    elsewhere: list[Elsewhere] = field(default_factory=list)
    event_id: int = 0

    def change(self, columns: Mapping[str, Any]) -> None:
        """Take over changed columns."""
        self.case |= columns
        self.changes |= columns

    @property
    def path(self) -> tuple[str, ...]:
        """Codes of the cells that answer for the case today: a redraw may have handed it over."""
        return tuple(self.case["owner_path"] or self.case["cell_path"])


def facts_of(case: Mapping[str, Any], at: datetime) -> Facts:
    """What the guards look at, from a row."""
    return Facts(
        state=CaseState(case["state"]),
        return_count=case["return_count"],
        rework_count=case["rework_count"],
        extension_count=case["extension_count"],
        suspend_count=case["suspend_count"],
        clock_epoch=case["clock_epoch"],
        asked=Request(case["asked"]) if case["asked"] else None,
        received_by=case["received_by"] or "",
        is_overdue=case["due_at"] is not None and at > case["due_at"],
        is_late=case["is_on_time"] is False,
        is_exempt=case["is_exempt"],
        is_supervised=case["supervised_until"] is not None,
        is_joint=case["open_legs"] > 0,
        has_open_phase=case["open_phases"] > 0,
    )


def columns_of(row: Transition, facts: Facts, at: datetime) -> dict[str, Any]:
    """Columns that follow from the table alone: the facts after a move, and its stamp."""
    columns: dict[str, Any] = {
        "state": facts.state.value,
        "return_count": facts.return_count,
        "rework_count": facts.rework_count,
        "extension_count": facts.extension_count,
        "suspend_count": facts.suspend_count,
        "clock_epoch": facts.clock_epoch,
        "asked": facts.asked.value if facts.asked else None,
        "received_by": facts.received_by or None,
        "is_exempt": facts.is_exempt,
    }
    if not facts.is_supervised:
        columns["supervised_until"] = None
    if row.stamp:
        columns[row.stamp] = at
    return columns
