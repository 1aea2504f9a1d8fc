"""``bench tiles``: vector tiles of a city, cold and warm, beside the usual way of making them; and no slits."""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import mapbox_vector_tile
import numpy as np
import shapely
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.kept_tiles import kept_tiles
from api.migrations import upgrade
from api.settings import Settings
from bench import Profile, Result, benchmark
from bench._grid_rows import load_grid
from bench.tiling import make_tiling
from geo.storage.engine import create_engine
from geo.storage.tiles import build_tile_shapes, read_extents, read_tile
from geo.storage.uow import read_unit, write_unit
from geo.tiles import LevelExtent, TileAddress, tiles_of

LAYER, LEVEL = "cells-3", 3
_JURISDICTION = "410100"
#: The usual way: project, clip and simplify every cell each time somebody looks.
_USUAL = """
SELECT ST_AsMVT(shown, 'cells', 4096, 'geom') FROM (
    SELECT c.level, c.code, ST_AsMVTGeom(ST_Transform(c.boundary, 3857), t.box, 4096, 64) AS geom
      FROM (SELECT ST_TileEnvelope(%(z)s::int, %(x)s::int, %(y)s::int) AS box) AS t,
           LATERAL (SELECT * FROM geo.cell WHERE version_id = %(version)s::int AND level = 3
                       AND boundary && ST_Transform(t.box, 4326)) AS c) AS shown
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    client: httpx.AsyncClient
    #: What TileJSON puts behind the address of a tile.
    query: str
    forget: Callable[[], None]


@benchmark
def tiles(profile: Profile) -> Iterator[Result]:
    """Measure whole requests inside the application; prove that no edge between two cells has lost its twin."""
    columns, rows = (266, 266) if profile.full else (160, 125)
    with profile.cluster() as cluster:
        profile.database(cluster, "tiles")
        url = cluster.url("tiles")
        upgrade(url)
        yield from asyncio.run(_measure(profile, url, columns, rows))


async def _measure(profile: Profile, url: str, columns: int, rows: int) -> list[Result]:
    engine = create_engine(url, name="bench", statement_timeout_s=300)
    version = await load_grid(engine, _JURISDICTION, make_tiling(columns, rows, seed=profile.seed))
    begun = time.perf_counter()
    async with write_unit(engine) as unit:
        await build_tile_shapes(unit, version.id)
    built_s = time.perf_counter() - begun
    async with read_unit(engine) as unit:
        extent = (await read_extents(unit, version.id))[LEVEL]
    count = 400 if profile.full else 200
    dense, near = await _dense(engine, version.id, extent), _near(profile, extent, count)
    results = []
    # What making the grid has left behind belongs to no server; its collector would visit it in every request.
    gc.collect()
    gc.freeze()
    async with _serve(url) as served:
        drawn = [await _drawn(engine, version.id, address) for address in dense for _ in range(5)]
        cold = await _times(served, itertools.islice(itertools.cycle(dense), count), cold=True)
        usual = [await _usual(engine, version.id, address) for address in dense for _ in range(3)]
        note = (
            f"{extent.cells:,} cells, {len(dense)} tiles of z10 with most of them; the usual way, ST_AsMVTGeom over"
            f" projected cells: median {statistics.median(usual):.0f} ms; ours: {statistics.median(drawn):.0f} ms,"
            f" once, when the shapes are made (all levels and zooms: {built_s:.0f} s); served: {_medians(cold)}"
        )
        results.append(Result.at_most("tiles.dense.z10.cold.p99", _p99(cold), "ms", 50, note=note))
        warm = await _times(served, itertools.islice(itertools.cycle(dense), count), cold=False)
        results.append(Result.at_most("tiles.dense.z10.warm.p99", _p99(warm), "ms", 5, note=_medians(warm)))
        close = await _times(served, near, cold=True)
        results.append(Result.at_most("tiles.near.z14-z17.cold.p99", _p99(close), "ms", 5, note=_medians(close)))
        sample = [*dense[:2], *near[:20], *itertools.islice(tiles_of(extent, 12), 12)]
        slits = [await _slits(served, extent, address) for address in sample]
        results.append(Result.none_of("tiles.slits", sum(lost for lost, _ in slits), sum(edges for _, edges in slits)))
    await engine.dispose()
    return results


async def _dense(engine: AsyncEngine, version_id: int, extent: LevelExtent) -> list[TileAddress]:
    """Return the tiles of z10 that hold at least half as many cells as the fullest one."""
    found = list(tiles_of(extent, 10))
    weight = {}
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        for address in found:
            row = await (
                await driver.execute(
                    "SELECT count(*) FROM geo.cell WHERE version_id = %s AND level = 3"
                    " AND boundary && ST_Transform(ST_TileEnvelope(%s, %s, %s), 4326)",
                    (version_id, address.zoom, address.x, address.y),
                )
            ).fetchone()
            weight[address] = row[0] if row else 0
    return sorted((each for each in found if 2 * weight[each] >= max(weight.values())), key=weight.__getitem__)[::-1]


def _near(profile: Profile, extent: LevelExtent, count: int) -> list[TileAddress]:
    rng = np.random.default_rng(profile.seed)
    found = []
    for zoom in (14, 15, 16, 17):
        all_of = list(tiles_of(extent, zoom))
        found += [all_of[number] for number in rng.integers(0, len(all_of), size=count // 4)]
    rng.shuffle(found)
    return found


@asynccontextmanager
async def _serve(url: str) -> AsyncIterator[_Served]:
    app = create_app(Settings(database_url=url, jurisdiction=_JURISDICTION))
    async with (
        app.router.lifespan_context(app),
        # From this very machine no key is needed.
        httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", timeout=60) as client,
    ):
        engine = app.state.container.engine
        address = (await client.get(f"/tiles/{LAYER}.json")).json()["tiles"][0]
        query = address[address.index("?") :]
        yield _Served(client=client, query=query, forget=lambda: kept_tiles(engine).forget())


async def _times(served: _Served, addresses: Any, *, cold: bool) -> list[float]:
    """Return milliseconds per request; a cold one finds nothing kept in the process."""
    taken = []
    for number, address in enumerate(itertools.chain([TileAddress(zoom=14, x=0, y=0)], addresses)):
        if cold:
            served.forget()
        begun = time.perf_counter()
        async with served.client.stream(
            "GET", f"/tiles/{LAYER}/{address}.mvt{served.query}", headers={"Accept-Encoding": "gzip"}
        ) as answer:
            # Raw: unpacking is the reader's work, not the server's.
            async for _ in answer.aiter_raw():
                pass
        milliseconds = (time.perf_counter() - begun) * 1000
        assert answer.status_code in (200, 204)
        if number:  # the first opens the connection
            taken.append(milliseconds)
    return taken


async def _usual(engine: AsyncEngine, version_id: int, address: TileAddress) -> float:
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        begun = time.perf_counter()
        values = {"version": version_id, "z": address.zoom, "x": address.x, "y": address.y}
        await (await driver.execute(_USUAL, values, binary=True)).fetchone()
        return (time.perf_counter() - begun) * 1000


async def _drawn(engine: AsyncEngine, version_id: int, address: TileAddress) -> float:
    async with read_unit(engine) as unit:
        begun = time.perf_counter()
        await read_tile(unit, version_id, LAYER, (LEVEL,), address, with_details=False)
        return (time.perf_counter() - begun) * 1000


async def _slits(served: _Served, extent: LevelExtent, address: TileAddress) -> tuple[int, int]:
    """Count edges inside the city that only one cell has, in the tile's own units; and all edges."""
    answer = await served.client.get(f"/tiles/{LAYER}/{address}.mvt", headers={"Accept-Encoding": "identity"})
    if answer.status_code == 204:
        return 0, 0
    layer = mapbox_vector_tile.decode(answer.content, default_options={"y_coord_down": True})[LAYER]
    found: Counter[tuple[tuple[int, int], tuple[int, int]]] = Counter()
    for feature in layer["features"]:
        for polygon in shapely.get_parts(shapely.geometry.shape(feature["geometry"])):
            for ring in (polygon.exterior, *polygon.interiors):
                places = [(round(x), round(y)) for x, y in ring.coords]
                found.update((one, two) for one, two in itertools.pairwise(places) if one != two)
    inland = _inland(extent, address)
    inner = [edge for edge in found if all(_is_within(inland, place) for place in edge)]
    return sum(edge[::-1] not in found or found[edge] > 1 for edge in inner), len(inner)


def _inland(extent: LevelExtent, address: TileAddress) -> tuple[float, float, float, float]:
    """Return the part of a tile that lies more than half a cell inside the city. Units: those of the tile."""
    margin = 0.002
    side = float(2**address.zoom)

    def y(lat: float) -> float:
        return ((1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2 * side - address.y) * 4096

    west, east = (((lon + 180) / 360 * side - address.x) * 4096 for lon in (extent.west + margin, extent.east - margin))
    top, bottom = y(extent.north - margin), y(extent.south + margin)
    return max(west, 1.0), max(top, 1.0), min(east, 4095.0), min(bottom, 4095.0)


def _is_within(box: tuple[float, float, float, float], place: tuple[int, int]) -> bool:
    return box[0] < place[0] < box[2] and box[1] < place[1] < box[3]


def _p99(taken: Sequence[float]) -> float:
    return float(np.percentile(taken, 99))


def _medians(taken: Sequence[float]) -> str:
    return f"median {statistics.median(taken):.2f} ms of {len(taken)} requests"
