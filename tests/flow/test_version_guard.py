"""Redraws and changes of posts under fire: what a case carries is what was valid when it was written."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.grid_versions import activate, copy_cells, create_draft
from geo.storage.taking_effect import await_effect
from geo.storage.uow import write_unit
from tests.builders import CELLS, EAST, INSIDE, JURISDICTION, L1, WEST, cell_records, report
from tests.flow.conftest import Client
from tests.flow.test_locate import container_of

#: The same district with the line between west and east moved, so that INSIDE belongs to the east.
REDRAWN = {
    L1: CELLS[L1],
    WEST: (113.60, 34.74, 113.605, 34.78),
    EAST: (113.605, 34.74, 113.64, 34.78),
    f"{WEST}001": (113.60, 34.74, 113.605, 34.78),
    f"{EAST}001": (113.605, 34.74, 113.64, 34.78),
}


async def redraw(engine: AsyncEngine, cells: dict[str, tuple[float, float, float, float]]) -> datetime:
    """Activate a new version now, slowly; return when it had begun."""
    async with write_unit(engine) as unit:
        draft = await create_draft(unit, JURISDICTION, name="", code_system="cn15", source="")
        records = cell_records(cells)
        await copy_cells(unit, draft.id, records, count=len(records))
    async with write_unit(engine) as unit:
        version = await activate(unit, draft.id)
        await asyncio.sleep(0.2)
    await await_effect(engine, version.valid_from)
    return datetime.now(UTC)


async def test_every_case_of_a_storm_carries_the_version_valid_when_it_was_written(
    client: Client, engine: AsyncEngine
) -> None:
    """The rule: the version valid at the instant of the writing transaction, however slowly an activation commits."""
    await container_of(client).live.index.ready()
    committed: list[datetime] = []
    over = asyncio.Event()

    async def redraws() -> None:
        for cells in (REDRAWN, dict(CELLS), REDRAWN):
            await asyncio.sleep(0.4)
            committed.append(await redraw(engine, cells))
        await asyncio.sleep(0.4)
        over.set()

    async def storm(sender: int) -> int:
        sent = 0
        while not over.is_set():
            answer = await client.post("/v1/reports", json=report(ticket=f"{sender}-{sent}"))
            assert answer.status_code == 201, answer.text
            sent += 1
        return sent

    task = asyncio.create_task(redraws())
    sent = sum(await asyncio.gather(*(storm(sender) for sender in range(6))))
    await task
    async with engine.connect() as connection:
        versions = (
            await connection.execute(
                text("SELECT id, valid_from FROM geo.grid_version WHERE status = 'published' ORDER BY valid_from")
            )
        ).all()
        cases = (
            await connection.execute(
                text(
                    "SELECT c.grid_version_id, c.cell_path, g.path, e.recorded_at, t.said"
                    " FROM dispatch.dispatch_case AS c JOIN dispatch.case_event AS e ON e.case_id = c.id AND e.seq = 1"
                    " JOIN dispatch.standing AS t ON t.id = e.standing_id"
                    " JOIN geo.cell AS g ON g.id = c.cell_id AND g.version_id = c.grid_version_id"
                )
            )
        ).all()
        located = await connection.execute(
            text(
                "SELECT v.id, f.path FROM geo.grid_version AS v CROSS JOIN LATERAL"
                " geo.covering_cell(v.id, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)) AS f"
            ),
            {"lon": INSIDE[0], "lat": INSIDE[1]},
        )
        truth = {row.id: row.path for row in located}
    assert len(versions) == 4
    assert len(cases) == sent > 50
    ids = [row.id for row in versions]
    starts = [row.valid_from for row in versions]
    for case in cases:
        # Cell, path, chain and ladder are all of the one version that the case names.
        assert case.cell_path == case.path == truth[case.grid_version_id]
        assert [cell["code"] for cell in case.said["chain"]] == case.path
        assert case.said["ladder"][0]["cell_code"] == case.path[-1]
        newest_begun = max(place for place, start in enumerate(starts) if start <= case.recorded_at)
        assert ids.index(case.grid_version_id) == newest_begun
    assert committed == sorted(committed)
    assert {case.grid_version_id for case in cases} == set(ids)


async def test_heads_change_under_fire_and_nobody_who_is_away_gets_a_case(client: Client, engine: AsyncEngine) -> None:
    """Two writers of leave against a storm; the ladder on each case is the one SQL gives for its snapshot."""
    await container_of(client).live.index.ready()
    rng = random.Random(7)
    over = asyncio.Event()
    away: list[tuple[datetime, datetime]] = []

    async def desk() -> None:
        for _ in range(8):
            async with write_unit(engine) as unit:
                driver = await unit.driver()
                await driver.execute(
                    "INSERT INTO dispatch.leave (person_id, starts_at, ends_at)"
                    " SELECT id, now() - interval '1 day', now() + interval '1 day' FROM dispatch.person"
                    " WHERE name = %s",
                    (f"A-{WEST}001",),
                )
            since = datetime.now(UTC)
            await asyncio.sleep(rng.uniform(0.02, 0.12))
            until = datetime.now(UTC)
            # A transaction bears the instant at which it began, and its statement looks a little later: one that began
            # before `until` must have looked before the leave ends, or the instants compared below are not its own.
            await asyncio.sleep(0.4)
            async with write_unit(engine) as unit:
                await unit.connection.execute(text("DELETE FROM dispatch.leave"))
            away.append((since, until))
            await asyncio.sleep(rng.uniform(0.02, 0.12))
        over.set()

    async def storm(sender: int) -> None:
        sent = 0
        while not over.is_set():
            await client.post("/v1/reports", json=report(ticket=f"{sender}-{sent}"))
            sent += 1

    await asyncio.gather(desk(), *(storm(sender) for sender in range(4)))
    async with engine.connect() as connection:
        cases = (
            await connection.execute(
                text(
                    "SELECT e.recorded_at, p.name FROM dispatch.dispatch_case AS c"
                    " JOIN dispatch.case_event AS e ON e.case_id = c.id AND e.seq = 1"
                    " JOIN dispatch.person AS p ON p.id = c.owner_person_id"
                )
            )
        ).all()
    assert len(cases) > 50
    names = {name: 0 for _, name in cases}
    for recorded_at, name in cases:
        names[name] += 1
        # Begun after the leave's commit had come back and before its end was asked for: certainly away.
        if any(since < recorded_at < until for since, until in away):
            assert name == f"B-{WEST}001"
    assert set(names) == {f"A-{WEST}001", f"B-{WEST}001"}
