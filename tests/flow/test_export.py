"""Exports: what a file holds, and that importing it gives the same cells again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyogrio
import pytest
import shapely
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.concurrency import run_in_threadpool
from typer.testing import CliRunner

from api.audit.trail import list_records
from api.cli import export
from api.cli.speech import t
from bench.tiling import make_tiling
from geo.coordinates import CoordSys, from_wgs84
from geo.errors import BadInputError, GridwardError
from geo.exporting import ExportFormat, ExportTarget, write_cells
from geo.importing.attributes import parse_mapping
from geo.importing.plan import CellImportOptions, plan_cells
from geo.storage.engine import create_engine
from geo.storage.exported_cells import ExportedCell, read_exported_cells
from geo.storage.grid_versions import find_active
from geo.storage.uow import read_unit
from tests.builders import CELLS, JURISDICTION, District

ROOT = Path(__file__).resolve().parents[2]
MAPPING = ",".join(
    f"{name}={name}" for name in ("code", "level", "parent", "kind", "name_zh", "name_en", "population", "households")
)
Client = httpx.AsyncClient


def crooked() -> list[ExportedCell]:
    """Return cells with real corners, a hole with an enclave, two parts, missing figures, and a formula for a name."""
    cells = {cell.cell_id: cell for cell in make_tiling(10, 10).cells()}
    made = [
        ExportedCell(
            level=cell.level,
            code=cell.code,
            kind="ordinary",
            name_zh=f"网格“{cell.code}”",
            name_en="=1+1" if cell.level == 3 else "",
            parent=cells[cell.parent_id].code if cell.parent_id else None,
            population=None if cell.level == 3 else 12,
            households=3,
            area_m2=1234.56,
            boundary=shapely.to_wkb(cell.boundary),
        )
        for cell in cells.values()
    ]
    island = shapely.box(114.02, 34.61, 114.03, 34.62)
    around = shapely.MultiPolygon(
        [
            shapely.Polygon(shapely.box(114.0, 34.6, 114.1, 34.7).exterior.coords, [island.exterior.coords]),
            shapely.box(114.2, 34.6, 114.3, 34.7),
        ]
    )
    for code, shape in (("Z1", around), ("Z2", shapely.MultiPolygon([island]))):
        fields = {name: getattr(made[0], name) for name in ExportedCell.__slots__}
        made.append(ExportedCell(**(fields | {"code": code, "boundary": shapely.to_wkb(shape)})))
    return made


def read_back(path: Path, **declared: Any) -> dict[str, tuple[Any, ...]]:
    plan = plan_cells(path, CellImportOptions(mapping=parse_mapping(MAPPING), **declared))
    assert list(plan.faults) == []
    return {
        cell.attributes.code: (
            cell.attributes.level,
            cell.attributes.parent,
            cell.attributes.kind.value,
            cell.attributes.name_zh,
            cell.attributes.name_en,
            cell.attributes.population,
            cell.attributes.households,
            shapely.to_wkt(shapely.normalize(cell.boundary), rounding_precision=7),
        )
        for cell in plan.cells
    }


def expected(cells: list[ExportedCell]) -> dict[str, tuple[Any, ...]]:
    return {
        cell.code: (
            cell.level,
            cell.parent,
            cell.kind,
            cell.name_zh,
            cell.name_en,
            cell.population,
            cell.households,
            shapely.to_wkt(shapely.normalize(shapely.from_wkb(cell.boundary)), rounding_precision=7),
        )
        for cell in cells
    }


@pytest.mark.parametrize(
    ("name", "written", "declared"),
    [
        ("a.geojson", {}, {"coord_sys": CoordSys.WGS84}),
        ("a.json", {"crs": "EPSG:4326"}, {"coord_sys": CoordSys.WGS84}),
        ("a.geojson", {"coord_sys": CoordSys.GCJ02}, {"coord_sys": CoordSys.GCJ02}),
        ("a.geojson", {"coord_sys": CoordSys.BD09}, {"coord_sys": CoordSys.BD09}),
        ("a.gpkg", {}, {}),
        ("a.gpkg", {"crs": "EPSG:4547"}, {}),
        ("a.gpkg", {"crs": "EPSG:3857"}, {"crs": "EPSG:3857"}),
        ("a.gpkg", {"coord_sys": CoordSys.CGCS2000}, {"coord_sys": CoordSys.CGCS2000}),
        ("a.gpkg", {"coord_sys": CoordSys.GCJ02}, {"coord_sys": CoordSys.GCJ02}),
        ("a.gpkg", {"coord_sys": CoordSys.BD09}, {"coord_sys": CoordSys.BD09}),
    ],
)
def test_what_goes_out_comes_back(tmp_path: Path, name: str, written: dict[str, Any], declared: dict[str, Any]) -> None:
    cells = crooked()
    path = tmp_path / name
    size = write_cells(cells, ExportTarget(path=path, **written), version=7)
    assert size == path.stat().st_size
    assert [each.name for each in tmp_path.iterdir()] == [name], "no half file is left"
    assert read_back(path, **declared) == expected(cells)


def test_geojson_keeps_to_its_rfc(tmp_path: Path) -> None:
    path = tmp_path / "cells.geojson"
    write_cells(crooked(), ExportTarget(path=path), version=7)
    text = path.read_text(encoding="utf-8")
    body = json.loads(text)
    assert "crs" not in body
    shapes = [shapely.geometry.shape(feature["geometry"]) for feature in body["features"]]
    assert body["bbox"] == [round(float(value), 7) for value in shapely.total_bounds(shapes)]
    for feature, shape in zip(body["features"], shapes, strict=True):
        assert feature["bbox"] == list(shape.bounds)
        assert feature["id"] == feature["properties"]["code"]
        assert feature["properties"]["version"] == 7
        for part in shape.geoms:
            assert part.exterior.is_ccw
            assert not any(hole.is_ccw for hole in part.interiors)
        places = shapely.get_coordinates(shape)
        assert np.array_equal(places, np.round(places, 7))
    write_cells([], ExportTarget(path=tmp_path / "none.geojson"), version=1)
    assert json.loads((tmp_path / "none.geojson").read_text())["features"] == []


def test_geopackage_says_its_system(tmp_path: Path) -> None:
    path = tmp_path / "cells.gpkg"
    write_cells(crooked(), ExportTarget(path=path, crs="EPSG:4547"), version=7)
    info = pyogrio.read_info(path)
    assert info["crs"] == "EPSG:4547"
    assert (info["layer_name"], info["geometry_type"], info["features"]) == ("cells", "MultiPolygon", 107)
    shifted = tmp_path / "gcj02.gpkg"
    write_cells(crooked(), ExportTarget(path=shifted, coord_sys=CoordSys.GCJ02), version=7)
    assert "4326" not in str(pyogrio.read_info(shifted)["crs"]), "it must not pass for WGS84"
    _, _, blobs, _ = pyogrio.raw.read(shifted, columns=["code"], where="code = 'Z2'")
    west = shapely.from_wkb(blobs[0]).bounds[0]
    assert west == pytest.approx(from_wgs84(114.02, 34.61, CoordSys.GCJ02)[0], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("cells.shp", {}, "export.unknown_format"),
        ("cells", {}, "export.unknown_format"),
        ("there.geojson", {}, "export.file_exists"),
        ("cells.geojson", {"crs": "EPSG:4547"}, "export.geojson_is_wgs84"),
        ("cells.gpkg", {"crs": "EPSG:0"}, "export.crs_unknown"),
        ("cells.gpkg", {"crs": "EPSG:4547", "coord_sys": CoordSys.GCJ02}, "export.two_systems"),
        ("no/such/folder.gpkg", {}, "export.cannot_write"),
        ("no/such/folder.geojson", {}, "export.cannot_write"),
    ],
)
def test_what_cannot_be_written_has_a_name(tmp_path: Path, name: str, more: dict[str, Any], code: str) -> None:
    (tmp_path / "there.geojson").write_text("mine")
    with pytest.raises(BadInputError) as caught:
        write_cells(crooked(), ExportTarget(path=tmp_path / name, **more), version=1)
    assert caught.value.code == code
    assert [path.name for path in tmp_path.iterdir()] == ["there.geojson"]
    assert (tmp_path / "there.geojson").read_text() == "mine"
    target = ExportTarget(path=tmp_path / "there.geojson", overwrite=True)
    assert target.format() is ExportFormat.GEOJSON
    write_cells(crooked(), target, version=1)
    assert "FeatureCollection" in (tmp_path / "there.geojson").read_text()


async def test_the_command_writes_what_the_database_holds(
    district: District, engine: AsyncEngine, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with read_unit(engine) as unit:
        active = await find_active(unit, JURISDICTION)
        assert active is not None
        stored = await read_exported_cells(unit, active.id)
    path = tmp_path / "cells.gpkg"

    @asynccontextmanager
    async def engine_for_command() -> AsyncIterator[AsyncEngine]:
        # The tests' cluster does not flush, and the command would rightly refuse it.
        own = create_engine(database, name="test")
        try:
            yield own
        finally:
            await own.dispose()

    monkeypatch.setattr(export, "engine_for_command", engine_for_command)

    async def run(*words: str) -> str:
        arguments = ["cells", *words, "--jurisdiction", JURISDICTION]
        done = await run_in_threadpool(CliRunner().invoke, export.app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    said = await run(str(path), "--crs", "EPSG:4547")
    assert t("exports.done", count=7, number=1, file=str(path), kilobytes=-(-path.stat().st_size // 1000)) in said
    assert read_back(path) == expected(stored)
    async with read_unit(engine) as unit:
        newest = (await list_records(unit, limit=1))[0]
    assert (newest["kind"], newest["subject"], newest["detail"]["cells"]) == ("export.made", "export cells", 7)
    two = tmp_path / "two.geojson"
    await run(str(two), "--version", "1", "--level", "2")
    assert len(json.loads(two.read_text(encoding="utf-8"))["features"]) == 2
    for words, code in (
        ((str(path),), "export.file_exists"),
        ((str(tmp_path / "no.gpkg"), "--version", "9"), "geo.version_unknown"),
        ((str(tmp_path / "no.gpkg"), "--level", "4"), "export.nothing"),
    ):
        with pytest.raises(GridwardError) as caught:
            await run(*words)
        assert caught.value.code == code
    assert not (tmp_path / "no.gpkg").exists()


def test_the_command_is_found() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "export", "cells", "--help"],
        cwd=ROOT,
        env={"GRIDWARD_LANG": "en", "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    for option in ("--version", "--level", "--coord-sys", "--crs", "--overwrite"):
        assert option in done.stdout


async def test_download_through_http(client: Client) -> None:
    answer = await client.get("/v1/cells?format=geojson&level=3")
    assert answer.headers["content-disposition"] == 'attachment; filename="gridward-410100-v1-level3.geojson"'
    body = answer.json()
    assert body["bbox"] == [113.6, 34.74, 113.64, 34.78]
    assert "crs" not in body
    assert {feature["id"] for feature in body["features"]} == {code for code in CELLS if len(code) == 15}
    for feature in body["features"]:
        assert all(part.exterior.is_ccw for part in shapely.geometry.shape(feature["geometry"]).geoms)
    plain = await client.get("/v1/cells?level=3")
    assert "content-disposition" not in plain.headers
    assert plain.json() == body
    assert (await client.get("/v1/cells?version=1&level=3")).json() == body
    assert (await client.get("/v1/cells?version=2")).status_code == 404
    assert (await client.get("/v1/cells?version=last")).status_code == 422
    assert (await client.get("/v1/cells?format=shp")).status_code == 422
