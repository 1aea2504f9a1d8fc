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
from typing import Any

import numpy as np
import psycopg
import shapely
from sqlalchemy.ext.asyncio import AsyncEngine

from api.migrations import upgrade
from bench import benchmark
from bench._case_rows import CATEGORIES, CHANNELS, DAYS, fill_cases
from bench._grid_rows import load_grid
from bench.profile import Profile
from bench.report import Result
from bench.tiling import Tiling, make_tiling
from geo.storage.engine import create_engine, dsn
from maps.density import estimate_density
from maps.facts.asking import Asked, Grid
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
_WRITERS = 50
_UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


@benchmark
def maps(profile: Profile) -> Iterator[Result]:
    """Measure counting, drawing and statistics."""
    count = 10_000_000 if profile.full else 1_000_000
    tiling = make_tiling(_COLUMNS, _ROWS, seed=profile.seed)
    with profile.cluster() as cluster:
        cluster.create_database("bench")
        url = cluster.url("bench")
        upgrade(url)
        yield from asyncio.run(_measure(profile, url, tiling, count))
    yield from _statistics(profile, tiling)


async def _measure(profile: Profile, url: str, tiling: Tiling, count: int) -> list[Result]:
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
        keeper = FactKeeper(engine, _JURISDICTION, None)
        begun = time.perf_counter()
        store = await keeper.current()
        note = f"{store.base.bytes_per_case:g} bytes a case, made in {time.perf_counter() - begun:.1f} s"
        results = [Result.at_most("maps-bytes-per-case", store.base.bytes_per_case, "bytes", 16, note=note)]
        results += await asyncio.to_thread(_counts, profile, dsn(url), store, count)
        results += await asyncio.to_thread(_drawings, profile, store, version.id)
        results += await _under_fire(profile, url, engine, keeper, version.id)
        return results
    finally:
        await engine.dispose()


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


_SQL = (
    "SELECT count(*) FROM dispatch.dispatch_case WHERE jurisdiction = %s AND reported_at >= %s AND reported_at < %s"
    " AND state NOT IN ('voided', 'declined', 'merged') AND (%s::text[] IS NULL OR category_code = ANY (%s::text[]))"
)
#: Plans to choose from: whatever the planner takes, and what is left without plain index scans (BRIN, or a whole scan).
_PLANS = ("", "SET enable_indexonlyscan = off; SET enable_indexscan = off; SET enable_bitmapscan = on")


def _counts(profile: Profile, url: str, store: FactStore, count: int) -> list[Result]:
    asked = _questions(profile, 60 if profile.full else 40)
    apart, ours, theirs = 0, [], []
    with psycopg.connect(url, autocommit=True) as connection:
        for one in asked:
            zone = timedelta(hours=8)
            first = datetime.combine(one.from_on, datetime.min.time(), UTC) - zone
            until = datetime.combine(one.to_on + timedelta(days=1), datetime.min.time(), UTC) - zone
            kinds = None if one.categories is None else sorted(one.categories)
            taken = []
            for plan in _PLANS:
                connection.execute("RESET ALL")
                connection.execute("SET jit = off")
                for part in filter(None, plan.split(";")):
                    connection.execute(part)
                seconds, true = _best(
                    lambda: connection.execute(_SQL, (_JURISDICTION, first, until, kinds, kinds)).fetchone()[0]  # type: ignore[index]  # noqa: B023
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
        Result.at_most("maps-count-p95", 1000 * _p95(ours), "ms", 100, note=f"{count:,} cases"),
    ]


def _best(side: Callable[[], Any]) -> tuple[float, Any]:
    """Return the shortest of three times, and the answer."""
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        answer = side()
        taken.append(time.perf_counter() - begun)
    return min(taken), answer


def _drawings(profile: Profile, store: FactStore, version: int) -> list[Result]:
    cells: list[float] = []
    squares: list[float] = []
    for asked in _questions(profile, 40):
        grid = Grid(version_id=version, level=random.Random(str(asked)).choice((1, 2, 3)))
        for taken, draw in (
            (cells, lambda: store.by_cell(asked, grid, as_of=_UNTIL)),  # noqa: B023
            (squares, lambda: store.by_square(asked, version)),  # noqa: B023
        ):
            begun = time.perf_counter()
            draw()
            taken.append(time.perf_counter() - begun)
    return [
        Result.at_most("maps-choropleth-p95", 1000 * _p95(cells), "ms", 100),
        Result.at_most("maps-heat-grid-p95", 1000 * _p95(squares), "ms", 100),
    ]


def _p95(taken: list[float]) -> float:
    return float(np.quantile(np.array(taken), 0.95))


_REPORT = """
WITH made AS (
  INSERT INTO dispatch.dispatch_case (id, jurisdiction, ref, origin, channel_code, ticket, category_code, location,
    grid_version_id, cell_id, cell_path, located_how, state, reported_at)
  SELECT gen_random_uuid(), c.jurisdiction, 'W' || gen_random_uuid(), 'live', %(channel)s, gen_random_uuid()::text,
         %(category)s, c.location, c.grid_version_id, c.cell_id, c.cell_path, 'covers', 'reported', now()
    FROM (SELECT * FROM dispatch.dispatch_case LIMIT 1) AS c RETURNING id)
INSERT INTO dispatch.case_event (case_id, seq, type, moves, to_state, occurred_at, actor_kind)
SELECT id, 1, 'case.reported.v1', '{report}', 'reported', now(), 'channel' FROM made
"""


async def _under_fire(
    profile: Profile, url: str, engine: AsyncEngine, keeper: FactKeeper, version: int
) -> list[Result]:
    """Fifty writers report; one more asks after each of its own commits when its report is counted."""
    ends = time.perf_counter() + (20 if profile.full else 6)
    written = 0

    async def write(number: int) -> None:
        nonlocal written
        async with await psycopg.AsyncConnection.connect(dsn(url), autocommit=True) as connection:
            while time.perf_counter() < ends:
                category = f"B{1 + (number + written) % (CATEGORIES - 1):02}"
                await connection.execute(_REPORT, {"channel": f"b{1 + number % CHANNELS}", "category": category})
                written += 1

    probe = Asked(
        from_on=(datetime.now(UTC) - timedelta(days=2)).date(),
        to_on=(datetime.now(UTC) + timedelta(days=2)).date(),
        categories=frozenset({f"B{CATEGORIES}"}),
    )
    delays = []

    async def ask() -> None:
        known = (await keeper.current()).count(probe)
        async with await psycopg.AsyncConnection.connect(dsn(url), autocommit=True) as connection:
            while time.perf_counter() < ends:
                await connection.execute(_REPORT, {"channel": "b1", "category": f"B{CATEGORIES}"})
                known += 1
                committed = time.perf_counter()
                while (await keeper.current()).count(probe) < known:
                    await asyncio.sleep(0.005)
                delays.append(time.perf_counter() - committed)

    async with asyncio.TaskGroup() as busy:
        for number in range(_WRITERS):
            busy.create_task(write(number))
        busy.create_task(ask())
    cases, apart = await keeper.verify()
    note = f"{written:,} reports by {_WRITERS} writers, {len(delays)} asked after"
    return [
        Result.at_most("maps-new-report-counted", max(delays, default=0.0), "s", 2, note=note),
        Result.none_of("maps-unequal-after-writers", len(apart), cases),
    ]


def _statistics(profile: Profile, tiling: Tiling) -> Iterator[Result]:
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
