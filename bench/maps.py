"""Planners' maps: counts, coloured cells and heat grids from the columns beside the database's best plan; statistics.

Quick: one million synthetic reports over two years, 40 categories, 20,000 cells; full: ten million.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import numpy as np
import psycopg
import shapely

from api.migrations import upgrade
from bench import benchmark
from bench._case_rows import CATEGORIES, DAYS, fill_cases
from bench._facts_cost import facts_cost
from bench._grid_rows import load_grid
from bench._map_writers import under_fire
from bench.profile import Profile
from bench.report import Result
from bench.tiling import Tiling, make_tiling
from geo.storage.engine import create_engine, dsn
from maps.density import estimate_density
from maps.facts.asking import Asked, Grid, day_of
from maps.facts.keeping import FactKeeper
from maps.facts.store import FactStore
from maps.findings import Period
from maps.hotspots.gi_star import find_hot_spots, gi_star
from maps.hotspots.neighbours import Kind, Neighbours, contiguous
from maps.measure_page import MeasureData, MeasureView, measure_frame
from maps.measures import CellValue, Measure, paint
from maps.outline import encode_outlines

__all__ = ["maps"]

_JURISDICTION = "410100"
_COLUMNS, _ROWS = 160, 125
_UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
_LONG_S = 0.2


@benchmark
def maps(profile: Profile) -> Iterator[Result]:
    """Measure counting, drawing and statistics."""
    count = 10_000_000 if profile.full else 1_000_000
    tiling = make_tiling(_COLUMNS, _ROWS, seed=profile.seed)
    yield from statistics_alone(profile, tiling)
    with profile.cluster(durable=True) as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        upgrade(url)
        with asyncio.Runner() as runner:
            version = runner.run(fill(url, tiling, count))
            yield from facts_beside_sql(runner, profile, url, version)
        yield facts_cost(profile, cluster)


async def fill(url: str, tiling: Tiling, count: int) -> int:
    """Write the drawing and its cases; return the drawing's number."""
    engine = create_engine(url, pool_size=4, statement_timeout_s=0, name="bench")
    try:
        version = await load_grid(engine, _JURISDICTION, tiling)
        await asyncio.to_thread(
            fill_cases,
            dsn(url),
            jurisdiction=_JURISDICTION,
            version=version.id,
            cells=_COLUMNS * _ROWS,
            count=count,
            until=_UNTIL.isoformat(),
        )
    finally:
        await engine.dispose()
    return int(version.id)


def facts_beside_sql(runner: asyncio.Runner, profile: Profile, url: str, version: int) -> Iterator[Result]:
    """Measure the columns on a filled database. Every result comes when it is known: ten million take minutes."""
    engine = create_engine(url, pool_size=4, statement_timeout_s=0, name="bench")
    try:
        keeper = FactKeeper(engine, _JURISDICTION, None)
        begun = time.perf_counter()
        store = runner.run(keeper.current())
        note = f"{len(store):,} cases, made in {time.perf_counter() - begun:.1f} s"
        yield Result.at_most("maps-bytes-per-case", store.base.bytes_per_case, "bytes", 16, note=note)
        yield _clusters(profile, store)
        yield from _drawings(profile, dsn(url), store, version)
        yield from _counts(profile, dsn(url), store)
        yield from runner.run(under_fire(profile, dsn(url), keeper))
    finally:
        runner.run(engine.dispose())


def _questions(profile: Profile, count: int) -> list[Asked]:
    chance = random.Random(profile.seed)
    last = (_UNTIL - timedelta(days=1)).date()
    asked = []
    for days in itertools.islice(itertools.cycle((7, 30, 90, 365, DAYS)), count):
        first = last - timedelta(days=days - 1 + chance.randrange(max(1, DAYS - days)))
        kinds = chance.choice((None, 1, 1, 3))
        asked.append(
            Asked(
                from_on=first,
                to_on=first + timedelta(days=days - 1),
                categories=None
                if kinds is None
                else frozenset(f"B{chance.randrange(1, CATEGORIES + 1):02}" for _ in range(kinds)),
            )
        )
    return asked


_WHERE: LiteralString = (
    " FROM dispatch.dispatch_case WHERE jurisdiction = %(jurisdiction)s"
    " AND reported_at >= %(first)s AND reported_at < %(until)s AND state NOT IN ('voided', 'declined', 'merged')"
    " AND (%(kinds)s::text[] IS NULL OR category_code = ANY (%(kinds)s::text[]))"
)
_SQL: LiteralString = "SELECT count(*)" + _WHERE
_BY_CELL: LiteralString = "SELECT cell_path[%(level)s], count(*)" + _WHERE + " GROUP BY 1"
_BY_SQUARE: LiteralString = (
    "SELECT floor(ST_X(location) / %(lon)s::float8)::int, floor(ST_Y(location) / %(lat)s::float8)::int, count(*)"
    + _WHERE
    + " GROUP BY 1, 2"
)


def _bounds(asked: Asked) -> dict[str, Any]:
    zone = timedelta(hours=8)
    return {
        "jurisdiction": _JURISDICTION,
        "first": datetime.combine(asked.from_on, datetime.min.time(), UTC) - zone,
        "until": datetime.combine(asked.to_on + timedelta(days=1), datetime.min.time(), UTC) - zone,
        "kinds": None if asked.categories is None else sorted(asked.categories),
    }


#: Plans to choose from: whatever the planner takes, and what is left without plain index scans (BRIN, or a whole scan).
_PLANS = ("", "SET enable_indexonlyscan = off; SET enable_indexscan = off; SET enable_bitmapscan = on")


def _counts(profile: Profile, url: str, store: FactStore) -> list[Result]:
    asked = _questions(profile, 40)
    apart, ours, theirs = 0, [], []
    with psycopg.connect(url, autocommit=True) as connection:
        for one in asked:
            values = _bounds(one)
            taken = []
            for plan in _PLANS:
                connection.execute("RESET ALL")
                connection.execute("SET jit = off")
                for part in filter(None, plan.split(";")):
                    connection.execute(part)
                seconds, true = _best(
                    lambda: connection.execute(_SQL, values).fetchone()[0]  # type: ignore[index]  # noqa: B023
                )
                taken.append(seconds)
            theirs.append(min(taken))
            seconds, found = _best(lambda: store.count(one))  # noqa: B023
            ours.append(seconds)
            apart += found != true
    ratio = statistics.median(t / o for t, o in zip(theirs, ours, strict=True))
    note = (
        f"median of the ratios of {len(asked)} questions; columns {1000 * statistics.median(ours):.3g} ms,"
        f" best plan {1000 * statistics.median(theirs):.3g} ms (median)"
    )
    return [
        Result.none_of("maps-counts-unequal", apart, len(asked)),
        Result(
            id="maps-count-against-sql",
            value=ratio,
            unit="× faster",
            target="≥ 80 × best plan",
            holds=ratio >= 80,
            note=note,
        ),
        Result.at_most("maps-count-p95", 1000 * _p95(ours), "ms", 100, note=f"{len(store):,} cases"),
    ]


def _best(side: Callable[[], Any]) -> tuple[float, Any]:
    """Return the shortest of three times, and the answer; what takes long is not asked more often than twice."""
    taken: list[float] = []
    for turn in range(3):
        if turn == 2 and min(taken) > _LONG_S:
            break
        begun = time.perf_counter()
        answer = side()
        taken.append(time.perf_counter() - begun)
    return min(taken), answer


def _drawings(profile: Profile, url: str, store: FactStore, version: int) -> list[Result]:
    cells: list[float] = []
    squares: list[float] = []
    theirs: dict[str, list[float]] = {"cells": [], "squares": []}
    apart = compared = 0
    with psycopg.connect(url, autocommit=True) as connection:
        for number, asked in enumerate(_questions(profile, 40)):
            grid = Grid(version_id=version, level=random.Random(str(asked)).choice((1, 2, 3)))
            begun = time.perf_counter()
            ours = store.by_cell(asked, grid, as_of=_UNTIL)
            cells.append(time.perf_counter() - begun)
            begun = time.perf_counter()
            found = store.by_square(asked, version)
            squares.append(time.perf_counter() - begun)
            if number % 5:
                continue
            values = {"level": grid.level, "lon": store.words.side_lon, "lat": store.words.side_lat, **_bounds(asked)}
            for name, query in (("cells", _BY_CELL), ("squares", _BY_SQUARE)):
                begun = time.perf_counter()
                rows = connection.execute(query, values).fetchall()
                theirs[name].append(time.perf_counter() - begun)
                compared += 1
                if name == "cells":
                    mine = {code: n for code, n in zip(ours.codes, ours.cases.tolist(), strict=True) if n}
                    apart += mine != dict(rows)
                else:
                    apart += sorted(zip(*(part.tolist() for part in found), strict=True)) != sorted(rows)
    return [
        Result.at_most("maps-choropleth-p95", 1000 * _p95(cells), "ms", 100, note=_beside(theirs["cells"])),
        Result.at_most("maps-heat-grid-p95", 1000 * _p95(squares), "ms", 100, note=_beside(theirs["squares"])),
        Result.none_of("maps-drawings-unequal", apart, compared, note="every cell and square, beside SQL"),
    ]


def _beside(theirs: list[float]) -> str:
    return f"the same in SQL {1000 * statistics.median(theirs):,.0f} ms (median of {len(theirs)})"


def _clusters(profile: Profile, store: FactStore) -> Result:
    """Ask for windows of a screen at every zoom."""
    chance = random.Random(profile.seed)
    base, words = store.base, store.words
    ever = Asked(from_on=day_of(0), to_on=day_of(65_535))
    begun = time.perf_counter()
    store.clusters(ever, 0, 10, (0, 0, 1, 1))
    first = time.perf_counter() - begun
    worst: dict[int, float] = {}
    for zoom in range(3, 20):
        taken = []
        wide, high = 1920 * 360 / 256 / 2**zoom, 1080 * 300 / 256 / 2**zoom
        for _ in range(60):
            lon = (base.west + chance.random() * base.width) * words.side_lon
            lat = (base.south + chance.random() * base.height) * words.side_lat
            window = (lon - wide / 2, lat - high / 2, lon + wide / 2, lat + high / 2)
            begun = time.perf_counter()
            store.clusters(ever, 0, zoom, window)
            taken.append(time.perf_counter() - begun)
        worst[zoom] = float(np.quantile(np.array(taken), 0.99))
    zoom = max(worst, key=lambda each: worst[each])
    note = f"worst at zoom {zoom}; zooms 3–19, 1920 × 1080; pyramid made in {first:.2f} s"
    return Result.at_most("maps-clusters-p99", 1000 * worst[zoom], "ms", 20, note=note)


def _p95(taken: list[float]) -> float:
    return float(np.quantile(np.array(taken), 0.95))


def statistics_alone(profile: Profile, tiling: Tiling) -> Iterator[Result]:
    """Measure what needs no database: neighbours, Gi*, chance maps, densities, the page."""
    leaves = [cell for cell in tiling.cells() if cell.level == 3]
    boundaries = [cell.boundary for cell in leaves]
    begun = time.perf_counter()
    around = contiguous(boundaries)
    yield Result.at_most("maps-neighbours", time.perf_counter() - begun, "s", 1, note=f"{len(leaves):,} cells")
    rng = np.random.default_rng(profile.seed)
    values = rng.negative_binomial(3, 0.02, len(leaves)).astype(np.float64)
    taken, _ = _best(lambda: gi_star(values, around))
    yield Result.at_most("maps-gi-star-analytic", 1000 * taken, "ms", 50)
    taken, _ = _best(lambda: find_hot_spots(values, around, permutations=9_999))
    yield Result.at_most("maps-gi-star-9999", taken, "s", 5, note="9,999 permutations, adjusted")
    yield _chance(rng)
    yield from _density(rng)
    yield _page(boundaries, values, around)


def _chance(rng: np.random.Generator) -> Result:
    boxes = [shapely.box(i * 0.01, j * 0.01, (i + 1) * 0.01, (j + 1) * 0.01) for i in range(20) for j in range(20)]
    around = contiguous(boxes)
    coloured = sum(
        bool(find_hot_spots(rng.poisson(mean, 400).astype(np.float64), around, seed=k).tones.any())
        for k, mean in enumerate(itertools.islice(itertools.cycle((0.5, 2, 8, 40)), 1000))
    )
    return Result.at_most("maps-chance-coloured", coloured / 10, "% of 1,000", 6, note="20 × 20 cells, Poisson")


def _density(rng: np.random.Generator) -> Iterator[Result]:
    n, bandwidth = 1_000_000, 200.0
    centres = rng.uniform(0, 20_000, (60, 2))
    points = centres[rng.integers(0, 60, n)] + rng.normal(0, 900, (n, 2))
    taken, density = _best(lambda: estimate_density(points[:, 0], points[:, 1], bandwidth_m=bandwidth))
    yield Result.at_most("maps-density-1m", taken, "s", 0.3, note="one million points")
    rows, columns = density.per_km2.shape
    worst = 0.0
    for row, column in zip(rng.integers(0, rows, 60), rng.integers(0, columns, 60), strict=True):
        x, y = density.west_m + column * density.step_m, density.south_m + row * density.step_m
        squared = (points[:, 0] - x) ** 2 + (points[:, 1] - y) ** 2
        exact = np.exp(-squared / (2 * bandwidth**2)).sum() / (2 * np.pi * bandwidth**2) * 1e6
        worst = max(worst, abs(exact - density.per_km2[row, column]))
    yield Result.at_most("maps-density-error", worst / density.peak_per_km2, "of the peak", 1e-6, note="60 places")


def _page(boundaries: list[Any], values: np.ndarray[Any, Any], around: Neighbours) -> Result:
    cells = [
        CellValue(code=f"4101{k:011}", name=f"网格 {k}", population=300, area_m2=58_000.0, cases=int(value))
        for k, value in enumerate(values)
    ]
    found = find_hot_spots(values, around)
    day = _UNTIL.date()
    view = MeasureView(
        period=Period(from_on=day - timedelta(days=29), to_on=day),
        measure=Measure.HOT_SPOTS,
        level=3,
        weights=Kind.CONTIGUITY,
    )
    data = MeasureData(
        cells=cells,
        outlines=encode_outlines(boundaries),
        parents=[],
        painted=paint("zh-CN", Measure.HOT_SPOTS, cells, found),
        found=found,
        reason=None,
        elsewhere=0,
        compared=None,
        as_of=_UNTIL,
        today=day,
        time_zone="Asia/Shanghai",
        place="",
        grid_name="bench",
        categories=[],
        choices={},
        levels=(1, 2, 3),
    )
    size = len(measure_frame("zh-CN", view, data).encode()) / 1e6
    return Result.at_most("maps-page-20000", size, "MB", 1.5, note=f"{len(cells):,} cells")
