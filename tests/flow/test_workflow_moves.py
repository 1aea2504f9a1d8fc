"""The moves beyond the plain line, over HTTP and through the worker: who may, what the clock does, what is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.guards import retrace
from dispatch.moves import Actor, MoveRequest, make_move
from dispatch.queries import load_reference
from dispatch.settings import DispatchSettings
from dispatch.stages import run_stages
from dispatch.storage.statements import statement
from dispatch.worker import Worker
from dispatch.workflow import Move
from geo.errors import ConflictError
from geo.storage.uow import write_unit
from tests.builders import INSIDE, L1, report
from tests.flow.conftest import Client


async def move(client: Client, case: dict[str, Any], name: str, **body: Any) -> httpx.Response:
    headers = {"If-Match": f'"{case["version"]}"'}
    return await client.post(f"/v1/cases/{case['case']}/moves", json={"move": name, **body}, headers=headers)


async def moved(client: Client, case: dict[str, Any], *moves: str | tuple[str, dict[str, Any]]) -> dict[str, Any]:
    for step in moves:
        name, body = (step, {}) if isinstance(step, str) else step
        answer = await move(client, case, name, **body)
        assert answer.status_code == 200, answer.text
        case = answer.json()
    return case


async def new_case(client: Client, **overrides: Any) -> dict[str, Any]:
    created = (await client.post("/v1/reports", json=report(**overrides))).json()
    found: dict[str, Any] = (await client.get(created["status_url"])).json()
    return found


async def set_case(engine: AsyncEngine, assignment: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE dispatch.dispatch_case SET {assignment}"))


async def run_worker(engine: AsyncEngine) -> int:
    async with write_unit(engine) as unit:
        return await run_stages(unit, batch=50)


@pytest.fixture
async def case(client: Client) -> dict[str, Any]:
    return await new_case(client)


def due(case: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(case["due_at"])


WHY = {"reason": "等配件"}


async def test_two_extensions_each_by_the_limit_and_no_third(client: Client, case: dict[str, Any]) -> None:
    first = due(case)
    case = await moved(client, case, "acknowledge", ("request_extension", WHY))
    assert (case["asked"], due(case)) == ("extension", first)
    assert "approve_extension" in case["moves"]
    assert (await move(client, case, "request_suspend", **WHY)).json()["code"] == "dispatch.guard.nothing_asked"
    case = await moved(client, case, "approve_extension")
    assert due(case) == first + timedelta(hours=4)
    case = await moved(client, case, ("request_extension", WHY), ("refuse_extension", WHY))
    assert due(case) == first + timedelta(hours=4)
    case = await moved(client, case, ("request_extension", WHY), "approve_extension")
    assert (due(case), case["extensions"]) == (first + timedelta(hours=8), 2)
    third = await move(client, case, "request_extension", **WHY)
    assert (third.status_code, third.json()["code"]) == (409, "dispatch.guard.extensions_left")


async def test_an_extension_is_asked_for_before_the_deadline(
    client: Client, case: dict[str, Any], engine: AsyncEngine
) -> None:
    case = await moved(client, case, "acknowledge")
    await set_case(engine, "due_at = now() - interval '1 s'")
    late = await move(client, case, "request_extension", **WHY)
    assert late.json()["code"] == "dispatch.guard.before_due"


async def test_a_suspension_pauses_the_clock_and_resumes_by_itself_once(
    client: Client, case: dict[str, Any], engine: AsyncEngine
) -> None:
    first = due(case)
    until = datetime.now(UTC) + timedelta(days=10)
    case = await moved(client, case, "acknowledge", ("request_suspend", {**WHY, "until": until.isoformat()}))
    case = await moved(client, case, "approve_suspend")
    assert (case["status"], case["light"]) == ("suspended", "suspended")
    assert timedelta(0) <= due(case) - first - timedelta(days=10) + timedelta(minutes=1) <= timedelta(minutes=2)
    assert await run_worker(engine) == 0
    async with engine.begin() as connection:
        ledger = (await connection.execute(text("SELECT due_after, approved_by FROM dispatch.case_pause"))).one()
        assert (ledger.due_after, ledger.approved_by.partition(":")[0]) == (due(case), "key")
    await set_case(engine, "stage_due_at = now() - interval '1 s', suspended_until = now() - interval '1 s'")
    assert [await run_worker(engine), await run_worker(engine)] == [1, 0]
    again = (await client.get(case["status_url"])).json()
    assert (again["status"], again["due_at"], again["suspended_until"]) == ("handling", case["due_at"], None)
    assert again["events"][-1]["type"] == "case.resumed.v1"
    second = await move(client, again, "request_suspend", **WHY)
    assert second.json()["code"] == "dispatch.guard.never_suspended"


async def test_an_early_resumption_gives_the_rest_of_the_pause_back(client: Client, case: dict[str, Any]) -> None:
    first = due(case)
    until = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    case = await moved(client, case, "acknowledge", ("request_suspend", WHY), ("approve_suspend", {"until": until}))
    case = await moved(client, case, "resume")
    assert timedelta(0) <= due(case) - first < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("until", "code"),
    [(None, "until_required"), (timedelta(days=-1), "bad_until"), (timedelta(days=367), "bad_until")],
)
async def test_a_suspension_needs_a_date_within_a_year(
    client: Client, case: dict[str, Any], until: timedelta | None, code: str
) -> None:
    case = await moved(client, case, "acknowledge", ("request_suspend", WHY))
    body = {} if until is None else {"until": (datetime.now(UTC) + until).isoformat()}
    answer = await move(client, case, "approve_suspend", **body)
    assert (answer.status_code, answer.json()["code"]) == (400, f"dispatch.{code}")


async def test_nobody_acknowledges_backup_then_parents_head_and_the_clock_runs_on(
    client: Client, case: dict[str, Any], engine: AsyncEngine
) -> None:
    seen = [(case["head"]["cell"], case["head"]["rank"], case["head"]["why_code"])]
    for _ in range(3):
        await set_case(engine, "stage_due_at = now() - interval '1 s' WHERE stage_due_at IS NOT NULL")
        assert await run_worker(engine) == 1
        now = (await client.get(case["status_url"])).json()
        assert (now["status"], now["due_at"]) == ("dispatched", case["due_at"])
        assert now["stage"]["clock"] == "acknowledge"
        seen.append((now["head"]["cell"], now["head"]["rank"], now["head"]["why_code"]))
    cell, community = case["chain"][-1]["code"], case["chain"][-2]["code"]
    assert seen == [
        (cell, "A", "primary_on_duty"),
        (cell, "B", "primary_no_ack"),
        (community, "A", "passed_on"),
        (L1, "A", "passed_on"),
    ]
    await set_case(engine, "stage_due_at = now() - interval '1 s'")
    assert [await run_worker(engine), await run_worker(engine)] == [1, 0]
    top = (await client.get(case["status_url"])).json()
    assert (top["stage"], top["head"]["cell"]) == (None, L1)
    assert "Nobody above" in top["events"][-1]["text"]
    assert retrace(event["moves"] for event in top["events"]).state == "dispatched"
    assert (await moved(client, top, "acknowledge"))["stage"] is None


async def test_nobody_makes_the_systems_moves_by_hand(client: Client, case: dict[str, Any]) -> None:
    assert "no_ack" not in case["moves"]
    answer = await move(client, case, "no_ack")
    assert (answer.status_code, answer.json()["code"]) == (403, "dispatch.system_move")


async def test_the_third_return_is_settled_by_the_subdistricts_head_for_good(
    client: Client, case: dict[str, Any]
) -> None:
    first = case["due_at"]
    back = ("return", {"reason": "不属于我格"})
    case = await moved(client, case, back, "re_dispatch", back)
    assert "settle" not in case["moves"]
    assert (await move(client, case, "settle", reason="r")).json()["code"] == "dispatch.guard.third_return"
    case = await moved(client, case, "re_dispatch", back)
    assert (await move(client, case, "re_dispatch")).json()["code"] == "dispatch.guard.returns_left"
    case = await moved(client, case, ("settle", {"reason": "属地兜底"}))
    assert (case["status"], case["due_at"], case["returns"]) == ("dispatched", first, 3)
    assert (case["head"]["cell"], case["head"]["why_code"]) == (L1, "fallback_owner")
    assert (await move(client, case, *back[:1], **back[1])).json()["code"] == "dispatch.guard.returns_left"


async def test_verification_and_its_timeout(client: Client, engine: AsyncEngine) -> None:
    case = await new_case(client, category="P0102")
    case = await moved(client, case, "accept", "send_verify")
    assert (case["status"], case["stage"]["clock"]) == ("verifying", "verify")
    case = await moved(client, case, ("verify_done", {"result": "属实"}), "send_verify")
    await set_case(engine, "stage_due_at = now() - interval '1 s'")
    assert await run_worker(engine) == 1
    case = (await client.get(case["status_url"])).json()
    assert (case["status"], case["events"][-1]["type"]) == ("accepted", "case.verification_missed.v1")


async def test_merged_cases_stay_addressable_and_both_reporters_are_told(client: Client) -> None:
    parent = await new_case(client)
    child = await new_case(client, ticket="T-2", category="P0102")
    child = await moved(client, child, ("merge", {"into": parent["case"]}))
    assert (child["status"], child["follows"], child["moves"]) == ("merged", parent["case"], ["unmerge"])
    parent = (await client.get(parent["status_url"])).json()
    assert parent["followers"] == [child["case"]]
    assert [event["type"] for event in parent["events"]] == ["case.dispatched.v1", "case.followed.v1"]
    parent = await moved(client, parent, "acknowledge", "report_back", "close")
    child = (await client.get(child["status_url"])).json()
    assert child["events"][-1]["type"] == "case.followed_case_closed.v1"
    child = await moved(client, child, ("unmerge", {"reason": "两个井盖"}))
    assert (child["status"], child["follows"]) == ("reported", None)
    parent = (await client.get(parent["status_url"])).json()
    assert (parent["followers"], parent["events"][-1]["type"]) == ([], "case.unfollowed.v1")
    for one in (parent, child):
        assert retrace(event["moves"] for event in one["events"]).state == one["status"]


async def test_what_cannot_be_merged(client: Client) -> None:
    parent, child, other = [await new_case(client, ticket=f"T-{n}", category="P0102") for n in range(3)]
    for into, status, code in (
        (None, 400, "dispatch.into_required"),
        ("20260101-0000000", 400, "dispatch.into_unknown"),
        (child["case"], 409, "dispatch.cannot_follow"),
    ):
        answer = await move(client, child, "merge", **({"into": into} if into else {}))
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    await moved(client, child, ("merge", {"into": parent["case"]}))
    parent = (await client.get(parent["status_url"])).json()
    assert (await move(client, parent, "merge", into=other["case"])).json()["code"] == "dispatch.has_followers"
    assert (await move(client, other, "merge", into=child["case"])).json()["code"] == "dispatch.cannot_follow"


async def test_a_dissatisfied_caller_reopens_with_a_new_clock_and_the_old_times_stay(
    client: Client, case: dict[str, Any], engine: AsyncEngine
) -> None:
    closed = await moved(client, case, "acknowledge", "report_back", "close")
    for outcome in ("unreachable", "satisfied"):
        closed = await moved(client, closed, f"follow_up_{outcome}")
        assert (closed["status"], closed["follow_up"]) == ("closed", outcome)
    again = await moved(client, closed, ("follow_up_dissatisfied", {"reason": "又堆上了"}))
    assert (again["status"], again["clock_epoch"], again["closed_at"]) == ("reopened", 2, None)
    assert due(again) > due(closed)
    assert len((await client.get("/v1/cases?inbox=returned")).json()["cases"]) == 1
    async with engine.connect() as connection:
        kept = (await connection.execute(text("SELECT * FROM dispatch.case_epoch"))).one()
    assert (kept.clock_epoch, kept.closed_at, kept.due_at, kept.is_on_time) == (
        1,
        datetime.fromisoformat(closed["closed_at"]),
        due(closed),
        True,
    )
    again = await moved(client, again, "re_dispatch", "acknowledge", "report_back", "close")
    assert (again["status"], again["is_on_time"]) == ("closed", True)
    assert retrace(event["moves"] for event in again["events"]).clock_epoch == 2


async def test_an_appeal_is_for_late_cases_and_changes_no_fact(
    client: Client, case: dict[str, Any], engine: AsyncEngine
) -> None:
    case = await moved(client, case, "acknowledge")
    await set_case(engine, "due_at = now() - interval '1 s'")
    case = await moved(client, case, "report_back", "close")
    assert case["is_on_time"] is False
    case = await moved(client, case, ("appeal", WHY), ("refuse_appeal", WHY), ("appeal", WHY), "uphold_appeal")
    assert (case["status"], case["is_exempt"], case["is_on_time"]) == ("closed", True, False)
    assert (await move(client, case, "appeal", **WHY)).json()["code"] == "dispatch.guard.not_exempt"


async def test_an_appeal_of_a_case_that_was_on_time_is_refused(client: Client, case: dict[str, Any]) -> None:
    case = await moved(client, case, "acknowledge", "report_back", "close")
    assert (await move(client, case, "appeal", **WHY)).json()["code"] == "dispatch.guard.closed_late"


async def test_overlays_leave_state_and_clock(client: Client, case: dict[str, Any]) -> None:
    first = (case["status"], case["due_at"])
    case = await moved(client, case, "urge", ("supervise", WHY))
    assert (case["light"], (case["status"], case["due_at"])) == ("supervised", first)
    case = await moved(client, case, ("answer_supervision", WHY), ("escalate_now", WHY), ("escalate_now", WHY))
    assert (case["light"], case["supervised_until"], (case["status"], case["due_at"])) == ("green", None, first)
    assert "Head 001 A" in case["events"][-1]["text"]


async def test_whoever_took_a_return_back_does_not_make_the_next_step(
    client: Client, case: dict[str, Any], engine: AsyncEngine
) -> None:
    case = await moved(client, case, ("return", {"reason": "不属于我格"}))
    desk, head = (Actor(kind="person", id=f"0190f0c8-0000-7000-8000-00000000000{n}") for n in (1, 2))

    async def act(name: Move, actor: Actor, version: int) -> None:
        async with write_unit(engine) as unit:
            request = MoveRequest(ref=case["case"], move=name, actor=actor, seen_version=version)
            await make_move(unit, request, await load_reference(unit))

    await act(Move.RE_DISPATCH, desk, case["version"])
    with pytest.raises(ConflictError, match="not_receiver"):
        await act(Move.ACKNOWLEDGE, desk, case["version"] + 1)
    await act(Move.ACKNOWLEDGE, head, case["version"] + 1)


async def test_profiles_decide_line_and_automatic_dispatch(client: Client, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO dispatch.profile (jurisdiction, cell_code, line, dispatches_itself, accept_minutes)"
                " VALUES ('410100', '', 'short', true, 15), ('410100', :cell, 'full', false, 5)"
            ),
            {"cell": L1},
        )
    lon, lat = INSIDE
    case = await new_case(client, lon=lon, lat=lat)
    assert (case["status"], case["stage"]["clock"]) == ("reported", "accept")
    reported = datetime.fromisoformat(case["reported_at"])
    assert datetime.fromisoformat(case["stage"]["due_at"]) == reported + timedelta(minutes=5)
    assert "dispatch" not in case["moves"]


async def test_stages_at_once_fire_once(client: Client, engine: AsyncEngine) -> None:
    for number in range(20):
        await new_case(client, ticket=f"T-{number}")
    await set_case(engine, "stage_due_at = now() - interval '1 s'")
    taken = await asyncio.gather(*(run_worker(engine) for _ in range(6)))
    assert sum(taken) + await run_worker(engine) == 20
    async with engine.connect() as connection:
        count = await connection.execute(
            text("SELECT count(*) FROM dispatch.case_event WHERE type = 'case.not_acknowledged.v1'")
        )
        assert count.scalar() == 20


async def test_the_stage_clocks_read_their_index(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        rows = await raw.driver_connection.execute("EXPLAIN " + statement("stages"), {"batch": 10})
        plan = "\n".join(row[0] for row in await rows.fetchall())
    assert "ix_dispatch_case_stage" in plan


async def test_a_worker_runs_the_stage_clocks(client: Client, case: dict[str, Any], engine: AsyncEngine) -> None:
    await set_case(engine, "stage_due_at = now() - interval '1 s'")
    worker = Worker(engine=engine, settings=DispatchSettings(sweep_every_s=0.05))
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(10):
        while (await client.get(case["status_url"])).json()["version"] == 1:
            await asyncio.sleep(0.05)
        worker.stop()
        await running
    now = (await client.get(case["status_url"])).json()
    assert now["events"][-1]["type"] == "case.not_acknowledged.v1"


async def test_a_late_case_is_still_late_after_a_suspension(
    client: Client, case: dict[str, Any], engine: AsyncEngine
) -> None:
    case = await moved(client, case, "acknowledge")
    await set_case(engine, "due_at = now() - interval '1 hour'")
    late = (await client.get(case["status_url"])).json()
    until = (datetime.now(UTC) + timedelta(days=10)).isoformat()
    late = await moved(client, late, ("request_suspend", WHY), ("approve_suspend", {"until": until}), "resume")
    late = await moved(client, late, "report_back")
    assert late["is_on_time"] is False


async def test_the_condition_cannot_be_changed_by_a_later_move(client: Client) -> None:
    case = await new_case(client, category="P0102")
    case = await moved(client, case, ("dispatch", {"condition": 1}), "acknowledge", ("request_extension", WHY))
    first = due(case)
    case = await moved(client, case, ("approve_extension", {"condition": 2}))
    assert (case["condition"], due(case)) == (1, first + timedelta(hours=2))


async def test_self_handled_records_are_sampled(client: Client) -> None:
    good = await new_case(client, self_handled=True, text="已当场清理")
    assert (good["status"], good["due_at"], good["stage"], good["head"]) == ("self_handled", None, None, None)
    assert good["events"][0]["moves"] == ["self_handle"]
    good = await moved(client, good, "sample_ok")
    assert (good["status"], good["is_on_time"]) == ("closed", None)
    bad = await new_case(client, self_handled=True, ticket="T-2")
    bad = await moved(client, bad, ("sample_bad", {"reason": "照片不符"}))
    assert (bad["status"], bad["stage"]["clock"]) == ("reported", "accept")
    for case in (good, bad):
        assert retrace(event["moves"] for event in case["events"]).state == case["status"]
    repeated = await client.post("/v1/reports", json=report(ticket="T-2"))
    assert repeated.json()["code"] == "dispatch.ticket_reused"
    bad = await moved(client, bad, "dispatch", "acknowledge", "report_back", "close")
    assert bad["is_on_time"] is True


async def test_a_reopened_self_handled_record_gets_its_first_clock(client: Client) -> None:
    case = await moved(client, await new_case(client, self_handled=True), "sample_ok")
    case = await moved(client, case, ("follow_up_dissatisfied", {"reason": "没清"}), "re_dispatch", "acknowledge")
    assert case["due_at"] is not None
    assert case["dispatched_at"] is not None
    assert (await client.get(f"{case['status_url']}/deadline")).json()["agrees"] is True
