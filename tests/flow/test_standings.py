"""Chain and ladder of reports are kept once for all who share them; outside nobody sees a difference (0044)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from api import migrations
from dispatch.intake import Receipt, Report
from dispatch.placing import NOTHING_KNOWN
from dispatch.standings import Standing
from dispatch.storage import intake
from dispatch.storage.intake import write_reports
from dispatch.storage.standings import keep_standings
from geo.coordinates import CoordSys
from geo.storage.uow import write_unit
from tests.builders import INSIDE, OUTSIDE, report
from tests.flow.conftest import Client
from tests.flow.test_locate import container_of


async def _rows(engine: AsyncEngine, query: str) -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        return [dict(row) for row in (await connection.execute(text(query))).mappings()]


async def _told(client: Client, ref: str) -> list[Any]:
    """All that is told of a case and comes from its standing."""
    case = (await client.get(f"/v1/cases/{ref}")).json()
    trace = (await client.get(f"/v1/cases/{ref}/trace")).json()
    assert case["head"]
    assert trace["decisions"][0]["candidates"]
    return [case, trace]


async def test_reports_of_one_cell_share_a_standing(client: Client, engine: AsyncEngine) -> None:
    answers = [(await client.post("/v1/reports", json=report(ticket=f"T-{n}"))).json() for n in range(3)]
    lon, lat = OUTSIDE
    outside = (await client.post("/v1/reports", json=report(ticket="T-out", lon=lon, lat=lat))).json()
    assert outside["chain"] == []
    kept = await _rows(engine, "SELECT id, said FROM dispatch.standing")
    assert len(kept) == 2, "the cell's, and that of whoever lies in none"
    for row in await _rows(
        engine,
        "SELECT c.ref, c.owner_ladder, c.standing_id = e.standing_id AS is_same, e.payload, t.said"
        " FROM dispatch.dispatch_case AS c JOIN dispatch.case_event AS e ON e.case_id = c.id"
        " JOIN dispatch.standing AS t ON t.id = e.standing_id",
    ):
        assert row["is_same"]
        assert row["owner_ladder"] is None
        assert not {"chain", "ladder"} & set(row["payload"])
        answer = next(one for one in [*answers, outside] if one["case"] == row["ref"])
        assert [cell["code"] for cell in row["said"]["chain"]] == [cell["code"] for cell in answer["chain"]]
    for answer in answers:
        await _told(client, answer["case"])


async def test_memory_and_sql_mean_the_same_standing(client: Client, engine: AsyncEngine) -> None:
    """Who is placed by the one shares the row of who was placed by the other."""
    assert (await client.post("/v1/reports", json=report())).status_code == 201
    container = container_of(client)
    lon, lat = INSIDE
    said = Report(channel="hotline", ticket="T", text="x", category="E0110", x=lon, y=lat, coord_sys=CoordSys.WGS84)
    known = await container.desk.prepare(replace(said, ticket="known"))
    placement = await container.desk.live.place([known])
    assert set(placement.places) == {known.id}
    for ticket, placed in (("known", placement), ("asked", NOTHING_KNOWN)):
        prepared = known if ticket == "known" else await container.desk.prepare(replace(said, ticket=ticket))
        async with write_unit(engine) as unit:
            (receipt,) = await write_reports(unit, [prepared], placed)
        assert isinstance(receipt, Receipt)
    assert len(await _rows(engine, "SELECT DISTINCT standing_id FROM dispatch.case_event")) == 1


async def test_a_standing_is_kept_with_its_first_report_and_never_again(
    client: Client, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def count(driver: Any, standings: Any) -> None:
        new = list(standings)
        asked.append(len(new))
        await keep_standings(driver, new)

    monkeypatch.setattr(intake, "keep_standings", count)
    # What a rehearsal keeps goes away with all else that it writes, and nobody takes it for kept.
    assert (await client.post("/v1/reports?dry_run=true", json=report())).status_code == 200
    assert await _rows(engine, "SELECT id FROM dispatch.standing") == []
    for ticket in range(3):
        assert (await client.post("/v1/reports", json=report(ticket=f"T-{ticket}"))).status_code == 201
    assert asked == [1, 1]
    assert len(await _rows(engine, "SELECT id FROM dispatch.standing")) == 1


async def test_of_equal_tickets_the_first_is_taken_even_where_nobody_has_reported_yet(client: Client) -> None:
    assert (await client.post("/v1/reports", json=report(ticket="here"))).status_code == 201
    container = container_of(client)
    said = Report(channel="hotline", ticket="twice", text="x", category="E0110", coord_sys=CoordSys.WGS84)
    prepared = [
        await container.desk.prepare(replace(said, x=lon, y=lat)) for lon, lat in ((113.63, 34.77), INSIDE, OUTSIDE)
    ]
    first, second, third = await container.intake.write_many(prepared)
    assert isinstance(first, Receipt)
    assert first.chain
    assert [getattr(other, "code", None) for other in (second, third)] == ["dispatch.ticket_reused"] * 2


async def test_two_who_keep_the_same_standings_meet(client: Client, engine: AsyncEngine) -> None:
    """Each in a transaction of its own, in opposite orders."""
    made = (await client.post("/v1/reports", json=report())).json()
    assert made["head"]
    standings = [Standing.of(({"code": f"C{number}"},), ()) for number in range(200)]
    ready = asyncio.Barrier(4)

    async def keep(some: list[Standing]) -> None:
        async with write_unit(engine) as unit:
            driver = await unit.driver()
            await ready.wait()
            await keep_standings(driver, some)

    await asyncio.gather(*(keep(standings[::step]) for step in (1, -1, 1, -1)))
    assert len(await _rows(engine, "SELECT id FROM dispatch.standing")) == 201


@pytest.mark.parametrize("statement", ["UPDATE dispatch.standing SET said = '{}'", "DELETE FROM dispatch.standing"])
async def test_a_standing_stays_as_it_was(client: Client, engine: AsyncEngine, statement: str) -> None:
    assert (await client.post("/v1/reports", json=report())).status_code == 201
    with pytest.raises(IntegrityError, match="append-only"):
        async with write_unit(engine) as unit:
            await unit.connection.execute(text(statement))


async def test_the_way_back_and_forth_loses_nothing(client: Client, engine: AsyncEngine, database: str) -> None:
    """Events and cases from before the migration say the same as those after it."""
    answer = (await client.post("/v1/reports", json=report())).json()
    before = await _told(client, answer["case"])
    await asyncio.to_thread(migrations.downgrade, database, "0024")
    (row,) = await _rows(
        engine,
        "SELECT c.owner_ladder, e.payload FROM dispatch.dispatch_case AS c"
        " JOIN dispatch.case_event AS e ON e.case_id = c.id",
    )
    assert row["owner_ladder"] == row["payload"]["ladder"]
    assert [cell["code"] for cell in row["payload"]["chain"]] == [cell["code"] for cell in answer["chain"]]
    await asyncio.to_thread(migrations.upgrade, database)
    assert await _told(client, answer["case"]) == before
    again = await client.post("/v1/reports", json=report())
    assert again.json()["head"] == answer["head"]
    assert (await client.post("/v1/reports", json=report(ticket="after"))).status_code == 201
