"""Random lives of cases through the real moves and the real database: does the row keep what the rules promise?

The rules alone are tried on far more sequences (`tests/unit/test_workflow_sequences.py`); here every move is the one
that a request makes, with its ledgers, triggers and constraints, and after each the row is read back. Promises: no
state that the table does not know, no deadline later without an approval on record, and a history that replays to the
row. Whatever is refused must be refused by a rule, with a code, and change nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncEngine

from api.demo.load import load_demo
from api.migrations import upgrade
from bench import benchmark
from bench.profile import Profile
from bench.report import Result
from dispatch.deadlines import Limit, LimitUnit
from dispatch.guards import possible_moves, retrace
from dispatch.joint import LegMove, LegPlan, LegState, retrace_leg
from dispatch.joint_moves import LegRequest, move_leg
from dispatch.making import Actor, MoveRequest, facts_of
from dispatch.moves import move_locked
from dispatch.queries import load_reference
from dispatch.reference import Reference
from dispatch.states import CaseState
from dispatch.storage.cases import lock_case
from dispatch.workflow import Move
from geo.errors import GridwardError
from geo.storage.engine import create_engine
from geo.storage.uow import WriteUnit, read_unit, write_unit

_STEPS: Final = 25
_AT_ONCE: Final = 4
#: Cases that others are merged into; nobody moves them, or two lives would wait for each other's row.
_TARGETS: Final = 20
#: What the history alone must lead to.
_RETOLD: Final = (
    "state", "return_count", "rework_count", "extension_count", "suspend_count", "clock_epoch", "is_exempt",
    "is_supervised", "is_joint", "asked",
)  # fmt: skip
_CASES: Final = """
WITH models AS (
  SELECT row_number() OVER () AS place, count(*) OVER () AS of, c.*
    FROM (SELECT * FROM dispatch.dispatch_case
           WHERE origin = 'demo' AND owner_post_id IS NOT NULL AND located_how = 'covers'
             AND condition_number IS NOT NULL LIMIT 400) AS c),
made AS (
  INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, channel_code, ticket, category_code, condition_number,
         location, grid_version_id, cell_id, cell_path, located_how, state, reported_at)
  SELECT gen_random_uuid(), m.jurisdiction, 'S' || n, m.channel_code, 'S' || n, m.category_code, m.condition_number,
         m.location, m.grid_version_id, m.cell_id, m.cell_path, m.located_how,
         CASE WHEN n %% 10 = 0 THEN 'self_handled' ELSE 'reported' END, now()
    FROM generate_series(1, %(count)s) AS n JOIN models AS m ON m.place = 1 + n %% m.of
  RETURNING id, state, reported_at)
INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)
SELECT id, 1, 'case.reported.v1', CASE WHEN state = 'reported' THEN '{report}' ELSE '{self_handle}' END::text[], state,
       reported_at, 'system' FROM made
"""
_RECORDS: Final = """
SELECT (SELECT count(*) FROM dispatch.case_extension WHERE case_id = %(id)s)
     + (SELECT count(*) FROM dispatch.case_pause WHERE case_id = %(id)s)
     + (SELECT count(*) FROM dispatch.deadline_change WHERE case_id = %(id)s AND part = 'case')
"""
_HISTORY: Final = "SELECT moves, to_state, payload FROM dispatch.case_event WHERE case_id = %s ORDER BY seq"


@dataclass(slots=True)
class _Found:
    """What all sequences found; a violation is a sentence."""

    sequences: int = 0
    moves: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@benchmark
def workflow(profile: Profile) -> Iterator[Result]:
    """Run random sequences of moves against the database and count what breaks a promise."""
    count = 5_000 if profile.full else 150
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        begun = time.perf_counter()
        found = asyncio.run(_run(url, count, profile.seed))
        took = time.perf_counter() - begun
    made = sum(found.moves.values())
    note = f"{made:,} moves of {len(found.moves)} kinds, {sum(found.refused.values()):,} refused; {took:.0f} s in all"
    if found.violations:
        note += "; " + " | ".join(found.violations[:3])
    yield Result.none_of("workflow-violations", len(found.violations), found.sequences, note=note)


async def _run(url: str, count: int, seed: int) -> _Found:
    await asyncio.to_thread(upgrade, url)
    engine = create_engine(url, pool_size=_AT_ONCE + 1, statement_timeout_s=600, name="bench")
    found = _Found()
    try:
        await load_demo(engine, seed=seed, scale=0.02)
        async with write_unit(engine) as unit:
            driver = await unit.driver()
            await driver.execute(_CASES, {"count": count + _TARGETS})
            rows = await (await driver.execute("SELECT code FROM dispatch.department WHERE is_active")).fetchall()
        async with read_unit(engine) as reading:
            reference = await load_reference(reading)
        departments = [row[0] for row in rows]
        world = _World(engine=engine, reference=reference, departments=departments, found=found, count=count)
        turns = iter(range(1, count + 1))

        async def walk() -> None:
            for number in turns:
                await world.live(number, random.Random(f"{seed} {number}"))

        await asyncio.gather(*(walk() for _ in range(_AT_ONCE)))
    finally:
        await engine.dispose()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    engine: AsyncEngine
    reference: Reference
    departments: list[str]
    found: _Found
    count: int

    async def live(self, number: int, chance: random.Random) -> None:
        """One case's life, step by step, each in a transaction of its own."""
        self.found.sequences += 1
        at: datetime | None = None
        for _ in range(_STEPS):
            async with write_unit(self.engine) as unit:
                case = await lock_case(unit, f"S{number}")
                assert case is not None
                at = (at or case["reported_at"]) + timedelta(minutes=chance.choice((1, 7, 45, 600, 3000)))
                driver = await unit.driver()
                try:
                    # Refused halfway, what was written goes back with the savepoint.
                    async with driver.transaction():
                        await self._step(unit, case, at, chance)
                except GridwardError as error:
                    self.found.refused[error.code] += 1
                except Exception as error:
                    self.found.violations.append(f"S{number}: {type(error).__name__}: {str(error)[:200]}")
                    return

    async def _step(self, unit: WriteUnit, case: dict[str, Any], at: datetime, chance: random.Random) -> None:
        if case["suspended_until"] is not None and at >= case["suspended_until"]:
            await self._move(unit, case, Move.RESUME, Actor(kind="system", id="worker"), at, chance)
            return
        legs = await _legs(unit, case)
        if legs and case["state"] == CaseState.HANDLING and chance.random() < 0.6:
            await self._leg(unit, case, chance.choice(legs), at, chance)
            return
        line = self.reference.profile(case["jurisdiction"], case["cell_path"]).line
        possible = list(possible_moves(facts_of(case, at), line))
        # One try in eight is any move at all: what the table does not allow must be refused.
        choices = list(Move) if not possible or chance.random() < 0.125 else possible
        move = chance.choice(choices)
        actor = Actor(kind=chance.choice(("operator", "operator", "system")), id="bench")
        await self._move(unit, case, move, actor, at, chance)

    async def _move(
        self, unit: WriteUnit, case: dict[str, Any], move: Move, actor: Actor, at: datetime, chance: random.Random
    ) -> None:
        request = MoveRequest(
            ref=case["ref"],
            move=move,
            actor=actor,
            seen_version=case["version"],
            reason=chance.choice(("why", "why", "why", "")),
            result="done",
            condition=case["condition_number"],
            until=at + timedelta(days=chance.choice((1, 30, 300, 400))),
            into=f"S{self.count + chance.randrange(1, _TARGETS + 1)}" if move is Move.MERGE else None,
            legs=tuple(
                LegPlan(
                    department=code,
                    limit=chance.choice((None, Limit(value=Decimal(2), unit=LimitUnit.URGENT_HOUR))),
                )
                for code in chance.sample(self.departments, 2)
            )
            if move is Move.SPLIT_JOINT
            else (),
        )
        records = await _count(unit, case)
        await move_locked(unit, case, request, self.reference, at=at)
        await self._check(unit, case, move.value, records)

    async def _leg(
        self, unit: WriteUnit, case: dict[str, Any], leg: dict[str, Any], at: datetime, chance: random.Random
    ) -> None:
        move = chance.choice(list(LegMove))
        request = LegRequest(
            ref=case["ref"],
            number=leg["number"],
            move=move,
            actor=Actor(kind="operator", id="bench"),
            seen_version=leg["version"],
            reason="why",
            result="done",
        )
        records = await _count(unit, case)
        await move_leg(unit, request, at=at)
        await self._check(unit, case, move.value, records)

    async def _check(self, unit: WriteUnit, before: dict[str, Any], move: str, records: int) -> None:
        self.found.moves[move] += 1
        row = await lock_case(unit, before["ref"])
        assert row is not None
        said = f"{before['ref']} {before['state']} --{move}--> {row['state']}"
        driver = await unit.driver()
        async with driver.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_HISTORY, (row["id"],))
            events = await cursor.fetchall()
        told = retrace(event["moves"] for event in events)
        kept = facts_of(row, row["reported_at"])
        differing = [name for name in _RETOLD if getattr(told, name) != getattr(kept, name)]
        if differing or events[-1]["to_state"] != row["state"]:
            self.found.violations.append(f"{said}: the history tells another {', '.join(differing) or 'state'}")
        for leg in await _legs(unit, row, ended=True):
            moves = [event["moves"][0] for event in events if event["payload"].get("leg") == leg["number"]]
            told_leg = retrace_leg(LegMove(name) for name in moves if name in set(LegMove))
            if told_leg.state is not LegState(leg["state"]):
                self.found.violations.append(f"{said}: leg {leg['number']} is {leg['state']}, not {told_leg.state}")
            climbs = row["state"] == "handling" and leg["state"] in {"dispatched", "handling", "returned"}
            if climbs != (leg["next_rung_at"] is not None):
                self.found.violations.append(f"{said}: leg {leg['number']} is on the ladder and should not be, or not")
        is_same_clock = before["due_at"] is not None and before["clock_epoch"] == row["clock_epoch"]
        if is_same_clock and row["due_at"] > before["due_at"] and await _count(unit, row) <= records:
            self.found.violations.append(f"{said}: later without a record")


async def _count(unit: WriteUnit, case: dict[str, Any]) -> int:
    driver = await unit.driver()
    row = await (await driver.execute(_RECORDS, {"id": case["id"]})).fetchone()
    return int(row[0]) if row else 0


async def _legs(unit: WriteUnit, case: dict[str, Any], *, ended: bool = False) -> list[dict[str, Any]]:
    driver = await unit.driver()
    which = "" if ended else " AND state NOT IN ('signed', 'withdrawn')"
    async with driver.cursor(row_factory=dict_row) as cursor:
        query = "SELECT number, version, state, next_rung_at FROM dispatch.case_leg WHERE case_id = %s" + which
        await cursor.execute(query + " ORDER BY number", (case["id"],))
        return await cursor.fetchall()
