"""`gridward ladders`: list ladders of escalation, import a table of them, take a planned version back."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.audit.trail import Kind, record
from api.cli.context import engine_for_command
from api.cli.speech import say, sentence, t
from api.settings import Settings
from dispatch.escalation import Scope
from dispatch.importing.sheets import read_sheet
from dispatch.ladder_editing import LadderDraft, add_ladder, list_ladders, read_rungs, withdraw_ladder
from dispatch.queries import database_now
from geo.errors import BadInputError, InvalidRequestError
from geo.storage.uow import read_unit, write_unit

app = typer.Typer(no_args_is_help=True)

_NEEDED: Final = ("code", "basis", "target")
_KNOWN: Final = (
    "subdistrict", "category", *_NEEDED, "share", "after_value", "after_unit", "ends_with", "in_bulletin", "name_zh",
    "name_en",
)  # fmt: skip


@app.command("list", help=t("ladder.cli.list"))
def list_(history: Annotated[bool, typer.Option("--history", help=t("ladder.cli.history"))] = False) -> None:
    """List ladders, newest version last."""

    async def run() -> list[dict[str, Any]]:
        async with engine_for_command() as engine, read_unit(engine) as unit:
            return await list_ladders(unit, Settings().jurisdiction, await database_now(unit), history=history)

    for row in asyncio.run(run()):
        place = row["cell_code"] or row["jurisdiction"] or t("ladder.cli.shipped")
        head = {"id": row["id"], "place": place, "category": row["category"] or "*", "at": row["effective_from"]}
        say(t("ladder.cli.row", **head, status=t(f"ladder.status.{row['status']}")))
        for rung in row["rungs"]:
            how = {"at_once": "", "share": f" {float(rung['share']):.0%}"}.get(
                rung["basis"], f" +{float(rung['after_value']):g} {t('unit.' + rung['after_unit'])}"
            )
            basis = t(f"ladder.basis.{rung['basis']}") + how
            say(t("ladder.cli.rung", code=rung["code"], basis=basis, target=t(f"ladder.target.{rung['target']}")))


@app.command("import", help=t("ladder.cli.import"))
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    effective_from: Annotated[datetime | None, typer.Option("--from", help=t("ladder.cli.from"))] = None,
    note: Annotated[str, typer.Option("--note", help=t("ladder.cli.note"))] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("ladder.cli.dry_run"))] = False,
) -> None:
    """Add a version for every scope of a table (CSV, XLSX): all of them, or none."""
    settings = Settings()
    sheets = _scopes(file)
    # A time without a zone is this machine's, as with every other command.
    at = effective_from.astimezone() if effective_from is not None else None

    async def run() -> list[tuple[Scope, int, int]]:
        made = []
        async with engine_for_command() as engine, write_unit(engine) as unit:
            for (subdistrict, category), rows in sheets.items():
                scope = Scope(jurisdiction=settings.jurisdiction, cell_code=subdistrict, category=category)
                try:
                    rungs = read_rungs([row for _, row in rows])
                except InvalidRequestError as error:
                    raise _with_lines(error, [line for line, _ in rows]) from error
                draft = LadderDraft(scope=scope, rungs=rungs, effective_from=at, note=note or file.name, by="cli")
                made.append((scope, await add_ladder(unit, draft), len(rungs)))
            if dry_run:
                driver = await unit.driver()
                await driver.rollback()
            else:
                ladders = [number for _, number, _ in made]
                await record(unit, Kind.SETTINGS_CHANGED, "ladders import", file=file.name, ladders=ladders)
        return made

    for scope, number, count in asyncio.run(run()):
        facts = {"place": scope.cell_code or scope.jurisdiction, "category": scope.category or "*", "count": count}
        say(t("ladder.cli.would_add", **facts) if dry_run else t("ladder.cli.added", id=number, **facts))


def _scopes(file: Path) -> dict[tuple[str, str], list[tuple[int, dict[str, str]]]]:
    """Rows of the table by their scope, in the order of the file, with the line they stand in."""
    sheet = read_sheet(file)
    header = [name.strip().lower() for name in sheet.header]
    missing = [name for name in _NEEDED if name not in header]
    unknown = [name for name in header if name and name not in _KNOWN]
    if missing or unknown or sheet.faults:
        raise BadInputError(
            "ladder.bad_table", missing=", ".join(missing) or "–", unknown=", ".join(unknown) or "–",
            known=", ".join(_KNOWN),
        )  # fmt: skip
    found: dict[tuple[str, str], list[tuple[int, dict[str, str]]]] = {}
    for line, values in sheet.rows:
        row = dict(zip(header, values, strict=False))
        scope = (row.pop("subdistrict", ""), row.pop("category", ""))
        found.setdefault(scope, []).append((line, row))
    if not found:
        raise BadInputError("ladder.bad_table", missing=", ".join(_NEEDED), unknown="–", known=", ".join(_KNOWN))
    return found


def _with_lines(error: InvalidRequestError, lines: list[int]) -> BadInputError:
    """The first fault in words, with the line of the file and its column."""
    fault = error.faults[0]
    parts = fault.pointer.split("/")
    line = lines[int(parts[2])] if len(parts) > 3 else lines[0]
    said = sentence(BadInputError(fault.code, **fault.params))
    return BadInputError("ladder.bad_row", line=line, column=parts[-1], why=said, more=len(error.faults) - 1)


@app.command("withdraw", help=t("ladder.cli.withdraw"))
def withdraw(ladder: Annotated[int, typer.Argument(min=1, help=t("ladder.cli.id"))]) -> None:
    """Take back a version that is not in force yet."""

    async def run() -> None:
        async with engine_for_command() as engine, write_unit(engine) as unit:
            await withdraw_ladder(unit, ladder, Settings().jurisdiction)
            await record(unit, Kind.SETTINGS_CHANGED, f"ladders withdraw {ladder}")

    asyncio.run(run())
    say(t("ladder.cli.withdrawn", id=ladder))
