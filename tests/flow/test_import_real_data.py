"""Real boundaries and reports where ``shared/data`` lies beside the project, small own files always."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj import Transformer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.importing.reports import ReportImport, ReportImportOptions, import_reports
from dispatch.importing.rows import Rejection
from geo.coordinates import CoordSys
from geo.errors import ConflictError, NotFoundError
from geo.importing.attributes import LevelRule, parse_mapping
from geo.importing.cells import CellImport, ImportRejectedError, VersionTarget, import_cells
from geo.importing.plan import CellImportOptions
from geo.storage.grid_versions import activate, find_active
from geo.storage.uow import read_unit, write_unit

OWN = Path(__file__).resolve().parents[1] / "data"
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
ZURICH, ZHENGZHOU = "000261", "410100"
ZURICH_MAP = parse_mapping("code=kuerzel,name_en=name")


def where_there(*names: str) -> list[str]:
    """Own small files always; real ones where they are."""
    return [name for name in names if (REAL / name).exists()]


async def rows(engine: AsyncEngine, statement: str, **params: Any) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(text(statement), params)).all())


async def zurich_cells(engine: AsyncEngine, name: str, jurisdiction: str = ZURICH) -> CellImport:
    is_metric = "2056" in name
    options = CellImportOptions(
        mapping=ZURICH_MAP,
        coord_sys=None if is_metric else CoordSys.WGS84,
        crs="EPSG:2056" if is_metric else None,
        levels=LevelRule(constant=1),
    )
    target = VersionTarget(jurisdiction=jurisdiction, activate=True, time_zone="Europe/Zurich")
    folder = OWN if name.startswith("own_") else REAL
    return await import_cells(engine, folder / name, options, target)


def describe(rejection: Rejection) -> str:
    return f"because {rejection.code}"


ZURICH_PAIRS = [("own_zurich_like_epsg2056.geojson", "own_zurich_like_wgs84.geojson")]
if where_there("zurich_districts_epsg2056.geojson.gz", "zurich_districts_wgs84.geojson.gz"):
    ZURICH_PAIRS.append(("zurich_districts_epsg2056.geojson.gz", "zurich_districts_wgs84.geojson.gz"))


@pytest.mark.parametrize(("metric", "degrees"), ZURICH_PAIRS)
async def test_two_coordinate_systems_give_the_same_cells(engine: AsyncEngine, metric: str, degrees: str) -> None:
    first = await zurich_cells(engine, metric)
    second = await zurich_cells(engine, degrees)
    assert first.version is not None
    assert second.version is not None
    assert first.plan.coverage is not None
    assert first.plan.coverage.is_proven
    different = await rows(
        engine,
        "SELECT a.code FROM geo.cell a FULL JOIN geo.cell b ON a.code = b.code AND b.version_id = :second"
        " WHERE a.version_id = :first AND (b.id IS NULL OR NOT ST_OrderingEquals(a.boundary, b.boundary)"
        "    OR a.area_m2 <> b.area_m2 OR a.name_en <> b.name_en)",
        first=first.version.id,
        second=second.version.id,
    )
    assert different == []
    # The second import retired the first at its own instant: no moment has two versions, none has none.
    versions = await rows(
        engine, "SELECT number, status, valid_from, valid_until FROM geo.grid_version ORDER BY number"
    )
    assert [(each.status, each.valid_until is None) for each in versions] == [("published", False), ("published", True)]
    assert versions[0].valid_until == versions[1].valid_from


REPORTS = [("own_zurich_like_wgs84.geojson", "own_reports.csv", 7)]
if where_there("zurich_zueriwieneu_2016_2025.csv.gz"):
    REPORTS.append(("zurich_districts_wgs84.geojson.gz", "zurich_zueriwieneu_2016_2025.csv.gz", 5000))


def zurich_options(tmp_path: Path, **changes: Any) -> ReportImportOptions:
    return ReportImportOptions(
        **{
            "columns": "ticket=row,reported_at=date,category=service_code,lon=lon,lat=lat",
            "jurisdiction": ZURICH,
            "channel": "zueriwieneu",
            "coord_sys": CoordSys.WGS84,
            "categories": "auto",
            "rejects": tmp_path / "rejects.csv",
            **changes,
        }
    )


@pytest.mark.parametrize(("cells", "reports", "batch"), REPORTS)
async def test_every_report_lies_where_shapely_puts_it(
    engine: AsyncEngine, tmp_path: Path, cells: str, reports: str, batch: int
) -> None:
    source = (OWN if reports.startswith("own_") else REAL) / reports
    stored = await zurich_cells(engine, cells)
    found = await import_reports(engine, source, zurich_options(tmp_path, batch=batch), describe)
    with gzip.open(source, "rt") if source.suffix == ".gz" else source.open() as stream:
        given = list(csv.DictReader(stream))
    assert (found.rows, found.added, sum(found.rejected.values())) == (len(given), len(given), 0)
    assert found.rejects is None

    # An independent computation: the file's own polygons, not ours, and Shapely's tree, not PostGIS.
    path = (OWN if cells.startswith("own_") else REAL) / cells
    features = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())["features"]
    codes = [feature["properties"]["kuerzel"] for feature in features]
    polygons = shapely.from_geojson([json.dumps(feature["geometry"]) for feature in features])
    points = shapely.points([(float(row["lon"]), float(row["lat"])) for row in given])
    expected: dict[str, str] = {}
    for point, cell in np.column_stack(shapely.STRtree(polygons).query(points, predicate="covered_by")).tolist():
        ticket = given[point]["row"]
        expected[ticket] = min(expected.get(ticket, codes[cell]), codes[cell])
    located = {
        row.ticket: row.code
        for row in await rows(engine, "SELECT ticket, cell_path[1] AS code FROM dispatch.dispatch_case")
    }
    assert {ticket: code for ticket, code in located.items() if code is not None} == expected
    assert found.located["covers"] == len(expected)
    assert stored.version is not None
    # The bulk form of the tie rule and the function that intake uses agree row by row.
    clash = await rows(
        engine,
        "SELECT ticket FROM dispatch.dispatch_case c"
        " LEFT JOIN LATERAL geo.covering_cell(:version, c.location) f ON true"
        " WHERE c.cell_id IS DISTINCT FROM f.id",
        version=stored.version.id,
    )
    assert clash == []
    events = await rows(
        engine, "SELECT count(*), count(DISTINCT case_id), min(type), max(type) FROM dispatch.case_event"
    )
    assert tuple(events[0]) == (len(given), len(given), "case.imported.v1", "case.imported.v1")

    again = await import_reports(engine, source, zurich_options(tmp_path, batch=batch), describe)
    assert (again.added, again.already_there, sum(again.rejected.values())) == (0, len(given), 0)


@pytest.mark.parametrize(
    "name",
    [
        "own_townships.geojson",
        *where_there("zhengzhou_townships_2000.geojson.gz", "zhengzhou_townships_2000_original_epsg3395.zip"),
    ],
)
async def test_townships_become_a_two_level_nest_by_code(engine: AsyncEngine, name: str) -> None:
    is_own = name.startswith("own_")
    has_crs = name.endswith(".zip")
    options = CellImportOptions(
        mapping=parse_mapping("code=gbcode,name_en=ename,population=TotalPop"),
        coord_sys=None if has_crs else CoordSys.WGS84,
        levels=LevelRule(constant=2),
        dissolve={6: 1},
    )
    target = VersionTarget(jurisdiction=ZHENGZHOU, activate=True)
    found = await import_cells(engine, (OWN if is_own else REAL) / name, options, target)
    assert found.plan.coverage is not None
    assert found.plan.coverage.is_proven
    levels = await rows(
        engine,
        "SELECT c.level, count(*) AS cells, sum(c.area_m2) AS area_m2, sum(c.population) AS population,"
        " bool_and(ST_IsValid(c.boundary)) AS is_valid, bool_and(ST_Contains(c.boundary, c.label_point)) AS has_label,"
        " bool_and(p.id IS NULL OR (left(c.code, 6) = p.code AND ST_Covers(p.boundary, c.boundary)"
        "          AND c.path = ARRAY[p.code, c.code])) AS is_nested"
        " FROM geo.cell c LEFT JOIN geo.cell p ON p.id = c.parent_id GROUP BY c.level ORDER BY c.level",
    )
    assert [each.cells for each in levels] == ([2, 4] if is_own else [12, 160])
    assert all(each.is_valid and each.has_label and each.is_nested for each in levels)
    assert levels[0].population == levels[1].population
    assert levels[0].area_m2 == pytest.approx(levels[1].area_m2, rel=1e-12)


DIRTY = [(OWN / "own_dirty.csv", "closed_at=closed,due_at=due")]
if where_there("nyc311_sample_924.csv.gz"):
    DIRTY.append((REAL / "nyc311_sample_924.csv.gz", "closed_at=closed,due_at=due"))


def faults_counted_otherwise(path: Path) -> dict[int, str]:
    """Count the bad rows of a New York file with nothing but the csv module; local wall-clock comparison suffices."""
    bad: dict[int, str] = {}
    seen: set[str] = set()
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        for number, row in enumerate(csv.DictReader(stream), 1):
            if not row["created"]:
                bad[number] = "report.reported_at_missing"
            elif row["closed"] and row["closed"] < row["created"]:
                bad[number] = "report.closed_before_reported"
            elif not row["lat"] and not row["lon"]:
                bad[number] = "report.position_missing"
            elif row["key"] in seen:
                bad[number] = "report.ticket_repeated"
            else:
                seen.add(row["key"])
    return bad


@pytest.mark.parametrize(("path", "columns"), DIRTY)
@pytest.mark.parametrize("batch", [3, 1000])
async def test_reject_file_names_every_bad_row(
    engine: AsyncEngine, tmp_path: Path, path: Path, columns: str, batch: int
) -> None:
    if batch == 3 and path.suffix == ".gz":
        batch = 300  # three hundred transactions show no more than three
    await zurich_cells(engine, "own_zurich_like_wgs84.geojson")
    options = zurich_options(
        tmp_path,
        columns=f"ticket=key,reported_at=created,category=type,lon=lon,lat=lat,status=status,text=descriptor,{columns}",
        channel="nyc311",
        statuses="Closed=closed,In Progress=open,Open=open",
        time_zone="America/New_York",
        batch=batch,
    )
    expected = faults_counted_otherwise(path)
    for _ in range(2):  # the second run rejects the same rows and adds nothing
        found = await import_reports(engine, path, options, describe)
        assert found.rejects is not None
        with found.rejects.open(encoding="utf-8-sig", newline="") as stream:
            named = {int(row["row"]): row["reason_code"] for row in csv.DictReader(stream)}
        assert named == expected
    assert found.already_there == found.rows - len(expected)
    cases = await rows(engine, "SELECT state, located_how, nearest IS NOT NULL AS has_near FROM dispatch.dispatch_case")
    assert len(cases) == found.rows - len(expected)
    assert {each.state for each in cases} == {"closed", "reported"}
    assert all(each.has_near == (each.state == "reported") for each in cases if each.located_how == "out_of_grid")


async def test_refused_file_leaves_nothing_behind(engine: AsyncEngine) -> None:
    options = CellImportOptions(
        mapping=parse_mapping("code=code"), coord_sys=CoordSys.WGS84, levels=LevelRule(constant=1)
    )
    with pytest.raises(ImportRejectedError) as caught:
        await import_cells(
            engine, OWN / "bad_cells" / "bow_tie.geojson", options, VersionTarget(jurisdiction=ZHENGZHOU)
        )
    assert [fault.feature for fault in caught.value.plan.faults] == [2]
    assert await rows(engine, "SELECT 1 FROM geo.jurisdiction UNION ALL SELECT 1 FROM geo.grid_version") == []


async def test_dry_run_writes_nothing_and_a_draft_is_not_current(engine: AsyncEngine) -> None:
    options = CellImportOptions(mapping=ZURICH_MAP, coord_sys=CoordSys.WGS84, levels=LevelRule(constant=1))
    file = OWN / "own_zurich_like_wgs84.geojson"
    tried = await import_cells(engine, file, options, VersionTarget(jurisdiction=ZURICH), dry_run=True)
    assert tried.version is None
    assert await rows(engine, "SELECT 1 FROM geo.jurisdiction") == []
    draft = await import_cells(engine, file, options, VersionTarget(jurisdiction=ZURICH))
    assert draft.version is not None
    async with read_unit(engine) as unit:
        assert await find_active(unit, ZURICH) is None
    with pytest.raises(NotFoundError, match="no_active_version"):
        await import_reports(engine, OWN / "own_reports.csv", zurich_options(Path()), describe)
    async with write_unit(engine) as unit:
        await activate(unit, draft.version.id)
    with pytest.raises(ConflictError, match="version_not_draft"):
        async with write_unit(engine) as unit:
            await activate(unit, draft.version.id)


async def test_import_that_was_cut_off_is_continued(engine: AsyncEngine, tmp_path: Path) -> None:
    await zurich_cells(engine, "own_zurich_like_wgs84.geojson")

    class CutOffError(Exception):
        pass

    def stop_after_two_batches(so_far: ReportImport) -> None:
        if so_far.rows >= 4:
            raise CutOffError

    options = zurich_options(tmp_path, batch=2)
    with pytest.raises(CutOffError):
        await import_reports(engine, OWN / "own_reports.csv", options, describe, progress=stop_after_two_batches)
    assert (await rows(engine, "SELECT count(*) FROM dispatch.dispatch_case"))[0][0] == 4
    found = await import_reports(engine, OWN / "own_reports.csv", options, describe)
    assert (found.already_there, found.added) == (4, found.rows - 4)
    names = await rows(engine, "SELECT code_system, name_zh, code FROM dispatch.category ORDER BY code")
    assert Counter(each.code_system for each in names) == {"zueriwieneu": len(names)}
    assert [each.code for each in names] == [f"X{number:04d}" for number in range(1, len(names) + 1)]


def test_own_metric_file_is_the_other_ones_image() -> None:
    """The two own files were made from each other; this keeps them so."""
    there = Transformer.from_crs(2056, 4326, always_xy=True)
    metric, degrees = (
        shapely.from_geojson((OWN / f"own_zurich_like_{name}.geojson").read_text(encoding="utf-8"))
        for name in ("epsg2056", "wgs84")
    )
    moved = shapely.transform(metric, lambda pairs: np.column_stack(there.transform(pairs[:, 0], pairs[:, 1])))
    assert shapely.equals_exact(moved, degrees, 1e-9)
