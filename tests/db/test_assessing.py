"""Positions with an error, many at a time in process, get what the statement for one gives them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import shapely

from bench._grid_rows import grid_rows
from bench.tiling import make_tiling
from geo.assessing import Assessor
from geo.cells import CellId, CellKind, CellRef
from geo.coordinates import snap_to_grid
from geo.errors import BadInputError
from geo.lookup import CellIndex
from geo.lookup.holder import LiveGrid, LiveVersion
from geo.storage.cell_shapes import read_boundaries
from geo.storage.grid_versions import CellRecord, copy_cells, create_draft, ensure_jurisdiction
from geo.storage.uow import WriteUnit
from geo.uncertainty import Inaccurate, assess_many

JURISDICTION = "990002"
RADII = np.array([1e-9, 0.004, 1.0, 5.0, 12.5, 30.0, 65.0, 100.0, 400.0, 1500.0, 5000.0])


async def stored(uow: WriteUnit, records: Sequence[CellRecord]) -> LiveGrid:
    """Store cells as a draft and load it as a process would."""
    await ensure_jurisdiction(uow, JURISDICTION, time_zone="Asia/Shanghai", metric_srid=4547)
    draft = await create_draft(uow, JURISDICTION, name="", code_system="free", source="")
    await copy_cells(uow, draft.id, records, count=len(records))
    cells = await read_boundaries(uow, draft.id)
    index = CellIndex.build(draft.id, cells)
    refs = {
        cell.cell_id: CellRef(
            id=CellId(cell.cell_id),
            level=cell.level,
            code=cell.code,
            name_zh=f"网格{cell.code}",
            name_en=f"Cell {cell.code}",
            kind=CellKind.ORDINARY,
        )
        for cell in cells
    }
    version = LiveVersion(
        id=draft.id, revision=1, number=1, name="", valid_from=datetime(2026, 1, 1, tzinfo=UTC), valid_until=None
    )
    return LiveGrid(version=version, index=index, cells=[refs[cell_id] for cell_id in index.cell_ids])


def torn(records: Sequence[CellRecord]) -> list[CellRecord]:
    """Take a childless cell, all children of another, and a whole branch away, so that parents own land themselves."""
    second = [record.code for record in records if record.level == 2]
    deepest = [record.code for record in records if record.level == 3 and record.parent == second[0]]
    gone = {deepest[0], second[2]}
    return [
        record
        for record in records
        if record.code not in gone and record.parent not in {second[1], second[2]} and record.level <= 3
    ]


@pytest.mark.parametrize("shape", ["whole", "torn"])
async def test_a_file_s_answers_are_those_of_the_single_lookup(uow: WriteUnit, shape: str) -> None:
    records = list(grid_rows(make_tiling(10, 10)))
    if shape == "torn":
        records = torn(records)
    grid = await stored(uow, records)
    assert bool(grid.index.gappy) == (shape == "torn")
    rng = np.random.default_rng(7)
    vertices = shapely.get_coordinates(shapely.from_wkb([record.boundary for record in records]))
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    free = rng.uniform(low - 0.004, high + 0.004, (250, 2))
    places = np.asarray(snap_to_grid(np.concatenate([free, vertices[rng.integers(0, len(vertices), 50)]])))
    lon, lat = np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1])
    radius = rng.choice(RADII, len(places))
    numbers = grid.index.find_many(lon, lat).tolist()

    assessor = await Assessor.open(uow, grid)
    many = await assessor.assess(uow, numbers, lon, lat, radius)
    asked = [
        Inaccurate(jurisdiction=JURISDICTION, version_id=grid.version.id, lon=x, lat=y, accuracy_m=r)
        for x, y, r in zip(lon.tolist(), lat.tolist(), radius.tolist(), strict=True)
    ]
    single = await assess_many(uow, asked)
    assert sum(len(found.candidates) > 1 for found in single) > 100
    assert any(found.boundary_m is None and found.candidates for found in single)
    for mine, theirs in zip(many, single, strict=True):
        assert mine.boundary_m == theirs.boundary_m
        assert mine.confirm_on_site == theirs.confirm_on_site
        assert mine.outside_share == pytest.approx(theirs.outside_share, abs=1.01e-4)
        # The last of four digits may fall either way, and with it the order of two shares that are alike.
        shares = {found.code: found.share for found in theirs.candidates}
        if len(shares) < 20:
            assert {found.code for found in mine.candidates} == shares.keys()
        for found in mine.candidates:
            assert found.share == pytest.approx(shares.get(found.code, theirs.candidates[-1].share), abs=1.01e-4)
        assert [found.share for found in mine.candidates] == sorted(
            (found.share for found in mine.candidates), reverse=True
        )


async def test_a_radius_that_is_none_is_refused(uow: WriteUnit) -> None:
    grid = await stored(uow, list(grid_rows(make_tiling(5, 5))))
    assessor = await Assessor.open(uow, grid)
    where = SimpleNamespace(lon=np.array([113.6]), lat=np.array([34.7]))
    for radius in (0.0, -1.0, float("nan"), 5000.1):
        with pytest.raises(BadInputError, match="accuracy_out_of_range"):
            await assessor.assess(uow, [-1], where.lon, where.lat, np.array([radius]))
