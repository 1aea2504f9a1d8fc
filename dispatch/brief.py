"""Who knew what when: a case's history with everybody who was told, by which medium, and when they first acted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from psycopg.rows import dict_row

from dispatch.case_views import CaseView, EventView
from dispatch.escalation import Planned
from dispatch.ladder_sweep import plan_case
from dispatch.queries import database_now, get_case
from dispatch.reference import Reference
from geo.storage.uow import Unit

__all__ = ["Brief", "FiredRung", "Knower", "PlannedRung", "Telling", "make_brief"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A notice about an event: ``state`` as in ``dispatch.notification``; ``sent_at`` None while it has not arrived."""

    seq: int
    person_id: UUID
    name: str
    medium: str
    state: str
    queued_at: datetime
    sent_at: datetime | None
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FiredRung:
    """A rung that has fired; ``leg`` 0 is the case's own clock. ``name`` was told; in ``empty`` places nobody was."""

    leg: int
    rung: str
    epoch: int
    planned_at: datetime | None
    fired_at: datetime
    name: str | None
    title_zh: str | None
    title_en: str | None
    empty: tuple[str, ...]
    in_bulletin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRung:
    """A rung that will fire if nothing happens before; ``leg`` 0 is the case's own clock."""

    leg: int
    rung: str
    name_zh: str
    name_en: str
    target: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Knower:
    """What one person knew: first told (by which medium), last told, how often, and the first act of their own."""

    person_id: str
    name: str
    told_at: datetime | None
    medium: str | None
    last_told_at: datetime | None
    told: int
    failed: int
    acted_at: datetime | None
    acts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """The brief of a case as of an instant."""

    case: CaseView
    jurisdiction: str
    time_zone: str
    as_of: datetime
    events: tuple[EventView, ...]
    tellings: Mapping[int, tuple[Telling, ...]]
    fired: tuple[FiredRung, ...]
    planned: tuple[PlannedRung, ...]
    knowers: tuple[Knower, ...]
    #: Names of the departments that the history speaks of by code: in Chinese and in English.
    departments: Mapping[str, tuple[str, str]]


_TELLINGS: Final = """
SELECT e.seq, n.person_id, p.name, n.medium, n.state, n.created_at AS queued_at, n.sent_at, n.attempts,
       n.last_error AS error
  FROM dispatch.case_event AS e
  JOIN dispatch.notification AS n ON n.event_id = e.id
  JOIN dispatch.person AS p ON p.id = n.person_id
 WHERE e.case_id = %s
 ORDER BY e.seq, n.id
"""
_FIRED: Final = """
SELECT e.leg, e.rung, e.clock_epoch AS epoch, e.planned_at, e.fired_at, p.name, t.title_zh, t.title_en, e.empty,
       e.in_bulletin
  FROM dispatch.escalation AS e
  LEFT JOIN dispatch.person AS p ON p.id = e.person_id
  LEFT JOIN dispatch.post AS t ON t.id = e.post_id
 WHERE e.case_id = %s
 ORDER BY e.fired_at, e.planned_at, e.rung
"""


async def make_brief(unit: Unit, ref: str, reference: Reference, *, channel: str | None = None) -> Brief:
    """Gather the brief of a case.

    Raises
    ------
    NotFoundError
        ``dispatch.case_not_found``.
    """
    detail = await get_case(unit, ref, channel=channel)
    as_of = await database_now(unit)
    case_id = detail.case.id
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_TELLINGS, (case_id,))
        tellings = [Telling(**row) for row in await cursor.fetchall()]
        await cursor.execute(_FIRED, (case_id,))
        fired = tuple(FiredRung(**{**row, "empty": tuple(row["empty"])}) for row in await cursor.fetchall())
        await cursor.execute("SELECT jurisdiction FROM dispatch.dispatch_case WHERE id = %s", (case_id,))
        row = await cursor.fetchone()
        await cursor.execute("SELECT code, name_zh, name_en FROM dispatch.department")
        departments = {one["code"]: (one["name_zh"], one["name_en"]) for one in await cursor.fetchall()}
    assert row is not None
    office = reference.jurisdictions[row["jurisdiction"]]
    plans = await plan_case(unit, case_id, reference, as_of)
    by_event: dict[int, list[Telling]] = {}
    for telling in tellings:
        by_event.setdefault(telling.seq, []).append(telling)
    return Brief(
        case=detail.case,
        jurisdiction=office.code,
        time_zone=office.time_zone,
        as_of=as_of,
        events=detail.events,
        tellings={seq: tuple(found) for seq, found in by_event.items()},
        fired=fired,
        planned=tuple(sorted((_planned(*one) for one in plans), key=lambda one: one.at)),
        knowers=_knowers(tellings, detail.events),
        departments=departments,
    )


def _planned(leg: int, one: Planned) -> PlannedRung:
    rung = one.rung
    return PlannedRung(
        leg=leg,
        rung=rung.code,
        name_zh=rung.name("zh-CN"),
        name_en=rung.name("en"),
        target=rung.target.value,
        at=one.at,
    )


@dataclass(slots=True)
class _Known:
    name: str = ""
    sent: list[tuple[datetime, str]] = field(default_factory=list)
    failed: int = 0
    acted_at: datetime | None = None
    acts: list[str] = field(default_factory=list)


def _knowers(tellings: Sequence[Telling], events: Sequence[EventView]) -> tuple[Knower, ...]:
    """Everybody who was told or acted, in the order in which they came to know."""
    people: dict[str, _Known] = {}
    for telling in tellings:
        known = people.setdefault(str(telling.person_id), _Known(name=telling.name))
        if telling.sent_at is not None:
            known.sent.append((telling.sent_at, telling.medium))
        elif telling.state != "waiting":
            known.failed += 1
    for event in events:
        if event.actor_kind == "person":
            known = people.setdefault(event.actor_id, _Known(name=event.actor_name_zh))
            known.acted_at = known.acted_at or event.occurred_at
            known.acts.extend(event.moves)
    found = []
    for person_id, known in people.items():
        sent = sorted(known.sent)
        found.append(
            Knower(
                person_id=person_id,
                name=known.name,
                told_at=sent[0][0] if sent else None,
                medium=sent[0][1] if sent else None,
                last_told_at=sent[-1][0] if sent else None,
                told=len(sent),
                failed=known.failed,
                acted_at=known.acted_at,
                acts=tuple(dict.fromkeys(known.acts)),
            )
        )
    never = datetime.max.replace(tzinfo=UTC)
    return tuple(sorted(found, key=lambda one: min(one.told_at or never, one.acted_at or never)))
