"""What an office decides about its own work, over HTTP: it holds for what comes next and is answered with reasons."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.builders import L1, WEST, report
from tests.flow.conftest import Client
from tests.flow.test_workflow_moves import move, moved, new_case


async def code_of(client: Client, method: str, url: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
    answer = await client.request(method, url, json=body)
    return answer.status_code, answer.json()["code"]


async def test_a_subdistrict_walks_the_full_line_from_now_on(client: Client) -> None:
    before = await new_case(client, ticket="before")
    assert before["status"] == "dispatched"
    profile = {"line": "full", "dispatches_itself": False, "accept_minutes": 20}
    answer = await client.put(f"/v1/profiles/{L1}", json=profile)
    assert answer.status_code == 200, answer.text
    (written,) = answer.json()["profiles"]
    assert (written["subdistrict"], written["line_name"], written["accept_minutes"]) == (L1, "Full line", 20)
    case = await new_case(client, ticket="after")
    reported, due = (datetime.fromisoformat(text) for text in (case["reported_at"], case["stage"]["due_at"]))
    assert (case["status"], (due - reported).total_seconds()) == ("reported", 20 * 60)
    # No step is left out on the full line, and none is hidden in another.
    refused = await move(client, case, "dispatch")
    assert (refused.status_code, refused.json()["code"]) == (409, "dispatch.illegal_transition")
    case = await moved(client, case, "accept", "send_verify", "verify_done", "file", "dispatch", "acknowledge")
    case = await moved(client, case, ("report_back", {"result": "已处理"}))
    assert (await move(client, case, "close")).json()["code"] == "dispatch.illegal_transition"
    case = await moved(client, case, "check_pass", "close")
    assert case["status"] == "closed"

    # A suspension needs the desk's word and then the leader's; on the short line one of them is enough.
    case = await new_case(client, ticket="rests")
    asked = ("request_suspend", {"reason": "等配件", "until": (reported + timedelta(days=20)).isoformat()})
    case = await moved(client, case, "accept", "file", "dispatch", "acknowledge", asked)
    refused = await move(client, case, "approve_suspend")
    assert refused.json()["code"] == "dispatch.guard.suspension_endorsed"
    case = await moved(client, case, "endorse_suspend")
    assert (case["status"], case["asked"]) == ("handling", "suspension_endorsed")
    case = await moved(client, case, "approve_suspend")
    assert (case["status"], case["asked"]) == ("suspended", None)

    assert (await client.delete(f"/v1/profiles/{L1}")).json()["profiles"] == []
    case = await new_case(client, ticket="again")
    assert case["status"] == "dispatched"
    case = await moved(client, case, "acknowledge", asked, "approve_suspend")
    assert case["events"][-1]["moves"] == ["endorse_suspend", "approve_suspend"]


async def test_profiles_answer_what_is_wrong(client: Client) -> None:
    assert await code_of(client, "PUT", f"/v1/profiles/{WEST}", {}) == (404, "office.no_subdistrict")
    assert await code_of(client, "DELETE", "/v1/profiles/all") == (404, "office.no_profile")
    answer = await client.put("/v1/profiles/all", json={"line": "long", "accept_minutes": 0, "colour": 1})
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json()["errors"]} == {"/line", "/accept_minutes", "/colour"}


async def test_a_class_has_its_own_idea_of_a_duplicate(client: Client) -> None:
    (general,) = (await client.get("/v1/repeat-rules")).json()["rules"]
    assert (general["category"], general["radius_m"]) == (None, 50)
    first = await new_case(client, ticket="one")
    second = await new_case(client, ticket="two", lon=report()["lon"] + 0.0008)  # about 70 m east
    nearby = f"/v1/cases/{second['case']}/nearby"
    assert (await client.get(nearby)).json()["duplicates"] == []
    category = second["category"]["code"]
    answer = await client.put(f"/v1/repeat-rules/{category}", json={"radius_m": 200, "site_count": 2})
    assert answer.status_code == 200, answer.text
    found = (await client.get(nearby)).json()
    assert [each["case"] for each in found["duplicates"]] == [first["case"]]
    assert found["repeats"]["is_repeat_site"]
    await client.delete(f"/v1/repeat-rules/{category}")
    assert (await client.get(nearby)).json()["duplicates"] == []
    assert await code_of(client, "DELETE", f"/v1/repeat-rules/{category}") == (404, "office.no_repeat_rule")
    assert await code_of(client, "DELETE", "/v1/repeat-rules/all") == (400, "office.repeat_rule_for_all")
    assert await code_of(client, "PUT", "/v1/repeat-rules/X1", {}) == (404, "office.no_category")


async def test_a_channel_may_count_from_the_next_day(client: Client) -> None:
    case = await new_case(client, ticket="same day")
    answer = await client.patch(f"/v1/channels/{case['channel']}", json={"start_rule": "next_day"})
    assert (answer.status_code, answer.json()["start_rule"]) == (200, "next_day")
    later = await new_case(client, ticket="next day")
    assert datetime.fromisoformat(later["due_at"]) > datetime.fromisoformat(case["due_at"])
    assert (await client.get(f"/v1/cases/{case['case']}")).json()["due_at"] == case["due_at"]
    assert await code_of(client, "PATCH", "/v1/channels/nowhere", {}) == (404, "office.no_channel")
    answer = await client.patch(f"/v1/channels/{case['channel']}", json={"start_rule": "next_year"})
    assert answer.json()["errors"][0]["pointer"] == "/start_rule"


async def test_a_campaign_becomes_a_ledger(client: Client) -> None:
    assert await code_of(client, "POST", "/v1/reports", report(ledgers=["spring_2027"])) == (422, "request.invalid")
    answer = await client.put("/v1/ledgers/spring_2027", json={"name_zh": "春季整治", "name_en": "Spring campaign"})
    assert answer.json() == {
        "code": "spring_2027",
        "name": "Spring campaign",
        "name_zh": "春季整治",
        "name_en": "Spring campaign",
        "is_active": True,
    }
    case = await new_case(client, ticket="spring", ledgers=["spring_2027"])
    assert case["ledger_names"] == ["Spring campaign"]
    await client.put("/v1/ledgers/spring_2027", json={"name_zh": "春季整治", "is_active": False})
    assert await code_of(client, "POST", "/v1/reports", report(ticket="x", ledgers=["spring_2027"])) == (
        422,
        "request.invalid",
    )
    assert (await client.put("/v1/ledgers/Spring", json={"name_zh": "x"})).status_code == 422
    kinds = (await client.get("/v1/categories")).json()["categories"]
    assert next(each for each in kinds if each["conditions"])["conditions"][0]["limit"]["text"]
