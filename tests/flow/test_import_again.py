"""Importing beside an active version: a shifted file is told, a bad one leaves nothing, accepted repairs are stored."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.coordinates import CoordSys, from_wgs84
from geo.coverage import check_coverage
from geo.importing.cells import CellImport, ImportRejectedError, VersionTarget, import_cells
from geo.importing.faults import NoteCode
from geo.importing.measures import area_m2
from geo.importing.plan import CellImportOptions, RepairWish
from geo.storage.coverage_cells import read_coverage_cells
from geo.storage.uow import read_unit
from tests.unit.test_import_hostile import GRID, LEAVES, TREE, bow, ring_of

TARGET = VersionTarget(jurisdiction="410102")


async def bring(
    engine: AsyncEngine, folder: Path, grid: object, options: CellImportOptions = TREE, *, activate: bool = False
) -> CellImport:
    path = folder / "grid.geojson"
    path.write_text(json.dumps(grid), encoding="utf-8")
    return await import_cells(engine, path, options, replace(TARGET, activate=activate))


async def count(engine: AsyncEngine) -> tuple[int, int, int]:
    async with engine.connect() as connection:
        row = await connection.execute(
            text(
                "SELECT (SELECT count(*) FROM geo.jurisdiction), (SELECT count(*) FROM geo.grid_version),"
                " (SELECT count(*) FROM geo.cell)"
            )
        )
        return tuple(row.one())  # type: ignore[return-value]


async def test_a_file_in_another_datum_is_told_against_the_active_version(engine: AsyncEngine, tmp_path: Path) -> None:
    await bring(engine, tmp_path, GRID, activate=True)
    shifted = copy.deepcopy(GRID)
    for member in shifted["features"]:
        pairs = np.array(ring_of(member))
        ring_of(member)[:] = np.column_stack(from_wgs84(pairs[:, 0], pairs[:, 1], CoordSys.GCJ02)).tolist()
    found = await bring(engine, tmp_path, shifted)
    told = [note for note in found.plan.notes if note.code is NoteCode.DATUM_SUSPECTED]
    assert [(note.params["suspected"], note.params["version"]) for note in told] == [("gcj02", 1)]
    assert 300 < int(told[0].params["shift"]) < 700
    again = await bring(engine, tmp_path, shifted, replace(TREE, coord_sys=CoordSys.GCJ02))
    assert not [note for note in again.plan.notes if note.code is NoteCode.DATUM_SUSPECTED]


async def test_one_bad_feature_leaves_the_database_as_it_was(engine: AsyncEngine, tmp_path: Path) -> None:
    bad = copy.deepcopy(GRID)
    bow(bad["features"][LEAVES[-1]])
    with pytest.raises(ImportRejectedError):
        await bring(engine, tmp_path, bad)
    assert await count(engine) == (0, 0, 0)


@pytest.mark.parametrize("wish", list(RepairWish))
async def test_repairs_reach_the_database_only_when_accepted(
    engine: AsyncEngine, tmp_path: Path, wish: RepairWish
) -> None:
    slipped = copy.deepcopy(GRID)
    ring = ring_of(slipped["features"][LEAVES[5]])
    ring[1] = [ring[1][0] + 8e-7, ring[1][1] - 5e-7]
    found = await bring(engine, tmp_path, slipped, replace(TREE, repairs=wish))
    if wish is RepairWish.SHOW:
        assert found.version is None
        assert await count(engine) == (0, 0, 0)
        return
    assert found.version is not None
    async with read_unit(engine) as unit:
        stored = await read_coverage_cells(unit, found.version.id)
    assert len(stored) == len(GRID["features"])
    report = check_coverage(stored, area_m2)
    assert report.is_proven == (wish is RepairWish.ACCEPT)
