"""More ways to report: by address, in rehearsal, with a key that may be sent again, many at once, with photos."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.settings import Settings
from dispatch.photos import MOST_PHOTOS
from tests.builders import INSIDE, WEST, report
from tests.flow.conftest import Client
from tests.unit.test_photos import jpeg

PLACES = (
    "名称,类型,经度,纬度,半径\n"
    "锦绣小区,小区,113.61,34.75,50\n幸福里,小区,113.615,34.745,30\n幸福里,楼院,113.63,34.77,30\n"
)


async def count(engine: AsyncEngine, table: str = "dispatch.dispatch_case") -> int:
    async with engine.connect() as connection:
        found: int = (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
    return found


def by_address(address: str, ticket: str = "A-1") -> dict[str, Any]:
    return report(ticket=ticket, lon=None, lat=None, coord_sys=None, address=address)


@pytest.fixture
async def gazetteer(client: Client) -> None:
    """Fill the gazetteer."""
    answer = await client.post("/v1/places:import?coord_sys=wgs84", content=PLACES.encode())
    assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("gazetteer")
async def test_an_address_beyond_doubt_stands_in_for_a_point(client: Client) -> None:
    first = await client.post("/v1/reports", json=by_address("中原区锦绣小区３號楼２单元"))
    body = first.json()
    assert first.status_code == 201, first.text
    assert body["status"] == "dispatched"
    assert body["chain"][-1]["code"] == f"{WEST}001"
    assert body["location"] == {"lon": INSIDE[0], "lat": INSIDE[1]}
    match = body["address_match"]
    assert (match["source"], match["is_sure"], match["precision"]) == ("gazetteer", True, "exact")
    again = await client.post("/v1/reports", json=by_address("中原区锦绣小区３號楼２单元"))
    assert (again.status_code, again.content) == (200, first.content)


@pytest.mark.usefixtures("gazetteer")
@pytest.mark.parametrize(
    ("address", "is_placed"), [("锦绣小区对面", True), ("幸福里", False), ("锦绣花园", False), ("火星基地1号", False)]
)
async def test_an_address_in_doubt_waits_for_a_person(client: Client, address: str, is_placed: bool) -> None:
    body = (await client.post("/v1/reports", json=by_address(address))).json()
    assert body["status"] == "reported"
    assert not body["address_match"]["is_sure"]
    assert (body["location"] is not None) == is_placed


async def test_a_rehearsal_shows_the_routing_and_leaves_nothing(client: Client, engine: AsyncEngine) -> None:
    answer = await client.post("/v1/reports?dry_run=true", json=report())
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["dry_run"], body["known_case"]) == (True, None)
    assert body["routing"]["head"]["name"] == f"A-{WEST}001"
    assert [await count(engine, f"dispatch.{name}") for name in ("dispatch_case", "case_event", "outbox")] == [0, 0, 0]
    real = (await client.post("/v1/reports", json=report())).json()
    known = (await client.post("/v1/reports?dry_run=true", json=report())).json()
    assert known["known_case"] == real["case"]
    assert (await client.post("/v1/reports?dry_run=true", json=report(text="other"))).status_code == 422


async def test_an_idempotency_key_answers_byte_for_byte(client: Client, engine: AsyncEngine) -> None:
    headers = {"Idempotency-Key": '"k-1"'}
    first = await client.post("/v1/reports", json=report(), headers=headers)
    again = await client.post("/v1/reports", json=report(), headers={"Idempotency-Key": "k-1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    other = await client.post("/v1/reports", json=report(ticket="T-2"), headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.other_request")
    assert await count(engine) == 1


async def test_a_request_that_still_runs_answers_409(client: Client, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        # As a process leaves it that is in the middle of its work.
        await connection.execute(
            text("INSERT INTO api.idempotency_key (channel_code, key, fingerprint) SELECT 'hotline', 'busy', ''::bytea")
        )
    first = asyncio.create_task(client.post("/v1/reports", json=report(), headers={"Idempotency-Key": "slow"}))
    answers = await asyncio.gather(
        *(client.post("/v1/reports", json=report(), headers={"Idempotency-Key": "slow"}) for _ in range(20))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in [await first, *answers] if answer.status_code == 201}) == 1
    assert await count(engine) == 1


async def test_an_answer_that_could_not_be_kept_is_kept_later_and_nothing_is_made_twice(
    client: Client, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION api.busy() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'busy' USING ERRCODE = '53300'; END $$"
            )
        )
        await connection.execute(
            text(
                "CREATE TRIGGER busy BEFORE UPDATE ON api.idempotency_key"
                " FOR EACH ROW WHEN (new.status IS NOT NULL) EXECUTE FUNCTION api.busy()"
            )
        )
    headers = {"Idempotency-Key": "unkept"}
    items = {"reports": [report(), report(ticket="T-2")]}
    first = await client.post("/v1/reports:batch", json=items, headers=headers)
    # Written, but nothing is answered that could not be answered again.
    assert (first.status_code, "retry-after" in first.headers, await count(engine)) == (503, True, 2)
    again = await client.post("/v1/reports:batch", json=items, headers=headers)
    assert again.status_code == 503
    async with engine.begin() as connection:
        await connection.execute(text("DROP TRIGGER busy ON api.idempotency_key"))
    mended = await client.post("/v1/reports:batch", json=items, headers=headers)
    assert mended.status_code == 200, mended.text
    assert mended.headers["idempotency-replayed"] == "true"
    # The answer of the first time: both were new then.
    assert [result["status"] for result in mended.json()["results"]] == [201, 201]
    assert await count(engine) == 2


@pytest.mark.parametrize("door", ["/v1/reports", "/open311/v2/requests.json"])
async def test_a_process_that_dies_before_its_answer_is_kept_leaves_one_case(
    client: Client, engine: AsyncEngine, door: str
) -> None:
    sent: dict[str, Any] = {"json": report()}
    if door.startswith("/open311"):
        place = {"lat": str(INSIDE[1]), "long": str(INSIDE[0])}
        sent = {"data": {"service_code": "E0110", "description": "井盖缺失"} | place}
    headers = {"Idempotency-Key": "killed"}
    first = await client.post(door, headers=headers, **sent)
    assert first.status_code in {200, 201}, first.text
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE api.idempotency_key SET status = NULL, headers = NULL, body = NULL,"
                " begun_at = now() - interval '61 seconds'"
            )
        )
    again = await client.post(door, headers=headers, **sent)
    assert (again.status_code < 300, again.content) == (True, first.content)
    assert await count(engine) == 1


async def test_after_a_mistake_the_key_is_free_for_the_mended_request(client: Client) -> None:
    headers = {"Idempotency-Key": "mend"}
    assert (await client.post("/v1/reports", json=report(category="Z9"), headers=headers)).status_code == 422
    assert (await client.post("/v1/reports", json=report(), headers=headers)).status_code == 201


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, "ключ"])
async def test_odd_keys_are_refused(client: Client, key: str) -> None:
    answer = await client.post("/v1/reports", json=report(), headers={"Idempotency-Key": key.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency.bad_key")


async def test_fifty_copies_of_forty_keys_make_forty_cases(client: Client, engine: AsyncEngine) -> None:
    async def send(number: int) -> httpx.Response:
        headers = {"Idempotency-Key": f"key-{number}"}
        while True:
            answer = await client.post("/v1/reports", json=report(ticket=f"T-{number}"), headers=headers)
            if answer.status_code not in {409, 503}:
                return answer
            await asyncio.sleep(0.2)  # a client that comes back at once keeps the others from being served

    answers = await asyncio.gather(*(send(number) for number in range(40) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 40
    assert await count(engine) == 40


async def test_after_a_burst_the_other_doors_still_have_connections(client: Client) -> None:
    """The lines that the writer keeps open must not be missing to whoever else needs one."""
    burst = [client.post("/v1/reports", json=report(ticket=f"L-{n}")) for n in range(60)]
    batches = [
        client.post("/v1/reports:batch", json={"reports": [report(ticket=f"B{n}-{k}") for k in range(600)]})
        for n in range(5)
    ]
    answers = await asyncio.gather(*burst, *batches)
    assert {answer.status_code for answer in answers} <= {200, 201}
    keyed = await client.post("/v1/reports", json=report(ticket="K-1"), headers={"Idempotency-Key": "after"})
    tried = await client.post("/v1/reports", params={"dry_run": True}, json=report(ticket="K-2"))
    assert (keyed.status_code, tried.status_code) == (201, 200)


async def test_every_report_of_a_batch_has_its_own_result(client: Client, engine: AsyncEngine) -> None:
    await client.post("/v1/reports", json=report(ticket="known"))
    items = [
        report(ticket="B-1"),
        report(ticket="known"),
        report(ticket="known", text="other words"),
        report(ticket="B-2", category="Z9"),
        report(ticket="B-3", lon="x"),
        report(ticket="B-1"),
        "nonsense",
        report(ticket="B-4"),
    ]
    answer = await client.post("/v1/reports:batch", json={"reports": items})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [one["status"] for one in body["results"]] == [201, 200, 422, 422, 422, 200, 422, 201]
    assert (body["taken"], body["repeated"], body["refused"]) == (2, 2, 4)
    assert body["results"][0]["receipt"] == body["results"][5]["receipt"]
    assert body["results"][3]["problem"]["errors"][0]["pointer"] == "/category"
    assert await count(engine) == 3
    again = (await client.post("/v1/reports:batch", json={"reports": items})).json()
    assert [one["status"] for one in again["results"]] == [200, 200, 422, 422, 422, 200, 422, 200]


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{}", 422),
        (b"[]", 422),
        (b'{"reports":[]}', 422),
        (b"nope", 422),
        (b"[" * 99_999, 422),
        (b'{"reports":[1],"x":1}', 422),
        (json.dumps({"reports": [0] * 10_001}).encode(), 413),
    ],
)
async def test_a_batch_that_is_none_is_refused(client: Client, raw: bytes, status: int) -> None:
    answer = await client.post("/v1/reports:batch", content=raw)
    assert answer.status_code == status, answer.text


async def test_a_report_with_photos(client: Client, engine: AsyncEngine) -> None:
    files = [("photo", ("a.exe", jpeg(gps=True), "text/html")), ("photo", ("b.jpg", jpeg(300, 200), "image/jpeg"))]
    for status in (201, 200):
        answer = await client.post("/v1/reports", data={"report": json.dumps(report())}, files=files)
        assert answer.status_code == status, answer.text
    body = answer.json()
    assert len(body["photos"]) == 2
    assert body["photos"][0]["position"] == {"lon": 113.61, "lat": 34.755}
    picture = await client.get(body["photos"][0]["url"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in picture.headers["content-security-policy"]
    assert (await client.get(body["photos"][0]["preview_url"])).status_code == 200
    later = await client.post(
        f"{body['status_url']}/photos",
        data={"kind": "after"},
        files=[("photo", ("c.jpg", jpeg(200, 200), "image/jpeg"))],
    )
    assert later.status_code == 201, later.text
    assert [one["kind"] for one in later.json()["photos"]] == ["report", "report", "after"]
    assert (await client.get(f"{body['status_url']}/photos")).json() == later.json()


async def test_bad_photos_are_all_named_and_nothing_is_written(client: Client, engine: AsyncEngine) -> None:
    files = [("photo", ("a.jpg", b"<svg/>", "image/jpeg")), ("photo", ("b.jpg", jpeg()[:900], "image/jpeg"))]
    answer = await client.post("/v1/reports", data={"report": json.dumps(report())}, files=files)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/photo/0", "/photo/1"]
    for many in (MOST_PHOTOS + 1, MOST_PHOTOS + 2):
        files = [("photo", ("a.jpg", b"<svg/>", "image/jpeg"))] * many
        answer = await client.post("/v1/reports", data={"report": json.dumps(report())}, files=files)
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [f"/photo/{MOST_PHOTOS}"], answer.text
    assert await count(engine) == 0
    odd = await client.post("/v1/reports", content=b"--x\r\nbroken", headers={"Content-Type": "multipart/form-data"})
    assert odd.status_code == 400


async def test_a_photo_alone_says_where_but_sends_nobody(client: Client) -> None:
    said = json.dumps(by_address("") | {"address": ""})
    files = [("photo", ("a.jpg", jpeg(gps=True), "image/jpeg"))]
    body = (await client.post("/v1/reports", data={"report": said}, files=files)).json()
    assert body["status"] == "reported"
    assert body["address_match"]["source"] == "photo"
    assert body["chain"][-1]["code"] == f"{WEST}001"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"accuracy_m": 30.5, "ledgers": [], "condition": 1},
        {"lon": 113, "lat": 34},
        {"self_handled": True},
        {"text": "emoji \U0001f600 and \u4e2d"},
        {"lon": 34.75, "lat": 113.61},
        {"category": "Z9999", "ledgers": ["unknown"]},
        {"ticket": "x" * 121},
        {"ticket": ""},
        {"lon": "113.6"},
        {"condition": True},
        {"coord_sys": "utm"},
        {"extra": 1},
        {"text": "a\x00b"},
    ],
)
async def test_the_short_way_answers_what_the_long_way_answers(client: Client, change: dict[str, Any]) -> None:
    body = report(**change)
    short = await client.post("/v1/reports", json=body)
    long = await client.post("/v1/reports?lang=en", json=body)
    assert long.content == short.content
    assert (short.status_code, long.status_code) in {(201, 200), (422, 422)}
    for name in ("content-language", "vary", "location", "content-type", "x-content-type-options"):
        assert short.headers.get(name) == long.headers.get(name)
    if short.status_code == 201:
        other = await client.post("/v1/reports?lang=en", json=report(**change) | {"ticket": "other"})
        keep = {"case", "status_url", "ticket", "due_at"}
        assert {k: v for k, v in other.json().items() if k not in keep} == {
            k: v for k, v in short.json().items() if k not in keep
        }


async def test_the_short_way_too_says_stay_with_https_behind_a_proxy(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "strict-transport-security"
    assert name not in (await client.post("/v1/reports", json=report(ticket="near"))).headers
    monkeypatch.setattr(Settings, "over_https", True)
    assert name in (await client.post("/v1/reports", json=report(ticket="behind"))).headers
