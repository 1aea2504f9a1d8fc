"""`gridward import categories`: a city's own table of classes, conditions and limits."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.audit.trail import Kind
from api.cli.context import engine_for_command
from api.cli.records import note
from api.cli.speech import t
from dispatch.deadlines import Limit
from dispatch.importing.category_changes import Change, ChangeKind
from dispatch.importing.category_import import (
    CategoriesRefusedError,
    CategoryImport,
    CategoryImportOptions,
    import_categories,
)
from dispatch.importing.category_rows import InDoubt, ReadingRules
from dispatch.importing.limits import parse_units

_MOST_LISTED = 20


def categories(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    conditions: Annotated[Path | None, typer.Option("--conditions", help=t("categories.help.conditions"))] = None,
    columns: Annotated[str, typer.Option("--map", help=t("categories.help.map"))] = "",
    condition_columns: Annotated[str, typer.Option("--condition-map", help=t("categories.help.condition_map"))] = "",
    units: Annotated[str, typer.Option("--units", help=t("categories.help.units"))] = "",
    code_system: Annotated[str | None, typer.Option("--code-system", help=t("categories.help.code_system"))] = None,
    in_doubt: Annotated[InDoubt, typer.Option("--in-doubt", help=t("categories.help.in_doubt"))] = InDoubt.ASK,
    deactivate_missing: Annotated[
        bool, typer.Option("--deactivate-missing", help=t("categories.help.deactivate_missing"))
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=t("categories.help.dry_run"))] = False,
    details: Annotated[bool, typer.Option("--details", help=t("categories.help.details"))] = False,
) -> None:
    """Import categories, conditions and limits (CSV, XLSX): all of them, or none."""
    options = CategoryImportOptions(
        conditions=conditions,
        rules=ReadingRules(
            columns=columns,
            condition_columns=condition_columns,
            code_system=code_system,
            units=parse_units(units),
            in_doubt=in_doubt,
        ),
        deactivate_missing=deactivate_missing,
        dry_run=dry_run,
    )

    async def run() -> CategoryImport:
        async with engine_for_command() as engine:
            found = await import_categories(engine, file, options)
            if not dry_run:
                await note(engine, Kind.IMPORTED, "import categories", file=file.name, changes=len(found.changes))
            return found

    try:
        found = asyncio.run(run())
    except CategoriesRefusedError as refused:
        show_faults(refused)
        raise typer.Exit(1) from None
    show_changes(found, most=len(found.changes) if details else _MOST_LISTED)


def show_faults(refused: CategoriesRefusedError) -> None:
    """List every fault with file and row, on the error stream."""
    table = Table(title=Text(t("error.category.table_refused", **refused.params)), show_header=False)
    for fault in refused.faults:
        where = fault.file if fault.row is None else t("categories.row", file=fault.file, row=fault.row)
        table.add_row(Text(where), Text(fault.column), fault.code, Text(t(f"error.{fault.code}", **fault.params)))
    Console(stderr=True).print(table)


def show_changes(found: CategoryImport, *, most: int) -> None:
    """Say what changed, kind by kind, with old and new."""
    table = Table(title=Text(t("categories.title")), show_header=False, title_justify="left")
    table.add_row(
        t("categories.read"), t("categories.read_value", classes=found.categories, conditions=found.conditions)
    )
    counts = found.counts()
    for kind in ChangeKind:
        if counts[kind]:
            table.add_row(t(f"categories.change.{kind}"), f"{counts[kind]:,}")
    table.add_row(t("categories.untouched"), f"{found.untouched:,}")
    if found.in_doubt:
        table.add_row(t("categories.in_doubt"), f"{len(found.in_doubt):,}")
    table.add_row(t("categories.outcome"), t("categories.written" if found.is_written else "categories.dry_run"))
    console = Console()
    console.print(table)
    shown = [change for change in found.changes if change.kind is not ChangeKind.ADDED][:most]
    for change in shown:
        console.print(Text(_line(change)))
    more = len(found.changes) - counts[ChangeKind.ADDED] - len(shown)
    if more > 0:
        console.print(Text(t("categories.more", count=more)))


def _line(change: Change) -> str:
    number = "" if change.number is None else f"/{change.number}"
    parts = [_value(part) for part in (change.old, change.new) if part is not None]
    return f"{change.code}{number}  {t(f'categories.change.{change.kind}')}  {' → '.join(parts)}"


def _value(value: str | Limit) -> str:
    if isinstance(value, Limit):
        return t(f"categories.unit.{value.unit}", value=f"{Decimal(value.value).normalize():f}")
    return value
