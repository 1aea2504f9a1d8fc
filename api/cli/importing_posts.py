"""`gridward import departments | people | posts | matrix` and `gridward export matrix`."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.audit.trail import Kind
from api.cli.context import engine_for_command
from api.cli.records import note
from api.cli.speech import fail, say, t
from api.settings import Settings
from dispatch.departments import MATRIX_COLUMNS, list_rules, matrix_row
from dispatch.importing.post_tables import Outcome, TableImport, TableKind, TablesRefusedError, import_table
from dispatch.queries import database_now
from dispatch.routing import Mode
from dispatch.storage.tables import POST_KINDS
from geo.storage.uow import read_unit
from maps.i18n import translate

__all__ = ["departments", "matrix", "matrix_out", "people", "posts"]

_File = Annotated[Path, typer.Argument(metavar="FILE", show_default=False)]
_Map = Annotated[str, typer.Option("--map", help=t("posts.help.map"))]
_DryRun = Annotated[bool, typer.Option("--dry-run", help=t("posts.help.dry_run"))]
_MOST_GAPS = 30


def departments(file: _File, columns: _Map = "", dry_run: _DryRun = False) -> None:
    """Import departments."""
    _import(TableKind.DEPARTMENTS, file, columns, dry_run)


def people(file: _File, columns: _Map = "", dry_run: _DryRun = False) -> None:
    """Import people."""
    _import(TableKind.PEOPLE, file, columns, dry_run)


def posts(file: _File, columns: _Map = "", dry_run: _DryRun = False) -> None:
    """Import posts with their holders."""
    _import(TableKind.POSTS, file, columns, dry_run)


def matrix(file: _File, columns: _Map = "", dry_run: _DryRun = False) -> None:
    """Import lines of the matrix, and say what it leaves to the fallback owner."""
    _import(TableKind.MATRIX, file, columns, dry_run)


def matrix_out(file: _File, overwrite: Annotated[bool, typer.Option("--overwrite")] = False) -> None:
    """Write the matrix as it holds now to a CSV file that `import matrix` takes back."""
    if file.exists() and not overwrite:
        fail(t("posts.file_exists", file=str(file)))

    async def read() -> list[tuple[str, ...]]:
        async with engine_for_command() as engine:
            async with read_unit(engine) as unit:
                rules = await list_rules(unit, Settings().jurisdiction, await database_now(unit), limit=1_000_000)
            await note(engine, Kind.EXPORTED, "export matrix", file=file.name, rows=len(rules))
            return [matrix_row(rule) for rule in rules]

    rows = asyncio.run(read())
    # Spreadsheets take a file without a byte order mark for something older than UTF-8.
    with file.open("w", encoding="utf-8-sig", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(MATRIX_COLUMNS)
        table.writerows(rows)
    say(t("posts.exported", count=len(rows), file=str(file)))


def _words() -> Mapping[str, str]:
    """Labels of kinds and modes in both languages, as an office writes them."""
    found = {}
    for locale in ("zh-CN", "en"):
        for kind in POST_KINDS:
            found[translate(locale, f"posts.kind.{kind}")] = kind
        for mode in Mode:
            found[translate(locale, f"posts.mode.{mode}")] = mode.value
    return found


def _import(kind: TableKind, file: Path, columns: str, dry_run: bool) -> None:
    async def run() -> TableImport:
        async with engine_for_command() as engine:
            found = await import_table(
                engine,
                kind,
                file,
                jurisdiction=Settings().jurisdiction,
                dry_run=dry_run,
                columns=columns,
                words=_words(),
            )
            if found.is_written:
                await note(engine, Kind.IMPORTED, f"import {kind.value}", file=file.name, rows=found.rows)
            return found

    try:
        found = asyncio.run(run())
    except TablesRefusedError as refused:
        table = Table(title=Text(t("error.posts.table_refused", **refused.params)), show_header=False)
        for fault in refused.faults:
            where = fault.file if fault.row is None else t("categories.row", file=fault.file, row=fault.row)
            table.add_row(Text(where), fault.code, Text(t(f"error.{fault.code}", **fault.params)))
        Console(stderr=True).print(table)
        raise typer.Exit(1) from None
    _show(found)


def _show(found: TableImport) -> None:
    table = Table(title=Text(t(f"posts.table.{found.kind}")), show_header=False, title_justify="left")
    table.add_row(t("posts.rows"), f"{found.rows:,}")
    for outcome in Outcome:
        table.add_row(t(f"posts.outcome.{outcome}"), f"{found.counts.get(outcome, 0):,}")
    if found.kind is TableKind.MATRIX:
        table.add_row(t("posts.gaps"), f"{len(found.gaps):,}")
    table.add_row(t("posts.result"), t("posts.written" if found.is_written else "posts.dry_run"))
    console = Console()
    console.print(table)
    for gap in found.gaps[:_MOST_GAPS]:
        key = "posts.gap_fallback" if gap.fallback else "posts.gap_nobody"
        console.print(
            Text(t(key, category=gap.category, cell=gap.cell, leaves=gap.leaves, fallback=gap.fallback or ""))
        )
    if len(found.gaps) > _MOST_GAPS:
        console.print(Text(t("posts.gaps_more", count=len(found.gaps) - _MOST_GAPS)))
