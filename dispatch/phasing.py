"""Phases of a case under way: deadlines before the last one, each reported, paused and explained by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.calendars import WorkingCalendar
from dispatch.deadlines import Deadline, Limit, LimitUnit
from dispatch.limits import Phase, set_phases
from dispatch.making import Act
from dispatch.storage.legs import add_deadline_change, add_phases
from geo.errors import BadInputError
from geo.storage.uow import Unit, WriteUnit

__all__ = ["CasePhase", "finish_phases", "follow_phases", "list_phases", "open_phases", "report_phase"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePhase:
    """A phase of a case's clock epoch."""

    number: int
    clock_epoch: int
    name_zh: str
    name_en: str
    limit_value: Decimal
    limit_unit: str
    due_at: datetime
    due_provisional: bool
    done_at: datetime | None
    is_on_time: bool | None
    result: str

    @property
    def limit(self) -> Limit:
        """The limit it was given."""
        return Limit(value=self.limit_value, unit=LimitUnit(self.limit_unit))

    def name(self, locale: str) -> str:
        """Name in the caller's language."""
        return (self.name_en if locale == "en" else self.name_zh) or self.name_zh


async def open_phases(
    unit: WriteUnit, case_id: UUID, epoch: int, phases: Sequence[Phase], calendar: WorkingCalendar, start: datetime
) -> int:
    """Write the phases of a clock that begins and return how many there are."""
    if phases:
        await add_phases(unit, [(case_id, epoch, clock) for clock in set_phases(calendar, start, phases)])
    return len(phases)


async def list_phases(unit: Unit, case_id: UUID, epoch: int) -> tuple[CasePhase, ...]:
    """The phases of a clock epoch, in order."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT number, clock_epoch, name_zh, name_en, limit_value, limit_unit, due_at, due_provisional, done_at,"
            " is_on_time, result FROM dispatch.case_phase WHERE case_id = %s AND clock_epoch = %s ORDER BY number",
            (case_id, epoch),
        )
        return tuple(CasePhase(**row) for row in await cursor.fetchall())


async def report_phase(act: Act) -> dict[str, Any]:
    """Report a phase as done: the one named, or the first that is open. On time is decided at this instant.

    Raises
    ------
    BadInputError
        ``dispatch.phase_required`` when the one named is not open.
    """
    phases = await list_phases(act.unit, act.case["id"], act.case["clock_epoch"])
    still_open = [phase for phase in phases if phase.done_at is None]
    wanted = act.request.phase
    chosen = next((phase for phase in still_open if wanted in (None, phase.number)), None)
    if chosen is None:
        known = ", ".join(str(phase.number) for phase in still_open) or "–"
        raise BadInputError("dispatch.phase_required", pointer="/phase", open=known)
    await _done(act, act.request.result, chosen.number)
    act.payload |= {
        "phase": chosen.number,
        "phase_zh": chosen.name_zh,
        "phase_en": chosen.name_en,
        "is_on_time": act.at <= chosen.due_at,
    }
    return {"open_phases": len(still_open) - 1}


async def finish_phases(act: Act) -> dict[str, Any]:
    """When the whole is reported back, every phase is done at the latest."""
    if not act.case["open_phases"]:
        return {}
    await _done(act, "", None)
    return {"open_phases": 0}


async def _done(act: Act, result: str, number: int | None) -> None:
    driver = await act.unit.driver()
    await driver.execute(
        "UPDATE dispatch.case_phase SET done_at = %(at)s, is_on_time = due_at >= %(at)s, result = %(result)s"
        " WHERE case_id = %(id)s AND clock_epoch = %(epoch)s AND done_at IS NULL"
        " AND (%(number)s::int IS NULL OR number = %(number)s)",
        {
            "at": act.at,
            "result": result,
            "id": act.case["id"],
            "epoch": act.case["clock_epoch"],
            "number": number,
        },
    )


async def follow_phases(act: Act, kind: str, move: Callable[[datetime, Limit], Deadline]) -> None:
    """Move the deadlines of open phases when the case's clock is paused or goes on early, each on record."""
    if not act.case["open_phases"]:
        return
    driver = await act.unit.driver()
    for phase in await list_phases(act.unit, act.case["id"], act.case["clock_epoch"]):
        if phase.done_at is not None:
            continue
        now = move(phase.due_at, phase.limit)
        if now.due_at == phase.due_at:
            continue
        await driver.execute(
            "UPDATE dispatch.case_phase SET due_at = %s, due_provisional = due_provisional OR %s"
            " WHERE case_id = %s AND clock_epoch = %s AND number = %s",
            (now.due_at, now.is_provisional, act.case["id"], phase.clock_epoch, phase.number),
        )
        await add_deadline_change(
            act.unit,
            case_id=act.case["id"],
            clock_epoch=phase.clock_epoch,
            part="phase",
            number=phase.number,
            kind=kind,
            changed_at=act.at,
            changed_by=act.request.actor.name,
            due_before=phase.due_at,
            due_after=now.due_at,
        )
