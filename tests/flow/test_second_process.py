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
from geo.storage.taking_effect import await_effect
from geo.storage.uow import write_unit
from tests.builders import CELLS, EAST, INSIDE, JURISDICTION, L1, WEST, District, cell_records, report
from tests.flow.conftest import ALL_SCOPES, Client
from tests.flow.second_process import second_process
from tests.flow.test_version_guard import REDRAWN

MakeKey = Callable[..., Awaitable[str]]
HERE = f"/v1/locate?lon={INSIDE[0]}&lat={INSIDE[1]}&coord_sys=wgs84"
#: A third drawing: the whole district is one cell.
UNDIVIDED = {L1: CELLS[L1]}
#: Clocks are taken as one when they differ by less (`geo.lookup.holder`).
JITTER_S = 0.05


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
            version = await activate(unit, draft.id)
        assert version.valid_from is not None
        begins = time.monotonic() + (version.valid_from - datetime.now(UTC)).total_seconds()
        seen = {}
        while (asked := time.monotonic()) < begins + 1.5:
            seen[asked] = (await answer_of(other), time.monotonic())
        # Version 1 up to the instant, then version 2, and never version 2 as it was drawn before.
        assert {found for asked, (found, _) in seen.items() if asked > begins + JITTER_S} == {(2, L1)}
        assert {found for found, answered in seen.values() if answered < begins - JITTER_S} == {(1, f"{WEST}001")}
        for number in range(5):
            assert await cell_reported(other, f"r{number}") == (2, L1)


async def test_a_storm_in_another_process_meets_no_mixture(
    district: District, engine: AsyncEngine, database: str, make_key: MakeKey
) -> None:
    """Locates and reports over HTTP while this process activates: every answer is of the version valid at its instant.

    Reading and writing alike, to the precision of two clocks: no process is late, though the other one activates "now".
    """
    truth = {1: f"{WEST}001", 2: f"{EAST}001", 3: f"{WEST}001", 4: L1, 5: f"{EAST}001"}
    begins: dict[int, float] = {1: float("-inf")}
    over = asyncio.Event()
    answers: list[tuple[str, float, float, tuple[int, str]]] = []

    async def redraws() -> None:
        drawings: list[dict[str, Any]] = [REDRAWN, dict(CELLS), UNDIVIDED, REDRAWN]
        for number, cells in enumerate(drawings, start=2):
            await both_answered(number - 1)
            async with write_unit(engine) as unit:
                draft = await create_draft(unit, JURISDICTION, name="", code_system="cn15", source="")
                records = cell_records(cells)
                await copy_cells(unit, draft.id, records, count=len(records))
            async with write_unit(engine) as unit:
                version = await activate(unit, draft.id)
                await asyncio.sleep(0.3)  # a commit may take its time
            assert version.valid_from is not None
            begins[number] = time.monotonic() + (version.valid_from - datetime.now(UTC)).total_seconds()
            await await_effect(engine, version.valid_from)
        await both_answered(len(truth))
        over.set()

    async def both_answered(number: int) -> None:
        """Until a read and a report were answered by that version, however busy the machine is."""
        async with asyncio.timeout(60):
            while {kind for kind, _, _, found in answers if found[0] == number} != {"locate", "report"}:
                await asyncio.sleep(0.05)

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
    for _, since, until, (number, code) in answers:
        assert code == truth[number], "a cell of the version that the answer names"
        assert begins[number] <= until + JITTER_S
        assert number >= max(each for each, at in begins.items() if at < since - JITTER_S)
