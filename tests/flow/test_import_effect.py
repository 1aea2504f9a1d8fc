"""Importing over a grid in force: a dry run shows the effect and writes nothing; errors leave a draft."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import shapely
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatch.handover import Effect, read_effect
from geo.coordinates import CoordSys
from geo.importing.attributes import LevelRule, parse_lengths, parse_mapping
from geo.importing.cells import CellImport, VersionTarget, import_cells
from geo.importing.plan import CellImportOptions
from geo.importing.tree import ParentRule
from geo.storage.grid_versions import GridVersion
from geo.storage.uow import WriteUnit
from tests.builders import CELLS, EAST, JURISDICTION, WEST, report
from tests.flow.conftest import Client

Boxes = dict[str, tuple[float, float, float, float]]
OPTIONS = CellImportOptions(
    mapping=parse_mapping("code=code"),
    coord_sys=CoordSys.WGS84,
    levels=LevelRule(by_length=parse_lengths("9:1,12:2,15:3")),
    parents=ParentRule.CODE,
    code_system="cn15",
)


def written(folder: Path, boxes: Boxes) -> Path:
    features = [
        {
            "type": "Feature",
            "properties": {"code": code},
            "geometry": shapely.geometry.mapping(shapely.box(*bounds)),
        }
        for code, bounds in boxes.items()
    ]
    path = folder / "cells.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


async def versions(engine: AsyncEngine) -> list[Any]:
    query = "SELECT v.number, v.status, count(*) FROM geo.grid_version v JOIN geo.cell c ON c.version_id = v.id"
    async with engine.connect() as connection:
        rows = await connection.execute(text(f"{query} GROUP BY 1, 2 ORDER BY 1"))
        return [tuple(row) for row in rows]


#: The western quarters change their codes, so the case in one of them changes its cell and its head.
SWAPPED: Boxes = {**CELLS, f"{WEST}001": CELLS[f"{WEST}003"], f"{WEST}003": CELLS[f"{WEST}001"]}


async def test_a_dry_run_shows_the_effect_and_writes_nothing(
    client: Client, engine: AsyncEngine, tmp_path: Path
) -> None:
    case = (await client.post("/v1/reports", json=report())).json()["case"]
    before = await versions(engine)
    seen: list[Effect] = []

    async def look(unit: WriteUnit, version: GridVersion) -> None:
        seen.extend(await read_effect(unit, JURISDICTION, version.id))

    target = VersionTarget(jurisdiction=JURISDICTION)
    found = await import_cells(engine, written(tmp_path, SWAPPED), OPTIONS, target, dry_run=True, look=look)
    assert found.version is None
    assert found.plan.coverage is not None
    assert found.plan.coverage.is_proven
    assert [(each.case, each.old_path[-1], each.new_path[-1], each.is_handed_over) for each in seen] == [
        (case, f"{WEST}001", f"{WEST}003", True)
    ]
    assert await versions(engine) == before


async def activated(engine: AsyncEngine, folder: Path, boxes: Boxes) -> CellImport:
    return await import_cells(
        engine, written(folder, boxes), OPTIONS, VersionTarget(jurisdiction=JURISDICTION, activate=True)
    )


async def test_errors_of_the_coverage_leave_a_draft(client: Client, engine: AsyncEngine, tmp_path: Path) -> None:
    holed = {code: box for code, box in CELLS.items() if code != f"{EAST}002"}
    found = await activated(engine, tmp_path, holed)
    assert found.refused is not None
    assert [cause.code for cause in found.refused.causes] == ["coverage.gap"]
    assert found.version is not None
    assert [row[:2] for row in await versions(engine)] == [(1, "published"), (2, "draft")]
    path = f"/v1/grid/versions/{found.version.number}/activate"
    assert (await client.post(path, json={"accept": {"gap": "a lake"}})).status_code == 200


async def test_a_whole_grid_is_activated(client: Client, engine: AsyncEngine, tmp_path: Path) -> None:
    found = await activated(engine, tmp_path, SWAPPED)
    assert found.refused is None
    assert (await client.get("/v1/grid/versions/2")).json()["status"] == "active"
    assert [note.code.value for note in found.plan.notes if "outside" in note.code] == []


async def test_a_grid_of_somewhere_else_is_noticed(engine: AsyncEngine, tmp_path: Path) -> None:
    """Henan's code on cells of Beijing: a note with the number of cells, no fault."""
    moved = {code: (w + 2.8, s + 5.2, e + 2.8, n + 5.2) for code, (w, s, e, n) in CELLS.items()}
    found = await import_cells(
        engine, written(tmp_path, moved), OPTIONS, VersionTarget(jurisdiction=JURISDICTION), dry_run=True
    )
    notes = {note.code.value: note.count for note in found.plan.notes}
    assert notes["import.note.outside_region"] == len(CELLS)
