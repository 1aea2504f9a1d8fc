"""The ladder under a running service: fires, stops, begins anew, is edited, shows what it cannot do."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from docx import Document
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.auditor import LEFT, UNARMED, Auditor
from dispatch.ladder_sweep import sweep
from dispatch.queries import load_reference
from dispatch.reference import Reference
from dispatch.settings import DispatchSettings
from dispatch.storage.statements import statement
from geo.storage.uow import read_unit, write_unit
from tests.builders import L1, WEST, person_id, report
from tests.flow.conftest import Client

GRAVE = [
    {"code": "grave", "basis": "at_once", "target": "leader"},
    {"code": "due", "basis": "after_due", "target": "parent_head"},
]


async def run_sweep(engine: AsyncEngine, most: int = 8) -> int:
    async with write_unit(engine) as unit:
        return await sweep(unit, batch=50, most_attempts=most)


async def execute(engine: AsyncEngine, query: str, **values: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(query), values)


async def fetch(engine: AsyncEngine, query: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query))]


async def rungs(engine: AsyncEngine) -> list[tuple[str, int]]:
    found = await fetch(engine, "SELECT rung, clock_epoch FROM dispatch.escalation ORDER BY fired_at, planned_at")
    return [(rung, epoch) for rung, epoch in found]


async def move(client: Client, case: dict[str, Any], name: str, **body: Any) -> dict[str, Any]:
    now = (await client.get(f"/v1/cases/{case['case']}")).json()
    headers = {"If-Match": f'"{now["version"]}"'}
    answer = await client.post(f"/v1/cases/{case['case']}/moves", json={"move": name, **body}, headers=headers)
    assert answer.status_code == 200, answer.text
    moved: dict[str, Any] = answer.json()
    return moved


async def shift(engine: AsyncEngine, hours: float) -> None:
    """Let time pass: everything the clock of the case knows lies so much further back."""
    await execute(
        engine,
        "UPDATE dispatch.dispatch_case SET dispatched_at = dispatched_at - :by, due_at = due_at - :by,"
        " ladder_from = ladder_from - :by, clock_started_at = clock_started_at - :by, next_rung_at = now()",
        by=timedelta(hours=hours),
    )
    await execute(engine, "UPDATE dispatch.ladder SET effective_from = effective_from - :by", by=timedelta(hours=hours))


async def test_rungs_fire_one_after_the_other_each_at_its_instant(client: Client, engine: AsyncEngine) -> None:
    await client.post("/v1/reports", json=report())
    fired = []
    for hours in (0.0, 2.1, 1.2, 1.0, 0.0):
        await shift(engine, hours)
        await run_sweep(engine)
        fired.append([rung for rung, _ in await rungs(engine)])
    assert fired == [[], ["half"], ["half", "four_fifths"], ["half", "four_fifths", "due"], fired[3]]
    told = dict(await fetch(engine, "SELECT rung, person_id FROM dispatch.escalation"))  # type: ignore[arg-type]
    assert told == {
        "half": person_id(f"A-{WEST}001"), "four_fifths": person_id(f"A-{WEST}001"), "due": person_id(f"A-{WEST}"),
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["report_back", "close"])
async def test_handling_and_closing_stop_the_ladder_at_once(client: Client, engine: AsyncEngine, ending: str) -> None:
    case = (await client.post("/v1/reports", json=report())).json()
    await move(client, case, "acknowledge")
    await move(client, case, "report_back")
    if ending == "close":
        await move(client, case, "close")
    assert await fetch(engine, "SELECT next_rung_at FROM dispatch.dispatch_case") == [(None,)]
    await execute(engine, "UPDATE dispatch.dispatch_case SET due_at = now() - interval '9 days'")
    assert await run_sweep(engine) == 0
    assert await rungs(engine) == []


async def test_a_rung_that_ends_with_the_acknowledgement_does_not_fire_after_it(
    client: Client, engine: AsyncEngine
) -> None:
    seen = {"code": "seen", "basis": "share", "share": 0.25, "target": "parent_head", "ends_with": "acknowledged"}
    due = {"code": "due", "basis": "after_due", "target": "parent_head"}
    assert (await client.post("/v1/ladders", json={"rungs": [seen, due]})).status_code == 201
    for ticket in ("T-1", "T-2"):
        case = (await client.post("/v1/reports", json=report(ticket=ticket))).json()
    await move(client, case, "acknowledge")
    await shift(engine, 5)
    await run_sweep(engine)
    found = await fetch(
        engine,
        "SELECT c.ticket, e.rung FROM dispatch.escalation AS e JOIN dispatch.dispatch_case AS c ON c.id = e.case_id"
        " ORDER BY 1, 2",
    )
    assert found == [("T-1", "due"), ("T-1", "seen"), ("T-2", "due")]


async def test_an_extension_begins_an_epoch_and_its_reminders_come_again(client: Client, engine: AsyncEngine) -> None:
    case = (await client.post("/v1/reports", json=report())).json()
    await move(client, case, "acknowledge")
    await shift(engine, 3.5)
    await run_sweep(engine)
    await move(client, case, "request_extension", reason="parts")
    await move(client, case, "approve_extension")
    await run_sweep(engine)
    assert await rungs(engine) == [("half", 1), ("four_fifths", 1)]
    await shift(engine, 3.0)
    await run_sweep(engine)
    assert await rungs(engine) == [("half", 1), ("four_fifths", 1), ("half", 2), ("four_fifths", 2)]


async def test_a_suspension_stops_and_its_end_goes_on_without_repeating(client: Client, engine: AsyncEngine) -> None:
    case = (await client.post("/v1/reports", json=report())).json()
    await move(client, case, "acknowledge")
    await shift(engine, 2.1)
    await run_sweep(engine)
    until = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    await move(client, case, "request_suspend", reason="roadworks", until=until)
    await move(client, case, "approve_suspend")
    assert await fetch(engine, "SELECT next_rung_at FROM dispatch.dispatch_case") == [(None,)]
    await move(client, case, "resume")
    await run_sweep(engine)
    assert await rungs(engine) == [("half", 1)]
    [(epoch, armed)] = await fetch(engine, "SELECT ladder_epoch, next_rung_at > now() FROM dispatch.dispatch_case")
    assert (epoch, armed) == (2, True)


async def test_a_grave_case_is_told_at_the_top_at_once_and_an_empty_place_is_on_record(
    client: Client, engine: AsyncEngine
) -> None:
    made = await client.post("/v1/ladders", json={"category": "E01", "rungs": GRAVE, "note": "campaign"})
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/v1/ladders/{made.json()['id']}"
    await execute(
        engine,
        "INSERT INTO dispatch.post (jurisdiction, kind, cell_code, title_zh, title_en, valid_from)"
        " VALUES ('410100', 'leader', :cell, '街道主任', 'Director', now() - interval '1 day')",
        cell=L1,
    )
    case = (await client.post("/v1/reports", json=report())).json()
    await run_sweep(engine)
    [(rung, person, empty)] = await fetch(engine, "SELECT rung, person_id, empty FROM dispatch.escalation")
    assert (rung, person, empty) == ("grave", person_id(f"A-{L1}"), [f"leader:{L1}"])
    shown = (await client.get(case["status_url"])).json()["events"][-1]["text"]
    assert "nobody is there: the leader of Cell 001" in shown


async def test_a_working_day_late_tells_the_department_of_the_case(client: Client, engine: AsyncEngine) -> None:
    await execute(
        engine, "INSERT INTO dispatch.department (code, name_zh, name_en) VALUES ('clean', '环卫', 'Cleaning')"
    )
    await execute(
        engine,
        "WITH post AS (INSERT INTO dispatch.post (jurisdiction, kind, department_code, title_zh, title_en, valid_from)"
        " VALUES ('410100', 'leader', 'clean', '环卫主任', 'Head of cleaning', now() - interval '1 year') RETURNING id)"
        " INSERT INTO dispatch.appointment (post_id, person_id, valid_from)"
        " SELECT id, :person, now() - interval '1 year' FROM post",
        person=person_id(f"B-{WEST}001"),
    )
    await client.post("/v1/reports", json=report())
    await client.post("/v1/reports", json=report(ticket="T-2"))
    await execute(engine, "UPDATE dispatch.dispatch_case SET department_code = 'clean' WHERE ticket = 'T-1'")
    await shift(engine, 24 * 8)
    await run_sweep(engine)
    found = await fetch(
        engine,
        "SELECT c.ticket, e.person_id, e.empty FROM dispatch.escalation AS e"
        " JOIN dispatch.dispatch_case AS c ON c.id = e.case_id WHERE e.rung = 'due_1d' ORDER BY 1",
    )
    assert found == [
        ("T-1", person_id(f"B-{WEST}001"), []), ("T-2", person_id(f"A-{L1}"), ["department:–"]),
    ]  # fmt: skip


async def test_a_case_that_cannot_be_looked_at_holds_up_nobody_and_is_parked_with_a_retry(
    client: Client, engine: AsyncEngine
) -> None:
    for ticket in ("bad", "good"):
        await client.post("/v1/reports", json=report(ticket=ticket))
    await shift(engine, 5)
    await execute(engine, "UPDATE dispatch.dispatch_case SET due_at = '2999-01-01' WHERE ticket = 'bad'")
    for _ in range(2):
        await execute(engine, "UPDATE dispatch.dispatch_case SET next_rung_at = now() WHERE next_rung_at IS NOT NULL")
        await run_sweep(engine, most=2)
    assert [rung for rung, _ in await rungs(engine)] == ["half", "four_fifths", "due"]
    body = (await client.get("/v1/worker/parked")).json()
    [row] = body["parked"]
    assert (row["kind"], row["attempts"], body["count"]["rung"]) == ("rung", 2, 1)
    assert "deadline.bad_limit" in row["error"]
    page = (await client.get("/worker")).text
    assert row["retry_url"] in page
    await execute(engine, "UPDATE dispatch.dispatch_case SET due_at = now() - interval '1 hour' WHERE ticket = 'bad'")
    assert (await client.post(row["retry_url"])).json() == {"retried": 1}
    await run_sweep(engine, most=2)
    assert (await client.get("/v1/worker/parked")).json()["parked"] == []
    assert len(await rungs(engine)) == 6
    again = await client.post(row["retry_url"])
    assert (again.status_code, again.json()["code"]) == (404, "ladder.not_parked")
    unknown = await client.post("/v1/worker/parked/nothing/retry")
    assert (unknown.status_code, unknown.json()["code"]) == (400, "ladder.unknown_kind")


async def test_the_auditor_finds_and_mends_what_was_left(client: Client, engine: AsyncEngine) -> None:
    for ticket in ("left", "unarmed", "wrong", "well"):
        await client.post("/v1/reports", json=report(ticket=ticket))
    await run_sweep(engine)

    async def reference() -> Reference:
        async with read_unit(engine) as unit:
            return await load_reference(unit)

    auditor = Auditor(engine=engine, settings=DispatchSettings(), reference=reference)
    await auditor.run_once(asyncio.Event())
    worker = (await client.get("/v1/worker")).json()
    assert worker["is_well"] is True
    assert worker["auditor"] == {
        "left": 0, "oldest_s": 0.0, "unarmed": 0, "compared": 4, "wrong": 0, "parked": 0,
    }  # fmt: skip
    for ticket, instant in (("left", "now() - interval '1 hour'"), ("unarmed", "NULL"), ("wrong", "'2030-01-01'")):
        await execute(engine, f"UPDATE dispatch.dispatch_case SET next_rung_at = {instant} WHERE ticket = '{ticket}'")
    await auditor.run_once(asyncio.Event())
    found = (await client.get("/v1/worker")).json()
    assert found["is_well"] is False
    assert [found["auditor"][name] for name in ("left", "unarmed", "wrong")] == [1, 1, 2]
    ready = (await client.get("/readyz")).json()
    assert ready["worker"] == "left_behind"
    await run_sweep(engine)
    await auditor.run_once(asyncio.Event())
    assert (await client.get("/v1/worker")).json()["is_well"] is True
    # Silent for too long: nobody may say "all is well" any more.
    await execute(engine, "UPDATE dispatch.worker_signal SET seen_at = now() - interval '5 minutes'")
    assert (await client.get("/v1/worker")).json()["is_well"] is False
    assert (await client.get("/readyz")).json()["worker"] == "absent"
    metrics = (await client.get("/metrics")).text
    assert 'gridward_worker_age_seconds{duty="auditor"} 30' in metrics
    assert "gridward_worker_left_behind 0.0" in metrics


async def test_sweep_and_auditor_read_their_index(client: Client, engine: AsyncEngine) -> None:
    """With some thousand open cases, and no planner setting touched; a million is for `bench escalation --full`."""
    await execute(
        engine,
        "INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, channel_code, ticket, category_code, located_how,"
        " state, reported_at, dispatched_at, acknowledged_at, due_at) SELECT gen_random_uuid(), '410100', 'Q' || n,"
        " 'hotline', 'Q' || n, 'E0110', 'no_position', 'handling', now(), now(), now(), now() + n * interval '1 minute'"
        " FROM generate_series(1, 4000) AS n",
    )
    await execute(engine, "UPDATE dispatch.dispatch_case SET next_rung_at = due_at")
    plans = {}
    async with engine.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.execute("ANALYZE dispatch.dispatch_case")
        for name, query, values in (
            ("sweep", statement("sweep"), {"batch": 200}),
            ("left", LEFT, {"late_s": 60.0}),
            ("unarmed", UNARMED, {}),
            ("walk", statement("audit"), {"after": "80000000-0000-0000-0000-000000000000", "batch": 100}),
        ):
            rows = await driver.execute("EXPLAIN " + query, values)
            plans[name] = "\n".join(row[0] for row in await rows.fetchall())
    wanted = {"sweep": "rung", "left": "rung", "unarmed": "unarmed", "walk": "climbing"}
    assert {name: f"ix_dispatch_case_{index}" in plans[name] for name, index in wanted.items()} == dict.fromkeys(
        wanted, True
    ), plans
    assert not any("Seq Scan on dispatch_case" in plan for plan in plans.values())


async def test_ladders_have_versions_that_apply_to_clocks_that_begin_later(client: Client, engine: AsyncEngine) -> None:
    shipped = (await client.get("/v1/ladders")).json()["ladders"]
    assert [(row["category"], row["is_shipped"], row["status"]) for row in shipped] == [
        (None, True, "in_force"), ("E05", True, "in_force"),
    ]  # fmt: skip
    assert [rung["code"] for rung in shipped[1]["rungs"]] == [
        "grave", "half", "four_fifths", "due", "due_1d", "due_5d",
    ]  # fmt: skip
    await client.post("/v1/reports", json=report())
    one = {"rungs": [{"code": "due", "basis": "after_due", "target": "top_head"}]}
    first = (await client.post("/v1/ladders", json=one)).json()
    later = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    second = (await client.post("/v1/ladders", json={**one, "effective_from": later})).json()
    assert (first["status"], second["status"]) == ("in_force", "planned")
    await client.post("/v1/reports", json=report(ticket="T-2"))
    await shift(engine, 5)
    await execute(engine, "UPDATE dispatch.dispatch_case SET dispatched_at = now() WHERE ticket = 'T-2'")
    await run_sweep(engine)
    counts = await fetch(
        engine,
        "SELECT c.ticket, count(*) FROM dispatch.escalation AS e JOIN dispatch.dispatch_case AS c ON c.id = e.case_id"
        " GROUP BY 1 ORDER BY 1",
    )
    assert counts == [("T-1", 3), ("T-2", 1)]
    assert (await client.delete(f"/v1/ladders/{second['id']}")).status_code == 204
    refused = await client.delete(f"/v1/ladders/{first['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "ladder.in_force")
    assert (await client.get("/v1/ladders/999")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "found"),
    [
        ({"rungs": [{"code": "Now", "basis": "share", "share": 2, "target": "king"}]}, 422,
         {("/rungs/0/code", "ladder.bad_code"), ("/rungs/0/share", "ladder.bad_share"),
          ("/rungs/0/target", "ladder.not_one_of")}),
        ({"rungs": [{"code": "a", "basis": "at_once", "target": "owner"}] * 2}, 422,
         {("/rungs/1/code", "ladder.code_taken")}),
        ({"rungs": [{"code": "a", "basis": "after_due", "after_value": -1, "target": "owner"}]}, 422,
         {("/rungs/0/after_value", "ladder.bad_after")}),
        ({"rungs": [{"code": "a", "basis": "at_once", "share": 0.5, "target": "owner"}]}, 422,
         {("/rungs/0/share", "ladder.needless")}),
        ({"rungs": [{"code": f"r{n}", "basis": "at_once", "target": "owner"} for n in range(21)]}, 422,
         {("/rungs", "ladder.too_many")}),
        ({"rungs": GRAVE, "category": "X99"}, 400, {("/category", "ladder.unknown_category")}),
        ({"rungs": GRAVE, "subdistrict": WEST}, 400, {("/subdistrict", "ladder.unknown_subdistrict")}),
        ({"rungs": GRAVE, "effective_from": "2020-01-01T00:00:00Z"}, 400,
         {("/effective_from", "ladder.in_the_past")}),
        ({"rungs": [{"code": "a", "basis": "after_due", "after_value": 1e300, "target": "owner"}]}, 422,
         {("/rungs/0/after_value", "ladder.bad_after")}),
    ],
)  # fmt: skip
async def test_a_ladder_that_cannot_be_is_refused_with_every_fault(
    client: Client, body: dict[str, Any], status: int, found: set[tuple[str, str]]
) -> None:
    answer = await client.post("/v1/ladders", json=body)
    assert answer.status_code == status, answer.text
    assert {(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]} == found
    assert all(fault["detail"] for fault in answer.json()["errors"])


async def test_who_knew_what_when(client: Client, engine: AsyncEngine) -> None:
    from dispatch.notices import LogNotifier, NoticeLane, relay

    case = (await client.post("/v1/reports", json=report(text="<b>堆</b>\u0001垃圾", address="锦绣小区"))).json()
    await shift(engine, 5)
    await run_sweep(engine)
    async with write_unit(engine) as unit:
        await relay(unit, (LogNotifier(),), batch=50, most_attempts=3)
    await NoticeLane(engine=engine).run_once(asyncio.Event())
    body = (await client.get(f"/v1/cases/{case['case']}/brief")).json()
    assert [row["rung"] for row in body["ladder"]] == ["half", "four_fifths", "due"]
    assert [row["rung"] for row in body["planned"]] == ["due_1d", "due_5d"]
    people = {row["name"]: row for row in body["people"]}
    assert (people[f"A-{WEST}001"]["told"], people[f"A-{WEST}"]["told"]) == (3, 1)
    assert people[f"A-{WEST}"]["medium"] == "log"
    assert [row["state"] for event in body["timeline"] for row in event["told"]] == ["sent"] * 4
    for locale, words in (("zh", ("知情人", "逐级问责")), ("en", ("Who knew", "Ladder of escalation"))):
        page = await client.get(f"/cases/{case['case']}/brief", params={"lang": locale})
        assert page.status_code == 200
        assert all(word in page.text for word in words)
        assert "<b>堆</b>" not in page.text
    one = await client.get(f"/v1/cases/{case['case']}/brief.html")
    assert "attachment" in one.headers["content-disposition"]
    assert "<style>" in one.text
    assert "href=" not in one.text and "src=" not in one.text  # noqa: PT018 - one thought
    word = Document(io.BytesIO((await client.get(f"/v1/cases/{case['case']}/brief.docx")).content))
    assert case["case"] in word.paragraphs[0].text
    assert any("锦绣小区" in cell.text for row in word.tables[0].rows for cell in row.cells)
    assert (await client.get("/v1/cases/20260101-9999999/brief")).status_code == 404


async def test_contacts_are_kept_and_checked(client: Client) -> None:
    url = f"/v1/people/{person_id(f'A-{WEST}')}/contact"
    assert (await client.get(url)).json()["email"] is None
    body = {"email": "wang@example.org", "wecom": "wang", "locale": "en", "muted": ["sms"]}
    assert (await client.put(url, json=body)).json() | body == (await client.get(url)).json()
    for wrong in ({"email": "a@b\nBcc: c@d"}, {"email": "nobody"}, {"muted": ["pigeon"]}, {"locale": "fr"}):
        assert (await client.put(url, json=wrong)).status_code == 422
    nobody = await client.get(f"/v1/people/{person_id('nobody')}/contact")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "notice.unknown_person")
