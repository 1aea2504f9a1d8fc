"""Open311 GeoReport v2 as third-party clients meet it: shapes to the letter, errors, filters, who is told what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from lxml import etree
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import Scope
from api.app import create_app
from api.settings import Settings
from geo.storage.uow import write_unit
from tests.builders import INSIDE, JURISDICTION, OUTSIDE, WEST, District, report
from tests.flow.conftest import Client
from tests.unit.test_photos import jpeg

BASE = "/open311/v2"
FIELDS = [
    *("service_request_id", "status", "status_notes", "service_name", "service_code", "description"),
    *("agency_responsible", "service_notice", "requested_datetime", "updated_datetime", "expected_datetime"),
    *("address", "address_id", "zipcode", "lat", "long", "media_url"),
]
XML = "text/xml; charset=utf-8"
JSON = "application/json; charset=utf-8"
HOSTILE = "<![CDATA[ ]]> </description><script>alert('1')</script> &amp; \"'\u202e\ufffe\x0b 井盖没了𠮷\r\n第二行"


@pytest.fixture
async def key(make_key: Callable[..., Awaitable[str]]) -> str:
    """Give a channel's key, such as an app's maker gets one."""
    return await make_key(channel="hotline")


@pytest.fixture
async def public(district: District, database: str) -> AsyncIterator[Client]:
    """Give a client without any key."""
    app = create_app(Settings(database_url=database))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://city.test", timeout=30) as client,
    ):
        yield client


def form(key: str, **fields: str) -> dict[str, str]:
    """Give a request that is dispatched at once."""
    lon, lat = INSIDE
    return {
        "api_key": key,
        "service_code": "P0102",
        "attribute[condition]": "1",
        "lat": str(lat),
        "long": str(lon),
        "description": "井盖缺失",
    } | fields


def tree(answer: httpx.Response) -> Any:
    assert answer.headers["content-type"] == XML
    assert answer.content.startswith(b"<?xml version='1.0' encoding='UTF-8'?>")
    return etree.fromstring(answer.content)


def names(element: Any) -> list[str]:
    return [child.tag for child in element]


async def submit(client: Client, key: str, **fields: str) -> str:
    answer = await client.post(f"{BASE}/requests.json", data=form(key, **fields))
    assert answer.status_code == 200, answer.text
    return str(answer.json()[0]["service_request_id"])


async def test_discovery(public: Client) -> None:
    for path in ("/open311/discovery", f"{BASE}/discovery"):
        found = tree(await public.get(f"{path}.xml"))
        assert found.tag == "discovery"
        assert names(found) == ["changeset", "contact", "key_service", "endpoints"]
        endpoint = found.find("endpoints/endpoint")
        assert names(endpoint) == ["specification", "url", "changeset", "type", "formats"]
        assert endpoint.findtext("specification") == "http://wiki.open311.org/GeoReport_v2"
        assert [one.text for one in endpoint.find("formats")] == ["text/xml", "application/json"]
        told = await public.get(f"{path}.json")
        assert told.headers["content-type"] == JSON
        assert told.json()["endpoints"][0]["url"] == f"http://city.test{BASE}" == endpoint.findtext("url")
        assert told.json()["endpoints"][0]["formats"] == ["text/xml", "application/json"]


async def test_services_and_their_definitions(public: Client) -> None:
    found = tree(await public.get(f"{BASE}/services.xml", params={"jurisdiction_id": JURISDICTION}))
    assert found.tag == "services"
    assert [one.findtext("service_code") for one in found] == ["E0110", "P0102"]
    assert names(found[1]) == ["service_code", "service_name", "description", "metadata", "type", "keywords", "group"]
    assert (found[1].findtext("metadata"), found[1].findtext("type")) == ("true", "realtime")
    assert (found[1].findtext("service_name"), found[1].findtext("group")) == ("井盖", "公用设施")
    listed = (await public.get(f"{BASE}/services.json", headers={"Accept-Language": "en"})).json()
    assert [(one["service_name"], one["metadata"]) for one in listed] == [
        ("Exposed rubbish", False),
        ("Manhole cover", True),
    ]
    defined = tree(await public.get(f"{BASE}/services/P0102.xml"))
    assert (defined.tag, names(defined)) == ("service_definition", ["service_code", "attributes"])
    attribute = defined.find("attributes/attribute")
    assert names(attribute) == (
        ["variable", "code", "datatype", "required", "datatype_description", "order", "description", "values"]
    )
    assert (attribute.findtext("datatype"), attribute.findtext("required")) == ("singlevaluelist", "false")
    assert [(one.findtext("key"), one.findtext("name")) for one in attribute.find("values")] == (
        [("1", "缺失"), ("2", "破损")]
    )
    told = (await public.get(f"{BASE}/services/P0102.json")).json()
    assert told["attributes"][0]["values"][1] == {"key": "2", "name": "破损"}
    assert (told["attributes"][0]["variable"], told["attributes"][0]["order"]) == (True, 1)
    assert (await public.get(f"{BASE}/services/E0110.json")).json() == {"service_code": "E0110", "attributes": []}


WHO = {"first_name": "小明", "last_name": "王", "phone": "13800001111", "email": "no mail address"}


async def test_a_request_goes_the_way_of_a_hotline_report(
    client: Client, public: Client, key: str, engine: AsyncEngine
) -> None:
    taken = await public.post(f"{BASE}/requests.xml", data=form(key, **WHO))
    assert taken.status_code == 200
    created = tree(taken)
    assert (created.tag, names(created), names(created[0])) == (
        "service_requests",
        ["request"],
        ["service_request_id", "service_notice", "account_id"],
    )
    ref = created.findtext("request/service_request_id")
    assert taken.headers["location"].endswith(f"{BASE}/requests/{ref}.xml")
    lon, lat = INSIDE
    hotline = (await client.post("/v1/reports", json=report(lon=lon, lat=lat, coord_sys="wgs84", condition=1))).json()
    own = (await client.get(f"/v1/cases/{ref}")).json()
    assert own["status"] == hotline["status"] == "dispatched"
    assert own["head"] == hotline["head"]
    assert [cell["code"] for cell in own["chain"]] == [cell["code"] for cell in hotline["chain"]]
    assert own["chain"][-1]["code"] == f"{WEST}001"
    assert own["coord_sys"] == "wgs84"
    assert {name: own[name] for name in ("channel", "condition", "text")} == (
        {"channel": "hotline", "condition": 1, "text": "井盖缺失"}
    )
    assert [event["type"] for event in own["events"]] == ["case.dispatched.v1"]
    told = str(own) + (await public.get(f"{BASE}/requests/{ref}.xml", params={"api_key": key})).text
    assert not [word for word in WHO.values() if word in told]
    async with engine.connect() as connection:
        kept = await connection.execute(text("SELECT name_masked, phone_masked, email_masked FROM reporter.identity"))
        assert [tuple(row) for row in kept] == [("王**", "138****1111", "")]


async def test_who_is_told_what(public: Client, key: str, engine: AsyncEngine) -> None:
    words = {"description": "我家门口", "address_string": "锦绣小区3号楼501", "media_url": "https://a.test/1.jpg"}
    ref = await submit(public, key, **words)
    rough = await submit(public, key, service_code="E0110", **{"attribute[condition]": "", "long": "113.6112345"})
    (stranger,) = (await public.get(f"{BASE}/requests/{ref}.json")).json()
    assert list(stranger) == FIELDS
    assert (stranger["description"], stranger["media_url"]) == (None, None)
    assert (stranger["status"], stranger["service_code"], stranger["address"]) == ("open", "P0102", "网格001")
    assert (stranger["long"], stranger["lat"]) == INSIDE
    assert (await public.get(f"{BASE}/requests/{rough}.json")).json()[0]["long"] == 113.611
    (owner,) = (await public.get(f"{BASE}/requests/{ref}.json", params={"api_key": key})).json()
    assert (owner["description"], owner["address"]) == ("我家门口", "锦绣小区3号楼501")
    assert owner["media_url"] == "https://a.test/1.jpg"
    async with write_unit(engine) as unit:
        driver = await unit.driver()
        await driver.execute("INSERT INTO dispatch.channel (code, name_zh, name_en) VALUES ('other', '别处', 'Other')")
    again = {"Authorization": f"Bearer {await _key(engine)}"}
    (other,) = (await public.get(f"{BASE}/requests/{ref}.json", headers=again)).json()
    assert other == stranger
    everything = (await public.get(f"{BASE}/requests.json")).text + (await public.get(f"{BASE}/requests.xml")).text
    for secret in ("我家门口", "501", "a.test", "A-"):
        assert secret not in everything


async def _key(engine: AsyncEngine) -> str:
    from api.accounts.keys import create_key

    async with write_unit(engine) as unit:
        return await create_key(unit, "other", (Scope.CASES_READ,))


async def test_hostile_words_come_back_as_words(public: Client, key: str) -> None:
    ref = await submit(public, key, description=HOSTILE, address_string="<b>&\"'>")
    kept = (await public.get(f"{BASE}/requests/{ref}.json", params={"api_key": key})).json()[0]
    assert kept["description"] == HOSTILE
    found = tree(await public.get(f"{BASE}/requests/{ref}.xml", params={"api_key": key}))
    assert names(found[0]) == FIELDS
    # XML 1.0 has no way to write these two.
    readable = HOSTILE.replace("\ufffe", "\ufffd").replace("\x0b", "\ufffd")
    assert found.findtext("request/description") == readable
    assert found.findtext("request/address") == "<b>&\"'>"


FAULTS: list[tuple[dict[str, str], int, int]] = [
    ({"api_key": ""}, 403, 1),
    ({"api_key": "gw_nobody"}, 403, 1),
    ({"service_code": ""}, 400, 1),
    ({"service_code": "Z99"}, 404, 1),
    ({"service_code": "P01"}, 404, 1),
    ({"jurisdiction_id": "sfgov.org"}, 404, 1),
    ({"lat": "", "long": ""}, 400, 1),
    ({"lat": ""}, 400, 1),
    ({"lat": "NaN", "long": "1e999"}, 400, 2),
    ({"lat": "91", "long": "１１３"}, 400, 2),
    ({"attribute[condition]": "9", "description": "x" * 4001, "media_url": "javascript:alert(1)"}, 400, 3),
    ({"lat": "", "long": "", "address_id": "no-such-place"}, 400, 1),
    ({"description": "a\x00b"}, 400, 1),
]


@pytest.mark.parametrize("ending", ["xml", "json"])
async def test_faults_are_an_array_with_the_right_status(
    public: Client, key: str, ending: str, engine: AsyncEngine
) -> None:
    for fields, status, codes in FAULTS:
        answer = await public.post(f"{BASE}/requests.{ending}", data=form(key, **fields))
        assert answer.status_code == status, (fields, answer.text)
        if ending == "json":
            assert answer.headers["content-type"] == JSON
            errors = [(one["code"], one["description"]) for one in answer.json()]
        else:
            found = tree(answer)
            assert found.tag == "errors"
            assert names(found[0]) == ["code", "description"]
            errors = [(int(one.findtext("code")), one.findtext("description")) for one in found]
        assert [code for code, _ in errors] == [status] * codes, fields
        assert all(description and "error." not in description for _, description in errors)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM dispatch.dispatch_case"))).scalar_one() == 0


WRONG = [
    ("GET", "/services/Z99.xml", 404),
    ("GET", "/services.xml?jurisdiction_id=elsewhere", 404),
    ("GET", "/requests/NO-1.json", 404),
    ("GET", "/requests/%00.xml", 404),
    ("GET", "/tokens/NO-1.xml", 404),
    ("GET", "/tokens/%00.json", 404),
    ("GET", "/services.html", 404),
    ("GET", "/services", 404),
    ("GET", "/nothing.json", 404),
    ("GET", "", 404),
    ("GET", "/requests.json?api_key=gw_wrong", 403),
    ("GET", "/requests.json?start_date=yesterday&status=lost&page=0&page_size=1001", 400),
    ("GET", "/requests.json?start_date=2026-01-01T00:00:00", 400),
    ("GET", "/requests.json?start_date=2025-01-01T00:00:00Z&end_date=2025-06-01T00:00:00Z", 400),
    ("GET", "/requests.json?start_date=2025-06-01T00:00:00Z&end_date=2025-05-01T00:00:00Z", 400),
    ("GET", "/requests.json?start_date=0001-01-01T00:00:00%2B14:00", 400),
    ("GET", "/requests.json?service_code=%00", 400),
    ("PUT", "/requests.xml", 405),
    ("POST", "/services.json", 405),
]
NO_FORMS = [
    (b'{"service_code": "P0102"}', "application/json"),
    (b"description=%FF%FE", "application/x-www-form-urlencoded"),
    (b"description=\xff\xfe", "application/x-www-form-urlencoded"),
    (b"&".join(b"f%d=1" % number for number in range(300)), "application/x-www-form-urlencoded"),
    (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
    (b"anything", "multipart/form-data"),
]


async def test_wrong_questions_are_told_in_the_same_shape(public: Client, key: str) -> None:
    for method, path, status in WRONG:
        answer = await public.request(method, BASE + path)
        assert answer.status_code == status, (path, answer.text)
        if ".json" in path:
            assert {one["code"] for one in answer.json()} == {status}
        else:
            assert {one.findtext("code") for one in tree(answer)} == {str(status)}
    for content, kind in NO_FORMS:
        headers = {"Content-Type": kind, "Authorization": f"Bearer {key}"}
        answer = await public.post(f"{BASE}/requests.json", content=content, headers=headers)
        assert (answer.status_code, answer.json()[0]["code"]) == (400, 400), content


async def test_filters_pages_and_the_window(client: Client, public: Client, key: str, engine: AsyncEngine) -> None:
    # The second one names no condition, so it waits for a person.
    refs = [await submit(public, key, **{"attribute[condition]": one}) for one in ("1", "", "1")]
    refs.append(await submit(public, key, service_code="E0110", **{"attribute[condition]": ""}))
    old = refs[0]
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE dispatch.dispatch_case SET reported_at = now() - interval '91 days' WHERE ref = :ref"),
            {"ref": old},
        )

    async def ask(**params: Any) -> list[str]:
        answer = await public.get(f"{BASE}/requests.json", params=params)
        assert answer.status_code == 200, answer.text
        return [one["service_request_id"] for one in answer.json()]

    assert await ask() == [refs[3], refs[2], refs[1]]
    assert await ask(service_code="", status="", start_date="", page="") == [refs[3], refs[2], refs[1]]
    assert await ask(service_request_id=f"{old},{refs[2]}, NO-1", service_code="E0110") == [refs[2], old]
    assert await ask(service_code="E0110") == [refs[3]]
    assert await ask(service_code=["E0110", "P0102,Z1"]) == [refs[3], refs[2], refs[1]]
    assert await ask(service_code="Z1") == []
    assert await ask(page_size=2) == [refs[3], refs[2]]
    assert await ask(page_size=2, page=2) == [refs[1]]
    assert await ask(page_size=2, page=3) == []
    begin = datetime.now(UTC) - timedelta(days=100)
    assert await ask(start_date=begin.isoformat(timespec="seconds")) == [old]
    until = (begin + timedelta(days=30)).astimezone().isoformat(timespec="seconds")
    assert await ask(end_date=until) == [old]
    case = (await client.get(f"/v1/cases/{refs[1]}")).json()
    moved = await client.post(
        f"/v1/cases/{refs[1]}/moves",
        json={"move": "decline", "reason": "误报 13900001111"},
        headers={"If-Match": f'"{case["version"]}"'},
    )
    assert moved.status_code == 200, moved.text
    assert await ask(status="closed") == [refs[1]]
    assert await ask(status="open") == [refs[3], refs[2]]
    assert await ask(status="open,closed") == [refs[3], refs[2], refs[1]]
    (closed,) = (await public.get(f"{BASE}/requests/{refs[1]}.json", params={"extensions": "true"})).json()
    assert (closed["status"], closed["status_notes"], closed["service_notice"]) == ("closed", "不予受理。", None)
    assert [note["type"] for note in closed["notes"]] == ["reported", "declined"]
    assert closed["attributes"] == []
    assert closed["extended_attributes"]["cells"][-1] == f"{WEST}001"
    extended = tree(await public.get(f"{BASE}/requests/{refs[1]}.xml", params={"extensions": "true"}))
    assert len(extended.find("request/notes")) == 2
    token = tree(await public.get(f"{BASE}/tokens/{refs[1]}.xml"))
    assert names(token[0]) == ["service_request_id", "token"]
    (dispatched,) = (await public.get(f"{BASE}/requests/{refs[2]}.json", params={"extensions": "true"})).json()
    assert dispatched["attributes"] == [{"code": "condition", "label": "是哪种情况？", "value": "1", "name": "缺失"}]
    # Written for people, in the office's own time; the instant for programs is beside it.
    due = datetime.fromisoformat(dispatched["expected_datetime"]).astimezone(ZoneInfo("Asia/Shanghai"))
    assert dispatched["service_notice"] == f"计划于 {due:%Y-%m-%d %H:%M} 前处理完毕"
    for field in ("requested_datetime", "updated_datetime", "expected_datetime"):
        assert datetime.strptime(dispatched[field], "%Y-%m-%dT%H:%M:%S%z")


async def test_places_pictures_and_repeats(client: Client, public: Client, key: str) -> None:
    places = "名称,类型,编号,经度,纬度,半径\n锦绣小区,小区,JX-1,113.61,34.75,50\n"
    stored = await client.post("/v1/places:import?coord_sys=wgs84", content=places.encode())
    assert stored.status_code == 200, stored.text
    listed = (await client.get("/v1/places?q=锦绣小区")).json()
    number = str(listed["places"][0]["id"])
    by_id = await submit(public, key, lat="", long="", address_id=number)
    assert (await client.get(f"/v1/cases/{by_id}")).json()["chain"][-1]["code"] == f"{WEST}001"
    by_words = await submit(public, key, lat="", long="", address_string="锦绣小区3号楼")
    assert (await client.get(f"/v1/cases/{by_words}")).json()["status"] == "dispatched"
    lost = await submit(public, key, long=str(OUTSIDE[0]), lat=str(OUTSIDE[1]))
    assert (await client.get(f"/v1/cases/{lost}")).json()["out_of_grid"] is True
    files = [("media", ("1.jpg", jpeg(), "image/jpeg"))]
    headers = {"Idempotency-Key": "photo-1"}
    first = await public.post(f"{BASE}/requests.json", data=form(key), files=files, headers=headers)
    again = await public.post(f"{BASE}/requests.json", data=form(key), files=files, headers=headers)
    assert (first.status_code, first.content) == (200, again.content)
    ref = first.json()[0]["service_request_id"]
    assert (await public.get(f"{BASE}/requests/{ref}.json")).json()[0]["media_url"] is None
    media = (await public.get(f"{BASE}/requests/{ref}.json", params={"api_key": key})).json()[0]["media_url"]
    picture = await public.get(media, params={"api_key": key})
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert (await public.get(media)).status_code == 404
    bad = await public.post(
        f"{BASE}/requests.json", data=form(key), files=[("media", ("1.jpg", b"GIF89a", "image/jpeg"))]
    )
    assert (bad.status_code, bad.json()[0]["code"]) == (400, 400)


@pytest.mark.parametrize(("detail", "status", "lat"), [("no", 403, None), ("status", 200, None)])
async def test_an_office_decides_what_the_public_reads(
    database: str, district: District, key: str, detail: str, status: int, lat: float | None
) -> None:
    app = create_app(Settings(database_url=database, open311_public=detail, open311_left_out="E01"))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://x.test") as one,
    ):
        ref = await submit(one, key)
        answer = await one.get(f"{BASE}/requests.json")
        assert answer.status_code == status
        if status == 200:
            assert (answer.json()[0]["lat"], answer.json()[0]["address"]) == (lat, None)
        (own,) = (await one.get(f"{BASE}/requests/{ref}.json", params={"api_key": key})).json()
        assert own["lat"] == INSIDE[1]
        assert [service["service_code"] for service in (await one.get(f"{BASE}/services.json")).json()] == ["P0102"]
        hidden = await one.post(f"{BASE}/requests.json", data=form(key, service_code="E0110"))
        assert hidden.status_code == 404
