"""Reading, snapping, rooting and measuring of cells, without a database."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import Transformer

from geo.coordinates import CoordSys, from_wgs84
from geo.coverage import CoverageCell, FindingKind, check_coverage
from geo.importing.attributes import LevelRule, parse_lengths, parse_mapping
from geo.importing.faults import FileRefusedError
from geo.importing.measures import area_m2, label_points, metric_srid
from geo.importing.plan import CellImportOptions, GridPlan, plan_cells
from geo.importing.tree import ParentRule

OPTIONS = CellImportOptions(
    mapping=parse_mapping("code=code,name_zh=name"), coord_sys=CoordSys.WGS84, levels=LevelRule(constant=1)
)
WEST, EAST = shapely.box(113.60, 34.70, 113.61, 34.71), shapely.box(113.61, 34.70, 113.62, 34.71)


def write(path: Path, cells: Mapping[str, Any], **extra: Any) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"code": code, "name": f"网格{code}", **extra},
            "geometry": shapely.geometry.mapping(shape),
        }
        for code, shape in cells.items()
    ]
    data = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def notes(plan: GridPlan) -> dict[str, int]:
    return {note.code.value: note.count for note in plan.notes}


def pyogrio_write(path: Path, cells: Mapping[str, Any], driver: str, **options: Any) -> Path:
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array(list(cells.values()), dtype=object)),
        field_data=[np.array(list(cells), dtype=object), np.array([f"网格{code}" for code in cells], dtype=object)],
        fields=["code", "name"],
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver=driver,
        **options,
    )
    return path


def test_vertices_lie_on_the_grid_and_shared_edges_stay_shared(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    seam = np.column_stack((113.61 + rng.normal(0, 1e-4, 50), np.linspace(34.7, 34.71, 50)))
    west = shapely.Polygon([(113.6, 34.7), *seam, (113.6, 34.71)])
    east = shapely.Polygon([(113.62, 34.71), *seam[::-1], (113.62, 34.7)])
    plan = plan_cells(write(tmp_path / "a.geojson.gz", {"1": west, "2": east}), OPTIONS)
    assert not plan.faults
    pairs = shapely.get_coordinates([cell.boundary for cell in plan.cells])
    assert np.array_equal(np.round(pairs * 1e7) / 1e7, pairs)
    assert shapely.coverage_is_valid([cell.boundary for cell in plan.cells])
    assert plan.coverage is not None
    assert plan.coverage.is_proven


@pytest.mark.parametrize("driver", ["GPKG", "ESRI Shapefile", "KML"])
def test_formats_give_the_same_cells(tmp_path: Path, driver: str) -> None:
    cells = {"1": WEST, "2": EAST}
    suffix = {"GPKG": ".gpkg", "ESRI Shapefile": ".shp", "KML": ".kml"}[driver]
    path = pyogrio_write(tmp_path / f"cells{suffix}", cells, driver)
    # KML has a name of its own, and OGR spells it with a capital.
    mapping = parse_mapping("code=code,name_zh=Name" if driver == "KML" else "code=code,name_zh=name")
    plan = plan_cells(path, replace(OPTIONS, mapping=mapping))
    assert not plan.faults
    expected = plan_cells(write(tmp_path / "cells.geojson", cells), OPTIONS)
    assert [cell.attributes for cell in plan.cells] == [cell.attributes for cell in expected.cells]
    for found, wanted in zip(plan.cells, expected.cells, strict=True):
        assert found.boundary.normalize().wkb == wanted.boundary.normalize().wkb


@pytest.mark.parametrize("is_zipped", [False, True])
def test_shapefile_without_code_page_is_read_as_gb18030(tmp_path: Path, is_zipped: bool) -> None:
    path = pyogrio_write(tmp_path / "cells.shp", {"1": WEST}, "ESRI Shapefile", encoding="gb18030")
    (tmp_path / "cells.cpg").unlink()
    if is_zipped:
        target = tmp_path / "cells.zip"
        with zipfile.ZipFile(target, "w") as archive:
            for part in tmp_path.glob("cells.[sdp]*"):
                archive.write(part, f"folder/{part.name}")
        path = target
    plan = plan_cells(path, OPTIONS)
    assert plan.cells[0].attributes.name_zh == "网格1"
    assert "import.note.encoding_guessed" in notes(plan)


@pytest.mark.parametrize("coord_sys", list(CoordSys))
def test_declared_system_is_converted(tmp_path: Path, coord_sys: CoordSys) -> None:
    def shift(pairs: Any) -> Any:
        return np.column_stack(from_wgs84(pairs[:, 0].copy(), pairs[:, 1].copy(), coord_sys))

    path = write(tmp_path / "a.geojson", {"1": shapely.transform(WEST, shift)})
    plan = plan_cells(path, replace(OPTIONS, coord_sys=coord_sys))
    assert shapely.equals_exact(plan.cells[0].boundary.normalize(), shapely.MultiPolygon([WEST]).normalize(), 1.5e-7)


def test_declaration_wins_over_a_wrong_label_only_for_shifted_systems(tmp_path: Path) -> None:
    path = pyogrio_write(tmp_path / "cells.gpkg", {"1": WEST}, "GPKG")
    assert "import.note.crs_overridden" in notes(plan_cells(path, replace(OPTIONS, coord_sys=CoordSys.GCJ02)))
    wrong = plan_cells(path, replace(OPTIONS, coord_sys=None, crs="EPSG:2056"))
    assert [fault.code.value for fault in wrong.faults] == ["import.crs_conflict"]
    assert "import.note.crs_from_file" in notes(plan_cells(path, replace(OPTIONS, coord_sys=None)))


def test_metric_crs_equals_its_own_inverse(tmp_path: Path) -> None:
    there = Transformer.from_crs(4326, 4547, always_xy=True)
    metric = shapely.transform(WEST, lambda pairs: np.column_stack(there.transform(pairs[:, 0], pairs[:, 1])))
    plan = plan_cells(write(tmp_path / "a.geojson", {"1": metric}), replace(OPTIONS, coord_sys=None, crs="EPSG:4547"))
    assert shapely.equals_exact(plan.cells[0].boundary.normalize(), shapely.MultiPolygon([WEST]).normalize(), 1e-12)


def test_height_winding_and_bom_are_normalised_with_a_note(tmp_path: Path) -> None:
    solid = shapely.force_3d(WEST.reverse(), 88.0)
    path = write(tmp_path / "a.geojson", {"1": solid})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    plan = plan_cells(path, OPTIONS)
    assert not plan.faults
    assert {"import.note.flattened", "import.note.bom"} <= set(notes(plan))
    assert not plan.cells[0].boundary.has_z
    assert all(part.exterior.is_ccw for part in plan.cells[0].boundary.geoms)


def test_gb18030_geojson_is_read_with_a_note(tmp_path: Path) -> None:
    path = write(tmp_path / "a.geojson", {"1": WEST})
    path.write_bytes(path.read_text(encoding="utf-8").encode("gb18030"))
    plan = plan_cells(path, OPTIONS)
    assert plan.cells[0].attributes.name_zh == "网格1"
    assert notes(plan)["import.note.encoding_guessed"] == 1


def test_three_levels_by_code_length(tmp_path: Path) -> None:
    cells = {"410102": shapely.union(WEST, EAST), "410102001": WEST, "410102002": EAST, "410102002001": EAST}
    options = replace(OPTIONS, levels=LevelRule(by_length=parse_lengths("6:1,9:2,12:3")), parents=ParentRule.CODE)
    plan = plan_cells(write(tmp_path / "a.geojson", cells), options)
    assert [cell.path for cell in plan.cells] == [
        ("410102",),
        ("410102", "410102001"),
        ("410102", "410102002"),
        ("410102", "410102002", "410102002001"),
    ]
    assert plan.coverage is not None
    assert plan.coverage.is_proven


def test_dissolving_two_levels_keeps_every_shared_vertex(tmp_path: Path) -> None:
    cells = {
        f"4101{column:02d}{row:03d}{part:03d}": shapely.box(113 + column, 34 + row, 113 + column + 1, 34 + row + 1)
        for column in range(3)
        for row in range(2)
        for part in range(1)
    }
    options = replace(OPTIONS, levels=LevelRule(constant=3), dissolve={6: 1, 9: 2})
    plan = plan_cells(write(tmp_path / "a.geojson", cells), options)
    assert not plan.faults
    assert [cell.attributes.level for cell in plan.cells].count(1) == 3
    assert [cell.attributes.level for cell in plan.cells].count(2) == 6
    assert plan.coverage is not None
    assert plan.coverage.is_proven
    top = plan.cells[0]
    # The joint at half height stays a vertex: without it the children's edges would not match their parent's.
    assert (113.0, 35.0) in top.boundary.geoms[0].exterior.coords


def test_gap_overlap_and_child_outside_are_measured_in_square_metres() -> None:
    def cell(code: str, parent: str | None, shape: Any) -> CoverageCell:
        return CoverageCell(code=code, level=1 if parent is None else 2, parent=parent, boundary=shape)

    report = check_coverage(
        [
            cell("1", None, shapely.box(0, 0, 10, 10)),
            cell("11", "1", shapely.box(0, 0, 6, 10)),
            cell("12", "1", shapely.box(5, 0, 10, 9)),
            cell("13", "1", shapely.box(9, 9, 11, 10)),
        ],
        lambda shape: float(shape.area),
    )
    assert {(each.kind, each.cells, round(each.area_m2, 9)) for each in report.findings} == {
        (FindingKind.OVERLAP, ("11", "12"), 9.0),
        (FindingKind.GAP, (), 3.0),
        (FindingKind.OUTSIDE, ("13",), 1.0),
    }
    assert not report.is_proven
    assert [each.area_m2 for each in report.findings] == sorted(
        (each.area_m2 for each in report.findings), reverse=True
    )


def test_hole_between_level_one_cells_is_told_and_does_not_refute() -> None:
    ring = shapely.difference(shapely.box(0, 0, 3, 3), shapely.box(1, 1, 2, 2))
    report = check_coverage(
        [CoverageCell(code="1", level=1, parent=None, boundary=shapely.MultiPolygon([ring]))],
        lambda shape: float(shape.area),
    )
    assert [(each.kind, each.area_m2) for each in report.findings] == [(FindingKind.HOLE, 1.0)]
    assert report.is_proven


def test_label_lies_inside_a_horseshoe_and_area_has_its_hole_taken_off() -> None:
    horseshoe = shapely.Polygon([(0, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)])
    assert horseshoe.contains(label_points([horseshoe])[0])
    outer = shapely.box(113.6, 34.7, 113.62, 34.72)
    ring = shapely.difference(outer, shapely.box(113.605, 34.705, 113.615, 34.715))
    assert area_m2(ring) == pytest.approx(area_m2(outer) * 0.75, rel=1e-4)


@pytest.mark.parametrize(
    ("lon", "lat", "srid"), [(113.65, 34.75, 4547), (87.6, 43.8, 4538), (8.54, 47.37, 32632), (-70, -33, 32719)]
)
def test_metric_system_of_a_place(lon: float, lat: float, srid: int) -> None:
    assert metric_srid(lon, lat) == srid


@pytest.mark.parametrize("text", ["", "code", "code=", "name_zh=a", "code=a,code=b", "code=a,colour=b"])
def test_mapping_that_makes_no_sense(text: str) -> None:
    with pytest.raises(FileRefusedError):
        parse_mapping(text)


@pytest.mark.parametrize("text", ["", "6", "6:0", "six:1", "6:10"])
def test_lengths_that_make_no_sense(text: str) -> None:
    with pytest.raises(FileRefusedError):
        parse_lengths(text)
