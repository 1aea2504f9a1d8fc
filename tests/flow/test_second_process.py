"""Redraws seen by another process: no answer from a drawing that is not the one it names, no report in a stale cell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.grid_versions import activate, copy_cells, create_draft, withdraw
from geo.storage.uow import write_unit
from tests.builders import CELLS, EAST, INSIDE, JURISDICTION, L1, WEST, District, cell_records, report
from tests.flow.conftest import ALL_SCOPES, Client
from tests.flow.second_process import second_process
from tests.flow.test_version_guard import REDRAWN

MakeKey = Callable[..., Awaitable[str]]
HERE = f"/v1/locate?lon={INSIDE[0]}&lat={INSIDE[1]}&coord_sys=wgs84"
#: A third drawing: the whole district is one cell.
UNDIVIDED = {L1: CELLS[L1]}
#: How long an answer from memory may be behind when every notification is lost (`geo.lookup.holder.LiveIndex`).
PATIENCE_S = 1.0


async def answer_of(client: Client) -> tuple[int, str]:
    """Number of the version that answers for INSIDE, and the deepest cell it gives."""
    answer = await client.get(HERE)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["grid_version"]["number"], body["chain"][-1]["code"]


async def cell_reported(client: Client, ticket: str) -> tuple[int, str]:
    """The same of a report."""
    answer = await client.post("/v1/reports", json=report(ticket=ticket))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    return body["located"]["grid_version"]["number"], body["chain"][-1]["code"]


async def test_a_version_that_was_withdrawn_and_redrawn_is_not_the_one_loaded_ahead(
    district: District, engine: AsyncEngine, database: str, make_key: MakeKey
) -> None:
    async with second_process(database, await make_key(scopes=ALL_SCOPES)) as other:
        assert await answer_of(other) == (1, f"{WEST}001")
        async with write_unit(engine) as unit:
            draft = await create_draft(unit, JURISDICTION, name="", code_system="cn15", source="")
            records = cell_records(REDRAWN)
            await copy_cells(unit, draft.id, records, count=len(records))
        async with write_unit(engine) as unit:
            await activate(unit, draft.id, at=datetime.now(UTC) + timedelta(minutes=5))
        await asyncio.sleep(1.0)  # the other process loads what begins within ten minutes
        async with write_unit(engine) as unit:
            await withdraw(unit, JURISDICTION, draft.number)
            await unit.connection.execute(text("DELETE FROM geo.cell WHERE version_id = :id"), {"id": draft.id})
            await copy_cells(unit, draft.id, cell_records(UNDIVIDED), count=1)
            await activate(unit, draft.id)
        begun = time.monotonic()
        # The statement that writes compares id and revision: no report is late, from the first on.
        for number in range(5):
            assert await cell_reported(other, f"r{number}") == (2, L1)
        seen = set()
        while time.monotonic() - begun < PATIENCE_S + 0.3:
            seen.add(await answer_of(other))
        assert seen <= {(1, f"{WEST}001"), (2, L1)}, "never version 2 as it was drawn before"
        assert await answer_of(other) == (2, L1)


async def test_a_storm_in_another_process_meets_no_mixture(
    district: District, engine: AsyncEngine, database: str, make_key: MakeKey
) -> None:
    """Locates and reports over HTTP while this process activates; each answer is of one version, and of a valid one."""
    truth = {1: f"{WEST}001", 2: f"{EAST}001", 3: f"{WEST}001", 4: L1, 5: f"{EAST}001"}
    committed: dict[int, float] = {1: float("-inf")}
    begun: dict[int, float] = {1: float("-inf")}
    over = asyncio.Event()
    answers: list[tuple[str, float, float, tuple[int, str]]] = []

    async def redraws() -> None:
        drawings: list[dict[str, Any]] = [REDRAWN, dict(CELLS), UNDIVIDED, REDRAWN]
        for number, cells in enumerate(drawings, start=2):
            await asyncio.sleep(0.6)
            async with write_unit(engine) as unit:
                draft = await create_draft(unit, JURISDICTION, name="", code_system="cn15", source="")
                records = cell_records(cells)
                await copy_cells(unit, draft.id, records, count=len(records))
            begun[number] = time.monotonic()
            async with write_unit(engine) as unit:
                await activate(unit, draft.id)
            committed[number] = time.monotonic()
        await asyncio.sleep(0.6)
        over.set()

    async def storm(kind: str, sender: int, ask: Callable[[str], Awaitable[tuple[int, str]]]) -> None:
        sent = 0
        while not over.is_set():
            since = time.monotonic()
            found = await ask(f"{sender}-{sent}")
            answers.append((kind, since, time.monotonic(), found))
            sent += 1

    async with second_process(database, await make_key(scopes=ALL_SCOPES)) as other, asyncio.TaskGroup() as group:
        group.create_task(redraws())
        for sender in range(3):
            group.create_task(storm("locate", sender, lambda _: answer_of(other)))
            group.create_task(storm("report", sender, lambda ticket: cell_reported(other, ticket)))
    assert {found[0] for kind, _, _, found in answers if kind == "locate"} == set(truth)
    assert {found[0] for kind, _, _, found in answers if kind == "report"} == set(truth)
    for kind, since, until, (number, code) in answers:
        assert code == truth[number], "a cell of the version that the answer names"
        assert begun[number] <= until
        # A report is guarded by the statement that writes it; a question from memory may be as late as its patience.
        grace = 0.0 if kind == "report" else PATIENCE_S
        assert number >= max(done for done, at in committed.items() if at < since - grace)
