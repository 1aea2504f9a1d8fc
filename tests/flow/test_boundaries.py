"""History after a redraw: on the cells of its day, or cut anew to today's; never mixed."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.hotspot_series import by_square
from dispatch.hotspots import MeasureFilter, measure_by_cell
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


async def _redraw(engine: AsyncEngine, cells: dict[str, tuple[float, float, float, float]] = REDRAWN) -> int:
    async with write_unit(engine) as unit:
        draft = await create_draft(unit, JURISDICTION, name="redrawn", code_system="cn15", source="test")
        records = cell_records(cells)
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


async def test_a_drawing_that_has_just_begun_has_maps_before_its_first_report(
    client: Client, engine: AsyncEngine
) -> None:
    chance = random.Random(6)
    for number in range(12):
        await _report(client, chance, number)
    assert (await client.get(f"/maps/cells?{PERIOD}")).status_code == 200
    new = await _redraw(engine)
    position = await _by_position(engine, new)
    spots = (await client.get(f"/v1/hotspots?{PERIOD}&level=3")).json()
    assert {cell["code"] for cell in spots["cells"]} == {code for code in REDRAWN if len(code) == 15}
    shown = {cell["code"]: cell["cases"] for cell in spots["cells"] if cell["cases"] is not None}
    assert all(position.get(code, 0) == cases for code, cases in shown.items())
    for kind in ("heat", "cells", "time", "compare", "places"):
        for boundaries in ("now", "day"):
            answer = await client.get(f"/maps/{kind}?{PERIOD}&boundaries={boundaries}")
            assert answer.status_code == 200, (kind, boundaries)


def _columns(*edges: float) -> dict[str, tuple[float, float, float, float]]:
    """Four columns side by side, two in each half."""
    sides = (113.60, *edges, 113.64)
    halves = {f"{L1}001": (sides[0], 34.74, sides[2], 34.78), f"{L1}002": (sides[2], 34.74, sides[4], 34.78)}
    codes = (f"{L1}001001", f"{L1}001002", f"{L1}002001", f"{L1}002002")
    return {L1: CELLS[L1]} | halves | {code: (sides[k], 34.74, sides[k + 1], 34.78) for k, code in enumerate(codes)}


async def test_where_a_redraw_changed_nothing_nobody_is_looked_for_and_every_tie_stays(
    client: Client, engine: AsyncEngine
) -> None:
    """The line between the last two of four columns moves: the first column is settled, with the cases on its rim."""
    await _redraw(engine, _columns(113.61, 113.62, 113.63))
    places = [
        (lon, lat) for lon in (113.60, 113.605, 113.61, 113.615, 113.62, 113.627, 113.63) for lat in (34.74, 34.76)
    ]
    for number, (lon, lat) in enumerate(places):
        answer = await client.post("/v1/reports", json=report(ticket=f"t{number}", lon=lon, lat=lat))
        assert answer.status_code == 201, answer.text
    new = await _redraw(engine, _columns(113.61, 113.62, 113.625))
    async with read_unit(engine) as unit:
        settled = await unit.connection.execute(
            text("SELECT c.code FROM geo.settled_cells(:new) AS s JOIN geo.cell AS c USING (id)"), {"new": new}
        )
        # Of the drawing before; the one before that had other cells altogether.
        assert [row.code for row in settled] == [f"{L1}001001"]
    position = await _by_position(engine, new)
    body = (await client.get(f"/v1/rates?{PERIOD}&by=level_3&rate=solved")).json()
    rows = {row["key"]: row["rates"]["solved"]["denominator"] for row in body["rows"]}
    assert {key: count for key, count in rows.items() if key} == position
    async with read_unit(engine) as unit:
        asked = MeasureFilter(
            jurisdiction=JURISDICTION,
            version_id=new,
            is_recut=True,
            reported_from=datetime(2026, 1, 1, tzinfo=UTC),
            reported_until=datetime(2035, 1, 1, tzinfo=UTC),
        )
        found = await measure_by_cell(unit.connection, asked, level=3, as_of=datetime(2026, 12, 1, tzinfo=UTC))
        assert {code: cell.cases for code, cell in found.items() if not code.startswith("-")} == position


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
    for address in ("/v1/rates", "/maps/cells", "/maps/cases"):
        wrong = await client.get(f"{address}?boundaries=both")
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/boundaries")


async def test_maps_are_drawn_on_the_chosen_boundaries_with_their_cases(client: Client, engine: AsyncEngine) -> None:
    chance = random.Random(5)
    for number in range(60):
        await _report(client, chance, number)
    async with read_unit(engine) as unit:
        old = (await unit.connection.execute(text("SELECT max(id) FROM geo.grid_version"))).scalar_one()
    # While only the first drawing has begun, its last day is today.
    first = await _by_position(engine, old)
    new = await _redraw(engine)
    for number in range(60, 80):
        await _report(client, chance, number)
    now = await _by_position(engine, new)
    put = {"now": now, "day": await _put_into(engine, new)}
    assert put["now"] != put["day"] != first
    for boundaries, cells in put.items():
        words = f"{PERIOD}&boundaries={boundaries}"
        for kind in ("heat", "cells"):
            sheet = (await client.get(f"/maps/{kind}/file?{words}&form=csv")).content.decode("utf-8-sig")
            lines = {line[0]: line[2] for line in csv.reader(io.StringIO(sheet)) if line and line[0] in REDRAWN}
            shown = {code: int(n) for code, n in lines.items() if n.isdigit()}
            assert any(shown.values()), (kind, boundaries)
            assert all("grid version 2" in line[-1] for line in csv.reader(io.StringIO(sheet)) if line[0] in REDRAWN)
            drawn = (await client.get(f"/maps/{kind}/file?{words}&form=geojson")).json()
            assert (drawn["drawing"]["version"], drawn["drawing"]["boundaries"]) == (2, boundaries)
            assert all(cells.get(code, 0) == n for code, n in shown.items()), (kind, boundaries)
            assert all((n == "<5") == (0 < cells.get(code, 0) < 5) for code, n in lines.items()), (kind, boundaries)
        part = f"{L1}002"
        inside = sum(n for code, n in cells.items() if code.startswith(part))
        rows = (await client.get(f"/maps/cases?{words}&area={part}")).text.count("/?case=")
        assert rows == inside, boundaries
        page = (await client.get(f"/maps/cells?{words}&area={part}&lang=en")).text
        assert f"{inside} cases" in page
        assert ("Cut anew to today" if boundaries == "now" else "On the cells of the period") in page
        # Behind somebody's own policies the database counts the same.
        asked = MeasureFilter(
            jurisdiction=JURISDICTION,
            version_id=new,
            is_recut=boundaries == "now",
            reported_from=datetime(2026, 1, 1, tzinfo=UTC),
            reported_until=datetime(2034, 12, 30, tzinfo=UTC),
        )
        async with read_unit(engine) as unit:
            found = await measure_by_cell(unit.connection, asked, level=3, as_of=datetime.now(UTC))
            squares = await by_square(unit.connection, asked, side_lon=0.001, side_lat=0.001)
            outside = await by_square(unit.connection, asked, side_lon=0.001, side_lat=0.001, outside=True)
        assert {code: cell.cases for code, cell in found.items() if not code.startswith("-")} == cells
        assert sum(cell.cases for cell in found.values()) == 80
        assert sum(square.cases for square in squares) == sum(cells.values())
        assert sum(square.cases for square in outside) == found["-out_of_grid"].cases


async def _put_into(engine: AsyncEngine, version: int) -> dict[str, int]:
    async with read_unit(engine) as unit:
        rows = await unit.connection.execute(
            text(
                "SELECT cell_path[3], count(*) FROM dispatch.dispatch_case WHERE grid_version_id = :v"
                " AND located_how = 'covers' GROUP BY 1"
            ),
            {"v": version},
        )
        return {row[0]: row[1] for row in rows}
