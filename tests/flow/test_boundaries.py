"""History after a redraw: on the cells of its day, or cut anew to today's; never mixed."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.storage.grid_versions import activate, copy_cells, create_draft
from geo.storage.taking_effect import await_effect
from geo.storage.uow import read_unit, write_unit
from maps.facts.asking import Asked, Grid
from maps.facts.keeping import FactKeeper
from tests.builders import CELLS, JURISDICTION, L1, cell_records, report
from tests.flow.conftest import Client

EVER = Asked(from_on=date(2020, 1, 1), to_on=date(2035, 1, 1))
PERIOD = "from=2026-01-01&to=2034-12-30"
#: The line between west and east moves 600 m to the west, and the western half is one cell.
MOVED = 113.6135
REDRAWN = {
    L1: CELLS[L1],
    f"{L1}001": (113.60, 34.74, MOVED, 34.78),
    f"{L1}002": (MOVED, 34.74, 113.64, 34.78),
    f"{L1}001009": (113.60, 34.74, MOVED, 34.78),
    f"{L1}002007": (MOVED, 34.74, 113.64, 34.76),
    f"{L1}002008": (MOVED, 34.76, 113.64, 34.78),
}


async def _redraw(engine: AsyncEngine) -> int:
    async with write_unit(engine) as unit:
        draft = await create_draft(unit, JURISDICTION, name="redrawn", code_system="cn15", source="test")
        records = cell_records(REDRAWN)
        await copy_cells(unit, draft.id, records, count=len(records))
        version = await activate(unit, draft.id)
    # It begins when every process can know of it.
    await await_effect(engine, version.valid_from)
    return int(version.id)


async def _by_position(engine: AsyncEngine, version: int) -> dict[str, int]:
    """Count in PostGIS, by the rule that every report is located by."""
    async with read_unit(engine) as unit:
        rows = await unit.connection.execute(
            text(
                "SELECT g.path[3], count(*) FROM dispatch.dispatch_case AS c,"
                " LATERAL geo.covering_cell(:version, c.location) AS g"
                " WHERE c.state NOT IN ('voided', 'declined', 'merged') GROUP BY 1"
            ),
            {"version": version},
        )
        return {row[0]: row[1] for row in rows}


async def _report(client: Client, chance: random.Random, number: int) -> None:
    lon, lat = 113.595 + 0.05 * chance.random(), 34.735 + 0.05 * chance.random()
    body = report(ticket=f"r{number}", lon=round(lon, 7), lat=round(lat, 7))
    answer = await client.post("/v1/reports", json=body)
    assert answer.status_code == 201, answer.text


async def test_history_is_on_the_cells_of_its_day_or_of_today(
    client: Client, engine: AsyncEngine, scratch_dir: Path
) -> None:
    chance = random.Random(3)
    for number in range(40):
        await _report(client, chance, number)
    keeper = FactKeeper(engine, JURISDICTION, scratch_dir / "facts-redrawn")
    await keeper.rebuild()
    async with read_unit(engine) as unit:
        old = (await unit.connection.execute(text("SELECT max(id) FROM geo.grid_version"))).scalar_one()
    new = await _redraw(engine)
    for number in range(40, 60):
        await _report(client, chance, number)

    async def counted(version: int, *, is_recut: bool) -> tuple[dict[str, int], Any]:
        store = await keeper.current(recut_to=version if is_recut else None)
        found = store.by_cell(
            EVER, Grid(version_id=version, level=3, is_recut=is_recut), as_of=datetime(2026, 1, 1, tzinfo=UTC)
        )
        return {code: n for code, n in zip(found.codes, found.cases.tolist(), strict=True) if n}, found

    for version in (new, old):
        cells, found = await counted(version, is_recut=True)
        assert cells == await _by_position(engine, version)
        assert found.other_version == 0
        assert sum(cells.values()) + found.out_of_grid == 60
    for version, other in ((old, new), (new, old)):
        cells, found = await counted(version, is_recut=False)
        assert sum(cells.values()) == await _count(engine, version)
        assert found.other_version == await _count(engine, other)
    # What changes later is cut anew as well: new reports, moved cases, cases that count no more.
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("UPDATE dispatch.dispatch_case SET state = 'voided' WHERE ticket IN ('r1', 'r2', 'r41')")
        )
        await unit.connection.execute(
            text(
                "UPDATE dispatch.dispatch_case AS c SET location = p.at, cell_id = g.id, cell_path = g.path,"
                " located_how = 'covers' FROM (SELECT ST_SetSRID(ST_MakePoint(113.639, 34.775), 4326) AS at) AS p,"
                " geo.cell AS g WHERE c.ticket IN ('r5', 'r45') AND g.version_id = c.grid_version_id AND g.level = 3"
                " AND ST_Covers(g.boundary, p.at)"
            )
        )
        await unit.connection.execute(
            text(
                "INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)"
                " SELECT id, 1000, 'case.changed.v1', '{note}', state, now(), 'system' FROM dispatch.dispatch_case"
            )
        )
    await _report(client, chance, 60)
    for version in (new, old):
        assert (await counted(version, is_recut=True))[0] == await _by_position(engine, version)
    assert (await keeper.verify())[1] == []


async def _count(engine: AsyncEngine, version: int) -> int:
    async with read_unit(engine) as unit:
        found = await unit.connection.execute(
            text(
                "SELECT count(*) FROM dispatch.dispatch_case WHERE grid_version_id = :version AND cell_id IS NOT NULL"
            ),
            {"version": version},
        )
        return int(found.scalar_one())


async def test_rates_and_statistics_name_their_boundaries_and_never_mix(client: Client, engine: AsyncEngine) -> None:
    chance = random.Random(4)
    for number in range(30):
        await _report(client, chance, number)
    new = await _redraw(engine)
    for number in range(30, 50):
        await _report(client, chance, number)
    position = await _by_position(engine, new)
    body = (await client.get(f"/v1/rates?{PERIOD}&by=level_3&rate=solved")).json()
    assert (body["drawing"]["boundaries"], body["drawing"]["version"]) == ("now", 2)
    rows = {row["key"]: row["rates"]["solved"]["denominator"] for row in body["rows"]}
    assert {key: count for key, count in rows.items() if key} == position
    assert sum(rows.values()) == 50
    for row in body["rows"]:
        cases = (await client.get(row["rates"]["solved"]["denominator_url"] + "&limit=1000")).json()["cases"]
        assert len(cases) == row["rates"]["solved"]["denominator"]
    day = (await client.get(f"/v1/rates?{PERIOD}&by=level_3&rate=solved&boundaries=day")).json()
    rows = {row["key"]: row["rates"]["solved"]["denominator"] for row in day["rows"]}
    assert day["drawing"]["boundaries"] == "day"
    assert set(rows) - {""} <= set(REDRAWN)
    assert rows[""] >= 30
    some = f"{L1}002007"
    inside = (await client.get(f"/v1/rates?{PERIOD}&by=total&rate=solved&cell={some}")).json()
    assert inside["total"]["rates"]["solved"]["denominator"] == position[some]
    spots = (await client.get(f"/v1/hotspots?{PERIOD}&level=3")).json()
    assert spots["drawing"]["boundaries"] == "now"
    shown = {cell["code"]: cell["cases"] for cell in spots["cells"] if cell["cases"] is not None}
    assert shown
    assert all(position.get(code, 0) == cases for code, cases in shown.items())
    page = (await client.get(f"/maps/rates?{PERIOD}&by=level_3")).text
    assert "Cut anew to today" in page
    wrong = await client.get("/v1/rates?boundaries=both")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/boundaries")
