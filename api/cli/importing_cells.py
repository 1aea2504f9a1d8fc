"""What `gridward import cells` does with the database: writing, and a dry run that shows the effect as well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from api.audit.trail import Kind
from api.cli.context import engine_for_command
from api.cli.data_dir import read_state, resolve_data_dir
from api.cli.records import note
from api.settings import Settings
from dispatch.handover import Effect, read_effect
from geo.importing.cells import CellImport, ImportRejectedError, VersionTarget, import_cells
from geo.importing.plan import CellImportOptions, plan_cells
from geo.storage.grid_versions import GridVersion, find_active
from geo.storage.uow import WriteUnit

__all__ = ["run_import"]

Tell = Callable[[str, int, int], None]


async def run_import(
    file: Path, options: CellImportOptions, target: VersionTarget, tell: Tell, *, dry_run: bool
) -> tuple[CellImport, list[Effect] | None]:
    """Import, or look only; the effect on open cases is told by a dry run when there is a version to differ from.

    A dry run needs no database: without one it reads, checks and proves the file, and that is all there is to say.
    """
    if dry_run and not (Settings().database_url or read_state(resolve_data_dir(None)) is not None):
        plan = plan_cells(file, options, progress=tell)
        if plan.faults:
            raise ImportRejectedError(plan)
        return CellImport(plan=plan, version=None), None
    effects: list[Effect] | None = None

    async def look(unit: WriteUnit, version: GridVersion) -> None:
        nonlocal effects
        if await find_active(unit, target.jurisdiction) is not None:
            effects = await read_effect(unit, target.jurisdiction, version.id)

    async with engine_for_command() as engine:
        found = await import_cells(engine, file, options, target, dry_run=dry_run, look=look, progress=tell)
        if found.version is not None:
            facts = {"version": found.version.number, "status": found.version.status.value}
            await note(engine, Kind.IMPORTED, "import cells", file=file.name, **facts)
    return found, effects
