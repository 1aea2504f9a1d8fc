"""Vector tiles through HTTP: TileJSON, entity tags, compression, access, redraws, and many who ask at once."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import mapbox_vector_tile
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.accounts.keys import Scope
from api.kept_tiles import KeptTiles
from geo.storage.grid_versions import activate, copy_cells, create_draft, get_version, withdraw
from geo.storage.taking_effect import await_effect
from geo.storage.tile_duty import TileDuty
from geo.storage.uow import read_unit, write_unit
from geo.tiles import TileAddress
from tests.builders import CELLS, EAST, JURISDICTION, L1, WEST, cell_records

Client = httpx.AsyncClient
#: The whole district lies in it.
TILE = "/tiles/cells-3/11/1670/812.mvt"
MVT = "application/vnd.mapbox-vector-tile"


def codes(body: bytes, layer: str) -> set[str]:
    found: dict[str, Any] = mapbox_vector_tile.decode(body)
    return {feature["properties"]["code"] for feature in found[layer]["features"]}


async def redraw(engine: AsyncEngine) -> None:
    """Make a second version without the eastern half's quarters."""
    async with write_unit(engine) as unit:
        draft = await create_draft(unit, JURISDICTION, name="second", code_system="cn15", source="test")
        rows = cell_records({code: box for code, box in CELLS.items() if not (code.startswith(EAST) and code != EAST)})
        await copy_cells(unit, draft.id, rows, count=len(rows))
        version = await activate(unit, draft.id)
    await await_effect(engine, version.valid_from)


async def test_a_tile_and_its_entity_tag(client: Client) -> None:
    answer = await client.get(TILE)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MVT
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert codes(answer.content, "cells-3") == {code for code in CELLS if len(code) == 15}
    plain = await client.get(TILE, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == answer.content
    assert plain.headers["etag"] != answer.headers["etag"], "other bytes, other tag"
    for tag in (answer.headers["etag"], "W/" + plain.headers["etag"], f'"x", {answer.headers["etag"]}', "*"):
        again = await client.get(TILE, headers={"If-None-Match": tag})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["etag"]
    assert (await client.get(TILE, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_layers_and_empty_tiles(client: Client) -> None:
    for layer, expected in (("cells-1", {L1}), ("cells-2", {WEST, EAST}), ("cells", {L1, WEST, EAST})):
        answer = await client.get(TILE.replace("cells-3", layer))
        assert codes(answer.content, layer) >= expected
    empty = await client.get("/tiles/cells-3/11/0/0.mvt")
    assert empty.status_code == 204
    assert empty.content == b""
    assert (await client.get("/tiles/cells/0/0/0.mvt")).status_code == 204, "4 km are less than a unit of the world"


async def test_tilejson_leads_to_tiles_that_last(client: Client) -> None:
    answer = await client.get("/tiles/cells-3.json")
    assert answer.status_code == 200
    body = answer.json()
    assert body["tilejson"] == "3.0.0"
    assert body["bounds"] == [113.6, 34.74, 113.64, 34.78]
    assert body["vector_layers"][0]["id"] == "cells-3"
    assert body["vector_layers"][0]["fields"]["code"] == "Code of the cell"
    assert 0 <= body["minzoom"] <= body["center"][2] <= body["maxzoom"]
    address = body["tiles"][0].replace("{z}", "11").replace("{x}", "1670").replace("{y}", "812")
    tile = await client.get(address)
    assert tile.status_code == 200
    assert tile.headers["cache-control"] == "private, max-age=31536000, immutable"
    known = await client.get("/tiles/cells-3.json", headers={"If-None-Match": answer.headers["etag"]})
    assert known.status_code == 304
    chinese = await client.get("/tiles/cells.json", headers={"Accept-Language": "zh-CN"})
    assert chinese.json()["vector_layers"][0]["fields"]["code"] == "网格编码"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/tiles/cells-3/a/0/0.mvt", 400, "tiles.not_a_number"),
        ("/tiles/cells-3/3/-1/0.mvt", 400, "tiles.not_a_number"),
        ("/tiles/cells-3/3/1.5/0.mvt", 400, "tiles.not_a_number"),
        ("/tiles/cells-3/23/0/0.mvt", 400, "tiles.bad_zoom"),
        ("/tiles/cells-3/3/8/0.mvt", 400, "tiles.out_of_range"),
        ("/tiles/cells-3/3/0/8.mvt", 400, "tiles.out_of_range"),
        ("/tiles/cells-4/3/0/0.mvt", 404, "tiles.unknown_layer"),
        ("/tiles/people/3/0/0.mvt", 404, "tiles.unknown_layer"),
        ("/tiles/cells-9.json", 404, "tiles.unknown_layer"),
        ("/tiles/cells-3/3/0/0.mvt?version=7", 404, "geo.version_unknown"),
        ("/tiles/cells-3/3/0/0.mvt?version=x", 422, "request.invalid"),
        ("/tiles/cells-3/3/0/0.mvt?version=99999999999999999999", 422, "request.invalid"),
    ],
)
async def test_what_is_wrong_has_a_name(client: Client, path: str, status: int, code: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_short_way_answers_as_the_route_does(
    client: Client, make_key: Callable[..., Awaitable[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same status, headers and bytes; whatever is refused, the route refuses."""
    blind = {"Authorization": f"Bearer {await make_key('other', (Scope.REPORTS_CREATE,))}"}
    asked: list[tuple[str, dict[str, str]]] = [
        (f"{TILE}?version=1", {}),
        (f"{TILE}?version=1", {"Accept-Encoding": "identity"}),
        (f"{TILE}?version=1", {"If-None-Match": "*"}),
        ("/tiles/cells/0011/1670/812.mvt?version=1", {}),
        ("/tiles/cells-3/11/0/0.mvt?version=1", {}),
        ("/tiles/cells-9/11/0/0.mvt?version=1", {}),
        ("/tiles/cells-3/11/9999/0.mvt?version=1", {}),
        (f"{TILE}?version=1", blind),
    ]
    await client.get(f"{TILE}?version=1")  # from here on the version is known to have begun
    short = [await client.get(path, headers=headers) for path, headers in asked]
    monkeypatch.setattr("api.plain_tiles._QUERY", re.compile(b"never"))
    long = [await client.get(path, headers=headers) for path, headers in asked]
    assert [answer.status_code for answer in short] == [200, 200, 304, 200, 204, 404, 400, 403]
    for one, other in zip(short, long, strict=True):
        assert (one.status_code, one.headers, one.content) == (other.status_code, other.headers, other.content)
    monkeypatch.undo()
    monkeypatch.setattr("api.routes.tiles.parse_address", None)
    assert (await client.get(f"{TILE}?version=1")).content == short[0].content, "not by the route"


async def test_a_key_is_needed(client: Client, make_key: Callable[..., Awaitable[str]]) -> None:
    assert (await client.get(TILE, headers={"Authorization": ""})).status_code == 401
    other = await make_key("other", (Scope.REPORTS_CREATE,))
    for path in (TILE, "/tiles/cells.json"):
        assert (await client.get(path, headers={"Authorization": f"Bearer {other}"})).status_code == 403


async def test_a_redraw_is_seen_at_once_and_the_past_stays(client: Client, engine: AsyncEngine) -> None:
    before = await client.get(TILE)
    assert (await client.get(f"{TILE}?version=2")).status_code == 404
    await redraw(engine)
    after = await client.get(TILE, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    assert codes(after.content, "cells-3") == {f"{WEST}001", f"{WEST}003"}
    assert codes((await client.get(f"{TILE}?version=1")).content, "cells-3") == codes(before.content, "cells-3")
    assert (await client.get(f"{TILE}?version=2")).content == after.content


async def test_no_tiles_of_a_draft(client: Client, engine: AsyncEngine) -> None:
    async with write_unit(engine) as unit:
        await create_draft(unit, JURISDICTION, name="draft", code_system="cn15", source="test")
    answer = await client.get(f"{TILE}?version=2")
    assert (answer.status_code, answer.json()["code"]) == (404, "tiles.version_is_draft")


async def test_shapes_are_made_once_however_many_ask(client: Client, engine: AsyncEngine) -> None:
    """Forty at once, from an empty cache, with eight connections: nobody fails, and every cell is there once."""
    answers = await asyncio.gather(*(client.get(TILE) for _ in range(40)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT band, count(*) FROM geo.cell_tile_shape GROUP BY band"))
        assert [tuple(row) for row in rows] == [(2, 4)]


async def test_memory_stays_bounded(client: Client, engine: AsyncEngine) -> None:
    """The oldest goes first; an empty tile counts too."""
    body = (await client.get(TILE, headers={"Accept-Encoding": "gzip"})).content
    room = 6 * (len(gzip.compress(body)) + 300)
    async with read_unit(engine) as unit:
        version = await get_version(unit, JURISDICTION, 1)
    drawing = (version.id, version.revision)
    kept = KeptTiles(engine, room=room)
    for x in range(200):
        await kept.tile(version, "cells-3", TileAddress(zoom=11, x=1500 + x, y=812))
    assert kept._used <= room
    assert len(kept._tiles) <= room // 300
    assert (drawing, "cells-3", TileAddress(zoom=11, x=1699, y=812)) in kept._tiles
    assert (drawing, "cells-3", TileAddress(zoom=11, x=1500, y=812)) not in kept._tiles


async def test_the_worker_makes_tiles_before_anybody_looks(engine: AsyncEngine, client: Client) -> None:
    """The active version and what is scheduled; then nothing is left, and a viewer makes none."""
    async with write_unit(engine) as unit:
        draft = await create_draft(unit, JURISDICTION, name="next", code_system="cn15", source="test")
        records = cell_records()
        await copy_cells(unit, draft.id, records, count=len(records))
        await activate(unit, draft.id, at=datetime(2099, 1, 1, tzinfo=UTC))
    duty = TileDuty(engine=engine, jurisdiction=JURISDICTION)
    made = [await duty.run_once(asyncio.Event()) for _ in range(32)]
    assert made[:30].count(0) == 0
    assert made[30:] == [0, 0]
    query = text("SELECT count(*), count(DISTINCT version_id), max(built_at) FROM geo.tile_band")
    async with engine.connect() as connection:
        before = tuple((await connection.execute(query)).one())
    assert before[:2] == (30, 2)
    assert (await client.get(TILE)).status_code == 200
    async with engine.connect() as connection:
        assert tuple((await connection.execute(query)).one()) == before


async def test_a_withdrawn_version_is_drawn_anew(engine: AsyncEngine, client: Client) -> None:
    """Scheduled, looked at, withdrawn, changed, scheduled again: the same number shows the new cells."""
    async with write_unit(engine) as unit:
        draft = await create_draft(unit, JURISDICTION, name="next", code_system="cn15", source="test")
        records = cell_records()
        await copy_cells(unit, draft.id, records, count=len(records))
        await activate(unit, draft.id, at=datetime(2099, 1, 1, tzinfo=UTC))
    first = await client.get(f"{TILE}?version={draft.number}")
    assert first.status_code == 200
    assert "immutable" not in first.headers["cache-control"]
    async with write_unit(engine) as unit:
        await withdraw(unit, JURISDICTION, draft.number)
    assert (await client.get(f"{TILE}?version={draft.number}")).status_code == 404
    renamed = {"operation": "edit", "cell": f"{EAST}002", "set": {"name_en": "Renamed"}}
    assert (await client.post(f"/v1/grid/versions/{draft.number}/operations", json=renamed)).status_code == 200
    async with write_unit(engine) as unit:
        await activate(unit, draft.id, at=datetime(2098, 1, 1, tzinfo=UTC))
    second = await client.get(f"{TILE}?version={draft.number}", headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 200
    shown = mapbox_vector_tile.decode(second.content)["cells-3"]["features"]
    assert "Renamed" in {feature["properties"].get("name_en") for feature in shown}
