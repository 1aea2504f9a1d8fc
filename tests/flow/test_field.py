"""The field's doors: what somebody has before them, acts that happen once, records, tokens for a city's app."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import Scope
from api.accounts.people import NewGrant
from api.accounts.roles import Role
from api.app import create_app
from api.settings import Settings
from tests.builders import EAST, INSIDE, WEST, District, report
from tests.flow.conftest import ALL_SCOPES, Client
from tests.signing import browser, make_person, signed_in

ORIGIN = {"Origin": "http://127.0.0.1:8311"}


@asynccontextmanager
async def field(
    client: Client, engine: AsyncEngine, role: Role = Role.GRID_HEAD, cell: str = WEST
) -> AsyncIterator[Client]:
    """Somebody of the field who is signed in."""
    await make_person(engine, "head", NewGrant(role=role, cell=cell))
    app = client._transport.app  # type: ignore[attr-defined]
    async with signed_in(app, "head") as person:
        person.headers.update(ORIGIN)
        yield person


async def act(who: Client, key: str | None = None, **body: Any) -> httpx.Response:
    return await who.post("/v1/field/actions", json=body, headers={"Idempotency-Key": key or uuid4().hex})


def picture(colour: str = "red") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(out, "JPEG")
    return out.getvalue()


async def events_of(engine: AsyncEngine, ref: str) -> list[tuple[str, str, Any]]:
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT e.type, e.actor_kind, e.payload FROM dispatch.case_event AS e JOIN dispatch.dispatch_case AS c"
                " ON c.id = e.case_id WHERE c.ref = :ref ORDER BY e.seq"
            ),
            {"ref": ref},
        )
        return [(row[0], row[1], row[2]) for row in rows]


async def test_the_day_shows_the_cases_of_ones_cells_with_what_one_may_do(client: Client, engine: AsyncEngine) -> None:
    inside = (await client.post("/v1/reports", json=report())).json()
    await client.post("/v1/reports", json=report(ticket="E", lon=113.63, lat=34.75))
    async with field(client, engine) as head:
        day = (await head.get("/v1/field/day")).json()
        assert [case["case"] for case in day["cases"]] == [inside["case"]]
        (case,) = day["cases"]
        assert case["moves"][0] == "acknowledge"
        assert "return" in case["moves"]
        # What a phone's map of this country wants is some hundred metres off.
        assert abs(case["gcj02"]["lon"] - case["location"]["lon"]) > 0.001
        assert day["may_record"] is True
        assert all(len(one["code"]) > 3 for one in day["categories"])
        cells = (await head.get("/v1/field/cells")).json()["cells"]
        assert {cell["code"] for cell in cells} == {WEST, f"{WEST}001", f"{WEST}003"}
        assert [cell["code"] for cell in cells if cell["is_own"]] == [WEST]
        assert cells[0]["shape"][0][0][0] == cells[0]["shape"][0][0][-1]


async def test_an_act_delivered_twice_happens_once_and_is_answered_alike(client: Client, engine: AsyncEngine) -> None:
    ref = (await client.post("/v1/reports", json=report())).json()["case"]
    async with field(client, engine) as head:
        body = {"kind": "move", "case": ref, "seen": 1, "move": "acknowledge", "done_at": "2026-03-01T10:00:00+08:00"}
        first = await act(head, "key-00000001", **body)
        assert first.status_code == 200, first.text
        assert first.json()["status"] == "handling"
        again = await act(head, "key-00000001", **body)
        assert again.status_code == 200
        assert again.content == first.content
        assert again.headers["Idempotency-Replayed"] == "true"
        many = await asyncio.gather(
            *(
                act(head, "key-00000002", kind="move", case=ref, seen=2, move="report_back", result="修好")
                for _ in range(8)
            )
        )
        assert [one.status_code for one in many] == [200] * 8
        assert len({one.content for one in many}) == 1
        other = await act(head, "key-00000002", kind="move", case=ref, seen=2, move="report_back", result="别的")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency.other_request")
    events = await events_of(engine, ref)
    assert [kind for kind, _, _ in events] == ["case.dispatched.v1", "case.acknowledged.v1", "case.handled.v1"]
    assert [actor for _, actor, _ in events] == ["channel", "person", "person"]
    assert events[1][2]["said_at"] == "2026-03-01T10:00:00+08:00"


async def test_a_report_back_carries_photos_and_where_it_was_made(client: Client, engine: AsyncEngine) -> None:
    ref = (await client.post("/v1/reports", json=report())).json()["case"]
    async with field(client, engine) as head:
        await act(head, kind="move", case=ref, seen=1, move="acknowledge")
        said = (
            f'{{"kind":"move","case":"{ref}","seen":2,"move":"report_back","result":"已更换",'
            f'"position":{{"lon":{INSIDE[0]},"lat":{INSIDE[1] + 0.001},"coord_sys":"wgs84"}}}}'
        )
        files = [("photo", ("1.jpg", picture(), "image/jpeg")), ("photo", ("2.jpg", picture("blue"), "image/jpeg"))]
        key = {"Idempotency-Key": "photo-key-1"}
        done = await head.post("/v1/field/actions", data={"action": said}, files=files, headers=key)
        assert done.status_code == 200, done.text
        assert done.json()["photos"] == 2
        again = await head.post("/v1/field/actions", data={"action": said}, files=files, headers=key)
        assert again.content == done.content
        photos = (await head.get(f"/v1/cases/{ref}/photos")).json()["photos"]
        assert [photo["kind"] for photo in photos] == ["after", "after"]
    payload = (await events_of(engine, ref))[-1][2]
    assert 100 < payload["reported_from"]["distance_m"] < 120


async def test_a_return_lays_the_point_against_the_polygon(client: Client, engine: AsyncEngine) -> None:
    ref = (await client.post("/v1/reports", json=report())).json()["case"]
    async with field(client, engine) as head:
        done = await act(
            head,
            kind="move",
            case=ref,
            seen=1,
            move="return",
            reason="不在本网格",
            position={"lon": 113.63, "lat": 34.75, "coord_sys": "wgs84"},
        )
        assert done.status_code == 200, done.text
        assert done.json()["evidence"]["relation"] == "outside"
        assert done.json()["evidence"]["covering"] == f"{EAST}002"


async def test_nothing_is_overwritten_and_nobody_acts_for_another(client: Client, engine: AsyncEngine) -> None:
    ref = (await client.post("/v1/reports", json=report())).json()["case"]
    elsewhere = (await client.post("/v1/reports", json=report(ticket="E", lon=113.63, lat=34.75))).json()["case"]
    async with field(client, engine) as head:
        await client.post(f"/v1/cases/{ref}/moves", json={"move": "urge"}, headers={"If-Match": '"1"'})
        late = await act(head, "stale-key-1", kind="move", case=ref, seen=1, move="acknowledge")
        assert (late.status_code, late.json()["code"]) == (412, "dispatch.version_conflict")
        # The key is free again: the same act on the case as it stands is another request with another key, or mended.
        mended = await act(head, "stale-key-1", kind="move", case=ref, seen=2, move="acknowledge")
        assert mended.status_code == 200
        foreign = await act(head, kind="move", case=elsewhere, seen=1, move="acknowledge")
        assert foreign.status_code == 404
        other = await act(head, kind="move", case=ref, seen=3, move="report_back", person=str(uuid4()))
        assert (other.status_code, other.json()["code"]) == (409, "field.other_person")
        not_mine = await act(head, kind="move", case=ref, seen=3, move="close")
        assert not_mine.status_code == 403
        keyless = await head.post("/v1/field/actions", json={"kind": "move"})
        assert (keyless.status_code, keyless.json()["code"]) == (400, "field.key_required")
        bare = await act(head, kind="move")
        assert bare.status_code == 422
        assert {fault["pointer"] for fault in bare.json()["errors"]} == {"/case", "/seen", "/move"}
    assert [kind for kind, _, _ in await events_of(engine, ref)].count("case.acknowledged.v1") == 1


async def test_a_record_of_what_was_settled_is_the_persons_own_and_inside_their_cells(
    client: Client, engine: AsyncEngine
) -> None:
    place = {"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84"}
    body = {"kind": "self_handled", "category": "E0110", "text": "垃圾已清", "position": place}
    async with field(client, engine, Role.GRID_WORKER) as worker:
        first = await act(worker, "record-key-1", **body)
        assert first.status_code == 200, first.text
        assert first.json()["status"] == "self_handled"
        again = await asyncio.gather(*(act(worker, "record-key-1", **body) for _ in range(4)))
        assert {one.content for one in again} == {first.content}
        away = await act(worker, **body | {"position": place | {"lon": 113.63}})
        assert (away.status_code, away.json()["code"]) == (400, "field.not_your_area")
        nowhere = await act(worker, **body | {"category": "Z9"})
        assert nowhere.status_code == 422
    ((kind, actor, _),) = await events_of(engine, first.json()["case"])
    assert (kind, actor) == ("case.self_handled.v1", "person")


async def test_a_handler_of_a_department_records_nothing(client: Client, engine: AsyncEngine) -> None:
    place = {"lon": INSIDE[0], "lat": INSIDE[1], "coord_sys": "wgs84"}
    async with field(client, engine, Role.DEPARTMENT_HANDLER) as handler:
        refused = await act(handler, kind="self_handled", category="E0110", text="x", position=place)
        assert (refused.status_code, refused.json()["code"]) == (403, "access.move_not_yours")


async def test_a_citys_app_gets_a_short_token_for_people_of_the_field_only(
    district: District, database: str, engine: AsyncEngine, make_key: Callable[..., Awaitable[str]]
) -> None:
    await make_person(engine, "head", NewGrant(role=Role.GRID_HEAD, cell=WEST))
    await make_person(engine, "boss", NewGrant(role=Role.ADMINISTRATOR))
    app: FastAPI = create_app(Settings(database_url=database, embed_origins="https://app.city.example"))
    key = {"Authorization": f"Bearer {await make_key('app', (Scope.FIELD_TOKENS,))}"}
    plain = {"Authorization": f"Bearer {await make_key('hotline', tuple(set(ALL_SCOPES) - {Scope.FIELD_TOKENS}))}"}
    async with app.router.lifespan_context(app), browser(app) as anybody:
        assert (await anybody.post("/v1/field/tokens", json={"login": "head"}, headers=plain)).status_code == 403
        refused = await anybody.post("/v1/field/tokens", json={"login": "boss"}, headers=key)
        assert refused.json()["code"] == "field.not_for_this_role"
        assert (await anybody.post("/v1/field/tokens", json={"login": "nobody"}, headers=key)).status_code == 404
        made = await anybody.post("/v1/field/tokens", json={"login": "HEAD", "minutes": 5}, headers=key)
        assert made.status_code == 201, made.text
        assert made.json()["page"] == f"/field#token={made.json()['token']}"
        token = {"Authorization": f"Bearer {made.json()['token']}", "Origin": "null"}
        # Inside somebody else's frame there is no cookie; the header needs none, and none is set.
        day = await anybody.get("/v1/field/day", headers=token)
        assert day.json()["person"]["name"] == "Head"
        assert not anybody.cookies
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE api.session SET expires_at = now() WHERE method = 'app'"))
        await asyncio.sleep(0.6)
        assert (await anybody.get("/v1/field/day", headers=token)).status_code == 401
        assert (await anybody.get("/v1/field/day")).status_code == 401
        page = await anybody.get("/field")
        assert "frame-ancestors 'self' https://app.city.example" in page.headers["content-security-policy"]
        assert "x-frame-options" not in page.headers
        elsewhere = await anybody.get("/sign-in")
        assert "frame-ancestors 'self'" in elsewhere.headers["content-security-policy"]
        assert elsewhere.headers["x-frame-options"] == "SAMEORIGIN"


async def test_the_page_is_a_shell_without_anybodys_data(client: Client) -> None:
    page = await client.get("/field", headers={"Authorization": ""})
    assert page.status_code == 200
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert "set-cookie" not in page.headers
    kept = await client.get("/field", headers={"If-None-Match": page.headers["etag"]})
    assert kept.status_code == 304
    worker = await client.get("/field/worker.js")
    assert worker.headers["service-worker-allowed"] == "/field"
    assert "/static/field/main.js" in worker.text
