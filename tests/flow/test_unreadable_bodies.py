"""Bodies that nobody can read: packed, nested without end, in another encoding, with numbers like telephone books."""

from __future__ import annotations

from httpx import AsyncClient as Client

_JSON = {"Content-Type": "application/json"}
_MOVES = "/v1/cases/20260301-0000042/moves"


async def test_what_is_wrong_with_a_body_is_said(client: Client) -> None:
    bodies = {
        b'{"a":' * 30_000 + b"1" + b"}" * 30_000: "request.too_deep",
        b'{"move":' + b"1" * 5_000 + b"}": "request.number_too_long",
        b'{"move":"\xff\xfe"}': "request.not_utf8",
        '{"move":"关闭"}'.encode("gb18030"): "request.not_utf8",
        b'{"move":': "request.not_json",
        b"[1]": "request.body_no_object",
        b"": "request.body_needed",
    }
    for method, path in (("POST", _MOVES), ("POST", "/v1/reports"), ("PUT", "/v1/calendars/2027")):
        for body, code in bodies.items():
            answer = await client.request(method, path, content=body, headers=_JSON)
            assert answer.status_code == 422
            assert [fault["code"] for fault in answer.json()["errors"]] == [code], path
            assert "–" not in answer.json()["errors"][0]["detail"]


async def test_packed_bodies_are_refused_as_such(client: Client) -> None:
    for path in (_MOVES, "/v1/reports", "/v1/reports:batch", "/ogc/collections"):
        answer = await client.post(path, content=b"\x1f\x8b\x08", headers=_JSON | {"Content-Encoding": "gzip"})
        assert answer.status_code == 415
        assert answer.json()["code"] == "request.packed"
        assert answer.headers["accept-encoding"] == "identity"
    plain = await client.post(_MOVES, content=b"{}", headers=_JSON | {"Content-Encoding": "identity"})
    assert plain.json()["errors"][0]["code"] == "request.missing"
    # GeoReport's clients know one form of error: an array, in the format of the path.
    packed = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "deflate"}
    listed = await client.post("/open311/v2/requests.json", content=b"x", headers=packed)
    assert listed.status_code == 415
    assert listed.json()[0]["code"] == 415
    assert "<error>" in (await client.post("/open311/v2/requests.xml", content=b"x", headers=packed)).text


async def test_a_body_that_is_not_said_to_be_json_is_told_so(client: Client) -> None:
    answer = await client.post(_MOVES, content=b'{"move": "close"}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert answer.json()["code"] == "request.media_type"
    assert "application/json" in answer.json()["detail"]
    chinese = await client.post(
        _MOVES, content=b"x", headers={"Content-Type": "text/plain", "Accept-Language": "zh-CN"}
    )
    assert chinese.json()["title"] == "不支持这种正文"


async def test_blanks_alone_are_nothing(client: Client) -> None:
    somewhere = {"lon": 113.63, "lat": 34.75, "coord_sys": "wgs84"}
    blank = {"ticket": "B-1", "text": "井盖缺失", "category": "P0102", "address": " \u3000\t"}
    nowhere = await client.post("/v1/reports", json=blank)
    assert nowhere.status_code == 422
    assert [(fault["code"], fault["pointer"]) for fault in nowhere.json()["errors"]] == [
        ("dispatch.no_position", "/lon")
    ]
    assert "address" in nowhere.json()["errors"][0]["detail"]
    # Taken by the short way and by the long one alike, and the same as no address at all.
    taken = await client.post("/v1/reports", json=blank | somewhere)
    again = await client.post("/v1/reports", json=blank | somewhere | {"address": "", "reporter": None})
    assert (taken.status_code, again.status_code) == (201, 200)
    assert taken.content == again.content
    for ways in ({}, {"reporter": None}):
        answer = await client.post("/v1/reports", json=blank | somewhere | {"ticket": " \u3000"} | ways)
        assert [(fault["code"], fault["pointer"]) for fault in answer.json()["errors"]] == [
            ("request.missing", "/ticket")
        ]
    items = await client.post(
        "/v1/reports:batch", json={"reports": [blank, blank | somewhere | {"ticket": "  "}, blank | somewhere]}
    )
    assert [item["status"] for item in items.json()["results"]] == [422, 422, 200]
    both = blank | somewhere | {"ticket": "  ", "category": "Z9"}
    many = (await client.post("/v1/reports:batch", json={"reports": [both]})).json()["results"][0]["problem"]
    for told in ((await client.post("/v1/reports", json=both)).json(), many):
        assert {fault["pointer"] for fault in told["errors"]} == {"/ticket", "/category"}


async def test_swapped_axes_are_told_beside_a_system_that_does_not_exist(client: Client) -> None:
    swapped = {"ticket": "S-1", "text": "x", "category": "P0102", "lon": 34.75, "lat": 113.63, "coord_sys": "mars"}
    answer = await client.post("/v1/reports", json=swapped)
    told = [fault["pointer"] for fault in answer.json()["errors"]]
    assert told[0] == "/coord_sys"
    assert told[1:] in (["/lon"], ["/lat"])
    one = await client.post("/v1/reports", json=swapped | {"lon": 113.63, "lat": 34.75})
    assert [fault["pointer"] for fault in one.json()["errors"]] == ["/coord_sys"]
