"""What `gridward import cells` does with the database: writing, and a dry run that shows the effect as well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from api.audit.trail import Kind
from api.cli.context import engine_for_command
from api.cli.data_dir import read_state, resolve_data_dir
from api.cli.records import note
from api.demo.places import JURISDICTION as DEMO_JURISDICTION
from api.settings import Settings
from dispatch.handover import Effect, read_effect
from geo.errors import BadInputError
from geo.importing.cells import CellImport, ImportRejectedError, VersionTarget, import_cells
from geo.importing.plan import CellImportOptions, plan_cells
from geo.storage.grid_versions import GridVersion, find_active
from geo.storage.uow import WriteUnit, read_unit

__all__ = ["is_slip", "run_import"]

Tell = Callable[[str, int, int], None]


async def run_import(
    file: Path, options: CellImportOptions, target: VersionTarget, tell: Tell, *, dry_run: bool, is_new: bool = False
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
        if not is_new:
            await _check_known(engine, target.jurisdiction)
        found = await import_cells(engine, file, options, target, dry_run=dry_run, look=look, progress=tell)
        if found.version is not None:
            facts = {"version": found.version.number, "status": found.version.status.value}
            await note(engine, Kind.IMPORTED, "import cells", file=file.name, **facts)
    return found, effects


_KNOWN: Final = """
SELECT j.code, EXISTS (SELECT FROM api.account WHERE is_demo) AND j.code = %(demo)s AS is_demo
  FROM geo.jurisdiction AS j ORDER BY j.code
"""


async def _check_known(engine: AsyncEngine, code: str) -> None:
    """Refuse a new jurisdiction that is one slip of a finger from one that is there: its cells would be nobody's.

    The demo's own does not count: a real one beside it is what comes next.

    Raises
    ------
    BadInputError
        ``imports.jurisdiction_like``, naming the one that is probably meant.
    """
    async with read_unit(engine) as unit:
        driver = await unit.driver()
        rows = await (await driver.execute(_KNOWN, {"demo": DEMO_JURISDICTION})).fetchall()
    known = {row[0] for row in rows}
    chosen = _chosen()
    meant = sorted(other for other in {row[0] for row in rows if not row[1]} | {chosen} if is_slip(code, other))
    if code not in known and code != chosen and meant:
        raise BadInputError("imports.jurisdiction_like", jurisdiction=code, known=meant[0])


def _chosen() -> str:
    """The jurisdiction that the office has set; empty where it has set none."""
    settings = Settings()
    return settings.jurisdiction if "jurisdiction" in settings.model_fields_set else ""


def is_slip(code: str, other: str) -> bool:
    """Whether one digit is another one, or two beside each other have changed places.

    Examples
    --------
    >>> is_slip("410120", "410102"), is_slip("410103", "410102"), is_slip("410304", "410102"), is_slip("zuerich", "1")
    (True, True, False, False)
    """
    if not (code.isdecimal() and other.isdecimal() and len(code) == len(other)):
        return False
    wrong = [place for place, (mine, theirs) in enumerate(zip(code, other, strict=True)) if mine != theirs]
    if len(wrong) == 2:
        first, second = wrong
        return second == first + 1 and code[first] == other[second] and code[second] == other[first]
    return len(wrong) == 1
