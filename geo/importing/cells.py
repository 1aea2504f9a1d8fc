"""Import a file of cells as a draft grid version: one transaction, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import shapely
from sqlalchemy.ext.asyncio import AsyncEngine

from geo.activation import CoverageRefusedError, error_classes
from geo.coordinates import SRID_WGS84
from geo.errors import BadInputError
from geo.importing.measures import metric_srid
from geo.importing.plan import CellImportOptions, GridPlan, PlannedCell, RepairWish, plan_cells
from geo.importing.regions import outside_region
from geo.importing.suspicion import suspect_datum
from geo.storage.coverage_cells import read_cell_centres
from geo.storage.grid_versions import (
    CellRecord,
    GridVersion,
    activate,
    copy_cells,
    create_draft,
    ensure_jurisdiction,
    find_active,
    get_version,
)
from geo.storage.taking_effect import await_effect
from geo.storage.uow import WriteUnit, read_unit, write_unit

Progress = Callable[[str, int, int], None]
Look = Callable[[WriteUnit, GridVersion], Awaitable[None]]


class ImportRejectedError(BadInputError):
    """The file has faults; nothing was written. ``plan.faults`` holds every one of them."""

    def __init__(self, plan: GridPlan) -> None:
        super().__init__("import.rejected", file=plan.file, count=len(plan.faults))
        self.plan = plan


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTarget:
    """Where the cells go.

    Parameters
    ----------
    jurisdiction
        Six digits; added when it does not exist yet, with ``time_zone`` and a metric CRS that suits the place.
    activate
        Make the version current, unless errors of its coverage stand in the way: then it stays a draft.
    activate_at
        From when; now if left out.
    """

    jurisdiction: str
    version_name: str = ""
    time_zone: str = "Asia/Shanghai"
    activate: bool = False
    activate_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellImport:
    """What became of an import; ``version`` is None after a dry run, and a draft when activating it was refused."""

    plan: GridPlan
    version: GridVersion | None
    refused: CoverageRefusedError | None = None


class _TakenBackError(Exception):
    """Ends the transaction of a dry run without a commit."""


async def import_cells(
    engine: AsyncEngine,
    path: Path,
    options: CellImportOptions,
    target: VersionTarget,
    *,
    dry_run: bool = False,
    look: Look | None = None,
    progress: Progress | None = None,
) -> CellImport:
    """Read, check and store a file of cells.

    Parameters
    ----------
    dry_run
        Write nothing. With `look` the cells are written, looked at, and taken back.
    look
        Called by a dry run with the draft that it would make.

    Raises
    ------
    ImportRejectedError
        The file has faults; the database is untouched.
    """
    # Parsing and geometry are CPU work; a thread keeps the event loop (and the progress bar) alive.
    plan = await asyncio.to_thread(plan_cells, path, options, progress=progress)
    if plan.faults:
        raise ImportRejectedError(plan)
    async with read_unit(engine) as reading:
        active = await find_active(reading, target.jurisdiction)
        known = await read_cell_centres(reading, active.id) if active is not None else {}
    if active is not None:
        plan = replace(plan, notes=(*plan.notes, *suspect_datum(plan, options.coord_sys, known, active.number)))
    plan = replace(plan, notes=(*plan.notes, *outside_region(plan.cells, target.jurisdiction)))
    if options.repairs is RepairWish.SHOW or (dry_run and look is None):
        return CellImport(plan=plan, version=None)
    try:
        async with write_unit(engine) as unit:
            version = await _store(unit, plan, options, target, progress)
            if dry_run and look is not None:
                await look(unit, version)
                raise _TakenBackError
    except _TakenBackError:
        return CellImport(plan=plan, version=None)
    wrong = error_classes(plan.coverage) if target.activate and plan.coverage is not None else {}
    if wrong and plan.coverage is not None:
        # The draft stays: what it needs is a reason, or a better file, and both are easier with it at hand.
        refused = CoverageRefusedError(version.number, plan.coverage, sorted(wrong))
        return CellImport(plan=plan, version=version, refused=refused)
    if target.activate:
        async with write_unit(engine) as unit:
            version = await activate(unit, version.id, at=target.activate_at)
        if target.activate_at is None:
            await await_effect(engine, version.valid_from)
        async with read_unit(engine) as reading:
            version = await get_version(reading, target.jurisdiction, version.number)
    return CellImport(plan=plan, version=version)


async def _store(
    unit: WriteUnit,
    plan: GridPlan,
    options: CellImportOptions,
    target: VersionTarget,
    progress: Progress | None,
) -> GridVersion:
    label = plan.cells[0].label_point
    await ensure_jurisdiction(
        unit, target.jurisdiction, time_zone=target.time_zone, metric_srid=metric_srid(label.x, label.y)
    )
    version = await create_draft(
        unit,
        target.jurisdiction,
        name=target.version_name,
        code_system=options.code_system,
        source=f"{plan.file} ({plan.frame})",
    )
    await copy_cells(unit, version.id, _records(plan, progress), count=len(plan.cells))
    return version


def _records(plan: GridPlan, progress: Progress | None) -> Iterator[CellRecord]:
    for done, cell in enumerate(plan.cells, 1):
        yield _record(cell)
        if progress is not None:
            progress("store", done, len(plan.cells))


def _record(cell: PlannedCell) -> CellRecord:
    attributes = cell.attributes
    return CellRecord(
        level=attributes.level,
        code=attributes.code,
        name_zh=attributes.name_zh,
        name_en=attributes.name_en,
        kind=attributes.kind.value,
        parent=attributes.parent if attributes.level > 1 else None,
        path=cell.path,
        population=attributes.population,
        households=attributes.households,
        area_m2=cell.area_m2,
        boundary=shapely.to_wkb(shapely.set_srid(cell.boundary, SRID_WGS84), hex=True, include_srid=True),
        label_point=shapely.to_wkb(shapely.set_srid(cell.label_point, SRID_WGS84), hex=True, include_srid=True),
    )
