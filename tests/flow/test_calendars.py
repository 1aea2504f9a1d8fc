"""Calendars over HTTP: edited, kept, loaded from files; provisional deadlines are counted again and on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.container import Container
from dispatch.guards import retrace
from tests.flow.conftest import Client
from tests.flow.test_workflow_moves import due, moved, new_case

YEAR = datetime.now(UTC).year + 1
TABLE = {"days": [{"date": f"{YEAR}-01-01", "kind": "holiday", "name": "new_years_day"}]}
CSV = {"Content-Type": "text/csv; charset=utf-8"}
URL = f"/v1/calendars/{YEAR}"
LEGS = [{"department": "urban"}]


async def slow(engine: AsyncEngine, client: Client) -> None:
    """Give the class of the reports a limit that reaches into the year that nobody has published."""
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE dispatch.category_condition SET limit_value = 90, limit_unit = 'working_day'"
                " WHERE category_code = 'E0110'"
            )
        )
        await connection.execute(
            text("INSERT INTO dispatch.limit_phase VALUES ('E0110', 1, 1, '先行', 'First', 60, 'working_day')")
        )
        await connection.execute(
            text("INSERT INTO dispatch.department (code, name_zh, name_en) VALUES ('urban', 'u', 'u')")
        )
    container: Container = client._transport.app.state.container  # type: ignore[attr-defined]
    container.reference.forget()


async def test_a_published_year_counts_provisional_deadlines_again_on_record(
    client: Client, engine: AsyncEngine
) -> None:
    await slow(engine, client)
    final = await new_case(client, ticket="T-9", category="P0102", condition=1)
    case = await moved(client, await new_case(client), "acknowledge", ("split_joint", {"legs": LEGS}))
    assert (case["due_provisional"], final["due_provisional"]) == (True, False)
    assert case["phases"][0]["due_provisional"]
    # Ten days off in a row, in the middle of January: whatever the season of this test, the clock runs through them.
    days = [{"date": f"{YEAR}-01-{day:02}", "kind": "holiday", "name": "长假"} for day in (1, *range(11, 21))]
    answer = await client.put(URL, json={"days": days, "note": "通知"}, headers={"If-Match": '"0"'})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["recomputed"], answer.json()["moved"], answer.headers["etag"]) == (1, 1, '"1"')
    after = (await client.get(case["status_url"])).json()
    assert timedelta(days=7) < due(after) - due(case) < timedelta(days=30)
    assert due(after["phases"][0]) > due(case["phases"][0])
    assert due(after["legs"][0]) == due(after)
    told = after["events"][-1]
    assert (told["type"], told["moves"]) == ("case.deadline_recomputed.v1", ["recompute"])
    assert retrace(event["moves"] for event in after["events"]).state == "handling"
    ledger = (await client.get(f"{case['status_url']}/deadline")).json()
    assert ledger["agrees"]
    assert {(change["part"], change["kind"]) for change in ledger["changes"]} == {
        ("case", "calendar"), ("phase", "calendar"), ("leg", "calendar"),
    }  # fmt: skip
    whole = next(change for change in ledger["changes"] if change["part"] == "case")
    assert (whole["due_before"], whole["due_after"]) == (case["due_at"], after["due_at"])
    assert {stretch["text"] for stretch in ledger["ledger"]} >= {"长假"}
    assert (await client.get(final["status_url"])).json()["due_at"] == final["due_at"]
    again = await client.put(URL, json={"days": days}, headers={"If-Match": '"1"'})
    assert again.json()["moved"] == 0
    assert (await client.get(case["status_url"])).json()["due_at"] == after["due_at"]


async def test_every_state_of_a_year_is_kept(client: Client) -> None:
    shipped = (await client.get("/v1/calendars/2024")).json()
    assert (shipped["revision"], shipped["shipped"], shipped["published"], shipped["workdays"]) == (0, True, True, 8)
    body = {"days": [{"date": "2024-01-01", "kind": "holiday"}], "note": "only one"}
    put = await client.put("/v1/calendars/2024", json=body)
    assert (put.json()["revision"], put.json()["holidays"]) == (2, 1)
    kept = (await client.get("/v1/calendars/2024/revisions")).json()["revisions"]
    assert [(one["revision"], one["source"], len(one["days"]) > 8) for one in kept] == [
        (2, "json", False),
        (1, "loaded", True),
    ]
    first = (await client.get("/v1/calendars/2024?revision=1")).json()
    assert first["days"] == shipped["days"]
    lost = await client.put("/v1/calendars/2024", json=body, headers={"If-Match": '"1"'})
    assert (lost.status_code, lost.json()["code"]) == (409, "calendar.changed")
    assert (await client.get("/v1/calendars/2024?revision=9")).status_code == 404
    listed = (await client.get("/v1/calendars")).json()
    assert [year["year"] for year in listed["years"]] == list(range(2004, 2027))


async def test_files_go_in_and_come_out(client: Client) -> None:
    ics = (
        f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{YEAR}0101\r\nSUMMARY:元旦\r\nEND:VEVENT\r\n"
        f"BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:{YEAR - 1}1227\r\nSUMMARY:元旦 补班\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    put = await client.put(URL, content=ics.encode(), headers={"Content-Type": "text/calendar"})
    assert (put.status_code, put.json()["holidays"]) == (200, 1), put.text
    before = (await client.get(f"/v1/calendars/{YEAR - 1}")).json()
    assert {"date": f"{YEAR - 1}-12-27", "kind": "workday"}.items() <= before["days"][-1].items()
    table = await client.get(URL, headers={"Accept": "text/csv"})
    assert table.text == f'date,kind,name\r\n{YEAR}-01-01,holiday,"new_years_day"\r\n'
    gb = f"日期,类型,名称\n{YEAR}-01-01,休,元旦\n{YEAR}-02-20,班,补\n".encode("gb18030")
    put = await client.put(URL, content=gb, headers=CSV)
    assert (put.status_code, put.json()["workdays"], put.json()["days"][1]["text"]) == (200, 1, "补")


@pytest.mark.parametrize(
    ("kind", "body", "status", "code", "pointer"),
    [
        ("text/csv", b"date,kind\n2027-13-01,holiday", 422, "calendar.bad_date", "/line/2"),
        ("text/csv", b"\xff\xfe\x00\xd8", 400, "calendar.not_text", "/line/1"),
        ("text/calendar", b"hello", 422, "calendar.ics_not", "/line/1"),
        ("application/json", b"{", 422, "request.not_json", ""),
        ("application/json", b'{"days": [{"date": "x", "kind": "holiday"}]}', 422, None, "/days/0/date"),
        ("application/json", b'{"days": [], "more": 1}', 422, "request.unknown_field", "/more"),
        ("application/json", b'{"days": []}', 422, "calendar.no_new_year", "/days"),
    ],
)
async def test_bad_tables_are_named(
    client: Client, kind: str, body: bytes, status: int, code: str | None, pointer: str
) -> None:
    answer = await client.put(URL, content=body, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    error = answer.json()["errors"][0]
    assert error["pointer"] == pointer
    assert code is None or error["code"] == code
    assert (await client.get(URL)).json()["revision"] == 0


async def test_hours_with_another_lunch(client: Client) -> None:
    asked = {"category": "P0102", "condition": 2, "dispatched_at": f"{YEAR - 1}-11-20T08:00:00+08:00"}
    first = (await client.get("/v1/calendars/hours")).json()
    assert first == {
        "revision": 0,
        "hours": [{"starts": "08:00", "ends": "12:00"}, {"starts": "14:00", "ends": "18:00"}],
    }
    hours = [{"starts": "09:00", "ends": "11:00"}, {"starts": "15:00", "ends": "00:00"}]
    put = await client.put("/v1/calendars/hours", json={"hours": hours}, headers={"If-Match": '"0"'})
    assert (put.status_code, put.json()["revision"]) == (200, 1)
    body = (await client.post("/v1/deadlines:preview", json=asked)).json()
    assert {stretch["kind"] for stretch in body["ledger"]} >= {"counted"}
    assert body["counted_s"] == 4 * 3600
    for bad in ([{"starts": "12:00", "ends": "08:00"}], [*hours, *hours]):
        answer = await client.put("/v1/calendars/hours", json={"hours": bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "calendar.bad_hours")


async def test_phases_in_the_preview_and_reported_one_by_one(client: Client, engine: AsyncEngine) -> None:
    await slow(engine, client)
    preview: dict[str, Any] = (await client.post("/v1/deadlines:preview", json={"category": "E0110"})).json()
    assert [phase["name"] for phase in preview["phases"]] == ["First"]
    assert preview["phases"][0]["counted_s"] == 60 * 8 * 3600
    case = await moved(client, await new_case(client), "acknowledge")
    assert "report_phase" in case["moves"]
    case = await moved(client, case, ("report_phase", {"result": "已停工", "phase": 1}))
    assert (case["phases"][0]["is_on_time"], "report_phase" in case["moves"]) == (True, False)
    headers = {"If-Match": f'"{case["version"]}"'}
    more = await client.post(f"{case['status_url']}/moves", json={"move": "report_phase"}, headers=headers)
    assert (more.status_code, more.json()["code"]) == (409, "dispatch.guard.phase_open")


LIMITS = "/v1/categories/E0110/conditions/1/limits"


async def test_limits_by_season_and_in_phases(client: Client) -> None:
    today = datetime.now(ZoneInfo("Asia/Shanghai"))
    season = {"name": "栽植季", "first": f"{today:%m-%d}", "last": f"{today + timedelta(days=1):%m-%d}"}
    body = {
        "limit": {"value": 20, "unit": "natural_day"},
        "seasons": [{**season, "limit": {"value": 15, "unit": "natural_day"}}],
        "phases": [{"name_zh": "责令停工", "name_en": "Stop work", "limit": {"value": 4, "unit": "urgent_hour"}}],
    }
    put = await client.put(LIMITS, json=body)
    assert put.status_code == 200, put.text
    assert (put.json()["limit_today"]["value"], put.json()["limit"]["text"]) == ("15", "20 days")
    assert (await client.get(LIMITS)).json() == put.json()
    case = await new_case(client)
    assert due(case) - datetime.fromisoformat(case["dispatched_at"]) == timedelta(days=15)
    assert [(phase["name"], phase["limit"]["value"]) for phase in case["phases"]] == [("Stop work", "4")]
    # Out of season again: the case keeps what it was given, and says so.
    await client.put(LIMITS, json={"limit": {"value": 1, "unit": "urgent_hour"}})
    ledger = (await client.get(f"{case['status_url']}/deadline")).json()
    assert (ledger["limit"]["value"], ledger["agrees"], ledger["due_at"]) == ("15", True, case["due_at"])
    assert [phase["counted_s"] for phase in ledger["phases"]] == [4 * 3600]


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"limit": {"value": 0, "unit": "natural_day"}}, 422, "/limit/value"),
        ({"limit": {"value": 1, "unit": "week"}}, 422, "/limit/unit"),
        ({"seasons": [{"first": "02-30", "last": "03-01", "limit": {"value": 1, "unit": "natural_day"}}]}, 400,
         "/seasons/0/first"),
        ({"seasons": [{"first": "01-01", "last": "03-01", "limit": {"value": 1, "unit": "natural_day"}}] * 2}, 422,
         "/seasons/1"),
        ({"phases": [{"name_zh": "x", "limit": {"value": 3, "unit": "natural_day"}}]}, 422, "/phases/0/limit"),
    ],
)  # fmt: skip
async def test_bad_limits_are_named(client: Client, change: dict[str, Any], status: int, pointer: str) -> None:
    answer = await client.put(LIMITS, json={"limit": {"value": 2, "unit": "natural_day"}, **change})
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await client.get("/v1/categories/E0110/conditions/9/limits")).status_code == 404
