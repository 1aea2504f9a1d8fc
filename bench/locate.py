"""``bench locate``: the lookup in memory against PostGIS' best join and Shapely's STRtree, and equal to SQL."""

from __future__ import annotations

import gc
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from bench import Profile, Result, benchmark
from bench._locate_sql import SqlSide
from bench._ties import judge
from bench.tiling import make_tiling
from geo.coordinates import GRID_PER_DEGREE
from geo.lookup import CellBoundary, CellIndex, Kernel
from geo.lookup.index import default_kernel

Floats = npt.NDArray[np.float64]
POINTS, ON_EDGES = 1_000_000, 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Size:
    cells: int
    columns: int
    rows: int
    asked_in_sql: int
    compiled_times: float


@benchmark
def locate(profile: Profile) -> Iterator[Result]:
    """Measure batches, single lookups, the build and its memory; prove equality with SQL."""
    # A part of the points is enough for the slow side, because rates are per point; the fast ones always get them all.
    asked = POINTS if profile.full else POINTS // 5
    sizes = [_Size(cells=20_000, columns=160, rows=125, asked_in_sql=asked, compiled_times=100)]
    if profile.full:
        sizes.append(_Size(cells=200_000, columns=500, rows=400, asked_in_sql=asked, compiled_times=50))
    with profile.cluster() as cluster:
        for size in sizes:
            url = profile.database(cluster, f"locate_{size.cells}")
            yield from _measure(profile, size, url)
    grown_mb, built_s = _in_own_process(500, 400)
    yield Result.at_most(
        "locate.memory.200000",
        grown_mb,
        "MB",
        300,
        note=f"growth of a fresh process in {built_s:.1f} s",
    )


def _measure(profile: Profile, size: _Size, url: str) -> Iterator[Result]:
    rng = np.random.default_rng(profile.seed)
    tiling = make_tiling(size.columns, size.rows, seed=profile.seed)
    cells = list(tiling.cells())
    leaves = [cell for cell in cells if cell.level == 3]
    grid = tiling.points(rng, POINTS, ON_EDGES)
    rng.shuffle(grid)
    lon, lat = (np.ascontiguousarray(grid[:, axis] / GRID_PER_DEGREE) for axis in (0, 1))

    built: list[float] = []
    for _ in range(profile.rounds):
        begun = time.perf_counter()
        index = CellIndex.build(1, cells)
        built.append(time.perf_counter() - begun)
    build = statistics.median(built)
    suffix = f".{size.cells}"
    limit_s = 2.0 if size.cells == 20_000 else 20.0
    yield Result.at_most(f"locate.build{suffix}", build, "s", limit_s, note=f"{len(index):,} cells of three levels")

    index.warm_up()
    with SqlSide(url) as sql:
        sql.load(cells, lon[: size.asked_in_sql], lat[: size.asked_in_sql])
        sides: dict[str, Callable[[], object]] = {
            "sql cell by cell, points indexed first": sql.join_from_cells,
            "sql point by point on the cells' index": sql.join_from_points,
            **_tree_sides(leaves, lon, lat),
            "numpy": lambda: index.find_many(lon, lat, kernel=Kernel.NUMPY),
        }
        is_compiled = default_kernel() is Kernel.COMPILED
        if is_compiled:
            sides["compiled"] = lambda: index.find_many(lon, lat, kernel=Kernel.COMPILED)
        seconds = profile.interleave(sides)
        rate = {name: (size.asked_in_sql if name.startswith("sql") else POINTS) / seconds[name] for name in sides}
        best_sql = max((name for name in rate if name.startswith("sql")), key=rate.__getitem__)
        best_tree = max((name for name in rate if name.startswith("tree")), key=rate.__getitem__)
        promises = [("numpy", "postgis", best_sql, 12.0), ("numpy", "strtree", best_tree, 2.0)]
        if is_compiled:
            promises.append(("compiled", "postgis", best_sql, size.compiled_times))
        # The strongest rival is the measure; the others are named beside it.
        others = {
            "postgis": ", ".join(f"{name} {rate[name]:,.0f}/s" for name in rate if name.startswith("sql")),
            "strtree": ", ".join(f"{name} {rate[name]:,.0f}/s" for name in rate if name.startswith("tree")),
        }
        for kernel, rival, side, times in promises:
            id_ = f"locate.batch.{kernel}.{rival}{suffix}"
            yield Result.times_baseline(
                id_, rate[kernel], "points/s", baseline=rate[side], at_least=times, note=others[rival]
            )
        yield from _equality(suffix, index, cells, grid[: size.asked_in_sql], sql.answers(size.asked_in_sql))
    yield from _single(suffix, index, lon, lat)


def _tree_sides(leaves: list[CellBoundary], lon: Floats, lat: Floats) -> dict[str, Callable[[], object]]:
    """Shapely's two ways. It gets its points ready made, and its cells' tree built, free of charge."""
    polygons = np.array([cell.boundary for cell in leaves], dtype=object)
    shapely.prepare(polygons)
    points: Any = shapely.points(lon, lat)
    tree = shapely.STRtree(polygons)
    return {
        "tree of the cells, asked per point": lambda: tree.query(points, predicate="covered_by"),
        "tree of the points, asked per cell": lambda: shapely.STRtree(points).query(polygons, predicate="covers"),
    }


def _equality(
    suffix: str, index: CellIndex, cells: list[CellBoundary], grid: npt.NDArray[np.int64], by_sql: list[str | None]
) -> Iterator[Result]:
    lon, lat = grid[:, 0] / GRID_PER_DEGREE, grid[:, 1] / GRID_PER_DEGREE
    for kernel in Kernel:
        if kernel is Kernel.COMPILED and default_kernel() is not kernel:
            continue
        numbers = index.find_many(lon, lat, kernel=kernel).tolist()
        by_index = [index.codes[number] if number >= 0 else None for number in numbers]
        differ = [place for place in range(len(grid)) if by_index[place] != by_sql[place]]
        ties = judge(cells, grid[differ], [by_sql[place] for place in differ], [by_index[place] for place in differ])
        wrong = [tie for tie in ties if not tie.is_proven]
        listed = "; ".join(map(str, wrong[:5] or ties[:2]))
        note = f"{len(ties)} exact decimal ties proven in integers" + (f", e.g. {listed}" if listed else "")
        yield Result.none_of(f"locate.wrong.{kernel}{suffix}", len(wrong), len(grid), note=note)


def _single(suffix: str, index: CellIndex, lon: Floats, lat: Floats) -> Iterator[Result]:
    pairs = list(zip(lon[:50_000].tolist(), lat[:50_000].tolist(), strict=True))
    taken: list[int] = []
    clock = time.perf_counter_ns
    for x, y in pairs:
        begun = clock()
        index.find(x, y)
        taken.append(clock() - begun)
    p50, p99 = np.percentile(taken, (50, 99)) / 1000
    note = f"p50 {p50:.1f} µs, p99 {p99:.1f} µs; one point in ten lies exactly on an edge"
    yield Result.at_most(f"locate.single{suffix}", statistics.fmean(taken) / 1000, "µs", 10, note=note)


def _in_own_process(columns: int, rows: int) -> tuple[float, float]:
    """Build an index in a fresh process and ask how much it grew. Units: MB, seconds."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (columns, rows))


def _grown(columns: int, rows: int) -> tuple[float, float]:
    CellIndex.build(1, make_tiling(2, 2).cells())  # load every module first
    before = _resident_mb()
    begun = time.perf_counter()
    index = CellIndex.build(1, make_tiling(columns, rows).cells())
    built_s = time.perf_counter() - begun
    gc.collect()
    return _resident_mb() - before if len(index) else 0.0, built_s


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6
