"""Bad files that are made here because they are large or binary, and corruptions of a sound grid, made at random."""

from __future__ import annotations

import copy
import gzip
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.tiling import make_tiling
from geo.coordinates import CoordSys, from_wgs84
from geo.importing import features as limits
from geo.importing import geojson, ogr, reading
from geo.importing.attributes import LevelRule, parse_mapping
from geo.importing.faults import NoteCode
from geo.importing.plan import CellImportOptions, GridPlan, RepairWish, plan_cells
from geo.importing.suspicion import suspect_datum
from geo.importing.tree import ParentRule

OPTIONS = CellImportOptions(
    mapping=parse_mapping("code=code,name_zh=name"), coord_sys=CoordSys.WGS84, levels=LevelRule(constant=1)
)
TREE = CellImportOptions(
    mapping=parse_mapping("code=code,name_zh=name,level=level,parent=parent"),
    coord_sys=CoordSys.WGS84,
    parents=ParentRule.COLUMN,
)
BOW_TIE = [[113.6, 34.7], [113.61, 34.71], [113.61, 34.7], [113.6, 34.71], [113.6, 34.7]]


def faults(plan: GridPlan) -> list[tuple[str, int | None]]:
    assert bool(plan.faults) != bool(plan.cells)  # all or nothing
    return [(fault.code.value, fault.feature) for fault in plan.faults]


def square(column: int) -> Any:
    x = round(113.6 + column * 0.0001, 7)
    return [[x, 34.7], [x + 0.0001, 34.7], [x + 0.0001, 34.7001], [x, 34.7001], [x, 34.7]]


def feature(code: str, ring: Any, **properties: Any) -> dict[str, Any]:
    shape = {"type": "Polygon", "coordinates": [ring]}
    return {"type": "Feature", "properties": {"code": code, "name": "", **properties}, "geometry": shape}


# --- a sound grid, corrupted -----------------------------------------------------------------------------------------


def sound_grid() -> dict[str, Any]:
    tiling = list(make_tiling(4, 4, block=2).cells())
    code_of = {cell.cell_id: cell.code for cell in tiling}
    found = [
        feature(
            cell.code,
            shapely.get_coordinates(cell.boundary).tolist(),
            level=cell.level,
            parent=code_of.get(cell.parent_id or 0),
        )
        for cell in tiling
    ]
    return {"type": "FeatureCollection", "features": found}


GRID = sound_grid()
LEAVES = [number for number, each in enumerate(GRID["features"]) if each["properties"]["level"] == 3]


def ring_of(member: Any) -> Any:
    return member["geometry"]["coordinates"][0]


def bow(member: Any) -> None:
    x, y = ring_of(member)[0]
    ring_of(member)[:] = [[x, y], [x + 0.001, y + 0.001], [x + 0.001, y], [x, y + 0.001], [x, y]]


def swap_axes(member: Any) -> None:
    ring_of(member)[:] = [[y, x] for x, y in ring_of(member)]


def spike(member: Any) -> None:
    ring = ring_of(member)
    ring[1:1] = [[ring[0][0], ring[0][1] - 1], ring[0]]


CORRUPTIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "unclosed": (lambda member: ring_of(member).pop(), "import.ring_unclosed"),
    "bow tie": (bow, "import.ring_self_crossing"),
    "swapped": (swap_axes, "import.axes_swapped"),
    "spike": (spike, "import.ring_self_crossing"),
    "far away": (lambda member: ring_of(member)[2].__setitem__(0, 181.0), "import.longitude_out_of_range"),
    "far north": (lambda member: ring_of(member)[2].__setitem__(1, 1e9), "import.latitude_out_of_range"),
    "text": (lambda member: ring_of(member)[3].__setitem__(0, "113.6"), "import.geometry_malformed"),
    "null vertex": (lambda member: ring_of(member).__setitem__(4, None), "import.geometry_malformed"),
    "two vertices": (lambda member: ring_of(member).__setitem__(slice(1, -1), []), "import.ring_too_short"),
    "no geometry": (lambda member: member.update(geometry=None), "import.empty_geometry"),
    "a point": (lambda member: member["geometry"].update(type="Point", coordinates=[113, 34]), "import.not_polygon"),
    "no code": (lambda member: member["properties"].update(code=None), "import.code_missing"),
    "bidi code": (lambda member: member["properties"].update(code="a\u202eb"), "import.code_unusable"),
    "bidi name": (lambda member: member["properties"].update(name="a\u2066b"), "import.text_unusable"),
    "no level": (lambda member: member["properties"].update(level="x"), "import.level_unusable"),
    "no parent": (lambda member: member["properties"].update(parent="nobody"), "import.orphan"),
    "grandparent": (
        lambda member: member["properties"].update(parent=GRID["features"][0]["properties"]["code"]),
        "import.parent_level",
    ),
    "hole outside": (
        lambda member: member["geometry"]["coordinates"].append(
            [[113.0, 30.0], [113.0, 30.001], [113.001, 30.001], [113.0, 30.0]]
        ),
        "import.hole_outside",
    ),
    "empty": (lambda member: member["geometry"].update(coordinates=[]), "import.empty_geometry"),
    "no feature": (lambda member: member.update(type="feature"), "import.not_a_feature"),
}
TREE_FAULTS = {"import.orphan", "import.parent_level"}


@given(data=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_corruption_is_named_with_its_feature(tmp_path: Path, data: st.DataObject) -> None:
    """Several at once, on leaves: each is told once, in the file's order; tree faults wait until the rest is sound."""
    chosen = data.draw(
        st.dictionaries(st.sampled_from(LEAVES), st.sampled_from(sorted(CORRUPTIONS)), min_size=1, max_size=4)
    )
    grid = copy.deepcopy(GRID)
    expected = []
    for number, name in sorted(chosen.items()):
        change, code = CORRUPTIONS[name]
        change(grid["features"][number])
        expected.append((code, number + 1))
    others = [each for each in expected if each[0] not in TREE_FAULTS]
    path = tmp_path / "grid.geojson"
    path.write_text(json.dumps(grid), encoding="utf-8")
    plan = plan_cells(path, TREE)
    # A spike crosses or only touches its ring, as the corner happens to lie.
    told = [(code.replace("touching", "crossing"), number) for code, number in faults(plan)]
    assert told == (others or expected)
    for fault in plan.faults:
        if fault.position is not None:
            assert np.isfinite(fault.position).all()


@given(column=st.integers(0, 3), step=st.tuples(st.integers(-9999, 9999), st.integers(-9999, 9999)).filter(any))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_leaf_that_left_its_place_is_no_fault_but_a_finding(
    tmp_path: Path, column: int, step: tuple[int, int]
) -> None:
    grid = copy.deepcopy(GRID)
    member = grid["features"][LEAVES[column]]
    ring_of(member)[:] = [[x + step[0] / 1e7, y + step[1] / 1e7] for x, y in ring_of(member)]
    path = tmp_path / "grid.geojson"
    path.write_text(json.dumps(grid), encoding="utf-8")
    plan = plan_cells(path, TREE)
    assert not plan.faults
    assert plan.coverage is not None
    assert not plan.coverage.is_proven
    assert {finding.parent for finding in plan.coverage.findings} <= {member["properties"]["parent"]}


def test_the_sound_grid_itself_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "grid.geojson"
    path.write_text(json.dumps(GRID), encoding="utf-8")
    plan = plan_cells(path, TREE)
    assert not plan.faults
    assert plan.coverage is not None
    assert plan.coverage.is_proven


# --- repairs through the import --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", [RepairWish.SHOW, RepairWish.ACCEPT])
def test_repairs_are_shown_and_made_only_when_accepted(tmp_path: Path, wish: RepairWish) -> None:
    grid = copy.deepcopy(GRID)
    ring = ring_of(grid["features"][LEAVES[5]])
    ring[1] = [ring[1][0] + 8e-7, ring[1][1] - 5e-7]
    path = tmp_path / "grid.geojson"
    path.write_text(json.dumps(grid), encoding="utf-8")
    plan = plan_cells(path, replace(TREE, repairs=wish))
    assert plan.repairs is not None
    assert plan.coverage is not None
    assert len(plan.repairs.repairs) >= 1
    assert plan.repairs.after.is_proven
    assert plan.coverage.is_proven == (wish is RepairWish.ACCEPT)
    assert (NoteCode.REPAIRED in {note.code for note in plan.notes}) == (wish is RepairWish.ACCEPT)


# --- a datum that was declared wrongly -------------------------------------------------------------------------------


@pytest.mark.parametrize("really", [CoordSys.GCJ02, CoordSys.BD09])
@pytest.mark.parametrize("declared", [CoordSys.WGS84, CoordSys.CGCS2000])
def test_a_shifted_file_is_suspected(tmp_path: Path, really: CoordSys, declared: CoordSys) -> None:
    path = tmp_path / "grid.geojson"
    path.write_text(json.dumps(GRID), encoding="utf-8")
    true = plan_cells(path, TREE)
    known = {cell.attributes.code: (cell.label_point.x, cell.label_point.y) for cell in true.cells}
    shifted = copy.deepcopy(GRID)
    for member in shifted["features"]:
        pairs = np.array(ring_of(member))
        ring_of(member)[:] = np.column_stack(from_wgs84(pairs[:, 0], pairs[:, 1], really)).tolist()
    path.write_text(json.dumps(shifted), encoding="utf-8")
    notes = suspect_datum(plan_cells(path, replace(TREE, coord_sys=declared)), declared, known, 3)
    assert [(note.code, note.params["suspected"], note.params["version"]) for note in notes] == [
        (NoteCode.DATUM_SUSPECTED, really.value, 3)
    ]
    assert suspect_datum(plan_cells(path, replace(TREE, coord_sys=really)), really, known, 3) == []
    assert suspect_datum(true, CoordSys.WGS84, known, 3) == []
    wrongly_shifted = plan_cells(path, replace(TREE, coord_sys=really))
    assert wrongly_shifted.cells


def test_other_codes_far_away_are_told(tmp_path: Path) -> None:
    path = tmp_path / "grid.geojson"
    path.write_text(json.dumps(GRID), encoding="utf-8")
    plan = plan_cells(path, TREE)
    assert [note.code for note in suspect_datum(plan, None, {"x": (114.9, 34.0)}, 1)] == [NoteCode.OUTSIDE_BOX]
    near = (plan.cells[0].label_point.x, plan.cells[0].label_point.y)
    assert suspect_datum(plan, None, {"x": near}, 1) == []
    assert suspect_datum(plan, None, {}, 1) == []


# --- binary and large ------------------------------------------------------------------------------------------------


def shapefile(folder: Path, names: list[str], shapes: list[Any], encoding: str) -> Path:
    pyogrio.raw.write(
        folder / "cells.shp",
        geometry=shapely.to_wkb(np.array(shapes, dtype=object)),
        field_data=[np.array([f"A{n}" for n in range(len(names))], dtype=object), np.array(names, dtype=object)],
        fields=["code", "name"],
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver="ESRI Shapefile",
        encoding=encoding,
    )
    (folder / "cells.cpg").unlink()
    return folder / "cells.shp"


def test_a_shapefile_in_gb18030_without_its_code_page_still_names_the_fault(tmp_path: Path) -> None:
    shapes = [shapely.box(113.6, 34.7, 113.61, 34.71), shapely.Polygon(BOW_TIE)]
    path = shapefile(tmp_path, ["中原区建设路", "𠮷野"], shapes, "gb18030")
    assert faults(plan_cells(path, OPTIONS)) == [("import.ring_self_crossing", 2)]


@pytest.mark.parametrize("kept", [40, 100, 200])
def test_a_shapefile_that_was_cut_off(tmp_path: Path, kept: int) -> None:
    path = shapefile(tmp_path, ["a", "b"], [shapely.box(113.6, 34.7, 113.61, 34.71)] * 2, "utf-8")
    path.write_bytes(path.read_bytes()[:kept])
    found = faults(plan_cells(path, OPTIONS))
    assert found
    assert {code for code, _ in found} <= {"import.file_unreadable", "import.empty_geometry"}


def test_a_geopackage_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "cells.gpkg"
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array([shapely.box(113.6, 34.7, 113.61, 34.71)], dtype=object)),
        field_data=[np.array(["A1"], dtype=object)],
        fields=["code"],
        geometry_type="Polygon",
        crs="EPSG:4326",
        driver="GPKG",
    )
    path.write_bytes(path.read_bytes()[:20_000])
    assert [code for code, _ in faults(plan_cells(path, OPTIONS))] == ["import.file_unreadable"]


@pytest.mark.parametrize("depth", [2_000, 200_000, 5_000_000])
@pytest.mark.parametrize("pair", ["[]", '{"a":}'])
def test_nesting_of_any_depth_is_refused_without_falling(tmp_path: Path, depth: int, pair: str) -> None:
    path = tmp_path / "deep.geojson"
    opening, closing = pair[:-1], pair[-1]
    path.write_text('{"type":"FeatureCollection","features":[' + opening * depth + "1" + closing * depth + "]}")
    assert faults(plan_cells(path, OPTIONS)) == [("import.too_deep", None)]


def test_a_packed_file_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.geojson.gz"
    path.write_bytes(gzip.compress(b" " * 5_000_000))
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(geojson, "MAX_GEOJSON_BYTES", 1_000_000)
    assert faults(plan_cells(path, OPTIONS)) == [("import.file_too_large", None)]
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("cells.shp", b"\0" * 5_000_000)
    monkeypatch.setattr(ogr, "MAX_FILE_BYTES", 1_000_000)
    assert faults(plan_cells(archive, OPTIONS)) == [("import.file_too_large", None)]


def test_a_file_too_large_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.geojson"
    path.write_bytes(b"{" * 200)
    monkeypatch.setattr(reading, "MAX_GEOJSON_BYTES", 100)
    assert faults(plan_cells(path, OPTIONS)) == [("import.file_too_large", None)]
    assert limits.MAX_GEOJSON_BYTES <= limits.MAX_FILE_BYTES
