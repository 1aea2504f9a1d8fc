"""`gridward locate FILE`: CSV and GeoParquet with cell and person on each row, equal to what SQL answers."""

from __future__ import annotations

import asyncio
import csv
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import typer
from click.testing import Result
from pyproj import CRS, Transformer
from typer.testing import CliRunner

from api.cli import locating
from dispatch.located_files import points as points_module
from dispatch.queries import responsible_at
from geo.coordinates import CoordSys, from_wgs84
from geo.errors import BadInputError, GridwardError
from geo.locating import locate as locate_in_sql
from geo.storage.engine import create_engine
from geo.storage.grid_versions import activate, copy_cells, create_draft
from geo.storage.taking_effect import await_effect
from geo.storage.uow import read_unit, write_unit
from tests.builders import (
    CORNER,
    EAST,
    INSIDE,
    JURISDICTION,
    L1,
    OUTSIDE,
    WEST,
    build_district,
    cell_records,
    person_id,
)
from tests.flow.test_version_guard import REDRAWN

Run = Callable[..., Result]


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command over a small district."""

    async def build() -> None:
        engine = create_engine(database, name="test")
        await build_district(engine)
        await engine.dispose()

    asyncio.run(build())

    @contextmanager
    def opened() -> Iterator[str]:
        yield database

    monkeypatch.setattr(locating, "open_database", opened)
    monkeypatch.setattr(locating, "language", lambda: "en")
    monkeypatch.setattr("api.cli.speech.language", lambda: "en")
    app = typer.Typer()
    app.command()(locating.locate)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def code_of(result: Result) -> str:
    assert isinstance(result.exception, GridwardError), result.output
    return result.exception.code


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_csv_gets_cells_and_persons(run: Run, tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "点位.csv"
    file.write_bytes(
        (
            "编号,经度,纬度,备注\r\n"
            f'1,{INSIDE[0]},{INSIDE[1]},"井盖, ""缺失"""\r\n'
            f"2,{OUTSIDE[0]},{OUTSIDE[1]},界外\r\n"
            f"3,{CORNER[0]},{CORNER[1]},=角\r\n"
        ).encode(encoding)
    )
    done = run(file, "--coord-sys", "wgs84")
    assert done.exit_code == 0, done.output
    assert "3 rows: 2 in a cell, 1 outside the grid; grid version 1" in done.output
    inside, outside, corner = read_csv(tmp_path / "点位.located.csv")
    assert inside["备注"] == '井盖, "缺失"'
    assert [inside[f"gw_level_{level}"] for level in (1, 2, 3)] == [L1, WEST, f"{WEST}001"]
    assert (inside["gw_how"], inside["gw_cell"]) == ("covers", f"{WEST}001")
    assert (inside["gw_head_name"], inside["gw_backup_name"]) == (f"A-{WEST}001", f"B-{WEST}001")
    assert inside["gw_head_why"] == "primary_on_duty"
    assert (outside["gw_how"], outside["gw_cell"], outside["gw_nearest_1"]) == ("out_of_grid", "", f"{WEST}001")
    assert float(outside["gw_nearest_1_m"]) == pytest.approx(1007, abs=3)
    assert corner["gw_cell"] == f"{WEST}001"
    assert not list(tmp_path.glob("*rejects*"))
    assert not list(tmp_path.glob("*.part"))


def test_bad_rows_are_named_and_the_others_are_answered(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    lon, lat = INSIDE
    rows = [
        f"{lon},{lat}", f"{lat},{lon}", f"nan,{lat}", f"{lon},inf", f"181,{lat}", f"{lon},", f"east,{lat}",
        f"1_13.6,{lat}", f"{lon}", f'{lon},{lat},"a\nb"', f"{lon},{lat}",
    ]  # fmt: skip
    file.write_text("lon,lat,note\n" + "\n".join(row if row.count(",") > 1 else f"{row},x" for row in rows) + "\n")
    done = run(file, "--coord-sys", "wgs84", "--out", tmp_path / "o.csv")
    assert done.exit_code == 3, done.output
    assert "8 rows could not be located" in done.output
    assert len(read_csv(tmp_path / "o.csv")) == 3
    rejects = read_csv(tmp_path / "o.rejects.csv")
    assert [(row["line"], row["reason_code"]) for row in rejects] == [
        ("3", "geo.axes_swapped"),
        ("4", "geo.coordinate_not_finite"),
        ("5", "geo.coordinate_not_finite"),
        ("6", "geo.longitude_out_of_range"),
        ("7", "locating.no_position"),
        ("8", "locating.not_a_number"),
        ("9", "locating.not_a_number"),
        ("10", "report.column_count"),
    ]
    assert all(row["reason"] for row in rejects)


def test_every_answer_is_the_one_of_sql(
    run: Run, tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vertices and edges among them, in GCJ-02, over several batches."""
    monkeypatch.setattr("dispatch.located_files.csv_points.BATCH_ROWS", 100)
    rng = random.Random(3)
    where = [
        (rng.choice([113.6, 113.62, 113.64, rng.uniform(113.59, 113.65)]),
         rng.choice([34.74, 34.76, 34.78, rng.uniform(34.73, 34.79)]))
        for _ in range(350)
    ]  # fmt: skip
    file = tmp_path / "p.csv"
    with file.open("w") as stream:
        stream.write("y,x\n")
        stream.writelines(f"{lat!r},{lon!r}\n" for lon, lat in (from_wgs84(*each, CoordSys.GCJ02) for each in where))
    assert run(file, "--coord-sys", "gcj02", "--out", tmp_path / "o.csv").exit_code == 0
    answers = read_csv(tmp_path / "o.csv")
    assert len(answers) == len(where)

    async def compare() -> None:
        engine = create_engine(database, name="test")
        async with read_unit(engine) as unit:
            for row in answers:
                found = await locate_in_sql(unit, JURISDICTION, float(row["gw_lon"]), float(row["gw_lat"]))
                assert [row[f"gw_level_{level}"] for level in (1, 2, 3) if row[f"gw_level_{level}"]] == list(found.path)
                if found.path:
                    ladder = await responsible_at(unit, JURISDICTION, found.path, datetime.now(UTC))
                    assert row["gw_head_name"] == ladder[0].person_name
                else:
                    near = [(row[f"gw_nearest_{rank}"], float(row[f"gw_nearest_{rank}_m"])) for rank in (1, 2, 3)]
                    assert near == [(cell.code, round(cell.distance_m, 1)) for cell in found.nearest]
        await engine.dispose()

    asyncio.run(compare())
    assert {row["gw_how"] for row in answers} == {"covers", "out_of_grid"}


def write_geoparquet(
    path: Path, shapes: list[Any], crs: object = "none", encoding: str = "WKB", **columns: Any
) -> None:
    described: dict[str, Any] = {"encoding": encoding, "geometry_types": ["Point"]}
    if crs != "none":
        described["crs"] = crs
    geo = {"version": "1.1.0", "primary_column": "where", "columns": {"where": described}}
    column = (
        pa.array([{"x": shape.x, "y": shape.y} for shape in shapes])
        if encoding == "point"
        else pa.array(shapely.to_wkb(np.array(shapes, dtype=object)).tolist(), pa.binary())
    )
    table = pa.table({"where": column, **columns})
    pq.write_table(table.replace_schema_metadata({b"geo": json.dumps(geo).encode()}), path)


def test_geoparquet_in_any_system_keeps_its_columns_and_types(run: Run, tmp_path: Path) -> None:
    to_gauss = Transformer.from_crs(4326, 4547, always_xy=True)
    wgs84 = [shapely.Point(*INSIDE), shapely.Point(*OUTSIDE), shapely.Point(*CORNER)]
    gauss = [shapely.Point(*to_gauss.transform(shape.x, shape.y)) for shape in wgs84]
    crs = CRS.from_epsg
    for name, shapes, system, encoding in (
        ("plain", wgs84, "none", "WKB"),
        ("native", wgs84, crs(4326).to_json_dict(), "point"),
        ("cgcs", wgs84, crs(4490).to_json_dict(), "WKB"),
        ("gauss", gauss, crs(4547).to_json_dict(), "WKB"),
    ):
        file, out = tmp_path / f"{name}.parquet", tmp_path / f"{name}.out.parquet"
        write_geoparquet(file, shapes, system, encoding, number=pa.array([1, 2, 3], pa.int16()))
        done = run(file, "--out", out)
        assert done.exit_code == 0, (done.output, done.exception)
        table = pq.read_table(out)
        assert table.schema.field("number").type == pa.int16()
        assert json.loads(table.schema.metadata[b"geo"])["primary_column"] == "where"
        # A millimetre from the corner after two projections: any of its four cells is right there.
        assert table["gw_cell"].to_pylist()[:2] == [f"{WEST}001", None]
        assert table["gw_cell"].to_pylist()[2][:9] == L1
        assert table["gw_lon"].to_pylist()[0] == pytest.approx(INSIDE[0], abs=2e-7)
    assert run(tmp_path / "gauss.parquet", "--out", tmp_path / "g.csv").exit_code == 0
    assert read_csv(tmp_path / "g.csv")[0]["where"].startswith("POINT (")


def test_what_a_parquet_file_cannot_say_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "f.parquet"
    gauss = CRS.from_epsg(4547).to_json_dict()
    point = [shapely.Point(*INSIDE)]
    for words, crs, code in (
        ((), None, "locating.coord_sys_required"),
        (("--coord-sys", "gcj02"), gauss, "locating.crs_conflict"),
        ((), {"type": "nonsense"}, "locating.crs_unknown"),
        (("--geometry", "there"), "none", "locating.column_unknown"),
        (("--lon", "number"), "none", "locating.half_columns"),
        (("--accuracy-m", "radius"), "none", "locating.column_unknown"),
        (("--out", tmp_path / "o.xlsx"), "none", "locating.output_format"),
        (("--out", file), "none", "locating.output_exists"),
        (("--out", tmp_path / "none" / "o.csv"), "none", "locating.output_folder"),
        (("--at", "2026-03-01T12:00"), "none", "locating.time_without_zone"),
        (("--at", "noon"), "none", "locating.not_a_time"),
        (("--at", "2019-01-01T00:00:00Z"), "none", "locating.no_version"),
        (("--accuracy-m", "-3"), "none", "geo.accuracy_out_of_range"),
        (("--accuracy-m", "nan"), "none", "geo.accuracy_out_of_range"),
    ):
        write_geoparquet(file, point, crs, number=[1])
        assert code_of(run(file, *words)) == code, words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.parquet"]
    write_geoparquet(file, point, encoding="WKB")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(file.read_bytes()[:-40])
    assert code_of(run(broken)) == "import.file_unreadable"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({b"geo": b"{nonsense"}), broken)
    assert code_of(run(broken)) == "locating.geo_metadata"


def test_geometries_that_are_no_points_are_rejected_one_by_one(run: Run, tmp_path: Path) -> None:
    shapes = [shapely.Point(*INSIDE), shapely.LineString([(0, 0), (1, 1)]), None, shapely.Point()]
    file = tmp_path / "f.parquet"
    write_geoparquet(file, shapes)
    assert run(file).exit_code == 3
    codes = [row["reason_code"] for row in read_csv(tmp_path / "f.located.rejects.csv")]
    assert codes == ["locating.not_a_point", "locating.no_position", "locating.no_position"]
    text = tmp_path / "w.csv"
    text.write_text(f'wkt\nPOINT({INSIDE[0]} {INSIDE[1]})\nPOINT(1\n"POLYGON((0 0,1 0,1 1,0 0))"\n')
    assert run(text, "--wkt", "wkt", "--coord-sys", "wgs84").exit_code == 3
    codes = [row["reason_code"] for row in read_csv(tmp_path / "w.located.rejects.csv")]
    assert codes == ["locating.bad_geometry", "locating.not_a_point"]


def test_at_an_instant_the_version_and_the_persons_of_then_answer(run: Run, tmp_path: Path, database: str) -> None:
    before = datetime.now(UTC)

    async def redraw() -> None:
        engine = create_engine(database, name="test")
        async with write_unit(engine) as unit:
            draft = await create_draft(unit, JURISDICTION, name="", code_system="cn15", source="")
            records = cell_records(REDRAWN)
            await copy_cells(unit, draft.id, records, count=len(records))
            version = await activate(unit, draft.id)
            driver = await unit.driver()
            await driver.execute(
                "INSERT INTO dispatch.leave (person_id, starts_at, ends_at) VALUES (%s, %s, %s)",
                (person_id(f"A-{WEST}001"), before - timedelta(days=9), before - timedelta(days=8)),
            )
        await await_effect(engine, version.valid_from)
        await engine.dispose()

    file = tmp_path / "p.csv"
    file.write_text(f"lon,lat\n{INSIDE[0]},{INSIDE[1]}\n")
    asyncio.run(redraw())
    found = []
    for words in ((), ("--at", before.isoformat()), ("--at", (before - timedelta(days=8, hours=3)).isoformat())):
        assert run(file, "--coord-sys", "wgs84", "--overwrite", *words).exit_code == 0
        row = read_csv(tmp_path / "p.located.csv")[0]
        found.append((row["gw_grid_version"], row["gw_cell"], row["gw_head_name"]))
    assert found == [
        ("2", f"{EAST}001", f"A-{EAST}001"),
        ("1", f"{WEST}001", f"A-{WEST}001"),
        ("1", f"{WEST}001", f"B-{WEST}001"),
    ]


def test_accuracy_as_a_number_or_a_column(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locating, "LINE_EVERY_S", -1.0)
    file = tmp_path / "p.csv"
    corner = f"{CORNER[0]},{CORNER[1]}"
    file.write_text(f"lon,lat,radius\n{corner},50\n{corner},\n{corner},-1\n{INSIDE[0]},{INSIDE[1]},20\n")
    done = run(file, "--coord-sys", "wgs84", "--accuracy-m", "radius")
    assert done.exit_code == 3
    assert "1 rows are ambiguous" in done.output
    # Where there is no terminal, a line now and then says how far it is.
    assert re.search(r"5 rows after \d+ s", done.output)
    torn, unsaid, sure = read_csv(tmp_path / "p.located.csv")
    assert (torn["gw_confirm_on_site"], unsaid["gw_confirm_on_site"], sure["gw_confirm_on_site"]) == (
        "true",
        "",
        "false",
    )
    assert len(torn["gw_candidates"].split()) == 4
    assert sure["gw_candidates"] == f"{WEST}001:1.0000"
    rejects = read_csv(tmp_path / "p.located.rejects.csv")
    assert [row["reason_code"] for row in rejects] == ["geo.accuracy_out_of_range"]
    assert run(file, "--coord-sys", "wgs84", "--accuracy-m", "50", "--overwrite").exit_code == 0
    assert [row["gw_confirm_on_site"] for row in read_csv(tmp_path / "p.located.csv")] == ["true"] * 3 + ["false"]


def test_an_answer_can_be_asked_again(run: Run, tmp_path: Path) -> None:
    """Our columns of the first time are replaced, not doubled; a CSV becomes GeoParquet with the points it had."""
    file = tmp_path / "p.csv"
    file.write_text(f"lon,lat,gw_cell\n{INSIDE[0]},{INSIDE[1]},stale\n")
    assert run(file, "--coord-sys", "wgs84", "--out", tmp_path / "a.csv").exit_code == 0
    assert run(tmp_path / "a.csv", "--coord-sys", "wgs84", "--out", tmp_path / "b.parquet").exit_code == 0
    table = pq.read_table(tmp_path / "b.parquet")
    assert table.column_names.count("gw_cell") == 1
    assert table["gw_cell"].to_pylist() == [f"{WEST}001"]
    assert shapely.from_wkb(table["geometry"].to_pylist()[0]) == shapely.Point(*INSIDE)
    assert run(tmp_path / "b.parquet", "--out", tmp_path / "c.csv").exit_code == 0


def test_an_instant_or_a_file_that_does_not_read_as_one(tmp_path: Path) -> None:
    for text, code in (("a,b\n1,2\n", "locating.no_columns"), ("lon,lat\n1,2\n", "locating.coord_sys_required")):
        file = tmp_path / "p.csv"
        file.write_text(text)
        with pytest.raises(BadInputError) as refused:
            points_module.open_points(file, points_module.PointOptions())
        assert refused.value.code == code
    with pytest.raises(BadInputError, match=r"import\.file_missing"):
        points_module.open_points(tmp_path / "nowhere.csv", points_module.PointOptions())
