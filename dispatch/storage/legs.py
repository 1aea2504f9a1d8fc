"""Read and write the legs of joint work. The case row must be locked before a leg is written (decision 0002)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.rows import dict_row

from dispatch.joint import ENDED, LegFacts, LegState
from dispatch.limits import PhaseClock
from dispatch.posts import Rung, parse_ladder
from geo.storage.uow import Unit, WriteUnit

__all__ = [
    "Leg",
    "add_deadline_change",
    "add_leg",
    "add_phases",
    "list_departments",
    "list_legs",
    "lock_leg",
    "lock_open_legs",
    "update_leg",
]

_ENDED = ", ".join(f"'{state}'" for state in sorted(ENDED))


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """A leg as it is shown. Units: the limit in its own unit."""

    number: int
    version: int
    clock_epoch: int
    department: str
    department_zh: str
    department_en: str
    task: str
    state: LegState
    limit_value: Any
    limit_unit: str
    started_at: datetime
    due_at: datetime
    due_provisional: bool
    ladder: tuple[Rung, ...]
    owner_post_id: int | None
    acknowledged_at: datetime | None
    handled_at: datetime | None
    handled_by: str
    is_on_time: bool | None
    result: str
    evidence: tuple[str, ...]
    signed_at: datetime | None
    signed_by: str
    return_count: int
    rework_count: int

    def facts(self) -> LegFacts:
        """What decides about the next move. Whoever reported it back is the ledger's name of an actor."""
        return LegFacts(
            state=self.state,
            return_count=self.return_count,
            rework_count=self.rework_count,
            handled_by=person_of(self.handled_by),
        )


def person_of(actor: str) -> str:
    """The person of an actor's name in a ledger (``person:<id>``); empty for keys, which speak for many."""
    kind, _, name = actor.partition(":")
    return name if kind == "person" else ""


async def list_legs(unit: Unit, case_id: UUID) -> tuple[Leg, ...]:
    """All legs of a case, of earlier epochs too, by number."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT l.number, l.version, l.clock_epoch, l.department_code AS department, d.name_zh AS department_zh,"
            " d.name_en AS department_en, l.task, l.state, l.limit_value, l.limit_unit, l.started_at, l.due_at,"
            " l.due_provisional, coalesce(l.owner_ladder, '[]') AS ladder, l.owner_post_id, l.acknowledged_at,"
            " l.handled_at, coalesce(l.handled_by, '') AS handled_by, l.is_on_time, l.result, l.evidence, l.signed_at,"
            " coalesce(l.signed_by, '') AS signed_by, l.return_count, l.rework_count"
            " FROM dispatch.case_leg AS l JOIN dispatch.department AS d ON d.code = l.department_code"
            " WHERE l.case_id = %s ORDER BY l.number",
            (case_id,),
        )
        return tuple(
            Leg(
                **{
                    **row,
                    "state": LegState(row["state"]),
                    "ladder": parse_ladder(row["ladder"]),
                    "evidence": tuple(row["evidence"]),
                }
            )
            for row in await cursor.fetchall()
        )


async def lock_leg(unit: WriteUnit, case_id: UUID, number: int) -> dict[str, Any] | None:
    """The row of a leg, locked."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM dispatch.case_leg WHERE case_id = %s AND number = %s FOR UPDATE", (case_id, number)
        )
        return await cursor.fetchone()


async def lock_open_legs(unit: WriteUnit, case_id: UUID) -> list[dict[str, Any]]:
    """The rows of the legs that have not ended, locked, by number."""
    driver = await unit.driver()
    async with driver.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT * FROM dispatch.case_leg WHERE case_id = %s AND state NOT IN ({_ENDED})"  # noqa: S608 - constants
            " ORDER BY number FOR UPDATE",
            (case_id,),
        )
        return await cursor.fetchall()


async def add_leg(unit: WriteUnit, **row: Any) -> int:
    """Write a new leg with the next number of its case; fields as in ``CaseLegRow``."""
    driver = await unit.driver()
    query = sql.SQL(
        "INSERT INTO dispatch.case_leg (number, {}) SELECT coalesce(max(number), 0) + 1, {}"
        " FROM dispatch.case_leg WHERE case_id = %(case_id)s RETURNING number"
    ).format(
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
    )
    found = await (await driver.execute(query, row)).fetchone()
    assert found is not None
    return int(found[0])


async def update_leg(unit: WriteUnit, case_id: UUID, number: int, changes: dict[str, Any]) -> None:
    """Write columns of a locked leg; its version goes up."""
    driver = await unit.driver()
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in changes
    )
    query = sql.SQL(
        "UPDATE dispatch.case_leg SET {}, version = version + 1 WHERE case_id = %(the_case)s AND number = %(the_leg)s"
    ).format(assignments)
    await driver.execute(query, {**changes, "the_case": case_id, "the_leg": number})


async def add_deadline_change(unit: WriteUnit, **row: Any) -> None:
    """Keep that a deadline moved; fields as in ``DeadlineChangeRow``."""
    driver = await unit.driver()
    query = sql.SQL("INSERT INTO dispatch.deadline_change ({}) VALUES ({})").format(
        sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Placeholder, row))
    )
    await driver.execute(query, row)


async def add_phases(unit: WriteUnit, rows: Iterable[tuple[UUID, int, PhaseClock]]) -> None:
    """Write the phases of clocks that begin: case, clock epoch, phase."""
    driver = await unit.driver()
    async with driver.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO dispatch.case_phase (case_id, clock_epoch, number, name_zh, name_en, limit_value, limit_unit,"
            " due_at, due_provisional) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    case_id,
                    epoch,
                    clock.phase.number,
                    clock.phase.name_zh,
                    clock.phase.name_en,
                    clock.phase.limit.value,
                    clock.phase.limit.unit.value,
                    clock.due_at,
                    clock.is_provisional,
                )
                for case_id, epoch, clock in rows
            ],
        )


async def list_departments(unit: Unit) -> tuple[str, ...]:
    """Codes of the departments in use."""
    driver = await unit.driver()
    rows = await (await driver.execute("SELECT code FROM dispatch.department WHERE is_active ORDER BY code")).fetchall()
    return tuple(row[0] for row in rows)
