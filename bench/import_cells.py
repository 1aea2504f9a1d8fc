"""``bench import_cells``: a city's cells from the file into the database, with the whole coverage proof.

One fresh process reads GeoJSON, checks every ring and code, proves every family, measures and writes a draft version;
its wall clock and peak memory are the promise. Beside it stand the same proof by areas (one union and two differences a
family, as any GIS does it) and a count of planted faults that were missed.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from api.migrations import upgrade
from bench import Profile, Result, benchmark
from bench.tiling import make_tiling
from geo.coordinates import GRID_PER_DEGREE, CoordSys, snap_to_grid
from geo.coverage import CoverageCell, check_coverage
from geo.importing import cells as importing
from geo.importing.attributes import LevelRule, parse_mapping
from geo.importing.measures import area_m2
from geo.importing.plan import CellImportOptions
from geo.importing.tree import ParentRule
from geo.storage.engine import create_engine

CITY = 70_818
_LIMIT_S, _LIMIT_MB = 60.0, 2_000.0
_LENGTHS = {9: 1, 12: 2, 15: 3}


@benchmark
def import_cells(profile: Profile) -> Iterator[Result]:
    """Time and memory of the whole path; the proof against areas; planted faults."""
    columns, rows = (267, 266) if profile.full else (80, 80)
    cells = city(columns, rows, seed=profile.seed)
    share = min(1.0, len(cells) / CITY)
    with tempfile.TemporaryDirectory(prefix="gridward-bench-") as folder, profile.cluster(durable=True) as cluster:
        file = Path(folder) / "city.geojson"
        _write(file, cells)
        profile.database(cluster)
        url = cluster.url("bench")
        upgrade(url)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            run = pool.apply(_import, (str(file), url))
        size = f"{len(cells):,} cells, {file.stat().st_size / 1e6:,.0f} MB"
    yield Result.at_most(
        "import_cells.seconds", run.seconds, "s", _LIMIT_S * share, note=f"{size}, {run.stored:,} stored; {run.stages}"
    )
    yield Result.at_most("import_cells.memory", run.peak_mb, "MB", _LIMIT_MB, note="peak of the importing process")
    yield Result.none_of("import_cells.unproven", run.unproven, run.families, note="families of the exact grid")
    yield from _proof(profile, cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    seconds: float
    peak_mb: float
    stored: int
    unproven: int
    families: int
    stages: str


def city(columns: int, rows: int, *, seed: int) -> list[CoverageCell]:
    """Cells of three levels with 15-digit codes, exact on the grid."""
    found: list[CoverageCell] = []
    code_of: dict[int | None, str] = {None: "410102"}
    children: dict[int | None, int] = defaultdict(int)
    for cell in make_tiling(columns, rows, seed=seed).cells():
        children[cell.parent_id] += 1
        parent = code_of[cell.parent_id]
        code_of[cell.cell_id] = code = f"{parent}{children[cell.parent_id]:03d}"
        found.append(
            CoverageCell(code=code, level=cell.level, parent=parent if cell.level > 1 else None, boundary=cell.boundary)
        )
    return found


def _write(file: Path, cells: list[CoverageCell]) -> None:
    with file.open("w", encoding="utf-8") as stream:
        stream.write('{"type":"FeatureCollection","features":[')
        for number, cell in enumerate(cells):
            properties = {"code": cell.code, "name": f"网格{cell.code[6:]}", "population": 400}
            stream.write(
                f'{"," if number else ""}{{"type":"Feature","properties":{json.dumps(properties, ensure_ascii=False)},'
                f'"geometry":{shapely.to_geojson(cell.boundary)}}}\n'
            )
        stream.write("]}")


def _import(file: str, url: str) -> _Run:
    options = CellImportOptions(
        mapping=parse_mapping("code=code,name_zh=name,population=population"),
        coord_sys=CoordSys.WGS84,
        levels=LevelRule(by_length=_LENGTHS),
        parents=ParentRule.CODE,
        code_system="cn15",
    )
    marks: dict[str, float] = {}
    begun = time.perf_counter()

    def tell(stage: str, _done: int, _total: int) -> None:
        marks[stage] = time.perf_counter() - begun

    async def run() -> tuple[int, int, int]:
        engine = create_engine(url, pool_size=2, statement_timeout_s=0, name="bench")
        try:
            found = await importing.import_cells(
                engine, Path(file), options, importing.VersionTarget(jurisdiction="410100"), progress=tell
            )
            async with engine.connect() as connection:
                stored = await connection.exec_driver_sql("SELECT count(*) FROM geo.cell")
                report = found.plan.coverage
                assert report is not None
                return int(stored.scalar_one()), report.families - report.proven_by_edges, report.families
        finally:
            await engine.dispose()

    stored, unproven, families = asyncio.run(run())
    seconds = time.perf_counter() - begun
    return _Run(
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        stored=stored,
        unproven=unproven,
        families=families,
        stages=", ".join(f"{stage} done at {at:.1f} s" for stage, at in marks.items()),
    )


def _proof(profile: Profile, cells: list[CoverageCell]) -> Iterator[Result]:
    seconds = profile.interleave({"edges": lambda: check_coverage(cells, area_m2), "areas": lambda: _by_areas(cells)})
    rate = {name: len(cells) / taken for name, taken in seconds.items()}
    yield Result.times_baseline(
        "import_cells.proof",
        rate["edges"],
        "cells/s",
        baseline=rate["areas"],
        at_least=1.0,
        note="baseline: union and two differences a family, in floating point",
    )
    tries = 400 if profile.full else 100
    rng = np.random.default_rng(profile.seed)
    missed, planted = 0, list(cells)
    leaves = [index for index, cell in enumerate(cells) if cell.level == 3]
    hit = rng.choice(leaves, size=tries, replace=False).tolist()
    for index in hit:
        planted[index] = replace(cells[index], boundary=_nudged(cells[index].boundary, rng))
    report = check_coverage(planted, area_m2, tolerance_m2=0.0)
    told = {finding.parent for finding in report.findings}
    missed = sum(cells[index].parent not in told for index in hit)
    yield Result.none_of("import_cells.missed", missed, tries, note="one vertex moved by 1 cm to 5 m, all in one grid")


def _nudged(boundary: shapely.MultiPolygon, rng: np.random.Generator) -> shapely.MultiPolygon:
    ring = shapely.get_coordinates(boundary)[:-1]
    place = int(rng.integers(len(ring)))
    while True:
        moved = ring.copy()
        angle, far = rng.uniform(0, 2 * np.pi), 10 ** rng.uniform(0.3, 2.7)
        moved[place] = snap_to_grid(moved[place] + np.array([np.cos(angle), np.sin(angle)]) * far / GRID_PER_DEGREE)
        shape = shapely.Polygon(moved)
        if shape.is_valid and not shape.equals(shapely.Polygon(ring)):
            return shapely.MultiPolygon([shape])


def _by_areas(cells: list[CoverageCell]) -> float:
    by_code = {cell.code: cell for cell in cells}
    families: dict[str | None, list[BaseGeometry]] = defaultdict(list)
    for cell in cells:
        families[cell.parent].append(cell.boundary)
    wrong = 0.0
    for parent, shapes in families.items():
        whole = shapely.union_all(np.array(shapes, dtype=object))
        wrong += sum(shape.area for shape in shapes) - whole.area
        if parent is not None:
            outline = by_code[parent].boundary
            wrong += shapely.difference(outline, whole).area + shapely.difference(whole, outline).area
    return wrong
