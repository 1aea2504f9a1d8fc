"""Duplicates, repeat sites, closed cases reported again; ledgers by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import Scope
from dispatch import repeats
from dispatch.queries import get_case
from dispatch.repeats import find_nearby, list_repeat_sites
from dispatch.storage.repeat_sites import MOST_NEAR, SITES
from dispatch.storage.repeats import NEAR_BY_ID
from geo.storage.uow import read_unit, write_unit
from tests.builders import INSIDE, JURISDICTION, report
from tests.flow.conftest import Client

LON, LAT = INSIDE
#: Metres per degree at the builders' latitude, near enough for tests that stay metres away from a boundary.
NORTH_M = 110_940.0
_AGE = """
UPDATE dispatch.dispatch_case
   SET reported_at = reported_at - make_interval(days => :days),
       closed_at = CASE WHEN :closed THEN now() - make_interval(days => :closed_days) END,
       state = CASE WHEN :closed THEN 'closed' ELSE state END
 WHERE ref = :ref
"""


async def send(client: Client, ticket: str, *, north_m: float = 0.0, **more: Any) -> str:
    answer = await client.post("/v1/reports", json=report(ticket=ticket, lat=LAT + north_m / NORTH_M, **more))
    assert answer.status_code == 201, answer.text
    ref: str = answer.json()["case"]
    return ref


async def age(engine: AsyncEngine, ref: str, days: int, *, closed_days: int | None = None) -> None:
    """Let a case have come some days ago, and perhaps be closed."""
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text(_AGE), {"ref": ref, "days": days, "closed": closed_days is not None, "closed_days": closed_days or 0}
        )


async def nearby(client: Client, ref: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/cases/{ref}/nearby")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def refs(cases: list[dict[str, Any]]) -> list[str]:
    return [each["case"] for each in cases]


async def test_open_cases_near_by_are_offered_with_distance_and_age(client: Client, engine: AsyncEngine) -> None:
    """Same or sibling class, at most 50 m and 72 h away; another class, a farther or an older case is none."""
    sibling = {"code": "E0111", "kind": "event", "parent": "E01"}
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("INSERT INTO dispatch.category (code, kind, parent, name_zh, name_en)"
                 " VALUES (:code, :kind, :parent, '积存渣土', 'Rubble')"), sibling,
        )  # fmt: skip
    near = await send(client, "near", north_m=49)
    nearer = await send(client, "nearer", north_m=-10, category="E0111")
    await send(client, "far", north_m=51.5)
    await send(client, "other", category="P0102", condition=1)
    old = await send(client, "old")
    await age(engine, old, 4)
    await age(engine, near, 2)
    found = await nearby(client, await send(client, "mine"))
    assert refs(found["duplicates"]) == [nearer, near]
    assert [round(each["distance_m"]) for each in found["duplicates"]] == [10, 49]
    assert abs(found["duplicates"][1]["age_s"] - 2 * 86_400) < 60
    assert found["duplicates"][0]["category"] == {"code": "E0111", "name": "Rubble"}
    assert refs(found["repeats"]["history"]) == [nearer, near, old]
    assert found["repeats"]["is_repeat_site"]
    assert found["repeats"]["is_one_channel"]
    assert found["rule"]["radius_m"] == 50


async def test_a_rule_of_the_class_goes_before_the_one_for_all(client: Client, engine: AsyncEngine) -> None:
    first = await send(client, "a", north_m=80)
    mine = await send(client, "b")
    assert refs((await nearby(client, mine))["duplicates"]) == []
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("INSERT INTO dispatch.repeat_rule (category_code, radius_m) VALUES ('E01', 100), ('P01', 10)")
        )
    assert refs((await nearby(client, mine))["duplicates"]) == [first]
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text(
                "INSERT INTO dispatch.repeat_rule (category_code, radius_m, with_siblings) VALUES ('E0110', 20, false)"
            )
        )
    assert (await nearby(client, mine))["rule"]["radius_m"] == 20


async def test_a_site_counts_closed_reports_of_its_days_and_tells_channels_apart(
    client: Client, engine: AsyncEngine
) -> None:
    """Closed ones count, void and merged ones do not, nor those older than 90 days."""
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("INSERT INTO dispatch.channel (code, name_zh, name_en) VALUES ('app', '随手拍', 'City app')")
        )
    for ticket, days in (("1", 100), ("2", 80), ("3", 40)):
        await age(engine, await send(client, ticket), days, closed_days=days - 1)
    void = await send(client, "4")
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("UPDATE dispatch.dispatch_case SET state = 'voided' WHERE ref = :ref"), {"ref": void}
        )
        await unit.connection.execute(text("UPDATE dispatch.dispatch_case SET channel_code = 'app' WHERE ticket = '3'"))
    mine = await send(client, "5")
    repeats = (await nearby(client, mine))["repeats"]
    assert (repeats["count"], repeats["days"], repeats["is_repeat_site"]) == (3, 90, True)
    assert repeats["channels"] == [
        {"code": "hotline", "name": "Hotline", "count": 2},
        {"code": "app", "name": "City app", "count": 1},
    ]
    assert not repeats["is_one_channel"]
    listed = (await client.get("/v1/repeats")).json()["cases"]
    assert listed == [{"case": mine, "count": 3, "is_repeat_site": True, "look_back": []}]


async def test_a_closed_case_reported_again_is_looked_back_at(client: Client, engine: AsyncEngine) -> None:
    """The old case names the new one and the new one the old; nothing is written into the old one's history."""
    old = await send(client, "1")
    await age(engine, old, 20, closed_days=10)
    before = (await client.get(f"/v1/cases/{old}")).json()["events"]
    mine = await send(client, "2")
    assert refs((await nearby(client, mine))["look_back"]) == [old]
    assert refs((await nearby(client, old))["reported_again"]) == [mine]
    assert (await client.get(f"/v1/cases/{old}")).json()["events"] == before
    assert (await client.get("/v1/repeats")).json()["cases"] == [
        {"case": mine, "count": 2, "is_repeat_site": False, "look_back": [old]}
    ]
    later = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    assert (await client.get("/v1/repeats", params={"from": later})).json()["cases"] == []
    assert (await client.get("/v1/repeats", params={"from": "today"})).status_code in {400, 422}
    await age(engine, old, 0, closed_days=31)
    assert refs((await nearby(client, mine))["look_back"]) == []


async def test_a_case_without_position_and_a_case_of_another_channel(
    client: Client, engine: AsyncEngine, make_key: Any
) -> None:
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("INSERT INTO dispatch.channel (code, name_zh, name_en) VALUES ('app', '随手拍', 'City app')")
        )
    answer = await client.post(
        "/v1/reports", json={"ticket": "n", "text": "", "category": "E0110", "address": "锦绣小区南门"}
    )
    nowhere = answer.json()["case"]
    found = await nearby(client, nowhere)
    assert (found["rule"], found["duplicates"], found["repeats"]["count"]) == (None, [], 1)
    key = await make_key("app", (Scope.REPORTS_CREATE, Scope.CASES_READ))
    own = {"Authorization": f"Bearer {key}"}
    theirs = await send(client, "2")
    mine = (await client.post("/v1/reports", json=report(ticket="3"), headers=own)).json()["case"]
    assert (await client.get(f"/v1/cases/{theirs}/nearby", headers=own)).status_code == 404
    seen = (await client.get(f"/v1/cases/{mine}/nearby", headers=own)).json()
    assert (seen["duplicates"], seen["repeats"]["count"]) == ([], 1)
    assert (await client.get("/v1/repeats", headers=own)).status_code == 403


async def test_the_index_on_the_location_answers(client: Client, engine: AsyncEngine) -> None:
    """With 20,000 cases in the city the plan for one case reads the GiST index and no whole table."""
    await send(client, "1")
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text(
                "INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, origin, channel_code, ticket,"
                " category_code, location, located_how, state, reported_at)"
                " SELECT gen_random_uuid(), c.jurisdiction, 'x' || n, 'imported', c.channel_code, 'x' || n,"
                " c.category_code, ST_SetSRID(ST_MakePoint(113.5 + random() * 0.2, 34.7 + random() * 0.1), 4326),"
                " 'out_of_grid', 'closed', :at FROM dispatch.dispatch_case AS c, generate_series(1, 20000) AS n"
            ),
            {"at": datetime.now(UTC) - timedelta(days=5)},
        )
        case_id = await unit.connection.scalar(text("SELECT id FROM dispatch.dispatch_case WHERE ticket = '1'"))
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        rows = await (await driver.execute("EXPLAIN " + NEAR_BY_ID, {"ids": [case_id]})).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "ix_dispatch_case_location" in plan, plan
    assert "Seq Scan on dispatch_case" not in plan, plan


_CROWD = """
INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, origin, channel_code, ticket, category_code, location,
                                    located_how, state, reported_at, closed_at)
SELECT gen_random_uuid(), c.jurisdiction, 'x' || n, 'imported', c.channel_code, 'x' || n,
       (ARRAY['E0110', 'P0102'])[1 + n % 2], ST_SetSRID(ST_MakePoint(113.62 + r.x * 0.008, 34.75 + r.y * 0.008), 4326),
       'out_of_grid', r.state, :at - r.days * interval '1 day',
       CASE WHEN r.state = 'closed' THEN :at - r.days * r.share * interval '1 day' END
  FROM dispatch.dispatch_case AS c, generate_series(1, 400) AS n,
       LATERAL (SELECT n AS of, random() AS x, random() AS y, random() * 200 AS days, random() AS share,
                       (ARRAY['closed', 'closed', 'reported', 'voided'])[1 + floor(random() * 4)::int] AS state) AS r
"""


async def test_the_list_of_all_places_says_what_each_case_says(
    client: Client, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By squares, and with a wide rule by the location: the same badges as case by case; and indexes answer."""
    await send(client, "1")
    async with write_unit(engine) as unit:
        await unit.connection.execute(text("SELECT setseed(0.4)"))
        await unit.connection.execute(text(_CROWD), {"at": datetime.now(UTC)})
        await unit.connection.execute(
            text("INSERT INTO dispatch.repeat_rule (category_code, radius_m) VALUES ('P01', 400)")
        )
    async with read_unit(engine) as unit:
        found_sites, left = await list_repeat_sites(unit, JURISDICTION)
        assert left is None
        listed = {one.ref: one for one in found_sites}
        # Without any patience it comes in slices, and they are the same together.
        monkeypatch.setattr(repeats, "_SLICE", 30)
        pieces, left = await list_repeat_sites(unit, JURISDICTION, patience_s=0)
        assert left is not None
        while left:
            piece, left = await list_repeat_sites(unit, JURISDICTION, before=left, patience_s=0)
            pieces += piece
        assert pieces == found_sites
        cases = await unit.connection.execute(text("SELECT ref FROM dispatch.dispatch_case WHERE state = 'reported'"))
        expected = {}
        for (ref,) in cases:
            found = await find_nearby(unit, (await get_case(unit, ref)).case)
            if found.is_repeat_site or found.look_back:
                again = sorted(found.look_back, key=lambda near: near.closed_at or near.reported_at, reverse=True)
                expected[ref] = (found.count, found.is_repeat_site, tuple(near.ref for near in again))
        assert len(expected) > 40
        assert {ref: (one.count, one.is_repeat_site, one.look_back) for ref, one in listed.items()} == expected
        driver = await unit.driver()
        ids = await unit.connection.execute(text("SELECT id FROM dispatch.dispatch_case WHERE state = 'reported'"))
        asked = {"ids": [case_id for (case_id,) in ids], "near": MOST_NEAR}
        plan = "\n".join(row[0] for row in await (await driver.execute("EXPLAIN " + SITES, asked)).fetchall())
    for index in ("square", "square_closed", "location"):
        assert f"ix_dispatch_case_{index} on" in plan, plan


async def test_ledgers_are_known_and_shown_by_name(client: Client) -> None:
    ref = await send(client, "1", ledgers=["three_illegals", "ledger_issue"])
    case = (await client.get(f"/v1/cases/{ref}")).json()
    assert case["ledgers"] == ["three_illegals", "ledger_issue"]
    assert case["ledger_names"] == ["Illegal operation, production, construction", "Ledger issues"]
    chinese = (await client.get(f"/v1/cases/{ref}", headers={"Accept-Language": "zh-CN"})).json()
    assert chinese["ledger_names"] == ["三非", "台账问题"]
    refused = await client.post("/v1/reports", json=report(ticket="2", ledgers=["ledger_issue", "no_such"]))
    fault = refused.json()["errors"][0]
    assert (refused.status_code, fault["code"], fault["pointer"]) == (422, "dispatch.unknown_ledger", "/ledgers/1")
    assert "no_such" in fault["detail"]


async def test_a_ledger_out_of_use_takes_no_reports(client: Client, engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        await unit.connection.execute(
            text("UPDATE dispatch.ledger SET is_active = false WHERE code = 'social_information'")
        )
    refused = await client.post("/v1/reports", json=report(ledgers=["social_information"]))
    assert [fault["code"] for fault in refused.json()["errors"]] == ["dispatch.unknown_ledger"]


async def test_one_insistent_caller_is_told_from_many(client: Client) -> None:
    """By a keyed hash of the contact: how many people there are is answered, who they are is not."""
    insistent = {"name": "张三丰", "phone": "138 1234 5678"}
    first = await send(client, "one", reporter=insistent)
    assert (await nearby(client, first))["repeats"]["callers"] is None
    await send(client, "two", reporter=insistent | {"phone": "+86 13812345678"})
    third = await send(client, "three", reporter=insistent | {"anonymous": True})
    found = await nearby(client, third)
    assert found["repeats"]["callers"] == {"known": 1, "unknown": 0, "is_one": True}
    assert [each["same_caller"] for each in found["repeats"]["history"]] == [True, True]
    fourth = await send(client, "four", reporter={"phone": "13900000000"})
    fifth = await send(client, "five")
    found = await nearby(client, fourth)
    assert (found["repeats"]["is_repeat_site"], found["repeats"]["callers"]) == (
        True,
        {"known": 2, "unknown": 0, "is_one": False},
    )
    found = await nearby(client, fifth)
    assert found["repeats"]["callers"] == {"known": 2, "unknown": 1, "is_one": False}
    assert {each["same_caller"] for each in found["repeats"]["history"]} == {None}
    assert "1381234" not in str(found)
