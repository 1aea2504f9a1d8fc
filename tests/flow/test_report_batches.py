"""A batch and single reports are one path: equal rows, equal answers, whatever is in it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.routes import report_batches
from dispatch.collecting import CollectingWriter
from dispatch.intake import PreparedReport
from geo.coordinates import CoordSys
from geo.errors import UnavailableError
from geo.storage.uow import write_unit
from tests.builders import CORNER, INSIDE, OUTSIDE, report, send_on_leave
from tests.flow.conftest import Client
from tests.flow.test_report_doors import PLACES

_ROWS = """
SELECT to_jsonb(c) - ARRAY['id', 'ref', 'channel_code', 'request_digest', 'next_rung_at']
         || jsonb_build_object('is_armed', c.next_rung_at IS NOT NULL),
       (SELECT jsonb_agg(to_jsonb(e) - ARRAY['id', 'case_id', 'recorded_at', 'txid', 'actor_id'] ORDER BY e.seq)
          FROM dispatch.case_event AS e WHERE e.case_id = c.id),
       (SELECT count(*) FROM dispatch.case_event AS e JOIN dispatch.outbox AS o ON o.event_id = e.id
         WHERE e.case_id = c.id)
  FROM dispatch.dispatch_case AS c WHERE c.channel_code = :channel ORDER BY c.ticket
"""


def _reports(rng: random.Random, count: int) -> list[Any]:
    """Everything a channel may send, right and wrong, in any order; every fourth ticket is there already."""
    spots = [INSIDE, CORNER, OUTSIDE, (113.63, 34.77), (113.61, 34.77), (113.6201, 34.75), (0.0, 0.0)]
    changes: list[dict[str, Any]] = [
        {"category": "P0102"},
        {"category": "P0102", "condition": 2},
        {"category": "P0102", "condition": 9},
        {"category": "none"},
        {"accuracy_m": 40.0},
        {"self_handled": True},
        {"lon": None, "lat": None, "coord_sys": None, "address": "锦绣小区3号楼"},
        {"lon": None, "lat": None, "coord_sys": None, "address": "火星基地"},
        {"lon": None, "lat": None, "coord_sys": None},
        {"reporter": {"name": "王小明", "phone": "13800138000"}},
        {"ledgers": ["unknown"]},
        {"text": "a\x00b"},
        {"lon": "113"},
        {"ticket": ""},
        {"extra": 1},
    ]
    items: list[Any] = []
    for place in range(count):
        lon, lat = rng.choice(spots)
        body = report(
            ticket=f"T-{place:03}",
            text=rng.choice(["门口有一堆垃圾", "路灯不亮 emoji \U0001f600", ""]),
            lon=lon,
            lat=lat,
            coord_sys=rng.choice([system.value for system in CoordSys]),
        )
        if rng.random() < 0.5:
            body = {name: value for name, value in (body | rng.choice(changes)).items() if value is not None}
        if items and rng.random() < 0.25:
            earlier = rng.choice(items)
            body = dict(earlier) if rng.random() < 0.5 or not isinstance(earlier, dict) else earlier | {"text": "other"}
        items.append(body)
    return [*items, "nonsense", None, [], 1.5, {}]


def _said(answer: dict[str, Any], status: int) -> tuple[Any, ...]:
    """What must be equal: all but the number of the case and, for a refusal, code and places of the faults."""
    if status in (200, 201):
        return status, {name: value for name, value in answer.items() if name not in ("case", "status_url")}
    return status, answer["code"], [(fault["code"], fault["pointer"]) for fault in answer.get("errors", [])]


async def test_a_batch_writes_what_single_reports_write(
    client: Client,
    engine: AsyncEngine,
    make_key: Callable[..., Awaitable[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(report_batches, "_CHUNK", 16)
    answer = await client.post("/v1/places:import?coord_sys=wgs84", content=PLACES.encode())
    assert answer.status_code == 200, answer.text
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO dispatch.channel (code, name_zh, name_en) VALUES ('app', '应用', 'App')")
        )
    desk = client._transport.app.state.container.desk  # type: ignore[attr-defined]
    at = datetime.now(UTC)

    async def clock(_channel: str) -> datetime:
        return at

    desk.clock = clock
    items = _reports(random.Random(20261121), 120)
    singly = []
    for item in items:
        sent = await client.post("/v1/reports", content=json.dumps(item), headers={"Content-Type": "application/json"})
        singly.append(_said(sent.json(), sent.status_code))
    app = {"Authorization": f"Bearer {await make_key('app')}"}
    sent = await client.post("/v1/reports:batch", json={"reports": items}, headers=app)
    assert sent.status_code == 200, sent.text
    results = sent.json()["results"]
    assert [one["index"] for one in results] == list(range(len(items)))
    together = [_said(one.get("receipt") or one["problem"], one["status"]) for one in results]
    assert together == singly
    assert {said[0] for said in together} == {200, 201, 422}
    async with engine.connect() as connection:
        hotline = (await connection.execute(text(_ROWS), {"channel": "hotline"})).all()
        batch = (await connection.execute(text(_ROWS), {"channel": "app"})).all()
    assert len(batch) == sum(said[0] == 201 for said in together) > 40
    assert batch == hotline
    again = (await client.post("/v1/reports:batch", json={"reports": items}, headers=app)).json()["results"]
    # What was taken is known now, word for word; what was refused is refused for the same reasons.
    assert [one["status"] for one in again] == [200 if one["status"] == 201 else one["status"] for one in results]
    assert [one.get("receipt") for one in again] == [one.get("receipt") for one in results]


async def test_the_same_tickets_in_opposite_order_at_once(client: Client, engine: AsyncEngine) -> None:
    """Neither batch waits for the other crosswise: every ticket makes one case, and nobody is told to come back."""
    items = [report(ticket=f"D-{place:03}") for place in range(300)]
    batches = [items, items[::-1], items[150:] + items[:150]]
    answers = await asyncio.gather(*(client.post("/v1/reports:batch", json={"reports": some}) for some in batches))
    assert sorted(one["status"] for answer in answers for one in answer.json()["results"]) == [200] * 600 + [201] * 300
    by_ticket: dict[str, set[str]] = {}
    for answer in answers:
        for one in answer.json()["results"]:
            by_ticket.setdefault(one["receipt"]["ticket"], set()).add(json.dumps(one["receipt"], sort_keys=True))
    assert {len(receipts) for receipts in by_ticket.values()} == {1}
    async with engine.connect() as connection:
        written = await connection.execute(
            text("SELECT count(*), count(DISTINCT ticket) FROM dispatch.dispatch_case WHERE channel_code = 'hotline'")
        )
        assert written.one() == (300, 300)


async def test_unknown_codes_of_a_batch_are_looked_up_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh look at the reference data may have to wait a second; a batch of typing errors must not wait for each."""
    monkeypatch.setattr(report_batches, "_CHUNK", 20)
    reference = client._transport.app.state.container.reference  # type: ignore[attr-defined]
    load, looks = reference._load, []

    async def counted() -> Any:
        looks.append(1)
        return await load()

    reference._load = counted
    items = [report(ticket=f"U-{place}", category=f"X{place}") for place in range(60)]
    answer = await client.post("/v1/reports:batch", json={"reports": items})
    assert {one["problem"]["errors"][0]["code"] for one in answer.json()["results"]} == {"dispatch.unknown_category"}
    # Two parts are read at the same time, and each may find the first unknown code.
    assert 1 <= len(looks) <= 3


async def test_the_head_of_a_batch_is_the_one_on_duty(client: Client, engine: AsyncEngine) -> None:
    """What reports of one cell share is not kept beyond a change of who is there."""
    before = await client.post("/v1/reports:batch", json={"reports": [report(ticket="L-1"), report(ticket="L-2")]})
    heads = [one["receipt"]["head"] for one in before.json()["results"]]
    assert heads[0] == heads[1]
    async with write_unit(engine) as written:
        await send_on_leave(written, heads[0]["name"])
    after = await client.post("/v1/reports:batch", json={"reports": [report(ticket="L-3"), report(ticket="L-1")]})
    third, first = (one["receipt"]["head"] for one in after.json()["results"])
    assert first == heads[0]
    assert third["name"] != heads[0]["name"]
    assert third["why_code"] == "primary_on_leave"


async def test_a_number_that_is_none_is_the_fault_of_its_report(client: Client) -> None:
    whole = json.dumps({"reports": [report(ticket="N-1"), report(ticket="N-2", lon=1), report(ticket="N-3", lat=2)]})
    raw = b"\xef\xbb\xbf" + whole.replace('"lon": 1,', '"lon": NaN,').replace('"lat": 2,', '"lat": 1e999,').encode()
    results = (await client.post("/v1/reports:batch", content=raw)).json()["results"]
    assert [one["status"] for one in results] == [201, 422, 422]
    faults = [[(fault["code"], fault["pointer"]) for fault in one["problem"]["errors"]] for one in results[1:]]
    assert faults == [[("request.not_finite", "/lon")], [("request.not_finite", "/lat")]]


@pytest.mark.parametrize("hostile", ["9" * 400, "[" * 300 + "]" * 300], ids=["a number like no other", "a deep nest"])
async def test_an_absurd_value_is_the_fault_of_its_report(client: Client, hostile: str) -> None:
    whole = json.dumps({"reports": [report(ticket="H-1"), report(ticket="H-2", lon=1)]})
    raw = whole.replace('"lon": 1,', f'"lon": {hostile},')
    assert hostile in raw
    answer = await client.post("/v1/reports:batch", content=raw)
    assert [one["status"] for one in answer.json()["results"]] == [201, 422]


async def test_a_rehearsal_of_equal_tickets_is_a_few_transactions(client: Client) -> None:
    """Each is looked at as if it came alone, whatever else comes with its ticket; known tickets stay known."""
    known = (await client.post("/v1/reports", json=report(ticket="known"))).json()["case"]
    items = [report(ticket="R-1", text=f"{place % 3}") for place in range(700)]
    items += [report(ticket="known"), report(ticket="known", text="other"), report(ticket="known")]
    begun = 0

    def count(_connection: object) -> None:
        nonlocal begun
        begun += 1

    event.listen(Engine, "begin", count)
    body = (await client.post("/v1/reports:batch?dry_run=true", json={"reports": items})).json()
    event.remove(Engine, "begin", count)
    assert 0 < begun < 30
    assert [one["status"] for one in body["results"]] == [200] * 701 + [422, 200]
    seen = [one["rehearsal"] for one in body["results"] if "rehearsal" in one]
    assert [one["known_case"] for one in seen] == [None] * 700 + [known] * 2
    assert {one["routing"]["ticket"] for one in seen[:700]} == {"R-1"}


async def test_a_batch_can_be_rehearsed(client: Client, engine: AsyncEngine) -> None:
    """Each shows what a single rehearsal shows; nothing is written; what is no boolean is not taken for one."""
    known = (await client.post("/v1/reports", json=report(ticket="known"))).json()["case"]
    items = [
        report(ticket="R-1"),
        report(ticket="R-1"),
        report(ticket="known"),
        report(ticket="known", text="other"),
        report(ticket="R-2", category="none"),
        report(ticket="R-3", lon=OUTSIDE[0]),
    ]
    answer = await client.post("/v1/reports:batch?dry_run=true", json={"reports": items})
    body = answer.json()
    assert (body["dry_run"], body["taken"], body["refused"]) == (True, 0, 2)
    assert [one["status"] for one in body["results"]] == [200, 200, 200, 422, 422, 200]
    assert [one["rehearsal"]["known_case"] for one in body["results"] if "rehearsal" in one] == [
        None,
        None,
        known,
        None,
    ]
    for place in (0, 5):
        single = (await client.post("/v1/reports?dry_run=true", json=items[place])).json()
        single["routing"].pop("due_at"), body["results"][place]["rehearsal"]["routing"].pop("due_at")
        assert body["results"][place]["rehearsal"] == single
    assert (await client.post("/v1/reports:batch?dry_run=maybe", json={"reports": items})).status_code == 422
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM dispatch.dispatch_case"))).scalar_one() == 1


async def test_a_batch_that_could_not_be_finished_is_finished_with_the_same_key(
    client: Client, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the database was away for is no answer to keep: the same key writes the rest, and that answer is kept."""
    monkeypatch.setattr(report_batches, "_CHUNK", 2)
    writer = client._transport.app.state.container.desk.writer  # type: ignore[attr-defined]
    write_many = CollectingWriter.write_many

    async def away_for_some(_self: CollectingWriter, reports: Sequence[PreparedReport]) -> Any:
        if any(one.ticket == "K-3" for one in reports):
            return [UnavailableError("storage.unavailable")] * len(reports)
        return await write_many(writer, reports)

    request = {"json": {"reports": [report(ticket=f"K-{place}") for place in range(6)]}}
    headers = {"Idempotency-Key": "night-1"}
    with monkeypatch.context() as patch:
        patch.setattr(CollectingWriter, "write_many", away_for_some)
        broken = await client.post("/v1/reports:batch", **request, headers=headers)
    assert broken.status_code == 200
    assert [one["status"] for one in broken.json()["results"]] == [201, 201, 503, 503, 201, 201]
    mended = await client.post("/v1/reports:batch", **request, headers=headers)
    assert "idempotency-replayed" not in mended.headers
    assert [one["status"] for one in mended.json()["results"]] == [200, 200, 201, 201, 200, 200]
    kept = await client.post("/v1/reports:batch", **request, headers=headers)
    assert kept.headers["idempotency-replayed"] == "true"
    assert kept.content == mended.content
    async with engine.connect() as connection:
        written = await connection.execute(text("SELECT count(*) FROM dispatch.dispatch_case WHERE ticket LIKE 'K-%'"))
        assert written.scalar() == 6


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ([], {"": "request.body_no_object"}),
        ({}, {"/reports": "request.missing"}),
        ({"reports": {}}, {"/reports": "request.not_a_list"}),
        ({"reports": []}, {"/reports": "batch.empty"}),
        ({"a/b": 1}, {"/reports": "request.missing", "/a~1b": "request.unknown_field"}),
    ],
)
async def test_what_is_no_batch_is_told_what_it_is(client: Client, body: object, faults: dict[str, str]) -> None:
    answer = await client.post("/v1/reports:batch", json=body)
    assert answer.status_code == 422
    assert {fault["pointer"]: fault["code"] for fault in answer.json()["errors"]} == faults
